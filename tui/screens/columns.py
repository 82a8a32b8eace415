"""Which columns the list of runs has, and in which order."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.widgets.rowlist import Heading, Row, RowList
from tui.widgets.runcolumns import ALWAYS

_KEYS = "space show · J K move · 0 usual · enter done · esc leave"


class ColumnsScreen(ModalScreen[tuple[str, ...] | None]):
    """The names chosen, in order; none for the usual ones, None if the user left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "leave it as it is", key_display="esc"),
        Binding("space", "tick", "show or hide"),
        Binding("J,shift+down", "shift(1)", "later"),
        Binding("K,shift+up", "shift(-1)", "earlier"),
        Binding("0", "usual", "the usual ones"),
    ]
    CSS = """
    ColumnsScreen {
        align: center middle;
        #box { width: 60; max-width: 100%; height: 90%; max-height: 40; padding: 1 2; background: $panel; }
        #title { text-style: bold; }
        #keys { color: $text-muted; height: auto; }
        RowList { margin: 1 0; background: $panel; }
        &.-short #box { padding: 0 1; height: 100%; }
        &.-short RowList { margin: 0; }
    }
    """

    def __init__(self, chosen: Sequence[str], others: Sequence[tuple[str, str]], usual: Sequence[str]) -> None:
        super().__init__()
        self._chosen = [*(name for name in ALWAYS if name not in chosen), *chosen]
        self._kinds = dict(others)
        self._usual = tuple(usual)

    def compose(self) -> ComposeResult:
        """Title, names, keys."""
        with Vertical(id="box"):
            yield Static("Columns", id="title", markup=False)
            yield RowList()
            yield Static(_KEYS, id="keys", markup=False)

    def on_mount(self) -> None:
        """The chosen ones first."""
        self._show()
        self.query_one(RowList).focus()

    def _show(self) -> None:
        names = self._chosen + [name for name in self._kinds if name not in self._chosen]
        headings = [Heading("name", "column", 34), Heading("kind", "", 14)]

        def row(place: int) -> Row:
            name = names[place]
            return Row(("✓" if name in self._chosen else "", ""), ((name, ""), (self._kinds.get(name, ""), "dim")))

        self.query_one(RowList).show(headings, names, row, still=True)

    def action_tick(self) -> None:
        """The column under the cursor; the cursor goes on to the next."""
        rows = self.query_one(RowList)
        name, place = rows.row_key, rows.cursor_row
        if name is None:
            return
        if name in ALWAYS:
            self.notify(f"{name} is always shown")
            return
        if name in self._chosen:
            self._chosen.remove(name)
        else:
            self._chosen.append(name)
        self._show()
        rows.move_cursor(place + 1 if name in self._chosen else place)

    def action_shift(self, places: int) -> None:
        """The column under the cursor, earlier or later in the list."""
        name = self.query_one(RowList).row_key
        if name not in self._chosen:
            return
        place = self._chosen.index(name)
        self._chosen.remove(name)
        self._chosen.insert(max(0, place + places), name)
        self._show()

    def action_usual(self) -> None:
        """As without any choice."""
        self._chosen = list(self._usual)
        self._show()

    def on_row_list_opened(self, _: RowList.Opened) -> None:
        """Enter, or a click on the cursor's row."""
        chosen = tuple(self._chosen)
        self.dismiss(() if chosen == self._usual else chosen)

    def on_row_list_sign_clicked(self, _: RowList.SignClicked) -> None:
        """A click on the tick."""
        self.action_tick()
