"""From columns of records to what a chart draws: lines over an axis, and what of a line falls on each dot column.

Pure functions. Imports numpy (0.1 s): import it where something is drawn, not at the top of a module that every start
of the dashboard loads.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui.curves.columns import Columns, RunCurves

if TYPE_CHECKING:
    from tui.curves.columns import Column

Axis: TypeAlias = Literal["step", "epoch", "time"]
Range: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A curve of n points. Between two finite points it is joined; a y that is NaN or infinite is a gap."""

    x: "Column"
    """(n,), finite and ascending."""
    y: "Column"
    """(n,)"""


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    """What of a line falls on each dot column that has any of it: k columns, nothing left out of low to high."""

    column: NDArray[np.intp]
    """(k,), ascending; 0 is the left end of the range, and the last column its right end."""
    first: "Column"
    """(k,), as are all below."""
    low: "Column"
    high: "Column"
    last: "Column"
    joined: NDArray[np.bool_]
    """Whether the line comes without a gap from the column before; for the first from beyond the left end."""
    left: float = np.nan
    """Where the line crosses the left end of the range, coming from outside; NaN if it does not."""
    right: float = np.nan
    """Likewise at the right end."""


def metrics(curves: RunCurves) -> tuple[str, ...]:
    """The metrics with at least one number, in the order in which the records brought them."""
    return tuple(
        dict.fromkeys(
            name
            for columns in (curves.train, curves.epochs)
            for name, values in columns.values.items()
            if np.isfinite(values).any()
        )
    )


def line(curves: RunCurves, metric: str, axis: Axis = "step", kind: Literal["train", "epoch"] | None = None) -> Line:
    """One metric over one axis; without a `kind` from the training records, if they have it, else from the epochs'.

    Steps that fall, because a `resume` was lost, are put in order; nothing is left out.
    """
    if kind is None:
        kind = "train" if metric in curves.train.values else "epoch"
    columns = curves.train if kind == "train" else curves.epochs
    if metric not in columns.values:
        return Line(np.empty(0), np.empty(0))
    if axis == "time":
        return _ascending(_elapsed(curves, columns), columns.values[metric])
    if axis == "epoch":
        return _ascending(_epochs(curves) if kind == "train" else columns.epoch, columns.values[metric])
    return _ascending(columns.step, columns.values[metric])


def log_y(line: Line) -> Line:
    """The line in powers of ten; a number that has no logarithm is a gap."""
    y = np.full(len(line.y), np.nan)
    np.log10(line.y, out=y, where=line.y > 0)
    return Line(line.x, y)


def x_range(lines: Iterable[Line]) -> Range | None:
    """From the first to the last x; None without any point."""
    ends = [(float(line.x[0]), float(line.x[-1])) for line in lines if len(line.x)]
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None


def y_range(lines: Iterable[Line], within: Range) -> Range | None:
    """The lowest and highest finite y with x in `within`; None if there is none."""
    found = [y for line in lines if len(y := _finite(line.y[_inside(line.x, within)]))]
    return (min(float(y.min()) for y in found), max(float(y.max()) for y in found)) if found else None


def at(line: Line, x: float) -> tuple[float, float] | None:
    """The point nearest to `x` whose y is not NaN, of two as near the left one; infinite is one that is none."""
    place = int(np.searchsorted(line.x, x))
    near = [place - 1, place] if place else [place]
    near = [i for i in near if i < len(line.x)]
    if any(np.isnan(line.y[i]) for i in near):
        points = np.flatnonzero(~np.isnan(line.y))
        after = int(np.searchsorted(points, place))
        near = [int(i) for i in points[max(0, after - 1) : after + 1]]
    if not near:
        return None
    best = min(near, key=lambda i: abs(line.x[i] - x))
    return float(line.x[best]), float(line.y[best])


@np.errstate(over="ignore", invalid="ignore")
def envelope(line: Line, within: Range, columns: int) -> Envelope:
    """The line on `columns` dot columns that span `within`; a point belongs to the column nearest to it."""
    low, high = within
    inside = _inside(line.x, within)
    x, y = line.x[inside], line.y[inside]
    width = (high - low) / max(1, columns - 1) or 1.0
    bounds = np.searchsorted(x, low + (np.arange(1, columns) - 0.5) * width)
    points = np.flatnonzero(np.isfinite(y))
    gaps = len(points) < len(y)
    if gaps:
        y, bounds = y[points], np.searchsorted(points, bounds)
    starts, ends = np.append(0, bounds), np.append(bounds, len(y))
    column = np.flatnonzero(starts < ends)
    starts, ends = starts[column], ends[column]
    joined = np.ones(len(column), np.bool_)
    if gaps:
        joined[1:] = points[starts[1:]] - points[ends[:-1] - 1] == 1
    left, right = _crossing(line, inside.start, low), _crossing(line, inside.stop, high)
    joined[:1] = np.isfinite(left)
    # fmin and fmax are ten times as fast here as minimum and maximum
    lowest, highest = (each.reduceat(y, starts) if len(starts) else y for each in (np.fmin, np.fmax))
    return Envelope(column, y[starts], lowest, highest, y[ends - 1], joined, left, right)


def _ascending(x: "Column", y: "Column") -> Line:
    if np.all(x[1:] >= x[:-1]):
        return Line(x, y)
    order = np.argsort(x, kind="stable")
    return Line(x[order], y[order])


def _inside(x: "Column", within: Range) -> slice:
    return slice(int(np.searchsorted(x, within[0])), int(np.searchsorted(x, within[1], "right")))


def _finite(y: "Column") -> "Column":
    return y[np.isfinite(y)]


def _crossing(line: Line, place: int, x: float) -> float:
    """The y at `x` of the stretch from the point before `place` to that at it; NaN where there is none."""
    if not 0 < place < len(line.x):
        return np.nan
    (x0, x1), (y0, y1) = line.x[place - 1 : place + 1], line.y[place - 1 : place + 1]
    if not (np.isfinite(y0) and np.isfinite(y1)):
        return np.nan
    share = (x - x0) / (x1 - x0)
    return float(y0 * (1 - share) + y1 * share)


def _elapsed(curves: RunCurves, columns: Columns) -> "Column":
    """Seconds since the run's first record. Time that a clock was set back by is not counted, so none is negative."""
    train, epochs = curves.train, curves.epochs
    clock = train if len(train.time) else epochs
    back = np.concatenate(([0.0], np.cumsum(np.maximum(clock.time[:-1] - clock.time[1:], 0.0))))
    begun = float(clock.time[0])
    if columns is clock and not back[-1]:
        return columns.time - begun
    place = np.arange(len(back)) if columns is clock else np.searchsorted(clock.step, columns.step, "right") - 1
    return np.maximum.accumulate(np.maximum(columns.time - begun + back[np.maximum(place, 0)], 0.0))


def _epochs(curves: RunCurves) -> "Column":
    """Epochs done at each training record, as a fraction: 2.5 is the middle of the third.

    Before the first epoch has ended nobody knows its length: it is taken to end at its newest record.
    """
    train, ends = curves.train, curves.epochs
    if not len(train.step):
        return train.epoch
    steps, done = np.concatenate(([0.0], ends.step)), np.concatenate(([0.0], ends.epoch))
    if len(steps) == 1:
        steps, done = np.append(steps, train.step[-1]), np.append(done, train.epoch[-1])
    elif train.step[-1] > steps[-1] > steps[-2]:  # beyond the last end: as if this epoch were as long as the last one
        pace = (done[-1] - done[-2]) / (steps[-1] - steps[-2])
        done = np.append(done, done[-1] + pace * (train.step[-1] - steps[-1]))
        steps = np.append(steps, train.step[-1])
    return np.interp(train.step, steps, done)
