"""Runs beside each other, and one run's scores: real run directories, real keys."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from runfolder import Lab
from user import User, Wait

from goe.core.chart import PALETTE_DARK, colour_index
from goe.core.overview import view_run
from goe.core.rundir import RunDir
from tui.app import GoeApp
from tui.memory import Memory
from tui.reading.histogram import Choice, HistogramReader
from tui.screens.charts import ChartsScreen
from tui.screens.histogram import HistogramScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.widgets.chartgrid import ChartGrid
from tui.widgets.panels import CurveLook


class Seat(User):
    """A user before the charts of some runs."""

    @property
    def grid(self) -> ChartGrid:
        return self.app.screen.query_one(ChartGrid)


@asynccontextmanager
async def compare(
    lab: Lab, wait: Wait, *runs: RunDir, size: tuple[int, int] = (120, 40), memory: Memory | None = None
) -> AsyncIterator[Seat]:
    app = GoeApp(lab.runs, lab.queue, memory)
    async with app.run_test(size=size) as pilot:
        await app.push_screen(ChartsScreen(app.session, [view_run(run) for run in runs]))
        await pilot.pause()
        yield Seat(app, pilot, wait)


def trained(lab: Lab, name: str = "goe", seed: int = 1, last: int = 40) -> RunDir:
    run = lab.running(name, seed)
    lab.metrics(run, 1, last, filtering=name == "goe")
    return run


async def test_runs_beside_each_other(lab: Lab, wait_until: Wait) -> None:
    runs = trained(lab), trained(lab, "baseline", last=20)
    async with compare(lab, wait_until, *runs) as user:
        await user.wait(lambda: len(user.grid.charts) == 8)
        titles = [chart.panel.title for chart in user.grid.charts]
        assert titles == [
            "loss", "loss/ce", "val/loss", "filter/rate", "filter/precision", "filter/recall", "train/accuracy",
            "val/accuracy",
        ]  # fmt: skip
        await user.wait(lambda: len(user.grid.charts[0].panel.sources) == 2)
        await user.sees("charts  2 runs · over step")
        signs = ("a", "b") if colour_index("goe") == colour_index("baseline") else ("━", "━")
        await user.sees(f"{signs[0]}\xa0goe-s1   {signs[1]}\xa0baseline-s1")
        await user.sees(f"loss  {signs[0]} 0.05  {signs[1]} 0.1")
        assert user.grid.charts[0].panel.sources[0].colour == colour_index("goe") < len(PALETTE_DARK)
        lab.metrics(runs[1], 21, 50, filtering=False)
        await user.sees(f"loss  {signs[0]} 0.05  {signs[1]} 0.04")


async def test_what_several_runs_log_at_once_is_drawn_once(
    lab: Lab, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [trained(lab, "baseline", seed) for seed in (1, 2, 3)]
    async with compare(lab, wait_until, *runs) as user:
        await user.wait(lambda: user.grid.charts and len(user.grid.charts[0].panel.sources) == 3)
        heard: list[object] = []
        drawn: list[int] = []
        take, show = ChartsScreen.take, ChartGrid.show
        monkeypatch.setattr(ChartsScreen, "take", lambda self, what: (heard.append(what), take(self, what)))
        monkeypatch.setattr(ChartGrid, "show", lambda self, panels: (drawn.append(len(heard)), show(self, panels)))
        for run in runs:
            lab.metrics(run, 41, 50, filtering=False)
        await user.wait(lambda: drawn and drawn[-1] >= 3)
        assert len(drawn) < 3


async def test_seeds_as_band(lab: Lab, wait_until: Wait) -> None:
    runs = [trained(lab, "goe", seed) for seed in (1, 2, 3)]
    async with compare(lab, wait_until, *runs, trained(lab, "baseline")) as user:
        await user.wait(lambda: user.grid.charts and len(user.grid.charts[0].panel.sources) == 4)
        await user.pilot.press("b")
        await user.sees("seeds as mean ± std")
        assert [len(source.runs) for source in user.grid.charts[0].panel.sources] == [3, 1]
        await user.sees("goe\xa0n=3")
        await user.pilot.press("enter")
        await user.sees("goe 0.05±0 n=3")
        assert "goe\xa0n=3" not in user.screen()  # the chart names its curves itself
        await user.pilot.press("escape", "b")
        await user.wait(lambda: len(user.grid.charts[0].panel.sources) == 4)


async def test_the_look_is_remembered(lab: Lab, wait_until: Wait) -> None:
    run, memory = trained(lab), Memory(None)
    async with compare(lab, wait_until, run, memory=memory) as user:
        await user.pilot.press("b", "s", "y", "X")
        await user.sees("over epoch · smoothed 0.6 · log y · seeds")
    assert memory.load("charts", CurveLook) == CurveLook("epoch", 0.6, True, True)
    async with compare(lab, wait_until, run, memory=memory) as user:
        await user.sees("over epoch · smoothed 0.6 · log y · seeds")
        await user.sees("loss  ━ ~")
        await user.pilot.press("escape")
        await user.wait(lambda: isinstance(user.app.screen, RunsScreen))
        await user.wait(lambda: not any(name.startswith("curves") for name in user.app.poller._readers))


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (400, 100), (1, 1)])
async def test_twenty_runs_at_every_size(lab: Lab, wait_until: Wait, size: tuple[int, int]) -> None:
    runs = [trained(lab, f"name-{'long-' * 20}{n}", last=10) for n in range(18)]
    async with compare(lab, wait_until, *runs, lab.queued("goe", 2), lab.broken(), size=size) as user:
        await user.wait(lambda: len(user.grid.charts[0].panel.sources) == 18)
        await user.pilot.press("enter", "i", "l", "z", "s", "y", "b", "X", "escape")
        assert isinstance(user.app.screen, ChartsScreen)


async def test_the_theme_recolours_legend_and_curves(lab: Lab, wait_until: Wait) -> None:
    async with compare(lab, wait_until, trained(lab, "oe")) as user:
        await user.sees("loss  ━ 0.05")
        legend = user.app.screen.query_one("#legend")
        before = legend.content.spans[0].style
        user.app.theme = "goe-light"
        await user.pilot.pause()
        assert legend.content.spans[0].style != before


def scored(run: RunDir, **ood: float) -> None:
    """Raw scores beside a result: the ID test set around 0.9, each OOD set around its own."""
    spread = np.linspace(-0.05, 0.05, 100)
    arrays = {f"score/{name}": spread + at for name, at in {"digits": 0.9, **ood}.items()}
    np.savez(run.eval / "best-msp-far-ood.npz", correct=np.ones(100, np.bool_), **arrays)


async def test_the_scores_of_a_run(lab: Lab, wait_until: Wait) -> None:
    run = lab.done()
    app = GoeApp(lab.runs, lab.queue)
    async with app.run_test(size=(120, 40)) as pilot:
        await app.push_screen(RunScreen(app.session, view_run(run)))
        user = Seat(app, pilot, wait_until)
        await pilot.press("a")
        await user.sees("no result yet")
        await user.sees("drawn once the run is evaluated")
        lab.result(run, 0.9)
        scored(run, noise=0.4)
        app.poller.refresh()
        await user.sees("best-msp-far-ood · 1 of 1 · against every OOD test set")
        await user.sees("━ ID: digits   ━ noise")
        assert "no result yet" not in user.screen()
        await pilot.press("o")
        await user.sees("against noise")
        await pilot.press("o")
        await user.sees("against every OOD test set")
        await pilot.press("right", "left", "n", "N", "h", "l", "j", "k", "down", "up")
        assert isinstance(app.screen, HistogramScreen)
        for size in ((40, 12), (1, 1), (400, 100)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        (run.eval / "best-msp-far-ood.npz").write_bytes(b"PK cut")
        app.poller.refresh()
        await user.sees("cut or altered")
        await pilot.press("escape")
        assert isinstance(app.screen, RunScreen)


def test_scores_are_read_again_only_after_a_change(lab: Lab) -> None:
    run = lab.done()
    lab.result(run, 0.9)
    scored(run, noise=0.4)
    reader = HistogramReader(run, Choice())
    first = reader.read()
    assert first is not None
    assert first.figure is not None
    assert (first.name, first.sets, first.problem) == ("best-msp-far-ood", ("noise",), None)
    assert reader.read() is None
    (run.eval / "best-msp-far-ood.npz").unlink()
    second = reader.read()
    assert second is not None
    assert second.figure is None
    assert "not there" in (second.problem or "")


def test_the_scores_of_a_broken_run(lab: Lab) -> None:
    found = HistogramReader(lab.broken(), Choice()).read()
    assert found is not None
    assert "config.json" in (found.problem or "")
