"""The files by which people take runs in hand, and what runs look like then."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from goe.core.config import complete
from goe.core.overview import view_run
from goe.core.process import ProcessId, identify, is_halted, myself
from goe.core.records import Exit, Launch
from goe.core.report import columns, describe, view_label
from goe.core.rundir import Attempt, RunDir, write_json
from goe.core.state import RunState


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    config = complete({"experiment": "x", "seed": 1}, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert config is not None
    return RunDir.create(tmp_path, config)


@pytest.fixture
def child() -> Iterator[ProcessId]:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as process:
        who = identify(process.pid)
        assert who is not None
        yield who
        process.kill()


def start(run: RunDir, worker: ProcessId) -> Attempt:
    number = run.attempt_count() + 1
    attempt = run.claim(Launch(attempt=number, launcher="local", supervisor=myself(), worker=worker, started=1.0))
    assert attempt is not None
    return attempt


def halt(process: ProcessId) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)


def test_halted(child: ProcessId) -> None:
    assert is_halted(child) is False
    halt(child)
    assert is_halted(child) is True
    assert is_halted(msgspec.structs.replace(child, start="0")) is None
    assert is_halted(msgspec.structs.replace(child, host="elsewhere")) is None


def test_paused_is_what_marker_and_kernel_agree_on(run: RunDir, child: ProcessId) -> None:
    attempt = start(run, child)
    assert view_run(run).state is RunState.STARTING
    attempt.paused_file.touch()
    assert view_run(run).state is RunState.STARTING, "about to be halted, or continued by hand"
    halt(child)
    view = view_run(run)
    assert view.state is RunState.PAUSED
    assert not view.needs_start
    assert view_label(view) == "‖ paused"
    assert any("GPU memory" in line for line in describe(view))
    attempt.paused_file.unlink()
    assert view_run(run).state is RunState.STARTING, "halted by somebody, who may mean something else"


def test_a_paused_run_of_another_host_is_believed(run: RunDir, child: ProcessId) -> None:
    away = msgspec.structs.replace(child, host="elsewhere")
    attempt = start(run, away)
    launch = msgspec.structs.replace(attempt.launch(), supervisor=away)
    write_json(attempt.launch_file, launch)
    assert view_run(run).state is RunState.LOST
    attempt.paused_file.touch()
    assert view_run(run).state is RunState.PAUSED


def test_a_held_run_is_started_by_no_queue(run: RunDir) -> None:
    assert (view_run(run).needs_start, view_run(run).held) == (True, False)
    run.held_file.touch()
    view = view_run(run)
    assert (view.state, view.needs_start, view.held) == (RunState.QUEUED, False, True)
    assert view_label(view) == "… queued, held"
    assert columns([view])[1][1] == "… queued, held"
    run.held_file.unlink()
    assert view_run(run).needs_start


def test_retries_count_from_the_newest_one_asked_for(run: RunDir, child: ProcessId) -> None:
    assert run.retried() == 0
    attempts = [start(run, child) for _ in range(3)]
    assert run.retried() == 0
    attempts[0].retry_file.touch()
    assert run.retried() == 1
    attempts[2].retry_file.touch()
    assert run.retried() == 3
    write_json(attempts[2].exit_file, Exit(code=0, signal=None, started=1.0, ended=2.0, peak_memory=1))
    assert view_run(run).state is RunState.DONE
