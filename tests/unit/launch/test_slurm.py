"""Runs as jobs of Slurm, with clients that say what a test scripts: submission, states, ends, and what may go wrong."""

import itertools
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fake_slurm import FakeSlurm, installed
from msgspec.structs import replace
from submitit.core.utils import DelayedSubmission, JobPaths

from goe.core import rundir
from goe.core.config import complete
from goe.core.errors import EXIT_STOPPED, ConfigError
from goe.core.jobs import Job, JobOptions, Retry
from goe.core.overview import RunView, view_run
from goe.core.process import ProcessId
from goe.core.queuefile import QueueOptions, load_queue
from goe.core.records import Exit, Launch, Status
from goe.core.report import describe, job_text
from goe.core.rundir import Attempt, RunDir, write_json
from goe.core.slurm import SlurmJob, SlurmRequest
from goe.core.state import RunState
from goe.launch import slurmclient
from goe.launch.base import LaunchError, Start
from goe.launch.control import cancel, resume
from goe.launch.events import Event
from goe.launch.launchers import is_job, places_for, stop
from goe.launch.look import Look
from goe.launch.plan import Plan, Stand
from goe.launch.queueloop import Runner
from goe.launch.retry import read_past
from goe.launch.slurm import SlurmLauncher, SlurmSlot, SlurmSlots
from goe.launch.slurmbatch import comment, job_name, open_batch, output_file
from goe.launch.slurmclient import ARRAY_JOBS, CrowdedError, SlurmError, UnansweredError
from goe.launch.slurmwatch import SETTLE_S, SlurmWatch

ELSEWHERE = ProcessId(pid=1, start="1", boot="another", host="n1")
NOW = 1_900_000_000.0
USUAL = SlurmRequest()


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    return installed(tmp_path / "slurm", monkeypatch)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return made(tmp_path)


def made(folder: Path, seed: int = 1) -> RunDir:
    config = complete({"experiment": "a", "seed": seed, "dataset": "digits"}, lambda *_: None)
    assert config is not None
    return RunDir.create(folder / "runs", config)


class Lookout(SlurmWatch):
    """A watch whose time a test moves."""

    def __init__(self, runs: Path) -> None:
        self.at = 0.0
        super().__init__(runs, clock=lambda: self.at, now=lambda: NOW + self.at)

    def ask(self, *runs: RunDir, later: float = 200.0) -> bool:
        """Poll after so many seconds."""
        self.at += later
        return self.poll(view_run(run) for run in runs)


@pytest.fixture
def watch(run: RunDir) -> Lookout:
    return Lookout(run.path.parent)


def submitted(run: RunDir, request: SlurmRequest = USUAL, *, attempt: int = 1) -> str:
    assert SlurmLauncher().launch([Start(run, SlurmSlot(request=request), attempt)]) == [True]
    return known(run).job


def known(run: RunDir) -> SlurmJob:
    """What is written down of its job."""
    job = run.job()
    assert job is not None
    return job


def begun(run: RunDir, job: str, *, attempt: int = 1, epoch: int = 1) -> Attempt:
    """The attempt as a supervisor on a node claims it, its worker at work."""
    claimed = run.claim(Launch(attempt=attempt, launcher="slurm", supervisor=ELSEWHERE, job=job, started=time.time()))
    assert claimed is not None
    beat(claimed, epoch)
    return claimed


def beat(attempt: Attempt, epoch: int = 1) -> None:
    write_json(attempt.status_file, Status(phase="training", epoch=epoch, epochs=9, updated=time.time()))


def left(attempt: Attempt, *, code: int | None = 1, signal: int | None = None, cause: str = "bug") -> None:
    """The supervisor's last word."""
    now = time.time()
    write_json(
        attempt.exit_file, Exit(code=code, signal=signal, started=now - 9, ended=now, peak_memory=1, cause=cause)
    )


def state(run: RunDir) -> RunState:
    return view_run(run).state


# Submission


def test_a_submitted_run_waits_and_says_why_and_until_when(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = submitted(run)
    view = view_run(run)
    assert (view.state, view.attempt, view.launch, view.needs_start) == (RunState.PENDING, 0, None, False)
    assert is_job(view)
    slurm.say(job, "PENDING", "Resources", start="1900003600")
    assert watch.ask(run)
    found = run.job()
    assert found is not None
    assert (found.reason, found.start, found.seen) == ("Resources", 1_900_003_600.0, NOW + 200)
    assert job_text(found).startswith("job 101 waits (Resources), expected to start 20")
    assert f"slurm      {job_text(found)}" in describe(view_run(run))


def test_the_script_asks_for_what_was_written(tmp_path: Path, slurm: FakeSlurm) -> None:
    run = made(tmp_path / "it's 100% odd")
    request = SlurmRequest(
        partition="gpu", account="lab", qos="high", time="1-12", gres="gpu:a100", constraint="fast&big", cpus=8,
        memory="16G", lead=300, directives=("--exclude=n7", "--mem=32G", "--exclusive"), setup=("module load cuda",),
    )  # fmt: skip
    slot = SlurmSlot(request=request, gpu_count=2, processes=2, restarts=1)
    assert SlurmLauncher().launch([Start(run, slot, 3)]) == [True]
    batch = run.path.parent / ".slurm" / known(run).batch
    assert slurm.asked("101") == {
        "partition": "gpu", "account": "lab", "qos": "high", "time": "1-12", "gres": "gpu:a100:2", "nodes": "1",
        "constraint": "fast&big", "cpus-per-task": "8", "signal": "B:USR2@300", "requeue": "", "ntasks": "1",
        "open-mode": "append", "job-name": f"{run.run_id}.{batch.name}", "comment": f"goe:{batch}",
        "output": f"{batch}/%j.out".replace("100%", "100%%"), "exclude": "n7", "mem": "32G", "exclusive": "",
    }  # fmt: skip
    lines = slurm.script("101").splitlines()
    assert lines.index("trap '' USR2") < lines.index("module load cuda") < len(lines) - 1
    assert lines[-1] == f"exec {sys.executable} -P -u -m submitit.core._submit {shlex.quote(str(batch))}"


def test_what_nobody_asked_for_is_left_to_the_cluster(run: RunDir, slurm: FakeSlurm) -> None:
    job = submitted(run, SlurmRequest(gres="", lead=0))
    assert slurm.asked(job).keys() == {
        "comment", "job-name", "nodes", "ntasks", "open-mode", "output", "requeue",
    }  # fmt: skip


def test_runs_that_ask_for_the_same_are_one_array(tmp_path: Path, slurm: FakeSlurm) -> None:
    runs = [made(tmp_path, seed) for seed in (1, 2, 3)]
    slot = SlurmSlot(request=SlurmRequest(array_parallelism=2))
    launcher = SlurmLauncher()
    assert launcher.launch([Start(run, slot, number) for number, run in enumerate(runs, start=1)]) == [True] * 3
    assert [(known(run).job, known(run).attempt) for run in runs] == [("101_0", 1), ("101_1", 2), ("101_2", 3)]
    assert slurm.count("sbatch") == 1
    asked = slurm.asked("101")
    assert asked["array"] == "0-2%2"
    assert asked["output"].endswith("/%A_%a.out")
    assert asked["job-name"] == f"{runs[0].run_id}+2.{known(runs[0]).batch}"
    assert {known(run).batch for run in runs} == {known(runs[0]).batch}
    watch = Lookout(tmp_path / "runs")
    slurm.say("101_1", "RUNNING", nodes="n1")
    slurm.say("101_2", "PENDING", "JobArrayTaskLimit")
    watch.ask(*runs)
    assert [state(run) for run in runs] == [RunState.PENDING, RunState.STARTING, RunState.PENDING]
    assert known(runs[2]).reason == "JobArrayTaskLimit"
    stop(runs[2])
    assert slurm.calls[-1] == "scancel 101_2"
    assert [state(run) for run in runs] == [RunState.PENDING, RunState.STARTING, RunState.STOPPED]


def test_a_job_finds_what_it_is_to_call_whatever_became_of_who_submitted_it(
    tmp_path: Path, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOE_DATA", "/big/disk")
    runs = [made(tmp_path / "it's odd", seed) for seed in (1, 2)]
    slurm.told("dies", "")  # sbatch is killed before it can answer, but the array is there
    with pytest.raises(UnansweredError, match="sbatch: was killed before it could answer"):
        SlurmLauncher().launch([Start(run, SlurmSlot(), attempt) for attempt, run in enumerate(runs, start=4)])
    assert [state(run) for run in runs] == [RunState.QUEUED] * 2
    script = slurm.script("101").splitlines()
    shell = "\n".join(script[: next(at for at, line in enumerate(script) if line.startswith("exec "))])
    for task in ("0", "1"):
        variables = {"SLURM_JOB_ID": "109", "SLURM_ARRAY_JOB_ID": "101", "SLURM_ARRAY_TASK_ID": task}
        subprocess.run(["bash", "-ec", shell], check=True, env={**os.environ, **variables})
    (batch,) = (tmp_path / "it's odd/runs/.slurm").iterdir()
    turns = [DelayedSubmission.load(JobPaths(batch, f"101_{task}").submitted_pickle).function for task in (0, 1)]
    assert [turn.run for turn in turns] == [str(run.path) for run in runs]
    assert [turn.data for turn in turns] == ["/big/disk"] * 2
    Lookout(runs[0].path.parent).ask(*runs)
    assert [(known(run).job, known(run).attempt) for run in runs] == [("101_0", 4), ("101_1", 5)]
    assert [state(run) for run in runs] == [RunState.PENDING] * 2


def test_no_array_is_larger_than_the_cluster_takes(slurm: FakeSlurm) -> None:
    assert SlurmLauncher().most == ARRAY_JOBS
    slurm.told("arrays", "20")
    launcher = SlurmLauncher()
    assert launcher.most == launcher.most == 20
    assert slurm.count("scontrol") == 2
    slurm.told("arrays", "0")
    assert SlurmLauncher().most == 1
    slurm.told("down", "slurm_load_ctl_conf error: Unable to contact slurm controller (connect failure)")
    launcher = SlurmLauncher()
    assert launcher.most == ARRAY_JOBS
    slurm.told("down", None)
    assert launcher.most == 1  # what could not be asked is asked again


def test_an_experiments_request_comes_before_the_queues(slurm: FakeSlurm) -> None:
    usual = SlurmRequest(partition="gpu", time="60", directives=("--exclude=n7",))
    slots = SlurmSlots(QueueOptions(launcher="slurm", slurm=usual))
    given = slots.take(JobOptions(gpu_count=2, slurm=SlurmRequest(time="120", directives=())), [])
    assert given is not None
    assert given.request == SlurmRequest(partition="gpu", time="120", directives=())
    assert given.gpu_count == 2


def test_no_more_jobs_than_allowed(tmp_path: Path, slurm: FakeSlurm) -> None:
    slots = places_for(QueueOptions(launcher="slurm", max_jobs=2))
    runs = [made(tmp_path, seed) for seed in (1, 2)]
    submitted(runs[0])
    assert slots.take(JobOptions(), [view_run(runs[0])])
    submitted(runs[1])
    views = [view_run(run) for run in runs]
    assert slots.take(JobOptions(), views) is None
    assert slots.why(JobOptions(), views) == "at most 2 jobs at once (max-jobs); 2 are in Slurm"


# Bad input


def test_without_sbatch_on_path_no_queue_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r'launcher = "slurm": sbatch: not found on PATH; .* login nodes'):
        places_for(QueueOptions(launcher="slurm"))


def test_gpus_are_not_named_where_slurm_chooses_them(slurm: FakeSlurm) -> None:
    with pytest.raises(ConfigError, match=r'gpus: with launcher = "slurm" Slurm chooses'):
        places_for(QueueOptions(launcher="slurm", gpus=(0,)))
    with pytest.raises(ConfigError, match=r"--gpus: with launcher"):
        places_for(QueueOptions(launcher="slurm"), ["0"])


REFUSALS = {
    "sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed: Invalid partition "
    "name specified": "sinfo` lists the partitions: correct slurm.partition",
    "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified": "account",
    "sbatch: error: Invalid generic resource (gres) specification": 'correct slurm.gres, "" asks for none',
    "sbatch: error: Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)": "",
}


@pytest.mark.parametrize(("said", "advice"), REFUSALS.items())
def test_a_rejected_submission_says_slurms_words(run: RunDir, slurm: FakeSlurm, said: str, advice: str) -> None:
    slurm.told("refuse", said)
    with pytest.raises(LaunchError) as caught:
        submitted(run)
    words = said.splitlines()[-1].removeprefix("sbatch: error: ")
    assert words in str(caught.value)
    assert advice in str(caught.value)
    assert state(run) is RunState.QUEUED
    assert not (run.path.parent / ".slurm").exists()


BUSY = (
    "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
    "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
)


@pytest.mark.parametrize("said", BUSY)
def test_what_passes_by_itself_is_no_refusal(run: RunDir, slurm: FakeSlurm, said: str) -> None:
    slurm.told("refuse", said)
    with pytest.raises(UnansweredError):
        submitted(run)


def test_a_client_that_hangs_is_given_up(run: RunDir, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurmclient, "TIMEOUT_S", 0.2)
    slurm.told("hang", "")
    with pytest.raises(UnansweredError, match=r"squeue: no answer within 0\.2 s; is the Slurm controller up"):
        slurmclient.list_jobs()


def test_a_folder_whose_name_submitit_would_take_for_a_pattern_is_refused(tmp_path: Path, slurm: FakeSlurm) -> None:
    run = made(tmp_path / "50%a")
    with pytest.raises(LaunchError, match=f"{tmp_path}/50%a/runs: submitit takes no folder with %j, %t, %A, %a"):
        submitted(run)
    assert slurm.count("sbatch") == 0


def test_settings_are_checked_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "experiments.toml"
    path.write_text(
        '[queue]\nlauncher = "slurm"\n[queue.slurm]\npartitoin = "gpu"\ntime = "2 hours"\nmemory = "lots"\n'
        'directives = ["--exclude=n7", "exclusive", "--output=x", "-x n7", "--quiet"]\n'
        'array-parallelism = 0\n[defaults]\ndataset = "digits"\n'
        '[[experiment]]\nname = "a"\n[experiment.slurm]\ntime = "x"\n'
    )
    with pytest.raises(ConfigError) as caught:
        load_queue(path)
    said = str(caught.value)
    assert f'{path}:4: slurm: unknown key "partitoin" (did you mean "partition"?)' in said
    assert f'{path}:5: slurm.time: "2 hours" is no time limit of Slurm' in said
    assert f'{path}:6: slurm.memory: "lots"' in said
    assert f'{path}:7: slurm.directives: "exclusive" is no long option of sbatch' in said
    assert f'{path}:7: slurm.directives: "--output=x": goe needs --output as it is' in said
    assert f'{path}:7: slurm.directives: "-x n7" is no long option of sbatch; write for example "--exclude=n7"' in said
    assert f'{path}:7: slurm.directives: "--quiet": goe needs --quiet as it is' in said
    assert f"{path}:8: slurm: expected int >= 1, got 0" in said
    assert f'{path}:14: slurm.time: "x" is no time limit' in said


# What Slurm says of jobs


@pytest.mark.parametrize("waiting", ["PENDING", "REQUEUE_HOLD", "SPECIAL_EXIT"])
def test_whatever_waits_is_pending(run: RunDir, slurm: FakeSlurm, watch: Lookout, waiting: str) -> None:
    slurm.say(submitted(run), waiting, "JobHeldUser")
    watch.ask(run)
    assert state(run) is RunState.PENDING


def test_a_job_whose_supervisor_has_not_claimed_yet_starts(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    slurm.say(submitted(run), "RUNNING", nodes="n1")
    watch.ask(run)
    assert state(run) is RunState.STARTING
    begun(run, "101")
    assert state(run) is RunState.RUNNING
    view = view_run(run)
    assert view.launch is not None
    assert (view.launch.job, view.attempt) == ("101", 1)


ENDS = {
    "NODE_FAIL": (RunState.LOST, "lost"),
    "BOOT_FAIL": (RunState.LOST, "lost"),
    "OUT_OF_MEMORY": (RunState.FAILED, "out-of-memory"),
    "TIMEOUT": (RunState.FAILED, "preempted"),
    "PREEMPTED": (RunState.FAILED, "preempted"),
    "FAILED": (RunState.LOST, "lost"),
    "COMPLETED": (RunState.LOST, "lost"),
    "CANCELLED": (RunState.STOPPED, ""),
}


@pytest.mark.parametrize(("said", "expected"), ENDS.items())
def test_a_job_that_left_no_word_is_buried_after_a_while(
    run: RunDir, slurm: FakeSlurm, watch: Lookout, said: str, expected: tuple[RunState, str]
) -> None:
    job = submitted(run)
    begun(run, job)
    slurm.say(job, said, nodes="n1")
    watch.ask(run)
    assert state(run) is RunState.RUNNING  # its word may be on its way
    watch.ask(run, later=SETTLE_S + 1)
    view = view_run(run)
    assert view.exit is not None
    assert (view.state, view.exit.cause) == expected
    assert view.exit.said == f"job 101 ended as {said} on n1 and left no exit code"
    assert view.held == (said == "CANCELLED")  # somebody's wish
    assert view.needs_start == (said != "CANCELLED")
    found = run.job()
    assert found is not None
    assert found.over


NEVER = {**ENDS, "FAILED": (RunState.FAILED, "user"), "COMPLETED": (RunState.FAILED, "user")}


@pytest.mark.parametrize(("said", "expected"), NEVER.items())
def test_a_job_that_never_came_to_its_attempt_leaves_one_that_says_why(
    run: RunDir, slurm: FakeSlurm, watch: Lookout, said: str, expected: tuple[RunState, str]
) -> None:
    job = submitted(run)
    slurm.say(job, said)
    watch.ask(run)
    watch.ask(run, later=SETTLE_S + 1)
    view = view_run(run)
    assert view.exit is not None
    assert (view.state, view.exit.cause, view.attempt) == (*expected, 1)
    # The job, should it start after all, finds its attempt made.
    assert run.claim(Launch(attempt=1, launcher="slurm", supervisor=ELSEWHERE, job=job, started=1.0)) is None


def test_a_folder_that_is_not_there_on_the_node(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = submitted(run)
    slurm.say(job, "FAILED", "RaisedSignal:53", nodes="n2")
    watch.ask(run)
    watch.ask(run)
    problem = view_run(run).problem
    assert problem == (
        f"job 101 ended as FAILED (RaisedSignal:53) on n2 before goe had started there; is {run.path} there, "
        "and may it be written?"
    )


def test_what_a_job_printed_before_it_died_is_told(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = submitted(run)
    output_file(run.path.parent, known(run).batch, job).write_text(
        "/opt/python: No module named goe.launch.slurmnode\n"
    )
    slurm.say(job, "FAILED", "NonZeroExitCode", nodes="n2")
    watch.ask(run)
    watch.ask(run)
    assert str(view_run(run).problem).endswith(": /opt/python: No module named goe.launch.slurmnode")


def test_a_full_disk_at_the_claim_is_no_fault_of_the_users(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = submitted(run)
    said = "Traceback (most recent call last):\nOSError: [Errno 28] No space left on device: '/x/attempts/.claim-1'\n"
    output_file(run.path.parent, known(run).batch, job).write_text(said)
    slurm.say(job, "FAILED", "NonZeroExitCode", nodes="n2")
    watch.ask(run)
    watch.ask(run)
    view = view_run(run)
    assert view.exit is not None
    assert (view.state, view.exit.cause) == (RunState.FAILED, "disk-full")
    assert "No space left on device" in str(view.problem)


# Word that comes late, clocks that differ


def test_a_true_exit_that_arrives_late_stands(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = submitted(run)
    attempt = begun(run, job)
    slurm.say(job, "COMPLETED")
    watch.ask(run)
    watch.ask(run, later=SETTLE_S - 10)
    left(attempt, code=0, cause="")  # 80 s after the job's end, by way of the file server
    watch.ask(run, later=20)
    assert state(run) is RunState.DONE
    exit_ = attempt.exit()
    assert exit_ is not None
    assert exit_.said == ""


def test_a_queue_never_writes_over_a_supervisors_word(run: RunDir) -> None:
    attempt = begun(run, "1")
    left(attempt, code=0, cause="")
    assert not attempt.bury(Exit(code=None, signal=None, started=1, ended=2, peak_memory=0, cause="lost"))
    assert state(run) is RunState.DONE
    assert [path.name for path in attempt.path.iterdir() if path.name.startswith(".")] == []


def test_a_run_that_goes_on_is_never_buried(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = submitted(run)
    attempt = begun(run, job)
    slurm.say(job, "NODE_FAIL")
    for step in range(5):
        beat(attempt, step)
        os.utime(attempt.status_file, ns=(step * 10**9, step * 10**9))
        watch.ask(run)
        assert view_run(run).state.is_live
    assert attempt.stop_requested  # Slurm gave it up, so it is asked to end
    watch.ask(run)
    assert state(run) is RunState.LOST


@pytest.mark.parametrize("skew", [-90.0, 90.0])
def test_clocks_that_differ_change_nothing(run: RunDir, slurm: FakeSlurm, watch: Lookout, skew: float) -> None:
    job = submitted(run)
    claimed = run.claim(Launch(attempt=1, launcher="slurm", supervisor=ELSEWHERE, job=job, started=time.time() + skew))
    assert claimed is not None
    write_json(claimed.status_file, Status(phase="training", epoch=1, epochs=9, updated=time.time() + skew))
    slurm.say(job, "RUNNING", nodes="n1")
    watch.ask(run)
    assert state(run) is RunState.RUNNING
    now = time.time() + skew
    write_json(claimed.exit_file, Exit(code=0, signal=None, started=now, ended=now + 1, peak_memory=1))
    assert state(run) is RunState.DONE


def test_a_silent_heartbeat_is_no_loss_while_slurm_says_it_runs(run: RunDir, slurm: FakeSlurm) -> None:
    job = submitted(run)
    attempt = begun(run, job)
    old = time.time() - 2000
    write_json(attempt.launch_file, replace(attempt.launch(), started=old))
    write_json(attempt.status_file, Status(phase="training", epoch=1, epochs=9, updated=old))
    slurm.say(job, "RUNNING", nodes="n1")
    SlurmWatch(run.path.parent).poll([view_run(run)])
    assert state(run) is RunState.RUNNING
    found = run.job()
    assert found is not None
    write_json(run.slurm_file, replace(found, seen=old))  # nobody has asked Slurm for long
    view = view_run(run)
    assert (view.state, view.needs_start) == (RunState.LOST, False)


# Jobs that the controller doesn't know


def test_a_job_that_vanished_before_it_started(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    slurm.forget(submitted(run))
    watch.ask(run)
    assert state(run) is RunState.PENDING  # a controller that starts anew may not know it yet
    watch.ask(run, later=SETTLE_S + 1)
    view = view_run(run)
    assert (view.state, view.needs_start) == (RunState.LOST, True)
    assert "Slurm doesn't know job 101 any more, before it had started" in str(view.problem)


def test_a_job_that_comes_back_is_not_lost(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = submitted(run)
    text = (slurm.folder / "jobs" / job).read_text()
    slurm.forget(job)
    watch.ask(run)
    (slurm.folder / "jobs" / job).write_text(text)
    watch.ask(run)
    slurm.forget(job)
    watch.ask(run)
    assert state(run) is RunState.PENDING


def test_the_accounts_know_what_the_controller_forgot(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = submitted(run)
    begun(run, job)
    name = slurm.name(job)
    slurm.forget(job)
    slurm.account(job, "OUT_OF_MEMORY", name=name)
    watch.ask(run)
    watch.ask(run)
    view = view_run(run)
    assert view.exit is not None
    assert (view.state, view.exit.cause) == (RunState.FAILED, "out-of-memory")


def test_the_accounts_are_asked_once_for_all_and_only_about_what_is_missing(tmp_path: Path, slurm: FakeSlurm) -> None:
    runs = [made(tmp_path, seed) for seed in range(1, 6)]
    jobs = [submitted(run) for run in runs]
    watch = Lookout(tmp_path / "runs")
    watch.ask(*runs)
    assert slurm.count("sacct") == 0
    for job in jobs[:3]:
        slurm.forget(job)
    watch.ask(*runs)
    assert slurm.count("sacct") == 1
    assert f"--jobs={','.join(jobs[:3])} " in slurm.calls[-1]


def test_the_accounts_word_of_a_job_that_is_not_over_counts_for_nothing(
    run: RunDir, slurm: FakeSlurm, watch: Lookout
) -> None:
    job = submitted(run)
    name = slurm.name(job)
    slurm.forget(job)
    slurm.account(job, "RUNNING", name=name)  # the database missed its end
    watch.ask(run)
    watch.ask(run)
    assert state(run) is RunState.LOST


def test_while_the_accounts_do_not_answer_the_others_are_followed(tmp_path: Path, slurm: FakeSlurm) -> None:
    gone, there = (made(tmp_path, seed) for seed in (1, 2))
    job, other = submitted(gone), submitted(there)
    name = slurm.name(job)
    slurm.forget(job)
    slurm.account(job, "OUT_OF_MEMORY", name=name)
    slurm.say(other, "RUNNING", nodes="n1")
    slurm.told("slurmdbd", "sacct: error: Problem talking to the database: Connection refused\n")
    watch = Lookout(tmp_path / "runs")
    for _ in range(3):
        assert watch.ask(gone, there)
        assert (watch.problem, state(gone), state(there)) == ("", RunState.PENDING, RunState.STARTING)
    slurm.told("slurmdbd", None)
    for _ in range(2):
        watch.ask(gone, there)
    exit_ = view_run(gone).exit
    assert exit_ is not None
    assert exit_.cause == "out-of-memory"


def test_the_accounts_are_asked_about_any_number_of_jobs(slurm: FakeSlurm) -> None:
    slurm.account("7", "TIMEOUT", name="x")
    found = slurmclient.ended_jobs([f"12345678_{task}" for task in range(12_000)])
    assert found["7"].state == "TIMEOUT"
    assert slurm.count("sacct") == 12


def test_ids_of_a_fresh_cluster_are_not_mistaken(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = submitted(run)
    begun(run, job)
    slurm.know(job, "RUNNING", name="somebody-elses", comment="theirs")
    watch.ask(run)
    watch.ask(run)
    assert state(run) is RunState.LOST


def test_a_cluster_that_drops_comments_still_knows_runs_by_name(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = submitted(run)
    slurm.know(job, "RUNNING", name=slurm.name(job))
    watch.ask(run)
    assert state(run) is RunState.STARTING


# Asking


def test_one_call_for_all_and_a_growing_pause(tmp_path: Path, slurm: FakeSlurm) -> None:
    runs = [made(tmp_path, seed) for seed in range(1, 21)]
    for run in runs:
        submitted(run)
    watch = Lookout(tmp_path / "runs")
    asked = [watch.at for _ in range(300) if watch.ask(*runs, later=1.0)]
    assert slurm.count("squeue") == len(asked)
    pauses = [after - before for before, after in itertools.pairwise(asked)]
    assert pauses == sorted(pauses)
    assert pauses[0] >= 10
    assert pauses[-1] == 30
    assert slurm.count("sacct") == slurm.count("scontrol") == 0


def test_no_client_sees_what_its_user_or_a_job_around_it_set(
    run: RunDir, slurm: FakeSlurm, watch: Lookout, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = ("SQUEUE_STATES", "SACCT_FORMAT", "SCANCEL_INTERACTIVE", "SLURM_ARRAY_TASK_ID", "SLURM_CLUSTERS")
    for name in (*foreign, "SLURM_CONF", "SBATCH_RESERVATION"):
        monkeypatch.setenv(name, "7")
    job = submitted(run)
    watch.ask(run)
    slurm.account("1", "FAILED", name="x")
    slurmclient.ended_jobs(["1"])
    slurmclient.cancel(job)
    found = (slurm.folder / "env").read_text().splitlines()
    assert [line for line in found if line.startswith(foreign)] == []
    assert found.count("SLURM_CONF=7") == found.count("SBATCH_RESERVATION=7") == 4
    assert any("--all " in call for call in slurm.calls)


def test_nothing_is_asked_without_jobs(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    assert watch.ask(run)  # once, for jobs that nobody wrote down
    for _ in range(5):
        assert not watch.ask(run)
    assert slurm.count("squeue") == 1


def test_a_controller_that_is_down_is_left_alone_and_no_run_suffers(
    run: RunDir, slurm: FakeSlurm, watch: Lookout
) -> None:
    job = submitted(run)
    slurm.told("down", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n")
    for _ in range(3600):
        watch.ask(run, later=1.0)
    assert "Unable to contact slurm controller" in watch.problem
    assert slurm.count("squeue") < 60
    assert state(run) is RunState.PENDING
    slurm.told("down", None)
    slurm.say(job, "RUNNING", nodes="n1")
    watch.ask(run)
    assert (watch.problem, state(run)) == ("", RunState.STARTING)


# Adoption


def test_a_job_whose_id_nobody_wrote_down_is_adopted(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    submitted(run)
    run.slurm_file.unlink()  # the queue was killed right after sbatch
    assert state(run) is RunState.QUEUED
    watch.ask(run)
    assert state(run) is RunState.PENDING
    found = run.job()
    assert found is not None
    assert (found.job, found.attempt) == ("101", 1)


def test_a_run_that_cannot_be_written_to_keeps_no_other_from_being_followed(
    tmp_path: Path, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (made(tmp_path, seed) for seed in (1, 2))
    submitted(bad)
    job = submitted(good)
    bad.slurm_file.unlink()
    slurm.say(job, "RUNNING", nodes="n1")
    watch = Lookout(tmp_path / "runs")
    with monkeypatch.context() as full:
        refuse(bad, full)
        assert watch.ask(bad, good)
        assert (state(bad), state(good)) == (RunState.QUEUED, RunState.STARTING)
    watch.ask(bad, good)
    assert state(bad) is RunState.PENDING


def test_a_job_that_cannot_be_written_down_keeps_what_it_needs_and_is_asked_for(
    run: RunDir, slurm: FakeSlurm, watch: Lookout, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.ask(run)  # there is nothing to adopt yet
    with monkeypatch.context() as full:
        refuse(run, full)
        with pytest.raises(LaunchError):
            submitted(run)
        watch.hurry()
        for _ in range(4):
            watch.ask(run, later=SETTLE_S)
    watch.ask(run)
    assert state(run) is RunState.PENDING
    assert (run.path.parent / ".slurm" / known(run).batch / "0.pkl").exists()


def refuse(run: RunDir, patch: pytest.MonkeyPatch) -> None:
    """Nothing can be written into the run's folder, not even by root."""
    write = rundir.write_atomic

    def written(path: Path, data: bytes, **options: bool) -> None:
        if path == run.slurm_file:
            raise OSError(30, "Read-only file system", str(path))
        write(path, data, **options)

    patch.setattr(rundir, "write_atomic", written)


def test_a_queue_goes_on_with_those_of_an_array_that_it_can_write_down(
    tmp_path: Path, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = made(tmp_path)
    monkeypatch.setattr("goe.launch.slurmwatch.SOON_S", 0.2)
    refuse(bad, monkeypatch)
    done, events, _ = work(tmp_path, slurm, finish)
    assert not done
    said = [event.text for event in events if event.kind == "error"]
    expected = (
        "can't be written to: Read-only file system; job 101_0 is submitted all the same, and followed as soon as it"
    )
    assert said == [f"{bad.path}: {expected} can"]
    assert slurm.count("sbatch") == 2
    assert [event.kind for event in events].count("ended") == 2


@pytest.mark.parametrize("answer", ["", "\udcffSubmitted batch job 101", "full"])
def test_what_sbatch_may_have_submitted_is_adopted_and_its_folder_stays(
    run: RunDir, slurm: FakeSlurm, watch: Lookout, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    if answer == "full":
        monkeypatch.setattr(JobPaths, "move_temporary_file", _full_disk)
    else:
        (slurm.folder / "answer").write_bytes(os.fsencode(answer))
    with pytest.raises(UnansweredError, match=r"sbatch: .*answer"):
        submitted(run)
    watch.ask(run)
    assert (known(run).job, state(run)) == ("101", RunState.PENDING)
    assert (run.path.parent / ".slurm" / known(run).batch / "0.pkl").exists()


def test_a_batch_that_sbatch_never_saw_leaves_no_folder(
    run: RunDir, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DelayedSubmission, "dump", _full_disk)
    with pytest.raises(OSError, match="No space"):
        submitted(run)
    assert not (run.path.parent / ".slurm").exists()
    assert slurm.count("sbatch") == 0


def _full_disk(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_of_two_jobs_the_one_that_came_too_late_changes_nothing(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    first, second = submitted(run), submitted(run)
    attempt = begun(run, first)
    slurm.say(first, "RUNNING")
    slurm.say(second, "COMPLETED")
    for _ in range(3):
        watch.ask(run)
    assert (state(run), run.attempt_count()) == (RunState.RUNNING, 1)
    found = run.job()
    assert found is not None
    assert found.job == first  # the one that runs is followed
    left(attempt, code=0, cause="")
    slurm.say(first, "COMPLETED")
    for _ in range(3):
        watch.ask(run)
    assert (state(run), run.attempt_count()) == (RunState.DONE, 1)


def test_an_attempt_that_is_seen_late_stands(
    run: RunDir, slurm: FakeSlurm, watch: Lookout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine's attribute cache shows neither the claim nor the exit; the server has both."""
    job = submitted(run)
    left(begun(run, job), code=0, cause="")
    slurm.say(job, "COMPLETED")
    with monkeypatch.context() as stale:
        stale.setattr(RunDir, "attempt_count", lambda _: 0)
        watch.ask(run)
        watch.ask(run)
    assert (state(run), run.attempt_count()) == (RunState.DONE, 1)


def test_jobs_of_another_folder_are_left_alone(run: RunDir, slurm: FakeSlurm, watch: Lookout, tmp_path: Path) -> None:
    other = open_batch(tmp_path / "others", [Start(run, SlurmSlot(), 1)])
    slurm.know("7", "PENDING", name=job_name(other, [run.run_id]), comment=comment(other))
    slurm.know("8", "PENDING", name="x", comment=f"goe:{tmp_path}/runs/.slurm/gone")
    slurm.know("9", "PENDING", name="x", comment="goe:x")
    watch.ask(run)
    assert run.job() is None


def test_what_goe_gave_up_is_not_adopted_again(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    submitted(run)
    slurm.told("down", "no\n")
    stop(run)  # Slurm does not even hear of it
    slurm.told("down", None)
    watch.ask(run)
    assert state(run) is RunState.STOPPED


# Stopping


def test_a_waiting_run_is_cancelled_and_its_job_can_do_no_harm(run: RunDir, slurm: FakeSlurm) -> None:
    job = submitted(run)
    stop(run)
    view = view_run(run)
    assert view.exit is not None
    assert (view.state, view.exit.code, slurm.calls[-1]) == (RunState.STOPPED, EXIT_STOPPED, f"scancel {job}")
    assert run.claim(Launch(attempt=1, launcher="slurm", supervisor=ELSEWHERE, job=job, started=1.0)) is None


def test_a_run_at_work_is_asked_and_then_told_through_its_supervisor(run: RunDir, slurm: FakeSlurm) -> None:
    job = submitted(run)
    attempt = begun(run, job)
    stop(run)
    assert attempt.stop_requested
    assert slurm.count("scancel") == 0
    stop(run, force=True)
    assert slurm.calls[-1] == f"scancel --batch --signal=TERM {job}"


def test_a_run_cancelled_in_slurm_that_had_time_to_end_is_held_and_says_so(
    run: RunDir, slurm: FakeSlurm, watch: Lookout
) -> None:
    job = submitted(run)
    turned_back(run, job, 1, 3)  # by the SIGTERM
    slurm.say(job, "CANCELLED")
    watch.ask(run)
    view = view_run(run)
    assert (view.state, view.held, view.problem) == (
        RunState.FAILED, True, "preempted: job 101 was cancelled in Slurm; held: `goe resume` releases it",
    )  # fmt: skip
    resume(run)
    assert str(view_run(run).problem).startswith("preempted: job 101 was cancelled in Slurm; a queue resumes it")


def test_that_a_job_was_cancelled_may_be_learnt_late(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = submitted(run)
    name = slurm.name(job)
    slurm.forget(job)
    watch.ask(run, later=40)
    assert not run.held
    slurm.account(job, "CANCELLED by 0", name=name)
    watch.ask(run, later=40)
    assert run.held


def test_a_release_while_a_cancelled_job_settles_stands(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = submitted(run)
    begun(run, job)
    slurm.say(job, "CANCELLED")
    watch.ask(run)
    assert run.held
    resume(run)
    watch.ask(run, later=40)
    watch.ask(run, later=SETTLE_S)
    view = view_run(run)
    assert (view.state, view.held) == (RunState.STOPPED, False)


def between_turns(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> str:
    """The job of a run whose first turn was cut off, while Slurm's last word is that it runs."""
    job = submitted(run)
    slurm.say(job, "RUNNING", nodes="n1")
    watch.ask(run)
    turned_back(run, job, 1, 3)
    return job


def test_a_run_between_two_turns_is_stopped(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = between_turns(run, slurm, watch)
    watch.ask(run)
    assert state(run) is RunState.STARTING  # Slurm hasn't put it back yet
    stop(run)
    view = view_run(run)
    assert (view.state, view.attempt, slurm.calls[-1]) == (RunState.STOPPED, 2, f"scancel {job}")
    assert run.claim(Launch(attempt=2, launcher="slurm", supervisor=ELSEWHERE, job=job, started=1.0)) is None


def test_a_run_whose_queue_and_job_are_gone_is_stopped(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = between_turns(run, slurm, watch)
    slurm.forget(job)
    assert cancel([run], 1.0, lambda *_: None)
    assert state(run) is RunState.STOPPED


@pytest.mark.parametrize("wish", ["hold", "stop"])
def test_a_run_that_nobody_wants_any_more_has_not_failed(
    run: RunDir, slurm: FakeSlurm, watch: Lookout, wish: str
) -> None:
    job = submitted(run)
    attempt = turned_back(run, job, 1, 3)
    if wish == "hold":
        run.held_file.touch()
    else:
        attempt.request_stop()
    slurm.say(job, "PENDING", "BeginTime")
    watch.ask(run)
    slurm.say(job, "COMPLETED")  # its next turn found nothing to do
    watch.ask(run)
    watch.ask(run, later=SETTLE_S + 1)
    view = view_run(run)
    assert view.exit is not None
    assert (view.state, view.attempt, view.exit.said) == (RunState.STOPPED, 2, "job 101 had nothing to do")


def test_cancelling_holds_and_ends(run: RunDir, slurm: FakeSlurm) -> None:
    submitted(run)
    said: list[str] = []
    assert cancel([run], 1.0, lambda _, text: said.append(text))
    view = view_run(run)
    assert (view.state, view.held) == (RunState.STOPPED, True)


def test_a_job_that_does_not_end_is_named(run: RunDir, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goe.launch.control.STUCK_S", 0.1)
    job = submitted(run)
    begun(run, job)
    said: list[str] = []
    assert not cancel([run], 0.1, lambda _, text: said.append(text))
    assert said[-1] == f"has not ended: look at its job with `squeue -j {job}`"


# Going on


def turned_back(run: RunDir, job: str, number: int, epoch: int) -> Attempt:
    attempt = begun(run, job, attempt=number, epoch=epoch)
    left(attempt, code=EXIT_STOPPED, cause="preempted")
    return attempt


def test_a_run_put_back_into_slurms_queue_is_pending_not_failed(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = between_turns(run, slurm, watch)
    assert state(run) is RunState.STARTING  # until Slurm says what becomes of it
    slurm.say(job, "PENDING", "BeginTime")
    watch.ask(run)
    assert state(run) is RunState.PENDING
    begun(run, job, attempt=2)
    assert state(run) is RunState.RUNNING
    slurm.say(job, "RUNNING", nodes="n2")
    watch.ask(run)
    assert (state(run), view_run(run).attempt) == (RunState.RUNNING, 2)


def test_a_node_that_failed_and_whose_job_waits_again(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = submitted(run)
    begun(run, job)
    slurm.say(job, "PENDING", "BeginTime")
    watch.ask(run)
    assert state(run) is RunState.PENDING
    stop(run)
    assert (state(run), view_run(run).attempt) == (RunState.STOPPED, 2)


def test_turns_that_got_further_are_no_failures(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = submitted(run)
    for number in range(1, 6):
        turned_back(run, job, number, 2 * number)
    slurm.say(job, "COMPLETED")
    watch.ask(run)
    view = view_run(run)
    assert view.state is RunState.FAILED
    past = read_past(run, view.attempt)
    assert (past.causes, past.cut_off) == ((), True)
    queue_jobs = {run.run_id: _job(run)}
    plan = Plan(queue_jobs, {run.run_id: Look().at(run)}, Retry(preempted=0), now=0.0)
    assert plan.standings()[run.run_id].stand is Stand.READY


def test_turns_that_get_nowhere_are_counted(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    job = submitted(run)
    for number in range(1, 4):
        turned_back(run, job, number, 1)
    slurm.say(job, "COMPLETED")
    watch.ask(run)
    assert read_past(run, 3).causes == ("preempted",) * 3
    plan = Plan({run.run_id: _job(run)}, {run.run_id: Look().at(run)}, Retry(preempted=2), now=0.0)
    assert plan.standings()[run.run_id].stand is Stand.OVER


def _job(run: RunDir) -> Job:
    return Job(config=run.config())


# The queue


QUEUE = """
[queue]
launcher = "slurm"
max-jobs = 2
retry = { backoff = 0 }
[defaults]
dataset = "digits"
[[experiment]]
name = "a"
seeds = [1, 2, 3]
"""


def finish(run: RunDir, job: str, slurm: FakeSlurm) -> None:
    left(begun(run, job), code=0, cause="")
    slurm.say(job, "COMPLETED")


CROWD = """
[queue]
launcher = "slurm"
max-jobs = 20
[defaults]
dataset = "digits"
[[experiment]]
name = "a"
seeds = [1, 2, 3, 4, 5, 6]
"""


class Cluster:
    """A Slurm that runs what was submitted, as a test wishes, at each turn of the queue."""

    def __init__(self, fake: FakeSlurm, runs: Path, deed: Callable[[RunDir, str, FakeSlurm], None]) -> None:
        self.fake, self.runs, self.deed = fake, runs, deed
        self.most = 0

    def __call__(self) -> None:
        """One turn."""
        views = [view_run(RunDir(path)) for path in self.runs.iterdir() if path.is_dir()]
        self.most = max(self.most, sum(view.state is RunState.PENDING for view in views))
        for view in views:
            if view.job is not None and view.state is RunState.PENDING:
                self.deed(view.run, view.job.job, self.fake)


def work(
    tmp_path: Path, slurm: FakeSlurm, deed: Callable[[RunDir, str, FakeSlurm], None], queue: str = QUEUE
) -> tuple[bool, list[Event], Cluster]:
    file = tmp_path / "experiments.toml"
    file.write_text(queue)
    events: list[Event] = []
    runner = Runner(load_queue(file), tmp_path / "runs", report=events.append)
    cluster = Cluster(slurm, tmp_path / "runs", deed)
    return runner.run(idle=cluster), events, cluster


def test_a_queue_runs_to_its_end_on_a_cluster(tmp_path: Path, slurm: FakeSlurm) -> None:
    done, events, cluster = work(tmp_path, slurm, finish)
    assert done
    assert slurm.count("sbatch") == 2  # of two and of one
    assert cluster.most == 2
    assert not (tmp_path / "runs/.slurm").exists()
    assert [event.kind for event in events].count("ended") == 3


def test_a_rejected_run_is_refused_and_the_queue_goes_on(tmp_path: Path, slurm: FakeSlurm) -> None:
    slurm.told("refuse", "sbatch: error: invalid partition specified: nope\n")
    done, events, _ = work(tmp_path, slurm, lambda *_: None)
    assert not done
    assert slurm.count("sbatch") == 2
    said = [event.text for event in events if event.kind == "error"]
    assert len(said) == 3
    assert all("invalid partition specified: nope; `sinfo` lists the partitions" in text for text in said)


def test_a_controller_that_is_down_delays_and_refuses_nothing(
    tmp_path: Path, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goe.launch.slurmwatch.SOON_S", 0.2)
    slurm.told("refuse", BUSY[0])

    turns = []
    cluster = Cluster(slurm, tmp_path / "runs", finish)

    def idle() -> None:
        turns.append(1)
        if len(turns) == 3:
            slurm.told("refuse", None)
        cluster()

    file = tmp_path / "experiments.toml"
    file.write_text(QUEUE)
    notes: list[Event] = []
    assert Runner(load_queue(file), tmp_path / "runs", report=notes.append).run(idle=idle)
    texts = [event.text for event in notes if event.kind == "note"]
    assert texts[0].endswith("; runs go on, nothing is submitted meanwhile")
    assert texts[1] == "Slurm answers again"


def test_where_only_so_many_may_be_submitted_fewer_are(
    tmp_path: Path, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goe.launch.slurmsite.FULL_S", 0.5)
    monkeypatch.setattr("goe.launch.slurmwatch.SOON_S", 0.2)
    slurm.told("submit", "3")
    most = []

    def deed(run: RunDir, job: str, fake: FakeSlurm) -> None:
        most.append(len(list((tmp_path / "runs/.slurm").iterdir())))
        if len(most) > 9:  # it was tried again and again meanwhile
            finish(run, job, fake)

    done, events, cluster = work(tmp_path, slurm, deed, CROWD)
    assert done
    assert cluster.most == 3
    assert max(most[:9]) <= 3  # refused arrays leave no folder
    texts = [event.text for event in events if event.kind == "note"]
    assert len(texts) == 1, texts
    assert "AssocMaxSubmitJobLimit" in texts[0]
    assert texts[0].endswith("; lower max-jobs to what the cluster allows")
    assert slurm.count("sbatch") < 40
    assert not any(event.kind == "error" for event in events)


def test_an_array_that_is_too_large_is_halved_until_it_is_taken_and_grows_again(
    tmp_path: Path, slurm: FakeSlurm
) -> None:
    launcher = SlurmLauncher()
    starts = [Start(made(tmp_path, seed), SlurmSlot(), 1) for seed in range(8)]
    slurm.told("submit", "3")
    for expected in (4, 2):
        with pytest.raises(CrowdedError):
            launcher.launch(starts[: launcher.most])
        assert launcher.most == expected
        assert not (tmp_path / "runs/.slurm").exists()
    launcher.launch(starts[:2])
    assert launcher.most == 4
    with pytest.raises(CrowdedError) as caught:
        launcher.launch(starts[2:4])
    assert (caught.value.jobs, launcher.most) == (2, 1)


def test_sbatch_that_was_cut_off_leaves_no_second_job(tmp_path: Path, slurm: FakeSlurm) -> None:
    runs = tmp_path / "runs"

    run = made(tmp_path)
    submitted(run)
    run.slurm_file.unlink()
    done, _, _ = work(tmp_path, slurm, finish)
    assert done
    assert slurm.count("sbatch") == 3
    assert len(list(runs.glob("*/attempts/1"))) == 3


def test_a_next_queue_takes_over_what_waits_and_runs(tmp_path: Path, slurm: FakeSlurm) -> None:
    file = tmp_path / "experiments.toml"
    file.write_text(QUEUE)
    first = Runner(load_queue(file), tmp_path / "runs")
    with pytest.raises(KeyboardInterrupt):
        first.run(idle=_interrupt)
    assert slurm.count("sbatch") == 1

    done, events, _ = work(tmp_path, slurm, finish)
    assert done
    assert slurm.count("sbatch") == 2
    assert [event.kind for event in events].count("found") == 2


SEVERAL = """
[queue]
launcher = "slurm"
slurm = { partition = "main", array-parallelism = 3 }
[defaults]
dataset = "digits"
[[experiment]]
name = "a"
seeds = [1, 2]
[[experiment]]
name = "b"
seeds = [1, 2]
[[experiment]]
name = "wide"
seeds = [1, 2, 3, 4, 5]
priority = 1
gpu-count = 2
slurm = { array-parallelism = 2, time = "60" }
"""


def test_an_array_for_all_that_follow_each_other_and_ask_for_the_same(tmp_path: Path, slurm: FakeSlurm) -> None:
    slurm.told("arrays", "4")
    done, _, _ = work(tmp_path, slurm, finish, SEVERAL)
    assert done
    found = [slurm.asked(job) for job in ("101", "102", "103")]
    assert slurm.count("sbatch") == 3
    assert [one.get("array") for one in found] == ["0-3%2", None, "0-3%3"]  # wide-s1 to s4, wide-s5, a and b
    assert [one["gres"] for one in found] == ["gpu:2", "gpu:2", "gpu:1"]
    assert [one.get("time") for one in found] == ["60", "60", None]
    assert found[2]["job-name"].startswith("a-s1-")


def test_what_a_job_printed_is_kept_with_its_run_and_nothing_else(tmp_path: Path, slurm: FakeSlurm) -> None:
    def chatty(run: RunDir, job: str, slurm: FakeSlurm) -> None:
        if known(run).job.endswith("_1"):
            output_file(run.path.parent, known(run).batch, job).write_text("module: loading cuda\n")
        finish(run, job, slurm)

    done, _, _ = work(tmp_path, slurm, chatty)
    assert done
    assert not (tmp_path / "runs/.slurm").exists()
    (kept,) = (tmp_path / "runs").glob("*/slurm-*.out")
    assert (kept.name, kept.read_text()) == ("slurm-101_1.out", "module: loading cuda\n")


def test_a_batch_stays_while_one_of_its_jobs_may_need_it(tmp_path: Path, slurm: FakeSlurm) -> None:
    runs = [made(tmp_path, seed) for seed in (1, 2)]
    SlurmLauncher().launch([Start(run, SlurmSlot(), 1) for run in runs])
    folder, watch = tmp_path / "runs/.slurm", Lookout(tmp_path / "runs")
    finish(runs[0], "101_0", slurm)
    for _ in range(3):
        watch.ask(*runs)
    watch.leave([view_run(runs[0])])  # whose queue knows nothing of the other
    assert len(list(folder.iterdir())) == 1
    finish(runs[1], "101_1", slurm)
    watch.ask(*runs)
    assert not folder.exists()


def test_what_nobody_knows_any_more_is_removed_after_a_while(run: RunDir, slurm: FakeSlurm, watch: Lookout) -> None:
    batch = open_batch(run.path.parent, [Start(run, SlurmSlot(), 1)])  # and killed before sbatch
    watch.ask(run)
    watch.ask(run, later=SETTLE_S - 1)  # it may be another queue that is just submitting
    assert batch.exists()
    watch.ask(run, later=40)
    assert not batch.parent.exists()


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_views_need_no_slurm(run: RunDir, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted(run)
    monkeypatch.setenv("PATH", "/nowhere")
    view: RunView = view_run(run)
    assert view.state is RunState.PENDING


@pytest.mark.parametrize(("gres", "processes"), [(None, 2), ("gpu:a100", 2), ("", 3)])
def test_a_process_for_each_gpu_or_as_many_as_are_asked_for_without(
    slurm: FakeSlurm, gres: str | None, processes: int
) -> None:
    slots = SlurmSlots(QueueOptions(launcher="slurm"))
    asked = JobOptions(gpu_count=2, processes=3, restarts=1, slurm=SlurmRequest(gres=gres))
    slot = slots.take(asked, [])
    assert slot is not None
    assert (slot.processes, slot.restarts) == (processes, 1)


def test_a_job_that_is_over_when_it_is_cancelled_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def says(code: int) -> Callable[[Sequence[str]], str]:
        def call(command: Sequence[str]) -> str:
            raise slurmclient.refusal("scancel", "", code)

        return call

    for code in (225, 229):  # as `scancel --signal=TERM` says, without a word
        monkeypatch.setattr(slurmclient, "_call", says(code))
        slurmclient.cancel("1_0", "--batch", "--signal=TERM")
    for code, kind in ((137, UnansweredError), (-9, UnansweredError), (1, SlurmError)):
        monkeypatch.setattr(slurmclient, "_call", says(code))
        with pytest.raises(kind):
            slurmclient.cancel("1_0")
