"""Runs on a real Slurm: to the end, cancelled, past a time limit, drained and dead nodes, and a new controller."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.lab import TINY, Lab, wait_until, worker_pid

from goe.core.overview import RunView
from goe.core.process import is_alive
from goe.core.records import MetricsTail
from goe.core.state import RunState

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(600)]

SCRIPT = Path(__file__).with_name("cluster.sh")
ON_SLURM = '[queue]\nlauncher = "slurm"\n[queue.slurm]\ncpus = 1\n'
LONG = TINY.replace("epochs = 1\n", "epochs = 100000\n")
ONE = '[[experiment]]\nname = "a"\n'


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout


def update(*what: str) -> None:
    slurm("scontrol", "update", *what)


def metrics_steps(view: RunView) -> list[int]:
    tail = MetricsTail(view.run.metrics_file)
    tail.poll()
    assert tail.bad == 0
    return [record.step for record in tail.records if record.kind == "epoch"]


def last_epoch(lab: Lab) -> int:
    (view,) = lab.views()
    return view.status.epoch if view.status else 0


def at_work(lab: Lab, attempt: int = 1) -> bool:
    views = lab.views()
    return bool(views) and views[0].attempt == attempt and views[0].state is RunState.RUNNING


def pid_of(file: Path) -> int:
    return int(file.read_text())


def test_a_run_goes_to_its_end_with_the_gpus_that_slurm_gave_it(lab: Lab) -> None:
    lab.queue(f"{ON_SLURM}{LONG}gpu-count = 2\n{ONE}")
    queue = lab.start("queue", "run")
    wait_until(lambda: at_work(lab))
    view = lab.view()
    assert view.launch is not None
    assert view.job is not None
    assert (view.launch.job, view.launch.gpus, view.launch.processes) == (view.job.job, (0, 1), 2)
    environment = Path(f"/proc/{worker_pid(view)}/environ").read_text().split("\0")
    assert "CUDA_VISIBLE_DEVICES=0,1" in environment
    wait_until(lambda: f"job {view.job.job} on n" in lab.goe("queue", "status").stdout, 60)  # type: ignore[union-attr]
    lab.goe("stop", view.run_id)
    assert queue.wait(120) == 1
    assert lab.view().state is RunState.STOPPED
    lab.queue(f"{ON_SLURM}{TINY}{ONE}")
    done = lab.goe("queue", "run")
    assert done.returncode == 0, done.stderr


def test_waiting_and_running_ones_are_cancelled(lab: Lab) -> None:
    lab.queue(f"{ON_SLURM}{LONG}gpu-count = 2\nseeds = [1, 2, 3]\n{ONE}")
    lab.start("queue", "run")
    wait_until(lambda: [view.state for view in lab.views()].count(RunState.RUNNING) == 2)
    waits = next(view for view in lab.views() if view.state is RunState.PENDING)
    wait_until(lambda: "waits (" in lab.goe("queue", "status").stdout, 60)
    said = lab.goe("cancel", *(view.run_id for view in lab.views()))
    assert said.returncode == 0, said.stderr
    assert {view.state for view in lab.views()} == {RunState.STOPPED}
    assert waits.job is not None
    wait_until(lambda: not slurm("squeue", "--noheader").strip(), 60)


def test_past_the_time_limit_it_goes_on_from_its_checkpoint(lab: Lab) -> None:
    lab.queue(f'{ON_SLURM}time = "1"\nlead = 30\n{LONG}{ONE}')
    lab.start("queue", "run")
    wait_until(lambda: at_work(lab), 60)
    wait_until(lambda: at_work(lab, attempt=2), 150)
    view = lab.view()
    first = view.run.numbered(1)
    ended, launches = first.exit(), [view.run.numbered(number).launch() for number in (1, 2)]
    assert ended is not None
    assert (ended.code, ended.cause) == (3, "preempted")
    assert first.notice() is not None
    assert launches[0].job == launches[1].job
    status = first.status()
    assert status is not None
    wait_until(lambda: last_epoch(lab) > status.epoch + 1, 60)
    steps = metrics_steps(lab.view())
    assert steps == sorted(set(steps))  # no epoch twice, none left out
    assert [after - before for before, after in itertools.pairwise(steps)] == [8] * (len(steps) - 1)
    assert lab.goe("cancel", view.run_id).returncode == 0


def test_a_preempted_run_goes_on_and_is_no_failure(lab: Lab) -> None:
    lab.queue(f"{ON_SLURM}{LONG}{ONE}retry = {{ preempted = 0 }}\n")
    queue = lab.start("queue", "run")
    wait_until(lambda: at_work(lab) and last_epoch(lab) > 1)
    job = lab.view().job
    assert job is not None
    slurm("scontrol", "requeue", job.job)  # what Slurm does to make room, SIGTERM and all
    wait_until(lambda: at_work(lab, attempt=2), 120)
    assert queue.poll() is None
    launches = [lab.view().run.numbered(number).launch() for number in (1, 2)]
    assert launches[0].job == launches[1].job == job.job
    assert lab.goe("cancel", lab.view().run_id).returncode == 0


def test_drained_nodes_start_nothing_and_it_is_said_why(lab: Lab) -> None:
    update("NodeName=n[1-2]", "State=DRAIN", "Reason=test")
    try:
        lab.queue(f"{ON_SLURM}{TINY}{ONE}")
        queue = lab.start("queue", "run")
        wait_until(lambda: "waits (" in lab.goe("queue", "status").stdout, 60)
        assert lab.view().state is RunState.PENDING
        assert "◌ pending" in lab.goe("runs").stdout
    finally:
        update("NodeName=n[1-2]", "State=RESUME")
    assert queue.wait(120) == 0
    assert lab.view().state is RunState.DONE


def test_a_controller_that_starts_anew_is_not_noticed_by_runs(lab: Lab, slurm: Path) -> None:
    lab.queue(f"{ON_SLURM}{TINY.replace('epochs = 1', 'epochs = 12')}{ONE}")
    queue = lab.start("queue", "run")
    wait_until(lambda: at_work(lab))
    os.kill(pid_of(slurm / "run/slurmctld.pid"), signal.SIGTERM)
    before = last_epoch(lab)
    wait_until(lambda: last_epoch(lab) > before + 1)
    up_again(slurm)
    assert queue.wait(200) == 0
    assert (lab.view().state, lab.view().attempt) == (RunState.DONE, 1)


def up_again(folder: Path) -> None:
    port = next(
        line.partition("=")[2]
        for line in (folder / "etc/slurm.conf").read_text().splitlines()
        if line.startswith("SlurmctldPort=")
    )
    subprocess.run(
        [SCRIPT, "up", folder], env={**os.environ, "PORT": port}, capture_output=True, timeout=60, check=True
    )


def test_a_dead_nodes_run_goes_on_elsewhere_and_never_twice(lab: Lab, slurm: Path) -> None:
    lab.queue(f"{ON_SLURM}directives = ['--nodelist=n1']\n{LONG}{ONE}")
    lab.start("queue", "run")
    wait_until(lambda: at_work(lab))
    first = lab.view()
    old = worker_pid(first)
    wait_until(lambda: last_epoch(lab) > 2)
    os.kill(pid_of(slurm / "run/slurmd-n1.pid"), signal.SIGKILL)
    job = first.job
    assert job is not None
    try:
        update("NodeName=n1", "State=DOWN", "Reason=test")  # Slurm puts the job back; its process is still there
        assert Path(f"/proc/{old}").exists()
        update(f"JobId={job.job}", "ReqNodeList=n2")
        wait_until(lambda: at_work(lab, attempt=2), 120)
        assert first.launch is not None
        assert first.launch.worker is not None
        assert not is_alive(first.launch.worker)
    finally:
        up_again(slurm)  # the node reports, and is up by that
    assert lab.goe("cancel", first.run_id).returncode == 0


def test_a_killed_queue_is_followed_by_one_that_takes_over(lab: Lab) -> None:
    lab.queue(f"{ON_SLURM}{LONG}gpu-count = 2\nseeds = [1, 2, 3]\n{ONE}")
    first = lab.start("queue", "run")
    wait_until(lambda: [view.state for view in lab.views()].count(RunState.RUNNING) == 2)
    first.kill()
    first.wait(10)
    second = lab.start("queue", "run")
    wait_until(lambda: lab.said(1).count("adopted") == 3)
    assert len(slurm("squeue", "--noheader").splitlines()) == 3
    for view in lab.views():
        lab.goe("stop", view.run_id)
    assert second.wait(120) == 1
    assert [view.attempt for view in lab.views()] == [1, 1, 1]


def test_fifty_queued_runs(lab: Lab) -> None:
    """With workers that do nothing: fifty times torch would take minutes."""
    lab.queue(f"{ON_SLURM}{TINY}seeds = {list(range(1, 51))}\n{ONE}")
    noop = Path(__file__).parents[2] / "benchmarks" / "noop.py"
    lab.runs.mkdir()
    queue = lab.start(str(noop), str(lab.folder), "exec true", "runs", "experiments.toml", program=sys.executable)
    assert queue.wait(300) == 0, lab.said(0)
    views = lab.views()
    assert [view.state for view in views] == [RunState.DONE] * 50
    assert [view.attempt for view in views] == [1] * 50
