"""Metrics against brute force and scikit-learn, on scores full of ties."""

from dataclasses import astuple
from itertools import pairwise, permutations
from math import exp, log
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from goe.metrics import classification_metrics, detection_metrics

# No deadline: two shared cores stall now and then.
many = settings(max_examples=100, deadline=None)

few_values = st.integers(-4, 4).map(float)
any_values = st.floats(-1e6, 1e6, width=32)
score_lists = st.lists(few_values, min_size=1, max_size=40) | st.lists(any_values, min_size=1, max_size=40)
answers = st.lists(st.tuples(st.booleans(), st.integers(0, 30).map(lambda i: i / 30)), min_size=1, max_size=40)
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


@many
@given(score_lists, score_lists)
def test_detection_metrics_are_fractions(inner: list[float], outer: list[float]) -> None:
    found = detection_metrics(inner, outer)
    assert all(0 <= value <= 1 for value in astuple(found))
    assert found.detection_error <= 0.5


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
