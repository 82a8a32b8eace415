"""The machine's page: GPUs, cores, memory, disks, and which runs and whose programs are on them."""

from typing import ClassVar

import msgspec
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from goe.core.logfile import clean_line
from goe.core.overview import RunView
from tui.messages import Holder, Overview, SystemFacts
from tui.reading.base import Reader
from tui.reading.system import BUCKET_S, SystemReader
from tui.screens.base import GoeScreen, say
from tui.screens.runs import RunsScreen
from tui.session import Session
from tui.widgets.keyline import KeyLine
from tui.widgets.keytable import KeyTable
from tui.widgets.systemcells import (
    ORDERS,
    cells_of,
    detail_text,
    head_text,
    headings_for,
    ordered,
    row_key,
    trace_cells,
)
from tui.widgets.textscroll import TextScroll


class SystemLook(msgspec.Struct):
    """What the page remembers."""

    order: str = ORDERS[0]


class SystemScreen(GoeScreen):
    """The page; `esc` leaves it, and then nobody looks at processes any more."""

    BINDING_GROUP_TITLE = "System"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,u", "back", "back", key_display="esc"),
        Binding("i", "open", "open", key_display="enter"),
        Binding("o", "order", "sort"),
    ]
    CSS = """
    SystemScreen {
        #top { height: 1; padding: 0 1; margin-bottom: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #head { height: auto; max-height: 60%; padding: 0 1; scrollbar-size: 1 1; }
        #machine { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }
        #alerts { height: auto; max-height: 2; padding: 0 1; color: $text-warning; }
        #empty { height: 1fr; padding: 1 1; color: $text-muted; }
        #detail { height: 2; padding: 0 1; color: $text-muted; }
        KeyTable { padding: 0 1; margin-top: 1; }
        &.-short #top { margin-bottom: 0; }
        &.-short KeyTable { margin-top: 0; }
        &.-short #head { max-height: 50%; }
        &.-short #detail { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._reader = SystemReader(session.system, session.runs, lambda: session.plan.min_free)
        self._facts: SystemFacts | None = None
        self._views: dict[str, RunView] = {}
        self._all_read = False
        self._rows: dict[str, Holder] = {}
        order = session.memory.load("system", SystemLook).order
        self._order = order if order in ORDERS else ORDERS[0]

    @property
    def place(self) -> str:
        """The page itself."""
        return "system"

    def compose(self) -> ComposeResult:
        """The machine, what is wrong with it, its processes, the one under the cursor, keys."""
        yield Static("system  reading …", id="top", markup=False)
        with TextScroll(id="head"):
            yield Static(id="machine", markup=False)
        yield Static(id="alerts", markup=False, classes="-empty")
        yield KeyTable(id="processes")
        yield Static(id="empty", markup=False, classes="-empty")
        yield Static(id="detail", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        """Keys go to the processes."""
        self.query_one(KeyTable).focus()

    def readers(self) -> dict[str, Reader]:
        """The machine."""
        return {"system": self._reader}

    @property
    def current(self) -> RunView | None:
        """The run of the process under the cursor, where it is one of this folder."""
        holder = self._holder
        return self._views.get(holder.run_id) if holder is not None else None

    @property
    def _holder(self) -> Holder | None:
        key = self.query_one(KeyTable).row_key
        return self._rows.get(key) if key is not None else None

    def take(self, what: object) -> None:
        """The machine was read, or the list of runs."""
        match what:
            case SystemFacts():
                self._facts = what
                self._fill()
            case Overview():
                knew, self._views = bool(self._views), {view.run_id: view for view in what.views}
                self._all_read = not what.unread
                self._reader.live = tuple(view for view in what.views if view.is_live)
                if self._reader.live and not knew:
                    self.session.poller.follow("system", self._reader)  # at once

    def on_resize(self, _: events.Resize) -> None:
        """Choose the columns anew."""
        if self._facts is not None:
            self._fill()

    def on_data_table_row_highlighted(self, _: KeyTable.RowHighlighted) -> None:
        """The cursor moved."""
        self._show_current()

    def on_data_table_row_selected(self, _: KeyTable.RowSelected) -> None:
        """Enter, or a click on the cursor's row."""
        self.action_open()

    def _fill(self) -> None:
        facts = self._facts
        assert facts is not None
        width, table = self.size.width - 2, self.query_one(KeyTable)
        self._rows = {row_key(each): each for each in ordered(facts.holders, self._order)}
        headings = headings_for(facts, width - table.scrollbar_size_vertical)
        table.show(headings, {key: cells_of(each, headings) for key, each in self._rows.items()})
        table.display = bool(self._rows)
        say(self.query_one("#top", Static), self._title(facts, width))
        say(self.query_one("#machine", Static), head_text(facts, width))
        say(
            self.query_one("#alerts", Static),
            clean_line(f"! GPUs: {facts.pulse.problem}") if facts.pulse.problem else "",
        )
        say(self.query_one("#empty", Static), "" if self._rows else "No run has a process on this machine.")
        self._show_current()

    def _title(self, facts: SystemFacts, width: int) -> Text:
        curves = trace_cells(width) * BUCKET_S / 60
        last = f"  curves: the last {curves:g} min" if curves else ""
        return Text.assemble(("system", "bold"), (f"  {clean_line(facts.host)}  by {self._order}{last}", "dim"), end="")

    def _show_current(self) -> None:
        holder = self._holder
        say(self.query_one("#detail", Static), detail_text(holder) if holder is not None else " ")

    def action_open(self) -> None:
        """The page of the run that a process belongs to."""
        holder = self._holder
        if self.current is not None:
            self.post_message(RunsScreen.Opened(self.current))
        elif holder is not None and holder.run_id and not self._all_read:
            self.notify("The runs are still being read; once more in a moment")
        elif holder is not None:
            where = "a run in another folder" if holder.run_id else "no run"
            self.notify(f"This process belongs to {where}, so there is no page to open")

    def action_order(self) -> None:
        """By run, by cores, by memory, and round again."""
        self._order = ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)]
        self.session.memory.store("system", SystemLook(self._order))
        if self._facts is not None:
            self._fill()
