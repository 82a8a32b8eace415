"""Two experiments compared seed by seed: paired differences, how sure they are, and what of them tables mark.

Seeds are paired because a seed fixes initial weights, the order of the data and its augmentation for every method.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goe.core.cells import signed
from goe.core.errors import ConfigError, did_you_mean
from goe.core.layout import FACTS, kind_of
from goe.core.metricstyles import STYLES, MetricStyle, style_of
from goe.core.report import NOTHING
from goe.core.results import FILTER, Difference, Row

RESAMPLES = 10_000
EXACT_UP_TO = 5
"""Seeds; 5^5 = 3,125 resamples are still counted out."""
ROUNDING = 12
"""Decimals of a fraction; what differs less is rounding of sums."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric on one test set in experiments A and B."""

    a: Row
    b: Row
    difference: Difference | None
    """A less B; None without a common seed."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds both have."""
        return tuple(sorted(dict(self.a.by_seed).keys() & dict(self.b.by_seed).keys()))

    def mean(self, row: Row) -> float | None:
        """The mean of `row`, A's or B's, over the common seeds, so that the difference is that of the means."""
        values = dict(row.by_seed)
        return float(np.mean([values[seed] for seed in self.seeds])) if self.seeds else None

    def alone(self, row: Row) -> tuple[int, ...]:
        """Seeds of `row` without a partner."""
        return tuple(seed for seed, _ in row.by_seed if seed not in self.seeds)


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Difference | None:
    """`ours` less `theirs`, fractions by seed, over the seeds both have; None without any.

    The interval is the bootstrap's 95 % percentile interval of the mean (Efron and Tibshirani 1993, ch. 13): all n^n
    resamples counted out up to 5 seeds, 10,000 drawn with a fixed seed above. p is the two-sided paired t-test's.
    """
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        return None
    differences = np.round([ours[seed] - theirs[seed] for seed in common], ROUNDING)
    n, mean = len(differences), float(differences.mean())
    if n == 1:
        return Difference(mean=mean, std=None, low=None, high=None, p=None, n=1)
    low, high = _interval(differences)
    std = float(differences.std(ddof=1))
    return Difference(mean=mean, std=std, low=low, high=high, p=_p_value(differences), n=n)


def _interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    n = len(differences)
    if n <= EXACT_UP_TO:
        chosen = np.array(list(itertools.product(range(n), repeat=n)))
    else:
        chosen = np.random.default_rng(0).integers(n, size=(RESAMPLES, n))
    # Rounded, or sums in another order would split equal means.
    means = np.round(differences[chosen].mean(axis=1), ROUNDING)
    low, high = np.quantile(means, [0.025, 0.975], method="inverted_cdf")
    return float(low), float(high)


def _p_value(differences: NDArray[np.float64]) -> float | None:
    """None where there is no difference at all. 0 for equal differences that are none: t grows beyond all bounds."""
    if not differences.any():
        return None
    if (differences == differences[0]).all():
        return 0.0
    from scipy import stats  # takes a second, which a table without a comparison is spared

    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def compare(rows: Sequence[Row], a: str, b: str) -> list[Comparison]:
    """Every metric on every test set that both experiments have under one data set, score, protocol and checkpoint.

    Raises ConfigError for an unknown or ambiguous name, and where the two have nothing in common.
    """
    ours, theirs = of_experiment(rows, a), {_place(row): row for row in of_experiment(rows, b)}
    found = [Comparison(row, other, _difference(row, other)) for row in ours if (other := theirs.get(_place(row)))]
    if not found:
        raise ConfigError([f"{a}, {b}: no result in common: {_scopes(ours)}, but {_scopes(theirs.values())}"])
    return found


def against(rows: Sequence[Row], name: str, *, any_model: bool) -> Callable[[Row], Difference | None]:
    """The difference of any row to the experiment called `name`, on the same test set under the same data set, score,
    protocol and checkpoint, and of the same model unless `any_model`. Raises ConfigError for an unknown name.
    """
    reference = {_place(row): row for row in of_experiment(rows, name)}

    def difference(row: Row) -> Difference | None:
        other = reference.get(_place(row))
        if other is None or (row.experiment, row.config) == (other.experiment, other.config):
            return None
        return _difference(row, other) if any_model or other.model == row.model else None

    return difference


def of_experiment(rows: Sequence[Row], name: str) -> list[Row]:
    """The rows of the experiment `name`, or `name@config` where it has several configurations, filters' left out.

    Raises ConfigError if there is none, or several.
    """
    found = [row for row in rows if row.test_set != FILTER and name in {row.experiment, _full_name(row)}]
    full_names = list(dict.fromkeys(_full_name(row) for row in found))
    if not found:
        known = list(dict.fromkeys(row.experiment for row in rows))
        raise ConfigError(
            [f'"{name}": no results of such an experiment{did_you_mean(name, known)}; there are: {", ".join(known)}']
        )
    if len(full_names) > 1:
        raise ConfigError(
            [f'"{name}": {len(full_names)} configurations of this name; write one: {", ".join(full_names)}']
        )
    return found


def records(comparisons: Iterable[Comparison]) -> list[dict[str, Any]]:
    """For JSON: fractions; `mean_a` and `mean_b` over the common seeds."""
    return [
        {
            **{side: _full_name(row) for side, row in (("a", one.a), ("b", one.b))},
            "id_dataset": one.a.id_dataset,
            "model_a": one.a.model,
            "model_b": one.b.model,
            **{key: FACTS[key](one.a) for key in ("score", "protocol", "checkpoint")},
            "test_set": one.a.test_set,
            "metric": one.a.metric,
            "mean_a": one.mean(one.a),
            "mean_b": one.mean(one.b),
            "difference": None if one.difference is None else asdict(one.difference),
            "seeds": one.seeds,
            "only_a": one.alone(one.a),
            "only_b": one.alone(one.b),
        }
        for one in comparisons
    ]


def scopes(comparisons: Iterable[Comparison]) -> dict[str, list[Comparison]]:
    """The comparisons under the data set, score, protocol and checkpoint they share."""
    found: dict[str, list[Comparison]] = {}
    for one in comparisons:
        title = f"{one.a.id_dataset} · score {one.a.score} · protocol {one.a.protocol} · checkpoint {one.a.checkpoint}"
        found.setdefault(title, []).append(one)
    return found


def columns(comparisons: Sequence[Comparison]) -> list[tuple[str, ...]]:
    """For the eye, with a heading: metrics scaled as in tables."""
    a, b = comparisons[0].a.experiment, comparisons[0].b.experiment
    lines: list[tuple[str, ...]] = [("test set", "metric", a, b, "difference", "95 % interval", "p", "seeds")]
    for one in comparisons:
        style = style_of(kind_of(one.a), one.a.metric)
        if style in STYLES.values():
            means = [_number(one.mean(row), style) for row in (one.a, one.b)]
            lines.append((one.a.test_set, style.heading, *means, *_words(one.difference, style)))
    return lines


def unpartnered(comparisons: Iterable[Comparison]) -> list[str]:
    """A message for each set of seeds that one of the two lacks."""
    found: dict[str, None] = {}
    for one in comparisons:
        for row, other in ((one.a, one.b), (one.b, one.a)):
            for seed in one.alone(row):
                found[f"seed {seed} of {row.experiment} left out: {other.experiment} has no value for it"] = None
    return list(found)


def _words(difference: Difference | None, style: MetricStyle) -> tuple[str, str, str, str]:
    if difference is None:
        return NOTHING, NOTHING, NOTHING, "0"
    spread = "" if difference.std is None else f" ± {difference.std * style.scale:.2f}"
    interval, p = NOTHING, NOTHING
    if difference.low is not None and difference.high is not None:
        interval = f"[{signed(difference.low, style)}, {signed(difference.high, style)}]"
    if difference.p is not None:
        p = f"{difference.p:.3f}" if difference.p >= 0.001 else "< 0.001"
    return f"{signed(difference.mean, style)}{spread}", interval, p, str(difference.n)


def _number(value: float | None, style: MetricStyle) -> str:
    return NOTHING if value is None else f"{value * style.scale:.2f}"


def _difference(row: Row, other: Row) -> Difference | None:
    return paired(dict(row.by_seed), dict(other.by_seed))


def _place(row: Row) -> tuple[str, ...]:
    return (row.id_dataset, row.score, row.protocol, row.checkpoint, row.test_set, row.metric)


def _full_name(row: Row) -> str:
    return f"{row.experiment}@{row.config}"


def _scopes(rows: Iterable[Row]) -> str:
    found = list(dict.fromkeys((row.experiment, *_place(row)[:4]) for row in rows))
    name = found[0][0]
    kinds = [f"{dataset} by {score} on {protocol} of {checkpoint}" for _, dataset, score, protocol, checkpoint in found]
    return f"{name} has {'; '.join(kinds)}"
