"""A figure in the dashboard: its charts as wide as the widget, below each other where they don't fit beside."""

from rich.console import Group
from rich.text import Text
from textual.widget import Widget

from goe.core.chart import PALETTE_DARK, PALETTE_LIGHT, Figure
from tui.widgets.figure import picture

PENDING = "drawn once the run is evaluated"


class FigureView(Widget):
    """The figure, or that there is none yet."""

    DEFAULT_CSS = """
    FigureView {
        height: auto;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._figure: Figure | None = None

    def show(self, figure: Figure | None) -> None:
        """Show this figure; the same again costs no redraw."""
        if figure != self._figure:
            self._figure = figure
            self.refresh(layout=True)

    def render(self) -> Group | Text:
        """Textual's renderable for the present width."""
        if self._figure is None:
            return Text(PENDING, "dim")
        palette = PALETTE_DARK if self.app.current_theme.dark else PALETTE_LIGHT
        return picture(self._figure, max(1, self.size.width), colour=not self.app.no_color, palette=palette)
