"""A chart: the curves of a panel as braille, drawn again only when data, view, size or theme changed.

It says what the mouse means by messages and changes nothing itself: views of several charts are linked.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from goe.core.chart import PALETTE_DARK, PALETTE_LIGHT
from tui.widgets.axes import epoch_text, step_text, time_text
from tui.widgets.dots import AXIS_STYLE, TITLE_STYLE, Row
from tui.widgets.panels import CurveLook, Panel, Source, shaped
from tui.widgets.plot import Axes, Curve, Plot, plot
from tui.widgets.span import Span

ZOOM = 0.8
"""Of the width in view, what one step of zooming leaves."""

X_TEXT = {"step": step_text, "epoch": epoch_text, "time": time_text}
FULL_LEGEND = 6
"""Rows that the legend of a chart alone may take."""

PLAIN = CurveLook()

_Key: TypeAlias = tuple[tuple[int, ...], int, str, CurveLook, str, bool]


@dataclass(frozen=True, slots=True)
class View:
    """What is shown of a panel, and how."""

    look: CurveLook = PLAIN
    reach: Span | None = None
    """The whole x axis; None for that of the curves."""
    span: Span | None = None
    """What of it is in view; None for all."""
    y_span: Span | None = None
    """What of the y axis is in view; None for all that belongs there."""
    cursor: float | None = None
    """Where the crosshair stands."""
    full: bool = False
    """Whether the chart is shown alone."""


class Chart(Widget):
    """One panel's curves."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"chart--title", "chart--axis"}
    DEFAULT_CSS = """
    Chart {
        height: 1fr;
    }
    Chart > .chart--title {
        text-style: bold;
    }
    Chart.-selected > .chart--title {
        text-style: bold underline;
        color: $primary;
    }
    Chart > .chart--axis {
        color: $text-muted;
    }
    """

    class FromChart(Message):
        """What the mouse did on a chart."""

        def __init__(self, chart: "Chart") -> None:
            super().__init__()
            self.chart = chart

    class Picked(FromChart):
        """It was pressed on."""

    class Opened(FromChart):
        """It was double-clicked."""

    class Zoomed(FromChart):
        """The wheel turned at an x."""

        def __init__(self, chart: "Chart", at: float, factor: float) -> None:
            super().__init__(chart)
            self.at, self.factor = at, factor

    class ZoomedY(Zoomed):
        """The wheel turned at a y: on the y axis, or with shift or ctrl."""

    class Dragged(FromChart):
        """It was pulled by a share of its width and of its height; to the left is forward, down is up the y axis."""

        def __init__(self, chart: "Chart", across: float, down: float) -> None:
            super().__init__(chart)
            self.across, self.down = across, down

    class Pointed(FromChart):
        """The mouse is at this x, or left (None)."""

        def __init__(self, chart: "Chart", x: float | None) -> None:
            super().__init__(chart)
            self.x = x

    def __init__(self, panel: Panel | None = None) -> None:
        super().__init__()
        self.panel = panel or Panel("", ())
        self._view = View()
        self._plot = Plot(0, 0, (), Axes())
        self._rows: list[Row] = []
        self._drawn_size: Size | None = None
        self._shaped: dict[_Key, tuple[Source, Curve]] = {}
        self._dragged_from: Offset | None = None

    @property
    def plot(self) -> Plot:
        """What is drawn."""
        return self._plot

    def show(self, panel: Panel, view: View) -> None:
        """Show this; what is shown already costs no redraw."""
        if panel is self.panel and view == self._view:
            return
        only_cursor = panel is self.panel and replace(view, cursor=None) == replace(self._view, cursor=None)
        self.panel, self._view = panel, view
        if self._drawn_size is None or self._drawn_size != self.size or not self.size:
            self._drawn_size = None
            self.refresh()
            return
        before = self._rows
        self._draw(replot=not only_cursor)
        # Only rows that differ are sent: over SSH a new point at the end of a curve is a few rows, not the chart.
        changed = [y for y, (old, new) in enumerate(zip(before, self._rows, strict=True)) if old != new]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def x_at(self, cell: int) -> float | None:
        """The x that a column of the chart's cells stands for."""
        return self._plot.x_at(cell)

    def step(self) -> float:
        """The x from one cell to the next."""
        view, canvas = self._plot.x_range, self._plot.canvas
        return (view[1] - view[0]) / max(1, canvas.width - 1) if canvas else 0.0

    def render_line(self, y: int) -> Strip:
        """Textual's Line API: row y of the picture."""
        if self._drawn_size != self.size:
            self._draw()
        row = self._rows[y] if y < len(self._rows) else []
        ground = self.rich_style  # Textual works it out anew each time
        segments = [Segment(text, self._style(style, ground)) for text, style in row]
        return Strip(segments).extend_cell_length(self.size.width, ground)

    def notify_style_update(self) -> None:
        """Forget the picture when theme or selection changes: its colours are part of it."""
        super().notify_style_update()
        self._drawn_size = None

    def _draw(self, *, replot: bool = True) -> None:
        if replot or self._drawn_size != self.size:
            kept, self._shaped = self._shaped, {}
            curves = [self._shape(source, kept) for source in self.panel.sources]
            axes = self._axes()
            same = (self._plot.axes, self._drawn_size) == (axes, self.size)
            if not (same and list(map(id, self._plot.curves)) == list(map(id, curves))):
                self._plot = plot(curves, self.size.width, self.size.height, axes)
        self._drawn_size = self.size
        self._rows = self._plot.rows(self._view.cursor)

    def _style(self, style: str, ground: Style) -> Style:
        if style in {TITLE_STYLE, AXIS_STYLE}:
            return self.get_component_rich_style(f"chart--{style}")
        return ground + Style.parse(style)

    def _axes(self) -> Axes:
        look = self._view.look
        return Axes(
            self.panel.title,
            look.x,
            self._view.span or self._view.reach,
            self.panel.y_range if self._view.span is None else None,
            look.log,
            X_TEXT[look.x],
            self.panel.names or self._view.full,
            not self.panel.names,
            FULL_LEGEND if self._view.full else 1,
            look.robust,
            self._view.y_span,
        )

    def _shape(self, source: Source, kept: dict[_Key, tuple[Source, Curve]]) -> Curve:
        """The source's curve, shaped again only if its data, the look or the theme changed."""
        style = curve_style(source.colour, dark=self.app.current_theme.dark, no_color=self.app.no_color)
        signed = self.panel.signed or (self.app.no_color and len(self.panel.sources) > 1)
        look = _shaping(self._view.look)
        key = (tuple(map(id, source.runs)), source.place, source.metric, look, style, signed)
        self._shaped[key] = kept.get(key) or (source, shaped(source, look, style, signed=signed))
        return self._shaped[key][1]

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin to drag."""
        self.capture_mouse()
        self._dragged_from = event.offset
        self.post_message(self.Picked(self))

    def on_mouse_up(self, _: events.MouseUp) -> None:
        """End of dragging."""
        self.release_mouse()
        self._dragged_from = None

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Pan while a button is down, else point."""
        canvas = self._plot.canvas
        if self._dragged_from is None or canvas is None:
            self.post_message(self.Pointed(self, self.x_at(event.x)))
        elif event.offset != self._dragged_from:
            x, y = self._dragged_from
            self.post_message(self.Dragged(self, (x - event.x) / canvas.width, (event.y - y) / canvas.height))
            self._dragged_from = event.offset

    def on_leave(self, _: events.Leave) -> None:
        """Point nowhere."""
        self.post_message(self.Pointed(self, None))

    def on_click(self, event: events.Click) -> None:
        """A double click opens."""
        if event.chain == 2:
            self.post_message(self.Opened(self))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Zoom in at the pointer."""
        self._wheel(event, ZOOM)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Zoom out at the pointer."""
        self._wheel(event, 1 / ZOOM)

    def _wheel(self, event: events.MouseEvent, factor: float) -> None:
        along_y = event.shift or event.ctrl or event.x < self._plot.left
        at = self._plot.y_at(event.y) if along_y else self.x_at(event.x)
        if at is not None:
            event.stop()
            event.prevent_default()
            self.post_message((self.ZoomedY if along_y else self.Zoomed)(self, at, factor))


def _shaping(look: CurveLook) -> CurveLook:
    """What of the look shapes a curve."""
    return CurveLook(look.x, look.smoothing)


def curve_style(colour: int, *, dark: bool, no_color: bool) -> str:
    """The rich style of a place in the palette; without colours letters tell curves apart."""
    palette = PALETTE_DARK if dark else PALETTE_LIGHT
    return "" if no_color else palette[colour % len(palette)]
