"""Runs as lists show them, from real directories and real processes."""

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from goe.core.config import complete
from goe.core.overview import RunView, view_run, view_runs
from goe.core.process import ProcessId, identify, myself
from goe.core.records import Exit, Launch, Phase, Status
from goe.core.report import NOTHING, columns, describe, ended_by
from goe.core.rundir import Attempt, RunDir, write_json
from goe.core.state import HEARTBEAT_TIMEOUT_S, RunState

NOW = 10_000.0


def make_run(runs: Path, seed: int = 1) -> RunDir:
    config = complete({"experiment": "x", "seed": seed}, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert config is not None
    return RunDir.create(runs, config)


def start(run: RunDir, supervisor: ProcessId, worker: ProcessId | None = None) -> Attempt:
    attempt = run.claim(
        Launch(attempt=run.attempt_count() + 1, launcher="local", supervisor=supervisor, worker=worker, started=NOW)
    )
    assert attempt is not None
    return attempt


def end(attempt: Attempt, code: int | None, signal: int | None = None, cause: str = "") -> None:
    ended = Exit(code=code, signal=signal, started=NOW, ended=NOW + 1, peak_memory=1, cause=cause)
    write_json(attempt.exit_file, ended)


def beat(attempt: Attempt, phase: Phase, error: str | None = None) -> None:
    write_json(attempt.status_file, Status(phase=phase, updated=NOW, error=error, values={"loss": 0.5, "acc": None}))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def dead() -> ProcessId:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    who = identify(child.pid)
    child.communicate(b"\n", timeout=30)
    assert who is not None
    return who


def elsewhere() -> ProcessId:
    return msgspec.structs.replace(myself(), host="elsewhere")


def summary(view: RunView) -> tuple[RunState, bool, str | None]:
    return view.state, view.needs_start, view.problem


def test_a_run_that_was_never_started(runs: Path) -> None:
    view = view_run(make_run(runs), NOW)
    assert summary(view) == (RunState.QUEUED, True, None)
    assert (view.attempt, view.launch, view.status, view.exit, view.value("loss")) == (0, None, None, None, None)


def test_damaged_records_are_counted_where_a_run_is_shown(runs: Path) -> None:
    run = make_run(runs)
    assert not any(line.startswith("damaged") for line in describe(view_run(run, NOW)))
    run.metrics_file.write_text("nonsense\n")
    assert "damaged    1 record of metrics.jsonl left out" in describe(view_run(run, NOW))
    run.metrics_file.write_text("nonsense\nand a cut o")
    assert "damaged    2 records of metrics.jsonl left out" in describe(view_run(run, NOW))


def test_a_living_run(runs: Path) -> None:
    run = make_run(runs)
    attempt = start(run, myself())
    assert summary(view_run(run, NOW)) == (RunState.STARTING, False, None)
    beat(attempt, "training")
    view = view_run(run, NOW)
    assert summary(view) == (RunState.RUNNING, False, None)
    assert (view.run_id, view.attempt, view.value("loss"), view.value("acc"), view.value("none")) == (
        run.run_id,
        1,
        0.5,
        None,
        None,
    )
    attempt.request_stop()
    assert summary(view_run(run, NOW)) == (RunState.STOPPING, False, None)


def test_a_run_lives_as_long_as_its_worker(runs: Path, dead: ProcessId) -> None:
    run = make_run(runs)
    beat(start(run, dead, worker=myself()), "training")
    assert summary(view_run(run, NOW)) == (RunState.RUNNING, False, None)


def test_a_run_whose_processes_are_gone_is_lost_and_started_again(runs: Path, dead: ProcessId) -> None:
    run = make_run(runs)
    beat(start(run, dead, worker=dead), "training")
    state, needs_start, problem = summary(view_run(run, NOW))
    assert (state, needs_start) == (RunState.LOST, True)
    assert problem is not None
    assert problem.endswith("; a queue resumes it while it has retries left, `goe retry` gives it new ones")


def test_a_run_elsewhere_is_never_started_a_second_time(runs: Path) -> None:
    run = make_run(runs)
    beat(start(run, elsewhere()), "training")
    assert summary(view_run(run, NOW + HEARTBEAT_TIMEOUT_S - 1)) == (RunState.RUNNING, False, None)
    state, needs_start, problem = summary(view_run(run, NOW + HEARTBEAT_TIMEOUT_S))
    assert (state, needs_start) == (RunState.LOST, False)
    assert problem == (
        "no sign of life from elsewhere for a long time; "
        "a queue on that machine resumes it while it has retries left, `goe retry` gives it new ones"
    )


@pytest.mark.parametrize(
    ("code", "signal", "error", "expected"),
    [
        (0, None, None, (RunState.DONE, False, None)),
        (3, None, None, (RunState.STOPPED, True, None)),
        (1, None, None, (RunState.FAILED, True, "ended by exit code 1; the end of train.log says more")),
        (2, None, "no such data", (RunState.FAILED, True, "no such data")),
        (None, 9, None, (RunState.FAILED, True, "ended by signal 9; the end of train.log says more")),
    ],
)
def test_an_ended_run(
    runs: Path,
    dead: ProcessId,
    code: int | None,
    signal: int | None,
    error: str | None,
    expected: tuple[RunState, bool, str | None],
) -> None:
    run = make_run(runs)
    attempt = start(run, dead)
    beat(attempt, "failed", error)
    end(attempt, code, signal)
    assert summary(view_run(run, NOW)) == expected


@pytest.mark.parametrize(
    ("code", "signal", "cause", "short", "problem"),
    [
        (1, None, "nccl", "exit 1 (nccl)", "ended by exit code 1 (nccl); the end of train.log says more"),
        (
            5,
            None,
            "disk-full",
            "exit 5 (disk-full)",
            "ended by exit code 5 (disk-full); the end of train.log says more",
        ),
        (None, 9, "signal", "signal 9", "ended by signal 9; the end of train.log says more"),
        (None, 9, "out-of-memory", "signal 9 (out-of-memory)", "ended by signal 9 (out-of-memory); the end of"),
        (3, None, "preempted", "exit 3 (preempted)", "preempted: ended by a SIGTERM that goe did not send; a queue"),
    ],
)
def test_a_failure_is_shown_with_its_cause(
    runs: Path, dead: ProcessId, code: int | None, signal: int | None, cause: str, short: str, problem: str
) -> None:
    run = make_run(runs)
    end(start(run, dead), code, signal, cause)
    view = view_run(run, NOW)
    assert (view.state, view.needs_start, ended_by(view)) == (RunState.FAILED, True, short)
    assert view.problem is not None
    assert view.problem.startswith(problem)
    assert columns([view])[1][-1] == short
    beat(Attempt(run.attempts_dir / "1"), "failed")
    assert f"ended      {short} after 0:01, peak memory 1 B" in describe(view_run(run, NOW))


def test_an_exit_written_before_there_were_causes(runs: Path, dead: ProcessId) -> None:
    run = make_run(runs)
    attempt = start(run, dead)
    attempt.exit_file.write_text('{"code": 1, "signal": null, "started": 1.0, "ended": 2.5, "peak_memory": 7}')
    view = view_run(run, NOW)
    assert (view.state, ended_by(view)) == (RunState.FAILED, "exit 1")


def test_a_worker_that_finished_without_its_supervisor_is_done(runs: Path, dead: ProcessId) -> None:
    run = make_run(runs)
    beat(start(run, dead, worker=dead), "finished")
    view = view_run(run, NOW)
    assert summary(view) == (RunState.DONE, False, None)
    assert (ended_by(view), columns([view])[1][-1]) == ("", NOTHING)


def test_only_the_newest_attempt_counts(runs: Path, dead: ProcessId) -> None:
    run = make_run(runs)
    end(start(run, dead), 1)
    start(run, myself())
    view = view_run(run, NOW)
    assert (view.state, view.attempt, view.exit) == (RunState.STARTING, 2, None)


DAMAGED = ["config.json", "attempts/1/launch.json", "attempts/1/status.json", "attempts/1/exit.json"]


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("kind", ["cut", "altered", "binary", "folder", "swapped"])
def test_damage_breaks_one_run_and_no_other(runs: Path, dead: ProcessId, name: str, kind: str) -> None:
    good, bad = make_run(runs, 1), make_run(runs, 2)
    for run in (good, bad):
        attempt = start(run, dead)
        beat(attempt, "finished")
        end(attempt, 0)
    assert [view.state for view in view_runs(runs)] == [RunState.DONE, RunState.DONE]
    path = bad.path / name
    whole = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(
            {
                "cut": whole[:-9],
                "altered": b"[" + whole[1:],
                "binary": whole.replace(b'"', b'"\xff', 1),
                "swapped": b"7",
            }[kind]
        )
    views = view_runs(runs)
    heartbeat = name.endswith("status.json")  # the state does not hang on it
    assert [view.state for view in views] == [RunState.DONE, RunState.DONE if heartbeat else RunState.BROKEN]
    assert (views[0].run_id, views[0].problem) == (good.run_id, None)
    assert views[1].problem is not None
    assert views[1].problem.startswith(f"{path}: ")
    assert "; " in views[1].problem
    assert not views[1].needs_start


def test_missing_pieces_break_one_run_and_no_other(runs: Path, dead: ProcessId) -> None:
    no_config, no_launch, no_folder, good = (make_run(runs, seed) for seed in (1, 2, 3, 4))
    no_config.config_file.unlink()
    attempt = no_launch.attempts_dir / "1"
    start(no_launch, dead).launch_file.unlink()
    no_folder.attempts_dir.rmdir()
    no_folder.attempts_dir.touch()
    views = view_runs(runs)
    assert [view.run_id for view in views] == [run.run_id for run in (no_config, no_launch, no_folder, good)]
    assert [view.state for view in views] == [RunState.BROKEN] * 3 + [RunState.QUEUED]
    assert [view.problem for view in views[:3]] == [
        f"{no_config.path}: not a run: there is no config.json in it; `goe runs` lists the runs",
        f"{attempt}/launch.json: missing; remove {attempt} if no process of this run is alive",
        f"{no_folder.attempts_dir}: can't be read: Not a directory; restore the folder",
    ]


def test_now_is_the_clock_unless_given(runs: Path) -> None:
    run = make_run(runs)
    attempt = start(run, elsewhere())
    assert view_run(run).state is RunState.LOST  # NOW lies in 1970
    write_json(attempt.status_file, Status(phase="training", updated=time.time()))
    assert view_run(run).state is RunState.RUNNING


def test_no_runs(runs: Path) -> None:
    assert view_runs(runs) == []
