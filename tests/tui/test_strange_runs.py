"""Runs and files that go away, may not be read or hold what nobody expects, while the dashboard shows them."""

import test_app
from conftest import Lab
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
