"""Peak memory of training, by method and model, and what large sets of outliers add to it.

    python benchmarks/memory.py [--device cuda] [--models wrn-40-2] [--methods goe udg]

Each reading is a process of its own, which takes a few steps, validates and saves: small batches on a CPU, the paper's
on a GPU. The outliers' files have the size of the real ones and no bytes on the disk; of them only the reading is
measured, an epoch's worth of batches at most.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

import psutil
import torch
from harness import ROOT, Report, arguments
from standin import config_of, id_set, sparse_npy, trainer, training_sets
from step import CPU_SIZES, GPU_SIZES, MODELS, SMALL
from tables import Row, Table

from goe.core.config import METHODS
from goe.data.catalog import TrainingSets
from goe.data.loader import TrainData
from goe.data.outliers import OutlierSet, images_in_npy
from goe.data.source import ImageSet  # noqa: TC001 - one line instead of three
from goe.data.tinyimages import COUNT, IMAGE_BYTES, TinyImages
from goe.train import Clock

MIB = 2**20
STEPS = 3
SETS = {"no outliers but 1,024": 1_024, "300K Random Images": 300_000, "80 Million Tiny Images": COUNT}
READ, QUICK_READ = 352, 40
"""Batches of outliers."""
SHARE = 0.1
"""Of the machine's memory, that a set may take on a CPU: what goe keeps padded in memory, and reads from the disk where
it is more."""


def train(method: str, model: str, device: str) -> dict[str, float]:
    """Peaks of a short training, in MiB."""
    size, outliers = GPU_SIZES if device == "cuda" else CPU_SIZES.get(model, SMALL)
    spec = {"name": method} | ({"clusters": 20} if method == "udg" else {})
    sizes = {"batch_size": size, "outlier_batch_size": outliers}
    config = config_of(method=spec, model=model, device=device, **sizes)
    sets = training_sets(size * STEPS, 0 if method == "baseline" else outliers * STEPS, size)
    with tempfile.TemporaryDirectory() as folder, trainer(config, sets, Path(folder)) as loop:
        loop.compute.apply()
        clock = Clock(done=0, total=STEPS)
        loop._train_epoch(clock)  # noqa: SLF001 - as a run does
        loop.epoch = 1
        loop._finish_epoch(clock)  # noqa: SLF001
    found = {"host": peak()}
    if device == "cuda":
        found["gpu"] = torch.cuda.max_memory_allocated() / MIB
        found["reserved"] = torch.cuda.max_memory_reserved() / MIB
    return found


def read(name: str, file: Path, batches: int) -> dict[str, float]:
    """Peaks of reading outliers, in MiB; nothing is trained."""
    source: ImageSet = TinyImages(file, count=COUNT) if name.startswith("80") else images_in_npy("outliers", file)
    train = id_set("train", 128 * 352, 0)
    benchmark = training_sets(2, 0).benchmark
    sets = TrainingSets(benchmark, train, train, OutlierSet(source, is_id=None))
    data = TrainData(sets, config_of(), torch.device("cpu"))
    for _ in islice(data.epoch(0), batches):
        pass
    held = psutil.Process().memory_info()
    return {"host": peak(), "held": (held.rss - getattr(held, "shared", 0)) / MIB}


def peak() -> float:
    """Of this process, MiB resident."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def alone(*words: str) -> dict[str, float]:
    """One reading in a process of its own."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    argv = [sys.executable, __file__, "--one", *words]
    # In a session of its own: after ctrl-c `run` ends it.
    found = subprocess.run(argv, env=env, stdout=subprocess.PIPE, check=True, text=True, start_new_session=True).stdout
    result: dict[str, float] = json.loads(found.splitlines()[-1])
    return result


def by_method(report: Report, device: str, models: list[str], methods: list[str]) -> None:
    """A table for each model."""
    for model in models:
        size, outliers = GPU_SIZES if device == "cuda" else CPU_SIZES.get(model, SMALL)
        rows = []
        for method in methods:
            found = alone("train", method, model, device)
            on_gpu = f"GPU: {found['gpu']:,.0f} used, {found['reserved']:,.0f} reserved" if "gpu" in found else ""
            rows.append(Row(method, (found["host"],), on_gpu))
        title = f"Peak memory of training {model} on the {device.upper()}, batches of {size} + {outliers}"
        report.add(Table(title, "MiB", tuple(rows)))


def by_outliers(report: Report) -> None:
    """What the large sets add."""
    budget = SHARE * psutil.virtual_memory().total / MIB
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, count in SETS.items():
            file = Path(folder) / f"{count}.bin"
            if count == COUNT:
                with file.open("wb") as stream:
                    stream.truncate(COUNT * IMAGE_BYTES)
            else:
                sparse_npy(file, count)
            found[name] = alone("read", name, str(file), str(QUICK_READ if report.quick else READ))
    bare = next(iter(found.values()))
    report.title("Memory that outliers add to reading 45,056 ID images, pages of their file left out")
    for name, each in list(found.items())[1:]:
        added = max(0.0, each["held"] - bare["held"])
        verdict = "met" if added <= budget else "MISSED"
        report.say(name, f"{added:,.0f} MiB; bar {budget:,.0f}, a tenth of the memory: {verdict}")
    for name, each in found.items():
        report.say(f"{name}: peak of the process, pages of its file too", f"{each['host']:,.0f} MiB")


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cpu", "cuda"), default=default)
    parser.add_argument("--models", nargs="+", choices=MODELS, help="default: all, the first with --quick")
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="default: all, baseline and goe with --quick")
    parser.add_argument("--one", nargs=4, metavar="WORD", help="one reading, for the benchmark itself")
    options = parser.parse_args()
    if options.one:
        kind, first, second, third = options.one
        found = train(first, second, third) if kind == "train" else read(first, Path(second), int(third))
        print(json.dumps(found))
        return
    with Report(__file__, options) as report:
        models = options.models or list(MODELS[: 1 if options.quick else None])
        methods = options.methods or (["baseline", "goe"] if options.quick else list(METHODS))
        by_method(report, options.device, models, methods)
        by_outliers(report)


if __name__ == "__main__":
    main()
