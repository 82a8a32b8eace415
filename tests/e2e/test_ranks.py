"""A run of two processes as its user sees it: paused, killed, stopped, resumed by one and by two; what is refused."""

import os
import signal
from pathlib import Path

import pytest
from lab import TINY, TINY_OPTIONS, Lab, metrics, wait_until

from goe.core.overview import RunView
from goe.core.process import identify, is_halted
from goe.core.records import CheckpointIndex
from goe.core.rundir import RunDir, read_json
from goe.core.state import RunState
from goe.launch.family import members

TRAIN = ("train", "--model", "wrn-10-1", "--method", "goe", "--k", "2", *TINY_OPTIONS)


def ranks_of(run: RunDir) -> dict[int, int]:
    """Pids of the live ranks by number."""
    attempt = run.attempt()
    found = {}
    for pid in members(attempt) if attempt is not None else ():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        found |= {int(entry[5:]): pid for entry in environment if entry.startswith(b"RANK=")}
    return found


def start(lab: Lab, *options: str) -> RunView:
    """A run of two processes that has written a checkpoint in this attempt."""
    before = {view.run_id: view.attempt for view in lab.views()}
    assert lab.goe(*TRAIN, "--detach", *options).returncode == 0
    wait_until(lambda: lab.view().attempt > before.get(lab.view().run_id, 0) and _trains(lab.view()))
    return lab.view()


def _trains(view: RunView) -> bool:
    return view.status is not None and view.status.phase == "training" and len(metrics(view.run)) > 1 and view.is_live


def epoch(run: RunDir) -> int:
    index = read_json(run.checkpoints / "last.json", CheckpointIndex)
    return 0 if index is None else index.epoch


def test_two_processes_from_start_to_end(lab: Lab) -> None:
    """Paused and continued, a rank killed; then resumed by one process, stopped, and finished by two."""
    long = ("--epochs", "60")
    view = start(lab, *long, "--processes", "2")
    run = view.run
    assert view.launch is not None
    assert view.launch.processes == 2
    wait_until(lambda: epoch(run) >= 1)
    ranks = ranks_of(run)
    assert ranks.keys() == {0, 1}

    assert lab.goe("pause", view.run_id).returncode == 0
    assert lab.view().state is RunState.PAUSED
    for pid in ranks.values():
        process = identify(pid)
        assert process is not None
        wait_until(lambda process=process: is_halted(process) is True)  # type: ignore[misc]
    assert lab.goe("resume", view.run_id).returncode == 0
    there = epoch(run)
    wait_until(lambda: epoch(run) > there)

    os.kill(ranks[1], signal.SIGKILL)
    wait_until(lambda: not lab.view().is_live)
    view = lab.view()
    assert view.state is RunState.FAILED
    assert view.exit is not None
    assert view.exit.signal == signal.SIGKILL
    assert view.status is not None
    assert view.status.error == "rank 1 ended by SIGKILL"
    attempt = run.attempt()
    assert attempt is not None
    assert members(attempt) == []
    assert "Traceback" not in run.log_file.read_text()
    reached = epoch(run)

    start(lab, *long)  # by one
    wait_until(lambda: epoch(run) > reached)
    assert lab.view().launch.processes == 1  # type: ignore[union-attr]
    assert lab.goe("stop", view.run_id).returncode == 0
    wait_until(lambda: not lab.view().is_live)
    assert lab.view().state is RunState.STOPPED
    between = epoch(run)

    start(lab, *long, "--processes", "2")
    wait_until(lambda: epoch(run) > between)
    view = lab.view()
    assert view.launch is not None
    assert view.launch.worker is not None
    os.kill(view.launch.worker.pid, signal.SIGTERM)  # nobody asked goe for it
    wait_until(lambda: not lab.view().is_live)
    view = lab.view()
    assert view.exit is not None
    assert (view.exit.code, view.exit.cause) == (3, "preempted")
    assert [record.kind for record in metrics(run)].count("resume") == 0  # they are folded into the records
    assert run.log_file.read_text().count("stopped on request") == 2


def test_after_a_death_all_are_started_anew_and_come_to_the_end(lab: Lab) -> None:
    view = start(lab, "--epochs", "4", "--processes", "2", "--restarts", "1")
    run = view.run
    wait_until(lambda: epoch(run) >= 1)
    os.kill(ranks_of(run)[0], signal.SIGKILL)
    wait_until(lambda: not lab.view().is_live)
    view = lab.view()
    assert view.state is RunState.DONE
    assert view.attempt == 1
    assert "rank 0 ended by SIGKILL; all are started anew from the last checkpoint" in run.log_file.read_text()
    assert b'"resume"' in run.metrics_file.read_bytes()
    assert [record.epoch for record in metrics(run) if record.kind == "epoch"] == [1, 2, 3, 4]
    assert list(run.eval.glob("*.json"))


def test_no_death_leaves_ranks_behind(lab: Lab) -> None:
    view = start(lab, "--epochs", "60", "--processes", "2")
    assert view.launch is not None
    assert view.launch.worker is not None
    ranks = ranks_of(view.run)
    os.kill(view.launch.supervisor.pid, signal.SIGKILL)
    os.kill(view.launch.worker.pid, signal.SIGKILL)
    wait_until(lambda: not ranks_of(view.run), timeout=10)
    assert len(ranks) == 2
    wait_until(lambda: lab.view().state is RunState.LOST)  # a killed process may be a moment in dying


def test_a_failure_ends_the_run_as_it_ends_one_process(lab: Lab) -> None:
    done = lab.goe(*TRAIN, "--epochs", "2", "--processes", "2", "--set", "lr=1e30")
    view = lab.view()
    assert done.returncode == 4
    assert view.exit is not None
    assert (view.exit.code, view.exit.cause) == (4, "non-finite")
    assert view.status is not None
    assert view.status.error is not None
    assert "loss" in view.status.error
    assert view.run.log_file.read_text().count("error: ") == 1


def test_missing_data_is_told_as_by_one_process(lab: Lab) -> None:
    done = lab.goe("train", "--dataset", "cifar10", "--epochs", "1", "--processes", "2")
    view = lab.view()
    assert done.returncode == 2
    assert view.exit is not None
    assert (view.exit.code, view.exit.cause) == (2, "user")
    assert view.status is not None
    assert view.status.error is not None
    assert "goe data fetch" in view.status.error


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--processes", "101"], "--processes: 101 for batch-size = 100"),
        (["--processes", "99"], "CPU cores; use at most as many"),
        (["--processes", "0"], "'--processes'"),
        (["--gpus", "2"], "--gpu-count 2: this machine has no GPU; --processes is for the CPU"),
        (["--gpu-count", "2", "--gpu-id", "0"], "--gpu-count: goes without --gpu-id"),
    ],
)
def test_what_cannot_be_is_refused_before_it_starts(lab: Lab, options: list[str], said: str) -> None:
    done = lab.goe(*TRAIN, *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert not [view for view in lab.views() if view.attempt]


def test_the_queue_shares_a_run_and_its_check_knows_what_cannot_be(lab: Lab) -> None:
    lab.queue(TINY + '[[experiment]]\nname = "two"\nprocesses = 2\n')
    assert lab.goe("queue", "run").returncode == 0
    view = lab.view()
    assert view.state is RunState.DONE
    assert view.launch is not None
    assert view.launch.processes == 2

    lab.queue(TINY + '[[experiment]]\nname = "two"\nprocesses = 101\ngpus = 2\n')
    done = lab.goe("queue", "check")
    assert done.returncode == 2
    assert "processes: 101 for batch-size = 100; each process needs at least one image of a batch" in done.stderr
    assert "gpu-count says how many GPUs a run takes" in done.stderr
