"""Downsampled ImageNet (Chrabaszcz et al. 2017, arXiv:1707.08819) as published: ten pickled batches of uint8 planes."""

import hashlib
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from goe.core.errors import DataError
from goe.data.arrayfile import count_images, write_images
from goe.data.source import ArraySource, Pixels

BATCHES = 10
SIDE = 32
_BLOCK = 8192
"""Images turned at a time: 100 MB of 64 x 64."""


class _Arrays(pickle.Unpickler):
    """Reads dictionaries of NumPy arrays and numbers; a pickle that asks for anything else could run code."""

    ALLOWED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a batch of images has no need of")
        return super().find_class(module, name)


def imagenet(name: str, folder: Path, cache: Path) -> ArraySource:
    """All training images of ImageNet 32 x 32 or 64 x 64 (halved by 2 x 2 means), as OOD, mapped from `cache`.

    `folder` holds `train_data_batch_1` to `_10`. The first call converts them once into one array beside which a lock
    keeps a second run waiting. Raises DataError for missing, cut or strange batches.
    """
    paths = [folder / f"train_data_batch_{number}" for number in range(1, BATCHES + 1)]
    absent = [path.name for path in paths if not path.is_file()]
    if absent:
        raise DataError(f"{name}: {folder} lacks {', '.join(absent)}; put all {BATCHES} batches there")
    place = cache / f"{name}-{_key(paths)}.npy"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{place}.lock"):
            if not count_images(place, SIDE):
                write_images(place, SIDE, (block for path in paths for block in _read(path)))
        return ArraySource.ood(name, np.load(place, mmap_mode="r", allow_pickle=False))
    except OSError as error:
        where = error.filename or cache
        raise DataError(f"{name}: {where}: {error.strerror}; the converted images take up to 4 GB there") from error


def _key(paths: Sequence[Path]) -> str:
    """16 hex digits of the batches' sizes and times."""
    stats = [path.stat() for path in paths]
    return hashlib.sha256(repr([(stat.st_size, stat.st_mtime_ns) for stat in stats]).encode()).hexdigest()[:16]


def _read(path: Path) -> Iterator[Pixels]:
    try:
        with path.open("rb") as file:
            data: Pixels = _Arrays(file, encoding="latin1").load()["data"]
        side = round((data.shape[1] / 3) ** 0.5)
        if data.dtype != np.uint8 or data.shape[1:] != (3 * side * side,) or side not in {SIDE, 2 * SIDE}:
            raise DataError(
                f"{path}: holds {data.dtype} of shape {data.shape}; expected uint8 of shape (N, 3072 or 12288)"
            )
    except DataError:
        raise
    except Exception as error:  # a cut pickle raises whatever its decoder met first
        raise DataError(f"{path}: can't be read: {error}; download it again") from error
    for start in range(0, len(data), _BLOCK):
        planes = data[start : start + _BLOCK].reshape(-1, 3, side, side)
        if side != SIDE:
            halves = planes.reshape(-1, 3, SIDE, 2, SIDE, 2).astype(np.uint16)
            planes = ((halves.sum(axis=(3, 5)) + 2) // 4).astype(np.uint8)
        yield np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
