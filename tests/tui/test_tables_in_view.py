"""Every kind of table, alone: the cursor is never out of view, and no scroll bar stands that nothing needs."""

from collections.abc import Callable, Sequence

import pytest
from textual.app import App, ComposeResult
from textual.scroll_view import ScrollView
from user import Wait

from goe.core.cells import Cell
from goe.core.table import Block
from tui.widgets import rowlist
from tui.widgets.keytable import Heading, KeyTable
from tui.widgets.resultstable import ResultsTable
from tui.widgets.rowlist import Row, RowList


class One(App[None]):
    """Nothing but a table."""

    def __init__(self, table: ScrollView) -> None:
        super().__init__()
        self.table = table

    def compose(self) -> ComposeResult:
        yield self.table

    @property
    def bars(self) -> tuple[bool, bool]:
        return self.table.show_vertical_scrollbar, self.table.show_horizontal_scrollbar

    def text(self) -> str:
        strips = self.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def show(table: ScrollView, names: Sequence[str], width: int = 10) -> None:
    """A row each, of this width."""
    match table:
        case KeyTable():
            table.show([Heading("name", width - 2)], {name: ((name, ""),) for name in names})
        case RowList():
            headings = [rowlist.Heading("name", "name", width)]
            table.show(headings, list(names), lambda place: Row(("", ""), ((names[place], ""),)))
        case ResultsTable():
            lines = tuple((Cell(name), Cell("x" * (width - len("name") - 2))) for name in names)
            table.show([Block("", ("name", "value"), lines)], alone=False)


NAMES = [f"n{number:02}" for number in range(40)]
KINDS = pytest.mark.parametrize("kind", [KeyTable, RowList, ResultsTable])
Kind = Callable[[], ScrollView]


@KINDS
async def test_the_cursor_is_seen_after_a_resize_and_a_change(kind: Kind, wait_until: Wait) -> None:
    app = One(kind())
    async with app.run_test(size=(40, 24)) as pilot:
        show(app.table, NAMES)
        app.table.focus()
        await pilot.pause()
        await pilot.press(*["down"] * 20)
        await wait_until(lambda: "n20" in app.text())
        await pilot.resize_terminal(40, 12)
        await wait_until(lambda: "n20" in app.text())
        show(app.table, [*(f"new{number}" for number in range(60)), *NAMES])
        await wait_until(lambda: "n20" in app.text())
        await pilot.resize_terminal(40, 6)
        await wait_until(lambda: "n20" in app.text())
        show(app.table, NAMES[18:])
        await wait_until(lambda: "n20" in app.text())


@KINDS
async def test_what_fits_has_no_scroll_bar(kind: Kind, wait_until: Wait) -> None:
    app = One(kind())
    async with app.run_test(size=(40, 12)) as pilot:
        show(app.table, NAMES, 60)
        await wait_until(lambda: app.bars == (True, kind is not RowList))
        room = app.table.container_size
        show(app.table, NAMES[: room.height - 2], room.width - 1)  # just what the two bars leave
        await wait_until(lambda: app.bars == (False, False))
        show(app.table, NAMES[: room.height - 1], room.width)
        await pilot.pause()
        await pilot.pause()
        assert app.bars == (False, False)


async def test_a_bar_for_more_rows_takes_no_room_from_the_columns(wait_until: Wait) -> None:
    table = KeyTable()
    app = One(table)
    async with app.run_test(size=(40, 12)) as pilot:
        width = 40 - table.scrollbar_size_vertical
        show(table, NAMES[:5], width)
        await wait_until(lambda: "n04" in app.text())
        show(table, NAMES, width)
        await wait_until(lambda: app.bars[0])
        await pilot.pause()
        assert app.bars == (True, False)


async def test_results_in_very_few_lines_show_the_cursor_rather_than_its_heading(wait_until: Wait) -> None:
    app = One(ResultsTable())
    async with app.run_test(size=(40, 1)):
        show(app.table, NAMES)
        await wait_until(lambda: "n00" in app.text())
