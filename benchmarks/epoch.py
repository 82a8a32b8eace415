"""An epoch from images to updated weights: the authors' loop and loaders, and goe's.

    python benchmarks/epoch.py [--device cuda] [--models wrn-40-2] [--images 11250]

Batches of 128 ID images and 256 outliers on a GPU, of 32 and 64 on a CPU. goe's side is its own training loop with all
its records; the authors' reads loss and accuracy back at every step. Both train the same network on the same images.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from harness import Report, arguments, finish
from plain import id_loader, outlier_loader, plain_epoch, plain_optimiser
from standin import CLASSES, config_of, images, trainer, training_sets
from tables import Table

from goe.compiling import compile_net
from goe.core import specs
from goe.core.config import RunConfig
from goe.device import Compute
from goe.models import build_model
from goe.train import Clock, Trainer

SIZES = {"cuda": (128, 256), "cpu": (32, 64)}
WORKERS = {"cuda": (4, 8), "cpu": (2,)}
TRAINED = {"cuda": 11_250, "cpu": 128}
WHOLE = 45_000
"""ID images of CIFAR-10's epoch."""


def plain(config: RunConfig, device: torch.device, count: int, workers: int) -> Callable[[], int]:
    """The authors' epoch."""
    size, outliers, spec = config.batch_size, config.outlier_batch_size, config.method
    assert isinstance(spec, specs.GOE)
    steps = -(-count // size)
    loaders = (
        id_loader(images(count, 0), np.arange(count) % CLASSES, size, workers),
        outlier_loader(images(steps * outliers, 1), outliers, workers),
    )
    torch.manual_seed(1)
    net = build_model(config.model, num_classes=CLASSES, dropout=config.dropout).to(device).train()
    optimiser, rng = plain_optimiser(net), np.random.default_rng(0)

    def run() -> int:
        Compute(device, "float32").apply()
        torch.backends.cudnn.benchmark = True
        trained = plain_epoch(net, optimiser, loaders, rng, spec)
        finish(device)
        return trained

    return run


def ours(loop: Trainer, *, compiled: bool) -> Callable[[], int]:
    """Goe's epoch."""
    if compiled:
        compile_net(loop.net, loop.device, print)
    clock = Clock(done=0, total=loop.config.epochs * loop.data.steps_per_epoch)

    def run() -> int:
        loop.compute.apply()
        torch.backends.cudnn.benchmark = False
        loop._train_epoch(clock)  # noqa: SLF001 - the part of a run that is measured
        loop.epoch += 1
        finish(loop.device)
        return len(loop.data.labels) + loop.data.steps_per_epoch * loop.config.outlier_batch_size

    return run


def compare(report: Report, model: str, device: torch.device, count: int) -> None:
    """One model's table."""
    size, outliers = SIZES[device.type]
    keys = {"model": model, "batch_size": size, "outlier_batch_size": outliers, "device": device.type}
    steps = -(-count // size)
    title = f"An epoch of {count:,} ID images with {model} on the {device.type.upper()}, batches of {size} + {outliers}"
    sides = {
        f"plain, {workers} workers": plain(config_of(**keys), device, count, workers)
        for workers in WORKERS[device.type]
    }
    with tempfile.TemporaryDirectory() as folder:
        sets = training_sets(count, steps * outliers)
        with (
            trainer(config_of(experiment="eager", **keys), sets, Path(folder)) as loop,
            trainer(config_of(experiment="compiled", **keys), sets, Path(folder)) as other,
        ):
            sides["goe"] = ours(loop, compiled=False)
            if device.type == "cuda":
                sides["goe, compiled"] = ours(other, compiled=True)
            found = report.compare(title, sides, unit="images/s", baseline=next(iter(sides)))
    say_whole(report, model, found, outliers / size)


def say_whole(report: Report, model: str, found: Table, beside: float) -> None:
    """What CIFAR-10's 200 epochs of these would take."""
    report.title(f"200 epochs of {WHOLE:,} ID images with {model} at these rates, training alone")
    for row in found.rows:
        hours = 200 * WHOLE * (1 + beside) / row.middle / 3600
        report.say(row.name, f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.0f} minutes")


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=SIZES, default=default)
    parser.add_argument("--models", nargs="+", default=["wrn-40-2"])
    parser.add_argument("--images", type=int, help="ID images; default: a quarter of an epoch on a GPU, 128 on a CPU")
    options = parser.parse_args()
    count = options.images or (64 if options.quick else TRAINED[options.device])
    with Report(__file__, options) as report:
        for model in options.models:
            compare(report, model, torch.device(options.device), count)


if __name__ == "__main__":
    main()
