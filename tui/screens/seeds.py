"""One line of the evaluation table seed by seed: values, where they are from, and why some are missing."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from goe.core.cells import Cell
from goe.core.overview import RunView
from goe.core.table import Block
from tui.messages import Overview, Results
from tui.screens.base import GoeScreen, say
from tui.screens.runs import RunsScreen
from tui.session import Session
from tui.widgets.keyline import KeyLine
from tui.widgets.keytable import Cell as KeyCell
from tui.widgets.keytable import KeyTable
from tui.widgets.resultstable import SEPARATOR, printable
from tui.widgets.seedcells import headings, row_of, seed_cells, seed_runs, value_names


class SeedTable(KeyTable):
    """A seed a row."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select_cursor", "open the run")]


class SeedsScreen(GoeScreen):
    """The seeds; enter opens a run's page, `esc` leaves."""

    BINDING_GROUP_TITLE = "Seeds"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,t", "back", "back", key_display="esc")]
    CSS = """
    SeedsScreen {
        #top, #means { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #top { text-style: bold; }
        #where { height: auto; max-height: 3; padding: 0 1; color: $text-muted; }
        #means { margin-bottom: 1; }
        #note { height: auto; max-height: 4; padding: 0 1; color: $text-warning; }
        &.-short #where { display: none; }
        &.-short #means { margin-bottom: 0; }
    }
    """

    def __init__(
        self, session: Session, results: Results, overview: Overview | None, block: Block, line: tuple[Cell, ...]
    ) -> None:
        super().__init__(session)
        self._results = results
        self._views = _by_id(overview)
        self._block = block
        self._line = line
        self._rows: dict[str, tuple[KeyCell, ...]] = {}

    def compose(self) -> ComposeResult:
        """Which line, its means, the seeds, the note of the cursor's."""
        yield Static(id="top", markup=False)
        yield Static(id="where", markup=False)
        yield Static(id="means", markup=False)
        yield SeedTable(id="seeds")
        yield Static(id="note", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        """What the table knew."""
        self._fill()

    def on_resize(self, _: events.Resize) -> None:
        """The note takes what room there is."""
        self._fill()

    def take(self, what: object) -> None:
        """The results were read, or the list."""
        match what:
            case Results() if what.look == self._results.look:
                self._results = what
                self._find_line()
                self._fill()
            case Overview():
                self._views = _by_id(what)
                self._fill()

    def _find_line(self) -> None:
        """The same line in a newer table; where it is gone its last values stay."""
        labels = self._labels(self._block, self._line)
        for block in self._results.blocks:
            if block.title == self._block.title and block.header == self._block.header:
                self._line = next((line for line in block.lines if self._labels(block, line) == labels), self._line)
                self._block = block

    def _labels(self, block: Block, line: tuple[Cell, ...]) -> list[str]:
        return [cell.text for cell in line[: block.labels]]

    def _fill(self) -> None:
        row = row_of(self._line)
        if row is None:
            return
        labels = SEPARATOR.join(self._labels(self._block, self._line))
        say(self.query_one("#top", Static), printable(f"{labels}  {row.method}, {row.model} on {row.id_dataset}"))
        say(self.query_one("#where", Static), printable(self._block.title))
        values = [cell.text for cell in self._line if cell.row is not None]
        means = [f"{name} {text}" for name, text in zip(value_names(self._block), values, strict=True)]
        say(self.query_one("#means", Static), printable(SEPARATOR.join(means)))
        dark = self.app.current_theme.dark
        self._rows = {
            config.run_id: seed_cells(config, self._line, self._results, self._views.get(config.run_id), dark=dark)
            for config in seed_runs(self._results, row)
        }
        self.query_one(SeedTable).show(headings(self._block, self.size.width), self._rows)
        self._say_note()

    def _say_note(self) -> None:
        key = self.query_one(SeedTable).row_key
        note = self._rows[key][-1][0] if key in self._rows else ""
        say(self.query_one("#note", Static), f"! {note}" if note else "")

    def on_data_table_row_highlighted(self, _: SeedTable.RowHighlighted) -> None:
        """The cursor moved."""
        self._say_note()

    @property
    def current(self) -> RunView | None:
        """The run under the cursor."""
        key = self.query_one(SeedTable).row_key
        return None if key is None else self._views.get(key)

    def on_data_table_row_selected(self, _: SeedTable.RowSelected) -> None:
        """Enter, or a click on the cursor's row."""
        view = self.current
        if view is not None:
            self.post_message(RunsScreen.Opened(view))
        else:
            self.notify("This run was not made yet: it has no page", severity="warning")


def _by_id(overview: Overview | None) -> dict[str, RunView]:
    return {} if overview is None else {view.run_id: view for view in overview.views}
