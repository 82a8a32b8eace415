"""The dashboard as its user sees it: real run directories, real keys."""

import dataclasses
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from runfolder import Lab, newest
from textual.color import Color
from textual.css import stylesheet
from textual.css.parse import parse
from textual.filter import NoColor
from textual.widgets import Static
from user import User, Wait

from goe.core.process import identify, is_alive
from goe.core.rundir import RunDir, write_json
from goe.launch.detached import queue_process
from goe.launch.local import children
from goe.surface import grid, write_surface
from tui.app import GoeApp
from tui.screens.confirm import ConfirmScreen, MessageScreen
from tui.screens.form import FormScreen
from tui.screens.help import HelpScreen
from tui.screens.results import ResultsScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.widgets.chart import Chart
from tui.widgets.chartgrid import ChartGrid
from tui.widgets.heatmap import LEVELS, colour_of
from tui.widgets.keytable import KeyTable
from tui.widgets.logview import LogView
from tui.widgets.runtable import RunTable
from tui.widgets.surface import SurfaceView


class Seat(User):
    """A user before the dashboard."""

    async def choose(self, run: RunDir) -> None:
        table = self.app.screen.query_one(RunTable)
        await self.wait(lambda: run.run_id in table._views)
        table.move_cursor(row=list(table._views).index(run.run_id))
        await self.pilot.pause()

    async def open(self, run: RunDir) -> None:
        await self.choose(run)
        await self.pilot.press("enter")
        await self.at(RunScreen)


Sit = Callable[..., AbstractAsyncContextManager[Seat]]


@pytest.fixture
def seat(lab: Lab, wait_until: Wait) -> Sit:
    @asynccontextmanager
    async def sit(width: int = 120, height: int = 40) -> AsyncIterator[Seat]:
        app = GoeApp(lab.runs, lab.queue)
        async with app.run_test(size=(width, height), notifications=True) as pilot:
            yield Seat(app, pilot, wait_until)

    return sit


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a worker."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


async def test_lists_runs_and_follows_their_files(lab: Lab, seat: Sit) -> None:
    run = lab.running(filter__rate=0.156)
    lab.queued("goe", 2)
    async with seat(160, 30) as user:
        await user.sees("● running   goe")
        values = ("4/10", "0.512", "15.6", "92.5", "1234", "0:42")
        await user.wait(
            lambda: any(
                "● running" in line and all(value in line for value in values) for line in user.screen().splitlines()
            )
        )
        await user.sees("1 running · 1 queued · no queue running")
        lab.status(run, {"loss": 0.1234}, epoch=5, eta=30)
        await user.sees("0.123")
        await user.sees("5/10")
        lab.ended(run)
        await user.sees("✓ done")
        lab.queued("other", 1)
        await user.sees("other")


async def test_the_cursor_stays_on_its_run(lab: Lab, seat: Sit) -> None:
    lab.queued("b", 1)
    chosen = lab.queued("c", 1)
    async with seat() as user:
        await user.choose(chosen)
        lab.queued("a", 1)  # sorts before it
        await user.wait(lambda: user.app.screen.query_one(RunTable).row_count == 3)
        assert user.app.screen.current.run_id == chosen.run_id
        await user.pilot.press("g")
        assert user.app.screen.current.config.experiment == "a"
        await user.pilot.press("j")
        assert user.app.screen.current.config.experiment == "b"
        await user.pilot.press("G", "k", "j")
        assert user.app.screen.current.run_id == chosen.run_id


async def test_a_broken_run_is_told_and_hides_nothing(lab: Lab, seat: Sit) -> None:
    broken = lab.broken()
    lab.running()
    async with seat() as user:
        await user.sees("! broken")
        assert "● running" in user.screen()
        await user.choose(broken)
        await user.sees("cut or altered")
        await user.pilot.press("enter")
        await user.at(RunScreen)
        await user.sees("! broken")


async def test_an_empty_folder_says_what_to_do(lab: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.sees("press S to start them")
        await user.pilot.press("enter", "x", "j", "escape")
        assert isinstance(user.app.screen, RunsScreen)
        lab.running()
        await user.sees("● running")
        assert "press S to start them" not in user.screen()


async def test_a_runs_page(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    lab.metrics(run, 1, 40)
    run.log_file.write_text("first line\nlast line\n")
    lab.checkpoint(run, "last", 4)
    async with seat(160, 45) as user:
        await user.open(run)
        await user.sees("epoch 4/10 · ETA 0:42 · 1234 img/s · attempt 1")
        await user.sees("last line")
        await user.sees("loss  ━ total 0.05  ━ ce 0.025  ━ val 0.055")
        loss, filtering, accuracy = user.app.screen.query(Chart)
        assert [one.name for one in loss.panel.sources] == ["total", "ce", "val"]
        assert [one.name for one in filtering.panel.sources] == ["rate", "precision", "recall"]
        assert [one.name for one in accuracy.panel.sources] == ["train", "val"]
        assert "2.5 MB" in user.screen()
        lab.metrics(run, 41, 50)
        with run.log_file.open("a") as file:
            file.write("a newer line\n")
        await user.sees("a newer line")
        await user.sees("loss  ━ total 0.04")
        await user.pilot.press("escape")
        await user.at(RunsScreen)
        await user.wait(lambda: "run" not in user.app.poller._readers)


async def test_bad_records_are_counted(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    lab.metrics(run, 1, 10)
    async with seat() as user:
        await user.open(run)
        await user.sees("loss  ━ total 0.2")
        assert "bad metrics" not in user.screen()
        with run.metrics_file.open("ab") as file:
            file.write(b'{"kind":"train",,}\n{"kind":3}\n')
        await user.sees("2 bad metrics records")


async def test_a_method_without_filter_shows_accuracy(lab: Lab, seat: Sit) -> None:
    run = lab.done("baseline", 1, "baseline")
    lab.metrics(run, filtering=False)
    async with seat() as user:
        await user.open(run)
        await user.sees("accuracy  ━ train")
        await user.sees("exit 0")


async def test_a_failed_run_says_why(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    lab.ended(run, code=None, signal=9)
    async with seat() as user:
        await user.choose(run)
        await user.sees("! ended by signal 9")
        await user.pilot.press("enter")
        await user.sees("✗ failed   epoch 4/10 · attempt 1 · signal 9")


async def test_panes(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    run.log_file.write_text("a log line\n")
    lab.checkpoint(run, "best")
    async with seat(80, 24) as user:
        await user.open(run)
        await user.sees("1 curves   2 log   3 checkpoints")
        assert not user.app.screen.query_one(LogView).region
        await user.pilot.press("tab")
        await user.sees("a log line")
        await user.pilot.press("3")
        await user.sees("best")
        await user.pilot.press("tab", "tab", "tab", "tab")
        await user.wait(lambda: user.app.screen.query_one(ChartGrid).region)
        await user.pilot.resize_terminal(160, 45)
        await user.pilot.press("0")
        await user.wait(
            lambda: all(user.app.screen.query_one(kind).region for kind in (ChartGrid, LogView, "#checkpoints"))
        )
        await user.pilot.press("2")
        await user.wait(lambda: not user.app.screen.query_one(ChartGrid).region)
        await user.pilot.press("escape")
        await user.wait(lambda: user.app.screen.query_one(ChartGrid).region)
        assert isinstance(user.app.screen, RunScreen)


async def test_a_spiral_run_has_a_surface(lab: Lab, seat: Sit) -> None:
    run = lab.spiral()
    async with seat(60, 16) as user:
        await user.open(run)
        await user.sees("1 curves  2  3  4  5  6  7")
        await user.pilot.press("7")
        await user.sees("7 surface")
        await user.sees("drawn once the run is evaluated")
        write_surface(run, "last", np.where(grid()[:, 1] > 0, 1.0, 0.5).astype(np.float32))  # certain above, not below
        await user.sees("confidence 0.5")
        lines = user.app.screen.query_one(SurfaceView).render().split("\n")[1:-1]
        assert len(lines) == user.app.screen.query_one(SurfaceView).content_size.height - 2
        top, bottom = (Color.parse(line.spans[0].style.color.name) for line in (lines[0], lines[-1]))
        assert (top.hex.lower(), bottom.hex.lower()) == (colour_of(LEVELS - 1), colour_of(0))
        await user.pilot.resize_terminal(160, 45)
        await user.pilot.press("0")
        await user.wait(
            lambda: all(user.app.screen.query_one(kind).region for kind in (ChartGrid, LogView, SurfaceView))
        )
        run.surface_file("last").write_bytes(b"cut")
        await user.sees("cut or altered")


async def test_other_runs_have_none(lab: Lab, seat: Sit) -> None:
    async with seat(160, 45) as user:
        await user.open(lab.running())
        await user.pilot.press("7")
        await user.pilot.pause()
        assert not user.app.screen.query_one(SurfaceView).region
        assert user.app.screen.query_one(LogView).region


async def test_a_run_removed_while_open_closes_its_page(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    async with seat() as user:
        await user.open(run)
        run.path.rename(lab.runs / ".gone")
        await user.at(RunsScreen)


async def test_stop_asks_first(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    async with seat() as user:
        await user.choose(run)
        for cancel in ("n", "escape", "q"):
            await user.pilot.press("x")
            await user.at(ConfirmScreen)
            await user.pilot.press(cancel)
            await user.at(RunsScreen)
        await user.pilot.press("x", "left", "enter")
        await user.at(RunsScreen)
        assert not newest(run).stop_requested
        await user.pilot.press("x", "y")
        await user.wait(lambda: newest(run).stop_requested)
        await user.sees("□ stopping")
        await user.sees("asked to stop")


async def test_stop_from_a_runs_page_by_enter(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    async with seat(40, 12) as user:
        await user.open(run)
        await user.pilot.press("x", "enter")
        await user.wait(lambda: newest(run).stop_requested)
        await user.at(RunScreen)


async def test_x_again_offers_force(lab: Lab, seat: Sit, sleeper: subprocess.Popen[bytes]) -> None:
    run = lab.running()
    newest(run).request_stop()
    supervisor = identify(sleeper.pid)
    assert supervisor is not None
    launch = msgspec.structs.replace(newest(run).launch(), supervisor=supervisor)
    write_json(newest(run).launch_file, launch)
    async with seat() as user:
        await user.choose(run)
        await user.pilot.press("x")
        await user.sees("by force?")
        await user.pilot.press("enter")  # the safe button is marked
        await user.at(RunsScreen)
        assert sleeper.poll() is None
        await user.pilot.press("x", "y")
        await user.wait(lambda: sleeper.poll() is not None)


async def test_what_is_not_live_is_not_stopped(lab: Lab, seat: Sit) -> None:
    run = lab.done()
    async with seat() as user:
        await user.choose(run)
        await user.pilot.press("x")
        await user.sees("nothing to stop")
        assert not newest(run).stop_requested


async def test_leaving_kills_nothing(lab: Lab, seat: Sit, sleeper: subprocess.Popen[bytes]) -> None:
    worker = identify(sleeper.pid)
    assert worker is not None
    run = lab.started(worker=worker)
    lab.status(run)
    async with seat() as user:
        await user.open(run)
        await user.sees("● running")
        await user.pilot.press("q")
        await user.wait(lambda: not user.app.is_running)
    assert user.app.return_code == 0
    assert is_alive(worker)
    assert not newest(run).stop_requested


async def test_a_broken_queue_file_is_shown_whole_and_starts_nothing(lab: Lab, seat: Sit) -> None:
    lab.queue.write_text('[[experiment]]\nname = "a"\nmethod = "gooe"\n\n[[experiment]]\nname = "b"\nepochs = 0\n')
    async with seat(120, 30) as user:
        await user.pilot.press("S")
        await user.at(MessageScreen)
        await user.sees("experiments.toml:3")
        await user.sees("experiments.toml:7")
        await user.pilot.press("escape")
        await user.at(RunsScreen)
        await user.sees("(and 1 more; S shows them)")
    assert not lab.runs.exists()


async def test_the_queue_is_started_once_and_outlives_the_view(lab: Lab, seat: Sit) -> None:
    lab.queue.write_text('[[experiment]]\nname = "goe"\nseeds = [1]\nepochs = 10\n')
    run = lab.done()
    lab.running("other")  # a live run of the folder, not of the queue: the queue ends by itself
    async with seat() as user:
        await user.pilot.press("S")
        await user.at(FormScreen)
        await user.pilot.press("down", "down", *["backspace"] * len("wait"), *"end", "enter")
        await user.sees("Queue started")
        await user.at(RunsScreen)
        log = lab.runs / ".queue.log"
        await user.wait(log.exists)
        await user.wait(lambda: queue_process(lab.runs) is None)
        await user.wait(lambda: not any(child.poll() is None for child in children))
    assert newest(run).number == 1  # done is done
    assert log.read_text() == ""


async def test_a_working_queue_is_not_doubled(lab: Lab, seat: Sit, sleeper: subprocess.Popen[bytes]) -> None:
    lab.running()
    write_json(lab.runs / ".queue.json", identify(sleeper.pid))
    async with seat() as user:
        await user.sees("queue running, about 0:42 left")
        await user.pilot.press("S")
        await user.sees("already works here")
    assert not (lab.runs / ".queue.log").exists()


async def test_missing_results_are_named(lab: Lab, seat: Sit) -> None:
    async with seat(60, 20) as user:
        await user.pilot.press("t")
        await user.sees("No evaluation results yet")
        await user.sees("No results yet: goe (0/2), baseline (0/2)")
        await user.pilot.press("escape")
        await user.at(RunsScreen)


async def test_help_lists_the_keys_and_what_q_leaves(lab: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.pilot.press("question_mark")
        await user.at(HelpScreen)
        await user.sees("leave, jobs run on")
        await user.pilot.press("q")
        await user.at(RunsScreen)
        assert "q leave, jobs run on" in user.screen().splitlines()[-1]


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (160, 45), (400, 100)])
async def test_every_screen_at_every_size(lab: Lab, seat: Sit, size: tuple[int, int]) -> None:
    run = lab.running()
    lab.metrics(run)
    run.log_file.write_text("line\n" * 50)
    lab.checkpoint(run, "last")
    lab.result(lab.done("baseline", 1, "baseline"), 0.9)
    lab.broken()
    async with seat(*size) as user:
        await user.open(run)
        await user.wait(lambda: user.app.screen.query(Chart))
        await user.pilot.press("1", "2", "3", "0", "x", "escape", "question_mark", "escape", "t", "h", "G", "escape")
        assert isinstance(user.app.screen, RunScreen)
        if size == (160, 45):
            for other in ((40, 12), (20, 5), (400, 100)):
                await user.pilot.resize_terminal(*other)
                await user.pilot.pause()


async def test_how_much_of_a_long_file_is_read_is_said(lab: Lab, seat: Sit) -> None:
    run = lab.done()
    lab.metrics(run)
    async with seat() as user:
        await user.open(run)
        await user.sees("loss  ━ total")
        page = user.app.screen
        assert isinstance(page, RunScreen)
        assert page._curves is not None
        whole = page._curves
        page.take(dataclasses.replace(whole, read=0.34))
        await user.sees("reading the curves, 34%")
        page.take(whole)
        await user.wait(lambda: "reading the curves" not in user.screen())


async def test_an_idle_page_draws_nothing(lab: Lab, seat: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    run = lab.done()
    lab.metrics(run)
    monkeypatch.setattr("tui.reading.run.AGES_S", 0.0)  # the page is told again what it shows, each second
    async with seat() as user:
        await user.open(run)
        await user.sees("loss  ━ total")
        drawn: list[object] = []
        for kind in (Static, Chart, LogView, KeyTable):
            monkeypatch.setattr(kind, "refresh", lambda self, *_, **__: drawn.append(self))
        seen: list[object] = []
        show = RunScreen.show_detail
        monkeypatch.setattr(RunScreen, "show_detail", lambda self, detail: (show(self, detail), seen.append(detail)))
        await user.wait(lambda: len(seen) >= 3)
        assert drawn == []


async def test_no_color(lab: Lab, seat: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    lab.running()
    async with seat() as user:
        await user.sees("● running")
        strips = user.strips()
        (without_colours,) = [each for each in user.app._filters if isinstance(each, NoColor)]
        segments = [one for strip in strips for one in strip.apply_filter(without_colours, Color(0, 0, 0))]
        assert {one.style.color.name for one in segments if one.style and one.style.color} == {"default"}
        row = next(strip for strip in strips if "● running" in strip.text)
        assert any(segment.style and segment.style.reverse for segment in row)


async def test_what_lies_below_a_page_catches_up_when_it_is_seen_again(lab: Lab, seat: Sit) -> None:
    lab.running()
    async with seat(160, 30) as user:
        await user.sees("● running   goe")
        listing = user.app.screen
        assert isinstance(listing, RunsScreen)
        await user.pilot.press("t")
        await user.at(ResultsScreen)
        lab.queued("goe", 2)
        await user.wait(lambda: len(listing.views) == 2)  # the palette knows it
        assert listing.query_one(RunTable).row_count == 1
        await user.pilot.press("escape")
        await user.at(RunsScreen)
        await user.wait(lambda: listing.query_one(RunTable).row_count == 2)


async def test_rules_are_parsed_once_for_each_theme(lab: Lab, seat: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[tuple[str, str]] = []

    def counted(scope: str, css: str, read_from: tuple[str, str], **rest: Any) -> object:
        parsed.append(read_from)
        return parse(scope, css, read_from, **rest)

    async with seat() as user:
        await user.sees("no queue running")
        monkeypatch.setattr(stylesheet, "parse", counted)
        await user.pilot.press("t")
        await user.at(ResultsScreen)
        assert "Widget.DEFAULT_CSS" not in {name for _, name in parsed}
        parsed.clear()
        user.app.theme = "goe-light"
        await user.wait(lambda: "Widget.DEFAULT_CSS" in {name for _, name in parsed})
        await user.pilot.press("escape")
        await user.at(RunsScreen)
        assert len(parsed) == len(set(parsed))


def test_the_dashboard_never_imports_the_science() -> None:
    code = (
        "import sys, tui.app, tui.once\n"
        "bad = [name for name in sys.modules"
        " if name.split('.')[0] in {'torch', 'torchvision', 'sklearn', 'scipy', 'numpy'}"
        " or name.startswith(('goe.train', 'goe.methods', 'goe.evaluate', 'goe.worker'))]\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_list_is_there_before_other_pages_are_loaded() -> None:
    code = (
        "import sys, tui.app; from tui.pages import PAGES, load_pages\n"
        "pages = {name.rpartition('.')[0] for name in PAGES.values()}\n"
        "early = (pages | {'tomlkit', 'goe.core.table', 'tui.widgets.plot'}) & set(sys.modules)\n"
        "load_pages()\n"
        "bad = early or pages - set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
