"""How a run is to be queued: what an experiment says beside its configuration, and changes no result and no run id."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from goe.core.config import RunConfig
from goe.core.errors import did_you_mean
from goe.core.slurm import SlurmRequest
from goe.core.specs import LARGEST, Natural, NonNegative, Positive

Cause: TypeAlias = Literal[
    "user",
    "non-finite",
    "out-of-memory",
    "disk-full",
    "nccl",
    "preempted",
    "signal",
    "lost",
    "bug",
]
"""Why an attempt failed. `user`: something only its user can mend; `lost`: its processes are gone and left no word."""


class Retry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """How often a queue starts a run again by itself after each cause of failure. `user` errors and bugs never are."""

    out_of_memory: Natural = 1
    disk_full: Natural = 10
    nccl: Natural = 3
    preempted: Natural = 20
    signal: Natural = 2
    lost: Natural = 20
    non_finite: Natural = 0
    backoff: NonNegative = 10.0
    """Seconds before the first retry; each further one of a run waits twice as long, at most an hour."""

    def limit(self, cause: Cause) -> int:
        """Retries after `cause` in a run's life."""
        if cause in {"user", "bug"}:
            return 0
        found: int = getattr(self, cause.replace("-", "_"))
        return found


class JobOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """What an experiment, or `[defaults]`, can say of how its runs are queued."""

    priority: Annotated[int, Meta(ge=-LARGEST, le=LARGEST)] = 0
    """Higher ones start first; equal ones in the file's order."""
    hold: bool = False
    """Not started until it is released."""
    after: tuple[str, ...] = ()
    """Experiments of the file that must be done first, whole."""
    gpu_count: Positive = 1
    """GPUs a run needs, where there are any: with several it is trained by a process on each."""
    processes: Positive = 1
    """Processes that train a run together where there are no GPUs."""
    restarts: Natural = 0
    """Of these, or of those on several GPUs: how often all are started anew from the last checkpoint when one dies,
    before the attempt has failed and `retry` has a say."""
    gpu_share: Annotated[float, Meta(gt=0.0, le=1.0)] = 1.0
    """Share of a GPU that a run takes: 0.5 lets two share one."""
    gpu_memory: NonNegative = 0.0
    """GiB of free GPU memory that a run needs; 0 doesn't look."""
    retry: Retry | None = None
    """Instead of the queue's."""
    slurm: SlurmRequest | None = None
    """What its jobs ask of Slurm, before what the queue says."""


class Job(Struct, frozen=True, kw_only=True):
    """A run of the queue file and how it is queued."""

    config: RunConfig
    options: JobOptions = JobOptions()

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.config.run_id


def too_many(config: RunConfig, processes: int) -> str:
    """Why so many processes can't share the batches of a run; empty if they can."""
    if processes <= config.batch_size:
        return ""
    return f"{processes} for batch-size = {config.batch_size}; each process needs at least one image of a batch"


def sharing_problems(job: Job) -> Iterator[tuple[str, str]]:
    """Keys of `job` that ask for more processes than its batches can be shared by, each with the finding."""
    for key, processes in (("gpu-count", job.options.gpu_count), ("processes", job.options.processes)):
        found = too_many(job.config, processes)
        if found:
            yield key, f"{key}: {found}"


def order_problems(jobs: Sequence[Job], known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Experiments whose `after` names none of those `known`, or goes round in a circle, each with the finding."""
    after = {job.config.experiment: job.options.after for job in jobs}
    for experiment, names in after.items():
        for name in names:
            if name not in known:
                yield experiment, f'after: no experiment is called "{name}"{did_you_mean(name, known)}'
        circle = _circle(experiment, after)
        if circle:
            yield experiment, f"after: {' waits for '.join(circle)}, a circle"


def _circle(start: str, after: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The way from `start` back to it, or nothing."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop()
        for name in after.get(way[-1], ()):
            if name == start:
                return [*way, start]
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []
