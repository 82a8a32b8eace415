"""The list of runs as a table whose columns follow the width."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from goe.core.overview import RunView
from tui.widgets.keytable import Cell, Heading, KeyTable
from tui.widgets.runcells import STATE, Column, fit_columns, state_colour


class RunTable(KeyTable):
    """Runs in the order given."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select_cursor", "open")]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - textual's name for it
        super().__init__(id=id)
        self._views: dict[str, RunView] = {}

    @property
    def current(self) -> RunView | None:
        """The run under the cursor."""
        key = self.row_key
        return None if key is None else self._views.get(key)

    def show_runs(self, views: Sequence[RunView]) -> None:
        """Show these runs."""
        self._views = {view.run_id: view for view in views}
        self._fill()

    def on_resize(self, _: events.Resize) -> None:
        """Choose the columns anew."""
        if self._views:
            self._fill()

    def _fill(self) -> None:
        views = self._views.values()
        columns = fit_columns(views, self.size.width - self.scrollbar_size_vertical)
        headings = [Heading(column.title, column.width, column.right) for column in columns]
        dark = self.app.current_theme.dark
        self.show(headings, {view.run_id: _cells(view, columns, dark=dark) for view in views})


def _cells(view: RunView, columns: Sequence[Column], *, dark: bool) -> tuple[Cell, ...]:
    colour = state_colour(view.state, dark=dark)
    return tuple((column.cell(view), colour if column == STATE else "") for column in columns)
