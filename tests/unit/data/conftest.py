"""A CIFAR folder in the original pickle format, and images that carry their own number."""

import hashlib
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets

from goe.core.config import RunConfig, complete
from goe.data.source import ArraySource

CIFAR10_FILES = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta"]
CIFAR100_FILES = ["train", "test", "meta"]


class OldPickler(pickle.Pickler):
    """Writes numpy's dtypes as in 2009, with integers as flags: the real files hold `dtype('u1', 0, 1)`."""

    def reducer_override(self, item: Any) -> Any:
        return (np.dtype, ("u1", 0, 1)) if isinstance(item, np.dtype) else NotImplemented


def write_old(path: Path, content: dict[str, Any]) -> str:
    """Pickle `content` and return the file's md5."""
    with path.open("wb") as file:
        OldPickler(file, protocol=2).dump(content)
    return hashlib.md5(path.read_bytes()).hexdigest()


def cifar_pixels(count: int, seed: int) -> np.ndarray:
    """(count, 3072) random pixels: red plane, green plane, blue plane."""
    return np.random.default_rng(seed).integers(256, size=(count, 3072), dtype=np.uint8)


def write_cifar(folder: Path, files: list[str], sizes: list[int], label_key: str, names_key: str) -> dict[str, str]:
    """Write all files of a CIFAR; returns their checksums."""
    folder.mkdir(parents=True)
    classes = 100 if "fine" in label_key else 10
    sums = {}
    for number, (file, size) in enumerate(zip(files[:-1], sizes, strict=True)):
        labels = [(number + i) % classes for i in range(size)]
        sums[file] = write_old(folder / file, {"data": cifar_pixels(size, number), label_key: labels})
    names = [f"class-{n}" for n in range(classes)]
    return {**sums, files[-1]: write_old(folder / files[-1], {names_key: names})}


@pytest.fixture(scope="session")
def cifar_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data root with both CIFARs: 10,500 training images and 150 test images each."""
    root = tmp_path_factory.mktemp("cifar")
    ten, hundred = torchvision.datasets.CIFAR10, torchvision.datasets.CIFAR100
    sums = {
        ten: write_cifar(root / ten.base_folder, CIFAR10_FILES, [2100] * 5 + [150], "labels", "label_names"),
        hundred: write_cifar(
            root / hundred.base_folder, CIFAR100_FILES, [10500, 150], "fine_labels", "fine_label_names"
        ),
    }
    with pytest.MonkeyPatch.context() as patch:
        for kind, found in sums.items():
            patch.setattr(kind, "train_list", [[file, found[file]] for file, _ in kind.train_list])
            patch.setattr(kind, "test_list", [[file, found[file]] for file, _ in kind.test_list])
            patch.setattr(kind, "meta", {**kind.meta, "md5": found[kind.meta["filename"]]})
        yield root


@pytest.fixture(scope="session")
def make_config() -> Callable[..., RunConfig]:
    """A digits run, with what is given laid over it; keys as in TOML."""

    def make(**over: Any) -> RunConfig:
        problems: list[str] = []
        raw = {"experiment": "test", "seed": 0, **{key.replace("_", "-"): value for key, value in over.items()}}
        config = complete(raw, lambda _, finding: problems.append(finding))
        assert config is not None, problems
        return config

    return make


@pytest.fixture
def numbered() -> Callable[..., ArraySource]:
    """Plain-coloured images whose colour says which set and which image they are; `number_of` reads it back."""

    def make(count: int, blue: int) -> ArraySource:
        number = np.arange(count)
        colour = np.stack([number % 250 + 1, number // 250 + 1, np.full(count, blue)], axis=-1).astype(np.uint8)
        data = np.broadcast_to(colour[:, None, None, :], (count, 32, 32, 3)).copy()
        return ArraySource("numbered", data, number % 7)

    return make
