"""What a job of Slurm runs on its node: goe's supervisor, for the attempt that it was submitted for or the next one.

    python -m goe.launch.slurmnode RUNDIR ATTEMPT LEAD PROCESSES RESTARTS

LEAD seconds ahead of the time limit Slurm sends SIGUSR1. The worker then finds `notice` in the attempt's folder, ends
with the last epoch that can be saved in time, or at once, and the job goes back into Slurm's queue. A job that Slurm
begins anew, after this, a preemption or a node's failure, makes the run's next attempt, which goes on from the
checkpoint. What is printed here goes to `slurm-<job>.out` in the run's folder.
"""

import contextlib
import os
import platform
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from goe.core.errors import EXIT_USER
from goe.core.process import is_alive, myself
from goe.core.records import Exit, Launch, Notice
from goe.core.rundir import Attempt, RunDir, write_json
from goe.launch.retry import advanced
from goe.launch.slurmclient import SlurmError, requeue
from goe.launch.supervisor import supervise

VISIBLE_S = 60.0
"""A node may learn of a new folder on the shared file system as late as its attribute cache allows."""
SILENT_S = 60.0
"""After this without a heartbeat an earlier attempt's worker, on a node that Slurm gave up, is taken for dead."""
_POLL_S = 0.5


def main(argv: Sequence[str]) -> int:
    """Supervise one attempt. 0 also when there is nothing to do: stopped meanwhile, or somebody else's by now."""
    path, number, lead, processes, restarts = argv
    run, job = RunDir(Path(path)), job_id(os.environ)
    told: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _: told.append(number))
    if not _appears(run):
        _say(f"{path}: not there on {platform.node()}; the runs have to lie on a file system that all nodes share")
        return EXIT_USER
    attempt = int(number)
    if int(os.environ.get("SLURM_RESTART_COUNT") or 0):
        follow_up = next_attempt(run, job, attempt)
        if follow_up is None:
            return 0
        attempt = follow_up
    launch = Launch(
        attempt=attempt,
        launcher="slurm",
        supervisor=myself(),
        job=job,
        gpus=gpus(os.environ),
        threads=threads(os.environ),
        processes=int(processes),
        restarts=int(restarts),
        started=time.time(),
    )

    def pass_on(number: int, _: object) -> None:
        told.append(number)
        with contextlib.suppress(OSError):  # a full disk; the limit itself then ends the run
            write_json(run.numbered(attempt).notice_file, Notice(until=time.time() + float(lead)))

    signal.signal(signal.SIGUSR1, pass_on)
    ended = supervise(run, launch)
    if ended is not None and told and goes_on(run, attempt, ended):
        try:
            requeue(job)
        except SlurmError as error:
            _say(f"not put back into Slurm's queue: {error}; goe's queue submits it again")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201


def job_id(environment: Mapping[str, str]) -> str:
    """The job's id as squeue lists it."""
    array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else environment["SLURM_JOB_ID"]


def gpus(environment: Mapping[str, str]) -> tuple[int, ...]:
    """The numbers of the GPUs that Slurm gave to the job, as far as it says."""
    given = environment.get("SLURM_JOB_GPUS") or environment.get("CUDA_VISIBLE_DEVICES", "")
    return tuple(int(part) for part in given.split(",") if part.isdecimal())


def threads(environment: Mapping[str, str]) -> int | None:
    """CPU threads for the job's run; None leaves the choice to the libraries."""
    given = environment.get("SLURM_CPUS_PER_TASK") or environment.get("SLURM_CPUS_ON_NODE", "")
    return int(given) if given.isdecimal() else None


def next_attempt(run: RunDir, job: str, first: int) -> int | None:
    """The attempt that a job makes which Slurm began anew; None if the run is no longer its business.

    It was submitted for attempt `first`. An attempt of its own that left no word may still be alive on a node that
    Slurm lost sight of; it is asked to end, and waited for until it has or is silent.
    """
    newest = run.attempt()
    if newest is None or newest.number < first:
        return first
    ended = newest.exit()
    asked_to_end = run.held or newest.stop_requested or (ended is not None and not ended.cause)
    if asked_to_end or newest.launch().job != job:
        return None
    if ended is None:
        _outlive(newest)
    return newest.number + 1


def goes_on(run: RunDir, attempt: int, ended: Exit) -> bool:
    """Whether a run that was told of the node's end is to be put back into Slurm's queue.

    Not for ever if it gets nowhere: two turns without an epoch end it, and its retries are counted.
    """
    if ended.cause != "preempted" or run.held:
        return False
    return attempt == 1 or advanced(run, attempt) or advanced(run, attempt - 1)


def _appears(run: RunDir) -> bool:
    until = time.monotonic() + VISIBLE_S
    while not run.config_file.exists():
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_S)
    return True


def _outlive(attempt: Attempt) -> None:
    """Wait until nothing of an attempt goes on. Only what changes counts, so that no clock is compared with another."""
    launch = attempt.launch()
    attempt.request_stop()
    beat, heard = attempt.status(), time.monotonic()
    while not attempt.exit_file.exists() and time.monotonic() - heard < SILENT_S:
        alive = [is_alive(process) for process in (launch.supervisor, launch.worker) if process is not None]
        if alive and not any(one is not False for one in alive):
            return  # this very node, and they are gone
        time.sleep(_POLL_S)
        newest = attempt.status()
        if newest != beat:
            beat, heard = newest, time.monotonic()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
