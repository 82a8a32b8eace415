"""What a job of Slurm does on its node: goe's supervisor, for the attempt that it was submitted for or the next one.

    submitit's process        unpickles Turn and calls it; has Slurm's signals
      └─ goe.launch.slurmnode   RUNDIR ATTEMPT LEAD PROCESSES RESTARTS: the supervisor
           └─ goe.worker

LEAD seconds ahead of the time limit Slurm signals submitit, which calls `Turn.checkpoint`. The worker then finds
`notice` in the attempt's folder, and ends with the last epoch that can be saved in time, or at once; and submitit puts
the job back into Slurm's queue if the run is to go on. A job that Slurm begins anew, after this, a preemption or a
node's failure, makes the run's next attempt, which goes on from the checkpoint.
"""

import contextlib
import os
import platform
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from msgspec.structs import replace

from goe.core.code import installed_version
from goe.core.errors import EXIT_USER
from goe.core.process import is_alive, myself
from goe.core.records import Exit, Launch, Notice
from goe.core.rundir import Attempt, RunDir, write_json
from goe.launch.retry import advanced
from goe.launch.supervisor import supervise

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

VISIBLE_S = 60.0
"""A node may learn of a new folder on the shared file system as late as its attribute cache allows."""
SILENT_S = 60.0
"""After this without a heartbeat an earlier attempt's worker, on a node that Slurm gave up, is taken for dead."""
EXIT_AGAIN = 75
"""Of the supervisor: the run was told of the node's end, and is to go on in a next turn. (sysexits.h: EX_TEMPFAIL)"""
_POLL_S = 0.5
_TELL = signal.SIGUSR1


class Turn:
    """One job's turn at a run, as submitit pickles and calls it.

    It never returns: the job ends with the supervisor, whose word is in the run's folder, and leaves no result.
    """

    def __init__(
        self, run: Path, attempt: int, version: str, *, data: Path, lead: int, processes: int, restarts: int
    ) -> None:
        """`version`: of the goe that submits it; `data`: the folder with the data sets, unless the node says another.

        A job need not be given its queue's environment (`--export=NONE`).
        """
        self.version = version
        self.data = str(data)
        self.run = str(run.resolve())
        self.arguments = tuple(map(str, (attempt, lead, processes, restarts)))
        self._pid = 0

    def __call__(self) -> NoReturn:
        """Begin the supervisor and end as it does."""
        self._begin()
        raise SystemExit(self._wait())

    def checkpoint(self) -> "DelayedSubmission":
        """The node has to be left: tell the supervisor, wait for its end, and go on in a next turn if the run does.

        submitit calls it in the handler of Slurm's signal, on top of whatever waits below.
        """
        from submitit.helpers import DelayedSubmission

        self._begin()
        os.kill(self._pid, _TELL)
        code = self._wait()
        if code != EXIT_AGAIN:
            raise SystemExit(code)
        if installed_version() != self.version:
            _say(f"{self._versions()}; the job is not put back: goe's queue submits it again")
            raise SystemExit(EXIT_USER)
        return DelayedSubmission(self)

    def __getstate__(self) -> dict[str, object]:
        """All but the supervisor, which is this node's."""
        return {**self.__dict__, "_pid": 0}

    def _begin(self) -> None:
        """Start the supervisor, once, whatever signals come meanwhile."""
        with _held({signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}):
            if self._pid:
                return
            if installed_version() != self.version:
                self._refuse()
            command = [sys.executable, "-P", "-m", "goe.launch.slurmnode", self.run, *self.arguments]
            # Held there until the attempt is made, which is what is told of it.
            environment = {"GOE_DATA": self.data, **os.environ}
            self._pid = os.posix_spawn(sys.executable, command, environment, setsigmask=[_TELL])
            signal.signal(signal.SIGTERM, lambda number, _: os.kill(self._pid, number))

    def _wait(self) -> int:
        """The supervisor's exit code. Nobody ever reaps it, so that this can be waiting in a handler and below it."""
        ended = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None, "only WNOHANG returns none"
        return ended.si_status if ended.si_code == os.CLD_EXITED else 128 + ended.si_status

    def _refuse(self) -> NoReturn:
        """Leave an attempt that says why it came to nothing."""
        said = f"{self._versions()}; install the same on both, then `goe retry {Path(self.run).name}`"
        _say(said)
        run, job, now = RunDir(Path(self.run)), job_id(os.environ), time.time()
        attempt = turn_attempt(run, job, int(self.arguments[0]))
        if attempt is not None:
            launch = Launch(attempt=attempt, launcher="slurm", supervisor=myself(), job=job, started=now)
            ended = Exit(code=EXIT_USER, signal=None, started=now, ended=now, peak_memory=0, cause="user", said=said)
            run.claim(launch, ended)
        raise SystemExit(EXIT_USER)

    def _versions(self) -> str:
        return f"{platform.node()}: goe {installed_version()} is here, but {self.version} submitted the job"


def main(argv: Sequence[str]) -> int:
    """Supervise one attempt. 0 also when there is nothing to do: stopped meanwhile, or somebody else's by now."""
    path, number, lead, processes, restarts = argv
    run, job = RunDir(Path(path)), job_id(os.environ)
    told: list[int] = []
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # for submitit, should Slurm send it to all
    if not _appears(run):
        _say(f"{path}: not there on {platform.node()}; the runs have to lie on a file system that all nodes share")
        return EXIT_USER
    launch = Launch(
        attempt=0,
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
            write_json(run.numbered(launch.attempt).notice_file, Notice(until=time.time() + float(lead)))

    signal.signal(_TELL, pass_on)
    until = time.monotonic() + VISIBLE_S
    while True:
        attempt = turn_attempt(run, job, int(number))
        if attempt is None:
            return 0
        launch = replace(launch, attempt=attempt)
        ended = supervise(run, launch, lambda: _let_in(_TELL))
        if ended is not None:
            return EXIT_AGAIN if told and goes_on(run, attempt, ended) else 0
        if not _begun_anew() or time.monotonic() > until:
            return 0
        time.sleep(_POLL_S)  # an attempt is there that this node doesn't list yet, perhaps this job's own


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _let_in(number: signal.Signals) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})


@contextlib.contextmanager
def _held(numbers: set[signal.Signals]) -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def job_id(environment: Mapping[str, str]) -> str:
    """The job's id as squeue lists it."""
    array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else environment["SLURM_JOB_ID"]


def turn_attempt(run: RunDir, job: str, first: int) -> int | None:
    """The attempt that the job, submitted for attempt `first`, is to make now; None if there is none for it."""
    return next_attempt(run, job, first) if _begun_anew() else first


def _begun_anew() -> bool:
    """Whether Slurm had started the job before, on this node or another."""
    return int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0


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
