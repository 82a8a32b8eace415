"""Charts as small multiples with one x axis: its zoom, crosshair and look are those of all; one at a time can be full.

Each has a y axis of its own, and so has its zoom.
"""

from collections.abc import Sequence
from math import ceil
from typing import ClassVar

import msgspec
from textual import events
from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer
from textual.message import Message

from tui.widgets.chart import PLAIN, ZOOM, Chart, View
from tui.widgets.panels import SMOOTHINGS, X_AXES, CurveLook, Panel, reach
from tui.widgets.span import Span, panned, zoomed

MIN_COLUMNS, MIN_ROWS = 36, 8
"""Cells of the smallest chart."""
GAP = 2
"""Cells between charts."""
PAN = 0.25
"""Of the width or height in view, what one step of panning moves."""


EMPTY = (Panel("", ()),)


class ChartGrid(ScrollableContainer):
    """A chart a panel. `show` is the only way in; what the user chose of the look goes out as `Looked`."""

    can_focus = True
    BINDING_GROUP_TITLE = "Charts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "go(-1, 0)", "chart or crosshair to the left", show=False),
        Binding("right,l", "go(1, 0)", "chart or crosshair to the right", show=False),
        Binding("up,k", "go(0, -1)", "chart above", show=False),
        Binding("down,j", "go(0, 1)", "chart below", show=False),
        Binding("g,home", "end(False)", "first chart, crosshair to the start", show=False),
        Binding("G,end", "end(True)", "last chart, crosshair to the end", show=False),
        Binding("enter", "open", "one chart"),
        Binding("i", "crosshair", "crosshair"),
        Binding("z", "zoom(True)", "zoom in", show=False),
        Binding("Z", "zoom(False)", "zoom out", show=False),
        Binding("shift+left", "pan(-1)", "pan left", show=False),
        Binding("shift+right", "pan(1)", "pan right", show=False),
        Binding("v", "zoom_y(True)", "zoom in along y", show=False),
        Binding("V", "zoom_y(False)", "zoom out along y", show=False),
        Binding("shift+up", "pan_y(1)", "pan up", show=False),
        Binding("shift+down", "pan_y(-1)", "pan down", show=False),
        Binding("o", "robust", "y axes without outliers, or with", show=False),
        Binding("0", "reset", "whole axes", show=False),
        Binding("s", "smooth", "smooth"),
        Binding("y", "log", "log y"),
        Binding("X", "x_axis", "x axis: step, epoch, time", show=False),
        Binding("escape", "out", "crosshair off, all charts", show=False),
    ]
    DEFAULT_CSS = """
    ChartGrid {
        layout: grid;
        grid-gutter: 0 2;
        height: 1fr;
        padding: 0 1;
        scrollbar-size: 1 1;
        overflow-x: hidden;
    }
    ChartGrid > Chart { height: 100%; }
    ChartGrid.-full > Chart { display: none; }
    ChartGrid.-full > Chart.-selected { display: block; }
    ChartGrid:blur > Chart.-selected > .chart--title { color: $foreground; text-style: bold; }
    """

    class Looked(Message):
        """The user changed the look."""

        def __init__(self, grid: "ChartGrid", look: CurveLook) -> None:
            super().__init__()
            self.grid, self.look = grid, look

    class Filled(Message):
        """One chart takes all the room, or no longer."""

        def __init__(self, grid: "ChartGrid", full: bool) -> None:
            super().__init__()
            self.grid, self.full = grid, full

    def __init__(self, look: CurveLook | None = None, *, id: str | None = None) -> None:  # noqa: A002 - textual's name for it
        super().__init__(id=id)
        self.look = look or PLAIN
        self.span: Span | None = None
        self.y_spans: dict[str, Span] = {}
        """What is in view of the y axes that were zoomed, by the titles of their charts."""
        self.cursor: float | None = None
        self.full = False
        self.selected = ""
        """Title of the chart that keys mean."""
        self.charts: list[Chart] = []
        """In the order of the panels."""
        self._panels: tuple[Panel, ...] = EMPTY
        self._reach: Span | None = None
        """The whole x axis."""
        self._arranged = 0
        self._across = 1
        self._held = False
        """Whether the crosshair stays where keys put it."""

    @property
    def chart(self) -> Chart | None:
        """The chart that keys mean."""
        return self.charts[self._place()] if self.charts else None

    @property
    def in_view(self) -> Span | None:
        """What of the x axis is shown."""
        return self.span or self._reach

    def show(self, panels: Sequence[Panel]) -> None:
        """Show these, in their order; the selected one stays selected by its title."""
        self._panels = panels = tuple(panels) or EMPTY
        self._reach = reach(self._panels, self.look.x)
        for surplus in self.charts[len(panels) :]:
            surplus.remove()
        del self.charts[len(panels) :]
        missing = [Chart(panel) for panel in panels[len(self.charts) :]]
        self.charts += missing
        self.mount_all(missing)
        if missing or len(panels) != self._arranged:
            self._arrange()
        for chart in self.charts:
            chart.call_later(self._show_chart, chart)  # each for itself, so that a key need not wait for all

    def on_mount(self) -> None:
        """Say that there is nothing yet."""
        self.show(self._panels)

    def set_look(self, look: CurveLook) -> None:
        """Show the curves so; another axis is shown whole."""
        if look.x != self.look.x:
            self.span, self.cursor, self._held = None, None, False
            self._reach = reach(self._panels, look.x)
        if (look.log, look.robust) != (self.look.log, self.look.robust):
            self.y_spans.clear()
        self.look = look
        self._update()

    def on_resize(self, _: events.Resize) -> None:
        """As many columns as make every chart at least as large as the smallest."""
        self._arrange()

    def _arrange(self) -> None:
        width, height, count = self.size.width, self.size.height, len(self.charts)
        if not width or not count:
            return
        self._arranged = count
        most = max(1, (width + GAP) // (MIN_COLUMNS + GAP))
        fit = max(1, height // MIN_ROWS)
        across = 1 if self.full else next((n for n in range(1, most) if ceil(count / n) <= fit), most)
        down = 1 if self.full else ceil(count / across)
        self._across = min(across, count)
        self.styles.grid_size_columns = self._across
        self.styles.grid_rows = "1fr" if down <= fit else str(max(1, height // fit))

    def _update(self) -> None:
        """The selected chart now, the others each in its turn: a key is answered before all are drawn."""
        for chart in self.charts:
            if chart is self.chart:
                self._show_chart(chart)
            else:
                chart.call_later(self._show_chart, chart)

    def _show_chart(self, chart: Chart) -> None:
        if chart in self.charts:  # else removed meanwhile
            place = self.charts.index(chart)
            chart.set_class(place == self._place(), "-selected")
            y_span = self.y_spans.get(self._panels[place].title)
            chart.show(self._panels[place], View(self.look, self._reach, self.span, y_span, self.cursor, self.full))

    def _place(self) -> int:
        titles = [panel.title for panel in self._panels]
        return titles.index(self.selected) if self.selected in titles else 0

    def _select(self, place: int) -> None:
        self.selected = self._panels[place].title
        self._update()
        self.charts[place].scroll_visible(animate=False)

    def _set_full(self, full: bool) -> None:
        self.full = full
        self.set_class(full, "-full")
        self.post_message(self.Filled(self, full))
        self._arrange()
        self._update()
        if not full and self.chart is not None:
            self.chart.scroll_visible(animate=False)

    def check_action(self, action: str, _: tuple[object, ...]) -> bool | None:
        """Keys that have nothing to do here are left to the screen."""
        if action == "out":
            return self._held or self.full
        return self._is_zoomed if action == "reset" else True

    @property
    def _is_zoomed(self) -> bool:
        return self.span is not None or bool(self.y_spans)

    def action_go(self, right: int, down: int) -> None:
        """The neighbouring chart; sideways with a crosshair, its next place."""
        chart = self.chart
        if chart is None:
            return
        if self._held and right and self.cursor is not None:
            self._point(self.cursor + right * chart.step())
            return
        place = self._place() + right + down * (1 if self.full else self._across)
        if 0 <= place < len(self.charts):
            self._select(place)

    def action_end(self, last: bool) -> None:
        """The first or last chart; with a crosshair, the start or end of the x axis in view."""
        if self.chart is None:
            return
        if self._held and self.in_view is not None:
            self._point(self.in_view[last])
        else:
            self._select(len(self.charts) - 1 if last else 0)

    def action_open(self) -> None:
        """The selected chart alone, or all of them again."""
        self._set_full(not self.full and bool(self.charts))

    def action_out(self) -> None:
        """One layer out: without the crosshair, then all charts."""
        if self._held:
            self.action_crosshair()
        else:
            self._set_full(False)

    def action_crosshair(self) -> None:
        """A crosshair in the middle of what is in view, or none."""
        view = self.in_view
        self._held = not self._held and view is not None
        self.cursor = (view[0] + view[1]) / 2 if self._held and view else None
        self._update()

    def _point(self, x: float) -> None:
        """Put the crosshair there, within what is in view."""
        view = self.in_view
        if view is not None:
            self.cursor = min(max(x, view[0]), view[1])
            self._update()

    def action_zoom(self, closer: bool) -> None:
        """Around the crosshair, else the middle."""
        view = self.in_view
        if view:
            inside = self.cursor is not None and view[0] <= self.cursor <= view[1]
            at = self.cursor if inside and self.cursor is not None else (view[0] + view[1]) / 2
            self._zoom(at, ZOOM if closer else 1 / ZOOM)

    def _zoom(self, at: float, factor: float) -> None:
        if self.in_view and self._reach:
            self.span = zoomed(self.in_view, self._reach, at, factor)
            self._update()

    def action_pan(self, direction: int) -> None:
        """Along the x axis."""
        self._pan(direction * PAN)

    def _pan(self, share: float) -> None:
        if self.span and self._reach:
            self.span = panned(self.span, self._reach, share)
            self._update()

    def action_zoom_y(self, closer: bool) -> None:
        """The selected chart, around the curves at the crosshair, else around their middle."""
        if self.chart is not None:
            self._zoom_y(self.chart, self.chart.plot.middle(self.cursor), ZOOM if closer else 1 / ZOOM)

    def _zoom_y(self, chart: Chart, at: float, factor: float) -> None:
        self._set_y(chart, zoomed(chart.plot.y_range, chart.plot.y_whole, at, factor))

    def action_pan_y(self, direction: int) -> None:
        """The selected chart along its y axis."""
        if self.chart is not None:
            self._pan_y(self.chart, direction * PAN)

    def _pan_y(self, chart: Chart, share: float) -> None:
        if share and chart.plot.y_range != chart.plot.y_whole:
            self._set_y(chart, panned(chart.plot.y_range, chart.plot.y_whole, share))

    def _set_y(self, chart: Chart, span: Span | None) -> None:
        if span is None and self.look.robust:
            span = chart.plot.y_whole  # else outliers would be out of view again
        self.y_spans.pop(chart.panel.title, None)
        if span is not None and span[1] > span[0]:
            self.y_spans[chart.panel.title] = span
        self._show_chart(chart)

    def action_reset(self) -> None:
        """The whole axes."""
        self.span = None
        self.y_spans.clear()
        self._update()

    def action_smooth(self) -> None:
        """The next smoothing."""
        place = SMOOTHINGS.index(self.look.smoothing) if self.look.smoothing in SMOOTHINGS else -1
        self._look(smoothing=SMOOTHINGS[(place + 1) % len(SMOOTHINGS)])

    def action_log(self) -> None:
        """Powers of ten on the y axis, or not."""
        self._look(log=not self.look.log)

    def action_robust(self) -> None:
        """Outliers out of view, or not."""
        self._look(robust=not self.look.robust)

    def action_x_axis(self) -> None:
        """The next x axis."""
        self._look(x=X_AXES[(X_AXES.index(self.look.x) + 1) % len(X_AXES)])

    def _look(self, **changes: object) -> None:
        self.set_look(msgspec.structs.replace(self.look, **changes))
        self.post_message(self.Looked(self, self.look))

    def on_chart_picked(self, message: Chart.Picked) -> None:
        """A chart was pressed on."""
        self._select(self.charts.index(message.chart))

    def on_chart_opened(self, _: Chart.Opened) -> None:
        """A double click: one layer in, and out again."""
        if self.full and self._is_zoomed:
            self.action_reset()
        else:
            self._set_full(not self.full)

    def on_chart_zoomed(self, message: Chart.Zoomed) -> None:
        """The wheel."""
        self._zoom(message.at, message.factor)

    def on_chart_zoomed_y(self, message: Chart.ZoomedY) -> None:
        """The wheel over a y axis."""
        self._zoom_y(message.chart, message.at, message.factor)

    def on_chart_dragged(self, message: Chart.Dragged) -> None:
        """A chart was pulled."""
        self._pan(message.across)
        self._pan_y(message.chart, message.down)

    def on_chart_pointed(self, message: Chart.Pointed) -> None:
        """The mouse moves the crosshair of all charts, unless keys hold it."""
        if not self._held and message.x != self.cursor:
            self.cursor = message.x
            self._update()
