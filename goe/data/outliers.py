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
from goe.data.files import ImageFiles, Say
from goe.data.imagecache import cache_folder
from goe.data.imagenet import imagenet
from goe.data.registry import BY_NAME, DataSet
from goe.data.source import ArraySource, ImageSet, Index, Pixels, Source, TensorSet
from goe.data.store import missing
from goe.data.tinyimages import COUNT, TinyImages, read_exclusions

_CONTAMINATION_SEED = 0
_NPY = b"\x93NUMPY"
"""What every .npy begins with."""
_MEMORY_SHARE = 0.25
_PUBLISHED = {"random-300k": 300_000, "tiny-imagenet": 100_000, "imagenet-32": 1_281_167, "imagenet-64": 1_281_167}
"""Images of each set; another number is said in the log."""


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
    places: Index
    """(r,) positions in `clean` that are replaced, rising: a set of 79 million has no room for one number an image."""
    replaced_by: Index
    """(r,) position in `pool` of what is there instead."""

    @property
    def name(self) -> str:
        """The clean set's name."""
        return self.clean.name

    def __len__(self) -> int:
        return len(self.clean)

    def images(self, index: Index) -> Pixels:
        """The images at `index`; see `Source`."""
        return self.replace(self.clean.images(index), index)

    def replace(self, images: Pixels, index: Index) -> Pixels:
        """`images`, the clean set's at `index`, with those of the pool put in."""
        at = np.minimum(np.searchsorted(self.places, index), len(self.places) - 1)
        hit = self.places[at] == index
        images[hit] = self.pool.images(self.replaced_by[at[hit]])
        return images

    def labels(self) -> NDArray[np.int64]:
        """The true class of each replaced image, the clean set's label (-1) of the others."""
        labels = self.clean.labels().copy()
        labels[self.places] = self.pool.labels()[self.replaced_by]
        return labels


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
    shuffled = np.arange(size, dtype=np.int32)  # what `permutation` gives, in half the memory
    rng.shuffle(shuffled)
    order = rng.permutation(len(pool))
    rising = np.argsort(shuffled[:count])
    places, replaced_by = shuffled[:count][rising].astype(np.int64), np.resize(order, count)[rising]
    is_id = np.zeros(size, dtype=np.bool_) if outliers.is_id is None else outliers.is_id.copy()
    is_id[places] = True
    return OutlierSet(Contaminated(outliers.source, pool, places, replaced_by), is_id)


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
    source = _known(entry, config, files)
    published = _PUBLISHED.get(entry.name, len(source))
    if len(source) != published:
        files.say(f"{entry.name}: {len(source):,} images, the published set has {published:,}")
    return OutlierSet(source, is_id=None)


def _known(entry: DataSet, config: RunConfig, files: ImageFiles) -> Source:
    place = files.root / entry.place
    match entry.reader:
        case "npy":
            return images_in_npy(entry.name, place)
        case "tiny-images":
            return tiny_images(place, files.root, config.outliers.exclude, files.say)
        case "imagenet-batches":
            return imagenet(entry.name, place, cache_folder(files.root))
        case "list":
            lists = "openood/benchmark_imglist/cifar10/train_tin597.txt"
            return files.ood(lists, entry.name, "openood/images_classic")
        case _:
            return files.ood(f"{entry.place}/train", entry.name)


def tiny_images(path: Path, root: Path, exclude: Sequence[str], say: Say = lambda _: None) -> TinyImages:
    """80 Million Tiny Images less the images that `exclude`'s files list: by default those that are in CIFAR.

    A list counts from 1 where its file's name has `cifar` (hendrycks/outlier-exposure's 80mn_cifar_idxs.txt), else from
    0 (the G-OE authors' valid_idx_80mn.txt). `say` gets how many are left out. Raises DataError for files that are
    missing, or list other sets' images.
    """
    for name in exclude:
        if Path(name).name.startswith("valid_idx_cifar"):
            found = f"{root / name} lists validation images of CIFAR itself, by their places there"
            raise DataError(f"tiny-images: {found}; those of tiny-images are in valid_idx_80mn.txt")
    absent = [name for name in exclude if not (root / name).is_file()]
    if absent:
        where = "80mn_cifar_idxs.txt is in hendrycks/outlier-exposure/utils"
        raise DataError(
            f"tiny-images: {root / absent[0]} not found, which lists the images to leave out; {where}; "
            "without it, CIFAR's own images are among the outliers: outliers.exclude = [] if that is meant"
        )
    firsts = [int("cifar" in Path(name).name) for name in exclude]
    lists = [read_exclusions(root / name, COUNT, first=first) for name, first in zip(exclude, firsts, strict=True)]
    source = TinyImages(path, count=COUNT, excluded=np.concatenate(lists) if lists else None)
    counts = (
        f"{len(listed):,} listed in {name} (counted from {first})"
        for name, first, listed in zip(exclude, firsts, lists, strict=True)
    )
    say(f"tiny-images: {' and '.join(counts) or 'none'} left out, {len(source):,} remain")
    return source


def images_in_npy(name: str, path: Path) -> ArraySource:
    """Outliers in a `.npy` of (N, 32, 32, 3) uint8, memory-mapped: 300K Random Images (Hendrycks et al.) is one.

    Where it takes at most a quarter of the memory, the system is asked to read it in at once. Raises DataError if it is
    malformed, or holds Python objects, which could run code.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_NPY))
        if start[:2] != b"PK" and start != _NPY:  # NumPy would advise to load it as a pickle
            raise ValueError(f"it begins with {start!r}, as no .npy does")
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
