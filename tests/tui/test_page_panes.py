"""The run's page as its user sees it: log, attempts, configuration, environment, checkpoints and what they allow."""

import hashlib
import json
from pathlib import Path

import msgspec
import pytest
import test_app
from runfolder import Lab, newest
from test_app import Sit
from textual.widgets import Input, OptionList

from goe.core.records import CheckpointIndex, Exit
from goe.core.report import flat
from goe.core.rundir import RunDir, read_json, write_json
from tui.app import GoeApp
from tui.memory import Memory
from tui.screens.choose import AskScreen, ChooseScreen
from tui.screens.confirm import ConfirmScreen, MessageScreen
from tui.screens.diff import DiffScreen
from tui.screens.run import RunScreen
from tui.widgets.chartgrid import ChartGrid
from tui.widgets.fields import FieldsView
from tui.widgets.logpane import LogPane, SearchLine
from tui.widgets.logview import LogView
from tui.widgets.tabs import TabLine

seat = test_app.seat


def write_log(run: RunDir, lines: int = 2000) -> None:
    run.log_file.write_text("".join(f"line {n}{' Error: odd' if n in {5, 700, 1500} else ''}\n" for n in range(lines)))


def whole_checkpoint(lab: Lab, run: RunDir, name: str, epoch: int) -> None:
    """One whose files are what its index says."""
    lab.checkpoint(run, name, epoch)
    path = run.checkpoints / f"{name}.json"
    index = read_json(path, CheckpointIndex)
    assert index is not None
    (run.checkpoints / index.state).write_bytes(b"state")
    digests = [
        hashlib.sha256((run.checkpoints / file).read_bytes()).hexdigest() for file in (index.weights, index.state)
    ]
    write_json(path, msgspec.structs.replace(index, weights_sha256=digests[0], state_sha256=digests[1]))


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_the_log_is_searched_from_any_pane(lab: Lab, seat: Sit, size: tuple[int, int]) -> None:
    run = lab.running()
    write_log(run)
    async with seat(*size) as user:
        await user.open(run)
        await user.wait(lambda: isinstance(user.app.focused, ChartGrid))
        await user.pilot.press("slash", *"error", "enter")
        await user.sees("“error” in 3 lines")
        await user.sees("line 1500 Error")


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_the_curves_have_the_keys_when_they_are_chosen(lab: Lab, seat: Sit, size: tuple[int, int]) -> None:
    run = lab.running()
    write_log(run)
    async with seat(*size) as user:
        await user.open(run)
        await user.pilot.press("2")
        await user.wait(lambda: isinstance(user.app.focused, LogView))
        await user.pilot.press("1")
        await user.wait(lambda: isinstance(user.app.focused, ChartGrid))


async def test_a_search_through_the_log(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    write_log(run)
    async with seat(80, 24) as user:
        await user.open(run)
        await user.pilot.press("m")
        await user.sees("following")
        await user.sees("line 1999")
        await user.pilot.press("slash", *"error", "enter")
        await user.sees("line 1500 Error")
        await user.sees("“error” in 3 lines")
        for key, seen in (("N", "line 700 Error"), ("N", "line 5 Error"), ("n", "line 700 Error")):
            await user.pilot.press(key)
            await user.sees(seen)
        await user.pilot.press("n", "n")
        await user.sees("No more matches that way")
        await user.pilot.press("slash", "ctrl+r")
        line = user.app.screen.query_one(SearchLine)
        line.value = "["
        await user.pilot.press("enter")
        await user.sees("unterminated character set")
        line.value = r"line 1\d\d$"
        await user.pilot.press("enter")
        await user.sees("in 100 lines")
        await user.pilot.press("slash", "escape")
        await user.wait(lambda: isinstance(user.app.focused, LogView))
        await user.pilot.press("escape")
        await user.wait(lambda: "in 100 lines" not in user.screen())
        assert isinstance(user.app.screen, RunScreen)


async def test_anywhere_in_a_long_log(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    write_log(run, 20_000)
    async with seat(80, 24) as user:
        await user.open(run)
        await user.pilot.press("m")
        await user.sees("line 19999")
        await user.pilot.press("g")
        await user.sees("line 0 ")
        for _ in range(30):
            await user.pilot.press("pagedown")
        view = user.app.screen.query_one(LogView)
        await user.wait(lambda: int(view.visible_rows[0].text.split()[1]) >= 300)
        await user.pilot.press("f")
        await user.sees("line 19999")
        await user.pilot.press("f")
        with run.log_file.open("a") as file:
            file.write("x" * 300 + "\n")
        await user.pilot.press("w", "G")
        await user.sees("xxx")
        assert "wrapped" in user.screen()
        run.log_file.write_text("begun anew\n")
        await user.sees("begun anew")


async def test_the_tabs_are_reached_by_key_and_mouse(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    async with seat(100, 24) as user:
        await user.open(run)
        await user.sees("6 environment")
        for key, pane in (("2", "log"), ("3", "checkpoints"), ("4", "attempts"), ("5", "config"), ("6", "environment")):
            await user.pilot.press(key)
            await user.wait(lambda pane=pane: user.app.screen.query_one(f"#{pane}").region)
        await user.pilot.press("shift+tab")
        await user.wait(lambda: user.app.screen.query_one("#config").region)
        tabs = user.app.screen.query_one(TabLine)
        await user.pilot.click(TabLine, offset=(str(tabs.content).index("4 att") + 3, 0))
        await user.wait(lambda: user.app.screen.query_one("#attempts").region)


async def test_attempts_say_how_each_ended_and_open_their_log(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    lab.ended(run, code=None, signal=9)
    write_json(
        newest(run).exit_file,
        Exit(code=None, signal=9, started=0, ended=90, peak_memory=1 << 30, cause="out-of-memory"),
    )
    newest(run).retry_file.touch()
    write_log(run)
    lab.running()
    begins = run.log_file.read_text().index("line 1000\n")
    write_json(newest(run).launch_file, msgspec.structs.replace(newest(run).launch(), log_start=begins, gpus=(0, 1)))
    async with seat(120, 30) as user:
        await user.open(run)
        await user.pilot.press("4")
        await user.sees("signal 9")
        for words in ("1:30", "out-of-memory", "1.07 GB", "GPU 0,1", "2R", "retried by hand"):
            await user.sees(words)
        await user.pilot.press("enter")
        await user.sees("line 1000")
        assert not user.app.screen.query_one(LogView).follow
        await user.pilot.press("4", "j", "enter")
        await user.sees("line 0 ")


async def test_configuration_and_environment(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    run.patch_file.write_text("+a changed [line]\n")
    packages = {"torch": "2.15", "[b]odd": "1"}
    run.env_file.write_text(json.dumps(ENVIRONMENT | {"packages": packages}))
    async with seat(120, 60) as user:
        await user.open(run)
        await user.pilot.press("5")
        shown = user.app.screen.query_one("#config", FieldsView)
        await user.wait(lambda: shown.query_one("Static").content)
        text = str(shown.query_one("Static").content)
        for key, _ in flat(msgspec.to_builtins(run.config())):
            assert key in text
        await user.pilot.press("6")
        for words in (
            "goe reproduce " + run.run_id,
            "abc123",
            "[b]odd",
            "with code",
            "+a changed [line]",
            "python -m x",
        ):
            await user.sees(words)
        await user.pilot.press("Y")
        await user.wait(lambda: user.app.clipboard.startswith(f"goe reproduce {run.run_id} --runs"))
        run.env_file.write_text("{ cut")
        await user.sees("cut or altered")


ENVIRONMENT = {
    "goe": "0.1.0",
    "commit": "abc123",
    "dirty": False,
    "diff_sha256": None,
    "python": "3.11",
    "platform": "Linux",
    "host": "here",
    "command": ["python", "-m", "x"],
    "seed": 1,
    "cuda": None,
    "gpus": [],
    "threads": 1,
}


async def test_a_diff_against_another_run(lab: Lab, seat: Sit) -> None:
    run, other = lab.running(), lab.done("baseline", 2, "baseline")
    async with seat(120, 50) as user:
        await user.open(run)
        await user.pilot.press("d")
        await user.at(ChooseScreen)
        await user.pilot.press("enter")
        await user.at(DiffScreen)
        await user.sees("≠ 2")
        await user.sees(other.run_id)
        assert "momentum" not in user.screen()
        await user.pilot.press("a")
        await user.sees("momentum")
        await user.pilot.press("a", "v")
        await user.sees("with environment")
        await user.pilot.press("enter")
        await user.at(MessageScreen)
        await user.pilot.press("escape", "escape")
        await user.at(RunScreen)
        await user.pilot.press("d", "escape")
        await user.at(RunScreen)


async def test_a_long_list_is_narrowed_by_writing(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    for seed in range(12):
        lab.queued("other", seed)
    async with seat(80, 24) as user:
        await user.open(run)
        await user.pilot.press("d")
        await user.at(ChooseScreen)
        await user.pilot.press(*"s11")
        await user.wait(lambda: user.app.screen.query_one(OptionList).option_count == 1)
        await user.pilot.press("enter")
        await user.at(DiffScreen)
        await user.sees("other-s11")


async def test_checkpoints_are_verified_on_demand(lab: Lab, seat: Sit) -> None:
    run = lab.done()
    whole_checkpoint(lab, run, "best", 3)
    lab.checkpoint(run, "last", 4)  # its digests are wrong
    async with seat(120, 40) as user:
        await user.open(run)
        await user.pilot.press("c")
        await user.sees("best")
        await user.pilot.press("V")
        await user.at(MessageScreen)
        await user.sees("last: epoch-004.safetensors: cut or altered")
        await user.pilot.press("escape")
        await user.sees("✓ whole")
        await user.sees("! bad")
        lab.checkpoint(run, "last", 5)
        await user.wait(lambda: "! bad" not in user.screen())  # that was said of another


async def test_a_checkpoint_is_deleted_after_a_question(lab: Lab, seat: Sit) -> None:
    run = lab.done()
    whole_checkpoint(lab, run, "last", 10)
    whole_checkpoint(lab, run, "epoch-003", 3)
    async with seat(120, 40) as user:
        await user.open(run)
        await user.pilot.press("c", "G", "D")
        await user.at(ConfirmScreen)
        await user.sees("epoch-003.state.safetensors")
        await user.pilot.press("enter")  # the safe button is marked
        await user.at(RunScreen)
        assert (run.checkpoints / "epoch-003.json").exists()
        await user.pilot.press("delete")
        await user.at(ConfirmScreen)
        await user.pilot.press("y")
        await user.wait(lambda: not (run.checkpoints / "epoch-003.json").exists())
        await user.sees("2.5 MB freed")
    assert sorted(path.name for path in run.checkpoints.iterdir()) == [
        "epoch-010.safetensors",
        "epoch-010.state.safetensors",
        "last.json",
    ]


async def test_nothing_of_a_live_run_is_deleted(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    whole_checkpoint(lab, run, "best", 3)
    async with seat(120, 40) as user:
        await user.open(run)
        await user.pilot.press("c")
        await user.sees("best")
        await user.pilot.press("D")
        await user.at(MessageScreen)
        await user.sees("nothing is removed while it lives")
    assert (run.checkpoints / "best.json").exists()


async def test_metrics_are_exported_by_the_command(lab: Lab, seat: Sit, tmp_path: Path) -> None:
    run = lab.done()
    lab.metrics(run)
    whole_checkpoint(lab, run, "best", 3)
    async with seat(120, 40) as user:
        await user.open(run)
        await user.pilot.press("c")
        await user.sees("best")
        await user.pilot.press("enter")
        await user.at(ChooseScreen)
        await user.sees("T  evaluate")
        await user.pilot.press("down", "enter")  # export
        await user.wait(lambda: isinstance(user.app.screen, ChooseScreen) and "csv" in user.screen())
        await user.pilot.press("down", "down", "down", "down", "enter")
        await user.at(AskScreen)
        user.app.screen.query_one(Input).value = str(tmp_path / "out.csv")
        await user.pilot.press("enter")
        await user.sees("out.csv is done")
    assert (tmp_path / "out.csv").read_text().startswith("kind,epoch,step")


async def test_a_command_that_fails_says_why(lab: Lab, seat: Sit) -> None:
    run = lab.done()
    lab.checkpoint(run, "best", 3)  # without last: there is nothing to evaluate
    async with seat(120, 40) as user:
        await user.open(run)
        await user.pilot.press("c")
        await user.sees("best")
        await user.pilot.press("T")
        await user.at(ConfirmScreen)
        await user.pilot.press("y")
        await user.at(MessageScreen)
        await user.sees("failed with exit code")
        await user.sees("no trained run to evaluate")


async def test_readonly_changes_nothing(lab: Lab, wait_until: test_app.Wait) -> None:
    run = lab.done()
    whole_checkpoint(lab, run, "best", 3)
    app = GoeApp(lab.runs, lab.queue, Memory(None), readonly=True)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        user = test_app.Seat(app, pilot, wait_until)
        await user.open(run)
        await pilot.press("c")
        await user.sees("best")
        await pilot.press("D", "T", "E")
        await pilot.press("enter")
        await user.at(ChooseScreen)
        await user.sees("V verify")
        assert "export" not in user.screen()
        assert "evaluate" not in user.screen()
        assert "delete" not in user.screen()


async def test_hostile_files_crash_nothing(lab: Lab, seat: Sit) -> None:
    run = lab.running()
    run.log_file.write_bytes(b"[red]\x00\xff\xfe" * 1000 + b"\n" + "宽\u202e".encode() * 500 + b"\n" + b"9%\r" * 9000)
    (run.checkpoints / "odd [b].json").write_text("{")
    newest(run).launch_file.write_text("{}")
    run.queued_file.write_text("[]")
    async with seat(60, 16) as user:
        await user.open(run)
        await user.pilot.press("2", "w", "g", "G", "4", "5", "6")
        await user.pilot.resize_terminal(160, 45)
        await user.pilot.press("0")
        await user.sees("odd [b]")
        assert isinstance(user.app.screen, RunScreen)
        assert user.app.screen.query_one(LogPane).view.visible_rows
