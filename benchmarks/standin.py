"""What stands for CIFAR-10 and its outliers: random images of the same shape, and configurations that name them."""

from typing import Any

import numpy as np

from goe.core.config import RunConfig, complete
from goe.data.catalog import Benchmark, TrainingSets
from goe.data.cifar import MEAN, STD
from goe.data.outliers import OutlierSet
from goe.data.source import ArraySource

CLASSES = 10


def config_of(**keys: Any) -> RunConfig:
    """G-OE with WRN-40-2 on CIFAR-10, but for `keys`, underscores for dashes."""
    raw = {"experiment": "bench", "seed": 1, "dataset": "cifar10", "outliers": {"source": "random-300k"}}
    problems: list[str] = []
    raw |= {key.replace("_", "-"): value for key, value in keys.items()}
    config = complete(raw, lambda path, finding: problems.append(f"{'.'.join(path)}: {finding}"))
    assert config is not None, problems
    return config


def training_sets(count: int, outliers: int, validation: int = 0) -> TrainingSets:
    """So many random images of 10 classes, and so many outliers."""
    benchmark = Benchmark("cifar10", "default", tuple("0123456789"), MEAN, STD)
    stream = OutlierSet(ArraySource.ood("outliers", images(outliers, 1)), is_id=None) if outliers else None
    return TrainingSets(benchmark, id_set("train", count, 0), id_set("validation", max(validation, 2), 2), stream)


def id_set(name: str, count: int, seed: int) -> ArraySource:
    """Random images with every class by turns."""
    return ArraySource(name, images(count, seed), np.arange(count) % CLASSES)


def images(count: int, seed: int) -> np.ndarray:
    """(count, 32, 32, 3) uint8"""
    return np.random.default_rng(seed).integers(256, size=(count, 32, 32, 3), dtype=np.uint8)
