"""What an image set is: uint8 images looked up by index, with labels."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from goe.core.errors import DataError

Index: TypeAlias = NDArray[np.int64]
"""(n,) positions in a set, repeats allowed."""
Pixels: TypeAlias = NDArray[np.uint8]
"""(n, H, W, 3) RGB."""

OOD_LABEL = -1


class Source(Protocol):
    """Images still to be normalised. Nothing in it changes once made, so it can be shared between streams."""

    @property
    def name(self) -> str:
        """The set's name in results and messages."""

    def __len__(self) -> int:
        """Number of images."""

    def images(self, index: Index) -> Pixels:
        """A fresh (n, H, W, 3) array of the images at `index`, in that order."""

    def labels(self) -> NDArray[np.int64]:
        """(len,) class of each image, or -1 where it is OOD."""


@dataclass(frozen=True, slots=True, eq=False)
class ArraySource:
    """A set held in one array, in memory or memory-mapped."""

    name: str
    data: Pixels
    """(N, H, W, 3)"""
    targets: NDArray[np.int64]
    """(N,)"""

    def __post_init__(self) -> None:
        if self.data.dtype != np.uint8 or self.data.ndim != 4 or self.data.shape[-1] != 3:
            found = f"{self.data.dtype} of shape {self.data.shape}"
            raise DataError(f"{self.name}: images are {found}; expected uint8 of shape (N, H, W, 3)")
        if self.targets.shape != self.data.shape[:1]:
            raise DataError(f"{self.name}: {len(self.targets)} labels for {len(self.data)} images")

    @classmethod
    def ood(cls, name: str, data: Pixels) -> "ArraySource":
        """A set in which every image is OOD."""
        return cls(name, data, np.full(len(data), OOD_LABEL, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.data)

    def images(self, index: Index) -> Pixels:
        """The images at `index`; see `Source`."""
        return np.asarray(self.data[index])  # a memory map's subclass would follow its rows everywhere

    def labels(self) -> NDArray[np.int64]:
        """The labels; see `Source`."""
        return self.targets


@dataclass(frozen=True, slots=True, eq=False)
class TensorSet:
    """A set as the network's input, never normalised nor augmented: the counterpart of `Source` for float data."""

    name: str
    data: NDArray[np.float32]
    """(N, 3, H, W) images or (N, 2) points."""
    targets: NDArray[np.int64] | None = None
    """(N,) classes; None where all is OOD."""

    def __len__(self) -> int:
        return len(self.data)

    def labels(self) -> NDArray[np.int64]:
        """(N,) class of each, or -1 where it is OOD."""
        return np.full(len(self.data), OOD_LABEL, dtype=np.int64) if self.targets is None else self.targets


ImageSet: TypeAlias = Source | TensorSet
"""Anything that can be trained or evaluated on."""
