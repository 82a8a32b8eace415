"""What a run costs beside training: start-up, validation, checkpoints and the evaluation at its end.

    python benchmarks/whole_run.py [--device cuda]

Each part is measured by itself and counted as often as it comes in 200 epochs of G-OE with WRN-40-2 on CIFAR-10 with
300K Random Images, or files of random images like them. Start-up is from the start of a worker's process to its first
step: imports, checksums, reading, padding and moving both sets; and what the first round of everything takes, in which
the network is compiled where a run would compile it.
"""

import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from harness import Report, arguments, finish
from standin import config_of, images, sparse_npy, trainer, training_sets
from tables import Row, Table

from goe import checkpoint
from goe.compiling import compile_net, wants_compiling
from goe.core.config import RunConfig
from goe.core.process import myself
from goe.core.records import Launch, Phase
from goe.core.rundir import RunDir
from goe.journal import Journal
from goe.metrics import detection_metrics
from goe.train import Trainer, train

EPOCHS, STEPS, TRAINED, VALIDATED = 200, 352, 45_000, 5_000
EVALUATED = 10_000 + 10_000 + 2 * 10_000 + VALIDATED
"""CIFAR-10's test set, CIFAR-100's, two synthetic ones, and the images that thresholds are taken on."""
OOD_SETS = 3
SIZES = {"cuda": (128, 256), "cpu": (32, 64)}
TIMED = {"cuda": (50, VALIDATED), "cpu": (2, 250)}
"""Steps of training and images of validation in a round."""
OUTLIERS = 300_000
BAR = 0.03


def make_files(root: Path, outliers: int) -> None:
    """Files as CIFAR-10 and the outliers come, of random images; the outliers' has no bytes on the disk."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    for number, name in enumerate([*(f"data_batch_{batch}" for batch in range(1, 6)), "test_batch"]):
        data = images(10_000, number).reshape(10_000, -1)
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": [place % 10 for place in range(10_000)]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("0123456789")}))
    sparse_npy(root / "300K_random_images.npy", outliers)


class Telling(Journal):
    """Says on stdout which phase a run is in."""

    def phase(self, phase: Phase, error: str | None = None) -> None:
        """Enter a phase."""
        super().phase(phase, error)
        print(phase, flush=True)


def begin(run: RunDir, root: Path) -> None:
    """What a worker does up to its first step, for files whose checksums are worked out and then not compared."""
    from torchvision.datasets import cifar
    from torchvision.datasets.utils import calculate_md5

    from goe.core.code import identify_code
    from goe.environment import write_environment

    cifar.check_integrity = lambda path, _: bool(calculate_md5(path))
    attempt = run.claim(Launch(attempt=1, launcher="benchmark", supervisor=myself(), started=time.time()))
    assert attempt is not None, "the folder has such a run"
    with Telling(run, attempt, epochs=EPOCHS) as journal:
        write_environment(run, identify_code(), data=root)
        train(run, journal, root=root, should_stop=lambda: True)


def start_up(config: RunConfig, root: Path, number: int) -> float:
    """Seconds from the start of a worker to its first step."""
    run = RunDir.create(root / f"runs-{number}", config)
    begun = time.perf_counter()
    argv = [sys.executable, __file__, "--begin", str(run.path), str(root)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as worker:
        assert worker.stdout is not None
        try:
            said = next((line for line in worker.stdout if line.strip() == "training"), None)
            took = time.perf_counter() - begun
        finally:
            worker.kill()
    assert said is not None, "the worker ended before its first step; its error is above"
    return took


def parts(loop: Trainer, validated: int) -> dict[str, Callable[[], float]]:
    """Seconds for a whole run, by part; each call measures anew."""
    rng = np.random.default_rng(0)

    def seconds(work: Callable[[], object]) -> float:
        begun = time.perf_counter()
        work()
        finish(loop.device)
        return time.perf_counter() - begun

    def steps() -> None:
        loop.net.train()
        for batch in loop.data.epoch(0):
            loop._update(batch, rng)  # noqa: SLF001 - parts of a run, one by one

    def save() -> None:
        checkpoint.save(
            loop.directory,
            ("last", "best"),
            net=loop.net,
            method=loop.method,
            optimiser=loop.optimiser,
            epoch=1,
            step=1,
            values={},
            best_accuracy=0.5,
        )

    def metrics() -> None:
        detection_metrics(rng.random(10_000), rng.random(10_000))

    def validate() -> float:
        return seconds(loop._validate) / validated  # noqa: SLF001

    return {
        "training": lambda: seconds(steps) / len(loop.data.labels) * TRAINED * EPOCHS,
        "validation": lambda: validate() * VALIDATED * EPOCHS,
        "checkpoints": lambda: seconds(save) * EPOCHS,
        "evaluation": lambda: validate() * EVALUATED + OOD_SETS * seconds(metrics),
    }


def extrapolate(report: Report, device: str, root: Path) -> None:
    """All parts of a run, and how much of it is not training."""
    size, outliers = SIZES[device]
    steps, validated = TIMED[device] if not report.quick else (2, 50)
    config = config_of(device=device, batch_size=size, outlier_batch_size=outliers, epochs=EPOCHS)
    sets = training_sets(size * steps, outliers * steps, validated)
    with trainer(config, sets, root / "trained") as loop:
        loop.compute.apply()
        if wants_compiling(config, loop.device, EPOCHS * STEPS):
            compile_net(loop.net, loop.device, print)
        each = parts(loop, validated)
        found: dict[str, list[float]] = {name: [] for name in each}
        begun = time.perf_counter()
        for measured in each.values():
            measured()  # what is compiled and allocated once is part of the start
        once = time.perf_counter() - begun
        for _ in range(report.rounds):
            for name, measured in each.items():
                found[name].append(measured())
    found["start-up"] = [once + start_up(config_of(device=device), root, number) for number in range(report.rounds)]
    whole = sum(median(values) for values in found.values())
    rows = [Row(name, tuple(values), f"{median(values) / whole:.2%}") for name, values in found.items()]
    title = f"200 epochs of CIFAR-10 with G-OE and WRN-40-2 on the {device.upper()}, {whole / 3600:.1f} hours"
    report.add(Table(title, "s", tuple(rows)))
    beside = 1 - median(found["training"]) / whole
    report.title("What is not training")
    report.say("share of the run", f"{beside:.2%}; bar {BAR:.0%}: {'met' if beside <= BAR else 'MISSED'}")


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=SIZES, default=default)
    parser.add_argument(
        "--begin", nargs=2, type=Path, metavar=("RUN", "DATA"), help="a worker, for the benchmark itself"
    )
    options = parser.parse_args()
    if options.begin:
        begin(RunDir(options.begin[0]), options.begin[1])
        return
    with tempfile.TemporaryDirectory() as folder, Report(__file__, options) as report:
        make_files(Path(folder), OUTLIERS // 10 if options.quick else OUTLIERS)
        extrapolate(report, options.device, Path(folder))


if __name__ == "__main__":
    main()
