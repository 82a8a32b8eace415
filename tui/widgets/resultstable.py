"""An evaluation table with a cursor: blocks below each other, or one at a time; labels stay while values scroll."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from goe.core.cells import Cell
from goe.core.logfile import clean_line
from goe.core.results import FILTER
from goe.core.table import Block
from tui.widgets.decimals import aligned

GAP = 2
"""Blanks between columns."""
BEST, SECOND, HEADER, TITLE = Style(bold=True), Style(underline=True), Style(dim=True), Style(bold=True)
SEPARATOR = " · "


@dataclass(frozen=True, slots=True)
class Line:
    """One line on the screen: of a block, its title, its header or a row; blank without a block."""

    block: int = -1
    row: int | None = None
    """None for title and header."""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Widths:
    """Of the columns of a block, in cells of the terminal."""

    labels: tuple[int, ...]
    values: tuple[int, ...]

    @property
    def fixed(self) -> int:
        """Of what doesn't scroll."""
        return sum(width + GAP for width in self.labels)

    @property
    def moving(self) -> int:
        """Of what does."""
        return sum(width + GAP for width in self.values)

    @property
    def starts(self) -> list[int]:
        """Where values begin, without labels."""
        return list(accumulate((width + GAP for width in self.values[:-1]), initial=0))


def printable(text: str) -> str:
    """One line without anything that a terminal would obey."""
    return clean_line(text.replace("\r", "�").replace("\n", "�"))


def common_title(blocks: Sequence[Block]) -> tuple[str, ...]:
    """The parts that all titles have, those of filters aside, which hang on neither score nor protocol."""
    titles = [block.title.split(SEPARATOR) for block in blocks if not _of_filter(block)]
    return tuple(part for part in titles[0] if all(part in title for title in titles)) if titles else ()


def own_title(block: Block, common: Sequence[str]) -> str:
    """The rest of a title."""
    return SEPARATOR.join(part for part in block.title.split(SEPARATOR) if part not in common)


def _of_filter(block: Block) -> bool:
    return any(cell.row is not None and cell.row.test_set == FILTER for line in block.lines for cell in line)


def texts_of(block: Block) -> list[list[str]]:
    """The lines' texts as they are shown."""
    columns = [[printable(line[place].text) for line in block.lines] for place in range(len(block.header))]
    shown = [aligned(column) if place >= block.labels else column for place, column in enumerate(columns)]
    return [list(line) for line in zip(*shown, strict=True)]


def widths_of(block: Block, room: int) -> Widths:
    """Columns as wide as their widest text; labels together at most half of `room`."""
    grid = [list(map(printable, block.header)), *texts_of(block)]
    wide = [max(cell_len(texts[place]) for texts in grid) for place in range(len(block.header))]
    most = max(8, room // 2 // max(1, block.labels) - GAP)
    return Widths(tuple(min(width, most) for width in wide[: block.labels]), tuple(wide[block.labels :]))


class ResultsTable(ScrollView, can_focus=True):
    """`show` is the only way in."""

    BINDING_GROUP_TITLE = "Table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "seeds"),
        Binding("tab", "block(1)", "next block"),
        Binding("shift+tab", "block(-1)", "previous block", show=False),
        Binding("up,k", "move(-1)", "line up", show=False),
        Binding("down,j", "move(1)", "line down", show=False),
        Binding("left,h", "sideways(-1)", "scroll left", show=False),
        Binding("right,l", "sideways(1)", "scroll right", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "page up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "page down", show=False),
        Binding("g,home", "end(-1)", "first line", show=False),
        Binding("G,end", "end(1)", "last line", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"results--cursor"}
    DEFAULT_CSS = """
    ResultsTable {
        height: 1fr;
        background: transparent;
        scrollbar-size: 1 1;
        padding: 0 1;

        & > .results--cursor { background: $primary 25%; color: $foreground; }
        &:nocolor > .results--cursor { text-style: reverse; }
    }
    """

    class Opened(Message):
        """The user wants the seeds of a line."""

        def __init__(self, block: Block, line: tuple[Cell, ...]) -> None:
            super().__init__()
            self.block = block
            self.line = line

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - textual's name for it
        super().__init__(id=id)
        self._blocks: tuple[Block, ...] = ()
        self._alone = False
        self._lines: list[Line] = []
        self._rows: list[int] = []
        """Places of the lines that the cursor can stand on."""
        self._widths: list[Widths] = []
        self._texts: list[list[list[str]]] = []
        self._cursor = 0
        """Place in `_rows`."""

    def watch_virtual_size(self) -> None:
        """Textual lets scroll bars stand that nothing needs, where the content is just as large as what they leave."""
        self._refresh_scrollbars()

    @property
    def here(self) -> Line | None:
        """The line under the cursor."""
        return self._lines[self._rows[self._cursor]] if self._rows else None

    @property
    def _rows_in_view(self) -> int:
        return self.scrollable_content_region.height

    def show(self, blocks: Sequence[Block], *, alone: bool) -> None:
        """Show these; the cursor stays on its line, as far as that is still there."""
        if tuple(blocks) == self._blocks and alone == self._alone:
            return
        kept = self._key(self.here)
        self._blocks, self._alone = tuple(blocks), alone
        self._arrange(kept)

    def on_resize(self, _: events.Resize) -> None:
        """Labels may have more room."""
        self._arrange(self._key(self.here))

    def _key(self, line: Line | None) -> tuple[str, ...]:
        """What tells a line from others after the table changed."""
        if line is None or line.row is None or line.block >= len(self._blocks):
            return ()
        block = self._blocks[line.block]
        return (block.title, *(cell.text for cell in block.lines[line.row][: block.labels]))

    def _arrange(self, kept: tuple[str, ...]) -> None:
        room = self.scrollable_content_region.width
        self._widths = _equal([widths_of(block, room) for block in self._blocks])
        self._texts = [texts_of(block) for block in self._blocks]
        shown = range(len(self._blocks))
        if self._alone and self._blocks:
            at = next((place for place in shown if self._blocks[place].title == (kept or ("",))[0]), 0)
            shown = range(at, at + 1)
        self._fill(shown)
        keys = [self._key(self._lines[place]) for place in self._rows]
        self._cursor = keys.index(kept) if kept in keys else min(self._cursor, max(0, len(keys) - 1))
        self._fit()
        self._follow()

    def _fill(self, shown: range) -> None:
        common = common_title(self._blocks)
        self._lines = []
        for place in shown:
            block = self._blocks[place]
            title = own_title(block, common)
            if self._alone and len(self._blocks) > 1:
                title = f"{place + 1}/{len(self._blocks)}  {title}"
            self._lines += [Line(place, title=title)] if title else []
            self._lines += [Line(place), *(Line(place, row) for row in range(len(block.lines))), Line()]
        self._lines = self._lines[:-1]
        self._rows = [place for place, line in enumerate(self._lines) if line.row is not None]

    def _fit(self) -> None:
        shown = {line.block for line in self._lines if line.block >= 0}
        width = max((self._widths[place].fixed + self._widths[place].moving - GAP for place in shown), default=0)
        self.virtual_size = Size(width, len(self._lines))
        self.refresh()

    def _follow(self) -> None:
        """Bring the cursor into view, with the heading where it is the first of its block."""
        if not self._rows:
            return
        line = self._rows[self._cursor]
        top = line
        while top > 0 and self._lines[top - 1].row is None and self._lines[top - 1].block >= 0:
            top -= 1
        top = max(top, line - max(1, self._rows_in_view) + 1)
        region = Region(int(self.scroll_offset.x), top, 1, line - top + 1)
        self.scroll_to_region(region, animate=False, x_axis=False, immediate=True)

    def _go(self, place: int) -> None:
        if self._rows:
            self._cursor = max(0, min(place, len(self._rows) - 1))
            self._follow()
            self.refresh()

    def action_move(self, step: int) -> None:
        """Another line."""
        self._go(self._cursor + step)

    def action_page(self, step: int) -> None:
        """As many lines as are seen."""
        self._go(self._cursor + step * max(1, self._rows_in_view - 2))

    def action_end(self, side: int) -> None:
        """The first or last line."""
        self._go(0 if side < 0 else len(self._rows) - 1)

    def action_sideways(self, step: int) -> None:
        """Values a column to the left or right; labels stay."""
        here, x = self.here, self.scroll_offset.x
        if here is None:
            return
        starts = self._widths[here.block].starts
        beyond = [start for start in starts if (start > x if step > 0 else start < x)]
        if beyond:
            self.scroll_to(x=beyond[0] if step > 0 else beyond[-1], animate=False)

    def action_block(self, step: int) -> None:
        """The first line of another block."""
        here = self.here
        if here is None:
            return
        wanted = (here.block + step) % len(self._blocks)
        if self._alone:
            self._fill(range(wanted, wanted + 1))
            self._cursor = 0
            self._fit()
        self._go(next((at for at, place in enumerate(self._rows) if self._lines[place].block == wanted), 0))

    def action_open(self) -> None:
        """The seeds of the line."""
        here = self.here
        if here is not None and here.row is not None:
            block = self._blocks[here.block]
            self.post_message(self.Opened(block, block.lines[here.row]))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; on the cursor's line it opens."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y + self.scroll_offset.y not in self._rows:
            return
        place = self._rows.index(offset.y + self.scroll_offset.y)
        if place == self._cursor:
            self.action_open()
        else:
            self._go(place)

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        width, at = self.scrollable_content_region.width, y + self.scroll_offset.y
        if at >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        line = self._lines[at]
        style = self.rich_style
        if self._rows and at == self._rows[self._cursor]:
            style += self.get_component_rich_style("results--cursor")
        return self._strip(line, width).extend_cell_length(width).crop(0, width).apply_style(style)

    def _strip(self, line: Line, width: int) -> Strip:
        if line.block < 0:
            return Strip([])
        if line.title:
            return Strip([Segment(_fitted(printable(line.title), width), TITLE)])
        block, widths = self._blocks[line.block], self._widths[line.block]
        if line.row is None:
            shown = [(printable(text), HEADER) for text in block.header]
        else:
            styles = [BEST if cell.best else SECOND if cell.second else Style() for cell in block.lines[line.row]]
            shown = list(zip(self._texts[line.block][line.row], styles, strict=True))
        labels = _segments(shown[: block.labels], widths.labels, right=False)
        values = _segments(shown[block.labels :], widths.values, right=True)
        moved = Strip(values).crop(self.scroll_offset.x, self.scroll_offset.x + max(0, width - widths.fixed))
        return Strip([*labels, *moved])


def _equal(found: list[Widths]) -> list[Widths]:
    """Labels of all blocks as wide as the widest, where they are as many."""
    kinds: dict[int, tuple[int, ...]] = {}
    for one in found:
        known = kinds.get(len(one.labels), one.labels)
        kinds[len(one.labels)] = tuple(map(max, known, one.labels))
    return [Widths(kinds[len(one.labels)], one.values) for one in found]


def _segments(cells: Iterable[tuple[str, Style]], widths: Sequence[int], *, right: bool) -> list[Segment]:
    """The cells as wide as their columns; blanks around a text are not marked with it."""
    found = []
    for (text, style), width in zip(cells, widths, strict=True):
        fitted = _fitted(text, width)
        blank = " " * (width - cell_len(fitted))
        filled = blank + fitted if right else fitted + blank
        core = filled.strip()
        before, _, after = filled.partition(core) if core else (filled, "", "")
        found += [Segment(before), Segment(core, style), Segment(after + " " * GAP)]
    return found


def _fitted(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "…"
