"""Runs and files that go away, may not be read or hold what nobody expects, while the dashboard shows them."""

import shutil

import pytest
import test_app
from runfolder import Lab
from test_app import Sit

from tui.screens.choose import ChooseScreen
from tui.screens.diff import DiffScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen

seat = test_app.seat


async def test_a_run_removed_below_another_screen_closes_its_page_afterwards(lab: Lab, seat: Sit) -> None:
    run, other = lab.running(), lab.running("goe", 2)
    async with seat() as user:
        await user.open(run)
        await user.pilot.press("d")
        await user.at(ChooseScreen)
        await user.pilot.press("enter")
        await user.at(DiffScreen)
        run.path.rename(lab.runs / ".gone")
        runs = next(screen for screen in user.app.screen_stack if isinstance(screen, RunsScreen))
        await user.wait(lambda: [view.run_id for view in runs.views] == [other.run_id])
        user.app.action_refresh_now()
        await user.pilot.pause()
        assert isinstance(user.app.screen, DiffScreen)
        assert any(isinstance(screen, RunScreen) for screen in user.app.screen_stack)
        await user.pilot.press("escape")
        await user.at(RunsScreen)
        await user.sees("is gone")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("metrics.jsonl", "metrics.jsonl: can't be read: Is a directory"),
        ("train.log", "! log: can't be read: Is a directory"),
        ("checkpoints", "checkpoints: can't be read: Not a directory"),
    ],
)
async def test_what_is_there_but_cant_be_read_is_not_called_missing(lab: Lab, seat: Sit, name: str, said: str) -> None:
    run = lab.done()
    path = run.path / name
    if path.is_dir():
        shutil.rmtree(path)
        path.write_bytes(b"")
    else:
        path.unlink(missing_ok=True)
        path.mkdir()
    async with seat(160, 45) as user:
        await user.open(run)
        await user.sees(said)


async def test_a_runs_folder_that_goes_away_and_comes_back(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    away = lab.runs.with_name("away")
    async with seat() as user:
        await user.open(run)
        runs = next(screen for screen in user.app.screen_stack if isinstance(screen, RunsScreen))
        await user.wait(lambda: runs.views)
        lab.runs.rename(away)
        await user.wait(lambda: not runs.views)
        user.app.action_refresh_now()
        await user.pilot.pause()
        assert isinstance(user.app.screen, RunScreen)
        await user.pilot.press("escape")
        await user.at(RunsScreen)
        await user.sees("is gone; its runs are shown again once it is back")
        away.rename(lab.runs)
        await user.sees("1 running")


async def test_no_runs_and_a_queue_file_with_a_mistake(lab: Lab, seat: Sit) -> None:
    lab.queue.write_text("[[experiment]]\nepochs = 0\n")
    async with seat() as user:
        await user.sees(f"Mend {lab.queue} (Q, then e)")
        assert "README.md" not in user.screen()
