"""The chart widget: what is on the screen, and that it redraws only for a reason."""

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region

from goe.core.chart import PALETTE_DARK, PALETTE_LIGHT
from tui.widgets.braille import Series
from tui.widgets.chart import Chart

SIZE = (40, 12)


class ChartApp(App[None]):
    def compose(self) -> ComposeResult:
        yield Chart(title="loss", x_label="epoch")

    @property
    def chart(self) -> Chart:
        return self.query_one(Chart)

    def text(self) -> str:
        return "\n".join(self.chart.render_line(y).text for y in range(self.chart.size.height))

    def colours(self) -> set[str]:
        """Foregrounds of the cells that hold braille."""
        segments = [s for y in range(self.chart.size.height) for s in self.chart.render_line(y)]
        drawn = [s for s in segments if any(0x2800 < ord(cell) <= 0x28FF for cell in s.text)]
        return {s.style.color.name.upper() for s in drawn if s.style and s.style.color}


def curve(*ys: float, name: str = "train", style: str = "") -> Series:
    return Series(name, list(range(len(ys))), list(ys), style)


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


async def test_shows_its_series() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE) as pilot:
        assert "no data yet" in app.text()
        app.chart.set_series([curve(3, 2, 1)])
        await pilot.pause()
        assert app.text().startswith("loss  ━ 1")
        assert "epoch" in app.text()
        app.chart.set_series([curve(3, 2, 1), curve(4, 3, name="val")], title="both")
        assert app.text().startswith("both  ━ train 1  ━ val 3")


async def test_equal_data_costs_nothing(refreshes: list[tuple[Region, ...]]) -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        app.chart.set_series([curve(3, 2, 1)])
        app.text()
        refreshes.clear()
        app.chart.set_series([curve(3, 2, 1)])
        assert refreshes == []


async def test_only_changed_rows_are_sent(refreshes: list[tuple[Region, ...]]) -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        app.chart.set_series([curve(3, 2, 1, 1)])
        before = app.text().splitlines()
        refreshes.clear()
        app.chart.set_series([curve(3, 2, 1, 1.2)])
        after = app.text().splitlines()
        (regions,) = refreshes
        assert [region.y for region in regions] == [y for y in range(12) if before[y] != after[y]]
        assert 0 < len(regions) < 12


async def test_a_list_that_grows_after_the_call_is_noticed() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE):
        ys = [3.0, 2.0]
        app.chart.set_series([Series("train", [0, 1, 2], ys)])
        ys.append(1.0)
        app.chart.set_series([Series("train", [0, 1, 2], ys)])
        assert app.text().startswith("loss  ━ 1")


async def test_follows_the_size() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE) as pilot:
        app.chart.set_series([curve(3, 2, 1)])
        for size in ((20, 5), (6, 1), (60, 20)):
            await pilot.resize_terminal(*size)
            rows = app.text().splitlines()
            assert (len(rows[0]), len(rows)) == size


async def test_colours_follow_the_theme_unless_given() -> None:
    app = ChartApp()
    async with app.run_test(size=SIZE) as pilot:
        app.chart.set_series([curve(1, 1), curve(3, 3, style="#112233"), curve(2, 2)])
        assert app.colours() == {PALETTE_DARK[0], "#112233", PALETTE_DARK[2]}
        app.theme = "textual-light"
        await pilot.pause()
        assert app.colours() == {PALETTE_LIGHT[0], "#112233", PALETTE_LIGHT[2]}


async def test_no_color_tells_series_apart_by_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = ChartApp()
    async with app.run_test(size=SIZE):
        app.chart.set_series([curve(1, 1), curve(3, 3)])
        styles = [s.style for y in range(12) for s in app.chart.render_line(y) if "⣀" in s.text or "⠉" in s.text]
        assert [(bool(style.bold), bool(style.dim)) for style in styles if style] == [(False, True), (True, False)]
