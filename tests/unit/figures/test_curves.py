"""The figures' curves, worked out by hand and held against the metrics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goe.figures.curves import (
    best_risk_coverage,
    histogram,
    reliability,
    risk_coverage,
    roc,
    staircase,
    thin,
    without_floor,
)
from goe.metrics import classification_metrics, detection_metrics

NAN = np.nan


def array(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def test_roc_of_four_and_four() -> None:
    fpr, tpr = roc(array(0.9, 0.8, 0.6, 0.4), array(0.7, 0.5, 0.3, 0.1))
    # from the highest down: ID ID OOD ID OOD ID OOD OOD
    assert tpr.tolist() == [0, 0.25, 0.5, 0.5, 0.75, 0.75, 1, 1, 1]
    assert fpr.tolist() == [0, 0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 1]


def test_tied_scores_are_one_sloping_step() -> None:
    fpr, tpr = roc(array(2, 1, 1, 0), array(1, 0))
    assert (fpr.tolist(), tpr.tolist()) == ([0, 0, 0.5, 1], [0, 0.25, 0.75, 1])


def test_risk_over_coverage_with_ties() -> None:
    correct = np.array([True, False, True, False])
    coverage, risk = risk_coverage(correct, array(0.9, 0.5, 0.5, 0.1))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1]
    # of the two tied answers one is wrong: half an error is expected after the first of them
    assert risk.tolist() == pytest.approx([0, 0.5 / 2, 1 / 3, 2 / 4])


def test_the_best_order_has_its_errors_last() -> None:
    coverage, risk = best_risk_coverage(np.array([False, True, True, False]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert risk.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 2])


def test_histogram_on_common_bins() -> None:
    found = histogram({"id": array(4, 4, 3, 2), "ood": array(0, 1)}, bins=4)
    assert found.edges.tolist() == [0, 1, 2, 3, 4]
    assert found.densities["id"].tolist() == [0, 0, 0.25, 0.75]  # the last bin holds both its edges
    assert found.densities["ood"].tolist() == [0.5, 0.5, 0, 0]
    assert not found.cut


def test_far_scores_do_not_squeeze_the_rest() -> None:
    near = np.linspace(0, 1, 1001)
    found = histogram({"id": near, "ood": np.append(near, -1e6)}, bins=10)
    assert found.cut
    assert found.edges[0] == pytest.approx(0, abs=0.01)
    assert found.edges[-1] == pytest.approx(1, abs=0.01)
    for density in found.densities.values():
        assert np.sum(density * np.diff(found.edges)) == pytest.approx(1)  # none is lost


def test_histogram_of_one_value() -> None:
    found = histogram({"id": array(3, 3), "ood": array(3)}, bins=2)
    assert found.edges.tolist() == [2.5, 3, 3.5]
    assert found.densities["ood"].tolist() == [0, 2]


def test_reliability_bins_hold_their_upper_edge() -> None:
    correct = np.array([True, False, True, True])
    found = reliability(correct, array(0, 0.5, 0.5, 0.75), bins=2)
    assert found.edges.tolist() == [0, 0.5, 1]
    assert found.accuracy.tolist() == pytest.approx([2 / 3, 1])
    assert found.confidence.tolist() == pytest.approx([1 / 3, 0.75])
    assert found.share.tolist() == [0.75, 0.25]


def test_an_empty_bin_is_a_gap() -> None:
    found = reliability(np.array([True]), array(1.0), bins=2)
    assert found.accuracy.tolist() == pytest.approx([NAN, 1], nan_ok=True)
    assert found.share.tolist() == [0, 1]


SCORES = st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), min_size=1, max_size=20).map(lambda found: array(*found))


@given(SCORES, SCORES)
def test_the_area_below_roc_is_the_auroc(inner: np.ndarray, outer: np.ndarray) -> None:
    fpr, tpr = roc(inner, outer)
    assert np.trapezoid(tpr, fpr) == pytest.approx(detection_metrics(inner, outer).auroc)


@given(SCORES, st.randoms(use_true_random=False))
def test_aurc_and_ece_are_those_of_the_curves(confidence: np.ndarray, random: object) -> None:
    correct = np.array([random.random() < 0.5 for _ in confidence])  # type: ignore[attr-defined]
    metrics = classification_metrics(correct, confidence)
    assert risk_coverage(correct, confidence)[1].mean() == pytest.approx(metrics.aurc)
    bins = reliability(correct, confidence)
    gap = np.nan_to_num(np.abs(bins.accuracy - bins.confidence))
    assert np.sum(gap * bins.share) == pytest.approx(metrics.ece)


def test_thinning_keeps_ends_and_spikes() -> None:
    x = np.arange(10_000, dtype=np.float64)
    y = np.zeros(10_000)
    y[[1234, 5678]] = 7, -7
    thinned, kept = thin(x, y, buckets=10)
    assert len(thinned) <= 40
    assert (thinned[0], thinned[-1]) == (0, 9999)
    assert np.all(np.diff(thinned) > 0)
    assert dict(zip(thinned, kept, strict=True))[1234.0] == 7
    assert dict(zip(thinned, kept, strict=True))[5678.0] == -7


def test_a_short_curve_is_not_thinned() -> None:
    x, y = thin(array(0, 1, 5), array(3, 2, 1), buckets=2)
    assert (x.tolist(), y.tolist()) == ([0, 1, 5], [3, 2, 1])


def test_staircase_and_floor() -> None:
    x, y = staircase(array(0, 1, 2, 3, 4, 5), array(0, 0, 2, 0, 0))
    assert x.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert y.tolist() == [0, 0, 0, 0, 2, 2, 0, 0, 0, 0]
    assert without_floor(y).tolist() == pytest.approx([NAN, NAN, NAN, 0, 2, 2, 0, NAN, NAN, NAN], nan_ok=True)
