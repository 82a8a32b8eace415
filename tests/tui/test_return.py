"""Who comes back finds the pages as they were left; after a lost terminal, the page that was open."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from runfolder import Lab
from user import User, Wait

from tui.app import GoeApp
from tui.memory import Memory
from tui.screens.base import GoeScreen
from tui.screens.histogram import HistogramScreen
from tui.screens.queue import QueueScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.widgets.keytable import KeyTable
from tui.widgets.runtable import RunTable

Sit = Callable[[], AbstractAsyncContextManager[User]]


@pytest.fixture
def visit(lab: Lab, wait_until: Wait, tmp_path: Path) -> Sit:
    """A visit to the lab; all have one memory."""

    @asynccontextmanager
    async def sit() -> AsyncIterator[User]:
        app = GoeApp(lab.runs, lab.queue, Memory(tmp_path / "looks.json"))
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            yield User(app, pilot, wait_until)

    return sit


async def test_the_cursor_of_the_queues_page(lab: Lab, visit: Sit) -> None:
    async with visit() as user:
        await user.pilot.press("Q")
        await user.at(QueueScreen)
        table = user.app.screen.query_one(KeyTable)
        await user.wait(lambda: table.row_key == "goe")
        await user.pilot.press("j")
        await user.wait(lambda: table.row_key == "baseline")
    async with visit() as user:
        await user.pilot.press("Q")
        await user.at(QueueScreen)
        await user.wait(lambda: user.app.screen.query_one(KeyTable).row_key == "baseline")
        await user.pilot.press("escape")
    lab.queue.write_text('[[experiment]]\nname = "other"\n')  # what was chosen is gone
    async with visit() as user:
        await user.pilot.press("Q")
        await user.at(QueueScreen)
        await user.wait(lambda: user.app.screen.query_one(KeyTable).row_key == "other")


@pytest.mark.parametrize("width", [80, 160])
async def test_a_run_opened_again_is_as_it_was_left(lab: Lab, visit: Sit, width: int) -> None:
    run, other = lab.running(), lab.running("other")
    for name, epoch in (("last", 3), ("best", 2), ("epoch-001", 1)):
        lab.checkpoint(run, name, epoch)
    async with visit() as user:
        await user.pilot.resize_terminal(width, 45)

        async def opens(run_id: str) -> KeyTable:
            runs = user.app.screen_stack[-1].query_one(RunTable)
            await user.wait(lambda: runs.row_count == 2 and runs.has_focus)
            runs.move_to(run_id)
            await user.wait(lambda: runs.row_key == run_id)
            await user.pilot.press("enter")
            await user.at(RunScreen)
            return user.app.screen.query_one("#checkpoints", KeyTable)

        table = await opens(run.run_id)
        if width == 80:
            await user.pilot.press("3")
        else:
            table.focus()
        await user.wait(lambda: table.has_focus and table.row_count == 3)
        await user.pilot.press("j")
        await user.wait(lambda: table.row_key == "best")
        await user.pilot.press("escape")
        await user.at(RunsScreen)
        table = await opens(other.run_id)
        await user.wait(lambda: user.app.focused is not None and not table.has_focus)
        await user.pilot.press("escape")
        await user.at(RunsScreen)
        table = await opens(run.run_id)
        await user.wait(lambda: table.has_focus and table.row_key == "best")
        assert (width == 80) is user.app.screen.has_class("-checkpoints")


async def test_the_order_of_the_machines_page(visit: Sit, tmp_path: Path) -> None:
    async with visit() as user:
        await user.pilot.press("u")
        await user.sees("by run")
        await user.pilot.press("o")
        await user.sees("by cores")
    async with visit() as user:
        await user.pilot.press("u")
        await user.sees("by cores")
    (tmp_path / "looks.json").write_text('{"system": {"order": "of old"}}')
    async with visit() as user:
        await user.pilot.press("u")
        await user.sees("by run")


@pytest.mark.parametrize(
    ("keys", "left", "kind"),
    [
        ("Q", QueueScreen, QueueScreen),
        ("enter a", HistogramScreen, RunScreen),
    ],
)
async def test_after_a_lost_terminal(
    lab: Lab, visit: Sit, keys: str, left: type[GoeScreen], kind: type[GoeScreen]
) -> None:
    run = lab.running()
    async with visit() as user:
        await user.sees("● running")
        await user.pilot.press(*keys.split())
        await user.at(left)
        user.app._taken_away(129)
        await user.wait(lambda: not user.app.is_running)
        assert user.app.return_code == 129
    async with visit() as user:
        await user.at(kind)
        if kind is RunScreen:
            assert user.app.screen.current.run_id == run.run_id
        await user.pilot.press("escape")
        await user.at(RunsScreen)
    async with visit() as user:  # who left by himself begins with the list
        await user.sees("● running")
        assert isinstance(user.app.screen, RunsScreen)


async def test_a_run_that_went_meanwhile(lab: Lab, visit: Sit) -> None:
    run = lab.running()
    async with visit() as user:
        await user.sees("● running")
        await user.pilot.press("enter")
        await user.at(RunScreen)
        user.app._taken_away(129)
    run.path.rename(lab.runs / ".gone")
    lab.done("other", 1)
    async with visit() as user:
        await user.sees("✓ done")
        await user.wait(lambda: not user.app._page)
        assert isinstance(user.app.screen, RunsScreen)
