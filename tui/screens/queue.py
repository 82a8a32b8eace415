"""The queue's page: the experiments of the file in order, edited in place, and the queue started and ended."""

import asyncio
import time
from collections.abc import Callable
from typing import ClassVar

import msgspec
import tomli
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from goe.core import queueedit
from goe.core.errors import ConfigError, GoeError
from goe.core.logfile import clean_line
from goe.core.overview import view_runs
from goe.core.queueedit import Direction, Edit
from goe.core.queuefile import load_queue
from goe.core.queuehistory import History
from goe.core.queuetext import read_queue
from goe.core.setting import Setting
from goe.core.state import RunState
from goe.launch.detached import stop_queue
from tui.messages import Queued, QueueFacts
from tui.reading.base import Reader
from tui.reading.queue import QueueReader
from tui.screens.base import GoeScreen, say
from tui.screens.confirm import ConfirmScreen, MessageScreen
from tui.screens.editor import edit_file
from tui.screens.entryform import EntryForm, free_name
from tui.screens.form import Form, FormScreen
from tui.screens.queuelog import QueueLogScreen
from tui.session import Session
from tui.widgets.keyline import KeyLine
from tui.widgets.keytable import KeyTable
from tui.widgets.queuecells import cells_of, details, headings_for, headline, rows_of

NEW_RUNS = "Other values make other runs: those there are stay, and don't count any more."
_NAMED = 3
"""Problems and runs that are named one by one."""


class QueueLook(msgspec.Struct):
    """What the page remembers."""

    experiment: str = ""
    """The one under the cursor."""


class QueueScreen(GoeScreen):
    """The page; `esc` leaves it. Every edit is the one of the `goe queue` command of its name."""

    BINDING_GROUP_TITLE = "Queue"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,Q", "back", "back", key_display="esc"),
        Binding("i", "change_edit", "edit", key_display="enter"),
        Binding("a", "change_add", "add"),
        Binding("c", "change_copy", "copy", show=False),
        Binding("D,delete", "change_remove", "delete", key_display="D"),
        Binding("H", "change_hold", "hold"),
        Binding("J", "change_move('down')", "further down", show=False),
        Binding("K", "change_move('up')", "further up", show=False),
        Binding("plus", "change_priority(1)", "higher priority", show=False, key_display="+"),
        Binding("minus", "change_priority(-1)", "lower priority", show=False, key_display="-"),
        Binding("U", "change_undo", "take the last edit back", show=False),
        Binding("e", "change_in_editor", "editor"),
        Binding("X", "change_stop_queue", "stop"),
        Binding("L", "log", "log"),
    ]
    CSS = """
    QueueScreen {
        #top { height: 1; padding: 0 1; margin-bottom: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #empty { height: 1fr; padding: 1 2; color: $text-muted; }
        #alerts { height: auto; max-height: 5; padding: 0 1; color: $text-warning; }
        #detail { height: 3; padding: 0 1; color: $text-muted; }
        KeyTable { padding: 0 1; }
        &.-short #top { margin-bottom: 0; }
        &.-short #detail { height: 1; }
        &.-short #alerts { max-height: 2; }
    }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._reader = QueueReader(session.runs, session.queue)
        self._history = History(session.queue)
        self._editing = asyncio.Lock()
        self._facts: QueueFacts | None = None
        self._rows: dict[str, Queued] = {}
        self._look = session.memory.load("queue", QueueLook)
        self._wanted: str | None = self._look.experiment or None
        """The experiment to move the cursor to once it is read."""

    def compose(self) -> ComposeResult:
        """The queue, its experiments, what is wrong with the file, the experiment under the cursor, keys."""
        yield Static("reading …", id="top", markup=False)
        yield KeyTable(id="experiments")
        yield Static(id="empty", markup=False, classes="-empty")
        yield Static(id="alerts", markup=False, classes="-empty")
        yield Static(id="detail", markup=False)
        yield KeyLine()

    def readers(self) -> dict[str, Reader]:
        """The file and its runs."""
        return {"queue": self._reader}

    def on_unmount(self) -> None:
        """Where the cursor was is kept once, not at every key."""
        self.session.memory.store("queue", self._look)

    def take(self, what: object) -> None:
        """The file or its runs were read."""
        if isinstance(what, QueueFacts):
            self._facts, self._rows = what, rows_of(what.experiments)
            self._fill()

    def on_resize(self, _: events.Resize) -> None:
        """Choose the columns anew."""
        if self._facts is not None:
            self._fill()

    def on_data_table_row_highlighted(self, _: KeyTable.RowHighlighted) -> None:
        """The cursor moved."""
        self._look.experiment = self.query_one(KeyTable).row_key or ""
        self._show_current()

    async def on_data_table_row_selected(self, _: KeyTable.RowSelected) -> None:
        """Enter, or a click on the cursor's row."""
        await self.run_action("change_edit")

    @property
    def _current(self) -> Queued | None:
        key = self.query_one(KeyTable).row_key
        return self._rows.get(key) if key is not None else None

    def _fill(self) -> None:
        facts = self._facts
        assert facts is not None
        table = self.query_one(KeyTable)
        table.display = bool(self._rows)
        headings = headings_for(facts.experiments, self.size.width - 2 - table.scrollbar_size_vertical)
        dark = self.app.current_theme.dark
        table.show(headings, {key: cells_of(each, headings, dark=dark) for key, each in self._rows.items()})
        if self._wanted in self._rows:
            table.move_cursor(row=list(self._rows).index(self._wanted), animate=False)
            self._wanted = None
        say(self.query_one("#top", Static), headline(facts, time.time()))
        say(self.query_one("#empty", Static), "" if self._rows else self._nothing(facts))
        say(self.query_one("#alerts", Static), self._alerts(facts))
        self._show_current()

    def _nothing(self, facts: QueueFacts) -> str:
        if facts.problems:
            return f"{self.session.queue} can't be shown before it is mended: e opens it."
        return "No experiment yet: a adds one."

    def _alerts(self, facts: QueueFacts) -> str:
        file = self.session.queue
        lines = [f"! {_short(problem, file.name, str(file))}" for problem in facts.problems[:_NAMED]]
        if len(facts.problems) > _NAMED:
            lines.append(f"! and {len(facts.problems) - _NAMED} more")
        if facts.problems and any(each.states for each in facts.experiments):
            goes = ", with which the queue goes on" if facts.mark is not None else ""
            lines.append(f"shown is the last version without problems{goes}")
        if facts.mark is not None and facts.mark.queue not in {"", str(file.absolute())}:
            lines.append(f"! the queue at work goes by another file: {facts.mark.queue}")
        return "\n".join(map(clean_line, lines))

    def _show_current(self) -> None:
        current = self._current
        say(self.query_one("#detail", Static), details(current, self.size.width - 2) if current else "")

    # Edits

    def action_change_add(self) -> None:
        """A new experiment, at the end."""
        self._open(lambda text: EntryForm(self._history, text).form())

    def action_change_edit(self) -> None:
        """The experiment's keys in a form."""
        self._on_current(
            lambda each: self._open(
                lambda text: EntryForm(self._history, text, each.name).form(NEW_RUNS if _begun(each) else "")
            )
        )

    def action_change_copy(self) -> None:
        """A copy under another name, directly below."""
        self._on_current(
            lambda each: self._open(
                lambda text: EntryForm(self._history, text, each.name, free_name(text, each.name)).form()
            )
        )

    def action_change_move(self, where: Direction) -> None:
        """One place up or down."""
        self._on_current(
            lambda each: self._edit(lambda text: queueedit.move(text, each.name, where), f"move {each.name}")
        )

    def action_change_priority(self, step: int) -> None:
        """A higher or lower priority."""
        self._on_current(
            lambda each: self._edit(lambda text: _with_priority(text, each.name, step), f"priority of {each.name}")
        )

    def action_change_hold(self) -> None:
        """Keep the queue from starting it, or let it."""

        def turn(each: Queued) -> None:
            do = queueedit.release if each.held else queueedit.hold
            self._edit(lambda text: do(text, [each.name]), f"{'release' if each.held else 'hold'} {each.name}")

        self._on_current(turn)

    def action_change_remove(self) -> None:
        """Take it out of the file, after a question."""

        def ask(each: Queued) -> None:
            question = ConfirmScreen(f"Take {each.name} out of {self.session.queue.name}?", _fate(each), "Take out")
            self.app.push_screen(question, lambda agreed: remove(each) if agreed else None)

        def remove(each: Queued) -> None:
            self._edit(lambda text: queueedit.remove(text, [each.name]), f"take out {each.name}")

        self._on_current(ask)

    def action_change_undo(self) -> None:
        """Take the last edit back."""

        async def undo() -> None:
            what = await self._do(self._history.undo)
            if what is not None:
                self.notify(f"Taken back: {what}", markup=False)

        self.run_worker(undo())

    def action_change_in_editor(self) -> None:
        """The file in $EDITOR, at the experiment's line."""
        current = self._current
        self._in_editor(current.line if current else 1)

    def _in_editor(self, line: int) -> None:
        path = self.session.queue
        try:
            edit_file(self.app, path, line)
            load_queue(path)
        except ConfigError as error:
            self._after_editor(error)
        except GoeError as error:
            self.app.push_screen(MessageScreen("The editor", str(error)))
        self._look_again()

    def _after_editor(self, error: ConfigError) -> None:
        path = self.session.queue
        problems = [clean_line(_short(problem, path.name, str(path))) for problem in error.problems]
        more = [f"and {len(problems) - 8} more"] if len(problems) > 8 else []
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in {path.name}"
        question = ConfirmScreen(count, "\n".join([*problems[:8], *more]), "Back to the editor")
        line = _line(error.problems[0], str(path))
        self.app.push_screen(question, lambda agreed: self._in_editor(line) if agreed else None)

    def _on_current(self, do: Callable[[Queued], None]) -> None:
        """Do it with the experiment under the cursor, if that can be named."""
        current = self._current
        if current is not None and current.name.isprintable() and current.name:
            do(current)
        elif current is not None:
            self.notify("It has no name that could be used: e opens the file", markup=False)

    def _edit(self, edit: Edit, what: str) -> None:
        self.run_worker(self._do(lambda: self._history.apply(edit, what)))

    async def _do(self, work: Callable[[], object]) -> object | None:
        """Work on the file, one after the other in the order of the keys; what goes wrong is shown."""
        async with self._editing:
            try:
                done = await asyncio.to_thread(work)
            except (GoeError, OSError) as error:
                self.app.push_screen(MessageScreen("Not changed", _clean(error)))
                done = None
        self._look_again()
        return done

    def _open(self, make: Callable[[str], Form]) -> None:
        """Show a form made from the file as it is now."""
        self.run_worker(self._ask(lambda: make(read_queue(self.session.queue).text)), group="form", exclusive=True)

    async def _ask(self, make: Callable[[], Form]) -> None:
        try:
            form = await asyncio.to_thread(make)
        except ConfigError as error:
            self.app.push_screen(MessageScreen("Not changed", _clean(error)))
            return
        self.app.push_screen(FormScreen(form), self._asked)

    def _asked(self, values: dict[str, str] | None) -> None:
        if values is not None:
            self._wanted = values.get("name")
            self._look_again()

    def _look_again(self) -> None:
        if self.is_running:
            self.session.poller.follow("queue", self._reader)

    # The queue

    def action_change_stop_queue(self) -> None:
        """End the queue, after a question; its runs go on."""
        if self._facts is None or self._facts.mark is None:
            self.notify("No queue works here", markup=False)
            return
        self.run_worker(self._ask_to_stop())

    async def _ask_to_stop(self) -> None:
        views = await asyncio.to_thread(view_runs, self.session.runs)
        live = [view.run_id for view in views if view.is_live]
        self.app.push_screen(ConfirmScreen("Stop the queue?", _left_behind(live), "Stop"), self._stop)

    def _stop(self, agreed: bool | None) -> None:
        async def stop() -> None:
            mark = await self._do(lambda: stop_queue(self.session.runs))
            if mark is not None:
                self.notify("The queue has ended; its runs go on", markup=False)

        if agreed:
            self.run_worker(stop())

    async def action_log(self) -> None:
        """What the queue said."""
        await self.app.push_screen(QueueLogScreen(self.session))

    def action_back(self) -> None:
        """Leave the page."""
        self.dismiss()


def _clean(error: Exception) -> str:
    """What it says, without what a name in the file could do to the terminal."""
    return "\n".join(map(clean_line, str(error).split("\n")))


def _with_priority(text: str, name: str, step: int) -> str:
    """The experiment's priority, its own or that of `[defaults]`, one step on."""
    data = tomli.loads(text)
    entry: dict[str, object] = next((each for each in data.get("experiment", []) if each.get("name") == name), {})
    now = entry.get("priority", data.get("defaults", {}).get("priority", 0))
    after = now + step if isinstance(now, int) else step
    return queueedit.set_values(text, ("experiment", name), [Setting(("priority",), str(after))])


def _begun(each: Queued) -> bool:
    return any(state is not RunState.QUEUED for state, _ in each.states)


def _fate(each: Queued) -> str:
    """What becomes of the runs of an experiment that is taken out."""
    begun = ", ".join(f"{count} {state}" for state, count in each.states if state is not RunState.QUEUED)
    runs = (
        f"Its runs stay in the runs folder ({begun}); one at work goes on to its end."
        if begun
        else "It has no runs yet."
    )
    return f"{runs} Comments directly above it go with it. U takes this back."


def _left_behind(live: list[str]) -> str:
    if not live:
        return "No run is at work. Nothing is started until the queue is."
    more = f" and {len(live) - _NAMED} more" if len(live) > _NAMED else ""
    goes = "goes" if len(live) == 1 else "go"
    return f"{', '.join(live[:_NAMED])}{more} {goes} on, and the next queue takes over. Nothing else is started."


def _short(problem: str, name: str, path: str) -> str:
    """The problem with the file's name instead of its path."""
    return problem.replace(path, name, 1) if problem.startswith(path) else problem


def _line(problem: str, path: str) -> int:
    """The line a problem of the file is at; the first where it has none."""
    found = problem.removeprefix(f"{path}:").partition(":")[0]
    return int(found) if found.isdecimal() else 1
