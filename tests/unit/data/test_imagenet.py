"""Downsampled ImageNet: ten batches as published become one array, once, and nothing in them is run."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from goe.core.errors import DataError
from goe.data import imagenet as module
from goe.data.imagenet import imagenet


def write(folder: Path, side: int, sizes: list[int]) -> np.ndarray:
    """Batches of random planes; returns the images as (N, side, side, 3)."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    everything = []
    for number, size in enumerate(sizes, 1):
        planes = rng.integers(256, size=(size, 3 * side * side), dtype=np.uint8)
        batch = {"data": planes, "labels": [1] * size, "mean": planes.mean(axis=0)}
        (folder / f"train_data_batch_{number}").write_bytes(pickle.dumps(batch, protocol=2))
        everything.append(planes.reshape(-1, 3, side, side).transpose(0, 2, 3, 1))
    return np.concatenate(everything)


SIZES = [3, 1, 2, 1, 1, 1, 1, 1, 1, 4]


def test_images_of_32_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = write(tmp_path / "in", 32, SIZES)
    source = imagenet("imagenet-32", tmp_path / "in", tmp_path / "cache")
    assert isinstance(source.data, np.memmap)
    assert np.array_equal(source.images(np.arange(16)), expected)
    assert set(source.labels()) == {-1}
    monkeypatch.setattr(module, "_read", lambda _: pytest.fail("converted again"))
    assert len(imagenet("imagenet-32", tmp_path / "in", tmp_path / "cache")) == 16


def test_a_cut_cache_is_made_again(tmp_path: Path) -> None:
    expected = write(tmp_path / "in", 32, SIZES)
    imagenet("imagenet-32", tmp_path / "in", tmp_path / "cache")
    (cached,) = (tmp_path / "cache").glob("*.npy")
    for content in (cached.read_bytes()[:-1], cached.read_bytes()[:60], b""):
        cached.write_bytes(content)
        assert np.array_equal(imagenet("imagenet-32", tmp_path / "in", tmp_path / "cache").data, expected)


def test_batches_that_were_exchanged_are_read_again(tmp_path: Path) -> None:
    write(tmp_path / "in", 32, SIZES)
    imagenet("imagenet-32", tmp_path / "in", tmp_path / "cache")
    batch = tmp_path / "in/train_data_batch_2"
    other = {"data": np.full((1, 3072), 7, np.uint8), "labels": [1], "mean": np.full(3072, 7.0)}
    batch.write_bytes(pickle.dumps(other, protocol=2))
    os.utime(batch, ns=(0, 0))
    assert (imagenet("imagenet-32", tmp_path / "in", tmp_path / "cache").data[3] == 7).all()


def test_images_of_64_pixels_are_halved(tmp_path: Path) -> None:
    large = write(tmp_path / "in", 64, SIZES).astype(np.float64)
    source = imagenet("imagenet-64", tmp_path / "in", tmp_path / "cache")
    means = large.reshape(16, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    assert np.abs(source.data - means).max() <= 0.5


def test_missing_batches_are_named(tmp_path: Path) -> None:
    write(tmp_path, 32, SIZES[:8])
    with pytest.raises(DataError, match="lacks train_data_batch_9, train_data_batch_10; put all 10 batches there"):
        imagenet("imagenet-32", tmp_path, tmp_path / "cache")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return __import__("os").system, ("false",)


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (pickle.dumps({"data": Evil()}), "can't be read: it asks for .*system, which a batch of images has no need of"),
        (pickle.dumps({"images": 1}), "can't be read: 'data'"),
        (b"cut", "can't be read"),
        (pickle.dumps({"data": np.zeros((2, 27), np.uint8)}), r"holds uint8 of shape \(2, 27\); expected"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.float32)}), "holds float32 of shape"),
    ],
)
def test_strange_batches_are_refused_and_nothing_is_left(tmp_path: Path, content: bytes, finding: str) -> None:
    write(tmp_path / "in", 32, SIZES)
    (tmp_path / "in/train_data_batch_4").write_bytes(content)
    with pytest.raises(DataError, match=finding):
        imagenet("imagenet-32", tmp_path / "in", tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.npy"))
    assert not list((tmp_path / "cache").glob("*.part"))
