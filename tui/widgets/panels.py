"""Which curves share a chart: of one run by what they mean, of several runs a chart for each metric."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import ascii_letters
from typing import Literal, TypeAlias

import msgspec

from goe.core.chart import PALETTE_DARK
from tui.curves.columns import RunCurves
from tui.widgets.plot import Curve

XAxis: TypeAlias = Literal["step", "epoch", "time"]
X_AXES: tuple[XAxis, ...] = ("step", "epoch", "time")
SMOOTHINGS = 0.0, 0.6, 0.9, 0.97

LOSS = ("loss", "loss/ce", "loss/oe", "loss/mix", "loss/energy", "loss/aux", "val/loss")
FILTER = ("filter/rate", "filter/precision", "filter/recall", "filter/base-rate")
ACCURACY = ("train/accuracy", "val/accuracy")
TITLES = {"lr": "learning rate", "images_per_s": "images/s"}
ORDER = (*LOSS, *FILTER, "filter/threshold", *ACCURACY, "images_per_s", "lr")
LEFT_OUT = {"eta_s"}
"""Of a run's records, what is no curve of its training."""
UNIT = 0.0, 1.0


class CurveLook(msgspec.Struct, frozen=True):
    """How curves are shown, remembered between visits."""

    x: XAxis = "step"
    smoothing: float = 0.0
    log: bool = False
    seeds: bool = False
    """Whether the runs of one configuration are shown as mean ± std."""
    robust: bool = False
    """Whether the y axes leave outliers out of view."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What one curve is made of."""

    name: str
    metric: str
    runs: tuple[RunCurves, ...]
    """One, or the seeds that are shown as their mean."""
    place: int
    """In the list of what is compared; its letter where colours don't tell."""
    colour: int
    """In the palette."""
    of: int = 1
    """How many runs there are to be in `runs`."""


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One chart."""

    title: str
    sources: tuple[Source, ...]
    y_range: tuple[float, float] | None = None
    signed: bool = False
    """Whether letters tell the curves apart, since colours don't."""
    names: bool = True
    """Whether the chart names its curves; else the screen does, once for all charts."""


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One run among those that are compared."""

    name: str
    experiment: str
    group: str
    """Of one group are the seeds of one configuration."""
    colour: int
    curves: RunCurves | None = None
    """None until they were read."""
    seed: int = 0


def run_panels(curves: RunCurves) -> tuple[Panel, ...]:
    """The charts of one run: losses, the filter, accuracies, then each other metric alone."""
    names = metric_names([curves])
    shared = {
        "loss": [name for name in names if name in LOSS or name.startswith("loss/")],
        "filter": [name for name in names if name in FILTER],
        "accuracy": [name for name in names if name in ACCURACY],
    }
    taken = {name for group in shared.values() for name in group}
    panels = [_shared(title, group, curves) for title, group in shared.items() if group]
    return (*panels, *(_shared(TITLES.get(name, name), [name], curves) for name in names if name not in taken))


def _shared(title: str, metrics: Sequence[str], curves: RunCurves) -> Panel:
    sources = tuple(
        Source(_short(title, metric), metric, (curves,), place, place % len(PALETTE_DARK))
        for place, metric in enumerate(metrics)
    )
    return Panel(title, sources, UNIT if title == "filter" else None, len(sources) > len(PALETTE_DARK))


def _short(title: str, metric: str) -> str:
    """The metric's name beside its chart's title."""
    head, _, tail = metric.partition("/")
    if not tail:
        return "total" if title == "loss" else metric
    return tail if head == title else head


def overlay_panels(members: Sequence[Member], *, seeds: bool) -> tuple[Panel, ...]:
    """A chart for each metric with a curve for each run; with `seeds` for each group, of the runs that were read."""
    entries = overlay_entries(members, seeds=seeds)
    signed = ambiguous(colour for _, colour, _ in entries)
    panels = []
    for metric in metric_names([one.curves for one in members if one.curves is not None]):
        sources = []
        for place, (name, colour, group) in enumerate(entries):
            runs = tuple(one.curves for one in group if one.curves is not None and _has(one.curves, metric))
            if runs:
                sources.append(Source(name, metric, runs, place, colour, len(group)))
        unit = UNIT if metric in FILTER else None
        panels.append(Panel(TITLES.get(metric, metric), tuple(sources), unit, signed, names=False))
    return tuple(panels)


def overlay_entries(members: Sequence[Member], *, seeds: bool) -> list[tuple[str, int, list[Member]]]:
    """What the legend of an overlay names: name, colour, and its runs.

    The colour is the experiment's; where there is but one experiment, the seed's.
    """
    if not seeds:
        own = len({one.experiment for one in members}) == 1 < len(members)
        return [(one.name, one.seed % len(PALETTE_DARK) if own else one.colour, [one]) for one in members]
    groups: dict[str, list[Member]] = {}
    for one in members:
        groups.setdefault(one.group, []).append(one)
    names = [group[0].experiment for group in groups.values()]
    return [
        (name if names.count(name) == 1 else f"{name} ({key})", group[0].colour, group)
        for name, (key, group) in zip(names, groups.items(), strict=True)
    ]


def ambiguous(colours: Iterable[int]) -> bool:
    """Whether two share a colour."""
    found = list(colours)
    return len(set(found)) < len(found)


def letter(place: int) -> str:
    """What stands for a curve where its colour doesn't; letters come again after the 52nd."""
    return ascii_letters[place % len(ascii_letters)]


def metric_names(runs: Iterable[RunCurves]) -> list[str]:
    """Every metric that some run has: the known ones in their order, others by name."""
    found = {name for run in runs for kind in (run.train, run.epochs) for name in kind.values} - LEFT_OUT
    return [name for name in ORDER if name in found] + sorted(found.difference(ORDER))


def reach(panels: Iterable[Panel], x: XAxis) -> tuple[float, float] | None:
    """From the first to the last x of everything in the panels."""
    from tui.curves.shape import line, x_range  # numpy: 0.1 s that a start of the dashboard should not cost

    # All metrics of one kind of record stand at the same x, so one of each is enough.
    kinds = {
        (id(run), source.metric in run.train.values): (run, source.metric)
        for panel in panels
        for source in panel.sources
        for run in source.runs
    }
    return x_range(line(run, metric, x) for run, metric in kinds.values())


def _has(run: RunCurves, metric: str) -> bool:
    return metric in run.train.values or metric in run.epochs.values


def shaped(source: Source, look: CurveLook, style: str, *, signed: bool) -> Curve:
    """The curve as it is drawn: over its x axis, smoothed, several seeds as their mean and std."""
    from tui.curves.seeds import band  # numpy: 0.1 s that a start of the dashboard should not cost
    from tui.curves.shape import Line, line
    from tui.curves.smoothing import smooth

    sign = letter(source.place) if signed else ""
    lines = [line(run, source.metric, look.x) for run in source.runs]
    if len(lines) > 1:
        found = band([smooth(one, look.smoothing) for one in lines])
        low, mean, high = found.edges()
        counts = Line(found.x, found.n.astype(float))
        return Curve(source.name, style, mean, None, (low, high), counts, source.of, sign)
    if look.smoothing:
        return Curve(source.name, style, smooth(lines[0], look.smoothing), lines[0], of=source.of, sign=sign)
    return Curve(source.name, style, lines[0], of=source.of, sign=sign)
