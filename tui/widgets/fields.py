"""Names and values as text that can be read to its end, searched by eye and copied with the mouse."""

from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from goe.core.logfile import clean_line
from tui.messages import Fields

_NAME_CELLS = 28


class FieldsView(VerticalScroll, can_focus=True):
    """A line each, names in a column of their own; a name without value is a heading."""

    BINDING_GROUP_TITLE = "Text"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "scroll_up", "line up", show=False),
        Binding("j", "scroll_down", "line down", show=False),
        Binding("g", "scroll_home", "first line", show=False),
        Binding("G", "scroll_end", "last line", show=False),
    ]
    DEFAULT_CSS = """
    FieldsView {
        padding: 0 1;
        scrollbar-size: 1 1;
        Static { height: auto; }
    }
    """

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static(markup=False)

    def show_fields(self, fields: Fields) -> None:
        """Show these instead."""
        text = fields_text(fields)
        line = self.query_one(Static)
        if line.content != text:
            line.update(text)


def fields_text(fields: Fields) -> Text:
    """Names dim, values plain."""
    column = min(_NAME_CELLS, max((cell_len(name) for name, _ in fields), default=0))
    found = Text()
    for name, value in fields:
        gap = " " * max(2, column + 2 - cell_len(name)) if name else ""
        found.append(clean_line(name), "dim").append(f"{gap}{clean_line(value)}\n")
    found.rstrip()
    return found
