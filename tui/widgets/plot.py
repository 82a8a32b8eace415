"""Training curves on one pair of axes as styled lines: raw behind smoothed, bands, a crosshair, a legend that fits.

Pure: curves and a size in, a `Plot` out, which draws its rows with or without a crosshair and knows which x a cell is.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rich.cells import cell_len

from tui.widgets.axes import flat, gutter, number_text, room_around, x_labels
from tui.widgets.braille import MIN_HEIGHT, MIN_WIDTH, NO_DATA
from tui.widgets.dots import (
    AXIS_STYLE,
    TITLE_STYLE,
    Canvas,
    Row,
    column,
    dot_row,
    fit,
    notice,
    printable,
)
from tui.widgets.span import Span

if TYPE_CHECKING:
    from tui.curves.shape import Line

BAND, RAW, CURVE = 0, 1, 2
"""Layers: what lies lower gives way where a higher one is drawn."""
_LIMIT = 1e300  # keeps the highest − the lowest finite
_FAR = 8
"""Pictures above and below that are still drawn to scale, so that a line leaves the picture as steeply as it is."""
_SAMPLES = 200
"""Columns by which outliers are told from the rest, and the middle is found."""
_SPARSE = sum(1 << bit for bit in range(0, 2 * (_FAR + 1) * 1024, 2))
"""Every other dot: a band must be told from a curve without colour."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One curve, shaped for its x axis."""

    name: str
    style: str
    line: "Line"
    raw: "Line | None" = None
    """Before smoothing; drawn dim behind."""
    band: "tuple[Line, Line] | None" = None
    """Mean − std and mean + std."""
    counts: "Line | None" = None
    """How many runs each mean is of; None for one."""
    of: int = 1
    """How many it is to be of."""
    sign: str = ""
    """A letter on the curve and in the legend, where colours don't tell it from the others."""


@dataclass(frozen=True, slots=True)
class Axes:
    """What stands at the axes, and what of them is in view."""

    title: str = ""
    x_label: str = ""
    x_range: Span | None = None
    """None for all there is."""
    y_range: Span | None = None
    """What a linear y axis spans at least."""
    log: bool = False
    x_text: Callable[[float], str] = number_text
    names: bool = True
    """Whether the legend names the curves, beside their values."""
    lone: bool = False
    """Whether one that is alone below a title is named too."""
    legend_rows: int = 1
    """How many it may take; a sixth of the height at most."""
    robust: bool = False
    """Whether outliers may lie beyond the y axis."""
    y_span: Span | None = None
    """What of the y axis is in view, in powers of ten if it is logarithmic; None for all that belongs there."""


@dataclass(frozen=True, slots=True, eq=False)
class Plot:
    """A drawn chart."""

    width: int
    height: int
    curves: Sequence[Curve]
    axes: Axes
    x_range: Span = (0.0, 0.0)
    gutter: list[str] = field(default_factory=list)
    canvas: Canvas | None = None
    """None where there is nothing to draw."""
    headed: int = 0
    """Rows of the legend."""
    y_range: Span = (0.0, 0.0)
    """As `Axes.y_span`."""
    y_whole: Span = (0.0, 0.0)
    """What the curves in view span."""
    mark: str = ""
    """An arrow to where values lie that are not in view."""

    @property
    def left(self) -> int:
        """Cells before the first of the curves."""
        return len(self.gutter[0]) if self.gutter else 0

    def x_at(self, cell: int) -> float | None:
        """The x in the middle of a cell of the row; None where no curve is drawn."""
        place = cell - self.left
        if self.canvas is None or not 0 <= place < self.canvas.width:
            return None
        lo, hi = self.x_range
        return lo + (hi - lo) * min(1.0, (2 * place + 0.5) / max(1, 2 * self.canvas.width - 1))

    def y_at(self, row: int) -> float | None:
        """The y in the middle of a row, as `y_range`; None where no curve is drawn."""
        if self.canvas is None or not 0 <= row - self.headed < self.canvas.height:
            return None
        lo, hi = self.y_range
        return hi - (hi - lo) * (row - self.headed + 0.5) / self.canvas.height

    def middle(self, cursor: float | None = None) -> float:
        """Of the y in view half are below this, as `y_range`; those at `cursor` if there is one."""
        from tui.curves.shape import at, envelope

        lines = [(_logged(curve) if self.axes.log else curve).line for curve in self.curves]
        if cursor is None:
            found = [y for line in lines for y in envelope(line, self.x_range, _SAMPLES).last.tolist()]
        else:
            found = [point[1] for line in lines if (point := at(line, cursor)) is not None]
        lo, hi = self.y_range
        inside = sorted(y for y in found if lo <= y <= hi)
        return inside[len(inside) // 2] if inside else (lo + hi) / 2

    def rows(self, cursor: float | None = None) -> list[Row]:
        """Exactly `height` rows of `width` cells; with values at `cursor` in the legend, else the last ones."""
        if self.width < 1 or self.height < 1:
            return [[] for _ in range(self.height)]
        entries = legend(self.curves, self.axes, self.width, self.headed, cursor, self.mark)
        heading = [fit(row, self.width) for row in entries]
        heading += [fit([], self.width)] * (self.headed - len(heading))
        if self.canvas is None:
            return heading + notice(NO_DATA, self.width, self.height - len(heading))
        body = self.canvas.rows(self._rule(cursor))
        if not self.gutter:
            return heading + body
        rows: list[Row] = [[(label, AXIS_STYLE), *row] for label, row in zip(self.gutter, body, strict=True)]
        labels = x_labels(self.x_range, self.axes.x_label, self.canvas.width, self.axes.x_text)
        return [*heading, *rows, fit([(" " * self.left + labels, AXIS_STYLE)], self.width)]

    def _rule(self, cursor: float | None) -> int | None:
        lo, hi = self.x_range
        if cursor is None or self.canvas is None or not lo <= cursor <= hi:
            return None
        return dot_row(cursor, (lo, hi), 2 * self.canvas.width) // 2 if hi > lo else 0


def plot(curves: Sequence[Curve], width: int, height: int, axes: Axes) -> Plot:
    """The curves on width × height cells. Below 12 × 4 cells only the curves are drawn. Never raises on a size."""
    roomy = width >= MIN_WIDTH and height >= MIN_HEIGHT
    x_range = axes.x_range or whole(curves)
    drawn = [_logged(curve) for curve in curves] if axes.log else curves
    found = None if x_range is None else _y_ranges(drawn, x_range, axes)
    mark = found[2] if found else ""
    headed = _headed(curves, axes, width, height, mark) if roomy else 0
    if x_range is None or found is None or width < 1 or height < 1:
        return Plot(width, height, curves, axes, headed=headed)
    y_range, y_whole, _ = found
    body = height - headed - 1 if roomy else height
    axis = gutter(y_range, body, log=axes.log) if roomy else []
    if axis and width - len(axis[0]) < width // 2:  # labels such as -1.25e-299 would leave no room for the curve
        axis, body = [], body + 1
    canvas = Canvas(width - (len(axis[0]) if axis else 0), body)
    _draw(canvas, drawn, x_range, y_range, margin=_FAR * 4 * body if mark else 0)
    return Plot(width, height, curves, axes, x_range, axis, canvas, headed, y_range, y_whole, mark)


def whole(curves: Sequence[Curve]) -> Span | None:
    """From the first to the last x of all curves."""
    from tui.curves.shape import x_range  # numpy: 0.1 s that a start of the dashboard should not cost

    return x_range(curve.line for curve in curves)


def _logged(curve: Curve) -> Curve:
    from tui.curves.shape import log_y

    raw = curve.raw and log_y(curve.raw)
    edges = (log_y(curve.band[0]), log_y(curve.band[1])) if curve.band else None
    return replace(curve, line=log_y(curve.line), raw=raw, band=edges)


def _y_ranges(curves: Sequence[Curve], x_range: Span, axes: Axes) -> tuple[Span, Span, str] | None:
    """What of the y axis is in view, all that belongs there, and an arrow to where values lie beyond the view."""
    lines = [line for curve in curves for line in (curve.line, curve.raw, *(curve.band or ())) if line is not None]
    found = [ends for line in lines if (ends := _ends(line, x_range, robust=axes.robust))]
    if not found:
        return None
    own = (axes.y_range,) if axes.y_range and not axes.log else ()
    usual, whole = (room_around(*_over([*own, *(each[place] for each in found)])) for place in (0, 1))
    view = axes.y_span or usual
    low, high = _over([ends for _, ends in found])
    above, below = high > view[1], low < view[0]
    return view, whole, " ↕" if above and below else " ↑" if above else " ↓" if below else ""


def _over(spans: Sequence[Span]) -> Span:
    return min(low for low, _ in spans), max(high for _, high in spans)


def _ends(line: "Line", x_range: Span, *, robust: bool) -> tuple[Span, Span] | None:
    """Lowest and highest y in view, first without outliers if `robust`, then of all.

    An outlier is further from the middle 80 % of the columns than these are high.
    """
    from tui.curves.shape import envelope

    found = envelope(line, x_range, _SAMPLES if robust else 1)
    ends = (*found.low.tolist(), *found.high.tolist(), found.left, found.right)
    known = sorted(min(max(end, -_LIMIT), _LIMIT) for end in ends if math.isfinite(end))
    if not known:
        return None
    low, high = known[len(known) // 10], known[-1 - len(known) // 10]
    kept = [y for y in known if 2 * low - high <= y <= 2 * high - low] if robust else known
    return (kept[0], kept[-1]), (known[0], known[-1])


def _draw(canvas: Canvas, curves: Sequence[Curve], x_range: Span, y_range: Span, margin: int) -> None:
    from tui.curves.shape import envelope
    from tui.widgets.tracing import trace_envelope

    columns, rows = 2 * canvas.width, 4 * canvas.height
    picture = (1 << rows) - 1

    def masks(line: "Line") -> list[int]:
        return trace_envelope(envelope(line, x_range, columns), y_range, columns, rows, margin)

    def draw(masks: Sequence[int], style: str, layer: int) -> list[int]:
        seen = [mask >> margin & picture for mask in masks]
        canvas.draw(seen, style, layer)
        return seen

    for curve in curves:
        if curve.band:
            draw(_band(masks(curve.band[0]), masks(curve.band[1])), f"{curve.style} dim".strip(), BAND)
    for curve in curves:
        if curve.raw:
            draw(masks(curve.raw), f"{curve.style} dim".strip(), RAW)
    signed: list[tuple[Curve, list[int]]] = []
    for curve in reversed(curves):  # the first one stands before the others
        drawn = draw(masks(curve.line), curve.style, CURVE)
        signed += [(curve, drawn)] if curve.sign else []
    _sign(canvas, signed[::-1])


def _band(low: Sequence[int], high: Sequence[int]) -> list[int]:
    """Every other dot of every other column, edge to edge; a lower edge that a log axis can't show is its bottom."""
    return [
        column(_bottom(a), b.bit_length() - 1) & _SPARSE if b and col % 2 == 0 else 0
        for col, (a, b) in enumerate(zip(low, high, strict=True))
    ]


def _bottom(mask: int) -> int:
    return (mask & -mask).bit_length() - 1 if mask else 0


def _sign(canvas: Canvas, signed: Sequence[tuple[Curve, list[int]]]) -> None:
    """Each curve's letter on it, at places of their own as far as there is room."""
    for index, (curve, masks) in enumerate(signed):
        wanted = int((index + 0.5) / len(signed) * canvas.width)
        order = sorted(range(canvas.width), key=lambda x: abs(x - wanted))
        place = next((x for x in order if masks[2 * x + 1] or masks[2 * x]), None)
        if place is not None:
            mask = masks[2 * place] or masks[2 * place + 1]
            canvas.sign(place, canvas.height - 1 - (mask.bit_length() - 1) // 4, curve.sign, f"{curve.style} bold")


def legend(
    curves: Sequence[Curve], axes: Axes, width: int, most: int, cursor: float | None, mark: str = ""
) -> list[Row]:
    """Title and its mark, and each curve with its value at the cursor, else its last; as many as fit in `most` rows,
    and how many did not.
    """
    if most < 1:
        return []
    title = printable(axes.title) + mark + (f" @ {axes.x_text(cursor)}" if cursor is not None else "")
    rows: list[Row] = [[(title, TITLE_STYLE), ("  ", "")] if title else []]
    used = cell_len(title) + 2 if title else 0
    for place, curve in enumerate(curves):
        entry = _entry(curve, axes, cursor, alone=len(curves) == 1)
        length = sum(cell_len(text) for text, _ in entry)
        left_out = len(curves) - place
        last = len(rows) == most and left_out > 1
        # The two blanks after the last one may hang over; those before a `+12` may not.
        if used + length + (len(f"+{left_out - 1}") if last else -2) > width and rows[-1]:
            if len(rows) == most:
                rows[-1].append((f"+{left_out}", AXIS_STYLE))
                break
            rows.append([])
            used = 0
        rows[-1] += entry
        used += length
    return rows


def _headed(curves: Sequence[Curve], axes: Axes, width: int, height: int, mark: str) -> int:
    """Rows that the legend takes, as if there were a crosshair: what is below must not jump when one comes."""
    x_range = axes.x_range or whole(curves)
    most = min(axes.legend_rows, max(1, height // 6))
    return len(legend(curves, axes, width, most, x_range and x_range[1], mark))


def _entry(curve: Curve, axes: Axes, cursor: float | None, *, alone: bool) -> Row:
    name = "" if not axes.names or (axes.title and alone and not axes.lone) else f" {printable(curve.name)}"
    value = _value(curve, cursor, named=axes.names)
    return [(curve.sign or "━", curve.style), (f"{name}{value and ' ' + value}  ", "")]


def _value(curve: Curve, x: float | None, *, named: bool) -> str:
    """The value at x, else the last, or that there was none; mean ± std over seeds, and of how many where the name
    tells them or some are missing; a smoothed value is marked.
    """
    from tui.curves.shape import at

    found = at(curve.line, math.inf if x is None else x)
    if found is None:
        return ""
    if math.isinf(found[1]):
        return "none"
    text = ("~" if curve.raw else "") + number_text(found[1])
    if curve.band and (edge := at(curve.band[1], found[0])) and edge[0] == found[0]:
        text += f"±{_std(found[1], edge[1])}"
    count = at(curve.counts, found[0]) if curve.counts else None
    n = round(count[1]) if count else 1
    if n < curve.of:
        return f"{text} n={n}/{curve.of}"
    return f"{text} n={n}" if named and n > 1 else text


def _std(mean: float, edge: float) -> str:
    """Two digits; 0 for what is only rounding."""
    std = edge - mean
    return "0" if flat(mean, edge) else f"{std:.2g}" if std < 100 else number_text(round(std))
