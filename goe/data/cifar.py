"""CIFAR-10 and CIFAR-100 from torchvision's files, with a seeded validation split taken off the training images."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from goe.core.errors import DataError, did_you_mean
from goe.data.source import ArraySource, Index

NAMES = ("cifar10", "cifar100")
MEAN = (125.3 / 255, 123.0 / 255, 113.9 / 255)
"""Per channel, for both data sets, their outliers and their test sets (Koo et al. 2024, main.py)."""
STD = (63.0 / 255, 62.1 / 255, 66.7 / 255)
HELD_OUT = 5000
"""Images of a hold-out: validation (the authors' number), and the contamination pool where one is needed."""

_SPLIT_SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class CifarTraining:
    """Disjoint parts of a CIFAR training set."""

    train: ArraySource
    """45,000 images, 40,000 where a pool is held out."""
    validation: ArraySource
    pool: ArraySource | None
    """ID images in no other part, for contaminating the outlier stream."""
    class_names: tuple[str, ...]


def training(name: str, root: Path, *, with_pool: bool) -> CifarTraining:
    """Training images of CIFAR under `root`, less 5,000 for validation and, if asked for, 5,000 for the pool.

    The hold-outs depend on no run's seed: all trials validate on the same images. DataError if files are missing.
    """
    files = _load(name, root, train=True)
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(files.data))
    validation, pool, rest = np.split(order, [HELD_OUT, 2 * HELD_OUT])
    rest = rest if with_pool else np.concatenate([pool, rest])
    return CifarTraining(
        train=_part(files, f"{name}-train", np.sort(rest)),
        validation=_part(files, f"{name}-validation", np.sort(validation)),
        pool=_part(files, f"{name}-pool", np.sort(pool)) if with_pool else None,
        class_names=tuple(files.classes),
    )


def test(name: str, root: Path) -> tuple[ArraySource, tuple[str, ...]]:
    """The 10,000 test images of CIFAR under `root`, and the class names. DataError if files are missing."""
    files = _load(name, root, train=False)
    return _part(files, name, np.arange(len(files.data))), tuple(files.classes)


def present(name: str, root: Path) -> bool:
    """Whether `root` has a folder for this CIFAR (its files may still turn out to be damaged)."""
    return _folder(name, root).is_dir()


def fetch(name: str, root: Path) -> Path:
    """Download CIFAR into `root`, unless it is there, and return its folder. DataError if that fails."""
    try:
        _kind(name)(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(f"{name}: could not be fetched into {root}: {error}") from error
    return _folder(name, root)


def _load(name: str, root: Path, *, train: bool) -> Any:
    """The torchvision data set, its checksums verified."""
    if not present(name, root):
        raise DataError(f"{name}: {_folder(name, root)} not found; fetch it with `goe data fetch {name}`")
    with warnings.catch_warnings():
        # The original pickles hold a dtype whose flags are integers, which numpy 2.4 remarks on.
        warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
        try:
            return _kind(name)(str(root), train=train)
        except RuntimeError as error:
            bad = ", ".join(_damaged(name, root)) or str(error)
            remedy = f"delete the folder and fetch it with `goe data fetch {name}`"
            raise DataError(f"{name}: missing or altered in {_folder(name, root)}: {bad}; {remedy}") from error


def _damaged(name: str, root: Path) -> list[str]:
    """Files that are missing or have the wrong checksum."""
    from torchvision.datasets.utils import check_integrity

    kind = _kind(name)
    wanted = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
    return [file for file, md5 in wanted if not check_integrity(str(_folder(name, root) / file), md5)]


def _kind(name: str) -> Any:
    from torchvision.datasets import CIFAR10, CIFAR100

    kinds = dict(zip(NAMES, (CIFAR10, CIFAR100), strict=True))
    if name not in kinds:
        raise DataError(f'unknown CIFAR "{name}"{did_you_mean(name, NAMES)}; known: {", ".join(NAMES)}')
    return kinds[name]


def _folder(name: str, root: Path) -> Path:
    return root / str(_kind(name).base_folder)


def _part(files: Any, name: str, index: Index) -> ArraySource:
    return ArraySource(name, files.data[index], np.asarray(files.targets, dtype=np.int64)[index])
