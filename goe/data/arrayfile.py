"""A `.npy` of images: written without holding them, their number known only at the end, and looked at later."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from goe.data.source import Pixels


def write_images(path: Path, side: int, images: Iterable[Pixels]) -> int:
    """Write (side, side, 3) images, or blocks (n, side, side, 3) of them, to `path`; how many there were.

    The file is in place only when it is whole. Raises OSError, after which nothing of it is left.
    """
    beside = path.with_suffix(".part")
    size = 0
    try:
        with beside.open("wb") as file:
            file.write(_header(0, side))
            for block in images:
                size += file.write(block.tobytes())
            count = size // (side * side * 3)
            file.seek(0)
            file.write(_header(count, side))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return count


def count_images(path: Path, side: int) -> int | None:
    """How many (side, side, 3) images `path` holds; None where it is missing, cut or of another form."""
    try:
        data = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.shape[1:] == (side, side, 3)
    return len(data) if whole else None


def _header(count: int, side: int) -> bytes:
    """Version 1.0 of NumPy's format for (count, side, side, 3) uint8, 128 bytes whatever the count."""
    shape = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, {side}, {side}, 3), }}"
    return b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + shape.ljust(117).encode() + b"\n"
