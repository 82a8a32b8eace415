"""Images/s of training batches: against the authors' loaders on the CPU, against what training takes on a GPU.

    python benchmarks/data.py [--images 25600] [--device cuda]

Both sides crop (padding 4), flip, scale and normalise the same uint8 images to float32 batches: first of 128 ID images,
then with 256 outliers beside them. The authors' DataLoaders are compared by their best number of workers, goe uses one
process.

The last part, left out without a GPU, feeds G-OE's batches of 45,000 ID images and 90,000 outliers on the device, and
trains WRN-40-2 by G-OE on a batch that is there already, in the precision that a run would choose.
"""

import itertools
import warnings
from collections.abc import Callable, Iterable

import numpy as np
import torch
from harness import Report, arguments, finish, measure, rows
from plain import id_loader, outlier_loader
from standin import CLASSES, config_of, fresh, images, training_sets
from step import STEPS, Side, ways
from tables import Table

from goe.data.loader import TrainData
from goe.methods import Batch

BATCH, OUTLIERS = 128, 256
WORKERS = (0, 2, 4)
TRAINED = 45_000
"""ID images of an epoch; there are twice as many outliers."""


def sides(count: int, method: str) -> dict[str, Callable[[], int]]:
    """An epoch of batches by either pipeline, of `count` ID images and as many outliers as belong to them."""
    config = config_of(method=method)
    sets = training_sets(count, 2 * count if method != "baseline" else 0)

    def plain(workers: int) -> Callable[[], int]:
        loader = id_loader(images(count, 0), np.arange(count) % CLASSES, BATCH, workers)
        if sets.outliers is None:
            return lambda: sum(len(x) for x, _ in loader)
        beside = outlier_loader(images(2 * count, 1), OUTLIERS, workers)
        return lambda: sum(len(x) + len(x_out) for (x, _), (x_out, _) in zip(loader, beside, strict=True))

    stream = TrainData(sets, config, torch.device("cpu"))
    found = {f"DataLoader, {workers} workers": plain(workers) for workers in WORKERS}
    return found | {"goe, one process": lambda: images_of(stream.epoch(0))}


def images_of(batches: Iterable[Batch]) -> int:
    """How many images all of them have."""
    return sum(len(batch.x) + len(batch.x_out) for batch in batches)


def against_loaders(report: Report, title: str, count: int, method: str) -> None:
    """A table beside the best DataLoader."""
    found = rows(measure(sides(count, method), report.rounds), "images/s")
    best = max((row for row in found if row.name.startswith("DataLoader")), key=lambda row: row.middle)
    report.add(Table(title, "images/s", found, best.name, more_is_better=True))


def against_training(report: Report, device: torch.device, count: int) -> None:
    """An epoch of batches that nobody uses, and training steps on a batch that is there."""
    config = config_of(device=device.type)
    sets = training_sets(count, 2 * count)
    data = TrainData(sets, config, device)
    batch = next(iter(data.epoch(0)))
    *_, everything = ways(config.model, device, compiled=False)
    steps, epochs = Side(everything, fresh(config.model, batch, dropout=True), batch), itertools.count()

    def feed() -> int:
        fed = images_of(data.epoch(next(epochs)))
        finish(device)
        return fed

    def train() -> int:
        return steps() * images_of([batch])

    training = "WRN-40-2 trained by G-OE"
    title = f"Feeding {device.type} and training on it, {count:,} ID images, batches of {BATCH} + {OUTLIERS}"
    report.compare(title, {training: train, "goe's batches": feed}, unit="images/s", baseline=training)


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--images", type=int, help="ID images (default: 25,600; 1,280 with --quick)")
    parser.add_argument("--device", choices=STEPS, default="cuda", help="of the last part; cpu only to try it out")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", "This DataLoader will create")  # more workers than cores: that is measured
    count = options.images or (1_280 if options.quick else 25_600)
    with Report(__file__, options) as report:
        against_loaders(report, f"Batches of {BATCH}, {count:,} ID images", count, "baseline")
        against_loaders(report, f"Batches of {BATCH} + {OUTLIERS}, {count:,} ID images", count, "goe")
        if options.device == "cuda" and not torch.cuda.is_available():
            report.title("Feeding a GPU and training on it")
            report.say("not measured", "no GPU")
        else:
            against_training(report, torch.device(options.device), count if options.quick else TRAINED)


if __name__ == "__main__":
    main()
