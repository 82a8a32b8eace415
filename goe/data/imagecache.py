"""Image files turned once into an array of 32 x 32 pixels, which every later run maps."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from msgspec import Struct
from numpy.typing import NDArray
from PIL import Image

from goe.core.errors import DataError, RunError
from goe.core.rundir import read_json, write_json
from goe.data.arrayfile import count_images, write_images
from goe.data.imagelist import ImageList
from goe.data.source import Pixels

_VERSION = 1
"""Of what is done to an image; another one makes every cache anew."""
_BLOCK = 1024
"""Images in hand at a time."""
_SHOWN = 5


class Index(Struct, frozen=True):
    """Beside each array: what is in it."""

    kept: int
    broken: list[tuple[int, str]]
    """Position in the list, and why, of each image that can't be read."""


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """Images as an array."""

    data: Pixels
    """(n, side, side, 3), mapped read-only."""
    kept: NDArray[np.int64]
    """(n,) positions in the list."""
    broken: tuple[str, ...]
    """What could not be read, and why."""


def cache_folder(root: Path) -> Path:
    """Where arrays are kept: GOE_CACHE, else `.cache` in the data root, or `~/.cache/goe` where that is read-only."""
    if chosen := os.environ.get("GOE_CACHE"):
        return Path(chosen)
    inside = root / ".cache"
    writable = os.access(inside if inside.is_dir() else root, os.W_OK)
    return inside if writable else Path.home() / ".cache" / "goe"


def convert(
    images: ImageList,
    side: int,
    cache: Path,
    *,
    skip_broken: bool = False,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Converted:
    """The images of a list as an array, from the cache or, the first time, from their files.

    The short side is resized to `side`, bilinearly, and the centre cut out: torchvision's Resize and CenterCrop. Runs
    that want the same array at once wait for the first of them. Raises DataError for missing files, and for images that
    can't be read unless `skip_broken`.
    """
    key = _key(images, side)
    array, index = cache / f"{images.path.stem}-{side}-{key}.npy", cache / f"{images.path.stem}-{side}-{key}.json"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{array}.lock"):
            if not _is_whole(array, index, side):
                _build(images, side, array, index, progress)
    except OSError as error:
        raise DataError(_cannot_write(error, images, side, cache)) from error
    found = read_json(index, Index)
    assert found is not None
    broken = tuple(f"{images.files[place]}: {why}" for place, why in found.broken)
    if broken and not skip_broken:
        more = f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
        remedy = "replace them, or leave them out with skip-broken = true"
        raise DataError(
            f"{images.path}: {len(broken)} images can't be read: {'; '.join(broken[:_SHOWN])}{more}; {remedy}"
        )
    kept = np.delete(np.arange(len(images.files)), [place for place, _ in found.broken])
    return Converted(np.load(array, mmap_mode="r", allow_pickle=False), kept, broken)


def _key(images: ImageList, side: int) -> str:
    """16 hex digits of everything the array depends on. Raises DataError for files that are missing."""
    digest = hashlib.sha256(f"{_VERSION} {side}".encode())
    absent = []
    for file in images.files:
        try:
            stat = (images.root / file).stat()
        except OSError:
            absent.append(file)
            continue
        digest.update(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    if absent:
        more = f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
        total = f"{len(absent)} of its {len(images.files)} images are missing under {images.root}"
        raise DataError(f"{images.path}: {total}: {', '.join(absent[:_SHOWN])}{more}")
    return digest.hexdigest()[:16]


def _is_whole(array: Path, index: Path, side: int) -> bool:
    try:
        found = read_json(index, Index)
    except (OSError, RunError):
        return False
    return found is not None and count_images(array, side) == found.kept


def _build(images: ImageList, side: int, array: Path, index: Path, progress: Callable[[int, int], None]) -> None:
    count = len(images.files)
    if shutil.disk_usage(array.parent).free < count * side * side * 3:
        raise OSError(errno.ENOSPC, "no room", str(array.parent))
    broken: list[tuple[int, str]] = []

    def whole() -> Iterator[Pixels]:
        for place, image in enumerate(_decoded(images, side)):
            if isinstance(image, str):
                broken.append((place, image))
            else:
                yield image
            if (place + 1) % _BLOCK == 0 or place + 1 == count:
                progress(place + 1, count)

    kept = write_images(array, side, whole())
    write_json(index, Index(kept, broken))


def _decoded(images: ImageList, side: int) -> Iterator[Pixels | str]:
    """Each image of the list, or why it can't be read. Pillow decodes outside Python's lock, so threads help."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(images.files), _BLOCK):
            paths = [images.root / file for file in images.files[start : start + _BLOCK]]
            yield from pool.map(lambda path: decode(path, side), paths)


def decode(path: Path, side: int) -> Pixels | str:
    """The image in a file, (side, side, 3), resized and cut as in `convert`; or why it can't be read."""
    try:
        with Image.open(path) as image:
            image.load()
            return np.asarray(fitted(_rgb(image), side))
    except Exception as error:  # noqa: BLE001 - a damaged image raises whatever its decoder met first
        return f"{type(error).__name__}: {error}".replace(str(path), path.name)


def _rgb(image: Image.Image) -> Image.Image:
    """Three channels from grey, palette, CMYK, alpha; 16-bit grey is scaled, where Pillow would cut it off at 255."""
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.float64) / 257
        return Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def fitted(image: Image.Image, side: int) -> Image.Image:
    """`image` with its short side resized and its centre cut out, rounded as torchvision rounds."""
    width, height = image.size
    short = min(width, height)
    if short != side:
        width, height = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - side) / 2), round((height - side) / 2)
    return image.crop((left, top, left + side, top + side))


def _cannot_write(error: OSError, images: ImageList, side: int, cache: Path) -> str:
    where = error.filename or cache
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        needed = len(images.files) * side * side * 3
        return (
            f"{cache}: no room for {needed:,} bytes of converted images; free some, or set GOE_CACHE to another folder"
        )
    return f"{where}: {error.strerror}; set GOE_CACHE to a folder that may be written"
