"""Metrics of a handful of scores, counted by hand."""

from dataclasses import replace
from math import inf, isnan, log, nan
from typing import Any

import numpy as np
import pytest

from goe.metrics import classification_metrics, detection_metrics, threshold_at


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


def test_against_id_by_hand() -> None:
    # Removed from the bottom: OOD .5, ID .6, ID .7, OOD .8, ID .9.
    found = detection_metrics([0.9, 0.7, 0.6], [0.8, 0.5], ties="against-id")
    assert found.auroc == pytest.approx(4 / 6)
    # From the top, precision 0 before any, 1 at recall 1/3, 1/2 after OOD .8, 2/3 and 3/4 with the other ID.
    assert found.aupr_in == pytest.approx(((0 + 1) / 2 + (1 / 2 + 2 / 3) / 2 + (2 / 3 + 3 / 4) / 2) / 3)
    # From the bottom, precision 0 before any, 1 at recall 1/2; 1/2 and 1/3 after ID .6 and .7; 2/4 with OOD .8.
    assert found.aupr_out == pytest.approx(((0 + 1) / 2 + (1 / 3 + 2 / 4) / 2) / 2)
    # 3 of 3 is nearer to .95 than 2 of 3, and before any is removed all OOD is accepted.
    assert found.fpr95 == 1
    assert found.detection_error == pytest.approx(1 / 4)


def test_against_id_with_ties_by_hand() -> None:
    # From the bottom: ID 1, OOD 1, ID 2, ID 2, OOD 2.
    found = detection_metrics([2, 2, 1], [2, 1], ties="against-id")
    assert found.auroc == pytest.approx(2 / 6)  # only 2 against 1 is won, twice: mid-rank's 3.5 less half of 3 ties
    # From the top: OOD 2 at precision 0, then 1/2, 2/3, after OOD 1 1/2, then 3/5.
    assert found.aupr_in == pytest.approx(((0 + 1 / 2) / 2 + (1 / 2 + 2 / 3) / 2 + (1 / 2 + 3 / 5) / 2) / 3)
    # From the bottom: ID 1 at precision 0, then 1/2, after both ID 2 1/4, then 2/5.
    assert found.aupr_out == pytest.approx(((0 + 1 / 2) / 2 + (1 / 4 + 2 / 5) / 2) / 2)
    assert found.fpr95 == 1
    # Best with both ID 2 and OOD 2 left: (1/3 + 1/2)/2.
    assert found.detection_error == pytest.approx(5 / 12)


@pytest.mark.parametrize("n", [20, 100, 10_000])
def test_fpr95_against_id_goes_down_to_the_next_id_score(n: int) -> None:
    # ID 1..n: with n/20 ID removed, OOD at or above the last one removed is still accepted.
    last = n // 20
    outer = [last + 0.5, last, last - 0.5, last - 0.5]
    assert detection_metrics(np.arange(1, n + 1), outer, ties="against-id").fpr95 == 0.5
    assert detection_metrics(np.arange(1, n + 1), outer).fpr95 == 0


def test_positive_ood_asks_for_95_percent_of_ood() -> None:
    inner, outer = [0.9, 0.7, 0.6], [0.8, 0.5]
    found = detection_metrics(inner, outer, positive="ood")
    # Both OOD are rejected above .8, and so are ID .7 and .6.
    assert found.fpr95 == pytest.approx(2 / 3)
    as_id = detection_metrics(inner, outer)
    assert (found.auroc, found.aupr_in, found.aupr_out) == (as_id.auroc, as_id.aupr_in, as_id.aupr_out)
    assert found.detection_error == as_id.detection_error


def test_positive_ood_rounds_the_rejected_share_up_and_rejects_ties_together() -> None:
    # 19 of 20 OOD are rejected up to 18, where ID ties; 18.5 is kept.
    inner = [17.5, 18, 18, 18.5, 20]
    assert detection_metrics(inner, np.arange(20), positive="ood").fpr95 == 3 / 5
    # Of 10 OOD all must be rejected: up to 9, where ID ties.
    assert detection_metrics([8.5, 9, 9.5], np.arange(10), positive="ood").fpr95 == pytest.approx(2 / 3)


def test_positive_ood_against_id_goes_up_to_the_next_ood_score() -> None:
    # With OOD 0..18 of 0..19 rejected, so is ID below 19; a tie is rejected before OOD 19 is.
    found = detection_metrics([18.5, 19, 19.5, 20], np.arange(20), positive="ood", ties="against-id")
    assert found.fpr95 == 2 / 4


def test_ccr_by_hand() -> None:
    # 20,000 OOD: the 2nd, 20th, 200th and 2,000th highest are 19998, 19980, 19800 and 18000.
    outer = np.arange(20_000)
    inner = [19_999.5, 19_998, 19_990, 19_900, 19_000, 18_000, 10, 30_000]
    found = detection_metrics(inner, outer, correct=[1, 1, 1, 1, 1, 1, 1, 0])
    # Strictly above, and right: the surest is wrong, and 19998 and 18000 are thresholds themselves.
    assert found.ccr_1e4 == 1 / 8
    assert found.ccr_1e3 == 3 / 8
    assert found.ccr_1e2 == 4 / 8
    assert found.ccr_1e1 == 5 / 8


def test_ccr_of_few_ood_lets_none_pass_but_at_one_in_ten() -> None:
    # Of 11 OOD, ceil(1.1) = 2: above the second highest; below that always the highest.
    found = detection_metrics([7, 5, 3], [6, 4, *range(-9, 0)], correct=[True, True, True])
    assert (found.ccr_1e4, found.ccr_1e3, found.ccr_1e2) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert found.ccr_1e1 == pytest.approx(2 / 3)


def test_ccr_without_answers_is_nan() -> None:
    found = detection_metrics([2, 1], [0])
    assert all(map(isnan, (found.ccr_1e4, found.ccr_1e3, found.ccr_1e2, found.ccr_1e1)))


def test_the_largest_floats_are_scores_like_others() -> None:
    found = detection_metrics([1.7e308], [-1.7e308, 0])
    assert (found.auroc, found.fpr95) == (1, 0)


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


@pytest.mark.parametrize("ties", ["mid-rank", "against-id"])
@pytest.mark.parametrize("positive", ["id", "ood"])
def test_a_single_class_is_refused(positive: Any, ties: Any) -> None:
    with pytest.raises(ValueError, match="ood_scores: shape"):
        detection_metrics([1.0, 2.0], [], positive=positive, ties=ties)
    with pytest.raises(ValueError, match="id_scores: shape"):
        detection_metrics([], [1.0, 2.0], positive=positive, ties=ties)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positive": "OOD"}, "positive: 'OOD'; expected one of id, ood"),
        ({"ties": "midrank"}, "ties: 'midrank'; expected one of mid-rank, against-id"),
        ({"correct": [True]}, "correct: shape \\(1,\\); expected that of id_scores, \\(2,\\)"),
        ({"correct": [1, 2]}, "correct: values other than 0 and 1"),
    ],
)
def test_unusable_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        detection_metrics([1.0, 2.0], [0.0], **options)


def test_threshold_by_hand() -> None:
    assert threshold_at(np.arange(1, 21)) == 2  # 19 of 20
    assert threshold_at([3, 1, 2]) == 1  # all of 3, for 2 are 67 %
    assert threshold_at([3, 1, 2], share=0.5) == 2
    assert threshold_at([3, 3, 1], share=0.3) == 3
    assert threshold_at([3, 1, 2], share=1) == 1


def test_threshold_takes_the_share_as_it_is_written() -> None:
    # 0.07 * 100 is 7.000000000000001 in floating point.
    assert threshold_at(np.arange(100), share=0.07) == 93


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01, nan, inf])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"share: .*; expected more than 0 and at most 1"):
        threshold_at([1.0], share)


@pytest.mark.parametrize("scores", [[], [nan], [1.0, -inf]])
def test_a_threshold_of_unusable_scores_is_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="id_scores: "):
        threshold_at(scores)


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


def test_ece_is_left_out_where_asked() -> None:
    found = classification_metrics([True, False], [0.9, 0.5], probability=False)
    assert isnan(found.ece)
    assert found.auroc == 1


def test_classification_against_id_takes_the_share_nearest_to_95_percent() -> None:
    # Right 1..16: 15/16 = .9375 is nearer than 16/16, and the wrong one lies between the two.
    correct, confidence = [*[True] * 16, False], [*range(1, 17), 1.5]
    assert classification_metrics(correct, confidence, ties="against-id").fpr95 == 0
    assert classification_metrics(correct, confidence).fpr95 == 1


def test_classification_against_id_changes_nothing_else() -> None:
    correct, confidence = [1, 1, 0, 1, 0], [0.5, 0.5, 0.5, 0.9, 0.2]
    expected = classification_metrics(correct, confidence)
    assert replace(classification_metrics(correct, confidence, ties="against-id"), fpr95=expected.fpr95) == expected


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


def test_unknown_ties_of_answers_are_refused() -> None:
    with pytest.raises(ValueError, match="ties: 'theirs'; expected one of"):
        classification_metrics([True], [0.5], ties="theirs")  # type: ignore[arg-type]
