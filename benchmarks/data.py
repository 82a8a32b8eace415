"""Images/s of training batches against a torchvision/PIL DataLoader, on the CPU.

    python benchmarks/data.py [--rounds 5] [--images 25600]

Both crop (padding 4), flip, scale and normalise the same uint8 images to float32 batches of 128. The DataLoader, the
pipeline of the authors of Outlier Exposure and G-OE, is given its best number of workers; goe uses one process. Rounds
are interleaved; the medians' ratio is what counts.
"""

import argparse
import platform
import time
from collections.abc import Callable
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
from goe.data.source import ArraySource

BATCH = 128
WORKERS = (0, 2, 4)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=25_600)
    options = parser.parse_args()
    data = np.random.default_rng(0).integers(256, size=(options.images, 32, 32, 3), dtype=np.uint8)
    pipelines = {f"DataLoader, {workers} workers": torchvision_loader(data, workers) for workers in WORKERS}
    pipelines["goe, one process"] = ours(data)
    for run in pipelines.values():
        run()  # workers started, caches warm
    speeds: dict[str, list[float]] = {name: [] for name in pipelines}
    for _ in range(options.rounds):
        for name, run in pipelines.items():
            begin = time.perf_counter()
            count = run()
            speeds[name].append(count / (time.perf_counter() - begin))
    best = max(median(speeds[name]) for name in pipelines if name.startswith("DataLoader"))
    versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}, {torch.get_num_threads()} threads"
    print(
        f"{platform.processor() or platform.machine()}, {versions}; {options.rounds} rounds of {options.images} images"
    )
    print(f"{'pipeline':<24}{'images/s':>10}{'least':>9}{'most':>9}{'of best DataLoader':>20}")
    for name, found in speeds.items():
        ratio = median(found) / best
        print(f"{name:<24}{median(found):>10,.0f}{min(found):>9,.0f}{max(found):>9,.0f}{ratio:>19.2f}x")


if __name__ == "__main__":
    main()
