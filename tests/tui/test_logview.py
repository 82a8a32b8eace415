"""The log view: hostile lines come out harmless, and the view follows the end until the reader leaves it."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual import events
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.selection import Selection

from goe.core.logfile import MAX_LINE_LENGTH, clean_line
from tui.messages import LogLine, LogPage
from tui.reading.logpattern import Pattern
from tui.widgets.logview import LogView

SIZE = (40, 10)


class LogApp(App[None]):
    """A log that is small enough to be given whole."""

    def compose(self) -> ComposeResult:
        self.animation_level = "none"
        yield LogView()

    @property
    def log_view(self) -> LogView:
        return self.query_one(LogView)

    def give(self, *texts: str, life: int = 0) -> None:
        self.log_view.show_page(page_of(texts, life=life))

    def following(self) -> bool:
        return self.log_view.follow

    def shown(self) -> list[str]:
        view = self.log_view
        return [view.render_line(y).text[:-1].rstrip() for y in range(view.size.height)]  # without the mark


def page_of(texts: Sequence[str], *, start: int = 0, size: int | None = None, life: int = 0) -> LogPage:
    lines, place = [], start
    for text in texts:
        lines.append(LogLine(place, place + len(text) + 1, clean_line(text)))
        place += len(text) + 1
    return LogPage(tuple(lines), place if size is None else size, life)


def numbered(first: int, last: int) -> list[str]:
    return [f"line {n}" for n in range(first, last)]


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("epoch 1 loss 0.5\n", "epoch 1 loss 0.5"),
        ("windows\r\n", "windows"),
        (" 10%|█\r 50%|███\r100%|█████", "100%|█████"),
        (" 10%|█\r 50%|███\r", " 50%|███"),
        ("\x1b[1;31merror\x1b[0m: bad", "error: bad"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b(Bcharset \x1bcreset", "charset reset"),
        ("cut \x1b[3", "cut 3"),
        ("a\tb", "a       b"),
        ("bell\x07 null\x00 back\x08", "bell null back"),
        ("\udcff bytes", "� bytes"),
        ("one\u2028line \u202eright", "one�line �right"),
        ("\x9b31mC1", "31mC1"),
        ("[bold]no markup[/]", "[bold]no markup[/]"),
        ("", ""),
    ],
)
def test_clean_line(raw: str, clean: str) -> None:
    assert clean_line(raw) == clean


def test_long_lines_are_cut_before_anything_else() -> None:
    assert clean_line("x" * 5_000_000) == "x" * MAX_LINE_LENGTH + "…"
    assert clean_line("x" * 5_000_000 + "\rdone") == "done"
    assert len(clean_line("\t" * 5_000)) == MAX_LINE_LENGTH + 1


@given(st.text(st.characters()))
def test_clean_lines_hold_no_control_characters(raw: str) -> None:
    clean = clean_line(raw)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in clean)
    clean.encode()


async def test_follows_the_end_until_the_reader_scrolls_up() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.log_view.focus()
        app.give(*numbered(0, 50))
        assert app.shown() == numbered(40, 50)
        app.give(*numbered(0, 60))
        assert app.shown() == numbered(50, 60)

        await pilot.press("g")
        assert not app.following()
        app.give(*numbered(0, 61))
        assert app.shown() == numbered(0, 10)

        await pilot.press("G")
        assert app.following()
        app.give(*numbered(0, 62))
        assert app.shown() == numbered(52, 62)


async def test_keys_and_wheel_move_by_rows_and_pages() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.log_view.focus()
        app.give(*numbered(0, 50))
        for key, first in (
            ("g", 0),
            ("j", 1),
            ("down", 2),
            ("pagedown", 11),
            ("ctrl+f", 20),
            ("k", 19),
            ("up", 18),
            ("pageup", 9),
            ("ctrl+b", 0),
            ("k", 0),
            ("end", 40),
            ("home", 0),
        ):
            await pilot.press(key)
            assert app.shown()[0] == f"line {first}"
        app.log_view.post_message(wheel(app.log_view, events.MouseScrollDown))
        await pilot.pause()
        assert app.shown()[0] == "line 3"
        app.log_view.post_message(wheel(app.log_view, events.MouseScrollUp))
        await pilot.pause()
        assert app.shown()[0] == "line 0"


def wheel(view: LogView, kind: type[events.MouseEvent]) -> events.MouseEvent:
    return kind(view, 1, 1, 0, 0, 0, False, False, False)


async def test_a_reader_keeps_the_lines_in_view_when_others_come() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.log_view.focus()
        app.give(*numbered(0, 100))
        await pilot.press("pageup")
        assert app.shown() == numbered(81, 91)
        whole = page_of(numbered(0, 200))
        app.log_view.show_page(LogPage(whole.lines[70:150], whole.size))
        assert app.shown() == numbered(81, 91)
        assert not app.following()


async def test_another_log_starts_at_its_end() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.log_view.focus()
        app.give(*numbered(0, 50))
        await pilot.press("g")
        app.give(*numbered(100, 150), life=1)
        assert app.following()
        assert app.shown() == numbered(140, 150)


async def test_a_smaller_window_still_shows_the_end() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.give(*numbered(0, 50))
        for width, height in ((40, 4), (40, 20), (12, 1)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            assert app.shown()[-1] == "line 49"


async def test_long_lines_scroll_sideways_or_are_wrapped() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.log_view.focus()
        app.give("0123456789" * 10, "宽" * 60)
        await pilot.pause()
        await pilot.press("l", "right", "l")
        await pilot.pause()
        assert app.log_view.scroll_offset.x == 3
        assert app.shown()[0].startswith("3456")
        await pilot.press("h", "left")
        await pilot.pause()
        assert app.shown()[0].startswith("1234")
        app.log_view.wrap = True
        await pilot.pause()
        rows = app.shown()
        assert "".join(rows) == "0123456789" * 10 + "宽" * 60
        assert [cell_len(row) for row in rows[:7]] == [39, 39, 22, 38, 38, 38, 6]


async def test_the_place_in_a_wrapped_line_is_kept_when_lines_come_above() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.log_view.focus()
        app.log_view.wrap = True
        whole = page_of(["x" * 100 + f" {n} " + "y" * 100 for n in range(40)])
        app.log_view.show_page(LogPage(whole.lines[10:], whole.size))
        await pilot.press("g", "j", "j", "j", "j")
        before = app.shown()
        app.log_view.show_page(whole)
        assert app.shown() == before


async def test_a_click_on_the_mark_goes_there() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.give(*numbered(0, 1000))
        await pilot.click(LogView, offset=(39, 5))
        await pilot.pause()
        assert "line 5" in app.shown()[0]
        assert app.log_view.render_line(5).text.endswith("█")
        assert app.log_view.render_line(0).text.endswith("│")


async def test_matches_are_marked() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE):
        app.give("a loss", "a Loss")
        app.log_view.mark(Pattern("loss"), 7)
        marked = [
            [
                (part.text, bool(part.style.bold))
                for part in app.log_view.render_line(y)
                if part.style and part.style.reverse
            ]
            for y in (0, 1)
        ]
        assert marked == [[("loss", False)], [("Loss", True)]]


async def test_a_match_far_to_the_right_is_brought_into_view() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        view = app.log_view
        app.give(*numbered(0, 5), "x" * 500 + " loss 1", *numbered(6, 30))
        place, near = view._page.lines[5].start, view._page.lines[7].start
        view.mark(Pattern("loss"), place)
        view.seek(place)
        await pilot.pause()
        assert any("loss 1" in row for row in app.shown())
        view.mark(Pattern("line 7"), near)
        view.seek(near)
        await pilot.pause()
        assert "line 7" in app.shown()  # its start is in view again
        view.wrap = True
        view.mark(Pattern("loss"), place)
        view.seek(place)
        await pilot.pause()
        assert any("loss 1" in row for row in app.shown())


async def test_markup_and_escapes_reach_no_screen() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE):
        app.give("[red]plain[/red]", "\x1b[31mred\x1b[0m")
        assert app.shown()[:2] == ["[red]plain[/red]", "red"]


async def test_selected_text_is_marked_and_copied() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.give("first line", "second line")
        selection = Selection(Offset(6, 0), Offset(6, 1))
        app.screen.selections = {app.log_view: selection}
        await pilot.pause()
        assert app.screen.get_selected_text() == "line\nsecond"
        backgrounds = [s.style.bgcolor for s in app.log_view.render_line(0) if s.style]
        assert len(set(backgrounds)) == 2


async def test_a_scrollbar_below_does_not_hide_the_newest_line() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.give(*numbered(0, 20), "x" * 300, *numbered(21, 31))
        await pilot.pause()
        view = app.log_view
        assert view.show_horizontal_scrollbar
        rows = view.scrollable_content_region.height
        assert rows == SIZE[1] - 1
        assert app.shown()[:rows] == numbered(31 - rows, 31)
        await pilot.press("up", "up", "down", "down")
        assert view.follow
        assert app.shown()[:rows] == numbered(31 - rows, 31)
