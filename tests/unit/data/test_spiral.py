"""The two spirals: geometry by hand, sets that stay apart, and points on their way to the network."""

import numpy as np
import pytest
import torch

from goe.core.config import RunConfig, complete
from goe.data import spiral
from goe.data.catalog import load_evaluation, load_training
from goe.data.loader import TrainData
from goe.data.source import TensorSet


def config(**over: object) -> RunConfig:
    raw = {"experiment": "x", "seed": 1, "dataset": "spiral", **over}
    found = complete(raw, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert found is not None
    return found


def units(points: TensorSet) -> np.ndarray:
    """In the plane's own units."""
    return points.data.astype(np.float64) * 10


def test_an_arm_by_hand() -> None:
    points = spiral.arm(np.array([0.0, np.pi / 2, np.pi, 2 * np.pi]))
    turns = [(0, 0), (0, 1.5 * np.pi / 2), (1.5 * np.pi, 0), (-3 * np.pi, 0)]
    assert points == pytest.approx(np.array(turns), abs=1e-12)
    end = spiral.arm(np.array([np.deg2rad(780)]))[0]
    assert end == pytest.approx([-10.21, 17.68], abs=0.01)


def test_distances_by_hand() -> None:
    on, between = 1.5 * np.pi, 1.5 * 1.5 * np.pi  # the first arm crosses the axis, then the second half a turn on
    points = np.array([[on, 0.0], [-on, 0.0], [on + 0.3, 0.0], [100.0, 0.0]])
    found = spiral.distance_to_arms(points)
    assert found[:2] == pytest.approx([0, 0], abs=0.01)
    assert found[2] == pytest.approx(0.3, abs=0.03)  # the arm crosses at a slant
    assert found[3] > 79
    assert spiral.distance_to_arms(np.array([[between, 0.0]]))[0] == pytest.approx(2.3, abs=0.1)


def test_splits_are_draws_of_their_own_with_the_noise_asked_for() -> None:
    found = spiral.splits()
    sets = (found.train, found.validation, found.test)
    assert [len(part) for part in sets] == [2000, 500, 1000]
    assert len({tuple(point) for part in sets for point in part.data.tolist()}) == 3500
    for part in sets:
        assert np.bincount(part.labels()).tolist() == [len(part) // 2] * 2
        distance = spiral.distance_to_arms(units(part))
        assert np.mean(distance <= spiral.ON_ARM) == pytest.approx(0.954, abs=0.03)  # two standard deviations
    again = spiral.splits()
    assert np.array_equal(again.train.data, found.train.data)


def test_the_second_class_is_the_first_turned_by_half() -> None:
    train = spiral.splits().train
    nearest = spiral.distance_to_arms(units(train))
    line = spiral.arm(np.linspace(0, spiral.TURN, 4096))
    first = np.sqrt(((units(train)[:, None] - line) ** 2).sum(2).min(1))
    far_out = np.hypot(*units(train).T) > 4  # near the origin the arms meet
    assert np.mean((first - nearest < 1e-9)[far_out & (train.labels() == 0)]) > 0.999
    assert np.mean((first - nearest < 1e-9)[far_out & (train.labels() == 1)]) < 0.001


def test_outliers_fill_the_square_and_those_on_an_arm_are_known() -> None:
    points, is_id = spiral.outliers(20_000)
    assert np.abs(points.data).max() <= 4.0
    assert units(points).mean(0) == pytest.approx([0, 0], abs=4 * 40 / np.sqrt(3 * 20_000))
    assert np.array_equal(is_id, spiral.distance_to_arms(units(points)) <= 1 + 1e-5)
    assert is_id.mean() == pytest.approx(0.0915, abs=0.01)
    assert (points.labels() == -1).all()


def test_far_and_gaps_are_where_they_should_be() -> None:
    far, gaps = spiral.far(), spiral.gaps()
    assert (len(far), len(gaps)) == (2000, 2000)
    assert np.hypot(*units(far).T).min() > 25 - 1e-4
    assert np.hypot(*units(gaps).T).max() <= 18 + 1e-4
    assert spiral.distance_to_arms(units(gaps)).min() >= 1.5 - 1e-4


def test_points_come_as_they_are_and_the_same_again(tmp_path: object) -> None:
    run = config(method="oe", **{"batch-size": 64, "outlier-batch-size": 32})
    sets = load_training(run, tmp_path)  # type: ignore[arg-type]
    data = TrainData(sets, run, torch.device("cpu"))
    train = spiral.splits().train
    seen = []
    for batch, again in zip(data.epoch(3), data.epoch(3), strict=True):
        assert torch.equal(batch.x, again.x)
        assert torch.equal(batch.x_out, again.x_out)
        assert batch.x.dtype == torch.float32
        assert np.array_equal(batch.x.numpy(), train.data[batch.index.numpy()])
        assert np.array_equal(batch.y.numpy(), train.labels()[batch.index.numpy()])
        assert batch.x_out.shape == (32, 2)
        seen += batch.index.tolist()
    assert sorted(seen) == list(range(2000))
    baseline = config(method="baseline")
    plain = TrainData(load_training(baseline, tmp_path), baseline, torch.device("cpu"))  # type: ignore[arg-type]
    assert next(plain.epoch(0)).x_out.shape == (0, 2)


def test_evaluation_has_far_and_gaps(tmp_path: object) -> None:
    sets = load_evaluation(config(), tmp_path)  # type: ignore[arg-type]
    assert (sets.benchmark.num_classes, len(sets.test)) == (2, 1000)
    assert [(ood.name, ood.kind) for ood in sets.ood] == [("far", "far"), ("gaps", "near")]
