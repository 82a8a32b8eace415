"""What is told of a run when its processes, its machine or its clock were not kind to it."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from lab import TINY, Lab, metrics, wait_until, worker_pid

from goe.core.overview import RunView
from goe.core.process import ProcessId, is_alive, myself
from goe.core.records import CheckpointIndex
from goe.core.rundir import Attempt, RunDir, read_json, write_json
from goe.core.state import RunState
from goe.launch.family import MARK, mark_of
from goe.launch.oomkills import oom_kills

ONE = f"""{TINY}
[queue]
slots = 2
min-free = 0

[[experiment]]
name = "one"
"""


def kill(process: ProcessId | None) -> None:
    """End it and wait until it is gone."""
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(process))


def weights(run: RunDir) -> tuple[str, str]:
    index = read_json(run.checkpoints / "last.json", CheckpointIndex)
    assert index is not None
    return index.weights_sha256, index.state_sha256


def halted(lab: Lab) -> RunView:
    """The only run, at work but stopped, so that nothing happens to it that the test doesn't do."""
    view = lab.wait_for_start()
    os.kill(worker_pid(view), signal.SIGSTOP)
    return view


def test_a_worker_outlives_its_supervisor_and_its_end_is_known(lab: Lab, finished: Lab) -> None:
    lab.queue(ONE)
    first = lab.start("queue", "run")
    view = halted(lab)
    assert view.launch is not None
    kill(view.launch.supervisor)
    first.kill()
    first.wait(60)
    assert lab.view().state is RunState.RUNNING
    following = lab.start("queue", "run")
    wait_until(lambda: f"adopted  {view.run_id}: it runs already" in lab.said(1))
    os.kill(worker_pid(view), signal.SIGCONT)
    assert following.wait(200) == 0, lab.said(1)
    ended = lab.view()
    assert (ended.state, ended.attempt, ended.exit, ended.problem) == (RunState.DONE, 1, None, None)
    assert weights(ended.run) == weights(finished.views()[0].run)
    shown = lab.goe("show", ended.run_id)
    assert "✓ done" in shown.stdout
    again = lab.goe("queue", "run")
    assert (again.returncode, lab.view().attempt) == (0, 1)


def test_a_worker_killed_after_its_supervisor_is_lost_and_resumed(lab: Lab, finished: Lab) -> None:
    lab.queue(ONE)
    queue = lab.start("queue", "run")
    view = halted(lab)
    assert view.launch is not None
    queue.kill()
    kill(view.launch.supervisor)
    kill(view.launch.worker)
    marked = os.environ | {MARK: mark_of(Attempt(view.run.attempts_dir / "1"))}
    orphan = subprocess.Popen(["sleep", "1000"], env=marked, start_new_session=True)  # a loader the worker left behind
    lost = lab.view()
    assert (lost.state, lost.exit, lost.needs_start) == (RunState.LOST, None, True)
    assert "? lost" in lab.goe("runs").stdout
    assert lab.goe("queue", "run").returncode == 0
    done = lab.view()
    assert (done.state, done.attempt) == (RunState.DONE, 2)
    assert orphan.wait(0) == -signal.SIGKILL
    assert Attempt(done.run.attempts_dir / "1").exit() is None
    assert weights(done.run) == weights(finished.views()[0].run)


def test_after_a_reboot_no_process_is_taken_for_one_of_before(lab: Lab, finished: Lab) -> None:
    """All is killed, and the pids with their start times belong to others now, of another boot."""
    lab.queue(ONE)
    queue = lab.start("queue", "run")
    view = halted(lab)
    assert view.launch is not None
    queue.kill()
    kill(view.launch.supervisor)
    kill(view.launch.worker)
    attempt = Attempt(view.run.attempts_dir / "1")
    me = myself()
    reused = msgspec.structs.replace(view.launch, supervisor=me, worker=me)
    write_json(attempt.launch_file, reused)
    write_json(lab.runs / ".queue.json", me)
    assert lab.view().state is RunState.RUNNING, "in the same boot it would be"
    before = msgspec.structs.replace(me, boot="00000000-0000-0000-0000-000000000000")
    write_json(attempt.launch_file, msgspec.structs.replace(reused, supervisor=before, worker=before))
    write_json(lab.runs / ".queue.json", before)
    assert lab.view().state is RunState.LOST
    assert lab.goe("queue", "run").returncode == 0
    done = lab.view()
    assert (done.state, done.attempt) == (RunState.DONE, 2)
    assert weights(done.run) == weights(finished.views()[0].run)


def test_a_sigterm_that_nobody_asked_for_is_a_preemption(lab: Lab) -> None:
    lab.queue(ONE.replace("epochs = 1", "epochs = 1000"))
    lab.start("queue", "run")
    os.kill(worker_pid(lab.wait_for_start()), signal.SIGTERM)
    view = lab.wait_for_end()
    assert view.exit is not None
    assert (view.state, view.exit.code, view.exit.cause) == (RunState.FAILED, 3, "preempted")
    assert "exit 3 (preempted)" in lab.goe("queue", "list").stdout
    assert "ended      exit 3 (preempted) after " in lab.goe("show", view.run_id).stdout
    assert view.problem is not None
    assert view.problem in lab.goe("runs").stderr


def test_a_machine_that_shuts_down_preempts(lab: Lab) -> None:
    """It sends SIGTERM to the supervisor, which kills the worker when that takes too long: a halted one does."""
    lab.queue(ONE.replace("epochs = 1", "epochs = 1000"))
    lab.start("queue", "run")
    view = halted(lab)
    assert view.launch is not None
    os.kill(view.launch.supervisor.pid, signal.SIGTERM)
    ended = lab.wait_for_end()
    assert ended.exit is not None
    assert (ended.state, ended.exit.signal, ended.exit.cause) == (RunState.FAILED, 9, "preempted")


# Read by every Python that the lab starts: a wall clock that runs `clock` seconds off.
OFF = """
import pathlib, time
true, clock = time.time, pathlib.Path({clock!r})
time.time = lambda: true() + float(clock.read_text())
"""


def test_a_clock_that_jumps_back_spoils_neither_state_nor_duration(lab: Lab) -> None:
    clock = lab.folder / "clock"
    clock.write_text("0")
    (lab.folder / "site").mkdir()
    (lab.folder / "site/sitecustomize.py").write_text(OFF.format(clock=str(clock)))
    lab.env["PYTHONPATH"] = os.pathsep.join(
        [str(lab.folder / "site"), *lab.env.get("PYTHONPATH", "").split(os.pathsep)]
    )
    lab.queue(ONE)
    queue = lab.start("queue", "run")
    view = halted(lab)
    beat = view.status
    clock.write_text("-7200")
    assert lab.view().state is RunState.RUNNING
    os.kill(worker_pid(view), signal.SIGCONT)
    assert queue.wait(200) == 0, lab.said(0)
    done = lab.view()
    assert done.exit is not None
    assert done.status is not None
    assert beat is not None
    assert done.status.updated < beat.updated - 3600, "the clock did jump"
    assert done.state is RunState.DONE
    assert 0 < done.exit.ended - done.exit.started < 3600
    assert [record.epoch for record in metrics(done.run) if record.kind == "epoch"] == [1]


MEMORY = Path("/sys/fs/cgroup/memory")


@contextlib.contextmanager
def memory_group(limit: int) -> Iterator[Path]:
    """A control group (version 1) whose processes may have `limit` bytes together."""
    group = MEMORY / f"goe-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no memory control group can be made: {error}")
    try:
        (group / "memory.limit_in_bytes").write_text(str(limit))
        yield group
    finally:
        group.rmdir()


@pytest.mark.skipif(not (MEMORY / "memory.limit_in_bytes").exists(), reason="no memory control groups of version 1")
def test_the_kernels_own_kill_is_told_from_others(lab: Lab) -> None:
    """The supervisor counts the kernel's kills where it lives; torch alone needs more than it is given here."""
    assert oom_kills() is not None
    with memory_group(150 << 20) as group:

        def enter() -> None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

        done = lab.goe("train", "--epochs", "1", preexec_fn=enter)
        view = lab.view()
        lab.close()
    assert view.exit is not None
    assert (view.state, view.exit.signal, view.exit.cause) == (RunState.FAILED, 9, "out-of-memory")
    assert "the kernel killed it: out of memory" in view.run.log_file.read_text(encoding="utf-8")
    assert view.problem is not None
    assert view.problem.startswith("ended by signal 9 (out-of-memory)")
    assert view.problem in done.stderr


OVERCOMMIT = Path("/proc/sys/vm/overcommit_memory")


@pytest.mark.skipif(
    OVERCOMMIT.exists() and OVERCOMMIT.read_text().strip() == "1", reason="this kernel promises memory it has not got"
)
def test_a_lack_of_memory_is_said_in_one_line_with_its_traceback_in_the_log(lab: Lab) -> None:
    """10^12 outliers of 3 kB are more than any machine holds."""
    done = lab.goe("train", "--epochs", "1", "--set", "outliers.size=1000000000000")
    view = lab.view()
    assert view.exit is not None
    assert (done.returncode, view.exit.code, view.exit.cause) == (6, 6, "out-of-memory"), done.stderr
    assert view.problem is not None
    assert view.problem.startswith("out of memory: ")
    assert "; a smaller batch-size needs less; the last checkpoint stands, and train.log has the" in view.problem
    assert "\n" not in view.problem
    assert view.problem in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in view.run.log_file.read_text(encoding="utf-8")


def test_a_damaged_checkpoint_is_passed_over_with_a_note(lab: Lab) -> None:
    """Killed in its third epoch, its `last` cut: it goes on from the newest that was kept."""
    lab.queue(ONE.replace("epochs = 1", "epochs = 3\nkeep-every = 1"))
    queue = lab.start("queue", "run")
    view = lab.wait_for_start()
    wait_until((view.run.checkpoints / "epoch-002.json").exists)
    wait_until(
        lambda: (last := read_json(view.run.checkpoints / "last.json", CheckpointIndex)) is not None and last.epoch >= 2
    )
    queue.kill()
    os.kill(worker_pid(view), signal.SIGKILL)
    killed = lab.wait_for_end()
    assert killed.exit is not None
    assert (killed.exit.signal, killed.exit.cause) == (9, "signal")
    index = read_json(view.run.checkpoints / "last.json", CheckpointIndex)
    assert index is not None
    damaged = view.run.checkpoints / index.weights
    damaged.write_bytes(damaged.read_bytes()[:-9])
    assert lab.goe("queue", "run").returncode == 0
    assert lab.view().state is RunState.DONE
    log = view.run.log_file.read_text(encoding="utf-8")
    assert f"warning: {damaged}: cut or altered: its SHA-256 is not the one in last.json; going on from" in log
    assert [record.epoch for record in metrics(view.run) if record.kind == "epoch"] == [1, 2, 3]

    whole = Lab(lab.folder / "whole")
    whole.folder.mkdir()
    shutil.copy(lab.folder / "experiments.toml", whole.folder)
    assert whole.goe("queue", "run").returncode == 0
    assert weights(view.run) == weights(whole.view().run)
