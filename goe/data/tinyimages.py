"""80 Million Tiny Images, read straight from the file that some people still have, and orders that suit a disk.

`tiny_images.bin` has no header: image i is bytes 3072 i to 3072 (i + 1), 32 x 32 x 3 in column-major order.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from goe.core.errors import DataError
from goe.data.source import OOD_LABEL, Index, Pixels

COUNT = 79_302_017
"""Images in the whole file."""
SIDE = 32
IMAGE_BYTES = 3 * SIDE * SIDE

WITHDRAWN = (
    "80 Million Tiny Images was withdrawn by its authors on 29 June 2020 because it holds offensive classes and "
    "images; they ask that nobody use it and that copies be deleted (https://groups.csail.mit.edu/vision/TinyImages). "
    "300K Random Images is the usual replacement."
)

_GAP = 8
"""Images it is cheaper to read along than to skip with a read of its own."""
_SPAN = 512
"""Most images (1.5 MiB) in one read."""
_SHOWN = 5
"""Bad lines quoted in a message."""


_Run: TypeAlias = tuple[int, int, int, int]
"""Images near one another, for one read: the first in the file, how many from there on, their rows' begin and end."""


class TinyImages:
    """A Source: the file, less the images excluded. Every read names its place, so threads and forks can share it."""

    name: Final = "tiny-images"

    def __init__(self, path: Path, *, count: int = COUNT, excluded: Index | None = None) -> None:
        """`count` images at `path`, without the file's images `excluded` (0-based). DataError for any other file."""
        self._descriptor = -1
        self._path = path
        out = np.unique(np.empty(0, dtype=np.int64) if excluded is None else excluded)
        if len(out) and not 0 <= out[0] <= out[-1] < count:
            found = f"images {out[0]} to {out[-1]} are to be left out"
            raise DataError(f"{self.name}: {found}; the file has images 0 to {count - 1}")
        self._excluded = out
        self._kept_before = out - np.arange(len(out))
        """For each excluded image, how many are kept before it."""
        self._len = count - len(out)
        if not path.is_file():
            raise DataError(f"{self.name}: {path} not found; it can't be downloaded. {WITHDRAWN}")
        self._descriptor = _open(path, count)

    def __len__(self) -> int:
        return self._len

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Gives the file back; nothing can be read afterwards."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def labels(self) -> NDArray[np.int64]:
        """(len,) -1 everywhere; one number seen as an array, which can't be written to."""
        return np.broadcast_to(np.int64(OOD_LABEL), (self._len,))

    def images(self, index: Index) -> Pixels:
        """The images at `index`; see `Source`."""
        distinct, row = np.unique(index, return_inverse=True)
        raw = np.empty((len(distinct), IMAGE_BYTES), dtype=np.uint8)
        self.read_into(raw, distinct)
        return upright(raw[row])

    def will_need(self, index: Index) -> None:
        """Has the system begin to read the images at `index`, in any order, and doesn't wait for them."""
        self._advise(self._runs(self._in_file(np.unique(index))))

    def read_into(self, out: Pixels, index: Index) -> None:
        """Fills `out` (n, 3072) with the images at `index` (n,), which must increase, as they are in the file."""
        files = self._in_file(index)
        runs = self._runs(files)
        if len(runs) > 1:
            self._advise(runs)  # so that the disk has all of them to choose from; threads that wait are no faster
        self._read(runs, files, out)

    def _in_file(self, index: Index) -> Index:
        """Positions in the file of positions among the images kept."""
        if len(index) and not 0 <= index.min() <= index.max() < self._len:
            raise IndexError(f"{self.name}: positions {index.min()} to {index.max()} asked of {self._len} images")
        return index + np.searchsorted(self._kept_before, index, side="right")

    def _runs(self, files: Index) -> list[_Run]:
        """The reads for images `files` of the file, which must increase."""
        if not len(files):
            return []
        far = np.diff(files, prepend=files[0] - _GAP - 1) > _GAP
        begin = files[far][np.cumsum(far) - 1]
        piece = (files - begin) // _SPAN
        starts = np.flatnonzero(far | (np.diff(piece, prepend=0) != 0))
        stops = np.append(starts[1:], len(files))
        first, last = files[starts], files[stops - 1]
        columns = (first, last - first + 1, starts, stops)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def _advise(self, runs: Sequence[_Run]) -> None:
        places = [(first * IMAGE_BYTES, span * IMAGE_BYTES) for first, span, _, _ in runs]
        _advise(self._descriptor, "POSIX_FADV_WILLNEED", places)

    def _read(self, runs: Sequence[_Run], files: Index, out: Pixels) -> None:
        rows = out.reshape(-1).data  # slices of it cost a fifth of an array's
        for first, span, start, stop in runs:
            if span == stop - start:
                self._read_run(first, rows[start * IMAGE_BYTES : stop * IMAGE_BYTES])
            else:
                buffer = np.empty((span, IMAGE_BYTES), dtype=np.uint8)
                self._read_run(first, buffer.reshape(-1).data)
                out[start:stop] = buffer[files[start:stop] - first]

    def _read_run(self, first: int, into: memoryview) -> None:
        try:
            got = os.preadv(self._descriptor, [into], first * IMAGE_BYTES)
        except OSError as error:
            found = f"{self._path}, image {first}: {error.strerror}"
            raise DataError(f"{self.name}: {found}; check the disk or copy the file again") from error
        if got != len(into):
            found = f"{self._path}, image {first}: the file ends {len(into) - got:,} bytes early"
            raise DataError(f"{self.name}: {found}; it was cut while in use: copy it again")


def _open(path: Path, count: int) -> int:
    """A descriptor for reading `path`, which must have room for exactly `count` images."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise DataError(f"{TinyImages.name}: {path} can't be read: {error.strerror}; check who may read it") from error
    size, expected = os.fstat(descriptor).st_size, count * IMAGE_BYTES
    if size != expected:
        os.close(descriptor)
        found = f"{path} has {size:,} bytes; expected {expected:,} ({count:,} images of {IMAGE_BYTES:,})"
        remedy = "a smaller file is a truncated copy: copy it again from where you have it; it can't be downloaded"
        raise DataError(f"{TinyImages.name}: {found}; {remedy}. {WITHDRAWN}")
    _advise(descriptor, "POSIX_FADV_RANDOM", [(0, 0)])  # what is wanted is said image by image
    return descriptor


def _advise(descriptor: int, name: str, places: Sequence[tuple[int, int]]) -> None:
    """Tells the system what will be read, (offset, bytes) each. Where it can't be told, reading works all the same."""
    if hasattr(os, "posix_fadvise"):  # macOS lacks it
        advice = getattr(os, name)
        with suppress(OSError):
            for offset, length in places:
                os.posix_fadvise(descriptor, offset, length, advice)


def upright(raw: Pixels, out: Pixels | None = None) -> Pixels:
    """(n, 32, 32, 3) images, in `out` or contiguous, from (n, 3072) rows of the file: channel, column, row."""
    images = np.empty((len(raw), SIDE, SIDE, 3), dtype=np.uint8) if out is None else out
    channels = raw.reshape(-1, 3, SIDE, SIDE).transpose(1, 0, 3, 2)
    for channel in range(3):  # four times as fast as one copy of all three
        images[..., channel] = channels[channel]
    return images


def read_exclusions(path: Path, count: int, *, first: int = 1) -> Index:
    """Images listed in `path`, one number a line counted from `first`: sorted, each once, 0-based.

    `80mn_cifar_idxs.txt` counts from 1. DataError with every line that is no image of `count`.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}; check the name and who may read it") from error
    listed, bad = [], []
    for number, line in enumerate(lines, start=1):
        word = line.strip()
        # 18 digits fit an int64; isdigit alone takes other alphabets' digits.
        position = int(word) - first if word.isascii() and word.isdigit() and len(word) <= 18 else -1
        if 0 <= position < count:
            listed.append(position)
        elif word:
            bad.append(f'line {number} "{word[:40]}"')
    if bad:
        shown = ", ".join(bad[:_SHOWN]) + (f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else "")
        raise DataError(f"{path}: {shown}; expected one number from {first} to {count - 1 + first} a line")
    return np.unique(np.array(listed, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class BlockShuffle:
    """One pass over `size` positions, near to random but in reads long enough for a disk.

    Blocks of `block` neighbours come in random order, and each `group` of them is shuffled as a whole. The pass depends
    on `seed` alone, so a new pass takes another seed.
    """

    size: int
    seed: Sequence[int]
    block: int = 256
    group: int = 128

    @cached_property
    def _blocks(self) -> Index:
        """(blocks,) the order of the blocks."""
        return np.random.default_rng([*self.seed, 0]).permutation(-(-self.size // self.block))

    @cached_property
    def starts(self) -> Index:
        """(groups + 1,) where in the pass each group begins, and the pass ends."""
        sizes = np.minimum(self.block, self.size - self._blocks * self.block)  # the last block may be short
        return np.append((np.cumsum(sizes) - sizes)[:: self.group], self.size)

    def group_order(self, number: int) -> Index:
        """The positions of group `number`, counted from 0, as they are visited."""
        blocks = self._blocks[number * self.group : (number + 1) * self.group]
        positions = (blocks[:, None] * self.block + np.arange(self.block)).ravel()
        rng = np.random.default_rng([*self.seed, number + 1])  # 0 is the order of the blocks
        return rng.permutation(positions[positions < self.size])

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, slice, slice]]:
        """The groups between `start` and `stop` of the pass: number, part of the group, part of the range."""
        if not 0 <= start <= stop <= self.size:
            raise IndexError(f"{start} to {stop} asked of a pass of {self.size}")
        number = int(np.searchsorted(self.starts, start, side="right")) - 1
        at = start
        while at < stop:
            begin, end = self.starts[number : number + 2].tolist()
            end = min(end, stop)
            yield number, slice(at - begin, end - begin), slice(at - start, end - start)
            at, number = end, number + 1

    def order(self, start: int, stop: int) -> Index:
        """(stop - start,) what the pass visits from `start` to before `stop`."""
        order = np.empty(stop - start, dtype=np.int64)
        for number, part, place in self.pieces(start, stop):
            order[place] = self.group_order(number)[part]
        return order


@dataclass(frozen=True, slots=True)
class SequentialOffset:
    """A set's own order from `offset` on, beginning again at its end: how the G-OE authors read Tiny Images.

    They draw the offset anew each epoch. Their modulus leaves out the last image; this one doesn't.
    """

    size: int
    offset: int

    def order(self, start: int, stop: int) -> Index:
        """(stop - start,) what is visited from `start` to before `stop`."""
        return np.arange(self.offset + start, self.offset + stop, dtype=np.int64) % self.size


class BlockReader:
    """The images of a `BlockShuffle`, from one group's bytes (96 MiB) at a time. For one thread."""

    def __init__(self, source: TinyImages, order: BlockShuffle) -> None:
        if len(source) != order.size:
            raise ValueError(f"{source.name}: an order of {order.size} positions for {len(source)} images")
        self._source = source
        self._order = order
        self._number = -1
        self._raw = np.empty((min(order.group * order.block, order.size), IMAGE_BYTES), dtype=np.uint8)
        self._row = np.empty(0, dtype=np.int64)
        """(images of the group,) where in `_raw` each image is, as they are visited."""

    def images(self, start: int, stop: int) -> Pixels:
        """(stop - start, 32, 32, 3) the images that the pass visits from `start` to before `stop`."""
        images = np.empty((stop - start, SIDE, SIDE, 3), dtype=np.uint8)
        for number, part, place in self._order.pieces(start, stop):
            if number != self._number:
                self._load(number)
            upright(self._raw[self._row[part]], images[place])
        return images

    def _load(self, number: int) -> None:
        self._number = -1  # should the reading fail
        positions, self._row = np.unique(self._order.group_order(number), return_inverse=True)
        if number + 2 < len(self._order.starts):
            # Before this group is read, so that the disk is never idle: it had its turn one group ago.
            self._source.will_need(self._order.group_order(number + 1))
        self._source.read_into(self._raw[: len(positions)], positions)
        self._number = number
