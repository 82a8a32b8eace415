"""Images/s of training batches: against a torchvision/PIL DataLoader on the CPU, against what training takes on a GPU.

    python benchmarks/data.py [--rounds 5] [--images 25600] [--device cuda]

Both crop (padding 4), flip, scale and normalise the same uint8 images to float32 batches of 128. The DataLoader, the
pipeline of the authors of Outlier Exposure and G-OE, is given its best number of workers; goe uses one process. Rounds
are interleaved; the medians' ratio is what counts.

The second part, left out without a GPU, feeds G-OE's batches (128 ID images, 256 outliers) of 45,000 ID images and
90,000 outliers on the device, and trains WRN-40-2 by G-OE on batches that are there already, in the precision that a
run would choose.
"""

import argparse
import itertools
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import numpy as np
import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from goe.core.config import complete
from goe.data.catalog import Benchmark, TrainingSets
from goe.data.cifar import MEAN, STD
from goe.data.loader import TrainData
from goe.data.outliers import OutlierSet
from goe.data.source import ArraySource
from goe.device import pick_compute
from goe.methods import build_method
from goe.models import build_model
from goe.train import make_optimiser

BATCH = 128
WORKERS = (0, 2, 4)
TRAINED = 45_000
"""ID images of an epoch; there are twice as many outliers."""
HELD = 8
"""Batches that training steps share."""
STEPS = {"cuda": 100, "cpu": 1}
"""Training steps a round."""


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """CIFAR as torchvision serves it: an array turned into a PIL image, transformed, one at a time."""

    def __init__(self, data: np.ndarray) -> None:
        self.data = data
        crop = transforms.RandomCrop(32, padding=4)
        flip, scale = transforms.RandomHorizontalFlip(), transforms.ToTensor()
        self.transform = transforms.Compose([crop, flip, scale, transforms.Normalize(MEAN, STD)])

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.data[index])), 0


def torchvision_loader(data: np.ndarray, workers: int) -> Callable[[], int]:
    loader = DataLoader(
        Pictures(data), BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0, drop_last=True
    )
    return lambda: sum(len(x) for x, _ in loader)


def ours(data: np.ndarray) -> Callable[[], int]:
    raw = {"experiment": "x", "seed": 1, "dataset": "cifar10", "method": "baseline"}
    config = complete(raw, print)
    assert config is not None
    source = ArraySource("images", data, np.zeros(len(data), dtype=np.int64))
    benchmark = Benchmark("cifar10", "default", tuple("0123456789"), MEAN, STD)
    stream = TrainData(TrainingSets(benchmark, source, source, None), config, torch.device("cpu"))
    return lambda: sum(len(batch.x) for batch in stream.epoch(0))


def ready_to_train(device: torch.device) -> tuple[Callable[[], int], Callable[[], int]]:
    """An epoch of batches that nobody uses, and training steps on batches that are there. Each returns its images."""
    config = complete({"experiment": "x", "seed": 1, "dataset": "cifar10", "device": device.type}, print)
    assert config is not None
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(TRAINED, 32, 32, 3), dtype=np.uint8)
    source = ArraySource("images", images, np.arange(TRAINED) % 10)
    outliers = OutlierSet(ArraySource.ood("outliers", np.concatenate([images, 255 - images])), is_id=None)
    benchmark = Benchmark("cifar10", "default", tuple("0123456789"), MEAN, STD)
    data = TrainData(TrainingSets(benchmark, source, source, outliers), config, device)
    torch.manual_seed(config.seed)
    net = build_model(config.model, num_classes=10, dropout=config.dropout)
    net = net.to(device).to(memory_format=torch.channels_last).train()
    method = build_method(config.method)
    method.bind(net, data)
    optimiser = make_optimiser(config, [*net.parameters()], device)
    compute = pick_compute(config)
    method.start_epoch(net, data, 0, rng)
    held = list(itertools.islice(data.epoch(0), HELD))
    epochs = itertools.count()

    def feed() -> int:
        return _done(device, sum(len(batch.x) + len(batch.x_out) for batch in data.epoch(next(epochs))))

    def train() -> int:
        for batch in itertools.islice(itertools.cycle(held), STEPS[device.type]):
            with compute.autocast():
                output = method.step(net, batch, rng)
            optimiser.zero_grad(set_to_none=True)
            output.loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return _done(device, STEPS[device.type] * (config.batch_size + config.outlier_batch_size))

    return feed, train


def _done(device: torch.device, images: int) -> int:
    """`images`, once the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return images


def compare_with_training(device: torch.device, rounds: int) -> None:
    """Print feed rate and training rate on `device`."""
    parts = dict(zip(("feed", "WRN-40-2, G-OE"), ready_to_train(device), strict=True))
    speeds = measure(parts, rounds)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    print(f"\n{name}; {rounds} rounds")
    print_speeds(speeds, median(speeds["WRN-40-2, G-OE"]), "of training")


def measure(parts: Mapping[str, Callable[[], int]], rounds: int) -> dict[str, list[float]]:
    """Images/s of each part in each round, rounds interleaved, after one that isn't counted."""
    for run in parts.values():
        run()  # workers started, caches warm
    speeds: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, run in parts.items():
            begin = time.perf_counter()
            count = run()
            speeds[name].append(count / (time.perf_counter() - begin))
    return speeds


def print_speeds(speeds: Mapping[str, Sequence[float]], unit: float, of: str) -> None:
    print(f"{'pipeline':<24}{'images/s':>10}{'least':>9}{'most':>9}{of:>20}")
    for name, found in speeds.items():
        print(f"{name:<24}{median(found):>10,.0f}{min(found):>9,.0f}{max(found):>9,.0f}{median(found) / unit:>19.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=25_600)
    parser.add_argument("--device", choices=STEPS, default="cuda", help="of the second part; cpu only to try it out")
    options = parser.parse_args()
    data = np.random.default_rng(0).integers(256, size=(options.images, 32, 32, 3), dtype=np.uint8)
    pipelines = {f"DataLoader, {workers} workers": torchvision_loader(data, workers) for workers in WORKERS}
    pipelines["goe, one process"] = ours(data)
    speeds = measure(pipelines, options.rounds)
    best = max(median(speeds[name]) for name in pipelines if name.startswith("DataLoader"))
    versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}, {torch.get_num_threads()} threads"
    print(
        f"{platform.processor() or platform.machine()}, {versions}; {options.rounds} rounds of {options.images} images"
    )
    print_speeds(speeds, best, "of best DataLoader")
    if options.device == "cuda" and not torch.cuda.is_available():
        print("\nfeed against training on a GPU: not measured: no GPU")
    else:
        compare_with_training(torch.device(options.device), options.rounds)


if __name__ == "__main__":
    main()
