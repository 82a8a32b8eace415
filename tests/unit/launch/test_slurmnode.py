"""What a job does on its node: which attempt it makes, what Slurm gave it, whether it is put back."""

import threading
import time
from pathlib import Path

import pytest

from goe.core.config import complete
from goe.core.process import ProcessId, myself
from goe.core.records import Exit, Launch, Notice, Status
from goe.core.rundir import Attempt, RunDir, write_json
from goe.launch import slurmnode
from goe.launch.slurmnode import goes_on, gpus, job_id, next_attempt, threads
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
