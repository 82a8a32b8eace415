"""Expected figures: shared science notes, from the outlier-exposure code's own generators, and normal tables."""

import numpy as np
import pytest

from goe.data.source import TensorSet
from goe.data.synthetic import blobs, gaussian_noise


@pytest.mark.parametrize("make", [blobs, gaussian_noise])
def test_sets_are_seeded_and_begin_alike(make: object) -> None:
    assert callable(make)
    few, many = make(7), make(1005)  # more than one block of generation
    assert few.data.shape == (7, 3, 32, 32)
    assert few.data.dtype == np.float32
    assert np.array_equal(few.data, many.data[:7])
    assert np.array_equal(many.data, make(1005).data)
    assert len(np.unique(many.data.reshape(1005, -1), axis=0)) == 1005


def test_noise_is_normal_of_std_half_and_clipped() -> None:
    data = gaussian_noise(500).data
    assert np.abs(data).max() == 1
    assert np.mean(np.abs(data) == 1) == pytest.approx(0.0455, abs=0.001)  # beyond 2 standard deviations
    assert np.mean(np.abs(data) < 0.5) == pytest.approx(0.6827, abs=0.002)  # within 1
    assert data.mean() == pytest.approx(0, abs=0.002)


def test_blobs_have_the_statistics_of_the_original() -> None:
    data = blobs(1000).data
    assert np.mean(data == -1) == pytest.approx(0.79, abs=0.005)
    assert data.mean() == pytest.approx(-0.677, abs=0.01)
    red, green, _ = data.transpose(1, 0, 2, 3).reshape(3, -1)
    assert np.corrcoef(red, green)[0, 1] == pytest.approx(0.66, abs=0.02)  # 0 if channels were blurred apart
    inside = data[data > -1]
    assert inside.min() >= 0.5  # the threshold of 0.75, on the scale of [-1, 1]
    assert inside.max() <= 1


def test_a_tensor_set_is_all_ood() -> None:
    images = TensorSet("x", np.zeros((4, 3, 32, 32), dtype=np.float32))
    assert len(images) == 4
    assert images.labels().tolist() == [-1, -1, -1, -1]
