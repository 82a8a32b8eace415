"""Generated OOD test sets, as in the outlier-exposure code (Hendrycks et al., ICLR 2019) and G-OE's.

They are floats in [-1, 1] that enter the network **without** normalisation, as there; unlike there they are seeded, so
that every trial is tested on the same images. A set of n images begins with the images of any smaller one.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from goe.data.source import TensorSet

SIDE = 32

_NOISE_SEED = 1
_BLOBS_SEED = 2
_UNIFORM_SEED = 3
_RADEMACHER_SEED = 4
_NOISE_STD = 0.5
_INK = 0.7
"""Share of pixels that are on before the blur."""
_BLUR = 1.5
"""Standard deviation of the blur, in pixels."""
_THRESHOLD = 0.75
_BLOCK = 1000
"""Images generated at a time, which bounds the float64 working memory to about 50 MB."""


def gaussian_noise(count: int) -> TensorSet:
    """Normal noise of standard deviation 0.5, clipped to [-1, 1]; (count, 3, 32, 32)."""
    noise = np.random.default_rng(_NOISE_SEED).standard_normal((count, 3, SIDE, SIDE), dtype=np.float32)
    return TensorSet("gaussian-noise", np.clip(noise * _NOISE_STD, -1, 1))


def uniform_noise(count: int) -> TensorSet:
    """Values uniform over [-1, 1); (count, 3, 32, 32)."""
    noise = np.random.default_rng(_UNIFORM_SEED).random((count, 3, SIDE, SIDE), dtype=np.float32)
    return TensorSet("uniform-noise", noise * 2 - 1)


def rademacher_noise(count: int) -> TensorSet:
    """Each value -1 or 1; (count, 3, 32, 32)."""
    noise = np.random.default_rng(_RADEMACHER_SEED).integers(2, size=(count, 3, SIDE, SIDE), dtype=np.int8)
    return TensorSet("rademacher-noise", noise.astype(np.float32) * 2 - 1)


def blobs(count: int) -> TensorSet:
    """Amorphous shapes with sharp edges; (count, 3, 32, 32). 79 % of the values are -1."""
    rng = np.random.default_rng(_BLOBS_SEED)
    data = np.empty((count, 3, SIDE, SIDE), dtype=np.float32)
    for start in range(0, count, _BLOCK):
        block = data[start : start + _BLOCK]
        block[:] = _blobs(len(block), rng).transpose(0, 3, 1, 2)
    return TensorSet("blobs", data)


def _blobs(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(count, 32, 32, 3) in [-1, 1]."""
    from scipy.ndimage import gaussian_filter  # takes half a second, which a run's start is spared

    ink = (rng.random((count, SIDE, SIDE, 3)) < _INK).astype(np.float64)
    # The blur runs across the channels too: the original's skimage call left `multichannel` off, and results follow it.
    soft = gaussian_filter(ink, (0, _BLUR, _BLUR, _BLUR), mode="nearest", truncate=4.0)
    soft[soft < _THRESHOLD] = 0
    return soft * 2 - 1


SETS: dict[str, Callable[[int], TensorSet]] = {
    "blobs": blobs,
    "gaussian-noise": gaussian_noise,
    "uniform-noise": uniform_noise,
    "rademacher-noise": rademacher_noise,
}
"""Generated sets by name."""
