"""Runs on a real Slurm: arrays to their end, cancelled, past a time limit, preempted, drained and dead nodes, a new
controller, and accounts."""

import itertools
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from e2e.lab import TINY, wait_until, worker_pid
from slurmlab import SCRIPT, Cluster

from goe.core.overview import RunView
from goe.core.process import is_alive
from goe.core.records import MetricsTail
from goe.core.state import RunState
from goe.launch import slurmwatch

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(600)]

QUEUE = "[queue]\n"
ON_SLURM = f'{QUEUE}launcher = "slurm"\n[queue.slurm]\ncpus = 1\n'
LONG = TINY.replace("epochs = 1\n", "epochs = 100000\n")
ONE = '[[experiment]]\nname = "a"\n'

# Lines of shell in a worker's stead, where nothing hangs on what is trained: torch takes seconds to come.
UNTIL_STOPPED = "trap 'exit 3' TERM; until [ -e $run/attempts/*/stop ]; do sleep 0.05; done; exit 3"


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout


def update(*what: str) -> None:
    slurm("scontrol", "update", *what)


def metrics_steps(view: RunView) -> list[int]:
    tail = MetricsTail(view.run.metrics_file)
    tail.poll()
    assert tail.bad == 0
    return [record.step for record in tail.records if record.kind == "epoch"]


def last_epoch(lab: Cluster) -> int:
    (view,) = lab.views()
    return view.status.epoch if view.status else 0


def at_work(lab: Cluster, attempt: int = 1) -> bool:
    views = lab.views()
    return bool(views) and views[0].attempt == attempt and views[0].state is RunState.RUNNING


def end(daemon: Path, number: signal.Signals) -> None:
    """Send a daemon the signal and wait until it is gone."""
    pid = int(daemon.read_text())
    os.kill(pid, number)
    wait_until(lambda: not Path(f"/proc/{pid}").exists())


def array_of(lab: Cluster) -> str:
    """The one array that all runs are jobs of."""
    (array,) = {view.job.job.partition("_")[0] for view in lab.views() if view.job is not None}
    return array


def test_runs_go_to_their_end_and_nothing_is_left_but_them(lab: Cluster) -> None:
    lab.queue(f"{ON_SLURM}{TINY}seeds = [1, 2]\n{ONE}")
    queue = lab.quick("queue", "run")
    assert queue.wait(120) == 0, lab.said(0)
    assert [view.state for view in lab.views()] == [RunState.DONE] * 2
    array = array_of(lab)
    assert [view.launch.job for view in lab.views() if view.launch] == [f"{array}_0", f"{array}_1"]
    assert not (lab.runs / ".slurm").exists()
    assert not list(lab.runs.glob("*/slurm-*.out"))  # they had nothing to say


def test_an_array_runs_as_many_at_once_as_it_is_let_each_with_the_gpus_that_slurm_gave_it(lab: Cluster) -> None:
    lab.queue(f"{ON_SLURM}array-parallelism = 1\n{TINY}seeds = [1, 2, 3, 4]\ngpu-count = 2\n{ONE}")
    note = 'echo "$CUDA_VISIBLE_DEVICES" > $run/gpus; date +%s.%N > $run/from; sleep 0.5; date +%s.%N > $run/to'
    queue = lab.quick("queue", "run", worker=note)
    wait_until(lambda: lab.begun() == 1 and "JobArrayTaskLimit" in lab.goe("queue", "status").stdout, 60)
    assert queue.wait(120) == 0, lab.said(0)
    array_of(lab)
    runs = [view.run.path for view in lab.views()]
    times = sorted((float((run / "from").read_text()), float((run / "to").read_text())) for run in runs)
    assert len(times) == 4
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(times))
    assert {(run / "gpus").read_text() for run in runs} == {"0,1\n"}
    assert {(view.launch.gpus, view.launch.processes) for view in lab.views() if view.launch} == {((0, 1), 2)}


def test_waiting_and_running_ones_are_cancelled(lab: Cluster) -> None:
    lab.queue(f"{QUEUE}grace = 1\n{ON_SLURM.removeprefix(QUEUE)}{TINY}gpu-count = 2\nseeds = [1, 2, 3]\n{ONE}")
    lab.quick("queue", "run", worker="trap 'exit 3' TERM; while :; do sleep 0.05; done")  # heeds no request
    wait_until(lambda: lab.begun() == 2)
    waits = next(view for view in lab.views() if view.state is RunState.PENDING)
    wait_until(lambda: "waits (" in lab.goe("queue", "status").stdout, 60)
    said = lab.goe("cancel", *(view.run_id for view in lab.views()))
    assert said.returncode == 0, said.stderr
    assert {view.state for view in lab.views()} == {RunState.STOPPED}
    assert waits.job is not None
    wait_until(lambda: not slurm("squeue", "--noheader").strip(), 60)


def test_ahead_of_the_time_limit_slurm_signals_and_submitit_puts_the_job_back(lab: Cluster) -> None:
    lab.queue(f'{ON_SLURM}time = "1"\nlead = 50\n{TINY}seeds = [1, 2]\n{ONE}')
    turns = (
        "if [ -d $run/attempts/2 ]; then exit 0; fi; until [ -e $run/attempts/1/notice ]; do sleep 0.1; done; exit 3"
    )
    queue = lab.quick("queue", "run", worker=turns)
    assert queue.wait(120) == 0, lab.said(0)
    array = array_of(lab)
    for task, view in enumerate(lab.views()):
        first, second = view.run.numbered(1), view.run.numbered(2)
        ended, notice = first.exit(), first.notice()
        assert ended is not None
        assert notice is not None
        assert (ended.code, ended.cause) == (3, "preempted")
        assert notice.until - ended.started > 45  # in time, and not by the limit
        assert first.launch().job == second.launch().job == f"{array}_{task}"
        assert view.state is RunState.DONE


def test_a_next_turn_goes_on_from_the_checkpoint(lab: Cluster) -> None:
    lab.queue(f"{ON_SLURM}lead = 3\n{LONG}{ONE}")
    lab.quick("queue", "run")
    wait_until(lambda: at_work(lab) and last_epoch(lab) > 1, 60)
    job = lab.view().job
    assert job is not None
    slurm("scancel", "--batch", "--signal=USR2", job.job)  # as Slurm does ahead of the limit
    wait_until(lambda: at_work(lab, attempt=2), 60)
    view = lab.view()
    first = view.run.numbered(1)
    ended, status = first.exit(), first.status()
    assert ended is not None
    assert status is not None
    assert (ended.code, ended.cause) == (3, "preempted")
    wait_until(lambda: last_epoch(lab) > status.epoch + 1, 60)
    steps = metrics_steps(lab.view())
    assert steps == sorted(set(steps))  # no epoch twice, none left out
    assert [after - before for before, after in itertools.pairwise(steps)] == [8] * (len(steps) - 1)
    assert lab.goe("cancel", view.run_id).returncode == 0


def test_a_run_that_has_to_make_room_goes_on_when_there_is_some_again(lab: Cluster) -> None:
    lab.queue(f"{ON_SLURM}{TINY}{ONE}")
    turns = "if [ -d $run/attempts/2 ]; then exit 0; fi; trap 'exit 3' TERM; while :; do sleep 0.1; done"
    queue = lab.quick("queue", "run", worker=turns)
    wait_until(lambda: lab.begun() == 1)
    slurm("sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
    assert queue.wait(120) == 0, lab.said(0)
    first, second = (lab.view().run.numbered(number) for number in (1, 2))
    ended = first.exit()
    assert ended is not None
    assert ended.cause == "preempted"
    assert first.launch().job == second.launch().job  # Slurm put it back
    assert (lab.view().state, lab.view().attempt) == (RunState.DONE, 2)


def test_drained_nodes_start_nothing_and_it_is_said_why(lab: Cluster) -> None:
    update("NodeName=n[1-2]", "State=DRAIN", "Reason=test")
    try:
        lab.queue(f"{ON_SLURM}{TINY}{ONE}")
        queue = lab.quick("queue", "run", worker="exit 0")
        wait_until(lambda: "waits (" in lab.goe("queue", "status").stdout, 60)
        assert lab.view().state is RunState.PENDING
        assert "◌ pending" in lab.goe("runs").stdout
    finally:
        update("NodeName=n[1-2]", "State=RESUME")
    assert queue.wait(120) == 0
    assert lab.view().state is RunState.DONE


def test_a_controller_that_starts_anew_is_not_noticed_by_runs(lab: Cluster, slurm: Path) -> None:
    lab.queue(f"{ON_SLURM}{TINY}{ONE}")
    queue = lab.quick("queue", "run", worker="until [ -e $run/go ]; do sleep 0.05; done; touch $run/gone")
    wait_until(lambda: lab.begun() == 1)
    end(slurm / "run/slurmctld.pid", signal.SIGTERM)
    (lab.view().run.path / "go").touch()
    wait_until((lab.view().run.path / "gone").exists)
    up_again(slurm)
    assert queue.wait(200) == 0
    assert (lab.view().state, lab.view().attempt) == (RunState.DONE, 1)


def up_again(folder: Path, **env: str) -> None:
    port = next(
        line.partition("=")[2]
        for line in (folder / "etc/slurm.conf").read_text().splitlines()
        if line.startswith("SlurmctldPort=")
    )
    environment = {**os.environ, **env, "PORT": port}
    subprocess.run([SCRIPT, "up", folder], env=environment, capture_output=True, timeout=60, check=True)


def test_a_dead_nodes_run_goes_on_elsewhere_and_never_twice(lab: Cluster, slurm: Path) -> None:
    lab.queue(f"{ON_SLURM}directives = ['--nodelist=n1']\n{LONG}{ONE}")
    lab.quick("queue", "run")
    wait_until(lambda: at_work(lab))
    first = lab.view()
    old = worker_pid(first)
    wait_until(lambda: last_epoch(lab) > 2)
    end(slurm / "run/slurmd-n1.pid", signal.SIGKILL)
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


def test_a_killed_queue_is_followed_by_one_that_takes_over(lab: Cluster) -> None:
    lab.queue(f"{ON_SLURM}{TINY}gpu-count = 2\nseeds = [1, 2, 3]\n{ONE}")
    first = lab.quick("queue", "run", worker=UNTIL_STOPPED)
    wait_until(lambda: lab.begun() == 2)
    first.kill()
    first.wait(10)
    for view in lab.views():
        view.run.slurm_file.unlink()  # as if it had been killed right after sbatch
    second = lab.quick("queue", "run", worker=UNTIL_STOPPED)
    wait_until(lambda: all(view.job is not None for view in lab.views()), 60)
    array_of(lab)
    assert len(slurm("squeue", "--noheader", "--array").splitlines()) == 3
    for view in lab.views():
        lab.goe("stop", view.run_id)
    assert second.wait(120) == 1
    assert [view.attempt for view in lab.views()] == [1, 1, 1]


def test_fifty_queued_runs(lab: Cluster) -> None:
    lab.queue(f"{ON_SLURM}{TINY}seeds = {list(range(1, 51))}\n{ONE}")
    queue = lab.quick("queue", "run", worker="exec true")
    assert queue.wait(300) == 0, lab.said(0)
    views = lab.views()
    assert [view.state for view in views] == [RunState.DONE] * 50
    assert [view.attempt for view in views] == [1] * 50
    array_of(lab)


def test_the_accounts_know_what_the_controller_has_forgotten(
    accounted: tuple[Cluster, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, slurm_folder = accounted
    lab.queue(f"{ON_SLURM}{TINY}seeds = [1, 2]\n{ONE}")
    first = lab.quick("queue", "run", worker="until [ -e $run/go ]; do sleep 0.05; done; kill -9 $PPID")
    wait_until(lambda: lab.begun() == 2)
    first.kill()
    first.wait(10)
    for view in lab.views():
        (view.run.path / "go").touch()  # its supervisor dies without a word
    wait_until(lambda: slurm("sacct", "-X", "--noheader", "--format=State").split() == ["FAILED"] * 2, 60)
    end(slurm_folder / "run/slurmctld.pid", signal.SIGKILL)
    for state in (slurm_folder / "state").glob("job_state*"):
        state.unlink()
    up_again(slurm_folder, ACCOUNTS="1")
    assert not slurm("squeue", "--noheader", "--states=all").strip()
    for name in ("SOON_S", "SELDOM_S", "SETTLE_S"):
        monkeypatch.setattr(slurmwatch, name, 0.5)
    watch = slurmwatch.SlurmWatch(lab.runs)
    wait_until(lambda: watch.poll(lab.views()) and all(view.job and view.job.over for view in lab.views()), 30)
    array = array_of(lab)
    for task, view in enumerate(lab.views()):
        assert view.exit is not None
        assert (view.state, view.exit.cause) == (RunState.LOST, "lost")
        said = rf"job {array}_{task} ended as FAILED( \(\w+\))? on n[12] and left no exit code"
        assert re.fullmatch(said, str(view.problem))
    assert not (lab.runs / ".slurm").exists()
