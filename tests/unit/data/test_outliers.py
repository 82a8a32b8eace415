from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from goe.core.config import RunConfig
from goe.core.errors import DataError
from goe.data import outliers as module
from goe.data.files import ImageFiles
from goe.data.outliers import OutlierSet, contaminate, images_in_npy, outlier_source, tiny_images
from goe.data.source import ArraySource
from goe.data.tinyimages import TinyImages

Numbered = Callable[..., ArraySource]
RANDOM_300K_FILE = "300K_random_images.npy"
CLEAN, POOL = 10, 200
"""Values of the blue channel."""


def clean_set(numbered: Numbered, count: int) -> OutlierSet:
    source = ArraySource.ood("clean", numbered(count, blue=CLEAN).data)
    return OutlierSet(source, is_id=np.zeros(count, dtype=np.bool_))


def all_images(outliers: OutlierSet) -> np.ndarray:
    return outliers.source.images(np.arange(len(outliers.source)))


@pytest.mark.parametrize(("share", "count"), [(0.1, 41), (0.25, 102), (0.75, 307), (1.0, 409)])
def test_exactly_the_share_is_replaced_and_the_truth_is_kept(numbered: Numbered, share: float, count: int) -> None:
    mixed = contaminate(clean_set(numbered, 409), numbered(30, blue=POOL), share)
    images = all_images(mixed)
    assert mixed.is_id is not None
    assert mixed.is_id.sum() == count
    assert np.array_equal(images[:, 0, 0, 2] == POOL, mixed.is_id)
    assert np.array_equal(images[~mixed.is_id], numbered(409, blue=CLEAN).data[~mixed.is_id])


@pytest.mark.parametrize("share", [0.05, 0.4, 1.0])
def test_pool_images_are_used_equally_often(numbered: Numbered, share: float) -> None:
    mixed = contaminate(clean_set(numbered, 400), numbered(30, blue=POOL), share)
    used = all_images(mixed)[mixed.is_id][:, 0, 0, 0] - 1
    counts = np.bincount(used, minlength=30)
    assert len(counts) == 30
    assert counts.max() - counts.min() <= 1


def test_labels_are_the_true_classes(numbered: Numbered) -> None:
    pool = numbered(30, blue=POOL)
    mixed = contaminate(clean_set(numbered, 100), pool, 0.3)
    labels, images = mixed.source.labels(), all_images(mixed)
    assert mixed.is_id is not None
    assert (labels[~mixed.is_id] == -1).all()
    from_pool = images[mixed.is_id][:, 0, 0, 0] - 1
    assert np.array_equal(labels[mixed.is_id], pool.labels()[from_pool])


def test_images_come_in_the_order_asked_for(numbered: Numbered) -> None:
    mixed = contaminate(clean_set(numbered, 100), numbered(30, blue=POOL), 0.5)
    index = np.array([7, 99, 7, 0, 42])
    assert np.array_equal(mixed.source.images(index), all_images(mixed)[index])


def test_a_higher_share_replaces_more_of_the_same(numbered: Numbered) -> None:
    low = contaminate(clean_set(numbered, 200), numbered(30, blue=POOL), 0.1)
    high = contaminate(clean_set(numbered, 200), numbered(30, blue=POOL), 0.4)
    assert low.is_id is not None
    assert high.is_id is not None
    assert high.is_id[low.is_id].all()
    assert np.array_equal(all_images(low)[low.is_id], all_images(high)[low.is_id])


def test_no_contamination_changes_nothing(numbered: Numbered) -> None:
    unknown = OutlierSet(numbered(20, blue=CLEAN), is_id=None)
    assert contaminate(unknown, numbered(5, blue=POOL), 0.0).is_id is None
    known = contaminate(unknown, numbered(5, blue=POOL), 0.25)
    assert known.is_id is not None
    assert known.is_id.sum() == 5


def test_contamination_leaves_both_sets_as_they_were(numbered: Numbered) -> None:
    clean, pool = clean_set(numbered, 50), numbered(5, blue=POOL)
    all_images(contaminate(clean, pool, 0.5))
    assert np.array_equal(all_images(clean), numbered(50, blue=CLEAN).data)
    assert np.array_equal(pool.data, numbered(5, blue=POOL).data)


def test_random_300k_is_mapped_and_not_read(tmp_path: Path, numbered: Numbered) -> None:
    data = numbered(12, blue=CLEAN).data
    np.save(tmp_path / RANDOM_300K_FILE, data)
    source = images_in_npy("random-300k", tmp_path / RANDOM_300K_FILE)
    assert isinstance(source.data, np.memmap)
    assert len(source) == 12
    picked = source.images(np.array([3, 11, 3]))
    assert type(picked) is np.ndarray
    assert np.array_equal(picked, data[[3, 11, 3]])
    assert set(source.labels()) == {-1}


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((4, 32, 32, 3), np.float32), "float32 of shape (4, 32, 32, 3)"),
        (np.zeros((4, 3, 32, 32), np.uint8), "uint8 of shape (4, 3, 32, 32)"),
        (np.zeros((4, 3072), np.uint8), "uint8 of shape (4, 3072)"),
        (np.zeros((0, 32, 32, 3), np.uint8), "uint8 of shape (0, 32, 32, 3)"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, array: np.ndarray, found: str) -> None:
    np.save(tmp_path / RANDOM_300K_FILE, array)
    with pytest.raises(DataError) as caught:
        images_in_npy("random-300k", tmp_path / RANDOM_300K_FILE)
    assert found in str(caught.value)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / RANDOM_300K_FILE
    np.save(path, np.zeros((4, 32, 32, 3), np.uint8))
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:50], b"", b"<html>404 Not Found</html>"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="can't be read") as caught:
            images_in_npy("random-300k", tmp_path / RANDOM_300K_FILE)
        assert "allow_pickle" not in str(caught.value)
    assert "it begins with b'<html>', as no .npy does; download it again" in str(caught.value)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / RANDOM_300K_FILE, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"can't be read: .*(pickle|object)"):
        images_in_npy("random-300k", tmp_path / RANDOM_300K_FILE)


def test_another_number_than_published_is_said(tmp_path: Path, make_config: Callable[..., RunConfig]) -> None:
    np.save(tmp_path / RANDOM_300K_FILE, np.zeros((4, 32, 32, 3), np.uint8))
    said: list[str] = []
    config = make_config(dataset="cifar10", outliers="random-300k")
    assert len(outlier_source(config, ImageFiles(tmp_path, say=said.append)).source) == 4
    assert said == ["random-300k: 4 images, the published set has 300,000"]


def test_an_archive_is_refused(tmp_path: Path) -> None:
    with (tmp_path / RANDOM_300K_FILE).open("wb") as file:
        np.savez(file, data=np.zeros((4, 32, 32, 3), np.uint8))
    with pytest.raises(DataError, match="an archive"):
        images_in_npy("random-300k", tmp_path / RANDOM_300K_FILE)


def test_a_source_of_floats_or_of_too_few_labels_is_refused(numbered: Numbered) -> None:
    data = numbered(3, blue=CLEAN).data
    with pytest.raises(DataError, match="expected uint8"):
        ArraySource("x", data.astype(np.float32), np.zeros(3, dtype=np.int64))
    with pytest.raises(DataError, match="2 labels for 3 images"):
        ArraySource("x", data, np.zeros(2, dtype=np.int64))


@pytest.fixture
def tiny_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in of 20 images in the exact format, image i of level i."""
    monkeypatch.setattr(module, "COUNT", 20)
    (tmp_path / "tiny_images.bin").write_bytes(np.repeat(np.arange(20, dtype=np.uint8), 3072).tobytes())
    (tmp_path / "80mn_cifar_idxs.txt").write_text("1\n4\n20\n")  # from 1: images 0, 3 and 19
    (tmp_path / "valid_idx_80mn.txt").write_text("5\n6")  # from 0
    return tmp_path


def test_tiny_images_without_cifars_and_validation_images(
    tiny_root: Path, make_config: Callable[..., RunConfig]
) -> None:
    for exclude, left_out in (
        (None, {0, 3, 19}),
        (["80mn_cifar_idxs.txt", "valid_idx_80mn.txt"], {0, 3, 5, 6, 19}),
        ([], set()),
    ):
        said: list[str] = []
        options = {} if exclude is None else {"exclude": exclude}
        config = make_config(dataset="cifar10", outliers={"source": "tiny-images", **options})
        found = outlier_source(config, ImageFiles(tiny_root, say=said.append)).source
        assert isinstance(found, TinyImages)
        assert found.images(np.arange(len(found)))[:, 0, 0, 0].tolist() == sorted(set(range(20)) - left_out)
        assert any("withdrawn on 29 June 2020" in line for line in said)
        assert said[-1].startswith("tiny-images: ")
        assert said[-1].endswith(f" left out, {20 - len(left_out)} remain")
        for listed in exclude or []:
            counted = {"80mn_cifar_idxs.txt": "3 listed in {} (counted from 1)"}
            assert counted.get(listed, "2 listed in {} (counted from 0)").format(listed) in said[-1]
        found.close()


def test_only_a_lists_own_name_says_how_it_counts(tiny_root: Path) -> None:
    (tiny_root / "cifar").mkdir()
    (tiny_root / "cifar/valid_idx_80mn.txt").write_text("5\n")
    said: list[str] = []
    source = tiny_images(tiny_root / "tiny_images.bin", tiny_root, ["cifar/valid_idx_80mn.txt"], said.append)
    assert source.images(np.arange(19))[:, 0, 0, 0].tolist() == sorted(set(range(20)) - {5})
    assert said == ["tiny-images: 1 listed in cifar/valid_idx_80mn.txt (counted from 0) left out, 19 remain"]
    source.close()


def test_cifars_validation_images_are_no_tiny_images(tiny_root: Path) -> None:
    (tiny_root / "valid_idx_cifar10.txt").write_text("5\n")
    with pytest.raises(DataError, match=r"valid_idx_cifar10.txt lists validation images of CIFAR itself, .*80mn.txt"):
        tiny_images(tiny_root / "tiny_images.bin", tiny_root, ["valid_idx_cifar10.txt"])


def test_tiny_images_can_be_contaminated(tiny_root: Path, numbered: Numbered) -> None:
    source = tiny_images(tiny_root / "tiny_images.bin", tiny_root, [])
    mixed = contaminate(OutlierSet(source, is_id=None), numbered(5, blue=POOL), 0.25)
    images = all_images(mixed)
    assert mixed.is_id is not None
    assert mixed.is_id.sum() == 5
    assert np.array_equal(images[:, 0, 0, 2] == POOL, mixed.is_id)
    assert images[~mixed.is_id][:, 0, 0, 0].tolist() == np.flatnonzero(~mixed.is_id).tolist()
    source.close()


def test_what_is_wrong_with_tiny_images(tiny_root: Path) -> None:
    path = tiny_root / "tiny_images.bin"
    with pytest.raises(DataError, match=r"absent.txt not found, which lists the images to leave out; .*exclude = \[\]"):
        tiny_images(path, tiny_root, ["absent.txt"])
    (tiny_root / "valid_idx_80mn.txt").write_text("20\n")
    with pytest.raises(DataError, match=r'valid_idx_80mn.txt: line 1 "20"; expected one number from 0 to 19 a line'):
        tiny_images(path, tiny_root, ["valid_idx_80mn.txt"])
    path.write_bytes(path.read_bytes()[:-3072])
    with pytest.raises(DataError, match=r"has 58,368 bytes; expected 61,440 .*a truncated copy"):
        tiny_images(path, tiny_root, [])
