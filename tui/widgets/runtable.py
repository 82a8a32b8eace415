"""The list of runs as a table whose columns follow the width."""

from collections.abc import Collection, Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from goe.core.chart import PALETTE_DARK, PALETTE_LIGHT, colour_index
from goe.core.overview import RunView
from tui.runlist import Line
from tui.widgets.rowlist import GUTTER, Cell, Heading, Row, RowList
from tui.widgets.runcells import liveliest, state_colour
from tui.widgets.runcolumns import FIXED, STATE, Column, fit_columns, has_jobs

MARK, BAR = "◆", "▎"
"""The sign of a marked run, and of any other; in the colour that its curves have."""


class RunTable(RowList):
    """Lines in the order given."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "unfold(True)", "unfold", show=False),
        Binding("left,h", "unfold(False)", "fold", show=False),
    ]

    class Unfolded(Message):
        """The fold under the cursor is to be opened, or closed."""

        def __init__(self, is_open: bool) -> None:
            super().__init__()
            self.is_open = is_open

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - textual's name for it
        super().__init__(id=id)
        self._lines: Sequence[Line] = ()
        self._views: dict[str, RunView | None] = {}
        """By the lines' keys."""
        self._keys_shown: list[str] = []
        self._marked: Collection[str] = ()
        self._chosen: Sequence[Column] = FIXED
        self._columns: Sequence[Column] = ()
        self._fitted: tuple[object, ...] = ()
        """What they were fitted to: whose names, how wide, which."""
        self._sorted: tuple[str, bool] = ("", False)

    @property
    def line(self) -> Line | None:
        """The line under the cursor."""
        return self._lines[self.cursor_row] if self.cursor_row < len(self._lines) else None

    @property
    def current(self) -> RunView | None:
        """The run under the cursor."""
        key = self.row_key
        return None if key is None else self._views.get(key)

    def show_lines(
        self,
        lines: Sequence[Line],
        marked: Collection[str],
        columns: Sequence[Column] = FIXED,
        sorted_by: tuple[str, bool] = ("", False),
    ) -> None:
        """Show these lines; `sorted_by` a column's name, descending or not."""
        self._views = {line.key: line.view for line in lines}
        if list(self._views) != self._keys_shown:
            self._keys_shown = list(self._views)
        self._lines, self._marked, self._chosen, self._sorted = lines, marked, columns, sorted_by
        self._fill()

    def on_resize(self, _: events.Resize) -> None:
        """Choose the columns anew."""
        if self._lines:
            self._fill()

    def _fill(self) -> None:
        width = (self.size.width or self.app.size.width) - GUTTER  # not laid out yet: as wide as it will be
        views = [line.views[0] for line in self._lines]
        wanted = (self._keys_shown, width, self._chosen, has_jobs(views))
        if wanted != self._fitted:
            self._fitted = wanted
            folded = any(line.fold for line in self._lines)
            self._columns = fit_columns(views, width, chosen=self._chosen, folded=folded)
        self.show([self._heading(column) for column in self._columns], self._keys_shown, self._make)

    def _heading(self, column: Column) -> Heading:
        name, descending = self._sorted
        arrow = ("↓" if descending else "↑") if column.name == name else ""
        return Heading(column.name, column.title, column.width, column.right, arrow)

    def _make(self, place: int) -> Row:
        line, dark = self._lines[place], self.app.current_theme.dark
        palette = PALETTE_DARK if dark else PALETTE_LIGHT
        marked = all(view.run_id in self._marked for view in line.views)
        sign = (MARK if marked else BAR, palette[colour_index(line.experiment)])
        return Row(sign, tuple(_cell(line, column, dark=dark) for column in self._columns))

    def action_unfold(self, is_open: bool) -> None:
        """Show the seeds, or no longer."""
        self.post_message(self.Unfolded(is_open))


def _cell(line: Line, column: Column, *, dark: bool) -> Cell:
    style = state_colour(liveliest(line.views), dark=dark) if column.name == STATE.name else ""
    text = column.fold(line.views) if line.fold else column.cell(line.views[0])
    if column.name == "experiment" and (line.fold or line.parent is not None):
        text = f"{('▾' if line.is_open else '▸') if line.fold else ' '} {text}"
    return text, style
