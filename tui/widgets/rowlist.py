"""A list of any number of rows in columns: only the rows in view are ever made, and only lines that differ drawn again.

Textual's DataTable keeps every cell as an object, which takes seconds with thousands of rows; this one asks for a row
when it comes into view.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

from msgspec import Struct
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

Cell: TypeAlias = tuple[str, str]
"""Text and rich style."""
GUTTER, GAP = 2, 2
"""Cells for a row's sign, and between columns."""


class Heading(Struct, frozen=True):
    """A column's name, title and width."""

    name: str
    title: str
    width: int
    right: bool = False
    arrow: str = ""
    """After the title: which way the rows are sorted by it."""

    def line(self) -> str:
        """With the gap after it, into which the arrow may reach."""
        title = self.title if self.right else self.title + self.arrow
        arrow = self.arrow or " " if self.right else ""
        return fitted(title, self.width + (not self.right), right=self.right) + arrow + " " * (GAP - 1)


class Row(Struct, frozen=True):
    """What one row shows."""

    sign: Cell
    cells: tuple[Cell, ...]


class RowList(ScrollView, can_focus=True):
    """Rows by key under fixed headings. `show` is the only way in."""

    BINDING_GROUP_TITLE = "List"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open"),
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "a page up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "a page down", show=False),
        Binding("g,home", "first", "first row", show=False),
        Binding("G,end", "last", "last row", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"rowlist--heading", "rowlist--cursor"}
    DEFAULT_CSS = """
    RowList {
        height: 1fr;
        scrollbar-size: 1 1;

        & > .rowlist--heading { color: $text-muted; }
        & > .rowlist--cursor { background: $primary 25%; text-style: bold; }
        &:nocolor > .rowlist--cursor { text-style: reverse; }
    }
    """

    class Highlighted(Message):
        """The cursor is on another row."""

    class Opened(Message):
        """Enter, or a click on the cursor's row."""

    class HeadingClicked(Message):
        """A column's heading was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    class SignClicked(Message):
        """The place left of a row was clicked; the cursor is on it."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - textual's name for it
        super().__init__(id=id)
        self._headings: tuple[Heading, ...] = ()
        self._keys: Sequence[str] = ()
        self._row: Callable[[int], Row] = lambda _: Row(("", ""), ())
        self._cursor = 0
        self._drawn: dict[int, tuple[int, Row, bool]] = {}
        """By line: the row's place, what it showed, and whether the cursor was on it."""

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self._keys)

    @property
    def cursor_row(self) -> int:
        """The place of the cursor."""
        return self._cursor

    @property
    def row_key(self) -> str | None:
        """The key of the row under the cursor."""
        return self._keys[self._cursor] if self._cursor < len(self._keys) else None

    def show(
        self, headings: Sequence[Heading], keys: Sequence[str], row: Callable[[int], Row], *, still: bool = False
    ) -> None:
        """Show these rows; `row` makes the one at a place. The cursor stays on its key, or where it was.

        Its line of the screen stays, too, since others bring new rows; or all lines do, where the user moves one row.
        """
        key, moved = self.row_key, keys is not self._keys
        self._row = row
        if moved:
            self._keys = keys
            self._follow(key, still=still)
        if tuple(headings) != self._headings:
            self._headings = tuple(headings)
            self.refresh()
        elif self.is_attached:
            self._redraw()

    def _follow(self, key: str | None, *, still: bool) -> None:
        """Put the cursor and the scroll position where `key` went."""
        size, before = Size(0, len(self._keys) + 1), self._cursor
        if not self._has(before, key):
            last = max(0, len(self._keys) - 1)
            self._cursor = self._keys.index(key) if key is not None and key in self._keys else min(before, last)
        if size.height > self.virtual_size.height > self.size.height > 0:
            self.set_reactive(RowList.virtual_size, size)  # set as usual, it would lay out and repaint the whole screen
            self.vertical_scrollbar.window_virtual_size = size.height
        elif size != self.virtual_size:
            self.virtual_size = size
        if self._cursor != before and not still:
            self.scroll_to(y=self.scroll_y + self._cursor - before, animate=False, immediate=True)
        self._into_view()
        if self.row_key != key:
            self.post_message(self.Highlighted())

    def _has(self, place: int, key: str | None) -> bool:
        return place < len(self._keys) and self._keys[place] == key

    def move_cursor(self, row: int) -> None:
        """Put the cursor on the row at this place, and the row into view."""
        row = max(0, min(row, len(self._keys) - 1))
        if row == self._cursor:
            return
        self._cursor = row
        self._into_view()
        self._redraw()
        self.post_message(self.Highlighted())

    def move_to(self, key: str) -> None:
        """Put the cursor on the row of this key, if there is one."""
        if key in self._keys:
            self.move_cursor(self._keys.index(key))

    def _into_view(self) -> None:
        rows, top = self._rows_in_view, self.scroll_offset.y
        if rows < 1:
            return
        wanted = min(max(top, self._cursor - rows + 1), self._cursor)
        if wanted != top:
            self.scroll_to(y=wanted, animate=False, immediate=True, force=True)

    @property
    def _rows_in_view(self) -> int:
        return self.size.height - 1

    def on_resize(self, _: events.Resize) -> None:
        """A smaller view still shows the cursor."""
        self._into_view()

    def action_move(self, rows: int) -> None:
        """Up or down."""
        self.move_cursor(self._cursor + rows)

    def action_page(self, pages: int) -> None:
        """A view up or down."""
        self.move_cursor(self._cursor + pages * max(1, self._rows_in_view))

    def action_first(self) -> None:
        """To the first row."""
        self.move_cursor(0)

    def action_last(self) -> None:
        """To the last row."""
        self.move_cursor(len(self._keys) - 1)

    def action_open(self) -> None:
        """Say that the cursor's row was chosen."""
        if self.row_key is not None:
            self.post_message(self.Opened())

    def on_click(self, event: events.Click) -> None:
        """A row: the cursor goes there, and opens it if it was there. A heading, or the place for the sign: say so."""
        at = event.get_content_offset(self)
        if at is None:
            return
        if at.y == 0:
            name = self._heading_at(at.x)
            if name is not None:
                self.post_message(self.HeadingClicked(name))
            return
        place = self.scroll_offset.y + at.y - 1
        if place >= len(self._keys):
            return
        here = place == self._cursor
        self.move_cursor(place)
        if at.x < GUTTER:
            self.post_message(self.SignClicked())
        elif here:
            self.action_open()

    def _heading_at(self, x: int) -> str | None:
        left = GUTTER
        for heading in self._headings:
            if left <= x < left + heading.width + GAP:
                return heading.name
            left += heading.width + GAP
        return None

    def _redraw(self) -> None:
        """Draw again what differs from what is on the screen."""
        for y, drawn in list(self._drawn.items()):
            place = self.scroll_offset.y + y - 1
            if drawn != self._at(place):
                self.refresh(Region(0, y, self.size.width, 1))
        lines = self._rows_in_view
        for y in range(1, min(lines, len(self._keys) - self.scroll_offset.y) + 1):
            if y not in self._drawn:
                self.refresh(Region(0, y, self.size.width, 1))

    def _at(self, place: int) -> tuple[int, Row, bool] | None:
        if not 0 <= place < len(self._keys):
            return None
        return place, self._row(place), place == self._cursor

    def render_line(self, y: int) -> Strip:
        """Textual's Line API: the headings, then the rows that are scrolled into view."""
        style, width = self.rich_style, self.size.width
        if y == 0:
            return self._headings_line().crop_extend(0, width, style)
        shown = self._at(self.scroll_offset.y + y - 1)
        if shown is None:
            self._drawn.pop(y, None)
            return Strip.blank(width, style)
        self._drawn[y] = shown
        style = self.get_component_rich_style("rowlist--cursor") if shown[2] else style
        sign, colour = shown[1].sign
        segments = [Segment(set_cell_size(sign, GUTTER), style + Style.parse(colour))]
        for heading, (text, look) in zip(self._headings, shown[1].cells, strict=False):
            segments.append(Segment(fitted(text, heading.width, right=heading.right), style + Style.parse(look)))
            segments.append(Segment(" " * GAP, style))
        return Strip(segments).crop_extend(0, width, style)

    def _headings_line(self) -> Strip:
        style = self.get_component_rich_style("rowlist--heading")
        return Strip([Segment(" " * GUTTER + "".join(heading.line() for heading in self._headings), style)])


def fitted(text: str, width: int, *, right: bool) -> str:
    """`text` in exactly `width` cells, an ellipsis where some is missing, and a sign for what can't be shown."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    missing = width - cell_len(text)
    if missing < 0:
        return set_cell_size(set_cell_size(text, max(0, width - 1)).rstrip() + "…", width) if width else ""
    return " " * missing + text if right else text + " " * missing
