"""OOD test sets: one by name or path, and the sets of a protocol."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goe.core.config import RunConfig
from goe.core.dataspecs import OODMode, split_list
from goe.core.errors import DataError, MissingError
from goe.data import cifar, synthetic
from goe.data.bundles import (
    OPENOOD_COUNTS,
    OPENOOD_SETS,
    OTHER_CIFAR,
    SCOOD_COUNTS,
    SCOOD_OOD_COUNTS,
    SCOOD_SETS,
    OODKind,
    list_path,
)
from goe.data.files import SIDE, ImageFiles
from goe.data.idx import idx_images
from goe.data.imagelist import ImageList
from goe.data.registry import BY_NAME
from goe.data.source import ArraySource, ImageSet
from goe.data.store import missing


@dataclass(frozen=True, slots=True, eq=False)
class OODSet:
    """One OOD test set and how it relates to the ID data."""

    kind: OODKind
    images: ImageSet
    with_id: ArraySource | None = None
    """Images of ID classes found in the same list, to be counted with the ID test set (mode `as-id`)."""

    @property
    def name(self) -> str:
        """The set's name in results."""
        return self.images.name


def synthetic_sets(count: int) -> tuple[OODSet, OODSet]:
    """Blobs and Gaussian noise."""
    return OODSet("synthetic", synthetic.blobs(count)), OODSet("synthetic", synthetic.gaussian_noise(count))


def named(name: str, config: RunConfig, files: ImageFiles, count: int) -> OODSet:
    """The set that `ood` names: a known one, or a folder or list of images. Raises DataError if it isn't there."""
    root = files.root
    if name in synthetic.SETS:
        return OODSet("synthetic", synthetic.SETS[name](count))
    if name not in BY_NAME:
        return _own(name, config.ood_mode, files)
    entry = BY_NAME[name]
    if not (root / entry.place).exists():
        raise MissingError(missing(entry, root))
    if entry.reader == "cifar":
        kind: OODKind = "near" if OTHER_CIFAR.get(config.dataset) == name else ""
        return OODSet(kind, ArraySource.ood(name, cifar.test(name, root)[0].data))
    if entry.reader == "svhn":
        return OODSet("far", svhn(root / entry.place))
    if entry.reader == "idx":
        return OODSet("far", idx_images(name, root / entry.place, SIDE))
    inside = "/val" if name == "tiny-imagenet" else ""
    return OODSet("far", files.ood(f"{entry.place}{inside}", name))


def svhn(path: Path) -> ArraySource:
    """The test images of Street View House Numbers (Netzer et al. 2011), from MATLAB's (32, 32, 3, N)."""
    from scipy.io import loadmat

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = np.asarray(loadmat(path)["X"])
    except Exception as error:  # a cut file raises whatever its decoder met first
        raise DataError(f"{path}: can't be read: {error}; delete it and fetch it again") from error
    if data.dtype != np.uint8 or data.ndim != 4 or data.shape[:3] != (32, 32, 3):
        raise DataError(f"{path}: holds {data.dtype} of shape {data.shape}; expected uint8 of shape (32, 32, 3, N)")
    return ArraySource.ood("svhn", np.ascontiguousarray(data.transpose(3, 0, 1, 2)))


def _own(name: str, mode: OODMode, files: ImageFiles) -> OODSet:
    """A folder, a list with its images beside it, or `LIST.txt@IMAGES`.

    Every image is OOD but those to which a line's dictionary gives an `sc_label` of 0 or more.
    """
    path, images = split_list(name)
    listed, _ = files.find(path, str(Path(path).parent) if images is None else images)
    is_id = listed.semantic & (listed.sc_labels >= 0)
    return _parted("", Path(path).stem, listed, is_id, mode, files)


def _read(bundle: str, dataset: str, name: str, files: ImageFiles, count: int | None) -> ImageList:
    """A list of a bundle. Raises DataError where it is missing, or its lines are not `count`."""
    path, images = list_path(bundle, dataset, name)
    place = files.root / path
    if not place.is_file():
        raise DataError(missing(BY_NAME[bundle], files.root).replace(str(files.root / bundle), str(place)))
    listed, _ = files.find(path, images)
    _check_count(place, "images", len(listed.files), count)
    return listed


def _check_count(place: Path, what: str, found: int, published: int | None) -> None:
    if published is not None and found != published:
        raise DataError(
            f"{place}: {found:,} {what}, the published list has {published:,}; is it cut, or of another version?"
        )


def scood(config: RunConfig, files: ImageFiles) -> tuple[OODSet, ...]:
    """SC-OOD's six test sets (Yang et al., ICCV 2021) from `scood/imglist` and `scood/images`.

    `goe2024` reads CIFAR-100's lists for CIFAR-10 too, as the G-OE authors' code does. The other CIFAR is OOD whole.
    Says how many images of each are OOD, and what became of the others. Raises DataError where these numbers are not
    the published ones.
    """
    benchmark = "cifar100" if config.protocol == "goe2024" else config.dataset
    other = OTHER_CIFAR[config.dataset]
    sets = [_scood_set(other, config.dataset, files, "dataset", "near")]
    sets += [_scood_set(name, benchmark, files, config.ood_mode, "far") for name in SCOOD_SETS]
    return tuple(sets)


def _scood_set(name: str, dataset: str, files: ImageFiles, mode: OODMode, kind: OODKind) -> OODSet:
    listed = _read("scood", dataset, name, files, SCOOD_COUNTS.get(name))
    is_id = listed.sc_labels >= 0
    _check_count(listed.path, "OOD images", int((~is_id).sum()), SCOOD_OOD_COUNTS.get((dataset, name)))
    return _parted(kind, name, listed, is_id, mode, files)


def _parted(
    kind: OODKind, name: str, listed: ImageList, is_id: NDArray[np.bool_], mode: OODMode, files: ImageFiles
) -> OODSet:
    """The test set of a list, whose images of ID classes become what `mode` says."""
    ood = listed if mode == "dataset" else listed.select(~is_id)
    if not ood.files:
        raise DataError(f"{listed.path}: all {len(is_id):,} images have an sc_label of an ID class; none is OOD")
    fate = {"drop": "left out", "as-id": "counted as ID", "dataset": "counted as OOD"}[mode]
    files.say(f"{name}: {len(is_id):,} images, {(~is_id).sum():,} OOD, {is_id.sum():,} of ID classes {fate}")
    with_id = None
    if mode == "as-id" and is_id.any():
        chosen = listed.select(is_id)
        with_id = files.load(chosen, f"{name}-id", labels=chosen.sc_labels)
    return OODSet(kind, ArraySource.ood(name, files.load(ood, name).data), with_id)


def openood(config: RunConfig, files: ImageFiles) -> tuple[OODSet, ...]:
    """OpenOOD v1.5's test sets for CIFAR, from `openood/benchmark_imglist` and `openood/images_classic`."""
    sets: dict[str, OODKind] = {OTHER_CIFAR[config.dataset]: "near", **OPENOOD_SETS}
    return tuple(OODSet(kind, ArraySource.ood(name, _openood(name, config, files).data)) for name, kind in sets.items())


def openood_id(config: RunConfig, files: ImageFiles) -> ArraySource:
    """OpenOOD v1.5's ID test set: 9,000 of CIFAR's 10,000 test images; the others are for its validation."""
    return _openood(config.dataset, config, files)


def _openood(name: str, config: RunConfig, files: ImageFiles) -> ArraySource:
    listed = _read("openood", config.dataset, name, files, OPENOOD_COUNTS[config.dataset].get(name))
    files.say(f"{name}: {len(listed.files):,} images")
    return files.load(listed, name)
