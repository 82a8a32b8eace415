"""What 12 scores on 8 test sets cost beside one pass of the images through the network.

First the whole of `evaluate` on digits with WRN-40-2 (random weights; 8 OOD test sets; logits and features kept as
`goe eval` does), against a plain pass over the same images: the test sets, the validation images that thresholds are
taken on, and the training images that detectors are fitted on.

Then each score alone at CIFAR-10's sizes, on random features: fitted on 45,000 images, scoring 125,658 (the ID test
set, SC-OOD's six sets, two synthetic ones), as a share of the time the network needs for all of them at the measured
rate. OpenMax is timed on fewer and multiplied: it goes image by image.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import Report, arguments
from PIL import Image
from tables import Row, Table
from torch import Tensor
from torch.optim import SGD

from goe import checkpoint
from goe.core.config import RunConfig, Tests, complete, with_tests
from goe.core.rundir import RunDir
from goe.core.scorespecs import DETECTORS
from goe.data.catalog import load_evaluation, load_id
from goe.data.loader import eval_batches
from goe.evaluate import evaluate
from goe.methods.baseline import Baseline
from goe.models import build_model
from goe.models.base import Net
from goe.outputs import EVAL_BATCH, channels_last
from goe.scores import Outputs
from goe.scoring import Material, fit_score

MODEL = "wrn-40-2"
SCORES = ("msp", "max-logit", "energy", "entropy", "margin", "gen", "mahalanobis", "knn", "vim", "react", "ash", "dice")
FOLDERS, IN_FOLDER = 4, 500
FITTED = 45_000
SCORED = 10_000 + (10_000 + 5640 + 26_032 + 8793 + 9998 + 35_195) + 2 * 10_000
OPENMAX = 2_000
QUICK_MODEL, QUICK_SHARE = "wrn-10-1", 20
CPU = torch.device("cpu")


def make_run(folder: Path, model: str) -> RunDir:
    """A run with a checkpoint of random weights."""
    raw = {"experiment": "bench", "seed": 1, "method": "baseline", "model": model, "device": "cpu", "evaluate": "last"}
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


def alone(report: Report, net: Net, image_s: float, fitted_on: int, scored: int) -> None:
    """What each score costs by itself, as a share of a pass at `image_s` seconds an image."""
    network_s = image_s * (fitted_on + scored)
    training = random_outputs(net, fitted_on, 1)
    material = Material(net, lambda: training, None)
    many, few = random_outputs(net, scored, 2)[0], random_outputs(net, OPENMAX, 2)[0]
    rows = []
    for name in (name for name in DETECTORS if name not in {"odin", "she"}):
        begun = time.perf_counter()
        score = fit_score(name, material)
        fitted = time.perf_counter() - begun
        took = seconds(partial(score, many)) if name != "openmax" else seconds(partial(score, few)) * scored / OPENMAX
        share = f"{(fitted + took) / network_s:.1%} of the pass, {fitted:.2f} s of it to fit"
        rows.append(Row(name, (fitted + took,), share))
    title = f"Each score alone, {fitted_on:,} images fitted and {scored:,} scored; the pass takes {network_s:.0f} s"
    report.add(Table(title, "s", tuple(rows)))


def main() -> None:
    options = arguments(__doc__, rounds=3).parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder, Report(__file__, options) as report:
        root = Path(folder)
        model, share = (QUICK_MODEL, QUICK_SHARE) if options.quick else (MODEL, 1)
        run, tests = make_run(root / "runs", model), make_sets(root)
        one, twelve = plain_pass(run, root, tests), whole(run, root, tests)
        images = one()

        def pass_alone() -> None:
            one()

        def with_scores() -> None:
            twelve()

        sides = {"one pass": pass_alone, f"{len(SCORES)} scores on 8 sets": with_scores}
        found = report.compare(f"{images} images on digits, {model}", sides, unit="s", baseline="one pass")
        alone(report, fresh(run.config()), found.rows[0].middle / images, FITTED // share, SCORED // share)


if __name__ == "__main__":
    main()
