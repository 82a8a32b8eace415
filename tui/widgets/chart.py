"""A line chart: series in, braille out (`tui.widgets.braille`), drawn again only when data, size or theme changed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from goe.core.chart import PALETTE_DARK, PALETTE_LIGHT
from tui.widgets.braille import AXIS_STYLE, TITLE_STYLE, Row, Series, render

NO_COLOR_STYLES = ("bold", "dim", "none")


class Chart(Widget):
    """Curves over epochs or steps.

    A series without a style gets the next colour of the palette, or a weight where NO_COLOR is set.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"chart--title", "chart--axis"}
    DEFAULT_CSS = """
    Chart {
        height: 1fr;
    }
    Chart > .chart--title {
        text-style: bold;
    }
    Chart > .chart--axis {
        color: $text-muted;
    }
    """

    def __init__(
        self,
        series: Sequence[Series] = (),
        *,
        title: str = "",
        x_label: str = "",
        y_range: tuple[float, float] | None = None,
        id: str | None = None,  # noqa: A002 - textual's name for it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._chart_title = title
        self._x_label = x_label
        self._y_range = y_range
        self._series = _frozen(series)
        self._rows: list[Row] = []
        self._strips: list[Strip] = []
        self._drawn_size: Size | None = None

    def set_series(self, series: Sequence[Series], *, title: str | None = None) -> None:
        """Show these curves; `title` None keeps the title. Data equal to what is shown costs no redraw."""
        title = self._chart_title if title is None else title
        drawn = _frozen(series)
        if (drawn, title) == (self._series, self._chart_title):
            return
        self._series, self._chart_title = drawn, title
        if self._drawn_size is not None and self._drawn_size == self.size:
            self._refresh_changed_rows()
        else:
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Textual's Line API: row y of the picture."""
        if self._drawn_size != self.size:
            self._draw()
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, self.rich_style)

    def notify_style_update(self) -> None:
        """Forget the picture when the theme changes: its colours are part of it."""
        super().notify_style_update()
        self._drawn_size = None

    def _refresh_changed_rows(self) -> None:
        """Send only rows that differ: over SSH a new point at the end of a curve is a few rows, not the chart."""
        before = self._rows
        self._draw()
        changed = [y for y, (old, new) in enumerate(zip(before, self._rows, strict=True)) if old != new]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def _draw(self) -> None:
        self._drawn_size = self.size
        series = self._styled_series()
        self._rows = render(series, *self.size, title=self._chart_title, x_label=self._x_label, y_range=self._y_range)
        base, parts = self.rich_style, {"": self.rich_style}
        for name in (TITLE_STYLE, AXIS_STYLE):
            parts[name] = self.get_component_rich_style(f"chart--{name}")
        for one in series:
            parts[one.style] = base + Style.parse(one.style)
        self._strips = [
            Strip([Segment(text, parts[style]) for text, style in row], self.size.width) for row in self._rows
        ]

    def _styled_series(self) -> list[Series]:
        palette: tuple[str, ...] = PALETTE_DARK if self.app.current_theme.dark else PALETTE_LIGHT
        if self.app.no_color:
            palette = NO_COLOR_STYLES
        return [
            one if one.style else replace(one, style=palette[index % len(palette)])
            for index, one in enumerate(self._series)
        ]


def _frozen(series: Sequence[Series]) -> tuple[Series, ...]:
    """A copy that a caller who goes on appending to its lists can't change behind our back."""
    return tuple(replace(one, x=tuple(one.x), y=tuple(one.y)) for one in series)
