"""The keys of lists, texts, dialogs and pages that no story of their own presses: each does what it says."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from runfolder import Lab
from test_charts_screen import scored
from test_results_reading import evaluated
from textual.command import CommandPalette
from textual.widgets import Input
from user import User, Wait

from tui.app import GoeApp
from tui.memory import Memory
from tui.reading.overview import OverviewReader
from tui.screens.choose import AskScreen, ChooseScreen
from tui.screens.columns import ColumnsScreen
from tui.screens.confirm import ConfirmScreen, MessageScreen
from tui.screens.diff import DiffScreen
from tui.screens.form import FormRow, FormScreen
from tui.screens.help import HelpScreen
from tui.screens.histogram import HistogramScreen
from tui.screens.queue import QueueScreen
from tui.screens.queuelog import QueueLogScreen
from tui.screens.results import ResultsScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.screens.seeds import SeedsScreen
from tui.screens.several import Choice, SeveralScreen
from tui.screens.system import SystemScreen
from tui.screens.tablefile import TableFileScreen
from tui.widgets.choicelist import ChoiceList
from tui.widgets.keytable import KeyTable
from tui.widgets.resultstable import ResultsTable
from tui.widgets.runtable import RunTable
from tui.widgets.textscroll import TextScroll


class Seat(User):
    """A user before the dashboard."""

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def leads(self, *keys: str, to: type) -> None:
        """Press, and wait for a screen."""
        await self.press(*keys)
        await self.at(to)

    def last_line(self) -> str:
        return self.screen().splitlines()[-1]


Sit = Callable[..., AbstractAsyncContextManager[Seat]]


@pytest.fixture
def seat(lab: Lab, wait_until: Wait) -> Sit:
    @asynccontextmanager
    async def sit(width: int = 120, height: int = 40, *, runs: int = 0) -> AsyncIterator[Seat]:
        """At the list of runs, `runs` of them made here."""
        for seed in range(runs):
            lab.queued("many", seed)
        app = GoeApp(lab.runs, lab.queue, Memory(None))
        async with app.run_test(size=(width, height), notifications=True) as pilot:
            user = Seat(app, pilot, wait_until)
            await user.at(RunsScreen)
            if any(lab.runs.glob("*/config.json")):
                await user.wait(lambda: app.screen.query_one(RunTable).row_count and app.screen.views)
                await user.wait(lambda: app.screen.query_one(RunTable).has_focus)
            yield user

    return sit


# Everywhere


@pytest.mark.parametrize("key", ["question_mark", "f1"])
async def test_help(seat: Sit, key: str) -> None:
    async with seat() as user:
        await user.leads(key, to=HelpScreen)
        await user.sees("leave, jobs run on")
        await user.leads(key, to=RunsScreen)


async def test_while_a_question_mark_can_be_written_the_last_line_names_the_other_key(seat: Sit) -> None:
    async with seat(runs=1) as user:
        await user.wait(lambda: user.last_line().endswith("? help"))
        await user.press("slash", "question_mark")
        assert user.app.screen.query_one(Input).value == "?"
        await user.wait(lambda: user.last_line().endswith("f1 help"))
        await user.leads("f1", to=HelpScreen)


async def test_the_key_that_opens_a_page_leaves_it(seat: Sit) -> None:
    async with seat() as user:
        for key, kind in (("t", ResultsScreen), ("Q", QueueScreen), ("u", SystemScreen)):
            for leave in (key, "escape"):
                await user.leads(key, to=kind)
                await user.leads(leave, to=RunsScreen)
        await user.leads("colon", to=CommandPalette)


async def test_refresh_reads_at_once(lab: Lab, seat: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OverviewReader, "period", 3600.0)
    async with seat(runs=1) as user:
        lab.queued("made-since", 1)
        await user.press("r")
        await user.sees("made-since")


# Lists and texts


async def test_a_list(seat: Sit) -> None:
    async with seat(120, 16, runs=40) as user:
        rows = user.app.screen.query_one(RunTable)
        await user.wait(lambda: rows.size.height)
        page = rows.size.height - 1
        for key, place in (
            ("j", 1), ("down", 2), ("k", 1), ("up", 0), ("G", 39), ("g", 0), ("end", 39), ("home", 0),
            ("pagedown", page), ("ctrl+f", 2 * page), ("pageup", page), ("ctrl+b", 0),
        ):  # fmt: skip
            await user.press(key)
            assert (key, rows.cursor_row) == (key, place)
        name = rows.row_key
        await user.leads("enter", to=RunScreen)
        await user.sees(name)


async def test_folds(seat: Sit) -> None:
    async with seat(runs=3) as user:
        await user.press("v")
        for unfold, fold in (("right", "left"), ("l", "h")):
            await user.sees("▸ many")
            await user.press(unfold)
            await user.sees("▾ many")
            await user.press(fold)


async def test_a_table(lab: Lab, seat: Sit) -> None:
    lab.queue.write_text("".join(f'[[experiment]]\nname = "e{n:02d}"\n' for n in range(40)))
    async with seat(60, 16) as user:
        await user.leads("Q", to=QueueScreen)
        table = user.app.screen.query_one(KeyTable)
        await user.wait(lambda: table.row_count == 40)
        for key, place in (
            ("j", 1), ("down", 2), ("k", 1), ("up", 0), ("G", 39), ("g", 0), ("end", 39), ("home", 0),
        ):  # fmt: skip
            await user.press(key)
            assert (key, table.cursor_row) == (key, place)
        for further, back in (("pagedown", "pageup"), ("ctrl+f", "ctrl+b")):
            await user.press(further)
            assert table.cursor_row > 4
            await user.press(back)
            assert table.cursor_row == 0


async def test_a_table_wider_than_the_screen(lab: Lab, seat: Sit) -> None:
    lab.checkpoint(lab.done(), "best")
    async with seat(40, 16) as user:
        await user.leads("enter", to=RunScreen)
        await user.press("3")
        await user.sees("best")
        table = user.app.screen.query_one("#checkpoints", KeyTable)
        await user.wait(lambda: table.has_focus and table.max_scroll_x > 0)
        for right, left in (("l", "h"), ("right", "left")):
            await user.press(right)
            await user.wait(lambda: table.scroll_x > 0)
            await user.press(left)
            await user.wait(lambda: table.scroll_x == 0)


async def test_a_text(seat: Sit) -> None:
    async with seat(80, 14) as user:
        await user.leads("question_mark", to=HelpScreen)
        text = user.app.screen.query_one(TextScroll)
        await user.wait(lambda: text.max_scroll_y > 20)
        page, last = text.scrollable_content_region.height, text.max_scroll_y
        for key, row in (
            ("j", 1), ("down", 2), ("k", 1), ("up", 0), ("G", last), ("g", 0), ("end", last), ("home", 0),
            ("pagedown", page), ("ctrl+f", 2 * page), ("pageup", page), ("ctrl+b", 0),
        ):  # fmt: skip
            await user.press(key)
            await user.wait(lambda row=row: text.scroll_y == row)


# Choices


async def test_a_few_choices(seat: Sit) -> None:
    async with seat(60, 14) as user:
        answers: list[str | None] = []
        screen = ChooseScreen("Which?", [(f"{n}", f"number {n}") for n in range(9)])
        await user.app.push_screen(screen, answers.append)
        marks = screen.query_one(ChoiceList)
        for key, place in (
            ("j", 1), ("down", 2), ("k", 1), ("up", 0), ("G", 8), ("g", 0), ("end", 8), ("home", 0),
        ):  # fmt: skip
            await user.press(key)
            assert (key, marks.highlighted) == (key, place)
        for further, back in (("pagedown", "pageup"), ("ctrl+f", "ctrl+b")):
            await user.press(further)
            assert marks.highlighted > 4
            await user.press(back)
            assert marks.highlighted == 0
        await user.leads("j", "enter", to=RunsScreen)
        for key in ("q", "escape"):
            await user.app.push_screen(ChooseScreen("Which?", [("a", "this one")]), answers.append)
            await user.leads(key, to=RunsScreen)
        assert answers == ["1", None, None]


async def test_many_choices_are_narrowed_by_writing_while_other_keys_move(seat: Sit) -> None:
    async with seat() as user:
        answers: list[str | None] = []
        screen = ChooseScreen("Which?", [(f"{n}", f"quick {n}") for n in range(12)])
        await user.app.push_screen(screen, answers.append)
        marks = screen.query_one(ChoiceList)
        await user.press("q")
        assert screen.query_one(Input).value == "q"
        for key, place in (("down", 1), ("ctrl+n", 2), ("up", 1), ("ctrl+p", 0)):
            await user.press(key)
            assert (key, marks.highlighted) == (key, place)
        await user.leads("ctrl+n", "enter", to=RunsScreen)
        await user.app.push_screen(ChooseScreen("Which?", [(f"{n}", f"{n}") for n in range(12)]), answers.append)
        await user.leads("escape", to=RunsScreen)
        assert answers == ["1", None]


async def test_columns(seat: Sit) -> None:
    async with seat(runs=1) as user:

        def shown() -> list[str]:
            return [line.split("✓")[1].split()[0] for line in user.screen().splitlines() if "✓" in line]

        def heading() -> list[str]:
            return user.screen().splitlines()[2].split()[:3]

        usual = ["state", "experiment", "seed"]
        for leave in ("escape", "q"):
            await user.leads("c", to=ColumnsScreen)
            assert shown()[:3] == usual
            for later, earlier in (("J", "K"), ("shift+down", "shift+up")):
                await user.press(later)
                assert shown()[:3] == ["experiment", "state", "seed"]
                await user.press(earlier)
                assert shown()[:3] == usual
            await user.press("j", "j", "space")
            assert shown()[:3] == ["state", "experiment", "method"]
            await user.press("0")
            assert shown()[:3] == usual
            await user.press("g", "j", "j", "space")
            await user.leads(leave, to=RunsScreen)
            assert heading() == usual
        await user.leads("c", to=ColumnsScreen)
        await user.press("space")
        await user.sees("state is always shown")
        assert shown()[:3] == usual
        await user.leads("j", "j", "space", "enter", to=RunsScreen)
        await user.wait(lambda: heading() == ["state", "experiment", "method"])


async def test_several_choices(seat: Sit) -> None:
    async with seat() as user:
        answers: list[frozenset[str] | None] = []
        choices = [Choice(name, name) for name in ("one", "two", "three")]
        for keys in ("q", "escape", "a", "j enter", "j space k space enter", "G space enter"):
            await user.app.push_screen(SeveralScreen("Which?", choices, ["one"]), answers.append)
            await user.leads(*keys.split(), to=RunsScreen)
        assert answers == [None, None, frozenset(), {"two"}, {"two"}, {"one", "three"}]


# Questions, messages and forms


async def test_a_question(lab: Lab, seat: Sit) -> None:
    lab.running()
    async with seat() as user:
        for key in ("left", "h", "right", "l", "up", "k", "down", "j"):
            await user.leads("x", to=ConfirmScreen)
            assert user.app.focused.id == "yes"
            await user.press(key)
            assert (key, user.app.focused.id) == (key, "no")
            await user.leads("n", to=RunsScreen)


async def test_every_key_that_closes_a_message(seat: Sit) -> None:
    async with seat() as user:
        for key in ("escape", "enter", "q", "question_mark", "f1"):
            await user.app.push_screen(MessageScreen("Title", "text"))
            await user.sees("Title")
            await user.leads(key, to=RunsScreen)


async def test_a_form(lab: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.leads("Q", to=QueueScreen)
        before = lab.queue.read_text()
        await user.leads("a", to=FormScreen)
        rows = list(user.app.screen.query(FormRow))
        for forth, back in (("down", "up"), ("tab", "shift+tab")):
            await user.press(forth)
            assert (forth, user.app.focused) == (forth, rows[1].input)
            await user.press(back)
            assert (back, user.app.focused) == (back, rows[0].input)
        await user.press("x")
        await user.leads("escape", to=QueueScreen)
        assert lab.queue.read_text() == before
        for key, name in (("enter", "x"), ("ctrl+s", "y")):
            await user.leads("a", to=FormScreen)
            await user.leads(name, key, to=QueueScreen)
            assert f'name = "{name}"' in lab.queue.read_text()


async def test_the_file_of_a_table(lab: Lab, seat: Sit) -> None:
    lab.result(lab.done(), 0.9)
    async with seat() as user:
        await user.leads("t", to=ResultsScreen)
        await user.sees("OOD: noise")
        await user.leads("E", to=TableFileScreen)
        name = user.app.screen.query_one(Input)
        for key, ending in (("tab", "csv"), ("down", "json"), ("up", "csv"), ("shift+tab", "md")):
            await user.press(key)
            assert (key, name.value) == (key, f"results.{ending}")
        await user.press("ctrl+y")
        await user.sees("copied: goe table")
        assert "--format md" in user.app.clipboard
        await user.leads("escape", to=ResultsScreen)


async def test_where_to_write_an_export_is_asked_and_left(lab: Lab, seat: Sit) -> None:
    lab.checkpoint(lab.done(), "best")
    async with seat() as user:
        await user.leads("enter", to=RunScreen)
        await user.press("3")
        await user.sees("best")
        await user.leads("E", to=ChooseScreen)
        await user.leads("enter", to=AskScreen)
        await user.leads("escape", to=RunScreen)
        await user.sees("3 checkpoints")


# Pages


async def test_panes_alone_by_number_and_letter(lab: Lab, seat: Sit) -> None:
    lab.spiral()
    async with seat() as user:
        await user.leads("enter", to=RunScreen)
        await user.sees("7 surface")
        page = user.app.screen

        def seen(*names: str) -> bool:
            parts = ("charts", "log", "checkpoints", "attempts", "config", "environment", "surface")
            return [name for name in parts if page.query_one(f"#{name}").region] == list(names)

        for key, pane in (
            ("1", "charts"), ("2", "log"), ("3", "checkpoints"), ("4", "attempts"), ("5", "config"),
            ("6", "environment"), ("7", "surface"), ("m", "log"), ("c", "checkpoints"),
        ):  # fmt: skip
            await user.press(key)
            await user.wait(lambda pane=pane: seen(pane))
        for leave in ("0", "escape"):
            await user.press(leave)
            await user.wait(lambda: seen("charts", "log", "checkpoints", "surface"))
            await user.press("4")
            await user.wait(lambda: seen("attempts"))
        for key, pane in (
            ("tab", "config"), ("right_square_bracket", "environment"), ("left_square_bracket", "config"),
            ("shift+tab", "attempts"),
        ):  # fmt: skip
            await user.press(key)
            await user.wait(lambda pane=pane: seen(pane))
        await user.press("escape")
        await user.leads("escape", to=RunsScreen)


async def test_the_line_of_the_filter_is_left_by_down(seat: Sit) -> None:
    async with seat(runs=3) as user:
        await user.press("slash", *"many", "down", "j")
        table = user.app.screen.query_one(RunTable)
        assert (table.has_focus, table.cursor_row) == (True, 1)
        await user.sees("3 of 3")
        await user.press("slash", "escape")
        await user.wait(lambda: "3 of 3" not in user.screen())
        assert table.has_focus


async def test_the_queues_log(lab: Lab, seat: Sit) -> None:
    lab.runs.mkdir()
    log = lab.runs / ".queue.log"
    log.write_text("".join(f"line {n}\n" for n in range(100)))
    async with seat() as user:
        await user.leads("Q", to=QueueScreen)
        for leave in ("escape", "L"):
            await user.leads("L", to=QueueLogScreen)
            await user.sees("line 99 ")
            await user.press("g")
            await user.sees("line 0 ")
            assert "line 99" not in user.screen()
            await user.press("G")
            with log.open("a") as file:
                file.write(f"left by {leave}\n")
            await user.sees(f"left by {leave}")  # the end is followed again
            await user.leads(leave, to=QueueScreen)


async def test_a_difference_is_left_by_its_key(lab: Lab, seat: Sit) -> None:
    lab.queued("a", 1)
    lab.queued("b", 2)
    async with seat() as user:
        await user.press("asterisk")
        for leave in ("d", "escape"):
            await user.leads("d", to=DiffScreen)
            await user.sees("keys differ")
            await user.leads(leave, to=RunsScreen)


async def test_the_results_of_a_run_one_after_the_other(lab: Lab, seat: Sit) -> None:
    run = lab.done()
    lab.result(run, 0.9)
    evaluated(run, score="energy")
    scored(run, noise=0.4)
    async with seat(80, 14) as user:
        await user.leads("enter", to=RunScreen)
        await user.leads("a", to=HistogramScreen)
        await user.sees("1 of 2")
        for keys in ("right left", "l h", "n N"):
            forth, back = keys.split()
            await user.press(forth)
            await user.sees("2 of 2")
            await user.press(back)
            await user.sees("1 of 2")
        picture = user.app.screen.query_one(TextScroll)
        await user.wait(lambda: picture.max_scroll_y > 0)
        await user.press("j")
        await user.wait(lambda: picture.scroll_y == 1)


async def test_a_line_of_the_table_of_results(lab: Lab, seat: Sit) -> None:
    for n in range(20):
        lab.result(lab.done(f"e{n:02d}", 1), 0.5 + n / 100)
    async with seat(60, 16) as user:
        await user.leads("t", to=ResultsScreen)
        table = user.app.screen.query_one(ResultsTable)
        await user.wait(lambda: table.display and len(table._rows) == 40)  # beside the mean over one test set
        page = table.scrollable_content_region.height - 2
        for key, place in (
            ("j", 1), ("down", 2), ("k", 1), ("up", 0), ("G", 39), ("g", 0), ("end", 39), ("home", 0),
            ("pagedown", page), ("ctrl+f", 2 * page), ("pageup", page), ("ctrl+b", 0), ("tab", 20), ("shift+tab", 0),
        ):  # fmt: skip
            await user.press(key)
            assert (key, table._cursor) == (key, place)
        for right, left in (("l", "h"), ("right", "left")):
            await user.press(right)
            await user.wait(lambda: table.scroll_x > 0)
            await user.press(left)
            await user.wait(lambda: table.scroll_x == 0)
        for leave in ("t", "escape"):
            await user.leads("enter", to=SeedsScreen)
            await user.leads(leave, to=ResultsScreen)
        await user.leads("enter", to=SeedsScreen)
        await user.leads("enter", to=RunScreen)


async def test_a_page_knows_the_list_from_its_first_frame(lab: Lab, seat: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.result(lab.done("a", 1), 0.5)
    monkeypatch.setattr(OverviewReader, "period", 3600.0)  # no second news of it
    async with seat(100, 30) as user:
        await user.leads("t", to=ResultsScreen)
        table = user.app.screen.query_one(ResultsTable)
        await user.wait(lambda: table.display)
        await user.leads("enter", to=SeedsScreen)
        await user.sees("done")
