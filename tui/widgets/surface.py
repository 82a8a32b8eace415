"""The surface of a spiral run: confidence over the plane, as large as the widget lets it be."""

from typing import ClassVar

from rich.text import Text
from textual.widget import Widget

from tui.widgets.heatmap import Field, legend, picture

PENDING = "drawn once the run is evaluated"


class SurfaceView(Widget):
    """A title, the picture and its legend; or what stands in the way of them."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"surface--title", "surface--note"}
    DEFAULT_CSS = """
    SurfaceView > .surface--title {
        text-style: bold;
    }
    SurfaceView > .surface--note {
        color: $text-muted;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - textual's name for it
        super().__init__(id=id)
        self._field: Field | None = None
        self._note = PENDING

    def show(self, field: Field | None, problem: str | None = None) -> None:
        """Show this field, or without one the problem; what is shown already costs no redraw."""
        note = problem or PENDING
        if field is not self._field or note != self._note:
            self._field, self._note = field, note
            self.refresh()

    def render(self) -> Text:
        """Textual's renderable for the present size."""
        columns, rows = self.content_size
        title = Text("confidence over the plane", self.get_component_rich_style("surface--title"), no_wrap=True)
        if self._field is None:
            return title.append("\n").append(self._note, self.get_component_rich_style("surface--note"))
        colour = not self.app.no_color
        lines = picture(self._field, columns, max(1, rows - 2), colour=colour)
        return Text("\n").join([title, *lines, legend(columns, colour=colour)])
