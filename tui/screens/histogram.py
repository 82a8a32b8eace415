"""The scores of an evaluated run as histograms, one result and one or all OOD test sets at a time."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from goe.core.overview import RunView
from tui.messages import Histogram
from tui.reading.base import Reader
from tui.reading.histogram import Choice, HistogramReader
from tui.screens.base import GoeScreen, say
from tui.session import Session
from tui.widgets.dots import printable
from tui.widgets.figureview import FigureView
from tui.widgets.keyline import KeyLine
from tui.widgets.textscroll import TextScroll

READER = "histogram"


class HistogramScreen(GoeScreen):
    """`esc` leaves it."""

    BINDING_GROUP_TITLE = "Histogram"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", key_display="esc"),
        Binding("right,l,n", "result(1)", "next result", key_display="→"),
        Binding("left,h,N", "result(-1)", "previous result", show=False),
        Binding("o", "next_set", "OOD set"),
    ]
    CSS = """
    HistogramScreen {
        #head { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #note { height: auto; padding: 0 1; color: $text-warning; }
        TextScroll { padding: 0 1; scrollbar-size: 1 1; }
    }
    """

    def __init__(self, session: Session, view: RunView) -> None:
        super().__init__(session)
        self._view = view
        self._choice = Choice()
        self._found = Histogram(view.run_id)

    def compose(self) -> ComposeResult:
        """Which result, what is wrong with it, the picture, keys."""
        yield Static(id="head", markup=False)
        yield Static(id="note", classes="-empty", markup=False)
        with TextScroll():
            yield FigureView()
        yield KeyLine()

    def on_mount(self) -> None:
        """The run's name before anything was read."""
        self._show_head()

    def readers(self) -> dict[str, Reader]:
        """The chosen result."""
        return {READER: HistogramReader(self._view.run, self._choice)}

    def take(self, what: object) -> None:
        """The result was read."""
        if isinstance(what, Histogram) and what.run_id == self._view.run_id:
            self._found = what
            self._show_head()
            say(self.query_one("#note", Static), f"! {printable_lines(what.problem)}" if what.problem else "")
            self.query_one(FigureView).show(what.figure)

    def _show_head(self) -> None:
        found = self._found
        facts = [f"{found.names.index(found.name) + 1} of {len(found.names)}"] if found.name in found.names else []
        facts += [f"against {found.ood or 'every OOD test set'}"] if found.figure else []
        parts = [printable(self._view.run_id), *([found.name] if found.name else []), *facts]
        say(self.query_one("#head", Static), Text.assemble(("scores", "bold"), f"  {' · '.join(parts)}"))

    def action_result(self, step: int) -> None:
        """Another result of the run."""
        names = self._found.names
        if names:
            place = (names.index(self._found.name) + step) % len(names) if self._found.name in names else 0
            self._choose(Choice(names[place], self._found.ood))

    def action_next_set(self) -> None:
        """One OOD test set after the other, then all again."""
        choices = ("", *self._found.sets)
        place = choices.index(self._found.ood) if self._found.ood in choices else 0
        self._choose(Choice(self._found.name, choices[(place + 1) % len(choices)]))

    def _choose(self, choice: Choice) -> None:
        if choice != self._choice:
            self._choice = choice
            self.session.poller.follow(READER, HistogramReader(self._view.run, choice))


def printable_lines(text: str) -> str:
    """Each line as it can be shown."""
    return "\n".join(map(printable, text.split("\n")))
