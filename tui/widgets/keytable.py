"""A table of rows that come and go: updated cell by cell, and the cursor stays on its row; h, j, k, l, g, G move it."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from msgspec import Struct
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

Cell = tuple[str, str]
"""Text and rich style."""


class Heading(Struct, frozen=True):
    """Title and width of a column."""

    title: str
    width: int
    right: bool = False


class KeyTable(DataTable[Text]):
    """Rows by key. `show` is the only way in."""

    BINDING_GROUP_TITLE = "Table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "cursor_up", "Up", show=False),
        Binding("down,j", "cursor_down", "Down", show=False),
        Binding("left,h", "cursor_left", "Left", show=False),
        Binding("right,l", "cursor_right", "Right", show=False),
        Binding("g,home", "scroll_top", "First", show=False),
        Binding("G,end", "scroll_bottom", "Last", show=False),
        Binding("pageup,ctrl+b", "page_up", "Page up", show=False),
        Binding("pagedown,ctrl+f", "page_down", "Page down", show=False),
    ]
    DEFAULT_CSS = """
    KeyTable {
        height: 1fr;
        background: transparent;
        scrollbar-size: 1 1;
        scrollbar-gutter: stable;

        &:focus { background-tint: transparent; }
        & > .datatable--header, &:focus > .datatable--header {
            background: transparent;
            background-tint: transparent;
            color: $text-muted;
            text-style: none;
        }
        & > .datatable--even-row, & > .datatable--odd-row, &:dark > .datatable--even-row { background: transparent; }
        & > .datatable--hover { background: $foreground 4%; }
        & > .datatable--cursor, &:focus > .datatable--cursor {
            background: $primary 25%;
            color: $foreground;
            text-style: bold;
        }
        &:nocolor > .datatable--cursor, &:nocolor:focus > .datatable--cursor { text-style: reverse; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - textual's name for it
        super().__init__(id=id, cursor_type="row", cursor_foreground_priority="renderable")
        self._headings: tuple[Heading, ...] = ()
        self._shown: dict[str, tuple[Cell, ...]] = {}
        self._wanted: str | None = None

    def watch_virtual_size(self) -> None:
        """Textual lets scroll bars stand that nothing needs, where the content is just as large as what they leave."""
        self._refresh_scrollbars()

    def on_resize(self, _: events.Resize) -> None:
        """A smaller view still shows the cursor."""
        self.move_cursor(row=self.cursor_row, animate=False)

    @property
    def row_key(self) -> str | None:
        """The key of the row under the cursor."""
        keys = list(self._shown)
        return keys[self.cursor_row] if 0 <= self.cursor_row < len(keys) else None

    def want(self, key: str | None) -> None:
        """Move the cursor to the row of this key once there is one."""
        self._wanted = key

    def show(self, headings: Sequence[Heading], rows: Mapping[str, tuple[Cell, ...]]) -> None:
        """Show these columns and rows; only cells that differ are drawn again."""
        headings = tuple(headings)
        if headings == self._headings and list(rows) == list(self._shown):
            self._update(rows)
        else:
            self._rebuild(headings, rows)
        self._shown = dict(rows)
        if self._wanted is not None and self._wanted in rows:
            self.move_cursor(row=list(rows).index(self._wanted), animate=False)
            self._wanted = None

    def _update(self, rows: Mapping[str, tuple[Cell, ...]]) -> None:
        for key, cells in rows.items():
            for heading, old, new in zip(self._headings, self._shown[key], cells, strict=True):
                if old != new:
                    self.update_cell(key, heading.title, _text(heading, new))

    def _rebuild(self, headings: tuple[Heading, ...], rows: Mapping[str, tuple[Cell, ...]]) -> None:
        key, row, scroll = self.row_key, self.cursor_row, self.scroll_y
        with self.app.batch_update():
            self.clear(columns=headings != self._headings)
            if headings != self._headings:
                self._headings = headings
                for heading in headings:
                    self.add_column(_text(heading, (heading.title, "")), width=heading.width, key=heading.title)
            for name, cells in rows.items():
                texts = (_text(heading, cell) for heading, cell in zip(headings, cells, strict=True))
                self.add_row(*texts, key=name)
            place = list(rows).index(key) if key is not None and key in rows else min(row, len(rows) - 1)
            self.move_cursor(row=max(0, place), animate=False)
            self.scroll_to(y=scroll, animate=False)


def _text(heading: Heading, cell: Cell) -> Text:
    text, style = cell
    return Text(text, style, justify="right" if heading.right else "left", no_wrap=True, overflow="ellipsis")
