"""The evaluation table of `goe table`, live: what it shows is chosen by keys and remembered."""

from collections.abc import Iterable
from typing import ClassVar, Literal

import msgspec
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from goe.core.errors import ConfigError
from goe.core.layout import ALL
from goe.core.metricstyles import STYLES
from goe.core.results import AVERAGE
from goe.core.table import Block
from goe.core.where import parse_where
from tui.messages import Overview, Results
from tui.reading.base import Reader
from tui.reading.results import ResultsReader
from tui.reading.tablelook import TableLook, command_line
from tui.resultorder import headings_of, ordered
from tui.screens.base import GoeScreen, say
from tui.screens.choose import ChooseScreen
from tui.screens.seeds import SeedsScreen
from tui.screens.several import Choice, SeveralScreen
from tui.screens.tablefile import TableFileScreen
from tui.session import Session
from tui.widgets.keyline import KeyLine
from tui.widgets.resultstable import BEST, SECOND, SEPARATOR, ResultsTable, common_title, printable

EMPTY = "No evaluation results yet. A run writes them when its training ends."
NO_FIT = "Nothing fits what was chosen; 0 shows the usual table."
PAPER = "paper"


class ResultsScreen(GoeScreen):
    """The table; enter opens the seeds of a line, `esc` leaves."""

    BINDING_GROUP_TITLE = "Results"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,t", "back", "back", key_display="esc"),
        Binding("m", "pick_metrics", "metrics"),
        Binding("s", "pick_scores", "score"),
        Binding("T", "pick_sets", "test sets"),
        Binding("C", "pick_scope", "checkpoint"),
        Binding("slash,f", "filter", "filter", key_display="/"),
        Binding("o", "sort", "sort"),
        Binding("O", "reverse", "reverse the order", show=False),
        Binding("b", "compare", "compare"),
        Binding("E", "change_export", "export"),
        Binding("P", "preset", "layout: ours or the paper's", show=False),
        Binding("c", "columns", "columns: metrics or test sets", show=False),
        Binding("z", "alone", "one block at a time, or all", show=False),
        Binding("Y", "copy", "copy the command line of this table", show=False),
        Binding("0", "usual", "the usual table again", show=False),
    ]
    CSS = """
    ResultsScreen {
        #top, #command { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #common, #command, #notes { color: $text-muted; }
        #common { height: auto; max-height: 2; padding: 0 1; margin-bottom: 1; }
        #empty { height: 1fr; padding: 1 2; color: $text-muted; }
        #notes, #alerts { height: auto; max-height: 3; padding: 0 1; }
        #alerts { color: $text-warning; }
        #notes { margin-top: 1; }
        #filter { display: none; border: none; height: 1; padding: 0 1; }
        &.-asking #filter { display: block; }
        &.-short #common, &.-short #command, &.-short #notes { display: none; }
        &.-short #alerts { max-height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._look = session.memory.load("results", TableLook)
        self._reader = ResultsReader(session.runs, session.plan, self._look)
        self._results: Results | None = None
        self._overview: Overview | None = None

    @property
    def place(self) -> str:
        """The page itself."""
        return "results"

    def compose(self) -> ComposeResult:
        """What is chosen, what all blocks have in common, table, notes, keys."""
        yield Static("results", id="top", markup=False)
        yield Static(id="common", markup=False)
        yield ResultsTable(id="table")
        yield Static("reading …", id="empty", markup=False)
        yield Static(id="alerts", markup=False)
        yield Static(id="notes", markup=False)
        yield Static(id="command", markup=False)
        yield Input(placeholder="part of an experiment's name, or KEY=PATTERN as for --where", id="filter")
        yield KeyLine()

    def on_mount(self) -> None:
        """Nothing is known yet but what was chosen the last time."""
        self.query_one(ResultsTable).display = False
        for name in ("#common", "#alerts", "#notes"):
            say(self.query_one(name, Static), "")
        self._say_look()

    def readers(self) -> dict[str, Reader]:
        """The table."""
        return {"results": self._reader}

    def take(self, what: object) -> None:
        """The evaluation results were read, or the list of runs."""
        match what:
            case Results() if what.look == self._look:
                self._results = what
                self._fill(what)
            case Overview():
                self._overview = what

    def _fill(self, results: Results) -> None:
        table, blocks = self.query_one(ResultsTable), results.blocks
        appears = bool(blocks) and not table.display
        table.display = bool(blocks)
        look = self._look
        table.show(ordered(blocks, look.sort, descending=look.descending), alone=look.alone)
        if appears and not self.has_class("-asking"):
            table.focus()
        empty = NO_FIT if results.there.scores else EMPTY
        say(self.query_one("#empty", Static), "" if blocks else empty)
        say(self.query_one("#common", Static), printable(SEPARATOR.join(common_title(blocks))))
        notes = results.table.notes if results.table and blocks else ()
        say(self.query_one("#notes", Static), _legend(blocks) + printable(" ".join(notes)))
        say(self.query_one("#alerts", Static), "\n".join(_alerts(results)))

    def _say_look(self) -> None:
        say(self.query_one("#top", Static), look_line(self._look))
        say(self.query_one("#command", Static), printable(self.command))

    @property
    def command(self) -> str:
        """What prints the same table in a shell."""
        return command_line(self._look, self.session.runs, self.session.queue)

    def _show(self, look: TableLook) -> None:
        """Show this from now on, and on the next visit."""
        self._look = look
        self.session.memory.store("results", look)
        self._reader.ask(look)
        self.session.poller.follow("results", self._reader)
        self._say_look()

    def _change(self, **changed: object) -> None:
        self._show(msgspec.structs.replace(self._look, **changed))

    def action_back(self) -> None:
        """Leave the table, or the filter."""
        if self.has_class("-asking"):
            self._end_asking()
        else:
            super().action_back()

    # --- choosing

    def _pick(self, title: str, choices: Iterable[Choice], name: str) -> None:
        def taken(keys: frozenset[str] | None) -> None:
            if keys is not None:
                self._change(**{name: tuple(choice.key for choice in listed if choice.key in keys)})

        listed = list(choices)
        self.app.push_screen(SeveralScreen(title, listed, getattr(self._look, name)), taken)

    def action_pick_metrics(self) -> None:
        """Which metrics."""
        there = self._results.there.metrics if self._results else ()
        known = [*there, *(name for name in self._look.metrics if name not in {*there, ALL})]
        choices = [Choice(name, f"{name:<17}{STYLES[name].heading}") for name in known if name in STYLES]
        self._pick("Metrics", [Choice(ALL, f"{ALL:<17}every metric there is"), *choices], "metrics")

    def action_pick_scores(self) -> None:
        """Which scores."""
        self._pick("Scores", _plain(self._results.there.scores if self._results else (), self._look.scores), "scores")

    def action_pick_sets(self) -> None:
        """Which OOD test sets."""
        there = self._results.there.sets if self._results else ()
        self._pick("OOD test sets", _plain((*there, AVERAGE), self._look.sets), "sets")

    def action_pick_scope(self) -> None:
        """Which checkpoints and protocols."""

        def taken(keys: frozenset[str] | None) -> None:
            if keys is not None:
                kept = {kind: tuple(name for one, name in pairs if one == kind and f"{one} {name}" in keys)
                        for kind in ("checkpoint", "protocol")}  # fmt: skip
                self._change(checkpoints=kept["checkpoint"], protocols=kept["protocol"])

        look, there = self._look, self._results.there if self._results else None
        checkpoints = _once(there.checkpoints if there else (), look.checkpoints)
        protocols = _once(there.protocols if there else (), look.protocols)
        pairs = [*(("checkpoint", name) for name in checkpoints), *(("protocol", name) for name in protocols)]
        marked = [f"checkpoint {name}" for name in look.checkpoints] + [f"protocol {name}" for name in look.protocols]
        choices = [Choice(f"{kind} {name}", f"{kind:<12}{name}") for kind, name in pairs]
        self.app.push_screen(SeveralScreen("Checkpoint and protocol", choices, marked), taken)

    def action_compare(self) -> None:
        """With the paper's figures, and with a baseline."""

        def taken(keys: frozenset[str] | None) -> None:
            if keys is not None:
                self._change(paper_figures=PAPER in keys, against=next(iter(keys & set(experiments)), "")[len("-") :])

        look = self._look
        names = _once(self._results.there.experiments if self._results else (), (look.against,) if look.against else ())
        experiments = [f"-{name}" for name in names]
        choices = [Choice(PAPER, "figures of Koo et al. (2024) beside the cells")]
        choices += [Choice(f"-{name}", f"† differs from {name}", rivals="against") for name in names]
        marked = [*([PAPER] if look.paper_figures else []), *([f"-{look.against}"] if look.against else [])]
        self.app.push_screen(SeveralScreen("Compare with", choices, marked), taken)

    def action_sort(self) -> None:
        """Choose the column to sort by."""
        columns = headings_of(self._results.blocks if self._results else ())
        choices = [("", "the queue file's order"), *((name, printable(name)) for name in columns)]
        self.app.push_screen(ChooseScreen("Sort by", choices, self._look.sort), self._sort_by)

    def _sort_by(self, heading: str | None) -> None:
        if heading is not None:
            self._change(sort=heading)

    def action_reverse(self) -> None:
        """The other way round."""
        self._change(descending=not self._look.descending)

    def action_preset(self) -> None:
        """Our layout, or the paper's."""
        self._change(paper_layout=not self._look.paper_layout)

    def action_columns(self) -> None:
        """A block a test set, or a block a metric."""
        columns: Literal["metrics", "sets"] = "sets" if self._look.columns == "metrics" else "metrics"
        self._change(columns=columns)

    def action_alone(self) -> None:
        """One block at a time, or all."""
        self._change(alone=not self._look.alone)

    def action_usual(self) -> None:
        """Forget all choices."""
        self._show(TableLook())

    # --- filter

    def action_filter(self) -> None:
        """Ask for conditions."""
        asked = self.query_one("#filter", Input)
        asked.value = " ".join(self._look.only)
        self.add_class("-asking")
        asked.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: what means nothing is said, and the filter stays as it was."""
        conditions = tuple(_condition(word) for word in event.value.split())
        try:
            parse_where(conditions)
        except ConfigError as error:
            say(self.query_one("#alerts", Static), "\n".join(f"! {problem}" for problem in error.problems))
            return
        self._end_asking()
        self._change(only=conditions)

    def _end_asking(self) -> None:
        self.remove_class("-asking")
        self.query_one(ResultsTable).focus()
        if self._results is not None:
            say(self.query_one("#alerts", Static), "\n".join(_alerts(self._results)))

    # --- out of here

    def on_results_table_opened(self, message: ResultsTable.Opened) -> None:
        """The seeds of a line."""
        if self._results is not None:
            screen = SeedsScreen(self.session, self._results, self._overview, message.block, message.line)
            self.app.push_screen(screen)

    def action_copy(self) -> None:
        """The command line, to the terminal's clipboard."""
        self.app.copy_to_clipboard(self.command)
        self.notify(f"copied: {self.command}", markup=False)

    def action_change_export(self) -> None:
        """Write the table to a file."""
        if self._results is None or not self._results.blocks:
            self.notify("There is no table to write", severity="warning")
        elif self._results.waiting:
            self.notify("Differences are still being worked out; try again when they are there", severity="warning")
        else:
            self.app.push_screen(TableFileScreen(self.session, self._results))


def look_line(look: TableLook) -> Text:
    """What is chosen, in one line; what is as usual is left out."""
    order = f"{look.sort or 'the queue file'}{', descending' if look.descending else ''}"
    facts = [
        ("metrics", ", ".join(look.shown_metrics)),
        ("score", ", ".join(look.scores)),
        ("test sets", "" if look.paper_layout else ", ".join(look.sets)),
        ("checkpoint", ", ".join(look.checkpoints)),
        ("protocol", ", ".join(look.protocols)),
        ("only", " ".join(look.only)),
        ("layout", "as in Koo et al. (2024)" if look.paper_layout else ""),
        ("blocks", "a metric each" if look.columns == "sets" and not look.paper_layout else ""),
        ("beside", "Koo et al. (2024)" if look.paper_figures else ""),
        ("against", look.against),
        ("sorted by", order if look.sort or look.descending else ""),
    ]
    chosen = [f"{name} {printable(value)}" for name, value in facts if value]
    words = SEPARATOR.join(chosen) or "all scores, checkpoints, protocols and test sets; the usual metrics"
    return Text.assemble(("results", "bold"), "  ", words, no_wrap=True, overflow="ellipsis")


def _legend(blocks: Iterable[Block]) -> Text:
    """What the marks mean, where there are any."""
    ranks = {cell.rank for block in blocks for line in block.lines for cell in line}
    said = Text()
    for rank, style, look, words in ((1, BEST, "bold", "best of its column"), (2, SECOND, "underlined", "second best")):
        if rank in ranks:
            said.append(look, style).append(f" {words}{SEPARATOR}")
    return said


def _alerts(results: Results) -> list[str]:
    found = [f"! {problem}" for problem in results.problems]
    if results.waiting:
        found.insert(0, f"working out differences to {results.look.against} …")
    if results.missing:
        found.append(f"No results yet: {', '.join(results.missing)}")
    return [printable(line) for line in found]


def _condition(word: str) -> str:
    return word if "=" in word else f"experiment=*{word}*"


def _once(*names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for some in names for name in some))


def _plain(there: Iterable[str], chosen: Iterable[str]) -> list[Choice]:
    return [Choice(name, name) for name in _once(there, chosen)]
