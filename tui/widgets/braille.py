"""Curves as braille text: series in, styled lines out; a pure function that knows no widget.

For figures, whose curves may turn back, stand still or be dotted; training curves go through `tui.widgets.plot`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from rich.cells import cell_len

from tui.widgets.axes import flat, gutter, room_around, x_labels
from tui.widgets.dots import AXIS_STYLE, Bucket, Canvas, Row, fit, notice, trace

Points: TypeAlias = list[tuple[float, float] | None]
"""A curve in data units; `None` is a gap."""

NO_DATA = "no data yet"
MIN_WIDTH, MIN_HEIGHT = 12, 4
"""Below this every cell goes to the curve: no heading, no axes."""

_LIMIT = 1e300  # keeps hi - lo finite; float32 ends at 3.4e38, so no real loss comes near


@dataclass(frozen=True)
class Series:
    """One curve; `None`, NaN and infinities in x or y are gaps. `style` is a rich style."""

    name: str
    x: Sequence[float | None]
    y: Sequence[float | None]
    style: str = ""


def render(
    series: Sequence[Series],
    width: int,
    height: int,
    *,
    x_label: str = "",
    y_range: tuple[float, float] | None = None,
    x_reach: tuple[float, float] | None = None,
) -> list[Row]:
    """Return `height` rows of exactly `width` cells: curves with a y axis, first and last x.

    `x_reach` is what the x axis spans at least.

    Where two series share a cell the later one gives the style. Values outside `y_range` (default: the range of
    the data) are drawn on its edge. Below 12 × 4 cells only the curves are drawn, in one row a sparkline. Never
    raises on sizes or values: a width or height below 1 gives empty rows or no rows.
    """
    if width < 1 or height < 1:
        return [[] for _ in range(height)]
    curves = [_points(one) for one in series]
    drawn = [point for curve in curves for point in curve if point is not None]
    if not drawn:
        return notice(NO_DATA, width, height)

    xs, ys = zip(*drawn, strict=True)
    reach = xs if x_reach is None else (*xs, *x_reach)
    x_range = min(reach), max(reach)
    y_range = _usable_range(y_range or (math.nan, math.nan)) or room_around(min(ys), max(ys))
    axis = gutter(y_range, height - 1) if width >= MIN_WIDTH and height >= MIN_HEIGHT else []
    cells = width - cell_len(axis[0]) if axis else width
    if not axis or cells < width // 2:  # labels such as -1.25e-299 would leave no room for the curve
        return _plot(series, curves, x_range, y_range, width, height)
    plot = _plot(series, curves, x_range, y_range, cells, height - 1)
    rows: list[Row] = [[(label, AXIS_STYLE), *row] for label, row in zip(axis, plot, strict=True)]
    foot = " " * (width - cells) + x_labels(x_range, x_label, cells)
    return [*rows, fit([(foot, AXIS_STYLE)], width)]


def _points(series: Series) -> Points:
    """The curve with gaps marked; cut to the shorter of x and y."""
    return [
        # NaN fails every comparison, so this one test also rejects NaN and the infinities
        (x, y) if x is not None and y is not None and -_LIMIT < x < _LIMIT and -_LIMIT < y < _LIMIT else None
        for x, y in zip(series.x, series.y, strict=False)
    ]


def _usable_range(y_range: tuple[float, float]) -> tuple[float, float] | None:
    """The caller's range if it spans something finite, else `None`."""
    lo, hi = y_range
    return (lo, hi) if -_LIMIT < lo < hi < _LIMIT and not flat(lo, hi) else None


def _plot(
    series: Sequence[Series],
    curves: Sequence[Points],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    width: int,
    height: int,
) -> list[Row]:
    """The curves alone on width × height cells."""
    canvas = Canvas(width, height)
    for one, curve in zip(series, curves, strict=True):
        canvas.draw(trace(_buckets(curve, x_range, 2 * width), y_range, 2 * width, 4 * height), one.style)
    return canvas.rows()


def _buckets(curve: Points, x_range: tuple[float, float], columns: int) -> Iterator[Bucket | None]:
    """Neighbouring points of one dot column; `None` is a gap.

    Comparing the values here costs a third of placing every single point in the picture.
    """
    x_low, x_span = x_range[0], (x_range[1] - x_range[0]) or 1.0
    right = columns - 1

    def column(point: tuple[float, float] | None) -> int:
        return -1 if point is None else int((point[0] - x_low) / x_span * right + 0.5)

    for col, group in groupby(curve, column):
        ys = [point[1] for point in group if point is not None]
        yield (col, ys[0], min(ys), max(ys), ys[-1]) if ys else None
