"""What SC-OOD's and OpenOOD's bundles hold: their lists, where these are, and how long they are."""

from typing import Literal, TypeAlias

OODKind: TypeAlias = Literal["near", "far", "synthetic", ""]
"""How a set relates to the ID data; empty where nobody says."""

OTHER_CIFAR: dict[str, str] = {"cifar10": "cifar100", "cifar100": "cifar10"}

SCOOD_SETS = ("texture", "svhn", "tin", "lsun", "places365")
"""In the order of the G-OE authors' test.py, after the other CIFAR."""
SCOOD_COUNTS = {"cifar10": 10_000, "cifar100": 10_000, "texture": 5640, "svhn": 26_032, "tin": 10_000, "lsun": 10_000}
"""Lines of the published lists, which can be counted from their lengths; that of places365 (36,500) can't."""
SCOOD_OOD_COUNTS = {
    ("cifar10", "cifar100"): 10_000,
    ("cifar10", "tin"): 8793,
    ("cifar10", "lsun"): 9998,
    ("cifar100", "cifar10"): 10_000,
}
"""By ID set and list: images of no ID class, where they can be counted so too."""
OPENOOD_SETS: dict[str, OODKind] = {
    "tin": "near",
    "mnist": "far",
    "svhn": "far",
    "texture": "far",
    "places365": "far",
}
OPENOOD_COUNTS = {
    "cifar10": {"cifar10": 9000, "cifar100": 9000, "tin": 7793, "places365": 35_195},
    "cifar100": {"cifar100": 9000, "cifar10": 10_000, "tin": 6526, "places365": 33_773},
}
"""By ID set and list: lines of v1.5's lists, of which those of MNIST, SVHN and Textures are the same for both."""
_BUNDLES = {
    "scood": ("scood/imglist/benchmark_{}", "scood/images"),
    "openood": ("openood/benchmark_imglist/{}", "openood/images_classic"),
}
"""Where each has its lists for an ID set, and where their paths begin."""


def bundle_lists(bundle: str) -> list[tuple[str, str]]:
    """The lists of a bundle (scood, openood) that goe reads, each with the folder in which its paths begin."""
    found = []
    for dataset, other in OTHER_CIFAR.items():
        names = (other, *SCOOD_SETS) if bundle == "scood" else (dataset, other, *OPENOOD_SETS)
        found += [list_path(bundle, dataset, name) for name in names]
    return found


def list_path(bundle: str, dataset: str, name: str) -> tuple[str, str]:
    """The list of the test set `name` for an ID set, and the folder in which its paths begin."""
    lists, images = _BUNDLES[bundle]
    return f"{lists.format(dataset)}/test_{name}.txt", images
