"""MNIST's file format: a gzipped block of grey images (LeCun et al. 1998), also Fashion-MNIST's (Xiao et al. 2017)."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from goe.core.errors import DataError
from goe.data.imagecache import fitted
from goe.data.source import ArraySource

_MAGIC = 0x803
"""Of bytes in three dimensions."""
_HEADER = 16


def idx_images(name: str, path: Path, side: int) -> ArraySource:
    """All images of a file as OOD, their short side resized to `side` as in `imagecache`, grey in three channels.

    Raises DataError for a file that is damaged or holds no images.
    """
    try:
        with gzip.open(path) as file:
            raw = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name}: {path} can't be read: {error}; delete it and fetch it again") from error
    header = np.frombuffer(raw[:_HEADER].ljust(_HEADER, b"\0"), ">u4").astype(np.int64)
    count, height, width = header[1:].tolist()
    if header[0] != _MAGIC or len(raw) != _HEADER + count * height * width or not len(raw) > _HEADER:
        raise DataError(f"{name}: {path} holds no images of MNIST's format; delete it and fetch it again")
    grey = np.frombuffer(raw, np.uint8, offset=_HEADER).reshape(count, height, width)
    return ArraySource.ood(
        name, np.stack([np.asarray(fitted(Image.fromarray(one).convert("RGB"), side)) for one in grey])
    )
