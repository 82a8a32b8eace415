"""The dashboard's manners: help and palette from the bindings, sizes, what is remembered, what --readonly refuses."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from runfolder import Lab
from textual.command import CommandPalette
from textual.widgets import Input
from user import User, Wait

from tui.app import GoeApp
from tui.keymap import deed_groups
from tui.memory import Memory
from tui.palette import found_runs
from tui.screens.base import GoeScreen
from tui.screens.charts import ChartsScreen
from tui.screens.confirm import ConfirmScreen, MessageScreen
from tui.screens.diff import DiffScreen
from tui.screens.help import HelpScreen
from tui.screens.histogram import HistogramScreen
from tui.screens.queue import QueueScreen
from tui.screens.queuelog import QueueLogScreen
from tui.screens.results import ResultsScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.screens.system import SystemScreen
from tui.widgets.chart import Chart
from tui.widgets.keyline import KeyLine
from tui.widgets.runtable import RunTable


class Seat(User):
    """A user before the dashboard."""

    def line(self) -> str:
        """The last line: its keys."""
        return self.screen().splitlines()[-1]

    async def listed(self) -> None:
        """The list stands."""
        await self.wait(lambda: isinstance(self.app.screen, RunsScreen) and self.app.screen.query(RunTable))
        table = self.app.screen.query_one(RunTable)
        await self.wait(lambda: table.has_focus and table._views)

    async def choose(self, run_id: str) -> None:
        table = self.app.screen.query_one(RunTable)
        await self.wait(lambda: any(name.startswith(run_id) for name in table._views))
        table.move_cursor(row=next(row for row, name in enumerate(table._views) if name.startswith(run_id)))
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()


Sit = Callable[..., AbstractAsyncContextManager[Seat]]


@pytest.fixture
def seat(lab: Lab, wait_until: Wait) -> Sit:
    @asynccontextmanager
    async def sit(
        width: int = 120, height: int = 40, *, readonly: bool = False, memory: Path | None = None
    ) -> AsyncIterator[Seat]:
        app = GoeApp(lab.runs, lab.queue, Memory(memory), readonly=readonly)
        async with app.run_test(size=(width, height), notifications=True) as pilot:
            user = Seat(app, pilot, wait_until)
            await user.listed()
            yield user

    return sit


@pytest.fixture
def run_with_curves(lab: Lab) -> Lab:
    run = lab.running()
    lab.metrics(run)
    run.log_file.write_text("a line of the log\n")
    lab.checkpoint(run, "last")
    lab.result(lab.done("baseline", 1, "baseline"), 0.9)
    return lab


SCREENS: dict[type[GoeScreen], tuple[str, ...]] = {
    RunsScreen: (),
    RunScreen: ("enter",),
    ResultsScreen: ("t",),
    QueueScreen: ("Q",),
    ChartsScreen: ("asterisk", "equals_sign"),
}


@pytest.mark.parametrize("kind", SCREENS)
async def test_help_lists_every_key_once(run_with_curves: Lab, seat: Sit, kind: type[GoeScreen]) -> None:
    async with seat(100, 100) as user:
        await user.press(*SCREENS[kind])
        await user.at(kind)
        bindings = user.app.screen.active_bindings.values()
        wanted = [(each.node, each.binding.action) for each in bindings if not each.binding.system]
        deeds = [deed for group in deed_groups(user.app.screen) for deed in group.deeds]
        assert sorted((id(deed.node), deed.action) for deed in deeds) == sorted(
            {(id(node), action) for node, action in wanted}
        )
        assert all(deed.words.strip() and deed.keys for deed in deeds)
        await user.press("question_mark")
        await user.at(HelpScreen)
        shown = " ".join(user.screen().split())
        assert all(f"{' '.join(deed.keys)} {deed.words}" in shown for deed in deeds if len(" ".join(deed.keys)) <= 12)
        await user.press("question_mark")
        await user.at(kind)


async def test_help_scrolls_and_names_the_focused_pane(run_with_curves: Lab, seat: Sit) -> None:
    async with seat(40, 12) as user:
        await user.press("enter")
        await user.at(RunScreen)
        await user.press("2", "f1")
        await user.at(HelpScreen)
        assert "Log" in [group.title for group in deed_groups(user.app.screen_stack[-2])]
        assert "keep running" not in user.screen()
        await user.press("end")
        await user.sees("keep running")


async def test_a_question_has_help_and_no_other_screens_keys(run_with_curves: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.choose("goe-s1")
        await user.press("x")
        await user.at(ConfirmScreen)
        await user.press("t", "Q", "S", "u", "colon", "r")
        assert isinstance(user.app.screen, ConfirmScreen)
        assert not (run_with_curves.runs / ".queue.log").exists()
        await user.press("question_mark")
        await user.at(HelpScreen)
        await user.sees("other button")
        assert "refresh" not in user.screen()
        await user.press("t", "Q", "S", "u")
        assert isinstance(user.app.screen, HelpScreen)
        await user.press("escape")
        await user.at(ConfirmScreen)


async def test_a_screen_is_open_once(run_with_curves: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.press("t", "Q", "t")
        await user.at(ResultsScreen)
        assert [type(screen) for screen in user.app.screen_stack][-2:] == [RunsScreen, ResultsScreen]
        await user.sees("baseline")


LINES = {
    RunsScreen: ("enter open", "x stop", "/ filter", "o sort"),
    RunScreen: ("tab pane", "x stop"),
    ResultsScreen: ("esc back", "m metrics"),
    QueueScreen: ("esc back", "enter edit", "a add"),
}


@pytest.mark.parametrize("kind", LINES)
async def test_the_last_line_has_whole_keys_and_help(run_with_curves: Lab, seat: Sit, kind: type[GoeScreen]) -> None:
    async with seat(40, 12) as user:
        await user.press(*SCREENS[kind])
        await user.at(kind)
        await user.wait(lambda: user.line().endswith("? help"))
        assert all(key in user.line() for key in LINES[kind])
        await user.pilot.resize_terminal(200, 40)
        await user.sees("leave, jobs run on")
        assert user.line().endswith("? help")
        await user.pilot.click(KeyLine, offset=(user.line().index("? help"), 0))
        await user.at(HelpScreen)


async def test_the_palette_does_what_keys_do(run_with_curves: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.press("colon")
        await user.at(CommandPalette)
        await user.sees("filter  /")
        await user.press(*"results")
        await user.sees("results  t")
        await user.press("enter")
        await user.at(ResultsScreen)


async def test_the_palette_opens_runs_by_name(run_with_curves: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.press("t")
        await user.at(ResultsScreen)
        await user.press("colon")
        await user.at(CommandPalette)
        await user.press(*"goe-s1")
        await user.sees("open goe-s1-")
        await user.press("enter")
        await user.at(RunScreen)
        assert user.app.screen.current is not None
        assert user.app.screen.current.run_id.startswith("goe-s1")
        listing = user.app.screen_stack[1]
        assert isinstance(listing, RunsScreen)
        views = listing.views
        assert [view.run_id for view in found_runs(views, "open BASE s1")] == [
            view.run_id for view in views if view.run_id.startswith("baseline")
        ]


async def test_a_colon_in_a_line_of_text_is_text(run_with_curves: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.press("slash", *"state", "colon", *"done", "question_mark")
        assert isinstance(user.app.screen, RunsScreen)
        assert user.app.screen.query_one(Input).value == "state:done?"


async def test_the_theme_is_kept(run_with_curves: Lab, seat: Sit, tmp_path: Path) -> None:
    file = tmp_path / "state" / "looks.json"
    async with seat(memory=file) as user:
        assert user.app.theme == "goe-dark"
        await user.press("colon")
        await user.at(CommandPalette)
        await user.press(*"theme goe-light")
        await user.sees("theme goe-light")
        await user.press("enter")
        await user.wait(lambda: user.app.theme == "goe-light")
        await user.wait(file.exists)
    async with seat(memory=file) as user:
        assert user.app.theme == "goe-light"
    file.write_text('{"app": {"theme": "gone"}}')
    async with seat(memory=file) as user:
        assert user.app.theme == "goe-dark"


def says_what_it_needs(user: User, width: int, height: int) -> bool:
    """In the middle of a screen of this size, and nothing else."""
    if user.screen().split() != ["goe", "needs", "40×12"]:
        return False
    lines = user.screen().splitlines()
    row = next(place for place, line in enumerate(lines) if line)
    return abs(row - (height - 1) / 2) <= 1 and abs(lines[row].index("goe") - (width - 15) / 2) <= 1


@pytest.mark.parametrize("over", [(), ("x",), ("question_mark",), ("colon",)])
async def test_too_small_a_terminal_says_what_it_needs(run_with_curves: Lab, seat: Sit, over: tuple[str, ...]) -> None:
    async with seat(80, 24) as user:
        await user.choose("goe-s1")
        await user.press(*over)
        before = user.app.screen
        for size in ((39, 12), (40, 11), (20, 5)):
            await user.pilot.resize_terminal(*size)
            await user.wait(partial(says_what_it_needs, user, *size))
        await user.press("y", "enter", "t")  # what isn't seen is not done
        assert len(user.app.screen_stack) == 2 + (over in {("x",), ("question_mark",)})
        await user.pilot.resize_terminal(1, 1)
        await user.pilot.resize_terminal(40, 12)
        await user.wait(lambda: "needs" not in user.screen() and len(user.screen().split()) > 10)
        assert over == ("colon",) or user.app.screen is before
        await user.pilot.resize_terminal(20, 5)
        await user.press("q")
        await user.wait(lambda: not user.app.is_running)


async def test_a_resize_is_heeded_where_the_machine_stalls(lab: Lab, seat: Sit) -> None:
    lab.running()
    async with seat() as user:
        await user.choose("goe-s1")
        stalls = count()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("textual._time.get_time", lambda: time.monotonic() + next(stalls) / 50)
            await user.pilot.resize_terminal(80, 24)
        await user.wait(lambda: len(user.screen().splitlines()) == 24)
        await user.pilot.resize_terminal(60, 20)
        await user.wait(lambda: len(user.screen().splitlines()) == 20)


async def test_resized_while_data_streams_in(run_with_curves: Lab, seat: Sit) -> None:
    run = run_with_curves.running("streaming", 1)
    run_with_curves.metrics(run, 1, 10)
    sizes = [(40, 12), (200, 50), (10, 3), (80, 24), (400, 100), (41, 13), (120, 40)]
    async with seat() as user:
        await user.choose(run.run_id)
        await user.press("enter")
        await user.at(RunScreen)
        for turn in range(2 * len(sizes)):
            run_with_curves.metrics(run, 11 + 10 * turn, 20 + 10 * turn)
            user.app.poller.refresh()
            await user.pilot.resize_terminal(*sizes[turn % len(sizes)])
        await user.sees(f"ce {1 / (10 + 10 * 2 * len(sizes)):.4g}")
        assert all(chart.region for chart in user.app.screen.query(Chart))


async def test_readonly_offers_and_does_nothing_that_changes(run_with_curves: Lab, seat: Sit) -> None:
    def everything() -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in run_with_curves.runs.parent.rglob("*") if file.is_file()}

    async with seat(readonly=True) as user:
        before = everything()
        for kind, keys in [*SCREENS.items(), (RunScreen, ("enter", "3"))]:
            await user.press(*keys)
            await user.at(kind)
            changing = list(_changing_keys(user))
            assert "T" in changing if keys[-1:] == ("3",) else changing
            assert not [
                deed for group in deed_groups(user.app.screen) for deed in group.deeds if "change_" in deed.action
            ]
            await user.press(*changing)
            assert isinstance(user.app.screen, kind)
            while not isinstance(user.app.screen, RunsScreen):
                await user.press("escape")
        await user.press("escape")
        assert everything() == before


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        *SCREENS.items(),
        (HistogramScreen, ("enter", "a")),
        (QueueLogScreen, ("Q", "L")),
        (SystemScreen, ("u",)),
        (DiffScreen, ("asterisk", "d")),
    ],
)
async def test_readonly_is_said_on_every_screen(
    run_with_curves: Lab, seat: Sit, kind: type[GoeScreen], keys: tuple[str, ...]
) -> None:
    async with seat(readonly=True) as user:
        await user.listed()
        await user.press(*keys)
        await user.at(kind)
        await user.wait(lambda: user.line().split()[0] == "read-only")
        for width in (40, 400, 80):
            await user.pilot.resize_terminal(width, 20)
            await user.wait(lambda width=width: user.app.screen.query_one(KeyLine).region.width == width)
            await user.wait(lambda: user.line().split()[0] == "read-only" and user.line().endswith("? help"))


def _changing_keys(user: Seat) -> Iterator[str]:
    """Keys bound on this screen to what changes something."""
    for node in user.app.screen.focused.ancestors_with_self if user.app.screen.focused else (user.app.screen, user.app):
        for key, binding in node._bindings:
            if binding.action.removeprefix("app.").startswith("change_"):
                yield key


async def test_sixteen_colours_show_the_cursor(
    run_with_curves: Lab, seat: Sit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "standard")
    async with seat() as user:
        assert user.app.console.color_system == "standard"
        await user.choose("goe-s1")
        row = next(strip for strip in user.strips() if "● running" in strip.text)
        assert any(segment.style and segment.style.reverse for segment in row)


async def test_a_message_closes_by_help_key(run_with_curves: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.app.push_screen(MessageScreen("Title", "text"))
        await user.press("f1")
        await user.at(RunsScreen)
