"""What 12 scores on 8 test sets cost beside one pass of the images through the network.

    python benchmarks/evaluation.py [--repeats 3]

First the whole of `evaluate` on digits with WRN-40-2 (random weights; 8 OOD test sets; logits and features kept as
`goe eval` does), against a plain pass over the same images: the test sets, the validation images that thresholds are
taken on, and the training images that detectors are fitted on. Rounds alternate; medians are printed.

Then each score alone at CIFAR-10's sizes, on random features: fitted on 45,000 images, scoring 125,658 (the ID test
set, SC-OOD's six sets, two synthetic ones), as a share of the time the network needs for all of them at the measured
rate. OpenMax is timed on fewer and multiplied: it goes image by image.
"""

import argparse
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.optim import SGD

from goe import checkpoint
from goe.core.config import RunConfig, Tests, complete, with_tests
from goe.core.rundir import RunDir
from goe.core.scorespecs import DETECTORS
from goe.data.catalog import load_evaluation, load_id
from goe.data.loader import eval_batches
from goe.detectors import Material, fit_score
from goe.evaluate import evaluate
from goe.methods.baseline import Baseline
from goe.models import build_model
from goe.models.base import Net
from goe.outputs import EVAL_BATCH, channels_last
from goe.scores import Outputs

MODEL = "wrn-40-2"
SCORES = ("msp", "max-logit", "energy", "entropy", "margin", "gen", "mahalanobis", "knn", "vim", "react", "ash", "dice")
FOLDERS, IN_FOLDER = 4, 500
FITTED = 45_000
SCORED = 10_000 + (10_000 + 5640 + 26_032 + 8793 + 9998 + 35_195) + 2 * 10_000
OPENMAX = 2_000
CPU = torch.device("cpu")


def make_run(folder: Path) -> RunDir:
    """A run with a checkpoint of random weights."""
    raw = {"experiment": "bench", "seed": 1, "method": "baseline", "model": MODEL, "device": "cpu", "evaluate": "last"}
    config = complete(raw, print)
    assert config is not None
    run = RunDir.create(folder, config)
    net = fresh(config)
    kinds: dict[str, Any] = {"net": net, "method": Baseline(), "optimiser": SGD(net.parameters(), lr=0.1)}
    checkpoint.save(run, ("last",), epoch=1, step=1, values={}, best_accuracy=0.0, **kinds)
    return run


def fresh(config: RunConfig) -> Net:
    """The network with random weights."""
    torch.manual_seed(0)
    return build_model(config.model, num_classes=8, dropout=0.0).eval()


def make_sets(root: Path) -> Tests:
    """Eight OOD test sets: four synthetic ones, four folders of images."""
    rng = np.random.default_rng(0)
    for name in (f"folder-{letter}" for letter in "abcd"[:FOLDERS]):
        (root / name).mkdir()
        for place in range(IN_FOLDER):
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(root / name / f"{place:03}.png")
    folders = tuple(f"folder-{letter}/" for letter in "abcd"[:FOLDERS])
    return Tests(ood=("blobs", "gaussian-noise", "uniform-noise", "rademacher-noise", *folders))


def plain_pass(run: RunDir, root: Path, tests: Tests) -> Callable[[], int]:
    """One pass of every image that an evaluation looks at; nothing is made of the logits. Returns images a call."""
    config = with_tests(run.config(), tests)
    net = fresh(config)
    sets, ids = load_evaluation(config, root), load_id(config, root)
    sources = [sets.test, *(ood.images for ood in sets.ood), ids.train, ids.validation]

    @torch.inference_mode()
    def one() -> int:
        for source in sources:
            for x, _ in eval_batches(source, sets.benchmark, EVAL_BATCH, CPU):
                net(channels_last(x))
        return sum(map(len, sources))

    return one


def whole(run: RunDir, root: Path, tests: Tests) -> Callable[[], int]:
    """The evaluation, from nothing."""

    def one() -> int:
        shutil.rmtree(run.eval)
        run.eval.mkdir()
        for file in run.checkpoints.glob("*.thresholds.json"):
            file.unlink()
        done = evaluate(run, checkpoint_name="last", scores=SCORES, root=root, tests=tests, keep_outputs=True)
        assert len(done.paths) == len(SCORES), done.problems
        return len(done.paths)

    return one


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def random_outputs(net: Net, count: int, seed: int) -> tuple[Outputs, Tensor]:
    """Outputs of images there are none of: rectified normal features around class means, and labels."""
    chance = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % net.head.out_features
    means = torch.randn(net.head.out_features, net.feature_dim, generator=torch.Generator().manual_seed(0))
    features = (means[labels] + torch.randn(count, net.feature_dim, generator=chance)).relu()
    return Outputs(features @ means.T, features), labels


def alone(net: Net, network_s: float) -> None:
    """Print what each score costs by itself."""
    training = random_outputs(net, FITTED, 1)
    material = Material(net, lambda: training, None)
    many, few = random_outputs(net, SCORED, 2)[0], random_outputs(net, OPENMAX, 2)[0]
    print(f"{'score':<14}{'fit s':>8}{'score s':>9}{'share of the pass':>19}")
    for name in (name for name in DETECTORS if name not in {"odin", "she"}):
        begun = time.perf_counter()
        score = fit_score(name, material)
        fitted = time.perf_counter() - begun
        took = seconds(partial(score, many)) if name != "openmax" else seconds(partial(score, few)) * SCORED / OPENMAX
        print(f"{name:<14}{fitted:>8.2f}{took:>9.2f}{(fitted + took) / network_s:>18.1%}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        run, tests = make_run(root / "runs"), make_sets(root)
        sides = {"one pass": plain_pass(run, root, tests), "12 scores on 8 sets": whole(run, root, tests)}
        images = sides["one pass"]()
        sides["12 scores on 8 sets"]()  # the folders' images are converted
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(repeats):
            for name, side in sides.items():
                times[name].append(seconds(side))
        net = fresh(run.config())
    middle = {name: statistics.median(each) for name, each in times.items()}
    print(
        f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads; {MODEL}; {repeats} rounds"
    )
    print(f"{images} images on digits{'':<4}{'seconds':>9}{'least':>8}{'most':>8}{'ratio':>8}")
    for name, each in times.items():
        ratio = middle[name] / middle["one pass"]
        print(f"{name:<25}{middle[name]:>9.2f}{min(each):>8.2f}{max(each):>8.2f}{ratio:>7.2f}x")
    network_s = middle["one pass"] / images * (FITTED + SCORED)
    print(f"\nat CIFAR-10's sizes, {FITTED:,} fitted and {SCORED:,} scored; the pass would take {network_s:.0f} s here")
    alone(net, network_s)


if __name__ == "__main__":
    main()
