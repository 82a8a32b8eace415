"""The results screen as its user sees it: real results, real keys, real clicks."""

import shlex
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from runfolder import Lab
from test_results_reading import evaluated
from textual.widgets import Input, Static
from user import User, Wait

from goe.core.report import NOTHING
from goe.core.table import CONVENTION
from tui.app import GoeApp
from tui.goecommand import GOE
from tui.memory import Memory
from tui.screens.choose import ChooseScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.results import ResultsScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.screens.seeds import SeedsScreen
from tui.screens.several import SeveralScreen
from tui.screens.tablefile import TableFileScreen
from tui.widgets.resultstable import ResultsTable


class Seat(User):
    """A user before the results."""

    @property
    def table(self) -> ResultsTable:
        return self.app.screen.query_one(ResultsTable)

    def line(self, text: str) -> str:
        return next(line for line in self.screen().splitlines() if text in line)

    async def sees_not(self, text: str) -> None:
        await self.wait(lambda: text not in self.screen())

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    def said(self, name: str) -> str:
        return str(self.app.screen.query_one(name, Static).content)


Sit = Callable[..., AbstractAsyncContextManager[Seat]]


@pytest.fixture
def seat(lab: Lab, wait_until: Wait, tmp_path: Path) -> Sit:
    @asynccontextmanager
    async def sit(width: int = 140, height: int = 40, *, readonly: bool = False) -> AsyncIterator[Seat]:
        app = GoeApp(lab.runs, lab.queue, Memory(tmp_path / "memory.json"), readonly=readonly)
        async with app.run_test(size=(width, height), notifications=True) as pilot:
            user = Seat(app, pilot, wait_until)
            await user.press("t")
            await user.at(ResultsScreen)
            yield user

    return sit


@pytest.fixture
def filled(lab: Lab) -> Lab:
    for seed, auroc in ((1, 0.9), (2, 0.951)):
        lab.result(lab.done("baseline", seed, "baseline"), auroc)
    lab.result(lab.done("goe", 1), 0.97)
    return lab


def goe(*words: str) -> str:
    done = subprocess.run([*GOE, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_the_table_is_live_and_marks_best_and_second(filled: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.sees("92.55 ± 3.61")
        assert "97.00 (1/2)" in user.line("goe  ")
        assert CONVENTION in " ".join(user.screen().split())
        assert "positive ID · ties mid-rank" in user.said("#common")
        strips = [user.table.render_line(y) for y in range(user.table.size.height)]
        bold = {segment.text for strip in strips for segment in strip if segment.style and segment.style.bold}
        under = {segment.text for strip in strips for segment in strip if segment.style and segment.style.underline}
        assert "97.00 (1/2)" in bold - under
        assert "92.55 ± 3.61" in under - bold
        filled.result(filled.done("goe", 2), 0.99)
        await user.sees("98.00 ± 1.41")
        await user.press("t")
        await user.at(RunsScreen)


async def test_sorted_by_a_column_and_remembered(filled: Lab, seat: Sit) -> None:
    def names(user: Seat) -> list[str]:
        return [line.split()[0] for line in user.screen().splitlines() if line.startswith((" goe  ", " baseline  "))]

    async with seat() as user:
        await user.sees("92.55 ± 3.61")
        assert names(user) == ["goe", "baseline"] * 2
        await user.press("o")
        await user.at(ChooseScreen)
        await user.press(*["down"] * 6, "enter")
        await user.sees("sorted by AUROC % ↑")
        await user.wait(lambda: names(user) == ["baseline", "goe"] * 2)
    async with seat() as user:
        await user.wait(lambda: names(user) == ["baseline", "goe"] * 2)
        await user.press("O")
        await user.sees("sorted by AUROC % ↑, descending")
        await user.wait(lambda: names(user) == ["goe", "baseline"] * 2)
        await user.press("0")
        await user.sees_not("sorted by")
        await user.press("O")
        await user.wait(lambda: names(user) == ["baseline", "goe"] * 2)


async def test_a_legend_says_what_the_marks_mean(filled: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.sees("bold best of its column · underlined second best · ID is the positive")
        notes = user.app.screen.query_one("#notes", Static)
        strip = next(strip for strip in user.app.screen._compositor.render_strips() if "underlined" in strip.text)
        looks = {segment.text.strip(): segment.style for segment in strip if segment.style}
        assert looks["bold"].bold
        assert looks["underlined"].underline
        assert notes.region.bottom <= user.app.size.height


async def test_metrics_are_marked_and_remembered(filled: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.sees("AUPR-in")
        await user.press("m")
        await user.at(SeveralScreen)
        await user.press("down", "space", "j", "j", "j", "k", "space", "enter")
        await user.sees("metrics accuracy, fpr95")
        await user.sees_not("AUPR-in")
        assert "--metrics accuracy,fpr95" in user.said("#command")
    async with seat() as user:
        await user.sees("metrics accuracy, fpr95")
        await user.press("0")
        await user.sees("AUPR-in")
        await user.press("m", "end", "enter")  # nothing marked: the one the cursor is on
        await user.sees("metrics aupr-out")
        await user.press("m", "escape", "m", "a")
        await user.sees("AUPR-in")


async def test_score_test_sets_checkpoint_and_protocol(filled: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.sees("OOD: noise")
        await user.press("s", "enter")
        await user.sees("score msp")
        await user.press("T", "end", "enter")
        await user.sees("test sets average")
        await user.sees_not("OOD: noise")
        await user.press("C", "space", "down", "space", "enter")
        await user.sees("checkpoint best · protocol far-ood")
        line = user.said("#command")
        assert "--sets average --where score=msp --where checkpoint=best --where protocol=far-ood" in line
        assert "--mixed" not in line
        assert " ".join(user.screen().split()).count("92.55 ± 3.61") == 1


async def test_filter(filled: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.sees("baseline")
        await user.press("slash", *"colour=x", "enter")
        await user.sees('unknown key "colour"')
        await user.press("escape")
        await user.sees_not("unknown key")
        await user.press("f", *"go", "enter")
        await user.sees("only experiment=*go*")
        await user.wait(lambda: "baseline" not in user.screen())
        await user.press("f")
        user.app.screen.query_one("#filter", Input).value = "nowhere"
        await user.press("enter")
        await user.sees("Nothing fits what was chosen")
        await user.sees("no result has experiment")
        await user.press("0")
        await user.sees("baseline")


async def test_the_papers_layout_and_figures(filled: Lab, seat: Sit) -> None:
    filled.result(filled.done("udg", 1, "oe"), 0.8)
    async with seat() as user:
        await user.sees("OOD: noise")
        await user.press("P")
        await user.sees("layout as in Koo et al. (2024)")
        await user.press("P", "c")
        await user.sees("blocks a metric each")
        await user.wait(lambda: any({"noise", "average"} <= set(line.split()) for line in user.screen().splitlines()))
        await user.press("c", "b", "enter")
        await user.sees("None of these results has a figure")
        assert "--compare paper" in user.said("#command")


async def test_against_a_baseline(filled: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.sees("OOD: noise")
        await user.press("b", "down", "space", "down", "space", "enter")  # the second ends the first
        await user.sees("working out differences")
        await user.press("E")
        await user.sees("still being worked out")
        await user.sees("differs from")
        await user.wait(lambda: "working out" not in user.said("#alerts"))
        assert user.said("#command").split("--against ")[1].split()[0] in {"goe", "baseline"}


async def test_seeds_of_a_line(filled: Lab, seat: Sit) -> None:
    filled.queued("goe", 2)
    async with seat() as user:
        await user.sees("92.55 ± 3.61")
        await user.press("G", "g")
        name = "goe" if "goe" in user.table._key(user.table.here) else "baseline"
        await user.press("j" if name == "baseline" else "k", "enter")
        await user.at(SeedsScreen)
        await user.sees("97.00")
        await user.sees("queued")
        row = user.line("queued")
        assert NOTHING in row
        await user.press("j")
        await user.sees("a run is evaluated when its training ends")
        await user.press("k", "enter")
        await user.at(RunScreen)
        await user.press("escape")
        await user.at(SeedsScreen)
        await user.press("escape")
        await user.at(ResultsScreen)


async def test_a_seed_without_a_run_has_no_page(filled: Lab, seat: Sit) -> None:
    async with seat(60, 20) as user:
        await user.sees("goe")
        await user.press("g")
        name = "goe" if "goe" in user.table._key(user.table.here) else "baseline"
        await user.press(*(["j"] if name == "baseline" else []), "enter", "G")
        await user.at(SeedsScreen)
        await user.sees("no queue has started it")
        await user.press("enter")
        await user.sees("it has no page")


async def test_one_block_at_a_time(filled: Lab, seat: Sit) -> None:
    async with seat(100, 14) as user:
        await user.sees("mean over noise")
        await user.press("z")
        await user.sees("1/2")
        await user.press("tab")
        await user.sees("2/2  OOD: noise")
        await user.sees_not("mean over noise")
        await user.press("shift+tab")
        await user.sees("1/2")
        await user.press("z", "tab")
        await user.wait(lambda: user.table.here.block == 1)


async def test_the_first_column_stays_when_values_scroll(filled: Lab, seat: Sit) -> None:
    async with seat(40, 12) as user:
        await user.sees("baseline")
        before = user.line("baseline")
        await user.press("l", "l")
        await user.wait(lambda: user.line("baseline") != before)
        assert user.line("baseline").split()[0] == "baseline"
        assert user.line("experiment").split()[1] == "AURC"
        await user.press("right", "left", "h", "h", "pagedown", "pageup", "up", "down")
        await user.wait(lambda: user.line("baseline") == before)
        assert max(map(len, user.screen().splitlines())) <= 40


async def test_a_click_chooses_and_opens(filled: Lab, seat: Sit) -> None:
    async with seat() as user:
        await user.sees("OOD: noise")
        last = user.table._rows[-1]
        await user.pilot.click(ResultsTable, offset=(3, last))
        await user.wait(lambda: user.table._cursor == len(user.table._rows) - 1)
        await user.pilot.click(ResultsTable, offset=(3, last))
        await user.at(SeedsScreen)


@pytest.mark.parametrize(("steps", "form", "ending"), [(0, "md", "md"), (2, "json", "json"), (5, "text", "txt")])
async def test_export(
    filled: Lab, seat: Sit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, form: str, ending: str
) -> None:
    monkeypatch.chdir(tmp_path)
    async with seat() as user:
        await user.sees("OOD: noise")
        await user.press("E")
        await user.at(TableFileScreen)
        await user.press(*["tab"] * steps)
        command = user.said("#command")
        await user.press("ctrl+y")
        assert user.app.clipboard == command
        await user.press("enter")
        await user.at(ResultsScreen)
    monkeypatch.chdir(Path(__file__).parents[2])
    assert (tmp_path / f"results.{ending}").read_text() == goe(*shlex.split(command)[1:])


async def test_export_asks_before_it_writes_over(
    filled: Lab, seat: Sit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "results.md"
    there.write_text("mine")
    async with seat() as user:
        await user.sees("OOD: noise")
        await user.press("E", "enter")
        await user.at(ConfirmScreen)
        await user.press("n")
        await user.at(TableFileScreen)
        assert there.read_text() == "mine"
        await user.press("enter")
        await user.at(ConfirmScreen)
        await user.press("y")
        await user.at(ResultsScreen)
        assert "**AUROC" not in there.read_text()
        assert "| baseline" in there.read_text()
        await user.press("E")
        await user.at(TableFileScreen)
        for wrong, said in ((str(tmp_path), "is a folder"), (str(there / "x"), "can't be written")):
            user.app.screen.query_one(Input).value = wrong
            await user.press("enter")
            await user.sees(said)


async def test_export_by_mouse(filled: Lab, seat: Sit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with seat() as user:
        await user.sees("OOD: noise")
        await user.press("E")
        await user.at(TableFileScreen)
        await user.pilot.click("#forms")
        await user.pilot.click("#yes")
        await user.at(ResultsScreen)
        assert (tmp_path / "results.csv").read_text().startswith("experiment,config")
        await user.press("E")
        await user.at(TableFileScreen)
        await user.pilot.click("#no")
        await user.at(ResultsScreen)


async def test_readonly_writes_no_file(filled: Lab, seat: Sit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with seat(readonly=True) as user:
        await user.sees("OOD: noise")
        await user.press("Y")
        assert user.app.clipboard.startswith("goe table --mixed")
        assert "E export" not in user.screen()
        await user.press("E", "m")
        await user.at(SeveralScreen)
    assert not (tmp_path / "results.md").exists()


async def test_hostile_names_and_no_results(lab: Lab, seat: Sit) -> None:
    run = lab.done("baseline", 1, "baseline")
    async with seat(80, 24) as user:
        await user.sees("No evaluation results yet")
        await user.press("enter", "tab", "E")
        await user.sees("no table to write")
        lab.result(run, 0.9)
        nasty = "[b]\x1b[31m\r名" + "x" * 300
        values = {"fpr95": 0.5, "auroc": None, "new": 0.5}
        evaluated(run, protocol=nasty[:60], detection={nasty: values, "state": values}, classification={})
        await user.sees("名")
        assert "\x1b" not in user.screen()
        await user.press("c", "l", "l", "G", "m", "escape", "C", "escape", "enter")
        await user.at(SeedsScreen)
        await user.press("escape", "E", "escape", "P", "z", "tab")
        await user.at(ResultsScreen)
        for size in ((40, 12), (20, 5), (1, 1), (400, 100)):
            await user.pilot.resize_terminal(*size)
            await user.pilot.pause()


async def test_an_idle_table_draws_nothing(filled: Lab, seat: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    async with seat() as user:
        await user.sees("OOD: noise")
        await user.wait(lambda: user.app.screen._overview)
        drawn: list[object] = []
        for kind in (Static, ResultsTable):
            monkeypatch.setattr(kind, "refresh", lambda self, *_, **__: drawn.append(self))
        before = user.app.screen._overview
        user.app.poller.refresh()
        await user.wait(lambda: user.app.screen._overview is not before)
        assert drawn == []
