"""A figure as terminal text: its charts in braille with titles and a legend, as wide as asked. Pure functions."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import ceil, hypot, isfinite

from msgspec.structs import replace
from rich.console import Group
from rich.table import Table
from rich.text import Text

from goe.core.chart import PALETTE_DARK, Chart, Figure, Line
from tui.widgets.braille import Series, render
from tui.widgets.dots import AXIS_STYLE, Row

PALETTE = PALETTE_DARK
"""A terminal doesn't say its background; these are read on either, the yellow one but for white."""
GREY = "dim"
GAP = 3
MIN_COLUMNS = 38
"""Narrower, charts go below each other."""
MAX_COLUMNS = 110
MIN_ROWS, MAX_ROWS = 10, 22
DOTTED = 4
"""Every how many dots a dotted line has one."""


def picture(figure: Figure, columns: int, *, colour: bool, palette: Sequence[str] = PALETTE) -> Group:
    """The figure in `columns` cells. With colours, up to six lines share a chart and one legend tells them apart;
    without, each has a chart of its own with the same axes.
    """
    charts = [part for chart in figure.charts for part in _parts(chart, colour=colour)]
    across = _across(len(charts), columns)
    width = max(1, min(MAX_COLUMNS, (columns + GAP) // across - GAP))
    height = max(MIN_ROWS, min(MAX_ROWS, width // (4 if across == 1 else 5)))
    colours = palette if colour else ()
    grid = Table.grid(padding=(0, GAP, 0, 0))
    for start in range(0, len(charts), across):
        grid.add_row(*(_drawn(chart, width, height, colours) for chart in charts[start : start + across]))
    heading = Text(figure.title, "bold" if colour else "")
    return Group(heading, *_legend(figure.legend(), columns, colours), grid)


def _across(count: int, columns: int) -> int:
    fit = max(1, (columns + GAP) // (MIN_COLUMNS + GAP))
    return ceil(count / ceil(count / fit)) if count else 1  # rows equally long


def _parts(chart: Chart, *, colour: bool) -> list[Chart]:
    """The chart in parts of as many places as can be told apart; what belongs to no place is in each."""
    places = list(dict.fromkeys(line.place for line in chart.lines if line.place is not None and not line.dotted))
    at_once = len(PALETTE) if colour else 1
    if len(places) <= at_once:
        return [chart]
    x_range = chart.x_range or _reach(line.x for line in chart.lines)
    y_range = chart.y_range or _reach(values for line in chart.lines for values in (line.y, *(line.band or ())))
    parts = []
    for start in range(0, len(places), at_once):
        chosen = places[start : start + at_once]
        lines = tuple(line for line in chart.lines if line.place is None or line.place in chosen)
        named = [line.name for line in lines if line.place in chosen and line.name]
        title = chart.title if colour else " · ".join(part for part in (chart.title, *named) if part)
        parts.append(replace(chart, title=title, lines=lines, x_range=x_range, y_range=y_range))
    return parts


def _reach(axis: Iterable[Sequence[float]]) -> tuple[float, float] | None:
    """What parts of a chart must share so that they compare."""
    values = [value for each in axis for value in each if isfinite(value)]
    return (min(values), max(values)) if values else None


def _legend(lines: Sequence[Line], columns: int, colours: Sequence[str]) -> list[Text]:
    """As many entries a row as fit. Without colours only what no chart's title says: the dotted lines, and a line that
    is the only one.
    """
    if not colours and len({line.place for line in lines if line.place is not None}) > 1:
        lines = [line for line in lines if line.place is None]
    rows: list[Text] = []
    for line in lines:
        entry = Text().append("┈ " if line.dotted else "━ ", _style(line, colours)).append(line.name)
        if rows and rows[-1].cell_len + GAP + entry.cell_len <= columns:
            rows[-1].append(" " * GAP).append_text(entry)
        else:
            rows.append(entry)
    return rows


def _drawn(chart: Chart, width: int, height: int, colours: Sequence[str]) -> Text:
    title = " · ".join(part for part in (chart.title, chart.y_label) if part)
    heading = Text(title if len(title) <= width else chart.title or title, "bold" if colours else "")
    heading.truncate(width, overflow="ellipsis")
    size = 2 * width, 4 * height
    series = [_series(line, colours, *_dotted(line.x, edge, size)) for line in chart.lines for edge in line.band or ()]
    series += [
        _series(line, colours, *(_dotted(line.x, line.y, size) if line.dotted else (line.x, line.y)))
        for line in chart.lines
    ]  # later ones stand before earlier ones
    rows = render(
        series,
        width,
        height,
        x_label=chart.x_label,
        y_range=chart.y_range,
        x_reach=chart.x_range,
    )
    return Text("\n").join(
        [*([heading] if heading.plain else []), *(_text(row, colour=bool(colours)) for row in rows), Text()]
    )


def _text(row: Row, *, colour: bool) -> Text:
    line = Text(no_wrap=True)
    for text, style in row:
        line.append(text, ("dim" if style == AXIS_STYLE else style) if colour else "")
    return line


def _style(line: Line, colours: Sequence[str]) -> str:
    """Without any colours none."""
    if not colours:
        return ""
    return GREY if line.place is None else colours[line.place % len(colours)]


def _series(line: Line, colours: Sequence[str], x: Sequence[float | None], y: Sequence[float | None]) -> Series:
    return Series(line.name, x, y, _style(line, colours))


def _dotted(
    x: Sequence[float], y: Sequence[float], size: tuple[int, int]
) -> tuple[list[float | None], list[float | None]]:
    """Single points at equal distances along a curve that fills `size` dots, with gaps between them."""
    points = list(zip(x, y, strict=True))
    whole = [pair for pair in pairwise(points) if all(isfinite(value) for point in pair for value in point)]
    ends = [point for pair in whole for point in pair] or [(0.0, 0.0)]
    per_dot = [
        ((max(values) - min(values)) or 1.0) / dots for values, dots in zip(zip(*ends, strict=True), size, strict=True)
    ]
    found: tuple[list[float | None], list[float | None]] = ([], [])
    ahead = 0.0  # from where the segment begins to the next dot
    for a, b in whole:
        length = hypot((b[0] - a[0]) / per_dot[0], (b[1] - a[1]) / per_dot[1])
        while ahead <= length:
            share = ahead / length if length else 0.0
            for axis, values in enumerate(found):
                values += [a[axis] + share * (b[axis] - a[axis]), None]
            ahead += DOTTED
        ahead -= length
    return found
