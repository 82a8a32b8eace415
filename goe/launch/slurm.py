"""Runs as jobs of Slurm: submitting and ending them, and how many there may be.

A job does nothing but start goe's supervisor on its node (goe/launch/slurmnode.py), which claims the attempt in the
run's directory like any other. So a job that is submitted twice runs once, and one whose attempt was closed meanwhile
ends at once. submitit submits them (goe/launch/slurmsubmit.py); what Slurm says of the jobs is asked by
goe/launch/slurmwatch.py.
"""

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from goe.core.code import installed_version
from goe.core.errors import EXIT_STOPPED, ConfigError
from goe.core.jobs import JobOptions
from goe.core.overview import RunView, view_run
from goe.core.process import myself
from goe.core.queuefile import QueueOptions
from goe.core.records import Exit, Launch
from goe.core.rundir import RunDir, write_json
from goe.core.slurm import LEAD_S, SlurmJob, SlurmRequest
from goe.core.state import RunState
from goe.launch.base import LaunchError, Slot, Start
from goe.launch.slurmbatch import comment, discard, job_name, open_batch
from goe.launch.slurmclient import ARRAY_JOBS, CrowdedError, SlurmError, UnansweredError, array_limit, cancel, client
from goe.launch.slurmnode import Turn

NAME = "slurm"
_TAGS = ("%j", "%t", "%A", "%a")
"""What submitit replaces in the path of its folder."""


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
            for command in ("sbatch", "srun", "squeue", "scancel"):  # submitit wants to see srun
                client(command)
        except SlurmError as error:
            raise ConfigError([f'launcher = "slurm": {error}']) from None
        self._usual = options.slurm
        self._most = count or options.max_jobs

    def take(self, options: JobOptions, live: Sequence[RunView], beside: int = 0) -> SlurmSlot | None:
        """A place for a run queued like this, or None if it has to wait."""
        if _jobs(live) + beside >= self._most:
            return None
        request = options.slurm.over(self._usual) if options.slurm else self._usual
        processes = options.processes if request.gres == "" else options.gpu_count
        return SlurmSlot(request=request, gpu_count=options.gpu_count, processes=processes, restarts=options.restarts)

    def why(self, options: JobOptions, live: Sequence[RunView]) -> str:  # noqa: ARG002 - all runs count alike
        """What such a run waits for, in words; empty if it needn't."""
        jobs = _jobs(live)
        return f"at most {self._most} jobs at once (max-jobs); {jobs} are in Slurm" if jobs >= self._most else ""

    def problem(self, options: JobOptions) -> str | None:  # noqa: ARG002 - sbatch refuses what can never run
        """Nothing: what the cluster can never hold, Slurm itself says."""
        return None


class SlurmLauncher:
    """Submits runs. The files that go with them are on a file system that the nodes share."""

    name = NAME

    def __init__(self) -> None:
        self._limit: int | None = None
        self._room = ARRAY_JOBS  # as far as is known: an array that exceeds a limit on jobs is refused whole

    @property
    def most(self) -> int:
        """As many as the cluster takes in one array, and may still take of this user."""
        if self._limit is None:
            with contextlib.suppress(SlurmError):  # asked again the next time
                self._limit = array_limit()
        return min(self._limit or ARRAY_JOBS, self._room)

    def launch(self, starts: Sequence[Start]) -> list[bool]:
        """Submit runs as one array.

        Raises LaunchError if Slurm refuses or a run's folder can't be written to, UnansweredError if it can't be asked,
        and CrowdedError where it takes no more than it has of this user's, or fewer than these; `most` is less then.
        """
        from goe.launch.slurmsubmit import submit  # only where something is submitted: it brings submitit

        slot = starts[0].slot
        assert isinstance(slot, SlurmSlot), "slots of Slurm are taken from SlurmSlots"
        runs, request, now = starts[0].run.path.parent, slot.request, time.time()
        if any(tag in str(runs.resolve()) for tag in _TAGS):
            raise LaunchError(f"{runs.resolve()}: submitit takes no folder with {', '.join(_TAGS)} in its name")
        folder = open_batch(runs, starts)
        version = installed_version()
        data = Path(os.environ.get("GOE_DATA", "data")).absolute()
        turns = [_turn(start, version, data) for start in starts]
        try:
            asked = options([start.run.run_id for start in starts], slot, folder)
            at_once = request.array_parallelism or len(starts)
            jobs = submit(folder, turns, asked, at_once=at_once, lead=_lead(request), setup=request.setup or ())
        except UnansweredError:
            raise  # perhaps it was submitted all the same: the folder says what the jobs are
        except CrowdedError as error:
            discard(folder)
            self._room = max(1, len(starts) // 2)
            error.jobs = len(starts)
            raise
        except (SlurmError, OSError) as error:
            discard(folder)
            if isinstance(error, OSError):
                raise
            raise LaunchError(f"{error}{_advice(str(error))}") from None
        self._room = min(ARRAY_JOBS, 2 * self._room)
        unwritten = []
        for start, job in zip(starts, jobs, strict=True):
            known = SlurmJob(job=job, batch=folder.name, attempt=start.attempt, submitted=now, seen=now)
            try:
                write_json(start.run.slurm_file, known, durable=False)  # a next queue would learn it from the comment
            except OSError as error:
                said = f"{start.run.path}: can't be written to: {error.strerror}; job {job} is submitted all the same"
                unwritten.append(f"{said}, and followed as soon as it can")
        if unwritten:
            raise LaunchError("\n".join(unwritten))
        return [True] * len(starts)

    def stop(self, run: RunDir, *, force: bool = False) -> None:
        """Close the next attempt of a job that makes none now, and cancel it; ask one at work to end after its step.

        With `force` its supervisor is told to end its processes. The first needs no Slurm here: the job would find the
        attempt closed.
        """
        view = view_run(run)
        if view.job is None:
            return
        over = view.job.attempt > view.attempt or view.exit is not None  # it is between two turns, or before the first
        if view.state is RunState.PENDING or (view.state is RunState.STARTING and over):
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


def options(run_ids: Sequence[str], slot: SlurmSlot, folder: Path) -> dict[str, str | int | bool]:
    """What sbatch is told of a batch, by the long names of its options; the request's own directives win."""
    request = slot.request
    gres = "gpu" if request.gres is None else request.gres
    job = "%A_%a" if len(run_ids) > 1 else "%j"
    told: dict[str, str | int | bool | None] = {
        "job_name": job_name(folder, run_ids),  # as submitit spells what it sets itself
        "comment": comment(folder),
        "output": f"{str(folder).replace('%', '%%')}/{job}.out",
        "requeue": True,
        "nodes": 1,
        "ntasks": 1,
        "gres": f"{gres}:{slot.gpu_count}" if gres else None,
        "partition": request.partition,
        "account": request.account,
        "qos": request.qos,
        "time": request.time,
        "constraint": request.constraint,
        "cpus-per-task": request.cpus,
        "mem": request.memory,
    }
    asked = {name: value for name, value in told.items() if value is not None}
    for directive in request.directives or ():
        name, given, value = directive.removeprefix("--").partition("=")
        asked[name] = value if given else True
    return asked


def _jobs(live: Sequence[RunView]) -> int:
    return sum(view.job is not None and not view.job.over for view in live)


def _turn(start: Start, version: str, data: Path) -> Turn:
    assert isinstance(start.slot, SlurmSlot)
    slot, lead = start.slot, _lead(start.slot.request)
    return Turn(
        start.run.path,
        start.attempt,
        version,
        data=data,
        lead=lead,
        processes=slot.processes,
        restarts=slot.restarts,
    )


def _lead(request: SlurmRequest) -> int:
    return LEAD_S if request.lead is None else request.lead


def _advice(said: str) -> str:
    """What to do about a refusal, where its words tell."""
    known = {
        "invalid partition": "; `sinfo` lists the partitions: correct slurm.partition",
        "invalid account": "; `sacctmgr show associations user=$USER` lists yours: correct slurm.account",
        "generic resource": '; the cluster knows no such GPUs: correct slurm.gres, "" asks for none',
        "feature specification": "; `sinfo -o %f` lists the features: correct slurm.constraint",
        "job array specification": "; `scontrol show config` says what arrays the cluster takes (MaxArraySize)",
        "time limit": "; `sinfo -o '%P %l'` lists the partitions' limits: lower slurm.time",
    }
    return next((advice for words, advice in known.items() if words in said.lower()), "")
