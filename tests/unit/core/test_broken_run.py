"""Runs of which a file can't be read: what their other files still tell."""

import subprocess
import sys
from pathlib import Path

import pytest

from goe.core.config import complete
from goe.core.overview import RunView, view_run
from goe.core.process import ProcessId, identify, myself
from goe.core.records import Exit, Launch
from goe.core.report import run_record, view_label
from goe.core.rundir import Attempt, RunDir, write_json
from goe.core.state import RunState

NOW = 10_000.0


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    config = complete({"experiment": "x", "seed": 1}, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert config is not None
    return RunDir.create(tmp_path, config)


def start(run: RunDir, supervisor: ProcessId) -> Attempt:
    attempt = run.claim(Launch(attempt=1, launcher="local", supervisor=supervisor, started=NOW))
    assert attempt is not None
    return attempt


def broken(run: RunDir) -> RunView:
    view = view_run(run, NOW)
    assert view.state is RunState.BROKEN
    assert not view.needs_start
    return view


@pytest.mark.parametrize("spoilt", ["config.json", "attempts/1/exit.json"])
def test_one_whose_process_lives_says_so(run: RunDir, spoilt: str) -> None:
    start(run, myself())
    (run.path / spoilt).write_text('{"version": 9}')
    view = broken(run)
    assert view.is_live
    assert (view.attempt, view_label(view), run_record(view)["live"]) == (1, "! broken, alive", True)
    assert view.launch is not None
    assert view.launch.supervisor == myself()
    assert view.problem is not None
    assert view.problem.startswith(f"{run.path / spoilt}: ")
    assert view.problem.endswith(
        "; its processes live (starting), so first end them with `goe stop` or `goe cancel`, or wait"
    )
    run.held_file.touch()
    assert view_label(broken(run)) == "! broken, alive, held"


def test_one_that_has_ended_or_died_is_only_broken(run: RunDir) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    who = identify(child.pid)
    assert who is not None
    attempt = start(run, who)
    run.config_file.unlink()
    assert broken(run).is_live
    child.communicate(b"\n", timeout=30)
    assert not broken(run).is_live
    write_json(attempt.exit_file, Exit(code=0, signal=None, started=NOW, ended=NOW + 1, peak_memory=1))
    view = broken(run)
    assert (view.is_live, view_label(view)) == (False, "! broken")
    assert view.problem == f"{run.path}: not a run: there is no config.json in it; `goe runs` lists the runs"
