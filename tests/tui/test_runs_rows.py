"""The list widget alone: exact widths for any text, and no more work than what is in view."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult

from tui.widgets.rowlist import Heading, Row, RowList, fitted

HEADINGS = [Heading("a", "name", 12), Heading("b", "value", 6, right=True)]


class OneList(App[None]):
    """A list of numbers that counts which rows were asked for."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.keys = [str(place) for place in range(count)]
        self.asked: set[int] = set()

    def compose(self) -> ComposeResult:
        yield RowList()

    def on_mount(self) -> None:
        self.query_one(RowList).show(HEADINGS, self.keys, self.row)

    def row(self, place: int) -> Row:
        self.asked.add(place)
        return Row(("▎", "red"), ((f"row {self.keys[place]}", ""), (str(place), "")))


@given(st.text(max_size=30), st.integers(0, 20), st.booleans())
def test_any_text_is_fitted_to_the_cell(text: str, width: int, right: bool) -> None:
    found = fitted(text, width, right=right)
    assert cell_len(found) == width
    assert found.isprintable()


def test_texts_are_cut_with_an_ellipsis_and_aligned() -> None:
    assert fitted("abcdef", 4, right=False) == "abc…"
    assert fitted("ab", 4, right=True) == "  ab"
    assert fitted("日本語", 4, right=False) == "日… "
    assert fitted("a\x1b[31m\n", 9, right=False) == "a�[31m�  "


def test_an_arrow_takes_no_room_from_the_title() -> None:
    assert Heading("a", "name", 4, arrow="↑").line() == "name↑ "
    assert Heading("a", "name", 6, right=True, arrow="↓").line() == "  name↓ "
    assert Heading("a", "name", 6).line() == "name    "


async def test_only_rows_in_view_are_made() -> None:
    app = OneList(100_000)
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.pause()
        rows = app.query_one(RowList)
        assert app.asked == set(range(11))
        app.asked.clear()
        await pilot.press("G")
        await pilot.pause()
        assert rows.row_key == "99999"
        assert app.asked <= {*range(11), *range(99_989, 100_000)}
        assert rows.render_line(11).text.startswith("▎ row 99999")
        await pilot.press("pageup", "k", "g", "pagedown", "j")
        assert rows.cursor_row == 12


async def test_more_rows_lay_nothing_out_and_can_be_scrolled_to() -> None:
    app = OneList(50)
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.pause()
        rows = app.query_one(RowList)
        app.keys = [str(place) for place in range(500)]
        rows.show(HEADINGS, app.keys, app.row)
        assert not rows._layout_required
        assert rows.vertical_scrollbar.window_virtual_size == 501
        await pilot.press("G")
        await pilot.pause()
        assert rows.render_line(11).text.startswith("▎ row 499")


async def test_the_cursor_stays_on_its_key_through_any_change() -> None:
    app = OneList(50)
    async with app.run_test(size=(40, 12)) as pilot:
        rows = app.query_one(RowList)
        rows.move_to("30")
        app.keys = [key for key in reversed(app.keys) if key != "31"]
        rows.show(HEADINGS, app.keys, app.row)
        await pilot.pause()
        assert rows.row_key == "30"
        assert any("row 30" in rows.render_line(y).text for y in range(1, 12))
        app.keys = ["7"]
        rows.show(HEADINGS, app.keys, app.row)
        assert (rows.row_key, rows.row_count) == ("7", 1)
        app.keys = []
        rows.show(HEADINGS, app.keys, app.row)
        await pilot.press("j", "G", "pagedown", "enter")
        assert rows.row_key is None


@pytest.mark.parametrize(("line", "said"), [(0, "HeadingClicked"), (3, "Highlighted"), (1, "Opened")])
async def test_clicks(line: int, said: str) -> None:
    app, heard = OneList(50), []
    async with app.run_test(size=(40, 12), message_hook=lambda message: heard.append(type(message).__name__)) as pilot:
        await pilot.click(RowList, offset=(16, line))
        await pilot.pause()
    assert said in heard
