"""A run as a job of Slurm: what the job asks for, what Slurm says of it, and what that means here."""

import re
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import asdict, replace

from goe.core.specs import Natural, Positive

LEAD_S = 120
"""Seconds ahead of the time limit at which a run is told, where nothing else is said."""


class SlurmRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab", omit_defaults=True):
    """What a job asks of Slurm; what is left out is the queue's, and where that says nothing the cluster's default."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: str | None = None
    """Time limit: minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS; longer runs take several turns."""
    gres: str | None = None
    """Kind of GPU without the number, which is gpu-count: "gpu" where nothing is said, "gpu:a100"; "" asks for none."""
    constraint: str | None = None
    cpus: Positive | None = None
    """CPU cores; also the threads of a run."""
    memory: str | None = None
    """Of the node, such as "16G"."""
    lead: Natural | None = None
    """Seconds ahead of the time limit at which the run is told, so that it can save and go on in a next turn; 120."""
    array_parallelism: Positive | None = None
    """Jobs of one array, which are runs submitted together, that Slurm lets run at once; all of them."""
    directives: tuple[str, ...] | None = None
    """Further options of sbatch, such as "--exclude=n7"; they come last and win."""
    setup: tuple[str, ...] | None = None
    """Shell lines that come before the run on the node, such as "module load cuda"."""

    def over(self, usual: "SlurmRequest") -> "SlurmRequest":
        """The request, with what it leaves out taken from `usual`."""
        return replace(usual, **{key: value for key, value in asdict(self).items() if value is not None})


class SlurmJob(Struct, frozen=True, kw_only=True):
    """`slurm.json`: the job submitted for a run, and what Slurm last said of it."""

    job: str
    """Its id: `12`, or `12_3` in an array."""
    batch: str = ""
    """Folder in `.slurm` beside the runs with what it was submitted with; gone when all jobs in it are over."""
    attempt: int
    """The attempt that it makes next, or the one it is at."""
    submitted: float
    """Unix time."""
    state: str = "PENDING"
    """In Slurm's words."""
    reason: str = ""
    """Why it waits or ended, in Slurm's words."""
    nodes: str = ""
    start: float | None = None
    """When Slurm expects a waiting one to start, in Unix time; null while Slurm doesn't say."""
    seen: float
    """When Slurm said so."""
    over: bool = False
    """Nothing more comes of it."""

    @property
    def waits(self) -> bool:
        """Whether Slurm has yet to start it."""
        return self.state in WAITING

    def said(self) -> str:
        """`job 12: PENDING (Resources)`."""
        return f"job {self.job}: {self.state}" + (f" ({self.reason})" if self.reason else "")


WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"})
ENDED = frozenset(
    {
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "LAUNCH_FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "RECONFIG_FAIL",
        "REVOKED",
        "TIMEOUT",
    }
)
VANISHED = "VANISHED"
"""goe's own word for a job that neither the controller nor the accounts know any more."""


_OPTION = re.compile(r"--[a-z][a-z0-9-]*(=.*)?")
_OURS = {"job-name", "comment", "output", "error", "open-mode", "parsable", "signal", "requeue", "no-requeue", "array"}
_OURS |= {"wrap", "chdir", "wait", "test-only", "quiet", "clusters", "uid", "gid", "version", "help", "usage"}


_TIME = re.compile(r"UNLIMITED|\d+(:\d{1,2}){0,2}|\d+-\d{1,2}(:\d{1,2}){0,2}")
_MEMORY = re.compile(r"\d+[KMGT]?")


def request_problems(request: SlurmRequest) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What sbatch can't be asked for, each with its place in the table and the finding."""
    if request.time is not None and not _TIME.fullmatch(request.time):
        yield ("time",), f'time: "{request.time}" is no time limit of Slurm; write for example "02:30:00" or "1-12"'
    if request.memory is not None and not _MEMORY.fullmatch(request.memory):
        yield ("memory",), f'memory: "{request.memory}" is no size of memory; write for example "16G"'
    for place, text in enumerate(request.directives or ()):
        name = text[2:].partition("=")[0]
        if not _OPTION.fullmatch(text):
            found = f'"{text}" is no long option of sbatch; write for example "--exclude=n7" or "--exclusive"'
            yield ("directives", place), f"directives: {found}"
        elif name in _OURS:
            yield ("directives", place), f'directives: "{text}": goe needs --{name} as it is; leave it out'
