"""The queue from file to table, and what kills and interrupts leave of it."""

import json
import os
import signal
import statistics
import sys

import pytest
from lab import TINY, Lab, metrics, wait_until, worker_pid

from goe.core.process import is_alive
from goe.core.records import EvalResult
from goe.core.rundir import read_json
from goe.core.state import RunState
from goe.launch.detached import queue_process

ONE = f"""{TINY}
[[experiment]]
name = "one"
"""
OOD = ["digits-8-9", "flower", "blobs", "gaussian-noise"]


def results(lab: Lab) -> list[EvalResult]:
    found = [read_json(path, EvalResult) for path in sorted(lab.runs.glob("*/eval/*.json"))]
    assert None not in found
    return [result for result in found if result is not None]


def test_a_queue_is_worked_through(finished: Lab) -> None:
    views = finished.views()
    assert [view.state for view in views] == [RunState.DONE, RunState.DONE]
    assert [view.attempt for view in views] == [1, 1]
    assert [view.exit.code for view in views if view.exit] == [0, 0]
    assert [view.config.seed for view in views if view.config] == [1, 2]
    said = (finished.folder / "said").read_text(encoding="utf-8")
    assert "2 runs: 2 done" in said
    assert all(said.count(f"{word}  {view.run_id}") == 1 for view in views for word in ("started", "ended  "))
    for view in views:
        assert [record.kind for record in metrics(view.run)].count("epoch") == 1
        assert view.status is not None
        assert (view.status.phase, view.status.epoch, view.status.step) == ("finished", 1, 8)
        environment = json.loads(view.run.env_file.read_text(encoding="utf-8"))
        assert view.config is not None
        assert environment["seed"] == view.config.seed
        assert environment["threads"] == 1
        assert environment["command"][-2] == "train"
    assert not (finished.runs / ".queue.json").exists()


def test_the_table_has_what_the_runs_measured(finished: Lab) -> None:
    rows = json.loads(finished.goe("table", "--format", "json").stdout)
    by_set = {(row["test_set"], row["metric"]): row for row in rows}
    assert list(dict.fromkeys(row["test_set"] for row in rows)) == ["digits", "average", *OOD]
    measured = results(finished)
    assert [result.run_id for result in measured] == [view.run_id for view in finished.views()]
    for name in OOD:
        values = [result.detection[name]["auroc"] for result in measured]
        row = by_set[name, "auroc"]
        assert row["mean"] == pytest.approx(statistics.fmean(values))
        assert row["std"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
        assert (row["n"], row["expected"]) == (2, 2)
    accuracies = [result.classification["accuracy"] for result in measured]
    assert by_set["digits", "accuracy"]["mean"] == pytest.approx(statistics.fmean(accuracies))
    assert {(row["experiment"], row["method"], row["id_dataset"], row["model"]) for row in rows} == {
        ("base", "baseline", "digits", "wrn-10-1")
    }
    assert {(row["score"], row["protocol"], row["checkpoint"]) for row in rows} == {("msp", "digits", "best")}


def test_the_table_says_which_seeds_are_missing(finished: Lab) -> None:
    text = (finished.folder / "experiments.toml").read_text(encoding="utf-8")
    finished.queue(text.replace("seeds = [1, 2]", "seeds = [1, 2, 3]"))
    done = finished.goe("table", "--format", "md")
    assert done.returncode == 0
    assert "| base | 2/3 |" in done.stdout
    assert done.stdout.count(" (2/3) |") == 6 + 4 * 4


def test_a_second_queue_run_starts_nothing(finished: Lab) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.runs.glob("*/**/*")}
    done = finished.goe("queue", "run")
    assert (done.returncode, done.stderr) == (0, "2 runs: 2 done\n")
    assert {path: path.stat().st_mtime_ns for path in finished.runs.glob("*/**/*")} == before


def test_an_interrupted_queue_leaves_training_alive(lab: Lab) -> None:
    lab.queue(ONE.replace("epochs = 1", "epochs = 1000"))
    queue = lab.start("queue", "run")
    worker = worker_pid(lab.wait_for_start())
    os.kill(worker, signal.SIGSTOP)
    queue.send_signal(signal.SIGINT)
    assert queue.wait(60) == 130
    assert "the queue ended; training goes on: one-s1-" in lab.said(0)
    assert "Traceback" not in lab.said(0)
    assert queue_process(lab.runs) is None
    assert worker_pid(lab.view()) == worker
    done = lab.goe("stop", lab.view().run_id, "--force")
    assert done.returncode == 0
    os.kill(worker, signal.SIGCONT)
    view = lab.wait_for_end()
    assert view.state is RunState.STOPPED


def test_a_killed_queue_is_replaced_by_the_next(lab: Lab) -> None:
    lab.queue(ONE)
    queue = lab.start("queue", "run")
    view = lab.wait_for_start()
    worker = worker_pid(view)
    os.kill(worker, signal.SIGSTOP)  # so that it can't end before the next queue is there
    queue.kill()
    queue.wait(60)
    assert queue_process(lab.runs) is None
    assert view.launch is not None
    assert is_alive(view.launch.supervisor)
    following = lab.start("queue", "run")
    wait_until(lambda: f"adopted  {view.run_id}: it runs already" in lab.said(1))
    assert queue_process(lab.runs) is not None
    os.kill(worker, signal.SIGCONT)
    assert following.wait(200) == 0
    ended = lab.view()
    assert (ended.state, ended.attempt) == (RunState.DONE, 1)
    assert ended.exit is not None
    assert (ended.exit.code, ended.exit.signal) == (0, None)
    assert ended.exit.peak_memory > 50 * 2**20
    assert "started" not in lab.said(1)


def test_a_killed_worker_is_resumed_by_the_next_queue(lab: Lab) -> None:
    lab.queue("[queue]\nretry = { signal = 0 }\n" + ONE.replace("epochs = 1", "epochs = 2"))
    queue = lab.start("queue", "run")
    view = lab.wait_for_start()
    wait_until((view.run.checkpoints / "last.json").exists)
    os.kill(worker_pid(view), signal.SIGKILL)
    assert queue.wait(60) == 1
    killed = lab.view()
    assert killed.exit is not None
    assert (killed.state, killed.exit.code, killed.exit.signal) == (RunState.FAILED, None, 9)
    assert "ended by signal 9" in lab.said(0)
    done = lab.goe("queue", "run")
    assert done.returncode == 0, done.stderr
    resumed = lab.view()
    assert (resumed.state, resumed.attempt) == (RunState.DONE, 2)
    records = metrics(resumed.run)
    assert [record.epoch for record in records if record.kind == "epoch"] == [1, 2]
    places = [(record.kind, record.step) for record in records]
    assert len(places) == len(set(places))


def test_two_queues_at_one_instant_start_each_run_once(lab: Lab) -> None:
    lab.queue(f'{TINY}\n[queue]\nslots = 2\n[[experiment]]\nname = "twice"\nseeds = [1, 2]\nepochs = 1000\n')
    module = ("-P", "-m", "goe.launch.runner", "runs", "experiments.toml")  # of two `goe queue run`, one refuses
    queues = [lab.start(*module, program=sys.executable) for _ in range(2)]

    def mentioned(number: int) -> int:
        return sum(lab.said(number).count(f"{word} twice-s") for word in ("started", "found"))

    wait_until(lambda: mentioned(0) == 2 and mentioned(1) == 2)
    assert (lab.said(0) + lab.said(1)).count("started twice-s") == 2
    assert [view.attempt for view in lab.views()] == [1, 1]
    assert all(view.state.is_live for view in lab.views())
    for queue in queues:
        queue.send_signal(signal.SIGINT)
        assert queue.wait(60) == 0
    for view in lab.views():
        # Looked at only now: the queue that lost holds a folder of its own here for the moment of its attempt.
        assert [path.name for path in view.run.attempts_dir.iterdir()] == ["1"]
