"""OOD test sets: one by name or path, and the sets of a protocol."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from goe.core.config import RunConfig
from goe.core.dataspecs import OODMode
from goe.core.errors import DataError, MissingError
from goe.data import cifar, synthetic
from goe.data.files import ImageFiles
from goe.data.registry import BY_NAME
from goe.data.source import ArraySource, ImageSet
from goe.data.store import missing

OODKind: TypeAlias = Literal["near", "far", "synthetic", ""]
"""How a set relates to the ID data; empty where nobody says."""

OTHER_CIFAR: dict[str, str] = {"cifar10": "cifar100", "cifar100": "cifar10"}

SCOOD_SETS = ("texture", "svhn", "tin", "lsun", "places365")
"""In the order of the G-OE authors' test.py, after the other CIFAR."""
SCOOD_COUNTS = {"cifar10": 10_000, "cifar100": 10_000, "texture": 5640, "svhn": 26_032, "tin": 10_000, "lsun": 10_000}
"""Lines of the published lists, which can be counted from their lengths; that of places365 (36,500) can't."""
OPENOOD_SETS: dict[str, OODKind] = {
    "tin": "near",
    "mnist": "far",
    "svhn": "far",
    "texture": "far",
    "places365": "far",
}


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
        return OODSet("", files.ood(name, Path(name).stem, str(Path(name).parent)))
    entry = BY_NAME[name]
    if not (root / entry.place).exists():
        raise MissingError(missing(entry, root))
    if entry.reader == "cifar":
        kind: OODKind = "near" if OTHER_CIFAR.get(config.dataset) == name else ""
        return OODSet(kind, ArraySource.ood(name, cifar.test(name, root)[0].data))
    if entry.reader == "svhn":
        return OODSet("far", svhn(root / entry.place))
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


def scood(config: RunConfig, files: ImageFiles) -> tuple[OODSet, ...]:
    """SC-OOD's six test sets (Yang et al., ICCV 2021) from `scood/imglist` and `scood/images`.

    `goe2024` reads CIFAR-100's lists for CIFAR-10 too, as the G-OE authors' code does. The other CIFAR is OOD whole.
    Says how many images of each are OOD, and what became of the others. Raises DataError where a list's length is not
    the published one.
    """
    benchmark = "cifar100" if config.protocol == "goe2024" else config.dataset
    other = OTHER_CIFAR[config.dataset]
    lists = f"scood/imglist/benchmark_{benchmark}"
    sets = [_scood_set(other, f"scood/imglist/benchmark_{config.dataset}", files, "dataset", "near")]
    sets += [_scood_set(name, lists, files, config.ood_mode, "far") for name in SCOOD_SETS]
    return tuple(sets)


def _scood_set(name: str, lists: str, files: ImageFiles, mode: OODMode, kind: OODKind) -> OODSet:
    path = f"{lists}/test_{name}.txt"
    if not (files.root / path).is_file():
        raise DataError(
            missing(BY_NAME["scood"], files.root).replace(str(files.root / "scood"), str(files.root / path))
        )
    listed, _ = files.find(path, "scood/images")
    wanted = SCOOD_COUNTS.get(name)
    if wanted is not None and len(listed.files) != wanted:
        found = f"{len(listed.files):,} images, the published list has {wanted:,}"
        raise DataError(f"{files.root / path}: {found}; is it cut, or of another version?")
    is_id = listed.sc_labels >= 0
    ood = listed if mode == "dataset" else listed.select(~is_id)
    fate = {"drop": "left out", "as-id": "counted as ID", "dataset": "counted as OOD"}[mode]
    files.say(f"{name}: {len(listed.files):,} images, {(~is_id).sum():,} OOD, {is_id.sum():,} of ID classes {fate}")
    with_id = None
    if mode == "as-id" and is_id.any():
        chosen = listed.select(is_id)
        with_id = files.load(chosen, f"{name}-id", labels=chosen.sc_labels)
    return OODSet(kind, ArraySource.ood(name, files.load(ood, name).data), with_id)


def openood(config: RunConfig, files: ImageFiles) -> tuple[OODSet, ...]:
    """OpenOOD v1.5's test sets for CIFAR, from `openood/benchmark_imglist` and `openood/images_classic`."""
    lists = f"openood/benchmark_imglist/{config.dataset}"
    sets: dict[str, OODKind] = {OTHER_CIFAR[config.dataset]: "near", **OPENOOD_SETS}
    found = []
    for name, kind in sets.items():
        path = f"{lists}/test_{name}.txt"
        if not (files.root / path).is_file():
            place = str(files.root / "openood")
            raise DataError(missing(BY_NAME["openood"], files.root).replace(place, str(files.root / path)))
        images = files.ood(path, name, "openood/images_classic")
        files.say(f"{name}: {len(images):,} images")
        found.append(OODSet(kind, images))
    return tuple(found)
