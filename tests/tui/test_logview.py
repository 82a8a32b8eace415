"""The log view: hostile lines come out harmless, and the view follows the end until the reader leaves it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.selection import Selection

from goe.core.logfile import MAX_LINE_LENGTH, clean_line
from tui.widgets.logview import MAX_LINES, LogView

SIZE = (40, 10)


class LogApp(App[None]):
    def compose(self) -> ComposeResult:
        self.animation_level = "none"
        yield LogView()

    @property
    def log_view(self) -> LogView:
        return self.query_one(LogView)

    def following(self) -> bool:
        return self.log_view.follow

    def shown(self) -> list[str]:
        return [self.log_view.render_line(y).text.rstrip() for y in range(self.log_view.size.height)]


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
        app.log_view.set_lines(numbered(0, 50))
        await pilot.pause()
        assert app.shown() == numbered(40, 50)
        app.log_view.append(numbered(50, 60))
        assert app.shown() == numbered(50, 60)

        await pilot.press("g")
        await pilot.pause()
        assert not app.following()
        app.log_view.append(numbered(60, 61))
        assert app.shown() == numbered(0, 10)

        await pilot.press("G")
        await pilot.pause()
        assert app.following()
        app.log_view.append(numbered(61, 62))
        assert app.shown() == numbered(52, 62)


async def test_keeps_only_the_last_2000_lines() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE):
        app.log_view.set_lines(numbered(0, MAX_LINES + 5))
        assert app.log_view.lines == tuple(numbered(5, MAX_LINES + 5))
        app.log_view.append(numbered(MAX_LINES + 5, MAX_LINES + 7))
        assert app.log_view.lines == tuple(numbered(7, MAX_LINES + 7))
        assert app.shown()[-1] == f"line {MAX_LINES + 6}"


@pytest.mark.parametrize("replace", [True, False])
async def test_a_reader_keeps_the_lines_in_view_when_old_ones_go(replace: bool) -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.log_view.set_lines([*numbered(0, MAX_LINES - 1), "progress 10%"])
        await pilot.pause()
        app.log_view.scroll_to(y=100, animate=False)
        await pilot.pause()
        assert app.shown() == numbered(100, 110)
        if replace:
            app.log_view.set_lines([*numbered(30, MAX_LINES - 1), "progress 90%", *numbered(0, 30)])
        else:
            app.log_view.append(numbered(0, 30))
        await pilot.pause()
        assert app.shown() == numbered(100, 110)


async def test_following_can_be_switched_on() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.log_view.set_lines(numbered(0, 50))
        await pilot.pause()  # a ScrollView moves only once its scrollbar is laid out
        app.log_view.scroll_to(y=3, animate=False)
        await pilot.pause()
        assert not app.following()
        app.log_view.follow = True
        assert app.shown() == numbered(40, 50)


async def test_another_log_starts_at_its_end() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.log_view.set_lines(numbered(0, 50))
        await pilot.pause()
        app.log_view.scroll_home(animate=False)
        await pilot.pause()
        assert not app.following()
        app.log_view.clear()
        assert app.log_view.lines == ()
        app.log_view.set_lines(numbered(100, 150))
        await pilot.pause()
        assert app.shown() == numbered(140, 150)


async def test_a_smaller_window_still_shows_the_end() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.log_view.set_lines(numbered(0, 50))
        for width, height in ((40, 4), (40, 20), (12, 1)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            assert app.shown()[-1] == "line 49"


async def test_long_lines_scroll_sideways() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.log_view.focus()
        app.log_view.set_lines(["0123456789" * 10, "宽" * 60])
        await pilot.pause()
        await pilot.press("l", "l", "l")
        await pilot.pause()
        assert app.log_view.scroll_offset.x == 3
        assert app.shown()[0].startswith("3456")


async def test_markup_and_escapes_reach_no_screen() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.log_view.set_lines(["[red]plain[/red]", "\x1b[31mred\x1b[0m"])
        await pilot.pause()
        assert app.shown()[:2] == ["[red]plain[/red]", "red"]


async def test_selected_text_is_marked_and_copied() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.log_view.set_lines(["first line", "second line"])
        await pilot.pause()
        selection = Selection(Offset(6, 0), Offset(6, 1))
        app.screen.selections = {app.log_view: selection}
        await pilot.pause()
        assert app.screen.get_selected_text() == "line\nsecond"
        backgrounds = [s.style.bgcolor for s in app.log_view.render_line(0) if s.style]
        assert len(set(backgrounds)) == 2
