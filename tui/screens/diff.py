"""Two runs side by side: the keys that differ, or all of them."""

from typing import ClassVar

from msgspec import Struct
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from goe.core.logfile import clean_line
from goe.core.overview import RunView
from tui.messages import Difference, DiffLine
from tui.reading.base import Reader
from tui.reading.difference import DifferenceReader
from tui.screens.base import GoeScreen, say
from tui.screens.confirm import MessageScreen
from tui.session import Session
from tui.widgets.keyline import KeyLine
from tui.widgets.keytable import Cell, Heading, KeyTable


class DiffLooks(Struct):
    """What is remembered."""

    all: bool = False
    environment: bool = False


class DiffScreen(GoeScreen):
    """`a` shows equal keys too, `v` the environment; enter shows a value whole."""

    BINDING_GROUP_TITLE = "Difference"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,d", "back", "back", key_display="esc"),
        Binding("a", "toggle_all", "all keys"),
        Binding("v", "toggle_environment", "environment"),
    ]
    CSS = """
    DiffScreen {
        #head, #note { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #head { text-style: bold; }
        #note { color: $text-muted; }
        KeyTable { padding: 0 1; }
    }
    """

    def __init__(self, session: Session, a: RunView, b: RunView) -> None:
        super().__init__(session)
        self._pair = (a, b)
        self._looks = session.memory.load("diff", DiffLooks)
        self._found: Difference | None = None

    def compose(self) -> ComposeResult:
        """Which two, what is left out, the table."""
        a, b = self._pair
        yield Static(f"{a.run_id}   against   {b.run_id}", id="head", markup=False)
        yield Static(id="note", markup=False)
        yield KeyTable(id="diff")
        yield KeyLine()

    def readers(self) -> dict[str, Reader]:
        """Both runs."""
        return {"difference": DifferenceReader(self._pair[0].run, self._pair[1].run)}

    def take(self, what: object) -> None:
        """They were read."""
        if isinstance(what, Difference) and (what.a, what.b) == tuple(view.run_id for view in self._pair):
            self._found = what
            self._show()

    def on_resize(self) -> None:
        """Columns as wide as there is room."""
        self._show()

    def _show(self) -> None:
        found = self._found
        if found is None:
            return
        shown = [line for line in found.lines if self._wanted(line)]
        say(self.query_one("#note", Static), self._note(found, shown))
        key = min(max((len(line.key) for line in shown), default=3), max(12, self.size.width // 3))
        value = max(8, (self.size.width - key - 9) // 2)
        headings = (Heading("key", key), Heading(f"a  {found.a}", value), Heading(f"b  {found.b}", value))
        self.query_one(KeyTable).show(headings, {line.key: _cells(line) for line in shown})

    def _wanted(self, line: DiffLine) -> bool:
        return (self._looks.all or not line.same) and (self._looks.environment or not line.key.startswith("env."))

    def _note(self, found: Difference, shown: list[DiffLine]) -> str:
        if found.problems:
            return f"! {found.problems[0]}"
        differing = sum(not line.same for line in shown)
        words = [f"{differing} keys differ" if differing != 1 else "1 key differs"]
        words.append("equal ones are shown, too" if self._looks.all else "a: all keys")
        words.append("with environment" if self._looks.environment else "v: environment")
        return " · ".join(words)

    def on_data_table_row_selected(self, _: KeyTable.RowSelected) -> None:
        """Both values, whole."""
        key = self.query_one(KeyTable).row_key
        line = next((line for line in (self._found.lines if self._found else ()) if line.key == key), None)
        if line is not None:
            self.app.push_screen(MessageScreen(line.key, f"{clean_line(line.a)}\n\n{clean_line(line.b)}"))

    def action_toggle_all(self) -> None:
        """Equal keys too, or not."""
        self._looks.all = not self._looks.all
        self._keep()

    def action_toggle_environment(self) -> None:
        """What they were computed with, or not."""
        self._looks.environment = not self._looks.environment
        self._keep()

    def _keep(self) -> None:
        self.session.memory.store("diff", self._looks)
        self._show()


def _cells(line: DiffLine) -> tuple[Cell, ...]:
    style = "dim" if line.same else ""
    a, b = clean_line(line.a), clean_line(line.b)
    return ((clean_line(line.key), style), (a, style), (b if line.same else f"≠ {b}", style))
