"""Metrics of a handful of scores, counted by hand."""

from math import inf, isnan, log, nan
from typing import Any

import numpy as np
import pytest

from goe.metrics import classification_metrics, detection_metrics


def test_detection_by_hand() -> None:
    # From the top: ID .9, OOD .8, ID .7, ID .6, OOD .5.
    found = detection_metrics([0.9, 0.7, 0.6], [0.8, 0.5])
    # Pairs won by ID: .9 both, .7 one, .6 one: 4 of 6.
    assert found.auroc == pytest.approx(4 / 6)
    # Precision at each ID: 1/1, 2/3, 3/4; each adds a third of recall.
    assert found.aupr_in == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    # From the bottom: OOD .5 at 1/1, OOD .8 at 2/4.
    assert found.aupr_out == pytest.approx((1 + 2 / 4) / 2)
    # All 3 ID are accepted from .6 on, and so is OOD .8.
    assert found.fpr95 == pytest.approx(1 / 2)
    # Threshold .9: (2/3 + 0)/2 = 1/3; .6: (0 + 1/2)/2 = 1/4, the least.
    assert found.detection_error == pytest.approx(1 / 4)


def test_detection_with_ties_by_hand() -> None:
    # From the top: {ID, ID, OOD} at 2, {ID, OOD} at 1.
    found = detection_metrics([2, 2, 1], [2, 1])
    # Pairs: 2 against 2: half each, 2 of them; 2 against 1: won, 2; 1 against 2: lost; 1 against 1: half. 3.5 of 6.
    assert found.auroc == pytest.approx(3.5 / 6)
    # At 2: precision 2/3, recall 2/3; at 1: precision 3/5, recall 1.
    assert found.aupr_in == pytest.approx(2 / 3 * 2 / 3 + 1 / 3 * 3 / 5)
    # From the bottom, at 1: 1/2, recall 1/2; at 2: 2/5, recall 1.
    assert found.aupr_out == pytest.approx(1 / 2 * 1 / 2 + 1 / 2 * 2 / 5)
    assert found.fpr95 == 1
    # Threshold 2: (1/3 + 1/2)/2 = 5/12 is below 1/2, that of accepting all or none.
    assert found.detection_error == pytest.approx(5 / 12)


def test_perfect_and_hopeless_separation() -> None:
    best, worst = detection_metrics([3, 4], [1, 2]), detection_metrics([1, 2], [3, 4])
    assert (best.auroc, best.aupr_in, best.aupr_out, best.fpr95, best.detection_error) == (1, 1, 1, 0, 0)
    assert (worst.auroc, worst.fpr95, worst.detection_error) == (0, 1, 0.5)


def test_equal_scores_say_nothing() -> None:
    found = detection_metrics(np.ones(3), np.ones(1))
    assert (found.auroc, found.aupr_in, found.aupr_out) == (0.5, 0.75, 0.25)
    assert (found.fpr95, found.detection_error) == (1, 0.5)


@pytest.mark.parametrize("n", [20, 40, 100, 10_000])
def test_fpr95_accepts_exactly_95_percent_where_it_can(n: int) -> None:
    # ID 1..n: the threshold is n/20 + 1; OOD lies just below and at it.
    threshold = n // 20 + 1
    found = detection_metrics(np.arange(1, n + 1), [threshold - 0.5, threshold, threshold - 0.5, threshold - 0.5])
    assert found.fpr95 == 0.25


def test_fpr95_rounds_the_accepted_share_up() -> None:
    # Of 10 ID, 9 are 90 %, so all 10 must be accepted.
    assert detection_metrics(np.arange(10), [0.5, -0.5]).fpr95 == 0.5


@pytest.mark.parametrize(
    ("id_scores", "ood_scores", "message"),
    [
        ([], [1.0], "id_scores: shape \\(0,\\); expected one dimension and at least one value"),
        ([1.0], [], "ood_scores: shape \\(0,\\)"),
        ([[1.0]], [1.0], "id_scores: shape \\(1, 1\\)"),
        ([1.0, nan], [1.0], "id_scores: 1 of 2 values are NaN or infinite"),
        ([1.0], [inf, -inf], "ood_scores: 2 of 2 values"),
    ],
)
def test_unusable_scores_are_refused(id_scores: Any, ood_scores: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detection_metrics(id_scores, ood_scores)


def test_classification_by_hand() -> None:
    # From the surest: right .9, wrong .8, right .7, right .3.
    found = classification_metrics([True, False, True, True], [0.9, 0.8, 0.7, 0.3])
    assert found.accuracy == 0.75
    assert found.auroc == pytest.approx(1 / 3)  # only .9 beats the wrong one
    assert found.aupr_error == pytest.approx(1 / 3)  # from the least sure, the wrong one comes third
    assert found.fpr95 == 1
    # Error rates among the 1, 2, 3, 4 surest: 0, 1/2, 1/3, 1/4.
    assert found.aurc == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert found.e_aurc == pytest.approx(found.aurc - (1 / 4 + 3 / 4 * log(3 / 4)))
    # Each alone in its bin: gaps .1, .8, .3, .7.
    assert found.ece == pytest.approx(1.9 / 4)


def test_aurc_is_the_expected_value_over_ties() -> None:
    # One wrong among two at .9: 1/2 expected after one, 1 after two; then 1 of 3.
    found = classification_metrics([1, 0, 1], [0.9, 0.9, 0.2])
    assert found.aurc == pytest.approx((1 / 2 + 1 / 2 + 1 / 3) / 3)


def test_ece_bins_are_open_below_and_closed_above() -> None:
    # 1/15 belongs to the first bin together with .05: gap |1 + 0 - (1/15 + .05)|; one bin further they would add up.
    found = classification_metrics([True, False], [1 / 15, 0.05])
    assert found.ece == pytest.approx((1 - 1 / 15 - 0.05) / 2)
    assert classification_metrics([True, False], [1 / 15 + 1e-9, 0.05]).ece == pytest.approx((1 - 1 / 15 + 0.05) / 2)


def test_ece_counts_confidence_zero() -> None:
    assert classification_metrics([True, True], [0.0, 1.0]).ece == pytest.approx(0.5)


@pytest.mark.parametrize("outside", [-0.1, 1.1, 17.0])
def test_ece_of_what_is_no_probability_is_nan(outside: float) -> None:
    found = classification_metrics([True, False], [outside, 0.5])
    assert isnan(found.ece)
    assert found.auroc in (0, 1)


def test_all_right() -> None:
    found = classification_metrics(np.ones(3, dtype=bool), [0.5, 0.6, 0.7])
    assert isnan(found.auroc)
    assert isnan(found.aupr_error)
    assert isnan(found.fpr95)
    assert (found.accuracy, found.aurc, found.e_aurc) == (1, 0, 0)


def test_all_wrong() -> None:
    found = classification_metrics(np.zeros(3, dtype=bool), [0.5, 0.6, 0.7])
    assert isnan(found.auroc)
    assert (found.accuracy, found.aurc, found.e_aurc) == (0, 1, 0)


@pytest.mark.parametrize(
    ("correct", "confidence", "message"),
    [
        ([], [], "confidence: shape \\(0,\\)"),
        ([True], [nan], "confidence: 1 of 1 values are NaN"),
        ([True, False], [0.5], "correct: shape \\(2,\\); expected that of confidence, \\(1,\\)"),
        ([7], [0.5], "correct: values other than 0 and 1"),
    ],
)
def test_unusable_answers_are_refused(correct: Any, confidence: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classification_metrics(correct, confidence)
