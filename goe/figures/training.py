"""The figures of training: loss and its terms, accuracy, learning rate, and what the filter did, over epochs.

Several seeds of an experiment become their mean with a band of one sample standard deviation; an epoch that one of
them lacks (it is not done yet, or its loss was not finite) is a gap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from goe.core.chart import Chart, Figure, Line
from goe.core.errors import RunError
from goe.core.groups import Group
from goe.core.records import Metric, MetricsTail, series
from goe.figures.curves import Floats, thin

Warn = Callable[[str], None]

TITLES = {
    "loss": ("training loss", 1.0),
    "val/loss": ("validation loss", 1.0),
    "train/accuracy": ("training accuracy %", 100.0),
    "val/accuracy": ("validation accuracy %", 100.0),
    "lr": ("learning rate", 1.0),
    "filter/rate": ("outliers dropped %", 100.0),
    "filter/threshold": ("threshold of the filter", 1.0),
    "filter/precision": ("precision % (dotted: base rate)", 100.0),
    "filter/recall": ("recall % (dotted: share dropped)", 100.0),
}
"""A chart's title, and what its values are multiplied by."""
CHANCE = {"filter/precision": "filter/base-rate", "filter/recall": "filter/rate"}
"""What a filter that drops outliers at random would reach."""
FILTER = ("filter/rate", "filter/threshold", "filter/precision", "filter/recall")


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A group with the records of those of its runs that have finished an epoch."""

    group: Group
    runs: tuple[tuple[Metric, ...], ...]
    """At least one."""

    @property
    def legend(self) -> str:
        """The group's label; of several runs how many, and how many there should be."""
        expected = len(self.group.runs)
        missing = f"{len(self.runs)}/" if len(self.runs) < expected else ""
        return f"{self.group.label} ({missing}{expected} seeds)" if expected > 1 else self.group.label


def training_figure(groups: Sequence[Group], warn: Warn, *, by_step: bool = False) -> Figure:
    """A chart for the loss, each of its terms, validation loss, accuracies and learning rate; a line a group.

    `by_step`: over steps, as they were recorded while training, each run for itself. Raises RunError as
    `read_records` does.
    """
    found = read_records(groups, warn)
    names = _names(found)
    terms = [name for name in names if name.startswith("loss/")]
    order = ["loss", *terms, "val/loss", "train/accuracy", "val/accuracy", "lr"]
    return _figure("Training", found, [name for name in order if name in names], by_step=by_step)


def filter_figure(groups: Sequence[Group], warn: Warn, *, by_step: bool = False) -> Figure:
    """What the filter dropped, from which confidence on, and how often it was right where the truth is known.

    Groups without a filter are left out with a word to `warn`. Raises RunError if no group has one.
    """
    found = read_records(groups, warn)
    with_filter = [each for each in found if "filter/rate" in _names([each])]
    if not with_filter:
        labels = ", ".join(each.group.label for each in found)
        raise RunError(f"{labels}: nothing recorded of a filter; name runs whose method.filter.strategy is not none")
    for each in found:
        if each not in with_filter:
            warn(f"left out: {each.group.label} has no filter")
    names = _names(with_filter)
    return _figure("Filter", with_filter, [name for name in FILTER if name in names], by_step=by_step)


def read_records(groups: Sequence[Group], warn: Warn) -> list[Recorded]:
    """The records of every group; what was lost to a resume is not among them.

    Lines that can't be read, and one of several seeds without a finished epoch, go to `warn`. Raises RunError for a
    group without one.
    """
    return [_read_group(group, warn) for group in groups]


def _read_group(group: Group, warn: Warn) -> Recorded:
    found: list[tuple[Metric, ...]] = []
    empty: list[str] = []
    for run in group.runs:
        tail = MetricsTail(run.metrics_file)
        tail.poll()
        if tail.bad:
            warn(f"{run.metrics_file}: {tail.bad} damaged lines left out")
        if any(record.kind == "epoch" and record.values for record in tail.records):
            found.append(tuple(tail.records))
        else:
            empty.append(f"{run.metrics_file}: no finished epoch in it; `goe runs` says how far each run is")
    if not found:
        raise RunError(empty[0])
    for problem in empty:
        warn(f"left out: {problem}")
    return Recorded(group, tuple(found))


def by_epoch(runs: Sequence[Sequence[Metric]], name: str) -> tuple[Floats, Floats]:
    """Epochs 1 to the last of any run, and (runs, epochs) values of a metric; NaN where a run has none."""
    last = max((record.epoch for records in runs for record in records if record.kind == "epoch"), default=0)
    values = np.full((len(runs), last), np.nan)
    for row, records in zip(values, runs, strict=True):
        for record in records:
            value = record.values.get(name)
            if record.kind == "epoch" and record.epoch > 0 and value is not None:
                row[record.epoch - 1] = value
    return np.arange(1.0, last + 1), values


def _names(found: Sequence[Recorded]) -> list[str]:
    """Metrics that have a value in an epoch of any run, in order of appearance."""
    return list(
        dict.fromkeys(
            name
            for each in found
            for records in each.runs
            for record in records
            if record.kind == "epoch"
            for name, value in record.values.items()
            if value is not None
        )
    )


def _figure(what: str, found: Sequence[Recorded], names: Sequence[str], *, by_step: bool) -> Figure:
    lines = _step_lines if by_step else _epoch_lines
    charts = []
    for name in names:
        title, scale = TITLES.get(name, (name.replace("loss/", "loss term "), 1.0))
        drawn: list[Line] = []
        for place, each in enumerate(found):
            if name in CHANCE:
                drawn += [
                    replace(line, name="", dotted=True, band=None) for line in lines(each, CHANCE[name], scale, place)
                ]
            drawn += lines(each, name, scale, place)
        charts.append(Chart(title, "step" if by_step else "epoch", "", tuple(drawn)))
    several = not by_step and any(len(each.runs) > 1 for each in found)
    spread = " · mean ± standard deviation over seeds" if several else ""
    sources = tuple(run.run_id for each in found for run in each.group.runs)
    return Figure(what + spread, tuple(charts), sources)


def _epoch_lines(each: Recorded, name: str, scale: float, place: int) -> list[Line]:
    x, values = by_epoch(each.runs, name)
    values = scale * values
    if np.isnan(values).all():
        return []
    mean = values.mean(axis=0)  # NaN where any seed has no value
    band = None
    if len(values) > 1:
        std = values.std(axis=0, ddof=1)
        band = tuple((mean - std).tolist()), tuple((mean + std).tolist())
    return [Line(each.legend, tuple(x.tolist()), tuple(mean.tolist()), place=place, band=band)]


def _step_lines(each: Recorded, name: str, scale: float, place: int) -> list[Line]:
    lines: list[Line] = []
    for records in each.runs:
        steps, values = series(list(records), name, "train")
        if not steps:  # recorded once an epoch
            steps, values = series(list(records), name, "epoch")
        if steps:
            x, y = thin(np.array(steps), scale * np.array(values))
            lines.append(Line("" if lines else each.legend, tuple(x.tolist()), tuple(y.tolist()), place=place))
    return lines
