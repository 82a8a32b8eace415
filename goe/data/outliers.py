"""Training outliers, and the controlled contamination of them with ID images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goe.core.errors import DataError
from goe.data.source import ArraySource, ImageSet, Index, Pixels, Source, TensorSet

RANDOM_300K_FILE = "300K_random_images.npy"
RANDOM_300K_URL = "https://people.eecs.berkeley.edu/~hendrycks/300K_random_images.npy"
RANDOM_300K_MD5 = "64ca64357de98351f28454274a112dc3"

_CONTAMINATION_SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class OutlierSet:
    """Outliers to train on, with the truth about each where it is known."""

    source: ImageSet
    is_id: NDArray[np.bool_] | None
    """(N,) True where the image is really ID; None where nobody knows."""


@dataclass(frozen=True, slots=True, eq=False)
class Contaminated:
    """A Source: `clean` with some of its images replaced by images of `pool`; `clean` itself may be a memory map."""

    clean: Source
    pool: Source
    replaced_by: Index
    """(len(clean),) position in `pool`, or -1 where the clean image stays."""

    @property
    def name(self) -> str:
        """The clean set's name."""
        return self.clean.name

    def __len__(self) -> int:
        return len(self.clean)

    def images(self, index: Index) -> Pixels:
        """The images at `index`; see `Source`."""
        images = self.clean.images(index)
        from_pool = self.replaced_by[index]
        images[from_pool >= 0] = self.pool.images(from_pool[from_pool >= 0])
        return images

    def labels(self) -> NDArray[np.int64]:
        """The true class of each replaced image, the clean set's label (-1) of the others."""
        return np.where(self.replaced_by >= 0, self.pool.labels()[self.replaced_by], self.clean.labels())


def contaminate(outliers: OutlierSet, pool: Source, share: float) -> OutlierSet:
    """`outliers` with exactly round(share * N) images replaced by images of `pool`, and the truth about each.

    The pool's images are used equally often, give or take one. Which ones go where depends on no run's seed, and a
    higher share replaces what a lower one does and more. What the clean set's truth leaves unknown counts as not ID.
    """
    size = len(outliers.source)
    count = round(share * size)
    if count == 0:
        return outliers
    if isinstance(outliers.source, TensorSet):
        raise DataError(f"{outliers.source.name}: only images can be contaminated; set contamination to 0")
    rng = np.random.default_rng(_CONTAMINATION_SEED)
    places, order = rng.permutation(size)[:count], rng.permutation(len(pool))
    replaced_by = np.full(size, -1, dtype=np.int64)
    replaced_by[places] = np.resize(order, count)
    before = np.zeros(size, dtype=np.bool_) if outliers.is_id is None else outliers.is_id
    return OutlierSet(Contaminated(outliers.source, pool, replaced_by), before | (replaced_by >= 0))


def random_300k(root: Path) -> ArraySource:
    """300K Random Images (Hendrycks et al.), memory-mapped from `root`: (N, 32, 32, 3).

    A subset of 80 Million Tiny Images without its CIFAR, Places and LSUN classes. DataError if missing or malformed.
    """
    path = root / RANDOM_300K_FILE
    if not path.is_file():
        remedy = f"download {RANDOM_300K_URL} (922 MB, md5 {RANDOM_300K_MD5}) to that place"
        raise DataError(f"random-300k: {path} not found; {remedy}")
    try:
        data = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"random-300k: {path} can't be read: {error}; download it again") from error
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (32, 32, 3) or not len(data):
        found = f"{data.dtype} of shape {data.shape}" if isinstance(data, np.ndarray) else "an archive"
        raise DataError(f"random-300k: {path} holds {found}; expected uint8 of shape (N, 32, 32, 3)")
    return ArraySource.ood("random-300k", data)
