"""The queue's page: the experiments of the file in order, to be found, marked and edited in place."""

import time
from typing import ClassVar

import msgspec
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from tui.messages import Queued, QueueFacts
from tui.queuecontrol import QueueControl
from tui.screens.base import say
from tui.screens.queuelog import QueueLogScreen
from tui.screens.queuewords import alerts, nothing
from tui.session import Session
from tui.widgets.filterline import FilterLine
from tui.widgets.keyline import KeyLine
from tui.widgets.keytable import KeyTable
from tui.widgets.queuecells import cells_of, details, fits, headings_for, headline, rows_of


class QueueLook(msgspec.Struct):
    """What the page remembers."""

    experiment: str = ""
    """The one under the cursor."""


class QueueScreen(QueueControl):
    """The page; `esc` leaves it."""

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
        self.query_one(KeyTable).want(self._look.experiment or None)

    def on_unmount(self) -> None:
        """Where the cursor was is kept once, not at every key."""
        self.session.memory.store("queue", self._look)

    def take(self, what: object) -> None:
        """The file or its runs were read."""
        if isinstance(what, QueueFacts):
            self.facts, self._rows = what, rows_of(what.experiments)
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
    def experiment(self) -> Queued | None:
        """The one under the cursor."""
        key = self.query_one(KeyTable).row_key
        return self._rows.get(key) if key is not None else None

    @property
    def chosen(self) -> list[Queued]:
        """The marked experiments, in the file's order; without any, the cursor's."""
        marked = [each for key, each in self._rows.items() if key in self._marked]
        return marked or super().chosen

    def come_to(self, name: str) -> None:
        """Put the cursor on this experiment once it is read."""
        self.query_one(KeyTable).want(name)

    def _fill(self) -> None:
        facts = self.facts
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
        current = self.experiment
        say(self.query_one("#detail", Static), details(current, self.size.width - 2) if current else "")

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
