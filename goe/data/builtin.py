"""The benchmark that needs no download: scikit-learn's handwritten digits and its two sample photographs.

ID are the classes 0 to 7, 1,443 images, split once and for all: a run's seed changes neither a split nor a patch, so
all trials are trained and tested on the same images.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from goe.data.source import ArraySource, Pixels

NUM_CLASSES = 8
SIDE = 32
MIN_PATCH_SIDE = 4
"""Pixels of a photograph. Small patches are smooth, and some of them dark, which large ones of china.jpg never are."""
CHINA_SEED = 1
FLOWER_SEED = 2

_SPLIT_SEED = 0
_SPLITS = {"train": 800, "validation": 150, "test": 300}
"""Images in each split, taken in this order from one permutation; the remaining 193 are the pool."""
_LEVELS = 16
"""Brightest grey level of scikit-learn's digits."""


@dataclass(frozen=True, slots=True, eq=False)
class DigitSplits:
    """Disjoint sets of 32x32 RGB digits."""

    train: ArraySource
    validation: ArraySource
    test: ArraySource
    pool: ArraySource
    """ID images in no other split, for contaminating the outlier stream."""
    near: ArraySource
    """Digits 8 and 9: the near-OOD test set."""


def digit_splits() -> DigitSplits:
    """The digits benchmark's ID splits (800, 150, 300 and a pool of 193) and its 354 near-OOD images.

    Source: scikit-learn `load_digits` (1,797 images of the UCI Optical Recognition of Handwritten Digits test set).
    """
    from sklearn.datasets import load_digits

    raw = load_digits()
    images, targets = _enlarge(raw.images), raw.target.astype(np.int64)
    is_id = targets < NUM_CLASSES
    order = np.random.default_rng(_SPLIT_SEED).permutation(np.flatnonzero(is_id))
    parts = np.split(order, np.cumsum(list(_SPLITS.values())))
    train, validation, test, pool = (
        ArraySource(f"digits-{name}", images[part], targets[part])
        for name, part in zip((*_SPLITS, "pool"), parts, strict=True)
    )
    return DigitSplits(train, validation, test, pool, ArraySource.ood("digits-8-9", images[~is_id]))


def image_patches(photo: str, count: int, seed: int) -> ArraySource:
    """`count` random square patches of a scikit-learn sample photograph, as 32x32 RGB, all labelled OOD.

    The side is log-uniform from 4 pixels to the photograph's short side (so that every octave of scale is as frequent)
    and the place uniform. `photo` is `china.jpg` or `flower.jpg`; a longer set begins with the shorter one's patches.
    """
    from sklearn.datasets import load_sample_image

    image = Image.fromarray(load_sample_image(photo))
    rng = np.random.default_rng(seed)
    patches = np.empty((count, SIDE, SIDE, 3), dtype=np.uint8)
    for patch in patches:
        patch[:] = _resize(image, _random_square(image.size, rng))
    return ArraySource.ood(photo.removesuffix(".jpg"), patches)


def _random_square(size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a square inside a picture of (width, height) `size`."""
    width, height = size
    side = round(MIN_PATCH_SIDE * (min(size) / MIN_PATCH_SIDE) ** rng.random())
    left, top = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
    return left, top, left + side, top + side


def _resize(image: Image.Image, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """`box` of `image` at 32x32. Pillow's bilinear filter widens with the scale, so shrinking doesn't alias."""
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box))


def _enlarge(digits: NDArray[np.float64]) -> Pixels:
    """(N, 8, 8) grey levels 0 to 16 as (N, 32, 32, 3) in 0 to 255."""
    grey = np.rint(digits * (255 / _LEVELS)).astype(np.uint8)
    large = np.stack([_resize(Image.fromarray(digit), (0, 0, *digit.shape[::-1])) for digit in grey])
    return np.repeat(large[..., None], 3, axis=-1)
