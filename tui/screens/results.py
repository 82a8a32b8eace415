"""The evaluation table, as `goe table` prints it, best values bold, second best underlined."""

import textwrap
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer
from textual.widgets import Footer, Static

from goe.core.table import CONVENTION, Block
from tui.messages import Results
from tui.reading.base import Reader
from tui.reading.results import ResultsReader
from tui.screens.base import GoeScreen
from tui.session import Session

EMPTY = "No evaluation results yet. A run writes them when its training ends."


class ResultsScreen(GoeScreen):
    """Blocks of the table below each other; `esc` leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,t", "back", "back", key_display="esc"),
        Binding("k", "scroll('up')", "up", show=False),
        Binding("j", "scroll('down')", "down", show=False),
        Binding("h", "scroll('left')", "left", show=False),
        Binding("l", "scroll('right')", "right", show=False),
        Binding("g", "scroll('home')", "top", show=False),
        Binding("G", "scroll('end')", "end", show=False),
    ]
    CSS = """
    ResultsScreen {
        #top { height: 1; padding: 0 1; text-style: bold; }
        #scroll { height: 1fr; padding: 1 1 0 1; scrollbar-size: 1 1; }
        #table { width: auto; height: auto; }
        &.-short #top, &.-tiny #top { display: none; }
        &.-short #scroll, &.-tiny #scroll { padding-top: 0; }
    }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._results: Results | None = None

    def compose(self) -> ComposeResult:
        """Title, table, keys."""
        yield Static("results", id="top", markup=False)
        with ScrollableContainer(id="scroll"):
            yield Static("reading …", id="table", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def readers(self) -> dict[str, Reader]:
        """The table."""
        return {"results": ResultsReader(self.session.runs, self.session.plan)}

    def take(self, what: object) -> None:
        """The evaluation results were read."""
        if isinstance(what, Results) and what != self._results:
            self._results = what
            self._fill()

    def on_resize(self, _: events.Resize) -> None:
        """Wrap the titles anew."""
        if self._results is not None:
            self._fill()

    def action_scroll(self, where: str) -> None:
        """Move the view; the arrow keys do the same."""
        view = self.query_one("#scroll", ScrollableContainer)
        {
            "up": view.scroll_up,
            "down": view.scroll_down,
            "left": view.scroll_left,
            "right": view.scroll_right,
            "home": view.scroll_home,
            "end": view.scroll_end,
        }[where](animate=False)

    def action_back(self) -> None:
        """Leave the table."""
        self.dismiss()

    def _fill(self) -> None:
        assert self._results is not None
        width = max(20, self.size.width - 4)
        self.query_one("#table", Static).update(results_text(self._results, width))


def results_text(results: Results, width: int) -> Text:
    """The whole table; titles and notes wrapped to `width`, table lines as wide as they are."""
    text = Text(no_wrap=True)
    for block in results.blocks:
        _add_block(text, block, width)
    if results.blocks:
        text.append(_wrapped(CONVENTION, width) + "\n\n", "dim")
    else:
        text.append(_wrapped(EMPTY, width) + "\n\n")
    if results.missing:
        text.append(_wrapped(f"No results yet: {', '.join(results.missing)}", width) + "\n\n")
    for problem in results.problems:
        text.append(_wrapped(f"! {problem}", width) + "\n")
    return text


def _add_block(text: Text, block: Block, width: int) -> None:
    grid = [block.header, *(tuple(cell.text for cell in line) for line in block.lines)]
    widths = [max(len(line[place]) for line in grid) for place in range(len(block.header))]
    text.append(_wrapped(block.title, width) + "\n", "bold")
    for place, title in enumerate(block.header):
        text.append(_padded(title, widths, place), "dim")
    text.append("\n")
    for line in block.lines:
        for place, cell in enumerate(line):
            text.append(_padded(cell.text, widths, place), "bold" if cell.best else "underline" if cell.second else "")
        text.append("\n")
    text.append("\n")


def _padded(text: str, widths: list[int], place: int) -> str:
    return text.ljust(widths[0]) if place == 0 else "  " + text.rjust(widths[place])


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
