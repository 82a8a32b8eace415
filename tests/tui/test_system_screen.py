"""The machine's page and the machine's line, as their user sees them."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import fake_nvml
import pytest
from msgspec.structs import replace
from runfolder import Lab
from user import User, Wait

from goe.core.process import identify
from goe.core.rundir import RunDir
from goe.launch.gpu import Gpu
from goe.launch.machine import Machine, Room
from goe.launch.processes import Process
from tui.app import GoeApp
from tui.messages import Disk, Glimpse, GpuFact, Holder, Pulse, SystemFacts
from tui.screens.results import ResultsScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.screens.system import SystemScreen
from tui.widgets.keytable import KeyTable
from tui.widgets.systemcells import bars, cells_of, detail_text, glimpse_text, head_text, headings_for, ordered
from tui.widgets.textscroll import TextScroll

GIB = 2**30
A = {"uuid": "GPU-aa", "name": "Big [bold]", "bus": 1, "total": 80, "used": 10, "utilisation": 42, "temperature": 61}
BARE = SystemFacts(
    "host", Pulse(0.0, Machine()), (), "none that NVML shows", (), (), (Disk(Path("/r"), None),), 1.0, ()
)


class Seat(User):
    """A user before the dashboard."""

    async def press(self, key: str, screen: type) -> None:
        await self.pilot.press(key)
        await self.wait(lambda: isinstance(self.app.screen, screen))

    async def stand_on(self, pid: int) -> None:
        """The cursor on this process: runs of other tests on this machine are listed too."""
        table = self.app.screen.query_one(KeyTable)
        await self.wait(lambda: str(pid) in table._shown)
        table.move_cursor(row=list(table._shown).index(str(pid)))


Sit = Callable[..., AbstractAsyncContextManager[Seat]]


@pytest.fixture
def seat(lab: Lab, wait_until: Wait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sit:
    path = tmp_path / "gpus.json"
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml)
    monkeypatch.setenv("FAKE_NVML", str(path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    @asynccontextmanager
    async def sit(*gpus: dict[str, object], width: int = 120, height: int = 40) -> AsyncIterator[Seat]:
        fake_nvml.script(path, gpus)
        app = GoeApp(lab.runs, lab.queue)
        async with app.run_test(size=(width, height), notifications=True) as pilot:
            yield Seat(app, pilot, wait_until)

    return sit


@pytest.fixture
def worked(lab: Lab) -> Iterator[tuple[RunDir, int]]:
    """A live run and the pid of its worker."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield lab.started(worker=identify(process.pid)), process.pid
        process.kill()


async def test_the_page_opens_the_run_of_a_process(seat: Sit, worked: tuple[RunDir, int]) -> None:
    run, pid = worked
    async with seat({**A, "processes": [{"pid": pid, "memory": 4}]}) as user:
        await user.press("u", SystemScreen)
        await user.sees("10.0/80.0 GiB   61 °C        – W  Big [bold]")
        await user.sees(" 42 %")
        await user.sees("at least 1 wanted")
        table = user.app.screen.query_one(KeyTable)
        await user.wait(lambda: str(pid) in table._shown)
        await user.wait(lambda: table._shown[str(pid)][0][0] == run.run_id)
        row = next(line for line in user.screen().splitlines() if "4.0 GiB" in line)
        assert "sleep 600" in row
        await user.stand_on(pid)
        page = user.app.screen
        await user.wait(lambda: isinstance(page, SystemScreen) and page.current)
        await user.press("enter", RunScreen)
        await user.press("u", SystemScreen)  # back to it from the run's page
        await user.press("t", ResultsScreen)
        await user.press("u", SystemScreen)  # back to the one that is open
        assert sum(isinstance(screen, SystemScreen) for screen in user.app.screen_stack) == 1
        await user.press("escape", RunsScreen)


async def test_what_a_process_belongs_to_is_said_only_where_all_runs_were_read(
    seat: Sit, worked: tuple[RunDir, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, pid = worked
    async with seat() as user:
        await user.press("u", SystemScreen)
        await user.stand_on(pid)
        page = user.app.screen
        assert isinstance(page, SystemScreen)
        await user.wait(lambda: page.current)
        said: list[str] = []
        monkeypatch.setattr(page, "notify", said.append)
        page._views = {}
        for page._all_read in (False, True):
            page.action_open()
        assert ["still being read" in said[0], "a run in another folder" in said[1]] == [True, True]


async def test_there_is_one_run_page(seat: Sit, worked: tuple[RunDir, int]) -> None:
    run, pid = worked
    async with seat() as user:
        await user.sees("1 starting")
        await user.press("enter", RunScreen)
        first = user.app.screen
        await user.press("u", SystemScreen)
        table = user.app.screen.query_one(KeyTable)
        await user.wait(lambda: str(pid) in table._shown and table._shown[str(pid)][0][0] == run.run_id)
        await user.stand_on(pid)
        page = user.app.screen
        await user.wait(lambda: isinstance(page, SystemScreen) and page.current)
        await user.pilot.press("i")
        await user.wait(lambda: isinstance(user.app.screen, RunScreen) and user.app.screen is not first)
        assert first not in user.app.screen_stack
        await user.press("escape", RunsScreen)


async def test_leaving_ends_the_reading_and_o_sorts(seat: Sit, worked: tuple[RunDir, int]) -> None:
    async with seat() as user:
        await user.press("u", SystemScreen)
        await user.sees("none that NVML shows")
        await user.sees("by run")
        for order in ("cores", "memory", "run"):
            await user.pilot.press("o")
            await user.sees(f"by {order}")
        assert "system" in user.app.poller._readers
        await user.press("u", RunsScreen)
        await user.wait(lambda: "system" not in user.app.poller._readers)


@pytest.fixture
def stranger() -> Iterator[int]:
    """The pid of a process that belongs to no run."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process.pid
        process.kill()


async def test_a_process_of_no_run_opens_nothing(seat: Sit, stranger: int) -> None:
    async with seat({**A, "processes": [{"pid": stranger, "memory": 4}]}) as user:
        await user.press("u", SystemScreen)
        await user.sees("sleep 600")
        await user.stand_on(stranger)
        await user.press("enter", SystemScreen)
        await user.sees("belongs to no run")


async def test_the_line_beside_the_summary(seat: Sit, lab: Lab) -> None:
    lab.done()
    async with seat(A, width=100, height=20) as user:
        await user.sees("1 done")
        await user.sees("GPU 42 % 10/80 GiB · memory ")
        await user.pilot.resize_terminal(99, 20)
        await user.wait(lambda: "10/80" not in user.screen())
        assert "1 done" in user.screen()


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (400, 100)])
async def test_all_sizes(seat: Sit, worked: tuple[RunDir, int], size: tuple[int, int]) -> None:
    run, pid = worked
    async with seat({**A, "processes": [{"pid": pid, "memory": 4}]}, width=size[0], height=size[1]) as user:
        await user.press("u", SystemScreen)
        await user.sees("42 %")
        await user.sees(run.run_id[:10])
        await user.sees("4.0 GiB")


async def test_more_of_the_machine_than_there_is_room_for_is_moved_by_keys(seat: Sit) -> None:
    gpus = ({**A, "uuid": f"GPU-{n}", "bus": n} for n in range(12))
    async with seat(*gpus, height=20) as user:
        await user.press("u", SystemScreen)
        head = user.app.screen.query_one(TextScroll)
        await user.wait(lambda: head.max_scroll_y > 0)
        head.focus()
        for key, row in (("j", 1), ("down", 2), ("k", 1), ("G", head.max_scroll_y), ("g", 0)):
            await user.pilot.press(key)
            await user.wait(lambda row=row: head.scroll_y == row)


def test_what_is_not_told_is_a_dash() -> None:
    text = head_text(BARE, 120).plain.splitlines()
    assert [line.split(maxsplit=1) for line in text] == [
        ["GPU", "none that NVML shows"],
        ["CPU", "– %  load –"],
        ["memory", "–  swap –"],
        ["disk", "–  /r"],
    ]
    bare = GpuFact(Gpu(3), (), ())
    facts = SystemFacts("host", Pulse(0.0, Machine(), (bare.gpu,)), (bare,), "", (), (), (), None, ())
    assert head_text(facts, 120).plain.splitlines()[0].split() == ["GPU", "3", "–", "%", "–", "–", "°C", "–", "W", "–"]
    unknown = Holder(Process(7), gpus=((3, None),))
    headings = headings_for(replace(facts, holders=(unknown,)), 150)
    assert [text for text, _ in cells_of(unknown, headings)] == ["not seen from here", "3", "–", "  – %", "–", "7", ""]


def test_a_disk_that_is_nearly_full() -> None:
    facts = SystemFacts("h", BARE.pulse, (), "", (), (), (Disk(Path("/r\x1b[2J"), Room(100 * GIB, GIB // 2)),), 1.0, ())
    line = head_text(facts, 120).plain.splitlines()[-1]
    assert "! 0.5 of 100 GiB free, less than 1 wanted" in line
    assert "\x1b" not in line


def test_absurd_names_stay_in_their_columns() -> None:
    name = "\x1b[31m" + "ä" * 500
    holder = Holder(
        Process(7, Path(name), name, name + "\n" + name, 12.34, 5 * GIB), f"/some/where/{name}", ((0, GIB),)
    )
    facts = SystemFacts("h", BARE.pulse, (), "", (), (), (), None, (holder,))
    headings = headings_for(facts, 100)
    cells = cells_of(holder, headings)
    assert len(cells[0][0]) <= headings[0].width
    assert not any("\x1b" in text or "\n" in text for text, _ in cells)
    assert "\x1b" not in detail_text(holder)
    assert "1234 %" in [text for text, _ in cells]


def test_order() -> None:
    small = Holder(Process(1, cpu=2.0, memory=1))
    large = Holder(Process(2, cpu=None, memory=2))
    hidden = Holder(None, gpus=((0, GIB),))
    rows = [hidden, large, small]
    assert ordered(rows, "run") == rows
    assert ordered(rows, "cores")[0] is small
    assert ordered(rows, "memory")[0] is large


def test_bars() -> None:
    assert bars((None, 0.0, 0.5, 1.0, 2.0), 4) == "▁▅██"
    assert bars((None, 0.0), 2) == " ▁"
    assert bars((0.5,), 0) == ""


def test_the_line_says_what_it_can() -> None:
    assert glimpse_text(Glimpse(Pulse(0.0, Machine()), None)) == "memory – % · disk – GiB free"
    broken = Glimpse(Pulse(0.0, Machine(memory=Room(100, 58)), (), "no"), Room(9 * GIB, 5 * GIB))
    assert glimpse_text(broken) == "GPU driver fails · memory 40 % · disk 5 GiB free"
    two = Glimpse(Pulse(0.0, Machine(), (Gpu(0, utilisation=0.5), Gpu(1, utilisation=1.0))), None)
    assert glimpse_text(two).startswith("2 GPUs 75 % ")
