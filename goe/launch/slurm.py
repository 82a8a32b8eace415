"""Runs as jobs of Slurm: submitting and ending them, and how many there may be.

A job does nothing but start goe's supervisor on its node (goe/launch/slurmnode.py), which claims the attempt in the
run's directory like any other. So a job that is submitted twice runs once, and one whose attempt was closed meanwhile
ends at once. What Slurm says of the jobs is asked by goe/launch/slurmwatch.py.
"""

import contextlib
import shlex
import sys
import time
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from goe.core.errors import EXIT_STOPPED, ConfigError
from goe.core.jobs import JobOptions
from goe.core.overview import RunView, view_run
from goe.core.process import myself
from goe.core.queuefile import QueueOptions
from goe.core.records import Exit, Launch
from goe.core.rundir import RunDir, write_json
from goe.core.slurm import LEAD_S, SlurmJob, SlurmRequest
from goe.core.state import RunState
from goe.launch.base import LaunchError, Slot
from goe.launch.slurmclient import SlurmError, UnansweredError, cancel, client, submit

NAME = "slurm"
_MARK = "goe:"


class SlurmSlot(Slot, frozen=True):
    """A place in Slurm's queue."""

    request: SlurmRequest = SlurmRequest()
    gpu_count: int = 1


class SlurmSlots:
    """How many jobs a queue may have in Slurm at once; which GPUs they get, and when, is Slurm's to say."""

    def __init__(
        self, options: QueueOptions, gpus: Sequence[int | str] | None = None, count: int | None = None
    ) -> None:
        """`count` (`--slots`) wins over `max-jobs`. Raises ConfigError without Slurm's commands, or for named GPUs."""
        if gpus is not None or options.gpus is not None:
            where = "gpus" if gpus is None else "--gpus"
            raise ConfigError(
                [f'{where}: with launcher = "slurm" Slurm chooses the GPUs; say gpu-count and slurm.gres']
            )
        try:
            for command in ("sbatch", "squeue", "scancel"):
                client(command)
        except SlurmError as error:
            raise ConfigError([f'launcher = "slurm": {error}']) from None
        self._usual = options.slurm
        self._most = count or options.max_jobs

    def take(self, options: JobOptions, live: Sequence[RunView]) -> SlurmSlot | None:
        """A place for a run queued like this, or None if it has to wait."""
        if self.why(options, live):
            return None
        request = options.slurm.over(self._usual) if options.slurm else self._usual
        processes = options.processes if request.gres == "" else options.gpu_count
        return SlurmSlot(request=request, gpu_count=options.gpu_count, processes=processes, restarts=options.restarts)

    def why(self, options: JobOptions, live: Sequence[RunView]) -> str:  # noqa: ARG002 - all runs count alike
        """What such a run waits for, in words; empty if it needn't."""
        jobs = sum(view.job is not None and not view.job.over for view in live)
        return f"at most {self._most} jobs at once (max-jobs); {jobs} are in Slurm" if jobs >= self._most else ""

    def problem(self, options: JobOptions) -> str | None:  # noqa: ARG002 - sbatch refuses what can never run
        """Nothing: what the cluster can never hold, Slurm itself says."""
        return None


class SlurmLauncher:
    """Submits runs. The files that go with them are on a file system that the nodes share."""

    name = NAME

    def launch(self, run: RunDir, slot: Slot, *, attempt: int) -> bool:
        """Submit `attempt` of the run. Raises LaunchError if Slurm refuses, UnansweredError if it can't be asked."""
        assert isinstance(slot, SlurmSlot), "slots of Slurm are taken from SlurmSlots"
        now = time.time()
        try:
            job = submit(script(run, slot, attempt), list(options(run, slot, attempt)))
        except UnansweredError:
            raise
        except SlurmError as error:
            raise LaunchError(f"{run.run_id}: {error}{_advice(str(error))}") from None
        write_json(run.slurm_file, SlurmJob(job=job, attempt=attempt, submitted=now, seen=now))
        return True

    def stop(self, run: RunDir, *, force: bool = False) -> None:
        """Close the attempt of a job that waits, and cancel it; ask one at work to end after its current step.

        With `force` its supervisor is told to end its processes. A waiting run needs no Slurm here to be stopped: its
        job would find the attempt closed.
        """
        view = view_run(run)
        if view.job is None:
            return
        waits = view.state is RunState.PENDING or (view.state is RunState.STARTING and view.job.attempt > view.attempt)
        if waits:
            now = time.time()
            said = "cancelled before Slurm had started it"
            ended = Exit(code=EXIT_STOPPED, signal=None, started=now, ended=now, peak_memory=0, said=said)
            if close(run, view.job, view.attempt + 1, ended):
                write_json(run.slurm_file, replace(view.job, over=True))
                with contextlib.suppress(SlurmError):
                    cancel(view.job.job)
                return
        attempt = run.attempt()
        if attempt is not None:
            attempt.request_stop()
        if force:
            cancel(view.job.job, "--batch", "--signal=TERM")


def close(run: RunDir, job: SlurmJob, attempt: int, ended: Exit) -> bool:
    """Make an attempt that came to nothing, so that its job can't begin it any more; False if it had begun."""
    launch = Launch(attempt=attempt, launcher=NAME, supervisor=myself(), job=job.job, started=ended.started)
    return run.claim(launch, ended) is not None


def comment(run: RunDir, attempt: int) -> str:
    """By which a job is known as an attempt of the run, by queues that did not submit it too."""
    return f"{_MARK}{attempt}:{run.path.resolve()}"


def read_comment(text: str) -> tuple[int, str] | None:
    """The attempt and the run's folder; None for a job that is none of goe's."""
    number, _, path = text.removeprefix(_MARK).partition(":")
    return (int(number), path) if text.startswith(_MARK) and number.isdecimal() and path else None


def script(run: RunDir, slot: SlurmSlot, attempt: int) -> str:
    """What the node runs; the supervisor takes the shell's place, so that Slurm's signals reach it."""
    numbers = map(str, (attempt, _lead(slot.request), slot.processes, slot.restarts))
    command = [sys.executable, "-P", "-m", "goe.launch.slurmnode", str(run.path.resolve()), *numbers]
    return "\n".join(("#!/bin/bash", *(slot.request.setup or ()), f"exec {shlex.join(command)}", ""))


def options(run: RunDir, slot: SlurmSlot, attempt: int) -> Iterator[str]:
    """What sbatch is told."""
    request = slot.request
    lead = _lead(request)
    gres = "gpu" if request.gres is None else request.gres
    yield f"--job-name={run.run_id}"
    yield f"--comment={comment(run, attempt)}"
    yield f"--output={str(run.path.resolve()).replace('%', '%%')}/slurm-%j.out"
    yield from ("--open-mode=append", "--requeue", "--nodes=1", "--ntasks=1")
    if lead:
        yield f"--signal=B:USR1@{lead}"
    if gres:
        yield f"--gres={gres}:{slot.gpu_count}"
    named = {
        "partition": request.partition,
        "account": request.account,
        "qos": request.qos,
        "time": request.time,
        "constraint": request.constraint,
        "cpus-per-task": request.cpus,
        "mem": request.memory,
    }
    yield from (f"--{name}={value}" for name, value in named.items() if value is not None)
    yield from request.directives or ()


def _lead(request: SlurmRequest) -> int:
    return LEAD_S if request.lead is None else request.lead


def _advice(said: str) -> str:
    """What to do about a refusal, where its words tell."""
    known = {
        "invalid partition": "; `sinfo` lists the partitions: correct slurm.partition",
        "invalid account": "; `sacctmgr show associations user=$USER` lists yours: correct slurm.account",
        "generic resource": '; the cluster knows no such GPUs: correct slurm.gres, "" asks for none',
        "feature specification": "; `sinfo -o %f` lists the features: correct slurm.constraint",
        "time limit": "; `sinfo -o '%P %l'` lists the partitions' limits: lower slurm.time",
    }
    return next((advice for words, advice in known.items() if words in said.lower()), "")
