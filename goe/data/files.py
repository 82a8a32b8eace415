"""Sets that are image files, in a folder or named by a list: read once into an array, then mapped from the cache."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from goe.core.errors import DataError
from goe.data.imagecache import cache_folder, convert
from goe.data.imagelist import ImageList, list_folder, read_list
from goe.data.source import ArraySource

SIDE = 32

Labels: TypeAlias = NDArray[np.int64]
Say: TypeAlias = Callable[[str], None]
"""Takes a line for the run's log."""


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Where a set's images are, and what to do with those that can't be read."""

    root: Path
    """The data root."""
    skip_broken: bool = False
    say: Say = lambda _: None

    def find(self, path: str, images: str = "") -> tuple[ImageList, tuple[str, ...]]:
        """The files of a folder, or of a list (`.txt`) whose paths begin at `images`, and the classes folders name.

        Raises DataError for what is missing or malformed, and for a path that leaves the data root.
        """
        place = self._inside(path)
        if place.is_dir():
            return list_folder(place)
        if not place.exists():
            raise DataError(f"{place}: not found; expected a folder of images or an image list")
        return read_list(place, self._inside(images)), ()

    def load(self, images: ImageList, name: str, labels: Labels | None = None) -> ArraySource:
        """The set `name` of these images at 32 x 32, with these labels or by default `images.labels`."""

        def progress(done: int, total: int) -> None:
            if done == total or done % 10_000 == 0:
                self.say(f"{name}: {done} of {total} images converted")

        converted = convert(images, SIDE, cache_folder(self.root), skip_broken=self.skip_broken, progress=progress)
        if converted.broken:
            self.say(f"{name}: {len(converted.broken)} images left out: " + "; ".join(converted.broken[:20]))
        if not len(converted.kept):
            raise DataError(f"{name}: none of the {len(images.files)} images of {images.path} can be read")
        return ArraySource(name, converted.data, (images.labels if labels is None else labels)[converted.kept])

    def ood(self, path: str, name: str, images: str = "") -> ArraySource:
        """All images of a folder or list as OOD."""
        listed, _ = self.find(path, images)
        return ArraySource.ood(name, self.load(listed, name).data)

    def _inside(self, path: str) -> Path:
        place = Path(path)
        if not place.is_absolute() and ".." in place.parts:
            raise DataError(f"{path}: leaves the data root {self.root}; give an absolute path if that is meant")
        return self.root / place


def class_names(labels: Labels, folders: tuple[str, ...], where: Path) -> tuple[str, ...]:
    """The classes of ID images: the folders' names, or the numbers 0 to K - 1. Raises DataError for gaps among them."""
    if folders:
        return folders
    found = np.unique(labels)
    if found[0] < 0 or not np.array_equal(found, np.arange(len(found))):
        raise DataError(f"{where}: ID labels must be 0, 1, … without gaps; found {', '.join(map(str, found[:12]))}")
    return tuple(str(label) for label in found)
