"""The queue's page: the experiments of the file in order, edited in place, and the queue started and ended."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

import msgspec
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from goe.core import queueedit, queuemany
from goe.core.errors import ConfigError, GoeError
from goe.core.overview import view_runs
from goe.core.queueedit import Edit
from goe.core.queuefile import load_queue
from goe.core.queuemany import Way
from goe.launch.detached import stop_queue
from tui.faults import told
from tui.messages import Queued, QueueFacts
from tui.reading.base import Reader
from tui.reading.queue import QueueReader
from tui.screens.base import GoeScreen, say
from tui.screens.confirm import ConfirmScreen, MessageScreen
from tui.screens.editor import edit_file
from tui.screens.entryform import EntryForm, free_name
from tui.screens.form import Form, FormScreen
from tui.screens.queuelog import QueueLogScreen
from tui.screens.queuewords import (
    NEW_RUNS,
    alerts,
    count_of,
    fate,
    has_begun,
    left_behind,
    nothing,
    problems_in,
)
from tui.session import Session
from tui.widgets.filterline import FilterLine
from tui.widgets.keyline import KeyLine
from tui.widgets.keytable import KeyTable
from tui.widgets.queuecells import cells_of, details, fits, headings_for, headline, rows_of

T = TypeVar("T")


class QueueLook(msgspec.Struct):
    """What the page remembers."""

    experiment: str = ""
    """The one under the cursor."""


class QueueScreen(GoeScreen):
    """The page; `esc` leaves it. Every edit is the one of the `goe queue` command of its name."""

    BINDING_GROUP_TITLE = "Queue"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", key_display="esc"),
        Binding("Q", "leave", "back to where you were", show=False),
        Binding("i", "change_edit", "edit", key_display="enter"),
        Binding("a", "change_add", "add"),
        Binding("c", "change_copy", "copy", show=False),
        Binding("D,delete", "change_remove", "delete", key_display="D"),
        Binding("H", "change_hold", "hold"),
        Binding("J", "change_move('down')", "further down", show=False),
        Binding("K", "change_move('up')", "further up", show=False),
        Binding("less_than_sign", "change_move('first')", "before all others", show=False, key_display="<"),
        Binding("greater_than_sign", "change_move('last')", "after all others", show=False, key_display=">"),
        Binding("plus", "change_priority(1)", "higher priority", show=False, key_display="+"),
        Binding("minus", "change_priority(-1)", "lower priority", show=False, key_display="-"),
        Binding("U", "change_undo", "take the last edit back", show=False),
        Binding("e", "change_in_editor", "editor"),
        Binding("X", "change_stop_queue", "stop"),
        Binding("L", "log", "log"),
        Binding("slash", "find", "find", key_display="/"),
        Binding("n", "next(1)", "next match", show=False),
        Binding("N", "next(-1)", "previous match", show=False),
        Binding("space", "mark", "mark"),
        Binding("asterisk", "mark_all", "mark all, or those that were found", show=False, key_display="*"),
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
        self._history = session.history
        self._editing = asyncio.Lock()
        self._facts: QueueFacts | None = None
        self._rows: dict[str, Queued] = {}
        self._look = session.memory.load("queue", QueueLook)
        self._marked: frozenset[str] = frozenset()
        self._sought = ""

    @property
    def place(self) -> str:
        """The page itself."""
        return "queue"

    def compose(self) -> ComposeResult:
        """The queue, its experiments, what is wrong with the file, the experiment under the cursor, keys."""
        yield Static("reading …", id="top", markup=False)
        yield KeyTable(id="experiments")
        yield Static(id="empty", markup=False, classes="-empty")
        yield FilterLine("part of a name, of what is set, or of what it waits for")
        yield Static(id="alerts", markup=False, classes="-empty")
        yield Static(id="detail", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        """The cursor is to stand where it stood."""
        self.query_one(KeyTable).want(self._look.experiment)

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
            self._marked &= self._rows.keys()
            self._fill()

    def on_resize(self, _: events.Resize) -> None:
        """Choose the columns anew."""
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
        if facts is None:
            return
        table = self.query_one(KeyTable)
        table.display = bool(self._rows)
        signs = {**{name: "!" for name, _ in facts.faults}, **dict.fromkeys(self._marked, "■")}
        width = self.size.width - 2 - table.scrollbar_size_vertical
        headings = headings_for(facts.experiments, width, signed=bool(signs))
        dark = self.app.current_theme.dark
        rows = self._rows.items()
        table.show(headings, {key: cells_of(each, headings, signs.get(key, ""), dark=dark) for key, each in rows})
        chosen = [f"{len(self._marked)} marked"] if self._marked else []
        chosen += [f"{len(self._found)} found"] if self._sought else []
        say(self.query_one("#top", Static), headline(facts, time.time(), chosen, self.size.width))
        say(self.query_one("#empty", Static), "" if self._rows else nothing(facts, self.session.queue))
        say(self.query_one("#alerts", Static), alerts(facts, self.session.queue, self.size))
        self._show_current()

    def _show_current(self) -> None:
        current = self._current
        say(self.query_one("#detail", Static), details(current, self.size.width - 2) if current else "")

    # Finding and marking

    @property
    def _found(self) -> list[int]:
        """The places of the experiments that are sought."""
        return [place for place, each in enumerate(self._rows.values()) if fits(each, self._sought)]

    def action_find(self) -> None:
        """Let the user type what to look for."""
        self.query_one(FilterLine).ask()

    def on_filter_line_changed(self, event: FilterLine.Changed) -> None:
        """Go to the first that fits, from the cursor on; the order of the queue stays to be seen."""
        self._sought = event.text.strip()
        self.query_one(FilterLine).say("" if self._found else "No experiment fits")
        if self._sought:
            self._go_on(0)
        self._fill()

    def on_filter_line_left(self, _: FilterLine.Left) -> None:
        """Back to the list."""
        self.query_one(KeyTable).focus()

    def action_next(self, step: int) -> None:
        """The next or previous one that fits, around the ends."""
        if self._sought:
            self._go_on(step)
        else:
            self.action_find()

    def _go_on(self, step: int) -> None:
        table, found = self.query_one(KeyTable), self._found
        ahead = [place for place in found if (place - table.cursor_row) * (step or 1) >= abs(step)]
        if found:
            table.move_cursor(row=(ahead or found)[-1 if step < 0 else 0], animate=False)

    def action_mark(self) -> None:
        """Mark the experiment, or take the mark back, and go on to the next."""
        table = self.query_one(KeyTable)
        if table.row_key is not None:
            self._marked ^= {table.row_key}
            table.action_cursor_down()
            self._fill()

    def action_mark_all(self) -> None:
        """Mark all, or all that were found; none if they are marked."""
        keys = list(self._rows)
        wanted = frozenset(keys[place] for place in self._found)
        self._marked = self._marked - wanted if wanted <= self._marked else self._marked | wanted
        self._fill()

    # Edits

    def action_change_add(self) -> None:
        """A new experiment, at the end."""
        self._open(lambda text: EntryForm(self._history, text).form())

    def action_change_edit(self) -> None:
        """The experiment's keys in a form."""
        self._on_current(
            lambda each: self._open(
                lambda text: EntryForm(self._history, text, each.name).form(NEW_RUNS if has_begun(each) else "")
            )
        )

    def action_change_copy(self) -> None:
        """A copy under another name, directly below."""
        self._on_current(
            lambda each: self._open(
                lambda text: EntryForm(self._history, text, each.name, free_name(text, each.name)).form()
            )
        )

    def action_change_move(self, way: Way) -> None:
        """A place up or down, or to an end."""
        self._edit_chosen("move", lambda text, names: queuemany.move_together(text, names, way))

    def action_change_priority(self, step: int) -> None:
        """A higher or lower priority."""
        self._edit_chosen("priority of", lambda text, names: queuemany.step_priority(text, names, step))

    def action_change_hold(self) -> None:
        """Keep the queue from starting it, or let it."""
        chosen = self._chosen
        what = "release" if all(each.held for each in chosen) else "hold"
        self._edit_chosen(what, queuemany.turn_hold)

    def action_change_remove(self) -> None:
        """Take them out of the file, after a question."""
        chosen = self._chosen
        question = f"Take {count_of(chosen)} out of {self.session.queue.name}?"

        def remove(agreed: bool | None) -> None:
            if agreed:
                self._edit(lambda text: queueedit.remove(text, names), f"take out {count_of(chosen)}")

        if self._are_named(chosen):
            names = [each.name for each in chosen]
            self.app.push_screen(ConfirmScreen(question, fate(chosen), "Take out"), remove)

    def action_change_undo(self) -> None:
        """Take the last edit back."""

        async def undo() -> None:
            what = await self._do(self._history.undo)
            if what is not None:
                self.notify(f"Taken back: {what}", markup=False)

        self.run_worker(undo())

    def action_change_in_editor(self) -> None:
        """The file in $EDITOR, at the first problem of the experiment, or of the file, or else at the experiment."""
        current, facts = self._current, self._facts
        line = current.line if current else 1
        if facts is not None and facts.problems:
            line = dict(facts.faults).get(current.name if current else "", facts.line)
        self._in_editor(line)

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
        question = ConfirmScreen(*problems_in(self.session.queue, error.problems), "Back to the editor")
        self.app.push_screen(question, lambda agreed: self._in_editor(error.line) if agreed else None)

    @property
    def _chosen(self) -> list[Queued]:
        """The marked experiments, in the file's order; without any, the cursor's."""
        marked = [each for key, each in self._rows.items() if key in self._marked]
        return marked or ([self._current] if self._current else [])

    def _are_named(self, chosen: Sequence[Queued]) -> bool:
        """Whether there are any, and an edit can name each; says so where it can't."""
        named = all(each.name and each.name.isprintable() for each in chosen)
        if not named:
            self.notify("It has no name that could be used: e opens the file", markup=False)
        return bool(chosen) and named

    def _on_current(self, do: Callable[[Queued], None]) -> None:
        """Do it with the experiment under the cursor, if that can be named."""
        current = self._current
        if current is not None and self._are_named([current]):
            do(current)

    def _edit_chosen(self, what: str, edit: Callable[[str, list[str]], str]) -> None:
        """Edit the marked experiments, or the cursor's."""
        chosen = self._chosen
        if self._are_named(chosen):
            names = [each.name for each in chosen]
            self._edit(lambda text: edit(text, names), f"{what} {count_of(chosen)}")

    def _edit(self, edit: Edit, what: str) -> None:
        self.run_worker(self._do(lambda: self._history.apply(edit, what)))

    async def _do(self, work: Callable[[], T]) -> T | None:
        """Work on the file, one after the other in the order of the keys; what goes wrong is shown."""
        done = None
        async with self._editing:
            try:
                done = await asyncio.to_thread(work)
            except (GoeError, OSError) as error:
                self.app.push_screen(MessageScreen("Not changed", told(error, self.session.queue)))
        self._look_again()
        return done

    def _open(self, make: Callable[[str], Form]) -> None:
        """Show a form made from the file as it is now."""
        self.run_worker(self._ask(lambda: make(self._history.text())), group="form", exclusive=True)

    async def _ask(self, make: Callable[[], Form]) -> None:
        try:
            form = await asyncio.to_thread(make)
        except (GoeError, OSError) as error:
            self.app.push_screen(MessageScreen("Not changed", told(error, self.session.queue)))
            return
        self.app.push_screen(FormScreen(form), self._asked)

    def _asked(self, values: dict[str, str] | None) -> None:
        if values is not None:
            self.query_one(KeyTable).want(values.get("name"))
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
        views = await self._do(lambda: view_runs(self.session.runs))
        if views is not None:
            live = [view.run_id for view in views if view.is_live]
            self.app.push_screen(ConfirmScreen("Stop the queue?", left_behind(live), "Stop"), self._stop)

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
        """One layer out: what was sought, the marks, the page."""
        if self._sought:
            self.query_one(FilterLine).action_clear()
        elif self._marked:
            self._marked = frozenset()
            self._fill()
        else:
            super().action_back()

    def action_leave(self) -> None:
        """Leave the page."""
        super().action_back()
