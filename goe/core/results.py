"""Evaluation results gathered over seeds into rows: one mean and standard deviation a row."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from goe.core.config import RunConfig
from goe.core.errors import RunError
from goe.core.evalfile import command
from goe.core.queuefile import load_queue
from goe.core.records import CheckpointIndex, EvalResult, Values
from goe.core.rundir import RunDir, read_json

AVERAGE = "average"
"""The name of the test set that stands for the unweighted mean over all OOD test sets."""
FILTER = "filter"
"""The name of the test set that stands for the training outliers and what the filter did to them."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run with one of its evaluation results."""

    config: RunConfig
    result: EvalResult
    raw: Path | None = None
    """Where the raw scores of this result are kept (`.npz`)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One metric on one test set, over the seeds of one experiment. Fractions, not percent."""

    experiment: str
    config: str
    """8 hex digits of the configuration; tells apart experiments that changed under one name."""
    method: str
    id_dataset: str
    model: str
    score: str
    protocol: str
    checkpoint: str
    test_set: str
    """An OOD test set, `average` over them, the ID set's name for classification metrics, or `filter`."""
    metric: str
    mean: float | None
    std: float | None
    """Sample standard deviation (n - 1); None for a single seed."""
    n: int
    """Seeds that went into the mean."""
    expected: int
    """Seeds there should be."""
    by_seed: tuple[tuple[int, float], ...] = ()
    """The n values by rising seed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference of two means over the n seeds both have; fractions. Worked out in goe/comparison.py."""

    mean: float
    std: float | None
    """Sample standard deviation of the differences; None for a single seed."""
    low: float | None
    high: float | None
    """Bootstrap 95 % confidence interval of the mean difference; None for a single seed."""
    p: float | None
    """Two-sided paired t-test; None for a single seed and where all differences are 0."""
    n: int

    @property
    def significant(self) -> bool:
        """Whether p < 0.05 over at least 3 common seeds.

        Not by the bootstrap interval: of n seeds whose differences share one sign every resample's mean has that sign
        too, so with 3 seeds the interval always leaves 0 out, however little they say.
        """
        return self.p is not None and self.p < 0.05 and self.n >= 3


def read_results(run: RunDir) -> tuple[list[EvalResult], list[str]]:
    """The run's results and one message for each file that can't be read."""
    found, problems = _read(run)
    return [result for _, result in found], problems


def _read(run: RunDir) -> tuple[list[tuple[Path, EvalResult]], list[str]]:
    results: list[tuple[Path, EvalResult]] = []
    problems: list[str] = []
    weights: dict[str, str | None] = {}
    for path in sorted(run.eval.glob("*.json")):
        try:
            result = read_json(path, EvalResult)
        except RunError:
            problems.append(f"{path}: cut or altered; `{command(run.run_id, path.stem)}` writes it anew")
            continue
        if result is None:
            continue
        name = result.checkpoint
        weights.setdefault(name, _weights(run, name))
        if weights[name] not in {None, result.weights_sha256}:
            found = f"of weights that checkpoint {name} no longer has (epoch {result.epoch})"
            problems.append(f"{path}: {found}; `{command(run.run_id, path.stem)}` writes it anew")
        else:
            results.append((path, result))
    return results, problems


def _weights(run: RunDir, checkpoint: str) -> str | None:
    """The SHA-256 of a checkpoint's weights; None where there is no telling: it is gone, or its index damaged."""
    try:
        index = read_json(run.checkpoints / f"{checkpoint}.json", CheckpointIndex)
    except RunError:
        return None
    return None if index is None else index.weights_sha256


def gather(runs: Iterable[RunDir]) -> tuple[list[Measured], list[str]]:
    """Every result of `runs`, and what could not be read."""
    measured: list[Measured] = []
    problems: list[str] = []
    for run in runs:
        try:
            config = run.config()
        except RunError as error:
            problems.append(str(error))
            continue
        results, damaged = _read(run)
        measured += [Measured(config, result, path.with_suffix(".npz")) for path, result in results]
        problems += damaged
    return measured, problems


_Key: TypeAlias = tuple[str, str, str, str, str]
"""Experiment, configuration, score, protocol, checkpoint."""
_Sets: TypeAlias = Mapping[tuple[str, str], tuple[str, ...]]
"""All OOD sets that any run was tested on, by ID set and protocol."""
_Ground: TypeAlias = tuple[tuple[Measured, ...], tuple[tuple[str, ...], ...], int]
"""What the rows of an experiment hang on: its results, the OOD sets of the protocol of each, seeds there should be."""


def aggregate(measured: Iterable[Measured], expected: Iterable[RunConfig]) -> list[Row]:
    """Rows over seeds, in the order of `expected` and then of appearance.

    `expected` are all runs there should be; a seed without a result is missing, not averaged away.
    """
    return Aggregation().rows(measured, expected)


class Aggregation:
    """`aggregate` again and again: only what hangs on a result that changed is worked out anew."""

    def __init__(self) -> None:
        self._kept: dict[_Key, tuple[_Ground, list[Row]]] = {}

    def rows(self, measured: Iterable[Measured], expected: Iterable[RunConfig]) -> list[Row]:
        """As `aggregate`."""
        seeds: dict[tuple[str, str], set[int]] = {}
        for config in expected:
            seeds.setdefault((config.experiment, config.group), set()).add(config.seed)
        groups: dict[_Key, dict[int, Measured]] = {}
        test_sets: dict[tuple[str, str], dict[str, None]] = {}
        for item in measured:
            config, result = item.config, item.result
            key = (config.experiment, config.group)
            seeds.setdefault(key, set()).add(config.seed)
            groups.setdefault((*key, result.score, result.protocol, result.checkpoint), {})[config.seed] = item
            test_sets.setdefault((result.id_dataset, result.protocol), {}).update(dict.fromkeys(result.detection))
        order = {key: place for place, key in enumerate(seeds)}
        sets = {benchmark: tuple(names) for benchmark, names in test_sets.items()}
        ranked = sorted(groups.items(), key=lambda group: order[group[0][:2]])
        self._kept = {key: self._of(key, list(items.values()), len(seeds[key[:2]]), sets) for key, items in ranked}
        return [row for _, rows in self._kept.values() for row in rows]

    def _of(self, key: _Key, items: Sequence[Measured], expected: int, sets: _Sets) -> tuple[_Ground, list[Row]]:
        own = tuple(sets[item.result.id_dataset, item.result.protocol] for item in items)
        ground = (tuple(items), own, expected)
        kept = self._kept.get(key)
        return kept if kept is not None and kept[0] == ground else (ground, list(_rows(*ground)))


def _rows(items: Sequence[Measured], test_sets: Sequence[Sequence[str]], expected: int) -> Iterable[Row]:
    config, result = items[0].config, items[0].result
    values = {item.config.seed: _flatten(item.result, sets) for item, sets in zip(items, test_sets, strict=True)}
    for test_set, metric in dict.fromkeys(key for each in values.values() for key in each):
        found = [(seed, values[seed].get((test_set, metric))) for seed in sorted(values)]
        by_seed = tuple((seed, value) for seed, value in found if value is not None and math.isfinite(value))
        kept = [value for _, value in by_seed]
        yield Row(
            experiment=config.experiment,
            config=config.group,
            method=config.method_name,
            id_dataset=result.id_dataset,
            model=config.model,
            score=result.score,
            protocol=result.protocol,
            checkpoint=result.checkpoint,
            test_set=test_set,
            metric=metric,
            mean=statistics.fmean(kept) if kept else None,
            std=statistics.stdev(kept) if len(kept) > 1 else None,
            n=len(kept),
            expected=expected,
            by_seed=by_seed,
        )


def _flatten(result: EvalResult, test_sets: Iterable[str]) -> dict[tuple[str, str], float | None]:
    """Every value by test set and metric. `test_sets` are all of the protocol that any run was tested on: a mean over
    fewer would not compare.
    """
    flat = {(result.id_dataset, metric): value for metric, value in result.classification.items()}
    for metric, value in average({name: result.detection.get(name, {}) for name in test_sets}).items():
        flat[AVERAGE, metric] = value
    for test_set, metrics in result.detection.items():
        for metric, value in metrics.items():
            flat[test_set, metric] = value
    flat |= {(FILTER, metric): value for metric, value in result.filter.items()}
    return flat


def average(detection: dict[str, Values]) -> Values:
    """Unweighted mean of each metric over the test sets; None if it is missing for any of them."""
    metrics = dict.fromkeys(metric for values in detection.values() for metric in values)
    return {metric: _mean([values.get(metric) for values in detection.values()]) for metric in metrics}


def _mean(values: Sequence[float | None]) -> float | None:
    whole = [value for value in values if value is not None]
    return statistics.fmean(whole) if len(whole) == len(values) and whole else None


def expected_runs(runs: Iterable[RunDir], queue: Path | None) -> list[RunConfig]:
    """The runs a table should cover: those of the queue file, if there is one, then those found."""
    planned = list(load_queue(queue).runs) if queue is not None and queue.exists() else []
    known = {config.run_id for config in planned}
    for run in runs:
        try:
            config = run.config()
        except RunError:
            continue
        if config.run_id not in known:
            planned.append(config)
    return planned


def without_results(measured: Iterable[Measured], expected: Iterable[RunConfig]) -> tuple[str, ...]:
    """Experiments of which no seed has a result, each as `name (0/3)`: they have no line in a table."""
    seen = {(item.config.experiment, item.config.group) for item in measured}
    seeds: dict[tuple[str, str], set[int]] = {}
    for config in expected:
        if (config.experiment, config.group) not in seen:
            seeds.setdefault((config.experiment, config.group), set()).add(config.seed)
    names = [name for name, _ in seeds] + [name for name, _ in seen]
    labels = (f"{name} ({group})" if names.count(name) > 1 else name for name, group in seeds)
    return tuple(f"{label} (0/{len(each)})" for label, each in zip(labels, seeds.values(), strict=True))
