"""Names and values as text that can be read to its end, searched by eye and copied with the mouse."""

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from goe.core.logfile import clean_line
from tui.messages import Fields
from tui.widgets.textscroll import TextScroll

_NAME_CELLS, _GAP = 28, 2


class FieldsView(TextScroll):
    """A line each, names in a column of their own; a name without value is a heading."""

    DEFAULT_CSS = """
    FieldsView {
        padding: 0 1;
        scrollbar-size: 1 1;
        scrollbar-gutter: stable;
        Static { height: auto; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - textual's name for it
        super().__init__(id=id)
        self._fields: Fields = ()

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static(markup=False)

    def show_fields(self, fields: Fields) -> None:
        """Show these instead."""
        self._fields = fields
        self._show()

    def on_resize(self, _: events.Resize) -> None:
        """Wrap anew."""
        self._show()

    def _show(self) -> None:
        width = self.scrollable_content_region.width
        if width <= 0:
            return  # not in view; once it is, it is told its size
        text, line = fields_text(self._fields, width), self.query_one(Static)
        if line.content != text:
            line.update(text)


def fields_text(fields: Fields, width: int) -> Text:
    """Names dim, values plain and wrapped in their own column; a name too long for its column has a line of its own."""
    longest = max((cell_len(name) for name, _ in fields), default=0)
    column = max(0, min(_NAME_CELLS, longest, width // 2 - _GAP))
    found = Text()
    for name, value in fields:
        name, indent = clean_line(name), column + _GAP if name else 0
        if cell_len(name) > column:
            found.append(f"{name}\n", "dim")
            name = ""
        found.append(name, "dim").append(" " * (indent - cell_len(name)) if value else "")
        found.append(f"\n{' ' * indent}".join(_wrapped(value, width - indent))).append("\n")
    found.rstrip()
    return found


def _wrapped(value: str, width: int) -> list[str]:
    lines: list[str] = []
    for line in map(clean_line, value.split("\n")):
        lines += [line] if cell_len(line) <= width else (part.plain for part in Content(line).wrap(width))
    return lines
