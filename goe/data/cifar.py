"""CIFAR-10 and CIFAR-100 from torchvision's files, whose checksums it verifies."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from goe.core.errors import DataError, did_you_mean
from goe.data.source import ArraySource

NAMES = ("cifar10", "cifar100")
MEAN = (125.3 / 255, 123.0 / 255, 113.9 / 255)
"""Per channel, for both data sets, their outliers and their test sets (Koo et al. 2024, main.py)."""
STD = (63.0 / 255, 62.1 / 255, 66.7 / 255)
CLASS_NAMES: dict[str, tuple[str, ...]] = {
    "cifar10": (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
    "cifar100": (
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
        "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
        "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
        "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
        "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
        "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
        "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
        "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
        "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
        "willow_tree", "wolf", "woman", "worm",
    ),
}  # fmt: skip
"""By label, for what has to know them where the files are not: they are those of `batches.meta` and `meta`."""


def training(name: str, root: Path) -> tuple[ArraySource, tuple[str, ...]]:
    """The 50,000 training images of CIFAR under `root`, and the class names. DataError if files are missing."""
    files = _load(name, root, train=True)
    return _all(files, name), tuple(files.classes)


def test(name: str, root: Path) -> tuple[ArraySource, tuple[str, ...]]:
    """The 10,000 test images of CIFAR under `root`, and the class names. DataError if files are missing."""
    files = _load(name, root, train=False)
    return _all(files, name), tuple(files.classes)


def present(name: str, root: Path) -> bool:
    """Whether `root` has a folder for this CIFAR (its files may still turn out to be damaged)."""
    return _folder(name, root).is_dir()


def _load(name: str, root: Path, *, train: bool) -> Any:
    """The torchvision data set, its checksums verified."""
    if not present(name, root):
        raise DataError(f"{name}: {_folder(name, root)} not found; fetch it with `goe data fetch {name}`")
    with warnings.catch_warnings():
        # The original pickles hold a dtype whose flags are integers, which numpy 2.4 remarks on.
        warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
        try:
            return _kind(name)(str(root), train=train)
        except RuntimeError as error:
            bad = ", ".join(_damaged(name, root)) or str(error)
            remedy = f"delete the folder and fetch it with `goe data fetch {name}`"
            raise DataError(f"{name}: missing or altered in {_folder(name, root)}: {bad}; {remedy}") from error


def _damaged(name: str, root: Path) -> list[str]:
    """Files that are missing or have the wrong checksum."""
    from torchvision.datasets.utils import check_integrity

    kind = _kind(name)
    wanted = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
    return [file for file, md5 in wanted if not check_integrity(str(_folder(name, root) / file), md5)]


def _kind(name: str) -> Any:
    from torchvision.datasets import CIFAR10, CIFAR100

    kinds = dict(zip(NAMES, (CIFAR10, CIFAR100), strict=True))
    if name not in kinds:
        raise DataError(f'unknown CIFAR "{name}"{did_you_mean(name, NAMES)}; known: {", ".join(NAMES)}')
    return kinds[name]


def _folder(name: str, root: Path) -> Path:
    return root / str(_kind(name).base_folder)


def _all(files: Any, name: str) -> ArraySource:
    return ArraySource(name, files.data, np.asarray(files.targets, dtype=np.int64))
