"""The first screen: every run with its live state."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Static

from goe.core.errors import ConfigError
from goe.core.overview import RunView
from goe.core.report import job_text
from goe.core.runfields import FIELDS, config_keys, metric_names
from goe.core.runquery import EVERYTHING, understand
from goe.core.state import RunState
from tui.messages import Compare, Diff, Glimpse, News, Overview
from tui.reading.base import Reader
from tui.reading.overview import OverviewReader
from tui.reading.system import PulseReader
from tui.runcontrol import RunControl
from tui.runlist import Line, Look, lines, shown_runs
from tui.screens.base import say
from tui.screens.choose import ChooseScreen
from tui.screens.columns import ColumnsScreen
from tui.session import Session
from tui.widgets.filterline import FilterLine
from tui.widgets.keyline import KeyLine
from tui.widgets.rowlist import RowList
from tui.widgets.runcells import counts, summarise
from tui.widgets.runcolumns import DEFAULT, FIXED, Column, column
from tui.widgets.runtable import RunTable
from tui.widgets.systemcells import glimpse_text

MACHINE_FROM = 100
"""Columns from which on the summary has room for the machine beside it."""


class RunsScreen(RunControl):
    """The list; enter opens a run."""

    BINDING_GROUP_TITLE = "Runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("o", "sort", "sort"),
        Binding("O", "reverse", "reverse the order", show=False),
        Binding("space", "mark", "mark"),
        Binding("asterisk", "mark_all", "mark all shown, or none", show=False, key_display="*"),
        Binding("v", "fold", "fold seeds"),
        Binding("c", "columns", "columns"),
        Binding("equals_sign", "compare", "compare the marked runs", show=False, key_display="="),
        Binding("d", "diff", "how two marked runs differ", show=False),
        Binding("escape", "plain", "no filter, then no marks", show=False),
    ]
    CSS = """
    RunsScreen {
        #top { height: 1; padding: 0 1; margin-bottom: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #empty { height: 1fr; padding: 1 2; color: $text-muted; }
        #detail { height: auto; max-height: 5; padding: 0 1; color: $text-muted; }
        #detail.-alert { color: $text-warning; }
        #alerts { height: auto; max-height: 4; padding: 0 1; color: $text-warning; }
        #foot { height: 1; padding: 0 1; }
        #summary { width: 1fr; height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #machine { width: auto; padding-left: 2; color: $text-muted; }
        &.-short #top { display: none; }
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
        self._reader = OverviewReader(session.runs, session.plan)
        self._overview: Overview | None = None
        self._glimpse: Glimpse | None = None
        self._look = session.memory.load("runs", Look)
        self._query = EVERYTHING
        self._metrics: list[str] = []
        self._marked: frozenset[str] = frozenset()
        self._shown: list[RunView] = []
        """The runs that pass the filter, in order."""

    def compose(self) -> ComposeResult:
        """Title, table, the cursor's run, summary, keys."""
        yield Static(id="top", markup=False)
        yield RunTable(id="runs")
        yield Static("reading …", id="empty", markup=False)
        yield FilterLine(id="filter")
        yield Static(id="alerts", markup=False)
        yield Static(id="detail", markup=False)
        with Horizontal(id="foot"):
            yield Static(id="summary", markup=False)
            yield Static(id="machine", markup=False, classes="-empty")
        yield KeyLine()

    def on_mount(self) -> None:
        """Nothing is known before the first message."""
        self.query_one("#top", Static).update(Text.assemble(("goe", "bold"), (f"  {self._runs}", "dim"), end=""))
        for name in ("#alerts", "#detail", "#summary"):
            say(self.query_one(name, Static), "")
        self.query_one(RunTable).display = False
        self.query_one(FilterLine).set_text(self._look.filter)

    @property
    def views(self) -> tuple[RunView, ...]:
        """Every run of the folder, as last read."""
        newest = self.unheard.get("overview", self._overview)
        return newest.views if isinstance(newest, Overview) else ()

    @property
    def current(self) -> RunView | None:
        """The run under the cursor."""
        return self.query_one(RunTable).current

    @property
    def marked(self) -> list[RunView]:
        """The marked runs among those shown."""
        return [view for view in self._shown if view.run_id in self._marked]

    @property
    def chosen(self) -> Sequence[RunView]:
        """The marked runs; without any, the cursor's, or all seeds of its fold."""
        line = self.query_one(RunTable).line
        return self.marked or (line.views if line else ())

    def readers(self) -> dict[str, Reader]:
        """The list; other screens lean on it too."""
        return {"overview": self._reader, "glimpse": PulseReader(self.session.system, self.session.runs)}

    def hear(self, news: News) -> None:
        """News also say whether the list is seen."""
        super().hear(news)
        self._reader.is_seen = not self.unheard

    def take(self, what: object) -> None:
        """The runs folder was read, or the machine."""
        if isinstance(what, Glimpse):
            self._glimpse = what
            self._show_machine()
        elif isinstance(what, Overview):
            before, self._overview = self._overview, what
            if before is None or before.views is not what.views:
                self._metrics = metric_names(what.views)
                self._understand(self._look.filter)
                self._arrange()
            if before != what:
                self._show_around(what)

    def _understand(self, text: str) -> None:
        """Take what is understood of the filter, and say what is not."""
        self._query, mistakes = understand(text, self._metrics)
        in_force = f"in force: {self._query.text or 'no filter, all runs are shown'}"
        self.query_one(FilterLine).say(f"{in_force}\n{mistakes[0]}" if mistakes else "")

    def _set_look(self, **changes: object) -> None:
        self._look = msgspec.structs.replace(self._look, **changes)
        self.session.memory.store("runs", self._look)
        self._arrange()

    def _arrange(self) -> None:
        """Filter, order and fold anew."""
        if self._overview is None:
            return
        views, table = self._overview.views, self.query_one(RunTable)
        self._shown = shown_runs(views, self._look, self._query, self._metrics)
        appears = bool(views) and not table.display
        table.display = bool(views)
        order = (self._look.sort, self._look.descending)
        table.show_lines(lines(self._shown, self._look, self._metrics), self._marked, self._columns(), order)
        if appears and not self.query_one(FilterLine).has_focus_within:
            table.focus()
        self._show_current()
        self._show_summary(self._overview)

    def _columns(self) -> Sequence[Column]:
        """The chosen ones; a name that nobody knows any more is left out."""
        found: list[Column] = []
        for name in self._look.columns:
            try:
                found.append(column(name, self._metrics))
            except ConfigError:
                continue
        return found or FIXED

    def _show_around(self, overview: Overview) -> None:
        say(self.query_one("#empty", Static), "" if overview.views else self._welcome(overview))
        say(self.query_one("#alerts", Static), "\n".join(f"! {line}" for line in _alerts(overview)))
        self._show_summary(overview)

    def _show_summary(self, overview: Overview) -> None:
        views, marked = overview.views, len(self.marked)
        parts = [f"{len(self._shown)} of {len(views)}"] if self._query is not EVERYTHING else []
        parts += [f"{marked} marked"] if marked else []
        parts += [f"reading, {overview.unread} to go"] if overview.unread else []

        def line(*, brief: bool) -> str:
            alive = overview.queue_alive
            return " · ".join([*parts, summarise(views, overview.read_at, queue_alive=alive, brief=brief)])

        text, room = line(brief=False), self.size.width - 2
        say(self.query_one("#summary", Static), text if cell_len(text) <= room else line(brief=True))
        self._show_machine()

    def on_resize(self, _: events.Resize) -> None:
        """Say as much as there is room for."""
        if self._overview is not None:
            self._show_summary(self._overview)

    def _show_machine(self) -> None:
        """What is said of the runs goes before."""
        text = glimpse_text(self._glimpse) if self._glimpse and self.size.width >= MACHINE_FROM else ""
        said = cell_len(str(self.query_one("#summary", Static).content))
        say(self.query_one("#machine", Static), text if said + cell_len(text) + 4 <= self.size.width else "")

    def on_row_list_highlighted(self, _: RowList.Highlighted) -> None:
        """The cursor moved."""
        self._show_current()

    def on_row_list_opened(self, _: RowList.Opened) -> None:
        """Enter, or a click on the cursor's row: a run's page, or a fold's seeds."""
        line = self.query_one(RunTable).line
        if line and line.fold:
            self._unfold(line, not line.is_open)
        elif line and line.view:
            self.post_message(self.Opened(line.view))

    def _show_current(self) -> None:
        line = self.query_one(RunTable).line
        view = line.view if line else None
        detail = self.query_one("#detail", Static)
        problem = view.problem if view else None
        detail.set_class(problem is not None, "-alert")
        if line and line.fold:
            say(detail, f"{line.experiment}: {counts(line.views)}")
            return
        say(detail, f"! {problem}" if problem else _detail(view) if view else "")

    def _welcome(self, overview: Overview) -> str:
        if overview.problem:
            return overview.problem
        if overview.planned:
            return f"No runs in {self._runs} yet.\n{self._queue} holds {overview.planned}: press S to start them."
        if overview.queue_problems:
            return f"No runs in {self._runs} yet.\nMend {self._queue} (Q, then e), then press S to start it."
        return f"No runs in {self._runs} yet.\nWrite {self._queue} (README.md says how), then press S to start it."

    def action_filter(self) -> None:
        """Let the user type a filter."""
        self.query_one(FilterLine).ask()

    def on_filter_line_changed(self, event: FilterLine.Changed) -> None:
        """Filter at every key."""
        self._understand(event.text)
        self._set_look(filter=event.text)

    def on_filter_line_left(self, _: FilterLine.Left) -> None:
        """Back to the list."""
        self.query_one(RunTable).focus()

    def action_sort(self) -> None:
        """Choose the column to sort by."""
        names = [(name, f"{name}  {said}") for name, said in self._names()]
        choices = [("", "the queue file's order"), *names]
        self.app.push_screen(ChooseScreen("Sort by", choices, self._look.sort), self._sort_by)

    def _sort_by(self, name: str | None) -> None:
        if name is not None:
            self._set_look(sort=name)

    def action_reverse(self) -> None:
        """The other way round."""
        self._set_look(descending=not self._look.descending)

    def on_row_list_heading_clicked(self, event: RowList.HeadingClicked) -> None:
        """Sort by that column; again: the other way; a third time: as the queue file has it."""
        if event.name != self._look.sort:
            self._set_look(sort=event.name, descending=False)
        elif not self._look.descending:
            self._set_look(descending=True)
        else:
            self._set_look(sort="", descending=False)

    def _names(self) -> list[tuple[str, str]]:
        """Everything a list can be sorted by or made of, with its kind."""
        fixed = [(one.name, one.title if one.title != one.name else "") for one in FIXED]
        fixed += [(name, "") for name in FIELDS if name not in DEFAULT]
        metrics = [(name, "metric") for name in self._metrics if name not in FIELDS]
        known = set(FIELDS) | set(self._metrics)
        return fixed + metrics + [(key, "configuration") for key in config_keys() if key not in known]

    def action_columns(self) -> None:
        """Choose the columns and their order."""
        chosen = self._look.columns or DEFAULT
        self.app.push_screen(ColumnsScreen(chosen, self._names(), DEFAULT), self._set_columns)

    def _set_columns(self, names: tuple[str, ...] | None) -> None:
        if names is not None:
            self._set_look(columns=names)

    def action_mark(self) -> None:
        """Mark the cursor's run, or take the mark back, and go on to the next."""
        table = self.query_one(RunTable)
        if table.line is None:
            return
        self._toggle({view.run_id for view in table.line.views})
        table.action_move(1)

    def on_row_list_sign_clicked(self, _: RowList.SignClicked) -> None:
        """A click left of the run."""
        line = self.query_one(RunTable).line
        self._toggle({view.run_id for view in line.views} if line else set())

    def action_mark_all(self) -> None:
        """Mark all that are shown; none if all are."""
        self._toggle({view.run_id for view in self._shown})

    def _toggle(self, names: set[str]) -> None:
        self._marked = self._marked - names if names <= self._marked else self._marked | names
        self._arrange()

    def action_plain(self) -> None:
        """One layer out: the filter, then the marks."""
        if self._look.filter or self._query is not EVERYTHING:
            self.query_one(FilterLine).action_clear()
        elif self._marked:
            self._toggle(set(self._marked))

    def action_fold(self) -> None:
        """The seeds of an experiment on one line, or each on its own."""
        self._set_look(folded=not self._look.folded)

    def on_run_table_unfolded(self, event: RunTable.Unfolded) -> None:
        """Right or left on a fold; left on a seed closes its fold."""
        table = self.query_one(RunTable)
        line = table.line
        if line and line.parent and not event.is_open:
            table.move_to(line.parent)
            line = table.line
        if line and line.fold and line.is_open != event.is_open:
            self._unfold(line, event.is_open)

    def _unfold(self, line: Line, is_open: bool) -> None:
        others = tuple(key for key in self._look.unfolded if key != line.key)
        self._set_look(unfolded=(*others, line.key) if is_open else others)

    def action_compare(self) -> None:
        """Lay the curves of the marked runs, or the cursor's, over each other."""
        views = tuple(self.chosen)
        if views:
            self.post_message(Compare(views))

    def action_diff(self) -> None:
        """How the two marked runs were told different things."""
        marked = self.marked
        if len(marked) == 2:
            self.post_message(Diff(*marked))
        else:
            self.notify("Mark two runs with space first: d shows how they differ")


def _detail(view: RunView) -> str:
    """Its id, and what the columns have no room for: its job, and that it is held."""
    job = f" · {job_text(view.job)}" if view.job is not None and view.is_live else ""
    held = " · held: no queue starts it" if view.held and view.state is not RunState.DONE else ""
    return f"{view.run_id}{job}{held}"


def _alerts(overview: Overview) -> list[str]:
    found = [overview.problem] if overview.problem and overview.views else []
    problems = overview.queue_problems
    if problems:
        more = f" (and {len(problems) - 1} more; S shows them)" if len(problems) > 1 else ""
        found.append(f"{problems[0]}{more}")
    return found
