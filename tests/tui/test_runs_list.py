"""The list of runs under the user's hands: filter, order, folds, marks, columns, runs taken in hand."""

import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from runfolder import Lab, newest
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Input, Static
from user import User, Wait

from goe.core.chart import PALETTE_DARK, colour_index
from goe.core.process import ProcessId, identify
from goe.core.rundir import RunDir
from goe.launch.control import hold
from tui.app import GoeApp
from tui.memory import Memory
from tui.messages import Compare, Diff
from tui.screens.charts import ChartsScreen
from tui.screens.choose import ChooseScreen
from tui.screens.columns import ColumnsScreen
from tui.screens.confirm import ConfirmScreen, MessageScreen
from tui.screens.diff import DiffScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.widgets.rowlist import RowList
from tui.widgets.runtable import BAR, MARK, RunTable


class Desk(User):
    """A user before the list of runs."""

    def __init__(self, app: GoeApp, pilot: Pilot[None], wait: Wait, said: list[Message]) -> None:
        super().__init__(app, pilot, wait)
        self.said = said
        """Every message that was posted."""

    @property
    def table(self) -> RunTable:
        return next(screen for screen in self.app.screen_stack if isinstance(screen, RunsScreen)).query_one(RunTable)

    def summary(self) -> str:
        return str(self.app.screen.query_one("#summary", Static).content)

    def names(self) -> list[str]:
        """The experiment and seed of each row in view, as drawn."""
        return [" ".join(line.split()[3:5]) for line in self.rows()]

    def rows(self) -> list[str]:
        return [line for line in self.screen().splitlines() if line.startswith((BAR, MARK))]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def filter(self, text: str) -> None:
        await self.press("slash", *text)


Sit = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture
def desk(lab: Lab, wait_until: Wait) -> Sit:
    @asynccontextmanager
    async def sit(width: int = 160, height: int = 30, *, readonly: bool = False) -> AsyncIterator[Desk]:
        said: list[Message] = []
        app = GoeApp(lab.runs, lab.queue, Memory(lab.runs.parent / "looks.json"), readonly=readonly)
        async with app.run_test(size=(width, height), notifications=True, message_hook=said.append) as pilot:
            user = Desk(app, pilot, wait_until, said)
            await user.wait(lambda: user.table.row_count and user.table.display)
            await pilot.pause()
            yield user

    return sit


@pytest.fixture
def mixed(lab: Lab) -> Lab:
    """Six runs: two seeds of goe done, one of oe failed, one of baseline live, two of udg queued."""
    lab.queue.unlink()
    for seed, accuracy in ((1, 0.95), (2, 0.93)):
        run = lab.running("goe", seed)
        lab.status(run, {"loss": 0.2, "val/accuracy": accuracy}, phase="finished", epoch=10, eta=0)
        lab.ended(run)
    lab.ended(lab.running("oe", 1, "oe", val__accuracy=0.5), code=4)
    lab.running("live", 1, "baseline", val__accuracy=0.7)
    lab.queued("wait", 1)
    lab.queued("wait", 2)
    return lab


async def test_the_filter_follows_the_keys(mixed: Lab, desk: Sit) -> None:
    async with desk() as user:
        await user.filter("method:goe acc>94%")
        assert user.names() == ["goe 1"]
        assert user.summary().startswith("1 of 6 · ")
        await user.press(*" mehtod:x")
        assert 'character 20: unknown column "mehtod" (did you mean "method"?)' in user.screen()
        await user.press("enter")
        assert user.app.focused is user.table
        await user.press("escape")
        assert len(user.names()) == 6
        assert "of 6" not in user.summary()
        assert "mehtod" not in user.screen()


@pytest.mark.parametrize("size", [(40, 12), (80, 24)])
async def test_a_long_mistake_leaves_room_for_what_is_in_force(mixed: Lab, desk: Sit, size: tuple[int, int]) -> None:
    async with desk(*size) as user:
        await user.filter("state:failed sate:x")
        await user.sees("in force: state:failed")
        await user.sees('"sate" (did you mean "state"?)')


async def test_what_is_understood_of_a_filter_is_in_force(mixed: Lab, desk: Sit) -> None:
    async with desk() as user:
        await user.filter("state:failed")
        assert user.names() == ["oe 1"]
        user.app.screen.query_one(Input).value += " acc>"  # as pasted: each key alone would be a filter on a word
        await user.pilot.pause()
        assert user.names() == ["oe 1"]
        assert 'a value is missing after "acc>"' in user.screen()
        mixed.queued("new", 1)
        user.app.poller.refresh()
        await user.sees("1 of 7")
        assert 'a value is missing after "acc>"' in user.screen()  # still, though the runs were read again
        assert "in force: state:failed" in user.screen()
        await user.press("end", *"0.9")
        assert user.names() == []
        assert user.summary().startswith("0 of 7")
        await user.press("escape")
        assert user.app.focused is user.table
        assert len(user.names()) == 7
        await user.filter("acc>x")
        assert '"x" is not a number' in user.screen()
        assert "in force: no filter, all runs are shown" in user.screen()
        assert len(user.names()) == 7
        await user.press("escape")
        await user.filter("sate:failed")
        assert 'unknown column "sate" (did you mean "state"?); known: state, experiment, id,' in user.screen()


async def test_a_remembered_look_is_there_on_return(mixed: Lab, desk: Sit) -> None:
    async with desk() as user:
        await user.filter("-state:queued")
        await user.press("enter", "o", *"acc", "enter", "O", "v")
        before = user.rows()
    async with desk() as user:
        await user.wait(lambda: user.rows() == before)
        assert user.app.screen.query_one(Input).value == "-state:queued"
        assert "val acc %↓" in user.screen()


async def test_sorting_by_key_and_heading_puts_what_is_missing_last(mixed: Lab, desk: Sit) -> None:
    async with desk() as user:
        await user.press("o")
        await user.at(ChooseScreen)
        await user.press(*"acc", "enter")
        await user.at(RunsScreen)
        assert user.names() == ["oe 1", "live 1", "goe 2", "goe 1", "wait 1", "wait 2"]
        assert "val acc %↑" in user.screen()
        await user.press("O")
        assert user.names() == ["goe 1", "goe 2", "live 1", "oe 1", "wait 1", "wait 2"]
        for arrow, first in (("experiment↑", "goe 1"), ("experiment↓", "wait 1"), ("experiment ", "goe 1")):
            await user.pilot.click(RunTable, offset=(16, 0))
            await user.pilot.pause()
            assert arrow in user.screen()
            assert user.names()[0] == first
        await user.press("o", "escape")
        assert isinstance(user.app.screen, RunsScreen)


async def test_the_cursor_keeps_its_run_when_the_order_changes(mixed: Lab, desk: Sit) -> None:
    async with desk() as user:
        await user.press("G")
        chosen = user.table.row_key
        await user.press("O")
        assert user.table.row_key == chosen
        assert user.table.cursor_row == 0


async def test_seeds_fold_into_a_mean(mixed: Lab, desk: Sit) -> None:
    async with desk() as user:
        await user.press("v")
        assert "✓ 2/2 done     ▸ goe" in user.rows()[0]
        for text in ("×2", "94.0±1.4", "0.200±0.000", "10/10"):
            assert text in user.rows()[0]
        assert len(user.rows()) == 4
        assert "goe: 2 done" in user.screen()
        await user.press("enter")
        assert [line.split()[0:3] for line in user.rows()[1:3]] == [[BAR, "✓", "done"]] * 2
        await user.press("j", "left")
        assert user.table.cursor_row == 0
        await user.press("left")
        assert len(user.rows()) == 4
        await user.press("l", "v")
        assert len(user.rows()) == 6


async def test_marks_are_signs_and_go_with_the_run(mixed: Lab, desk: Sit) -> None:
    async with desk() as user:
        await user.press("space", "space", "O")
        assert [line[0] for line in user.rows()] == [BAR] * 4 + [MARK] * 2
        assert "2 marked" in user.summary()
        await user.press("asterisk")
        assert [line[0] for line in user.rows()] == [MARK] * 6
        await user.press("asterisk")
        await user.pilot.click(RunTable, offset=(0, 3))
        await user.pilot.pause()
        assert [line[0] for line in user.rows()] == [BAR, BAR, MARK, BAR, BAR, BAR]
        await user.press("escape")
        assert "marked" not in user.summary()


async def test_a_sign_has_the_colour_of_its_experiment(mixed: Lab, desk: Sit) -> None:
    async with desk() as user:
        strip = user.table.render_line(1)
        (sign, *_) = strip
        assert sign.style is not None
        assert sign.style.color is not None
        assert sign.style.color.name.upper() == PALETTE_DARK[colour_index("goe")]
        assert colour_index("goe") == colour_index("goe") != colour_index("oe")


async def test_marked_runs_are_compared_and_two_of_them_diffed(mixed: Lab, desk: Sit) -> None:
    async with desk() as user:
        await user.press("d")
        await user.sees("Mark two runs with space first")
        await user.press("equals_sign")
        await user.at(ChartsScreen)
        await user.press("escape", "space", "space", "equals_sign")
        await user.at(ChartsScreen)
        compared = [message for message in user.said if isinstance(message, Compare)]
        assert [len(message.views) for message in dict.fromkeys(compared)] == [1, 2]
        await user.press("escape", "d")
        await user.at(DiffScreen)
        (diff,) = dict.fromkeys(message for message in user.said if isinstance(message, Diff))
        assert [view.config.seed for view in (diff.a, diff.b) if view.config] == [1, 2]


async def test_columns_are_chosen_ordered_and_remembered(mixed: Lab, desk: Sit) -> None:
    async with desk() as user:
        await user.press("c")
        await user.at(ColumnsScreen)
        rows = user.app.screen.query_one(RowList)
        rows.move_to("method")
        await user.press("space")
        for name in ("lr", "val/accuracy"):
            rows.move_to(name)
            await user.press("space")
        rows.move_to("lr")
        await user.press(*["K"] * 20, "enter")
        await user.at(RunsScreen)
        heading = user.screen().splitlines()[2]
        assert heading.split()[:2] == ["lr", "state"]
        assert "method" not in heading
        assert "val/accuracy" in heading
        assert user.rows()[0].split()[1] == "0.1"
    async with desk() as user:
        await user.sees("val/accuracy")
        await user.press("c", "0", "enter")
        assert "method" in user.screen().splitlines()[2]
        await user.press("c", "space", "escape")
        assert user.screen().splitlines()[2].split()[0] == "state"


async def test_only_lines_that_differ_are_drawn(mixed: Lab, desk: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk() as user:
        drawn: list[int] = []
        real = RunTable.refresh

        def refresh(self, *regions, **options) -> RunTable:
            drawn.extend(region.y for region in regions) if regions else drawn.append(-1)
            return real(self, *regions, **options)

        monkeypatch.setattr(RunTable, "refresh", refresh)
        live = next(line for line, text in enumerate(user.rows()) if "running" in text)
        lab_run = next(view.run for view in user.app.screen._shown if view.state == "running")
        mixed.status(lab_run, {"loss": 0.77, "val/accuracy": 0.7, "images_per_s": 1234.0})
        await user.sees("0.770")
        assert set(drawn) == {live + 1}


async def test_keys_act_on_all_marked_runs_after_one_question(
    mixed: Lab, desk: Sit, workers: tuple[ProcessId, ...]
) -> None:
    runs = [mixed.started("two", seed, worker=worker) for seed, worker in enumerate(workers, 1)]
    for run in runs:
        mixed.status(run)
    async with desk() as user:
        await user.filter("two")
        await user.press("enter", "asterisk", "x")
        await user.at(ConfirmScreen)
        await user.sees("Stop 2 runs?")
        await user.press("n")
        assert not any(newest(run).stop_requested for run in runs)
        await user.press("H", "y")
        await user.wait(lambda: all(run.held for run in runs))
        await user.sees("2 runs: held")
        await user.wait(lambda: all(view.held for view in user.app.screen.chosen))
        await user.press("H", "y")
        await user.wait(lambda: not any(run.held for run in runs))
        await user.press("p", "y")
        await user.sees("‖ paused")
        await user.wait(lambda: all(view.state == "paused" for view in user.app.screen.chosen))
        await user.press("p", "y")
        await user.wait(lambda: not any(newest(run).paused for run in runs))
        await user.wait(lambda: all(view.state == "running" for view in user.app.screen.chosen))
        await user.press("x", "y")
        await user.wait(lambda: all(newest(run).stop_requested for run in runs))


async def test_one_run_is_retried_or_held_at_once_from_either_screen(mixed: Lab, desk: Sit) -> None:
    run = next(run for run in map(RunDir, mixed.runs.iterdir()) if run.run_id.startswith("oe-"))
    hold(run)
    async with desk() as user:
        await user.filter("state:failed")
        await user.press("enter", "R")
        await user.wait(lambda: newest(run).retry_file.exists() and not run.held)
        await user.sees("may be started again")
        await user.press("p")
        await user.sees("only a run at work is paused")
        await user.press("enter")
        await user.at(RunScreen)
        await user.press("H")
        await user.wait(lambda: run.held)


async def test_what_cant_be_done_is_said(mixed: Lab, desk: Sit) -> None:
    mixed.broken("odd-s1-00000000")
    async with desk() as user:
        await user.filter("state:broken")
        await user.press("enter", "R")
        await user.at(MessageScreen)
        await user.sees("The run was not retried")
        assert "cut or altered" in " ".join(user.screen().split())


async def test_nothing_is_changed_from_a_dashboard_that_only_reads(mixed: Lab, desk: Sit) -> None:
    before = sorted(path for path in mixed.runs.rglob("*"))
    async with desk(readonly=True) as user:
        bindings = user.app.screen.active_bindings.values()
        assert not [one.binding.key for one in bindings if "change_" in one.binding.action and one.enabled]
        assert "stop" not in user.screen().splitlines()[-1]
        await user.press("asterisk", "x", "p", "R", "H", "S")
        assert isinstance(user.app.screen, RunsScreen)
        await user.press("enter", "x", "p", "R", "H", "S")
        await user.at(RunScreen)
    assert sorted(path for path in mixed.runs.rglob("*")) == before


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (400, 100), (20, 5), (1, 1)])
async def test_every_dialog_at_every_size(mixed: Lab, desk: Sit, size: tuple[int, int]) -> None:
    async with desk(*size) as user:
        for keys in (
            ["v", "l", "j"],
            ["o", "a", "escape"],
            ["c", "j", "space", "escape"],
            ["slash", "a", ">", "escape"],
        ):
            await user.press(*keys)
        assert isinstance(user.app.screen, RunsScreen)
        assert all(len(line) <= size[0] for line in user.screen().splitlines())


async def test_a_run_that_vanishes_while_marked_is_gone(mixed: Lab, desk: Sit) -> None:
    async with desk() as user:
        await user.filter("state:failed")
        await user.press("enter", "space")
        assert "1 marked" in user.summary()
        run = user.app.screen.current.run
        run.path.rename(mixed.runs / ".gone")
        await user.wait(lambda: user.table.row_count == 0)
        await user.press("x", "p", "R", "H", "equals_sign", "d", "enter", "space", "l")
        assert isinstance(user.app.screen, RunsScreen)


@pytest.fixture
def workers() -> Iterator[tuple[ProcessId, ...]]:
    """Two processes that stand for workers, each in a group of its own."""
    processes = [subprocess.Popen(["sleep", "600"], start_new_session=True) for _ in range(2)]
    yield tuple(found for process in processes if (found := identify(process.pid)))
    for process in processes:
        process.kill()
        process.wait()


def test_goe_runs_filters_and_sorts(mixed: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    from tui.commands.runs import runs_

    runs_(mixed.runs, only="acc>0.6", sort="-acc")
    names = [line.split("-")[0] + line.split("-")[1] for line in capsys.readouterr().out.splitlines()[1:]]
    assert names == ["goes1", "goes2", "lives1"]
    runs_(mixed.runs, only="state:lost")
    assert capsys.readouterr().err == f"none of 6 runs in {mixed.runs}\n"
    runs_(Path("nowhere"))
    assert capsys.readouterr().err == "no runs in nowhere\n"
