"""Everything by mouse: what the last line has no room for is a click on a line of the help."""

import re

import pytest
from runfolder import Lab
from user import User, Wait

from tui.app import GoeApp
from tui.screens.help import HelpScreen
from tui.screens.queue import QueueScreen
from tui.screens.results import ResultsScreen
from tui.screens.runs import RunsScreen


async def click(user: User, pattern: str) -> None:
    """Click the end of the first place of the screen that reads so."""

    def places() -> list[tuple[int, int]]:
        found = (re.search(pattern, line) for line in user.screen().splitlines())
        return [(at.end() - 1, row) for row, at in enumerate(found) if at]

    await user.wait(places)
    await user.pilot.click(offset=places()[0])


@pytest.mark.parametrize("size", [(80, 100), (40, 100)])
async def test_an_experiment_moves_by_mouse_alone(lab: Lab, wait_until: Wait, size: tuple[int, int]) -> None:
    app = GoeApp(lab.runs, lab.queue)
    async with app.run_test(size=size) as pilot:
        user = User(app, pilot, wait_until)
        await user.at(RunsScreen)
        await click(user, r"\? help")
        await user.at(HelpScreen)
        await click(user, r"Q +queue")
        await user.at(QueueScreen)
        await click(user, "baseline")
        await click(user, r"\? help")
        await click(user, r"K +further up")
        await user.wait(lambda: lab.queue.read_text().index("baseline") < lab.queue.read_text().index('"goe"'))
        await user.at(QueueScreen)


async def test_the_help_of_a_screen_that_is_only_read_has_no_line_that_changes(lab: Lab, wait_until: Wait) -> None:
    app = GoeApp(lab.runs, lab.queue, readonly=True)
    async with app.run_test(size=(80, 45)) as pilot:
        user = User(app, pilot, wait_until)
        await pilot.press("Q", "question_mark")
        await user.at(HelpScreen)
        assert "further up" not in user.screen()
        await click(user, r"t +results")
        await user.at(ResultsScreen)
