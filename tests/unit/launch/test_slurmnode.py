"""What a job does on its node: which attempt it makes, what Slurm gave it, whether it is put back."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.lab import end
from submitit.core.utils import DelayedSubmission

from goe.core.code import installed_version
from goe.core.config import complete
from goe.core.overview import view_run
from goe.core.process import ProcessId, myself
from goe.core.records import Exit, Launch, Notice, Status
from goe.core.rundir import Attempt, RunDir, write_json
from goe.launch import slurmnode
from goe.launch.slurmnode import Turn, goes_on, gpus, job_id, next_attempt, threads
from goe.launch.supervisor import worker_env
from goe.worker import Ending

ELSEWHERE = ProcessId(pid=1, start="1", boot="another", host="n1")


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    config = complete({"experiment": "a", "seed": 1, "dataset": "digits"}, lambda *_: None)
    assert config is not None
    return RunDir.create(tmp_path / "runs", config)


def made(
    run: RunDir, number: int, *, job: str = "7", epoch: int = 1, cause: str | None = None, code: int = 3
) -> Attempt:
    attempt = run.claim(Launch(attempt=number, launcher="slurm", supervisor=ELSEWHERE, job=job, started=1.0))
    assert attempt is not None
    write_json(attempt.status_file, Status(phase="training", epoch=epoch, updated=1.0))
    if cause is not None:
        write_json(attempt.exit_file, ended(cause, code))
    return attempt


def ended(cause: str, code: int = 3) -> Exit:
    return Exit(code=code, signal=None, started=1, ended=2, peak_memory=1, cause=cause)


def test_what_slurm_gave() -> None:
    assert job_id({"SLURM_JOB_ID": "9"}) == "9"
    assert job_id({"SLURM_JOB_ID": "11", "SLURM_ARRAY_JOB_ID": "9", "SLURM_ARRAY_TASK_ID": "2"}) == "9_2"
    assert gpus({"CUDA_VISIBLE_DEVICES": "0,1"}) == (0, 1)
    assert gpus({"SLURM_JOB_GPUS": "2,3", "CUDA_VISIBLE_DEVICES": "0,1"}) == (2, 3)
    assert gpus({"CUDA_VISIBLE_DEVICES": "GPU-1234"}) == ()
    assert gpus({}) == ()
    assert threads({"SLURM_CPUS_PER_TASK": "4", "SLURM_CPUS_ON_NODE": "64"}) == 4
    assert threads({"SLURM_CPUS_ON_NODE": "8"}) == 8
    assert threads({}) is None


def test_the_worker_sees_the_gpus_that_slurm_gave_and_no_others() -> None:
    launch = Launch(attempt=1, launcher="slurm", supervisor=ELSEWHERE, job="7", gpus=(2,), threads=4, started=1.0)
    given = worker_env({"CUDA_VISIBLE_DEVICES": "0"}, launch)
    assert (given["CUDA_VISIBLE_DEVICES"], given["OMP_NUM_THREADS"]) == ("0", "4")
    assert "CUDA_DEVICE_ORDER" not in given
    assert worker_env({}, launch)["CUDA_VISIBLE_DEVICES"] == ""


@pytest.mark.parametrize(("cause", "expected"), [("preempted", 2), ("signal", 2), ("lost", 2), ("", None)])
def test_a_job_begun_anew_makes_the_next_attempt_unless_the_last_was_meant_to_be(
    run: RunDir, cause: str, expected: int | None
) -> None:
    assert next_attempt(run, "7", 1) == 1
    made(run, 1, cause=cause)
    assert next_attempt(run, "7", 1) == expected


def test_a_job_begun_anew_leaves_alone_what_is_not_its_business(run: RunDir) -> None:
    attempt = made(run, 1, cause="preempted")
    assert next_attempt(run, "8", 1) is None  # another job is at it
    run.held_file.touch()
    assert next_attempt(run, "7", 1) is None
    run.held_file.unlink()
    attempt.request_stop()
    assert next_attempt(run, "7", 1) is None


def test_an_attempt_that_lives_on_elsewhere_is_asked_to_end_and_waited_for(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurmnode, "_POLL_S", 0.01)
    attempt = made(run, 1)

    def worker() -> None:
        for step in range(1000):
            write_json(attempt.status_file, Status(phase="training", step=step, updated=1.0), durable=False)
            if attempt.stop_requested and step > 20:
                write_json(attempt.exit_file, ended("", 3))
                return
            time.sleep(0.01)

    thread = threading.Thread(target=worker)
    thread.start()
    assert next_attempt(run, "7", 1) == 2
    assert attempt.exit_file.exists()
    thread.join()


def test_a_silent_one_is_not_waited_for_for_ever(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurmnode, "_POLL_S", 0.01)
    monkeypatch.setattr(slurmnode, "SILENT_S", 0.2)
    made(run, 1)
    begun = time.monotonic()
    assert next_attempt(run, "7", 1) == 2
    assert time.monotonic() - begun >= 0.2


def test_two_turns_without_an_epoch_end_the_requeueing(run: RunDir) -> None:
    assert goes_on(run, 1, ended("preempted"))
    for number, epoch in enumerate((3, 3, 5, 5, 5), start=1):
        made(run, number, epoch=epoch, cause="preempted")
    assert [goes_on(run, number, ended("preempted")) for number in range(1, 6)] == [True, True, True, True, False]
    assert not goes_on(run, 1, ended("bug", 1))
    run.held_file.touch()
    assert not goes_on(run, 1, ended("preempted"))


def test_a_folder_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slurmnode, "VISIBLE_S", 0.0)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert slurmnode.main([str(tmp_path / "gone"), "1", "120", "1", "0"]) == 2
    assert "the runs have to lie on a file system that all nodes share" in capsys.readouterr().err


def test_an_attempt_that_this_node_lists_late_is_waited_for(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS: the job was put back, and the new node's attribute cache shows no attempt yet."""
    made(run, 1, cause="preempted")
    listed = RunDir.attempt_count
    looks: list[int] = []

    def late(of: RunDir) -> int:
        looks.append(1)
        return 0 if len(looks) < 4 else listed(of)

    def supervise(of: RunDir, launch: Launch, _: object) -> Exit | None:
        return ended("", 0) if of.claim(launch) is not None else None

    monkeypatch.setattr(RunDir, "attempt_count", late)
    monkeypatch.setattr(slurmnode, "supervise", supervise)
    monkeypatch.setattr(slurmnode, "_POLL_S", 0.01)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert slurmnode.main([str(run.path), "1", "120", "1", "0"]) == 0
    assert run.numbered(2).launch().job == "7"
    monkeypatch.setattr(slurmnode, "VISIBLE_S", 0.05)
    monkeypatch.setattr(RunDir, "attempt_count", lambda _: 0)
    assert slurmnode.main([str(run.path), "1", "120", "1", "0"]) == 0  # not for ever
    assert listed(run) == 2


class Node:
    """A job on its node: submitit's own process, with a worker that is a line of shell; scontrol notes its call."""

    def __init__(self, run: RunDir, folder: Path) -> None:
        self.run, self.folder = run, folder
        programs = folder / "bin"
        programs.mkdir()
        (programs / "scontrol").write_text(f'#!/bin/sh\necho "$*" >> {folder}/requeued\n[ ! -e {folder}/forbidden ]\n')
        (programs / "scontrol").chmod(0o755)
        self.env = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "SLURM_JOB_ID": "9"}
        self.env |= {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "SUBMITIT_EXECUTOR": "slurm"}
        self.env |= {"SUBMITIT_LOG_LEVEL": "ERROR"}
        self.pickle = folder / "7_3_submitted.pkl"

    def submit(self, version: str | None = None) -> None:
        """Leave the turn as a queue would."""
        given = version or installed_version()
        turn = Turn(self.run.path, 1, given, data=Path("/big/disk"), lead=60, processes=1, restarts=0)
        delayed = DelayedSubmission(turn)
        delayed.set_timeout(0, 9)
        delayed.dump(self.pickle)

    def start(self, worker: str, before: str = "", **env: str) -> subprocess.Popen[bytes]:
        """Begin the job; `before`: Python that comes first."""
        code = (
            f"import noop; noop.use_stub(noop.Path({str(self.folder)!r}), {worker!r})\n{before}\n"
            f"from submitit.core.submission import process_job; process_job({str(self.folder)!r})"
        )
        environment = {**self.env, **env, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with (self.folder / "said").open("w") as said:
            self.job = subprocess.Popen([sys.executable, "-P", "-c", code], env=environment, stdout=said, stderr=said)
        return self.job

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    def close(self) -> None:
        """End what a test that failed has left."""
        self.job.kill()
        self.job.wait(20)
        end(self.run)

    def exit(self, attempt: int = 1) -> Exit:
        found = self.run.numbered(attempt).exit()
        assert found is not None
        return found


@pytest.fixture
def node(run: RunDir, tmp_path: Path) -> Iterator[Node]:
    folder = tmp_path / "batch"
    folder.mkdir()
    made = Node(run, folder)
    made.submit()
    yield made
    made.close()


AT_WORK = 'touch "$run/at-work"; '
UNTIL_NOTICE = AT_WORK + 'until [ -e "$run"/attempts/*/notice ]; do sleep 0.02; done; '


def at_work(run: RunDir) -> None:
    until = time.monotonic() + 20
    while not (run.path / "at-work").exists():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_job_ends_as_its_run_does_and_leaves_no_result(node: Node) -> None:
    job = node.start("exit 0")
    assert job.wait(20) == 0
    assert (node.exit().code, node.exit().cause) == (0, "")
    assert node.run.numbered(1).launch().job == "7_3"
    assert [path.name for path in node.folder.glob("*.pkl")] == ["7_3_submitted.pkl"]
    assert not (node.folder / "requeued").exists()


@pytest.mark.parametrize(("env", "expected"), [({}, "/big/disk"), ({"GOE_DATA": "/local"}, "/local")])
def test_the_data_are_where_the_queue_has_them_unless_the_node_says_otherwise(
    node: Node, env: dict[str, str], expected: str
) -> None:
    node.env.pop("GOE_DATA", None)
    assert node.start('echo "$GOE_DATA" > "$run/data"', **env).wait(20) == 0
    assert (node.run.path / "data").read_text() == f"{expected}\n"


def test_a_signal_ahead_of_the_limit_is_passed_on_and_the_job_goes_on_in_a_next_turn(node: Node) -> None:
    job = node.start(f"{UNTIL_NOTICE} exit 3")
    at_work(node.run)
    job.send_signal(signal.SIGUSR2)
    assert job.wait(20) == 255  # submitit's, which Slurm puts back
    assert node.exit().cause == "preempted"
    assert (node.folder / "requeued").read_text() == "requeue 7_3\n"
    again = node.start("exit 0", SLURM_RESTART_COUNT="1")
    assert again.wait(20) == 0
    assert node.exit(2).code == 0


def test_a_signal_that_comes_before_the_run_has_begun_is_not_lost(node: Node) -> None:
    """submitit has its handlers before it calls the turn."""
    early = (
        "import os, signal; from submitit.core.utils import DelayedSubmission; result = DelayedSubmission.result\n"
        "DelayedSubmission.result = lambda self: (os.kill(os.getpid(), signal.SIGUSR2), result(self))"
    )
    job = node.start(f"{UNTIL_NOTICE} exit 3", early)
    assert job.wait(20) == 255
    assert node.exit().cause == "preempted"
    assert (node.folder / "requeued").exists()


def test_what_is_done_in_time_is_not_put_back(node: Node) -> None:
    job = node.start(f"{UNTIL_NOTICE} exit 0")
    at_work(node.run)
    job.send_signal(signal.SIGUSR2)
    assert job.wait(20) == 0
    assert node.exit().code == 0
    assert not (node.folder / "requeued").exists()


def test_where_jobs_may_not_be_put_back_the_queue_submits_again(node: Node) -> None:
    (node.folder / "forbidden").touch()
    job = node.start(f"{UNTIL_NOTICE} exit 3")
    at_work(node.run)
    job.send_signal(signal.SIGUSR2)
    assert job.wait(20) == 1
    assert "'scontrol', 'requeue', '7_3'" in node.said
    assert node.exit().cause == "preempted"


def test_a_sigterm_reaches_the_worker(node: Node) -> None:
    job = node.start(f"trap 'exit 3' TERM; {AT_WORK} while :; do sleep 0.02; done")
    at_work(node.run)
    job.terminate()
    assert job.wait(20) == 0
    assert node.exit().cause == "preempted"
    assert not (node.folder / "requeued").exists()  # whoever preempts puts it back


def test_another_goe_on_the_node_is_said_and_nothing_is_trained(node: Node) -> None:
    node.submit("0.0.7")
    job = node.start(AT_WORK)
    assert job.wait(20) == 2
    expected = f"goe {installed_version()} is here, but 0.0.7 submitted the job; install the same on both"
    assert expected in node.said
    assert expected in node.exit().said
    assert (node.exit().cause, view_run(node.run).problem) == ("user", node.exit().said)
    assert not (node.run.path / "at-work").exists()


def test_a_goe_that_changes_under_a_turn_is_seen_at_its_end(node: Node) -> None:
    updated = (
        "from goe.launch import slurmnode; versions = [slurmnode.installed_version(), '9.9', '9.9']\n"
        "slurmnode.installed_version = lambda: versions.pop(0)"
    )
    job = node.start(f"{UNTIL_NOTICE} exit 3", updated)
    at_work(node.run)
    job.send_signal(signal.SIGUSR2)
    assert job.wait(20) == 2
    assert "the job is not put back: goe's queue submits it again" in node.said
    assert not (node.folder / "requeued").exists()
    assert node.exit().cause == "preempted"


def test_a_rename_whose_answer_was_lost_is_ones_own(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS: the client asks again, and the server says that the target is there, which it made itself."""
    rename = Path.rename

    def answered_late(path: Path, target: Path) -> Path:
        rename(path, target)
        raise FileExistsError(17, "File exists", str(target))

    monkeypatch.setattr(Path, "rename", answered_late)
    launch = Launch(attempt=1, launcher="slurm", supervisor=myself(), job="7", started=1.0)
    assert run.claim(launch) is not None
    assert run.claim(launch) is None


def test_a_worker_ends_for_a_notice_a_request_a_signal_and_a_newer_attempt(run: RunDir) -> None:
    attempt = made(run, 1)
    told: list[int] = []
    ending = Ending(run, attempt, lambda: bool(told))
    assert not ending.now()
    assert not ending.before(1e9)
    write_json(attempt.notice_file, Notice(until=time.time() + 60))
    assert not ending.before(40)
    assert ending.before(55)
    told.append(15)
    assert ending.now()
    told.clear()
    made(run, 2)
    assert ending.now()
