"""The benchmarks: which sets a run is trained on, and which it is tested on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from goe.core.config import DatasetName, RunConfig
from goe.core.specs import Baseline
from goe.data import builtin, cifar, spiral, synthetic
from goe.data.outliers import OutlierSet, contaminate, random_300k
from goe.data.source import ArraySource, ImageSet, Source

OODKind: TypeAlias = Literal["near", "far", "synthetic"]
ChannelStats: TypeAlias = tuple[float, float, float]

DIGITS_MEAN: ChannelStats = (0.5, 0.5, 0.5)
"""Constants and not the digits' own statistics, so that photographs are normalised as sensibly (as SC-OOD's tests)."""
DIGITS_STD: ChannelStats = (0.25, 0.25, 0.25)

SYNTHETIC_IMAGES: dict[DatasetName, int] = {"digits": 1000, "spiral": 0, "cifar10": 10_000, "cifar100": 10_000}
"""Images of each synthetic OOD set: about as many as in the other OOD sets."""

_OTHER_CIFAR: dict[DatasetName, DatasetName] = {"cifar10": "cifar100", "cifar100": "cifar10"}


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What is the same for all runs on an ID data set."""

    name: DatasetName
    protocol: str
    """Names the choice of OOD test sets; recorded with each result."""
    class_names: tuple[str, ...]
    mean: ChannelStats
    """Per channel, of pixels in [0, 1]; for ID, outliers and all test sets that are not synthetic."""
    std: ChannelStats

    @property
    def num_classes(self) -> int:
        """Number of ID classes, K."""
        return len(self.class_names)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSets:
    """What training needs, and no test set."""

    benchmark: Benchmark
    train: ImageSet
    validation: ImageSet
    outliers: OutlierSet | None
    """None for a method without outliers."""


@dataclass(frozen=True, slots=True, eq=False)
class OODSet:
    """One OOD test set and how it relates to the ID data."""

    kind: OODKind
    images: ImageSet

    @property
    def name(self) -> str:
        """The set's name in results."""
        return self.images.name


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationSets:
    """What evaluation needs."""

    benchmark: Benchmark
    test: ImageSet
    ood: tuple[OODSet, ...]
    """In the order of result tables."""
    missing: Mapping[str, str]
    """OOD test sets of the protocol that are not on this machine, each with what to do about it."""


def load_training(config: RunConfig, root: Path) -> TrainingSets:
    """Training and validation sets of `config.dataset`, and outliers if the method uses any.

    `root` is the folder with the downloaded data sets; digits need none. DataError if something is missing.
    """
    if config.dataset == "digits":
        digits = builtin.digit_splits()
        return TrainingSets(_digits(), digits.train, digits.validation, _outliers(config, root, digits.pool))
    if config.dataset == "spiral":
        points = spiral.splits()
        return TrainingSets(_spiral(), points.train, points.validation, _outliers(config, root, None))
    # The pool comes off the training set for every method, so that methods compare on the same ID images.
    parts = cifar.training(config.dataset, root, with_pool=config.outliers.contamination > 0)
    benchmark = _cifar(config.dataset, parts.class_names)
    return TrainingSets(benchmark, parts.train, parts.validation, _outliers(config, root, parts.pool))


def load_evaluation(config: RunConfig, root: Path) -> EvaluationSets:
    """The ID test set of `config.dataset` and its OOD test sets.

    DataError if the ID test set is missing or any set is damaged; a missing OOD test set is only noted.
    """
    if config.dataset == "digits":
        digits = builtin.digit_splits()
        flower = builtin.image_patches("flower.jpg", 1000, builtin.FLOWER_SEED)
        ood = (OODSet("near", digits.near), OODSet("far", flower), *_synthetic(config.dataset))
        return EvaluationSets(_digits(), digits.test, ood, missing={})
    if config.dataset == "spiral":
        beyond = (OODSet("far", spiral.far()), OODSet("near", spiral.gaps()))
        return EvaluationSets(_spiral(), spiral.splits().test, beyond, missing={})
    test, class_names = cifar.test(config.dataset, root)
    benchmark = _cifar(config.dataset, class_names)
    other = _OTHER_CIFAR[config.dataset]
    if not cifar.present(other, root):
        remedy = f"fetch it with `goe data fetch {other}`"
        return EvaluationSets(benchmark, test, _synthetic(config.dataset), missing={other: remedy})
    near = OODSet("near", ArraySource.ood(other, cifar.test(other, root)[0].data))
    return EvaluationSets(benchmark, test, (near, *_synthetic(config.dataset)), missing={})


def _digits() -> Benchmark:
    class_names = tuple(str(digit) for digit in range(builtin.NUM_CLASSES))
    return Benchmark("digits", "digits", class_names, DIGITS_MEAN, DIGITS_STD)


def _spiral() -> Benchmark:
    return Benchmark("spiral", "spiral", ("0", "1"), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def _cifar(name: DatasetName, class_names: tuple[str, ...]) -> Benchmark:
    return Benchmark(name, "scood", class_names, cifar.MEAN, cifar.STD)


def _synthetic(dataset: DatasetName) -> tuple[OODSet, OODSet]:
    count = SYNTHETIC_IMAGES[dataset]
    return OODSet("synthetic", synthetic.blobs(count)), OODSet("synthetic", synthetic.gaussian_noise(count))


def _outliers(config: RunConfig, root: Path, pool: Source | None) -> OutlierSet | None:
    """The configured outliers, contaminated from `pool`, which is there whenever the contamination is above 0."""
    if isinstance(config.method, Baseline):
        return None
    wanted = config.outliers
    match wanted.source:
        case "china":
            patches = builtin.image_patches("china.jpg", wanted.size, builtin.CHINA_SEED)
            clean = OutlierSet(patches, is_id=np.zeros(len(patches), dtype=np.bool_))
        case "square":
            clean = OutlierSet(*spiral.outliers(wanted.size))
        case "random-300k":
            clean = OutlierSet(random_300k(root), is_id=None)
    return clean if pool is None else contaminate(clean, pool, wanted.contamination)
