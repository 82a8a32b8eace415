"""The benchmarks: which sets a run is trained on, and which it is tested on."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
import numpy as np

from goe.core.config import RunConfig
from goe.core.dataspecs import ALL, OOD_SETS
from goe.core.errors import DataError, MissingError
from goe.core.specs import Baseline
from goe.data import builtin, cifar, spiral
from goe.data.bundles import OTHER_CIFAR
from goe.data.files import ImageFiles, Say, class_names
from goe.data.ood import OODSet, named, openood, openood_id, scood, synthetic_sets
from goe.data.outliers import OutlierSet, contaminate, outlier_source
from goe.data.source import ArraySource, ImageSet, Source
from goe.data.splits import HELD_OUT, hold_out, read_index

ChannelStats: TypeAlias = tuple[float, float, float]

DIGITS_MEAN: ChannelStats = (0.5, 0.5, 0.5)
"""Constants and not the digits' own statistics, so that photographs are normalised as sensibly (as SC-OOD's tests)."""
DIGITS_STD: ChannelStats = (0.25, 0.25, 0.25)

SYNTHETIC_IMAGES = 10_000
"""Images of each synthetic OOD set: as many as in CIFAR's test sets."""
DIGITS_SYNTHETIC = 1000
_STATISTICS = 10_000
"""Images of one's own, at least, that mean and standard deviation are taken from."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What is the same for all runs on an ID data set."""

    name: str
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
class IDSets:
    """The ID images that may be trained on, parted."""

    benchmark: Benchmark
    train: ImageSet
    validation: ImageSet
    pool: Source | None
    """What contaminates the outliers; None where nothing does."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSets:
    """What training needs, and no test set."""

    benchmark: Benchmark
    train: ImageSet
    validation: ImageSet
    outliers: OutlierSet | None
    """None for a method without outliers."""


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationSets:
    """What evaluation needs."""

    benchmark: Benchmark
    test: ImageSet
    ood: tuple[OODSet, ...]
    """In the order of result tables."""
    missing: Mapping[str, str]
    """OOD test sets of the protocol that are not on this machine, each with what to do about it."""


def load_training(config: RunConfig, root: Path, say: Say = lambda _: None) -> TrainingSets:
    """Training and validation sets of `config.dataset`, and outliers if the method uses any.

    `root` is the folder with the downloaded data sets; digits need none. `say` gets a line on what a reader of the log
    should know. DataError if something is missing.
    """
    sets = load_id(config, root, say)
    outliers = _outliers(config, ImageFiles(root, config.skip_broken, say), sets.pool)
    return TrainingSets(sets.benchmark, sets.train, sets.validation, outliers)


def load_id(config: RunConfig, root: Path, say: Say = lambda _: None) -> IDSets:
    """`load_training` without the outliers."""
    if config.dataset == "spiral":
        points = spiral.splits()
        return IDSets(_spiral(), points.train, points.validation, None)
    if config.dataset == "digits":
        digits = builtin.digit_splits()
        return IDSets(_digits(), digits.train, digits.validation, digits.pool)
    # The pool comes off the training set for every method, so that methods compare on the same ID images.
    images, names = _id_images(config, ImageFiles(root, config.skip_broken, say), "train")
    with_pool = config.outliers.contamination > 0
    index = read_index(root / config.val_index, len(images)) if config.val_index else None
    parts = hold_out(images, with_pool=with_pool, validation=index, count=HELD_OUT if config.id is None else None)
    return IDSets(_benchmark(config, names, images), parts.train, parts.validation, parts.pool)


def load_evaluation(config: RunConfig, root: Path, say: Say = lambda _: None) -> EvaluationSets:
    """The ID test set of `config.dataset` and the OOD test sets of its protocol.

    DataError if the ID test set is missing, any set is damaged, or one that was asked for is missing; one of the
    default protocol's is only noted.
    """
    files = ImageFiles(root, config.skip_broken, say)
    benchmark, test = _test_images(config, files)
    sets, missing = _ood_sets(config, files)
    names = [benchmark.name, *(each.name for each in sets)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"ood: two test sets are called {', '.join(twice)}; give their folders or lists other names")
    for each in sets:
        if each.with_id is not None and each.with_id.targets.max() >= benchmark.num_classes:
            found = f"{each.name}: its list has an sc_label of {each.with_id.targets.max()}"
            labels = f"{benchmark.name} has the classes 0 to {benchmark.num_classes - 1}"
            raise DataError(f'{found}, and {labels}; is it of another ID set? ood-mode = "drop" asks for no class')
    return EvaluationSets(benchmark, test, sets, missing)


def benchmark_of(config: RunConfig, files: ImageFiles) -> Benchmark:
    """The benchmark of a run without its test sets; only for ID images of one's own are images read, those of training.

    Raises DataError if these are missing.
    """
    if config.dataset == "spiral":
        return _spiral()
    if config.dataset == "digits":
        return replace(_digits(), protocol=_protocol(config)) if config.ood else _digits()
    if config.id is None:
        return Benchmark(config.dataset, _protocol(config), cifar.CLASS_NAMES[config.dataset], cifar.MEAN, cifar.STD)
    images, names = _id_images(config, files, "train")
    return _benchmark(config, names, images)


def _test_images(config: RunConfig, files: ImageFiles) -> tuple[Benchmark, ImageSet]:
    if config.dataset == "spiral":
        return benchmark_of(config, files), spiral.splits().test
    if config.dataset == "digits":
        return benchmark_of(config, files), builtin.digit_splits().test
    if config.protocol == "openood":
        return benchmark_of(config, files), openood_id(config, files)
    test, names = _id_images(config, files, "test")
    # Normalised by the training images, whose statistics the network knows.
    train = _id_images(config, files, "train")[0] if config.id is not None else test
    return _benchmark(config, names, train), test


def _ood_sets(config: RunConfig, files: ImageFiles) -> tuple[tuple[OODSet, ...], Mapping[str, str]]:
    """The OOD test sets of a protocol, and what to do about those of the default one that are not there."""
    if config.dataset == "spiral":
        return (OODSet("far", spiral.far()), OODSet("near", spiral.gaps())), {}
    if config.ood == (ALL,):
        return _all_sets(config, files)
    if config.ood:
        return tuple(named(name, config, files, _synthetic(config)) for name in config.ood), {}
    if config.protocol == "openood":
        return openood(config, files), {}
    if config.protocol in {"scood", "goe2024"}:
        return (*scood(config, files), *synthetic_sets(SYNTHETIC_IMAGES)), {}
    if config.dataset == "digits":
        flower = builtin.image_patches("flower.jpg", 1000, builtin.FLOWER_SEED)
        digits = OODSet("near", builtin.digit_splits().near)
        return (digits, OODSet("far", flower), *synthetic_sets(_synthetic(config))), {}
    other = OTHER_CIFAR.get(config.dataset)
    if other is not None and not cifar.present(other, files.root):
        return synthetic_sets(SYNTHETIC_IMAGES), {other: f"fetch it with `goe data fetch {other}`"}
    near = () if other is None else (named(other, config, files, SYNTHETIC_IMAGES),)
    return (*near, *synthetic_sets(SYNTHETIC_IMAGES)), {}


def _all_sets(config: RunConfig, files: ImageFiles) -> tuple[tuple[OODSet, ...], Mapping[str, str]]:
    """The default sets and every other known one, and what to do about those that are not there."""
    sets, absent = _ood_sets(msgspec.structs.replace(config, ood=()), files)
    found, missing_sets = list(sets), dict(absent)
    known = {config.dataset, *absent, *(each.name for each in sets)}
    if config.dataset == "digits":
        known.add("mnist")  # it shows the ID classes
    for name in OOD_SETS:
        if name in known:
            continue
        try:
            found.append(named(name, config, files, _synthetic(config)))
        except MissingError as error:
            missing_sets[name] = str(error)
    return tuple(found), missing_sets


def _synthetic(config: RunConfig) -> int:
    """Images of each synthetic OOD set."""
    return DIGITS_SYNTHETIC if config.dataset == "digits" else SYNTHETIC_IMAGES


def _id_images(
    config: RunConfig, files: ImageFiles, part: Literal["train", "test"]
) -> tuple[ArraySource, tuple[str, ...]]:
    """All ID images of a part, and the class names."""
    if config.id is None:
        return (cifar.training if part == "train" else cifar.test)(config.dataset, files.root)
    path = config.id.train if part == "train" else config.id.test
    listed, folders = files.find(path, config.id.images)
    # A test list may lack a class; the training list says which there are.
    known, known_folders = (listed, folders) if part == "train" else files.find(config.id.train, config.id.images)
    names = class_names(known.labels, known_folders, known.path)
    if folders != known_folders or listed.labels.max() >= len(names) or listed.labels.min() < 0:
        found = f"labels {listed.labels.min()} to {listed.labels.max()}"
        raise DataError(f"{listed.path}: {found}; {known.path} has the classes {', '.join(names[:8])}")
    name = f"{config.dataset}-{part}" if part == "train" else config.dataset
    return files.load(listed, name), names


def _digits() -> Benchmark:
    class_names = tuple(str(digit) for digit in range(builtin.NUM_CLASSES))
    return Benchmark("digits", "digits", class_names, DIGITS_MEAN, DIGITS_STD)


def _spiral() -> Benchmark:
    return Benchmark("spiral", "spiral", ("0", "1"), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def _benchmark(config: RunConfig, names: tuple[str, ...], images: ArraySource) -> Benchmark:
    if config.id is None:
        return Benchmark(config.dataset, _protocol(config), names, cifar.MEAN, cifar.STD)
    sample = images.data[:: max(1, len(images) // _STATISTICS)].reshape(-1, 3) / 255
    mean, std = sample.mean(axis=0), np.maximum(sample.std(axis=0), 1 / 255)
    return Benchmark(config.dataset, _protocol(config), names, (*mean.tolist(),), (*std.tolist(),))


def _protocol(config: RunConfig) -> str:
    """The protocol's name in results; sets of one's own choice are told apart by a digest of their names."""
    if config.ood == (ALL,):
        return ALL
    mode = "" if config.ood_mode == "drop" else f"-{config.ood_mode}"
    if config.ood:
        return f"own-{hashlib.sha256(' '.join(config.ood).encode()).hexdigest()[:8]}{mode}"
    return f"{config.protocol}{mode}"


def _outliers(config: RunConfig, files: ImageFiles, pool: Source | None) -> OutlierSet | None:
    """The configured outliers, contaminated from `pool`, which is there whenever the contamination is above 0."""
    if isinstance(config.method, Baseline):
        return None
    clean = outlier_source(config, files)
    return clean if pool is None else contaminate(clean, pool, config.outliers.contamination)
