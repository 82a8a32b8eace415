"""The chart widget and the grid of charts: what is on the screen, what keys and mouse do, and that it redraws only for
a reason.
"""

from collections.abc import Iterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.geometry import Region

from goe.core.chart import PALETTE_DARK, PALETTE_LIGHT
from tui.curves.columns import Columns, RunCurves
from tui.widgets.chart import Chart
from tui.widgets.chartgrid import ChartGrid
from tui.widgets.panels import CurveLook, Panel, Source, run_panels

STEPS = 101


def curves(**values: list[float]) -> RunCurves:
    """A record a step from 0, ten an epoch, two seconds a step."""
    length = max(len(each) for each in values.values())
    step = np.arange(float(length))
    named = {name.replace("__", "/"): np.array(each, dtype=float) for name, each in values.items()}
    empty = np.zeros(0)
    return RunCurves("run", Columns(step, step / 10, 1000 + 2 * step, named), Columns(empty, empty, empty, {}))


def rising(**values: float) -> RunCurves:
    return curves(**{name: [value * n for n in range(STEPS)] for name, value in values.items()})


def losses(*ys: list[float]) -> Panel:
    """A panel with a curve for each."""
    return Panel("loss", tuple(Source(f"run-{n}", "loss", (curves(loss=each),), n, n) for n, each in enumerate(ys)))


class GridApp(App[None]):
    def __init__(self, look: CurveLook | None = None) -> None:
        super().__init__()
        self.looks: list[CurveLook] = []
        self.escaped = 0
        self._grid = ChartGrid(look)

    BINDINGS = [Binding("escape", "escaped", "")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        yield self._grid

    def on_mount(self) -> None:
        self._grid.focus()

    def action_escaped(self) -> None:
        self.escaped += 1

    def on_chart_grid_looked(self, message: ChartGrid.Looked) -> None:
        self.looks.append(message.look)

    @property
    def grid(self) -> ChartGrid:
        return self._grid

    def text(self, place: int = 0) -> str:
        chart = self.grid.charts[place]
        return "\n".join(chart.render_line(y).text for y in range(chart.size.height))

    def colours(self) -> set[str]:
        """Foregrounds of the cells that hold braille."""
        chart = self.grid.charts[0]
        segments = [s for y in range(chart.size.height) for s in chart.render_line(y)]
        drawn = [s for s in segments if any(0x2800 < ord(cell) <= 0x28FF for cell in s.text)]
        return {s.style.color.name.upper() for s in drawn if s.style and s.style.color}


@asynccontextmanager
async def showing(*panels: Panel, size: tuple[int, int] = (44, 12), look: CurveLook | None = None) -> Iterator:
    app = GridApp(look)
    async with app.run_test(size=size) as pilot:
        app.grid.show(panels)
        await pilot.pause()
        yield app, pilot


@pytest.fixture
def refreshes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Region, ...]]:
    """Every later refresh of a chart, as its regions; the real refresh still runs."""
    calls: list[tuple[Region, ...]] = []
    real = Chart.refresh

    def refresh(self: Chart, *regions: Region, **options: bool) -> Chart:
        calls.append(regions)
        return real(self, *regions, **options)

    monkeypatch.setattr(Chart, "refresh", refresh)
    return calls


async def test_shows_its_curves() -> None:
    app = GridApp()
    async with app.run_test(size=(44, 12)) as pilot:
        await pilot.pause()
        assert "no data yet" in app.text()
        app.grid.show([losses([3, 2, 1])])
        await pilot.pause()
        assert app.text().startswith("loss  ━ 1")
        assert "step" in app.text()
        app.grid.show([losses([3, 2, 1], [4, 3])])
        await pilot.pause()
        assert app.text().startswith("loss  ━ run-0 1  ━ run-1 3")


async def test_the_same_again_costs_nothing(refreshes: list[tuple[Region, ...]]) -> None:
    panel = losses([3, 2, 1])
    async with showing(panel) as (app, pilot):
        app.text()
        refreshes.clear()
        app.grid.show([panel])
        await pilot.pause()
        same = losses([3, 2, 1])  # another object, the same picture
        app.grid.show([same])
        await pilot.pause()
        assert app.grid.charts[0].panel is same
        assert refreshes == []


async def test_only_changed_rows_are_sent(refreshes: list[tuple[Region, ...]]) -> None:
    async with showing(losses([3, 2, 1, 1])) as (app, pilot):
        before = app.text().splitlines()
        refreshes.clear()
        app.grid.show([losses([3, 2, 1, 1.2])])
        await pilot.pause()
        after = app.text().splitlines()
        (regions,) = refreshes
        assert [region.y for region in regions] == [y for y in range(len(after)) if before[y] != after[y]]
        assert 0 < len(regions) < len(after)


async def test_colours_follow_the_theme_unless_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = losses([1, 1], [3, 3], [2, 2])
    async with showing(panel) as (app, pilot):
        assert app.colours() == set(PALETTE_DARK[:3])
        app.theme = "textual-light"
        await pilot.pause()
        assert app.colours() == set(PALETTE_LIGHT[:3])
    monkeypatch.setenv("NO_COLOR", "1")
    async with showing(panel) as (app, _):
        assert app.text().startswith("loss  a run-0 1  b run-1 3  c run-2 2")
        assert all(letter in app.text()[44:] for letter in "abc")


async def test_as_many_columns_as_fit() -> None:
    panels = run_panels(rising(loss=1, filter__rate=0.01, train__accuracy=0.01, lr=1, images_per_s=1))
    async with showing(*panels, size=(160, 17)) as (app, pilot):
        regions = [chart.region for chart in app.grid.charts]
        assert len({region.x for region in regions}) == 3
        assert {region.height for region in regions} <= {8, 9}
        for size in ((40, 12), (400, 100), (20, 5), (1, 1), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            for chart in app.grid.charts:
                rows = [chart.render_line(y) for y in range(chart.size.height)]
                assert {row.cell_length for row in rows} <= {chart.size.width}
        assert [(chart.size.height, chart.size.width >= 36) for chart in app.grid.charts] == [(8, True)] * 5


async def test_keys_move_between_charts_and_open_one() -> None:
    panels = run_panels(rising(loss=1, filter__rate=0.01, train__accuracy=0.01, lr=1))
    async with showing(*panels, size=(84, 24)) as (app, pilot):
        for key, title in [
            ("right", "filter"), ("h", "loss"), ("down", "accuracy"), ("l", "learning rate"), ("k", "filter"),
            ("j", "learning rate"), ("up", "filter"), ("left", "loss"), ("G", "learning rate"), ("g", "loss"),
            ("end", "learning rate"), ("home", "loss"), ("k", "loss"),
        ]:  # fmt: skip
            await pilot.press(key)
            assert app.grid.chart.panel.title == title
        await pilot.press("l", "enter")
        await pilot.pause()
        shown = [chart for chart in app.grid.charts if chart.region]
        assert [chart.panel.title for chart in shown] == ["filter"]
        assert shown[0].size.height == 24
        await pilot.press("l")
        await pilot.pause()
        assert [chart.panel.title for chart in app.grid.charts if chart.region] == ["accuracy"]
        await pilot.press("escape")
        await pilot.pause()
        assert all(chart.region for chart in app.grid.charts)
        assert app.escaped == 0
        await pilot.press("escape")
        assert app.escaped == 1


async def test_a_crosshair_by_keys() -> None:
    async with showing(*run_panels(rising(loss=2, lr=1)), size=(44, 24)) as (app, pilot):
        await pilot.press("i")
        assert app.text(0).startswith("loss @ 50  ━ 100")
        assert app.text(1).startswith("learning rate @ 50  ━ 50")  # that of all charts
        await pilot.press("right")
        assert app.grid.cursor == pytest.approx(50 + app.grid.charts[0].step())
        await pilot.press("h", "h")
        assert app.grid.cursor == pytest.approx(50 - app.grid.charts[0].step())
        await pilot.press("G")
        assert app.text(0).startswith("loss @ 100  ━ 200")
        await pilot.press("l")
        assert app.grid.cursor == 100  # no further
        await pilot.press("g")
        assert app.text(0).startswith("loss @ 0  ━ 0")
        await pilot.press("escape")
        assert app.text(0).startswith("loss  ━ 200")
        await pilot.press("i", "i")
        assert app.grid.cursor is None


async def test_zoom_and_pan_by_keys_are_those_of_all_charts() -> None:
    async with showing(*run_panels(rising(loss=1, lr=1)), size=(44, 24)) as (app, pilot):
        await pilot.press("shift+right", "0")
        assert app.grid.span is None  # nothing to pan or reset
        await pilot.press("z")
        assert app.grid.span == (10, 90)
        assert all(app.text(place).splitlines()[-1].split() == ["10", "step", "90"] for place in (0, 1))
        await pilot.press("shift+left", "shift+left")
        assert app.grid.span == (0, 80)
        await pilot.press("shift+right")
        assert app.grid.span == (20, 100)
        await pilot.press("Z")
        assert app.grid.span is None
        await pilot.press("i", "G", "z")
        assert app.grid.span == (20, 100)  # around the crosshair
        await pilot.press("0")
        assert app.grid.span is None


SPIKE = [1.0 + n % 3 for n in range(STEPS)]
SPIKE[50] = 1000.0


async def test_zoom_and_pan_along_y_are_those_of_the_chart() -> None:
    async with showing(*run_panels(curves(loss=SPIKE, lr=SPIKE[:40] + [4.0] * 61)), size=(44, 24)) as (app, pilot):
        await pilot.press("shift+up", "0")
        assert app.grid.y_spans == {}  # nothing to pan or reset
        first, second = app.grid.charts
        assert first.plot.y_range == (1, 1000)
        await pilot.press(*"v" * 24)
        low, high = first.plot.y_range
        assert 1 <= low < 2 < high < 7  # the spike is out of view, the rest is not
        assert app.text(0).startswith("loss ↕")
        assert second.plot.y_range == (1, 4)
        await pilot.press("shift+up")
        assert first.plot.y_range == pytest.approx((low + (high - low) / 4, high + (high - low) / 4))
        await pilot.press("shift+down", "shift+down", "shift+down")
        assert first.plot.y_range == pytest.approx((1, 1 + high - low))  # no further
        await pilot.press("z")
        assert first.plot.y_range == pytest.approx((1, 1 + high - low))
        await pilot.press("0")
        assert (app.grid.span, first.plot.y_range) == (None, (1, 1000))
        await pilot.press("v", "V")
        assert app.grid.y_spans == {}
        await pilot.press("v", "y")
        assert first.plot.y_range == (0, 3)  # powers of ten
        await pilot.press("v", "v")
        assert "y_span" not in app.looks[-1].__struct_fields__


async def test_outliers_out_of_view_by_a_key() -> None:
    async with showing(*run_panels(curves(loss=SPIKE)), size=(44, 24)) as (app, pilot):
        first = app.grid.charts[0]
        await pilot.press("o")
        assert app.looks[-1] == CurveLook(robust=True)
        assert first.plot.y_range == (1, 3)
        await pilot.press("v", "V", *"V" * 30)
        assert first.plot.y_range == (1, 1000)  # zooming out finds them
        await pilot.press("0")
        assert first.plot.y_range == (1, 3)
        await pilot.press("o")
        assert first.plot.y_range == (1, 1000)


async def test_look_by_keys() -> None:
    async with showing(*run_panels(rising(loss=2)), size=(44, 12)) as (app, pilot):
        await pilot.press("s")
        assert app.text().startswith("loss  ━ ~")
        await pilot.press("s", "s", "s")
        assert [look.smoothing for look in app.looks] == [0.6, 0.9, 0.97, 0]
        await pilot.press("y")
        assert app.looks[-1].log
        assert "100┤" in app.text()
        await pilot.press("z", "X")
        assert app.grid.span is None
        assert app.text().splitlines()[-1].split() == ["0", "epoch", "10"]
        await pilot.press("X")
        assert app.text().splitlines()[-1].split() == ["0:00", "time", "3:20"]
        await pilot.press("X")
        assert app.looks[-1] == CurveLook(log=True)


async def test_the_look_it_begins_with() -> None:
    async with showing(*run_panels(rising(loss=2)), look=CurveLook("epoch", 0.6, True)) as (app, _):
        assert app.text().splitlines()[-1].split() == ["0", "epoch", "10"]
        assert app.text().startswith("loss  ━ ~")


def turn(chart: Chart, kind: type[events.MouseEvent], x: int, *, shift: bool = False) -> None:
    chart.post_message(kind(chart, x, 5, 0, 0, 0, shift, False, False, screen_x=chart.region.x + x, screen_y=5))


async def test_the_wheel_zooms_at_the_pointer() -> None:
    async with showing(*run_panels(rising(loss=1))) as (app, pilot):
        chart = app.grid.charts[0]
        at = chart.x_at(20)
        turn(chart, events.MouseScrollUp, 20)
        await pilot.pause()
        assert app.grid.span == pytest.approx((at * 0.2, at * 0.2 + 80))
        assert chart.x_at(20) == pytest.approx(at, abs=chart.step())  # the y axis may be wider now
        turn(chart, events.MouseScrollDown, 20)
        await pilot.pause()
        assert app.grid.span is None


@pytest.mark.parametrize(("x", "shift"), [(1, False), (20, True)])
async def test_the_wheel_on_the_y_axis_or_with_shift_zooms_along_y(x: int, shift: bool) -> None:
    async with showing(*run_panels(rising(loss=1, lr=1)), size=(84, 12)) as (app, pilot):
        first, second = app.grid.charts
        at = second.plot.y_at(5)
        turn(second, events.MouseScrollUp, x, shift=shift)
        await pilot.pause()
        assert second.plot.y_range == pytest.approx((at * 0.2, at * 0.2 + 80))
        assert (app.grid.span, first.plot.y_range) == (None, (0, 100))
        await pilot.mouse_down(second, offset=(20, 5))
        await pilot.hover(second, offset=(20, 6))
        await pilot.mouse_up(second, offset=(20, 6))
        assert second.plot.y_at(6) == pytest.approx(at)  # what was pressed on stays under the pointer
        turn(second, events.MouseScrollDown, x, shift=shift)
        await pilot.pause()
        assert second.plot.y_range == (0, 100)


async def test_dragging_pans() -> None:
    async with showing(*run_panels(rising(loss=1))) as (app, pilot):
        chart = app.grid.charts[0]
        await pilot.press("z")
        at = chart.x_at(20)
        await pilot.mouse_down(chart, offset=(20, 5))
        await pilot.hover(chart, offset=(22, 5))
        assert chart.x_at(22) == pytest.approx(at, abs=1.0)  # what was pressed on stays under the pointer
        assert app.grid.span[0] < 10
        await pilot.mouse_up(chart, offset=(22, 5))
        before = app.grid.span
        await pilot.hover(chart, offset=(30, 5))
        assert app.grid.span == before


async def test_pointing_shows_values_and_clicks_choose_and_open() -> None:
    async with showing(*run_panels(rising(loss=1, lr=1)), size=(84, 12)) as (app, pilot):
        first, second = app.grid.charts
        await pilot.hover(second, offset=(20, 5))
        x = second.x_at(20)
        assert app.text(0).startswith(f"loss @ {round(x)}  ━ {round(x)}")
        await pilot.hover(second, offset=(0, 5))  # the axis
        assert app.text(0).startswith("loss  ━ 100")
        await pilot.click(second, offset=(20, 5))
        assert app.grid.chart is second
        await pilot.click(second, offset=(20, 5), times=2)
        await pilot.pause()
        assert not first.region
        await pilot.press("z")
        await pilot.click(second, offset=(20, 5), times=2)
        await pilot.pause()
        assert app.grid.span is None
        assert app.grid.full
        await pilot.click(second, offset=(20, 5), times=2)
        await pilot.pause()
        assert first.region


async def test_keys_hold_the_crosshair_against_the_mouse() -> None:
    async with showing(*run_panels(rising(loss=1))) as (app, pilot):
        await pilot.press("i")
        await pilot.hover(app.grid.charts[0], offset=(10, 5))
        assert app.grid.cursor == 50


async def test_charts_come_and_go_with_their_metrics() -> None:
    async with showing(*run_panels(rising(loss=1, lr=1)), size=(84, 12)) as (app, pilot):
        await pilot.press("l")
        app.grid.show(run_panels(rising(loss=1, filter__rate=1, lr=1)))
        await pilot.pause()
        assert app.grid.chart.panel.title == "learning rate"
        assert len(app.query(Chart)) == 3
        app.grid.show(run_panels(rising(loss=1)))
        await pilot.pause()
        assert app.grid.chart.panel.title == "loss"
        assert len(app.query(Chart)) == 1
        app.grid.show(())
        await pilot.press("i", "z", "l", "G", "enter", "shift+left")
        assert "no data yet" in app.text()


async def test_names_that_are_no_text() -> None:
    nasty = "loss\x1b[31m\n[bold]\u202e" + "é" * 300
    async with showing(*run_panels(curves(**{nasty: [1.0, 2.0]}))) as (app, _):
        rows = app.text().splitlines()
        assert rows[0].startswith("loss�[31m�[bold]�é")
        assert {len(row) for row in rows} == {app.grid.charts[0].size.width}
