"""A run that was stopped and resumed is the run that was not."""

import os
import signal

import msgspec
from lab import TINY_OPTIONS, Lab, metrics, wait_until, worker_pid

from goe.core.records import CheckpointIndex, EvalResult
from goe.core.rundir import RunDir, read_json
from goe.core.state import RunState

# Everything with a state or chance of its own: momentum, dropout, mixing, filtering, a learning rate that changes.
OPTIONS = ("epochs=3", "dropout=0.1", "lr=0.02", "evaluate=last")
RUN = ["train", "--method", "goe", "--k", "4", *TINY_OPTIONS, *(f"--set={option}" for option in OPTIONS)]


def last(run: RunDir) -> CheckpointIndex:
    index = read_json(run.checkpoints / "last.json", CheckpointIndex)
    assert index is not None
    return index


def epochs(run: RunDir) -> list[dict[str, float | None]]:
    """What the epochs measured, less the clock's part."""
    found = [record.values for record in metrics(run) if record.kind == "epoch"]
    return [{name: values[name] for name in values if name not in {"images_per_s", "eta_s"}} for values in found]


def evaluation(run: RunDir) -> EvalResult:
    result = read_json(run.eval / "last-msp-digits.json", EvalResult)
    assert result is not None
    return msgspec.structs.replace(result, created=0.0)


def test_a_stopped_and_resumed_run_is_the_uninterrupted_one(lab: Lab) -> None:
    whole = lab.goe(*RUN, "--runs", "whole")
    assert whole.returncode == 0, whole.stderr

    # Before the first checkpoint: all steps so far are lost and done again.
    assert lab.goe(*RUN, "--detach").returncode == 0
    view = lab.view()
    stopped = lab.goe("stop", view.run_id)
    assert stopped.stderr == f"{view.run_id}: stopping after the current step\n"
    view = lab.wait_for_end()
    assert view.exit is not None
    assert (view.state, view.exit.code, view.attempt) == (RunState.STOPPED, 3, 1)
    assert view.status is not None
    assert view.status.phase == "stopped"
    assert list(view.run.checkpoints.iterdir()) == []
    assert [record.epoch for record in metrics(view.run)] == [1]

    # After one: the steps since then are lost.
    assert lab.goe(*RUN, "--detach").returncode == 0
    wait_until((view.run.checkpoints / "last.json").exists)
    worker = worker_pid(lab.view())
    os.kill(worker, signal.SIGSTOP)  # or the run could end before `goe stop` is there
    assert lab.goe("stop", view.run_id).returncode == 0
    assert lab.view().state is RunState.STOPPING
    os.kill(worker, signal.SIGCONT)
    view = lab.wait_for_end()
    assert view.exit is not None
    assert (view.state, view.exit.code, view.attempt) == (RunState.STOPPED, 3, 2)
    assert last(view.run).epoch < 3

    resumed = lab.goe(*RUN)
    assert resumed.returncode == 0, resumed.stderr
    view = lab.view()
    assert (view.state, view.attempt) == (RunState.DONE, 3)

    uninterrupted = RunDir(lab.folder / "whole" / view.run_id)
    ours, theirs = last(view.run), last(uninterrupted)
    assert (ours.epoch, ours.step) == (theirs.epoch, theirs.step) == (3, 24)
    for mine, other in ((ours.weights, theirs.weights), (ours.state, theirs.state)):
        assert (view.run.checkpoints / mine).read_bytes() == (uninterrupted.checkpoints / other).read_bytes()
    assert ours.best_accuracy == theirs.best_accuracy

    records = metrics(view.run)
    places = [(record.kind, record.step) for record in records]
    assert len(places) == len(set(places)), "no step is shown twice"
    steps = [record.step for record in records]
    assert steps == sorted(steps)
    assert len(epochs(view.run)) == 3
    assert epochs(view.run) == epochs(uninterrupted)
    assert evaluation(view.run) == evaluation(uninterrupted)
