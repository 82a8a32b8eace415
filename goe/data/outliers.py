"""Training outliers, and the controlled contamination of them with ID images."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from goe.core.config import RunConfig
from goe.core.errors import DataError
from goe.data import builtin, spiral
from goe.data.files import ImageFiles
from goe.data.imagecache import cache_folder
from goe.data.imagenet import imagenet
from goe.data.registry import BY_NAME, DataSet
from goe.data.source import ArraySource, ImageSet, Index, Pixels, Source, TensorSet
from goe.data.store import missing
from goe.data.tinyimages import COUNT, TinyImages, read_exclusions

_CONTAMINATION_SEED = 0
_MEMORY_SHARE = 0.25


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


def outlier_source(config: RunConfig, files: ImageFiles) -> OutlierSet:
    """The outliers that `config.outliers` names, without contamination. Raises DataError where they aren't there."""
    wanted, root = config.outliers, files.root
    if wanted.source == "china":
        patches = builtin.image_patches("china.jpg", wanted.size, builtin.CHINA_SEED)
        return OutlierSet(patches, is_id=np.zeros(len(patches), dtype=np.bool_))
    if wanted.source == "square":
        return OutlierSet(*spiral.outliers(wanted.size))
    if wanted.source in {"folder", "list"}:
        return OutlierSet(files.ood(wanted.path, wanted.path.strip("/").replace("/", "-"), wanted.images), is_id=None)
    entry = BY_NAME[wanted.source]
    if not (root / entry.place).exists():
        raise DataError(missing(entry, root))
    if entry.warning:
        files.say(f"{entry.name}: {entry.warning}")
    return OutlierSet(_known(entry, config, files), is_id=None)


def _known(entry: DataSet, config: RunConfig, files: ImageFiles) -> Source:
    place = files.root / entry.place
    match entry.reader:
        case "npy":
            return images_in_npy(entry.name, place)
        case "tiny-images":
            return tiny_images(place, files.root, config.outliers.exclude)
        case "imagenet-batches":
            return imagenet(entry.name, place, cache_folder(files.root))
        case "list":
            lists = "openood/benchmark_imglist/cifar10/train_tin597.txt"
            return files.ood(lists, entry.name, "openood/images_classic")
        case _:
            return files.ood(f"{entry.place}/train", entry.name)


def tiny_images(path: Path, root: Path, exclude: Sequence[str]) -> TinyImages:
    """80 Million Tiny Images less the images that `exclude`'s files list: by default those that are in CIFAR."""
    absent = [name for name in exclude if not (root / name).is_file()]
    if absent:
        where = "80mn_cifar_idxs.txt is in hendrycks/outlier-exposure/utils"
        raise DataError(
            f"tiny-images: {root / absent[0]} not found, which lists the images to leave out; {where}; "
            "without it, CIFAR's own images are among the outliers: outliers.exclude = [] if that is meant"
        )
    # The list of CIFAR's images counts from 1, the G-OE authors' of validation images from 0.
    lists = [read_exclusions(root / name, COUNT, first=int("cifar" in name)) for name in exclude]
    return TinyImages(path, count=COUNT, excluded=np.concatenate(lists) if lists else None)


def images_in_npy(name: str, path: Path) -> ArraySource:
    """Outliers in a `.npy` of (N, 32, 32, 3) uint8, memory-mapped: 300K Random Images (Hendrycks et al.) is one.

    Where it takes at most a quarter of the memory, the system is asked to read it in at once. Raises DataError if it is
    malformed, or holds Python objects, which could run code.
    """
    try:
        data = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{name}: {path} can't be read: {error}; download it again") from error
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (32, 32, 3) or not len(data):
        found = f"{data.dtype} of shape {data.shape}" if isinstance(data, np.ndarray) else "an archive"
        raise DataError(f"{name}: {path} holds {found}; expected uint8 of shape (N, 32, 32, 3)")
    if data.nbytes <= _MEMORY_SHARE * psutil.virtual_memory().total and hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
    return ArraySource.ood(name, data)
