"""Validation images and contamination pool, taken off a training set."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goe.core.errors import DataError
from goe.data.source import ArraySource, Index

HELD_OUT = 5000
"""Images of a hold-out (the G-OE authors' number); a tenth of sets that have fewer than 50,000."""
_SPLIT_SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Disjoint parts of a training set, each in the set's order."""

    train: ArraySource
    validation: ArraySource
    pool: ArraySource | None
    """ID images in no other part, for contaminating the outlier stream."""


def hold_out(
    images: ArraySource, *, with_pool: bool, validation: Index | None = None, count: int | None = None
) -> Parts:
    """`images` less `validation` (by default `count` of a fixed permutation) and, if asked for, as large a pool.

    The hold-outs depend on no run's seed: all trials validate on the same images.
    """
    size = len(images)
    count = min(HELD_OUT, size // 10) if count is None else count
    order = np.random.default_rng(_SPLIT_SEED).permutation(size)
    if validation is None:
        validation, rest = order[:count], order[count:]
    else:
        rest = order[~np.isin(order, validation)]
    pool: Index | None
    pool, train = (rest[:count], rest[count:]) if with_pool else (None, rest)
    if not len(validation) or not len(train) or (pool is not None and not len(pool)):
        raise DataError(f"{images.name}: {size} images are too few for training, validation and contamination")
    return Parts(
        train=part(images, f"{images.name}-train", train),
        validation=part(images, f"{images.name}-validation", validation),
        pool=None if pool is None else part(images, f"{images.name}-pool", pool),
    )


def part(images: ArraySource, name: str, index: Index) -> ArraySource:
    """The images at `index`, in the set's order, in memory."""
    index = np.sort(index)
    return ArraySource(name, np.asarray(images.data[index]), images.targets[index])


def read_index(path: Path, size: int) -> Index:
    """The zero-based positions in a text file of one number a line, as the G-OE authors' `valid_idx_cifar10.txt`.

    Raises DataError naming the lines that are no position among `size` images or come twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: can't be read: {error}; expected a text file of one position a line") from None
    good = [int(line) for line in lines if line.isdecimal() and int(line) < size]
    bad = [line for line in lines if not line.isdecimal() or int(line) >= size]
    twice = len(good) - len(set(good))
    if bad or twice or not good:
        found = f"{len(bad)} entries are no position below {size}: {', '.join(bad[:5])}" if bad else ""
        found = found or (f"{twice} positions come twice" if twice else "it is empty")
        raise DataError(f"{path}: {found}; is it the index of another data set?")
    return np.array(good, dtype=np.int64)
