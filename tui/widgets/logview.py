"""A log of any size: it holds the lines around those in view and asks for others; it never interprets what it shows."""

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from tui.messages import LogPage
from tui.reading.logpattern import Pattern
from tui.widgets.logrows import Row, row_at, rows_of

_WHEEL_ROWS = 3


class LogView(ScrollView, can_focus=True):
    """Follows the log's end until the reader goes up; the mark at the right says where in the file the view is."""

    ALLOW_SELECT = True
    BINDING_GROUP_TITLE = "Lines of the log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "rows(-1)", "line up", show=False),
        Binding("down,j", "rows(1)", "line down", show=False),
        Binding("pageup,ctrl+b", "pages(-1)", "page up", show=False),
        Binding("pagedown,ctrl+f", "pages(1)", "page down", show=False),
        Binding("left,h", "scroll_left", "left", show=False),
        Binding("right,l", "scroll_right", "right", show=False),
        Binding("home,g", "top", "first line", show=False),
        Binding("end,G", "end", "last line, and follow", show=False),
    ]
    DEFAULT_CSS = """
    LogView {
        height: 1fr;
        overflow-y: hidden;
    }
    """

    follow: var[bool] = var(True)
    """Whether new lines come into view; off while the reader is above the end, on again at the end."""
    wrap: var[bool] = var(False)
    """Whether long lines go on in the next row."""

    class Wanted(Message):
        """Lines around byte `place` are needed; None for the end of the file."""

        def __init__(self, place: int | None, lines: int) -> None:
            super().__init__()
            self.place = place
            self.lines = lines

    class Moved(Message):
        """Another part is in view, or what is said of it changed."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._page = LogPage()
        self._rows: list[Row] = []
        self._top = 0
        """Of the rows, the first in view."""
        self._target: int | None = None
        """A byte to be shown once its lines come."""
        self._asked: tuple[int | None, int] | None = None
        self.pattern: Pattern | None = None
        """What is marked in the lines."""
        self.hit: int | None = None
        """Where the line begins that the search has come to."""

    @property
    def visible_rows(self) -> list[Row]:
        """Those on the screen."""
        return self._rows[self._top : self._top + self._height]

    @property
    def at_end(self) -> bool:
        """Whether the file's end is in view."""
        held = not self._rows or self._rows[-1].line.end >= self._page.size
        return held and self._top >= self._last_top

    @property
    def share(self) -> float:
        """How much of the file is above the view, in [0, 1]."""
        rows = self.visible_rows
        return rows[0].line.start / self._page.size if rows and self._page.size else 0.0

    @property
    def _last_top(self) -> int:
        return max(0, len(self._rows) - self._height)

    def show_page(self, page: LogPage) -> None:
        """Show this part of the log; a reader above the end keeps the lines in view."""
        old, self._page = self._page, page
        if page.life != old.life:
            self.hit, self._target, self.follow = None, None, True
        if page.lines == old.lines and page.life == old.life:
            if page.size != old.size:
                self.refresh()  # the mark at the right
        else:
            self._lay_out()
        self.post_message(self.Moved())

    def seek(self, place: int) -> None:
        """Bring the line at this byte into view."""
        self.follow = False
        self._target = place
        self._reach()
        self._ask(place)

    def mark(self, pattern: Pattern | None, hit: int | None) -> None:
        """Mark what matches, and the line that the search has come to."""
        if (pattern, hit) != (self.pattern, self.hit):
            self.pattern, self.hit = pattern, hit
            self.refresh()

    def _lay_out(self) -> None:
        """Rows from lines, with the same line at the top."""
        above = self._rows[self._top] if self._top < len(self._rows) else None
        old = [row.line for row in self.visible_rows]
        self._rows = rows_of(self._page.lines, self._text_width if self.wrap else None)
        widest = 0 if self.wrap else max((cell_len(line.text) for line in self._page.lines), default=0)
        self.virtual_size = Size(max(widest + 1, 0 if self.wrap else self.virtual_size.width), 1)
        if self.follow:
            self._top = self._last_top
        elif above is not None:
            self._top = min(self._last_top, self._row_of(above))
        if self.text_selection is not None and old != [row.line for row in self.visible_rows]:
            self.screen.clear_selection()
        self._reach()
        self.refresh()

    def _row_of(self, above: Row) -> int:
        row = row_at(self._rows, above.line.start)
        while row + 1 < len(self._rows) and self._rows[row + 1].line.start == above.line.start <= above.first:
            if self._rows[row].last > above.first:
                break
            row += 1
        return row

    def _reach(self) -> None:
        """Go to what was sought, if its lines are here, with a few lines above it."""
        target, rows = self._target, self._rows
        if target is None or not rows or not rows[0].line.start <= target <= rows[-1].line.end:
            return
        ends = rows[-1].line.end >= self._page.size or target == 0
        row = row_at(rows, target)
        if row + self._height > len(rows) and not ends:
            return  # the lines below it are still to come
        self._target = None
        line = rows[row].line
        spans = self.pattern.spans(line.text) if self.pattern and line.start == self.hit else []
        if spans:
            row = next(place for place in range(row, len(rows)) if rows[place].last > spans[0][0])
            self._show_columns(*(cell_len(line.text[:end]) for end in spans[0]))
        self._go(max(0, row - self._height // 4))

    def _show_columns(self, start: int, end: int) -> None:
        """Scroll sideways to these cells of a line, or back to its start if that shows them too."""
        if not self.wrap:
            width = self._text_width
            self.scroll_to(x=0 if end <= width else start - width // 3, animate=False, force=True)

    def _go(self, top: int) -> None:
        """Put row `top` first, as far as there are rows, and ask for more when they become few."""
        height = self._height
        moved = min(max(0, top), self._last_top)
        if moved != self._top:
            self._top = moved
            self.refresh()
        self.follow = self.at_end and self._target is None
        rows = self.visible_rows
        if rows and not self.follow:
            lacks_above = self._top < 2 * height and self._rows[0].line.start > 0
            lacks_below = len(self._rows) - self._top < 3 * height and self._rows[-1].line.end < self._page.size
            if lacks_above or lacks_below:
                self._ask(rows[0].line.start)
        self.post_message(self.Moved())

    def _ask(self, place: int | None) -> None:
        wanted = (place, max(200, 4 * self._height))
        if wanted != self._asked:
            self._asked = wanted
            self.post_message(self.Wanted(*wanted))

    def watch_follow(self, follow: bool) -> None:
        """Go to the end when following is switched on; say which lines are needed from now on."""
        if follow:
            self._target = None
            self._top = self._last_top
            self._ask(None)
        elif self.visible_rows:
            self._ask(self.visible_rows[0].line.start)
        self.refresh()
        self.post_message(self.Moved())

    def watch_wrap(self) -> None:
        """Lay the lines out anew."""
        self.scroll_to(x=0, animate=False)
        self.virtual_size = Size(0, 1)
        self._lay_out()
        self.post_message(self.Moved())

    def action_rows(self, count: int) -> None:
        """Move by rows."""
        self._target = None
        self._go(self._top + count)

    def action_pages(self, count: int) -> None:
        """Move by pages, a row of the old one staying in view."""
        self.action_rows(count * max(1, self._height - 1))

    def action_top(self) -> None:
        """Go to the first line of the file."""
        self.seek(0)

    def action_end(self) -> None:
        """Go to the end and follow it."""
        self.follow = True

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves by rows."""
        self._wheel(event, -_WHEEL_ROWS)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves by rows."""
        self._wheel(event, _WHEEL_ROWS)

    def _wheel(self, event: events.MouseEvent, rows: int) -> None:
        event.prevent_default()
        event.stop()
        self.action_rows(rows)

    def on_click(self, event: events.Click) -> None:
        """A click on the mark's column goes there."""
        place = event.get_content_offset(self)
        if place is not None and place.x == self._width - 1 and self._page.size:
            self.seek(self._page.size * place.y // max(1, self._height))

    def on_resize(self, _: events.Resize) -> None:
        """Fewer or more rows; the end stays in view."""
        self._lay_out()

    def watch_show_horizontal_scrollbar(self) -> None:
        """It takes the last row, or gives it back."""
        self._go(self._last_top if self.follow else self._top)
        self.refresh()

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    @property
    def _height(self) -> int:
        """Rows for lines; `size` has the scrollbar's too."""
        return self.scrollable_content_region.height

    @property
    def _text_width(self) -> int:
        return max(1, self._width - 1)

    def render_line(self, y: int) -> Strip:
        """Textual's Line API: the row y rows below the top of the view."""
        left, style, width = self.scroll_offset.x, self.rich_style, self._text_width
        rows = self.visible_rows
        mark = Segment(self._mark_at(y), style + Style(dim=True))
        if y >= len(rows):
            return Strip([*Strip.blank(width, style), mark])
        text = Text(rows[y].text, style, no_wrap=True, end="")
        self._mark_hits(text, rows[y])
        self._mark_selection(text, y)
        # rich leaves the style out of a text without spans, which would show the terminal's own background
        strip = Strip(Segment.apply_style(text.render(self.app.console), style)).crop_extend(left, left + width, style)
        return Strip([*strip.apply_offsets(left, y), mark])

    def _mark_at(self, y: int) -> str:
        """A block where the view is in the file, unless all of it is in view."""
        rows, size, height = self.visible_rows, self._page.size, self._height
        if not rows or not size or (rows[0].line.start == 0 and rows[-1].line.end >= size):
            return " "
        first = min(height - 1, round(rows[0].line.start / size * height))
        last = max(first + 1, round(rows[-1].line.end / size * height))
        return "█" if (first <= y < last) or (self.at_end and y == height - 1) else "│"

    def _mark_hits(self, text: Text, row: Row) -> None:
        if self.pattern is None:
            return
        found = Style(reverse=True, bold=row.line.start == self.hit, underline=row.line.start == self.hit)
        for start, end in self.pattern.spans(row.line.text):
            text.stylize(found, max(0, start - row.first), max(0, end - row.first))

    def _mark_selection(self, text: Text, y: int) -> None:
        span = self.text_selection.get_span(y) if self.text_selection else None
        if span is not None:
            start, end = span
            style = self.screen.get_component_rich_style("screen--selection")
            text.stylize(style, start, len(text) if end == -1 else end)

    def get_selection(self, selection: Selection) -> tuple[str, str]:
        """The selected text for the clipboard, and what to put after it."""
        return selection.extract("\n".join(row.text for row in self.visible_rows)), "\n"
