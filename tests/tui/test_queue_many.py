"""The queue's page with many experiments, or with problems: found, marked and edited together; shown where they are."""

import contextlib
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from runfolder import Lab
from textual.pilot import Pilot
from user import User, Wait

from goe.core.queueedit import names_of
from tui.app import GoeApp
from tui.screens.confirm import ConfirmScreen
from tui.screens.form import FormScreen
from tui.screens.queue import QueueScreen
from tui.screens.runs import RunsScreen
from tui.widgets.keytable import KeyTable


def listed(count: int) -> str:
    return "".join(f'\n[[experiment]]\nname = "e{n:02d}"\nlr = 0.{n + 1:04d}\n' for n in range(count))


class Seat(User):
    """A user before the queue's page."""

    def __init__(self, app: GoeApp, pilot: Pilot[None], wait: Wait, queue: Path) -> None:
        super().__init__(app, pilot, wait)
        self.queue = queue

    @property
    def page(self) -> QueueScreen:
        assert isinstance(self.app.screen, QueueScreen)
        return self.app.screen

    @property
    def here(self) -> str | None:
        return self.page.query_one(KeyTable).row_key

    async def reads(self, condition: Callable[[str], object]) -> None:
        """Wait for the file to be so, and for the page to know it."""
        await self.wait(lambda: condition(self.queue.read_text()))
        text = self.queue.read_text()
        await self.wait(lambda: [each.name for each in self.page._rows.values()] == names_of(text))


Sit = Callable[..., AbstractAsyncContextManager[Seat]]


@pytest.fixture
def seat(lab: Lab, wait_until: Wait) -> Sit:
    @asynccontextmanager
    async def sit(text: str, width: int = 100, height: int = 24) -> AsyncIterator[Seat]:
        lab.queue.write_text(text)
        app = GoeApp(lab.runs, lab.queue)
        async with app.run_test(size=(width, height), notifications=True) as pilot:
            user = Seat(app, pilot, wait_until, lab.queue)
            await pilot.press("Q")
            await user.at(QueueScreen)
            await user.wait(lambda: user.page.facts)
            yield user

    return sit


async def test_find_goes_from_match_to_match(seat: Sit) -> None:
    async with seat(listed(40)) as user:
        await user.pilot.press("slash", *"e3")
        await user.sees("10 found")
        assert user.here == "e30"
        await user.pilot.press("enter", "n", "n")
        assert user.here == "e32"
        await user.pilot.press("N", "N", "N")
        assert user.here == "e39"
        await user.pilot.press("slash", *"x")
        await user.sees("No experiment fits")
        assert user.here == "e39"
        await user.pilot.press("escape")
        await user.wait(lambda: "found" not in user.screen())
        await user.at(QueueScreen)
        await user.pilot.press("escape")
        await user.at(RunsScreen)


async def test_what_was_found_is_marked_and_held_and_taken_out_together(seat: Sit) -> None:
    async with seat(listed(12)) as user:
        await user.pilot.press("slash", *"e1", "enter", "asterisk", "escape", "g", "space")
        await user.sees("3 marked")
        await user.sees("■ e00")
        assert user.here == "e01"
        await user.pilot.press("H")
        await user.reads(lambda text: text.count("hold = true") == 3)
        await user.pilot.press("greater_than_sign")
        await user.reads(lambda text: names_of(text)[-3:] == ["e00", "e10", "e11"])
        await user.pilot.press("D")
        await user.at(ConfirmScreen)
        await user.sees("Take 3 experiments out of experiments.toml?")
        await user.sees("e00, e10, e11")
        await user.pilot.press("y")
        await user.reads(lambda text: len(names_of(text)) == 9)
        await user.wait(lambda: "marked" not in user.screen())
        await user.pilot.press("U")
        await user.reads(lambda text: len(names_of(text)) == 12)


async def test_escape_takes_the_marks_back_first(seat: Sit) -> None:
    async with seat(listed(3)) as user:
        await user.pilot.press("asterisk")
        await user.sees("3 marked")
        await user.pilot.press("escape")
        await user.wait(lambda: "marked" not in user.screen())
        await user.pilot.press("space", "Q")
        await user.at(RunsScreen)


async def test_the_cursor_stays_in_view_on_what_was_moved_to_an_end(seat: Sit) -> None:
    async with seat(listed(60)) as user:
        await user.pilot.press("G", "less_than_sign")
        await user.reads(lambda text: names_of(text)[0] == "e59")
        await user.sees("e59         ")
        table = user.page.query_one(KeyTable)
        assert user.here == "e59"
        await user.wait(lambda: table.scroll_y == 0)


async def test_hold_pressed_twice_holds_and_releases(seat: Sit, lab: Lab) -> None:
    text = listed(1)
    async with seat(text) as user:
        await user.pilot.press("plus", "H", "H")
        await user.wait(lambda: not user.page._editing.locked() and "priority" in lab.queue.read_text())
        await user.reads(lambda now: "hold" not in now and "priority" in now)
        await user.pilot.press("U", "U")
        await user.reads(lambda now: now.count("hold") == 0 and "priority = 1" in now)


async def test_edits_can_be_taken_back_on_the_next_visit(seat: Sit, lab: Lab) -> None:
    text = listed(2)
    async with seat(text) as user:
        await user.pilot.press("H")
        await user.reads(lambda now: "hold" in now)
        await user.pilot.press("escape", "Q", "U")
        await user.wait(lambda: lab.queue.read_text() == text)


async def test_problems_are_marked_where_they_are_and_none_hides_the_others(seat: Sit, lab: Lab) -> None:
    text = listed(20)
    async with seat(text, 80, 24) as user:
        bad = text.replace('"e03"', '"' + "n" * 300 + '"').replace("lr = 0.0012", "lrr = 0.0012")
        lab.queue.write_text(bad)
        await user.sees("unknown key")
        await user.sees("shown is the last version")
        await user.sees("! e11")
        assert "! e10" not in user.screen()
        lab.queue.write_text(text)
        await user.wait(lambda: "!" not in user.screen())


async def test_the_editor_begins_at_the_problem(
    seat: Sit, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "vim"
    script.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/called\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(script))
    monkeypatch.setattr(GoeApp, "suspend", lambda self: contextlib.nullcontext())  # the test's screen has no terminal
    async with seat(listed(5).replace("lr = 0.0004", "lrr = 0.0004").replace("lr = 0.0005", "x = 1")) as user:
        await user.sees("unknown key")
        await user.pilot.press("e")
        await user.at(ConfirmScreen)
        await user.pilot.press("n", "G", "e")
        await user.at(ConfirmScreen)
    assert (tmp_path / "called").read_text().split() == ["+16", "+20"]


async def test_a_first_experiment_without_a_file(seat: Sit, lab: Lab) -> None:
    async with seat("") as user:
        lab.queue.unlink()
        await user.sees("a writes one with a first experiment")
        await user.pilot.press("a")
        await user.at(FormScreen)
        await user.pilot.press(*"new", "enter")
        await user.wait(lab.queue.exists)
        await user.at(QueueScreen)
        await user.wait(lambda: user.here == "new")
        assert lab.queue.read_text() == '[[experiment]]\nname = "new"\n'


async def test_the_smallest_screen_says_how_many_runs_are_done(seat: Sit) -> None:
    async with seat(listed(3), 40, 12) as user:
        await user.sees("○ 0/3 done")
