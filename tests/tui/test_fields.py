"""Names and values as text: every line of a value stands in the values' column."""

from textual.app import App, ComposeResult
from textual.widgets import Static
from user import Wait

from tui.widgets.fields import FieldsView, fields_text


def lines_of(*fields: tuple[str, str], width: int = 30) -> list[str]:
    return fields_text(fields, width).plain.splitlines()


def test_long_values_and_values_of_several_lines_stay_in_their_column() -> None:
    assert lines_of(("command", "python -m goe.worker runs/a-s1"), ("diff", "one\n\n  two"), ("lr", "0.1")) == [
        "command  python -m goe.worker",
        "         runs/a-s1",
        "diff     one",
        "         ",
        "           two",
        "lr       0.1",
    ]


def test_what_has_no_blank_is_cut_and_nothing_is_lost() -> None:
    first, second = lines_of(("path", "x" * 30 + "日本"), width=26)
    assert (first, second) == ("path  " + "x" * 20, "      " + "x" * 10 + "日本")


def test_a_name_too_long_for_its_column_has_a_line_of_its_own() -> None:
    assert lines_of(("a-very-long-name", "1"), ("lr", "0.1"), width=20) == [
        "a-very-long-name",
        "          1",
        "lr        0.1",
    ]


def test_headings_and_lines_without_a_name_begin_at_the_left() -> None:
    assert lines_of(("[heading]", ""), ("", "+ a\x1b[31m line")) == ["[heading]", "+ a line"]


class OneView(App[None]):
    def compose(self) -> ComposeResult:
        yield FieldsView()


async def test_wrapped_anew_when_the_width_changes(wait_until: Wait) -> None:
    app = OneView()
    async with app.run_test(size=(40, 12)) as pilot:
        view = app.query_one(FieldsView)
        view.show_fields((("command", "word " * 12),))
        shown = view.query_one(Static)
        await wait_until(lambda: shown.size.height == 3)
        await pilot.resize_terminal(100, 12)
        await wait_until(lambda: shown.size.height == 1)
