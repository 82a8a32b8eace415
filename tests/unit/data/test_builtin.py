import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits, load_sample_image

from goe.data import builtin
from goe.data.builtin import DigitSplits, digit_splits, image_patches
from goe.data.source import ArraySource

ID_SPLITS = ("train", "validation", "test", "pool")


@pytest.fixture(scope="module")
def digits() -> DigitSplits:
    return digit_splits()


def parts(digits: DigitSplits) -> dict[str, ArraySource]:
    return {name: getattr(digits, name) for name in ID_SPLITS}


def test_sizes_of_the_splits(digits: DigitSplits) -> None:
    assert {name: len(part) for name, part in parts(digits).items()} == {
        "train": 800,
        "validation": 150,
        "test": 300,
        "pool": 193,
    }
    assert len(digits.near) == 354


def test_no_image_is_in_two_splits(digits: DigitSplits) -> None:
    everything = np.concatenate([digits.near.data, *(part.data for part in parts(digits).values())])
    assert len(np.unique(everything.reshape(len(everything), -1), axis=0)) == 1797


def test_every_class_is_in_every_split(digits: DigitSplits) -> None:
    for part in parts(digits).values():
        assert set(part.labels()) == set(range(8))
    assert set(digits.near.labels()) == {-1}


def test_labels_belong_to_their_images(digits: DigitSplits) -> None:
    raw = load_digits()
    for part in parts(digits).values():
        cells = part.data[..., 0].reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4))  # roughly what it was enlarged from
        distance = cdist(cells.reshape(-1, 64) * 16 / 255, raw.data)
        assert np.array_equal(part.labels(), raw.target[distance.argmin(axis=1)])


def test_digits_are_grey_and_use_the_full_range(digits: DigitSplits) -> None:
    data = digits.train.data
    assert data.shape[1:] == (32, 32, 3)
    assert (data == data[..., :1]).all()
    assert (data.min(), data.max()) == (0, 255)


def test_splits_are_the_same_each_time(digits: DigitSplits) -> None:
    again = digit_splits()
    for name, part in parts(digits).items():
        assert np.array_equal(part.data, getattr(again, name).data)
        assert np.array_equal(part.labels(), getattr(again, name).labels())


def test_patches_depend_on_their_seed_and_not_on_their_number() -> None:
    few, many = image_patches("china.jpg", 5, seed=1), image_patches("china.jpg", 9, seed=1)
    assert np.array_equal(few.data, many.data[:5])
    assert not np.array_equal(few.data, image_patches("china.jpg", 5, seed=2).data)
    assert not np.array_equal(few.data, image_patches("flower.jpg", 5, seed=1).data)
    assert (many.name, set(many.labels())) == ("china", {-1})


def test_a_patch_of_32_pixels_is_copied_exactly() -> None:
    photo = load_sample_image("flower.jpg")
    assert np.array_equal(builtin._resize(Image.fromarray(photo), (100, 50, 132, 82)), photo[50:82, 100:132])


def test_patches_are_squares_inside_the_photograph_of_log_uniform_side() -> None:
    rng = np.random.default_rng(0)
    boxes = np.array([builtin._random_square((640, 427), rng) for _ in range(4000)])
    left, top, right, bottom = boxes.T
    side = right - left
    assert (side == bottom - top).all()
    assert left.min() == 0
    assert top.min() == 0
    assert right.max() == 640
    assert bottom.max() == 427
    assert (side.min(), side.max()) == (builtin.MIN_PATCH_SIDE, 427)
    quartiles = builtin.MIN_PATCH_SIDE * (427 / builtin.MIN_PATCH_SIDE) ** np.array([0.25, 0.5, 0.75])
    assert np.quantile(side, [0.25, 0.5, 0.75]) == pytest.approx(quartiles, rel=0.06, abs=1)  # sides are whole pixels
