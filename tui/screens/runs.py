"""The first screen: every run with its live state."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.widgets import Footer, Static

from goe.core.overview import RunView
from goe.core.state import RunState
from tui.messages import Overview
from tui.reading.base import Reader
from tui.reading.overview import OverviewReader
from tui.screens.base import STOP, GoeScreen, say
from tui.session import Session
from tui.widgets.keytable import KeyTable
from tui.widgets.runcells import summarise
from tui.widgets.runtable import RunTable


class RunsScreen(GoeScreen):
    """The list; enter opens a run."""

    BINDINGS: ClassVar[list[BindingType]] = [STOP]
    CSS = """
    RunsScreen {
        #top { height: 1; padding: 0 1; margin-bottom: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #empty { height: 1fr; padding: 1 2; color: $text-muted; }
        #detail { height: auto; max-height: 5; padding: 0 1; color: $text-muted; }
        #detail.-alert { color: $text-warning; }
        #alerts { height: auto; max-height: 4; padding: 0 1; color: $text-warning; }
        #summary { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        &.-short #top, &.-tiny #top, &.-tiny #alerts, &.-tiny #detail, &.-tiny #summary { display: none; }
        &.-short #alerts, &.-short #detail { max-height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """

    class Opened(Message):
        """The user wants a run's page."""

        def __init__(self, view: RunView) -> None:
            super().__init__()
            self.view = view

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._runs = session.runs
        self._queue = session.queue
        self._overview: Overview | None = None

    def compose(self) -> ComposeResult:
        """Title, table, the cursor's run, summary, keys."""
        yield Static(id="top", markup=False)
        yield RunTable(id="runs")
        yield Static("reading …", id="empty", markup=False)
        yield Static(id="alerts", markup=False)
        yield Static(id="detail", markup=False)
        yield Static(id="summary", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Nothing is known before the first message."""
        self.query_one("#top", Static).update(Text.assemble(("goe", "bold"), (f"  {self._runs}", "dim"), end=""))
        for name in ("#alerts", "#detail", "#summary"):
            say(self.query_one(name, Static), "")
        self.query_one(RunTable).display = False

    @property
    def current(self) -> RunView | None:
        """The run under the cursor."""
        return self.query_one(RunTable).current

    def readers(self) -> dict[str, Reader]:
        """The list; other screens lean on it too."""
        return {"overview": OverviewReader(self.session.runs, self.session.plan)}

    def take(self, what: object) -> None:
        """The runs folder was read."""
        if isinstance(what, Overview):
            self._show_overview(what)

    def _show_overview(self, overview: Overview) -> None:
        self._overview = overview
        table, empty = self.query_one(RunTable), self.query_one("#empty", Static)
        appears = bool(overview.views) and not table.display
        table.display = bool(overview.views)
        table.show_runs(overview.views)
        if appears:
            table.focus()
        say(empty, "" if overview.views else self._welcome(overview))
        say(self.query_one("#alerts", Static), "\n".join(f"! {line}" for line in _alerts(overview)))
        summary = summarise(overview.views, overview.read_at, queue_alive=overview.queue_alive)
        say(self.query_one("#summary", Static), summary)
        self._show_current()

    def on_data_table_row_highlighted(self, _: KeyTable.RowHighlighted) -> None:
        """The cursor moved."""
        self._show_current()

    def on_data_table_row_selected(self, _: KeyTable.RowSelected) -> None:
        """Enter, or a click on the cursor's row."""
        view = self.current
        if view is not None:
            self.post_message(self.Opened(view))

    def _show_current(self) -> None:
        view = self.current
        line = self.query_one("#detail", Static)
        problem = view.problem if view else None
        line.set_class(problem is not None, "-alert")
        held = " · held: no queue starts it" if view and view.held and view.state is not RunState.DONE else ""
        say(line, f"! {problem}" if problem else f"{view.run_id}{held}" if view else "")

    def _welcome(self, overview: Overview) -> str:
        if overview.problem:
            return overview.problem
        if overview.planned:
            return f"No runs in {self._runs} yet.\n{self._queue} holds {overview.planned}: press S to start them."
        return f"No runs in {self._runs} yet.\nWrite {self._queue} (README.md says how), then press S to start it."


def _alerts(overview: Overview) -> list[str]:
    found = [overview.problem] if overview.problem and overview.views else []
    problems = overview.queue_problems
    if problems:
        more = f" (and {len(problems) - 1} more; S shows them)" if len(problems) > 1 else ""
        found.append(f"{problems[0]}{more}")
    return found
