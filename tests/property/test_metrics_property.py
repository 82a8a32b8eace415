"""Metrics against brute force, scikit-learn and pytorch-ood, on scores full of ties."""

from dataclasses import asdict, replace
from itertools import pairwise, permutations
from math import ceil, exp, inf, isnan, log, nan
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pytorch_ood.metrics import OODMetrics
from pytorch_ood.metrics.functional import aurra
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from goe.metrics import CCR_AT, Positive, Ties, classification_metrics, detection_metrics, threshold_at

# No deadline: two shared cores stall now and then.
many = settings(max_examples=100, deadline=None)

few_values = st.integers(-4, 4).map(float)
any_values = st.floats(-1e6, 1e6, width=32)
score_lists = st.lists(few_values, min_size=1, max_size=40) | st.lists(any_values, min_size=1, max_size=40)
answers = st.lists(st.tuples(st.booleans(), st.integers(0, 30).map(lambda i: i / 30)), min_size=1, max_size=40)
positives = st.sampled_from(get_args(Positive))
ties_ways = st.sampled_from(get_args(Ties))
few_answers = st.lists(st.tuples(st.booleans(), st.sampled_from([0.2, 0.5, 0.9])), min_size=1, max_size=6)


def split(pairs: list[tuple[bool, float]]) -> tuple[list[bool], list[float]]:
    return [right for right, _ in pairs], [confidence for _, confidence in pairs]


@many
@given(score_lists, score_lists)
def test_detection_agrees_with_brute_force(inner: list[float], outer: list[float]) -> None:
    found = detection_metrics(inner, outer)
    won = sum((a > b) + 0.5 * (a == b) for a in inner for b in outer)
    assert found.auroc == pytest.approx(won / (len(inner) * len(outer)))

    thresholds = [*sorted({*inner, *outer}, reverse=True)]
    rates = [(sum(a >= t for a in inner), sum(b >= t for b in outer)) for t in thresholds]
    assert found.fpr95 == next(fp for tp, fp in rates if 100 * tp >= 95 * len(inner)) / len(outer)
    errors = [(1 - tp / len(inner) + fp / len(outer)) / 2 for tp, fp in [(0, 0), *rates]]
    assert found.detection_error == pytest.approx(min(errors))


@many
@given(score_lists, score_lists)
def test_detection_agrees_with_scikit_learn(inner: list[float], outer: list[float]) -> None:
    found = detection_metrics(inner, outer)
    is_id, scores = np.repeat([1, 0], [len(inner), len(outer)]), np.array(inner + outer)
    assert found.auroc == pytest.approx(roc_auc_score(is_id, scores))
    assert found.aupr_in == pytest.approx(average_precision_score(is_id, scores))
    assert found.aupr_out == pytest.approx(average_precision_score(1 - is_id, -scores))


@many
@given(score_lists, score_lists, st.randoms(use_true_random=False))
def test_only_the_order_of_scores_counts(inner: list[float], outer: list[float], random: Any) -> None:
    rank = {score: exp(i / 10) for i, score in enumerate(sorted({*inner, *outer}))}
    before = detection_metrics(inner, outer)
    random.shuffle(inner)
    random.shuffle(outer)
    assert detection_metrics([rank[s] for s in inner], [rank[s] for s in outer]) == before


@many
@given(score_lists, score_lists)
def test_exchanging_and_negating_the_classes_exchanges_the_precisions(inner: list[float], outer: list[float]) -> None:
    found = detection_metrics(inner, outer)
    mirrored = detection_metrics([-s for s in outer], [-s for s in inner])
    assert mirrored.auroc == pytest.approx(found.auroc)
    assert (mirrored.aupr_in, mirrored.aupr_out) == pytest.approx((found.aupr_out, found.aupr_in))
    assert mirrored.detection_error == pytest.approx(found.detection_error)


def one_by_one(inner: list[float], outer: list[float]) -> list[tuple[int, int]]:
    """(ID, OOD) left after each removal of the lowest score, ID first where they tie: the authors' curve."""
    points = [(len(inner), len(outer))]
    for is_ood in [is_ood for _, is_ood in sorted([(s, False) for s in inner] + [(s, True) for s in outer])]:
        tp, fp = points[-1]
        points.append((tp, fp - 1) if is_ood else (tp - 1, fp))
    return points


def trapezoid(points: list[tuple[float, float]]) -> float:
    return sum((x - last_x) * (y + last_y) / 2 for (last_x, last_y), (x, y) in pairwise(points))


@many
@given(score_lists, score_lists)
def test_against_id_agrees_with_removing_one_by_one(inner: list[float], outer: list[float]) -> None:
    found, n, m = detection_metrics(inner, outer, ties="against-id"), len(inner), len(outer)
    points = one_by_one(inner, outer)
    assert found.auroc == pytest.approx(trapezoid([(fp / m, tp / n) for tp, fp in reversed(points)]))
    accepted = [(tp / n, tp / (tp + fp)) for tp, fp in reversed(points) if tp + fp]
    assert found.aupr_in == pytest.approx(trapezoid([(0, 0), *accepted, (1, 0.5)]))
    rejected = [(1 - fp / m, (m - fp) / (n - tp + m - fp)) for tp, fp in points if tp + fp < n + m]
    assert found.aupr_out == pytest.approx(trapezoid([(0, 0), *rejected, (1, 0.5)]))
    assert found.fpr95 == min(points, key=lambda point: abs(point[0] / n - 0.95))[1] / m
    assert found.detection_error == pytest.approx(1 - max(0.5 * (tp / n + 1 - fp / m) for tp, fp in points))
    from_ood = min(reversed(points), key=lambda point: abs((m - point[1]) / m - 0.95))
    assert detection_metrics(inner, outer, ties="against-id", positive="ood").fpr95 == (n - from_ood[0]) / n


@many
@given(score_lists, score_lists)
def test_against_id_costs_half_of_each_tie(inner: list[float], outer: list[float]) -> None:
    tied = np.mean([a == b for a in inner for b in outer])
    lost = detection_metrics(inner, outer).auroc - detection_metrics(inner, outer, ties="against-id").auroc
    assert lost == pytest.approx(tied / 2, abs=1e-12)


@many
@given(score_lists, score_lists)
def test_positive_ood_is_the_metric_of_exchanged_and_negated_classes(inner: list[float], outer: list[float]) -> None:
    found = detection_metrics(inner, outer, positive="ood")
    exchanged = detection_metrics([-s for s in outer], [-s for s in inner])
    assert found.fpr95 == exchanged.fpr95
    assert replace(found, fpr95=0) == replace(detection_metrics(inner, outer), fpr95=0)
    fpr, tpr, _ = roc_curve([0] * len(inner) + [1] * len(outer), [-s for s in inner + outer], drop_intermediate=False)
    assert found.fpr95 == pytest.approx(fpr[np.argmax(tpr >= 0.95)])


@many
@given(score_lists, score_lists)
def test_detection_agrees_with_pytorch_ood(inner: list[float], outer: list[float]) -> None:
    # Higher = more OOD there, and OOD is positive; its AUPR is a trapezoid and no average precision.
    scores = torch.tensor(inner + outer, dtype=torch.float64)
    is_ood = torch.tensor([0] * len(inner) + [-1] * len(outer))
    assume(scores.unique().numel() > 1)  # it refuses constant scores
    theirs = OODMetrics().update(-scores, is_ood).compute()
    found = detection_metrics(inner, outer, positive="ood")
    assert (found.auroc, found.fpr95) == pytest.approx((theirs["AUROC"], theirs["FPR95TPR"]))
    exchanged = OODMetrics().update(scores, -1 - is_ood).compute()
    assert detection_metrics(inner, outer).fpr95 == pytest.approx(exchanged["FPR95TPR"])


@many
@given(st.lists(st.tuples(few_values, st.booleans()), min_size=1, max_size=40), score_lists, ties_ways)
def test_ccr_agrees_with_brute_force(answered: list[tuple[float, bool]], outer: list[float], ties: Ties) -> None:
    inner, right = [score for score, _ in answered], [ok for _, ok in answered]
    found = asdict(detection_metrics(inner, outer, correct=right, ties=ties))
    for name, one_in in CCR_AT.items():
        threshold = sorted(outer, reverse=True)[ceil(len(outer) / one_in) - 1]
        assert found[name] == sum(ok and score > threshold for score, ok in answered) / len(inner)


@many
@given(score_lists, st.sampled_from([0.05, 0.3, 0.5, 0.9, 0.95, 1.0]))
def test_threshold_is_the_highest_that_accepts_the_share(inner: list[float], share: float) -> None:
    threshold = threshold_at(inner, share)
    assert np.mean(np.array(inner) >= threshold) >= share
    assert np.mean(np.array(inner) > threshold) < share


@many
@given(score_lists, score_lists)
def test_fpr95_is_the_share_accepted_at_the_threshold(inner: list[float], outer: list[float]) -> None:
    assert detection_metrics(inner, outer).fpr95 == np.mean(np.array(outer) >= threshold_at(inner))


@many
@given(score_lists, score_lists, positives, ties_ways)
def test_detection_metrics_are_fractions(
    inner: list[float], outer: list[float], positive: Positive, ties: Ties
) -> None:
    found = detection_metrics(inner, outer, correct=[True] * len(inner), positive=positive, ties=ties)
    assert all(0 <= value <= 1 for value in asdict(found).values())
    assert found.detection_error <= 0.5


@many
@given(score_lists, score_lists, st.sampled_from([nan, inf, -inf]), st.data())
def test_what_is_not_finite_is_refused_wherever_it_is(
    inner: list[float], outer: list[float], bad: float, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["id_scores", "ood_scores"]))
    scores = inner if name == "id_scores" else outer
    scores.insert(data.draw(st.integers(0, len(scores))), bad)
    with pytest.raises(ValueError, match=f"{name}: 1 of {len(scores)} values are NaN or infinite"):
        detection_metrics(inner, outer)
    with pytest.raises(ValueError, match=f"confidence: 1 of {len(scores)} values are NaN or infinite"):
        classification_metrics([True] * len(scores), scores)


@many
@given(few_answers)
def test_aurc_is_the_mean_over_all_orders_of_ties(pairs: list[tuple[bool, float]]) -> None:
    def area(order: tuple[tuple[bool, float], ...]) -> float:
        wrong = np.cumsum([not right for right, _ in order])
        return float(np.mean(wrong / np.arange(1, len(order) + 1)))

    by_confidence = [o for o in permutations(pairs) if all(a[1] >= b[1] for a, b in pairwise(o))]
    found = classification_metrics(*split(pairs))
    assert found.aurc == pytest.approx(np.mean([area(order) for order in by_confidence]))


@many
@given(answers)
def test_classification_agrees_with_detection_of_right_answers(pairs: list[tuple[bool, float]]) -> None:
    right = [confidence for ok, confidence in pairs if ok]
    wrong = [confidence for ok, confidence in pairs if not ok]
    found = classification_metrics(*split(pairs))
    assert found.accuracy == len(right) / len(pairs)
    assume(right and wrong)
    as_detection = detection_metrics(right, wrong)
    assert (found.auroc, found.fpr95) == (as_detection.auroc, as_detection.fpr95)
    assert found.aupr_error == pytest.approx(
        average_precision_score([not ok for ok, _ in pairs], [-confidence for _, confidence in pairs])
    )


@many
@given(answers)
def test_classification_against_id_agrees_with_scikit_learns_whole_curve(pairs: list[tuple[bool, float]]) -> None:
    found = classification_metrics(*split(pairs), ties="against-id")
    assume(0 < found.accuracy < 1)
    fpr, tpr, _ = roc_curve(*split(pairs), drop_intermediate=False)
    assert found.fpr95 == pytest.approx(fpr[np.argmin(np.abs(tpr - 0.95))])


@many
@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_aurc_agrees_with_pytorch_ood(correct: list[bool]) -> None:
    confidence = np.linspace(0.9, 0.1, len(correct))  # it leaves ties in any order
    found = classification_metrics(correct, confidence)
    assert 1 - found.aurc == pytest.approx(aurra(torch.from_numpy(confidence), torch.tensor(correct)))


@many
@given(answers)
def test_a_single_class_of_answers_has_no_detection(pairs: list[tuple[bool, float]]) -> None:
    found = classification_metrics(*split(pairs))
    assert isnan(found.auroc) == isnan(found.aupr_error) == isnan(found.fpr95) == (found.accuracy in (0, 1))


@many
@given(answers)
def test_excess_aurc_is_never_negative(pairs: list[tuple[bool, float]]) -> None:
    found = classification_metrics(*split(pairs))
    error = 1 - found.accuracy
    best = error + (1 - error) * log(1 - error) if error < 1 else 1
    assert found.e_aurc == pytest.approx(found.aurc - best)
    assert found.e_aurc >= -1e-12


@many
@given(answers)
def test_ece_agrees_with_bins_in_a_loop(pairs: list[tuple[bool, float]]) -> None:
    edges = np.linspace(0, 1, 16)
    total = 0.0
    for low, high in pairwise(edges):
        inside = [(ok, c) for ok, c in pairs if low < c <= high or (low == 0 and c == 0)]
        if inside:
            accuracy = np.mean([ok for ok, _ in inside])
            total += abs(accuracy - np.mean([c for _, c in inside])) * len(inside) / len(pairs)
    assert classification_metrics(*split(pairs)).ece == pytest.approx(total)
