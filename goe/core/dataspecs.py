"""What a run can be told of its data: ID images of one's own, training outliers, OOD test sets."""

from typing import Literal, TypeAlias, get_args

from msgspec import Struct

from goe.core.specs import Positive, Rate

DatasetName: TypeAlias = Literal["digits", "spiral", "cifar10", "cifar100"]
DATASETS: tuple[str, ...] = get_args(DatasetName)
ID_IMAGES = {"digits": 800, "spiral": 2000}
"""Training images of the data sets that are generated rather than read."""
GENERATED = ("china", "square")
"""Sources with as many outliers as `Outliers.size` says."""
OutlierName: TypeAlias = Literal[
    "china",
    "square",
    "random-300k",
    "tiny-images",
    "tin-597",
    "tiny-imagenet",
    "imagenet-32",
    "imagenet-64",
    "folder",
    "list",
]
OwnSource: TypeAlias = Literal["folder", "list"]
"""Sources that need `path`."""
OODName: TypeAlias = Literal[
    "cifar10",
    "cifar100",
    "svhn",
    "textures",
    "places365",
    "lsun-crop",
    "lsun-resize",
    "tin-crop",
    "tin-resize",
    "tiny-imagenet",
    "inaturalist",
    "mnist",
    "fashion-mnist",
    "blobs",
    "gaussian-noise",
    "uniform-noise",
    "rademacher-noise",
]
OOD_SETS: tuple[str, ...] = get_args(OODName)
ALL = "all"
"""As the only entry of `ood`: the usual test sets and every other known one that is there."""
Protocol: TypeAlias = Literal["default", "scood", "goe2024", "openood"]
"""`default`: the other CIFAR, Blobs and Gaussian noise, or the sets of `ood`. `scood`: SC-OOD's six sets and the two
synthetic ones. `goe2024`: the same with the lists that the G-OE authors' code reads, those of CIFAR-100 for either ID
set. `openood`: OpenOOD v1.5's near and far sets for CIFAR."""
OODMode: TypeAlias = Literal["drop", "as-id", "dataset"]
"""What becomes of images of ID classes in SC-OOD's test sets and in one's own lists of that form: left out (as the G-OE
authors), added to the ID test set (as SC-OOD), or OOD like the data set they come from."""
Order: TypeAlias = Literal["auto", "shuffled", "blocks", "sequential-offset"]


class OwnImages(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """ID images of one's own: folders with a folder for each class, or image lists (`.txt`)."""

    train: str
    """Folder or list, relative to the data root."""
    test: str
    images: str = ""
    """Where the paths in a list begin, relative to the data root."""


class Outliers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """Where training outliers come from."""

    source: OutlierName = "random-300k"
    path: str = ""
    """The folder or list of the sources `folder` and `list`, relative to the data root."""
    images: str = ""
    """Where the paths in a list begin, relative to the data root."""
    contamination: Rate = 0.0
    """Share of the stream that is really ID data, with the truth kept so that the filter can be checked."""
    size: Positive = 4096
    """Number of outliers to generate; only for generated sources (`china`, `square`)."""
    order: Order = "auto"
    """`shuffled`: each pass in a random order. `blocks`: random blocks of 256 neighbours through a shuffle buffer, for
    sets on a disk. `sequential-offset`: in the set's own order from a random place on (as the G-OE authors' code).
    `auto` is `blocks` for tiny-images, else `shuffled`."""
    exclude: tuple[str, ...] = ("80mn_cifar_idxs.txt",)
    """tiny-images: files of positions to leave out, relative to the data root; one-based where the name has `cifar`."""


def is_path(name: str) -> bool:
    """Whether an OOD set is named by a folder or list of one's own rather than by its name."""
    return "/" in name or is_list(name)


def is_list(name: str) -> bool:
    """Whether an OOD set is named by an image list."""
    return split_list(name)[0].endswith(".txt")


def split_list(name: str) -> tuple[str, str | None]:
    """`LIST.txt@IMAGES` parted: the list, and the folder in which its paths begin; None where `name` gives none."""
    head, mark, images = name.partition(".txt@")
    return (f"{head}.txt", images) if mark else (name, None)
