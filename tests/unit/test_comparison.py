"""Paired differences, worked out by hand."""

import math
from typing import Any

import pytest
from evaluated import config, measured, row

from goe.comparison import against, columns, compare, of_experiment, paired, records, scopes, unpartnered
from goe.core.errors import ConfigError
from goe.core.results import FILTER, Difference, Row, aggregate


def differing(*values: float) -> Difference:
    """The difference of seeds that differ by these values."""
    found = paired({seed: 0.5 + value for seed, value in enumerate(values)}, dict.fromkeys(range(len(values)), 0.5))
    assert found is not None
    return found


def test_mean_deviation_and_t_test_of_three_seeds() -> None:
    found = differing(0.01, 0.02, 0.03)
    assert (found.mean, found.std, found.n) == (pytest.approx(0.02), pytest.approx(0.01), 3)
    t = 2 * math.sqrt(3)  # mean 2, deviation 1; two degrees of freedom have a closed form:
    assert found.p == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert not found.significant


def test_only_common_seeds_count() -> None:
    found = paired({1: 0.5, 2: 0.75, 4: 0.9}, {2: 0.25, 1: 0.25, 3: 0.1})
    assert found is not None
    assert (found.mean, found.n) == (0.375, 2)  # 0.25 and 0.5
    assert paired({1: 0.5}, {2: 0.5}) is None


def test_one_seed_has_neither_deviation_nor_interval() -> None:
    assert differing(0.25) == Difference(mean=0.25, std=None, low=None, high=None, p=None, n=1)


def test_the_bootstrap_of_two_seeds_counted_out() -> None:
    # Means 0.1, 0.2, 0.2, 0.3: the lowest quarter and the highest.
    found = differing(0.1, 0.3)
    assert (found.low, found.high) == (0.1, 0.3)


def test_the_bootstrap_of_three_seeds_always_reaches_both_ends() -> None:
    # One resample of 27, 3.7 %, holds the lowest alone.
    found = differing(0.1, 0.2, 0.6)
    assert (found.low, found.high) == (0.1, 0.6)
    assert found.p is not None
    assert found.p > 0.05  # why a mark does not hang on the interval


def test_the_bootstrap_of_five_seeds_counted_out() -> None:
    # One seed of five differs by 1: resamples hold it k times with probability C(5,k) 4^(5-k) / 5^5, which adds up
    # to 0.328, 0.737, 0.942, 0.993 for k <= 0, 1, 2, 3.
    found = differing(0.0, 0.0, 0.0, 0.0, 0.5)
    assert (found.low, found.high) == (0.0, pytest.approx(0.3))


def test_the_bootstrap_of_six_seeds_is_drawn_and_repeatable() -> None:
    # Half differ by 0.6, so the mean is 0.1 k, k binomial: P(k <= 0) = 0.016, P(k <= 1) = 0.109; the same from above.
    found = differing(0.0, 0.6, 0.0, 0.6, 0.0, 0.6)
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.5))
    assert found == differing(0.0, 0.6, 0.0, 0.6, 0.0, 0.6)


def test_no_difference_has_no_p_and_an_equal_one_none_left() -> None:
    same, equal = differing(0.0, 0.0, 0.0), differing(0.1, 0.1, 0.1)
    assert (same.mean, same.p, same.significant) == (0.0, None, False)
    assert (equal.mean, equal.p, equal.significant) == (pytest.approx(0.1), 0.0, True)
    rounding = paired({1: 0.1 + 0.2, 2: 0.3, 3: 0.3}, dict.fromkeys((1, 2, 3), 0.3))
    assert rounding is not None
    assert (rounding.mean, rounding.p) == (0.0, None)


def test_two_seeds_are_never_significant() -> None:
    assert differing(0.25, 0.25).p == 0.0
    assert not differing(0.25, 0.25).significant
    assert not differing(0.01, 0.05, 0.03).significant
    assert differing(0.030, 0.031, 0.032).significant


def of(experiment: str, values: dict[int, float], **changes: Any) -> Row:
    mean = sum(values.values()) / len(values)
    return row(experiment, mean, by_seed=tuple(values.items()), **changes)


ROWS = [
    of("a", {1: 0.5, 2: 0.75, 3: 0.5}),
    of("a", {1: 0.25, 2: 0.5}, metric="fpr95"),
    of("a", {1: 0.5}, test_set=FILTER, metric="rate"),
    of("b", {1: 0.25, 2: 0.25}, config="11111111"),
    of("b", {1: 0.5, 4: 0.5}, config="11111111", metric="fpr95"),
    of("b", {1: 0.5}, config="11111111", test_set=FILTER, metric="rate"),
]


def test_two_experiments_set_by_set() -> None:
    auroc, fpr95 = compare(ROWS, "a", "b")
    assert (auroc.a.metric, auroc.seeds, auroc.alone(auroc.a), auroc.alone(auroc.b)) == ("auroc", (1, 2), (3,), ())
    assert (auroc.mean(auroc.a), auroc.mean(auroc.b)) == (0.625, 0.25)
    assert auroc.difference is not None
    assert auroc.difference.mean == 0.375  # that of the means over common seeds
    assert (fpr95.seeds, fpr95.alone(fpr95.a), fpr95.alone(fpr95.b)) == ((1,), (2,), (4,))
    assert unpartnered([auroc, fpr95]) == [
        "seed 3 of a left out: b has no value for it",
        "seed 2 of a left out: b has no value for it",
        "seed 4 of b left out: a has no value for it",
    ]
    assert columns([auroc, fpr95]) == [
        ("test set", "metric", "a", "b", "difference", "95 % interval", "p", "seeds"),
        ("far", "AUROC % ↑", "62.50", "25.00", "+37.50 ± 17.68", "[+25.00, +50.00]", "0.205", "2"),
        ("far", "FPR95 % ↓", "25.00", "50.00", "−25.00", "–", "–", "1"),
    ]
    assert list(scopes([auroc, fpr95])) == ["digits · score msp · protocol digits · checkpoint best"]
    record = records([auroc])[0]
    assert (record["a"], record["b"], record["mean_a"], record["seeds"]) == ("a@00000000", "b@11111111", 0.625, (1, 2))
    assert (record["only_a"], record["only_b"], record["difference"]["n"]) == ((3,), (), 2)


def test_no_common_seed_is_shown_as_nothing() -> None:
    (one,) = compare([of("a", {1: 0.5}), of("b", {2: 0.5})], "a", "b")
    assert (one.difference, one.mean(one.a)) == (None, None)
    assert columns([one])[1] == ("far", "AUROC % ↑", "–", "–", "–", "–", "–", "0")


def test_experiments_are_called_by_name_and_where_that_is_not_enough_by_configuration() -> None:
    rows = [*ROWS, of("b", {1: 0.75}, config="22222222")]
    with pytest.raises(ConfigError, match="2 configurations of this name; write one: b@11111111, b@22222222"):
        compare(rows, "a", "b")
    (one,) = compare(rows, "a", "b@22222222")
    assert one.b.mean == 0.75
    with pytest.raises(ConfigError, match=r'"basline": no results of such .* \(did you mean "baseline"\?\); there are'):
        of_experiment([of("baseline", {1: 0.5})], "basline")


def test_what_has_nothing_in_common_says_what_each_has() -> None:
    rows = [of("a", {1: 0.5}), of("b", {1: 0.5}, score="energy")]
    with pytest.raises(
        ConfigError, match="a has digits by msp on digits of best, but b has digits by energy on digits"
    ):
        compare(rows, "a", "b")


def test_a_mark_is_against_the_same_test_set_score_and_model() -> None:
    base = of("base", {1: 0.5, 2: 0.5, 3: 0.5})
    better = {1: 0.6, 2: 0.61, 3: 0.62}
    difference = against([base], "base", any_model=False)
    found = difference(of("goe", better))
    assert found is not None
    assert found.significant
    for changes in ({"score": "energy"}, {"test_set": "near"}, {"model": "resnet-18"}, {"protocol": "scood"}):
        assert difference(of("goe", better, **changes)) is None
    assert against([base], "base", any_model=True)(of("goe", better, model="resnet-18")) is not None
    assert difference(base) is None  # not against itself


def test_values_by_seed_come_from_the_results() -> None:
    items = [measured(config(seed=seed), {"far": value}) for seed, value in ((3, 0.5), (1, 0.75), (2, None))]
    (far,) = [found for found in aggregate(items, []) if (found.test_set, found.metric) == ("far", "auroc")]
    assert far.by_seed == ((1, 0.75), (3, 0.5))
