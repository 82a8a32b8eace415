"""Slurm's client commands, each under a time limit: what is asked, and what their answers say.

A call costs the controller something, and one that is down lets every client wait. So all jobs are asked about in one
call, and whoever calls decides how often.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Sequence

from msgspec import Struct

from goe.core.errors import UserError
from goe.core.slurm import ENDED

TIMEOUT_S = 30.0
"""Clients themselves try for 10 s and more to reach a controller that is down."""
ARRAY_JOBS = 500
"""In one array at most: half of what Slurm takes by default, and a file server has as many pickles to write at once."""
ACCOUNT_JOBS = 1000
"""Asked about in one call: Linux takes no argument longer than 128 KiB."""


class SlurmError(UserError):
    """Slurm refused, and would again."""


class UnansweredError(SlurmError):
    """Slurm could not be asked; later it may do what was asked, or has done it already."""


class CrowdedError(SlurmError):
    """Slurm took none of so many jobs: a user, an account or a QOS may have only so many submitted."""

    jobs = 1
    """How many it was asked to take."""


class Listed(Struct, frozen=True):
    """A job as the controller or the accounts know it."""

    job: str
    state: str
    reason: str = ""
    start: float | None = None
    """Unix time at which it began, or is expected to."""
    nodes: str = ""
    name: str = ""
    comment: str = ""


def client(command: str) -> str:
    """The path of one of Slurm's commands. Raises SlurmError if it is not there."""
    found = shutil.which(command)
    if found is None:
        raise SlurmError(f"{command}: not found on PATH; Slurm's commands are on the cluster's login nodes")
    return found


def list_jobs() -> list[Listed]:
    """Every job of this user that the controller remembers, also ended ones (by default for 300 s), in one call."""
    fields = "%i|%T|%r|%S|%N|%j|%k"
    asked = ["--noheader", "--array", "--all", "--states=all", f"--user={os.getuid()}", f"--format={fields}"]
    text = _call(["squeue", *asked])
    return [_listed(line) for line in text.splitlines() if line.count("|") >= 6]


def ended_jobs(jobs: Collection[str]) -> dict[str, Listed]:
    """What the accounts say of jobs that are over, by id; nothing where the cluster keeps none.

    The controller forgot them: one that waits or runs by the accounts is one whose end they never learnt.
    """
    if shutil.which("sacct") is None:
        return {}
    fields = "JobID,State,Reason,NodeList,JobName"
    found: dict[str, Listed] = {}
    asked = sorted(jobs)
    for begin in range(0, len(asked), ACCOUNT_JOBS):
        ids = f"--jobs={','.join(asked[begin : begin + ACCOUNT_JOBS])}"
        try:
            text = _call(["sacct", "-X", "--noheader", "--parsable2", ids, f"--format={fields}"])
        except UnansweredError:
            raise
        except SlurmError:  # accounting storage is disabled
            return {}
        for line in text.splitlines():
            job, state, reason, nodes, name = (line.split("|", 4) + [""] * 5)[:5]
            found.pop(job, None)  # a job that was requeued has several lines, the newest last
            word = (state.split() or [""])[0].rstrip("+")
            if word in ENDED:
                found[job] = Listed(job, word, "" if reason == "None" else reason, None, _nodes(nodes), name)
    return found


_GONE = r"exit code 22[59]\b"
"""What scancel may say without a word: the low byte of Slurm's errors 2017, no such job, and 2021, one that is over."""


def cancel(job: str, *options: str) -> None:
    """End a job, or with `--signal` tell it something. One that is not there any more is no error."""
    try:
        _call(["scancel", *options, job])
    except UnansweredError:
        raise
    except SlurmError as error:
        if not re.search(f"Invalid job id|already completing|already completed|{_GONE}", str(error)):
            raise


def array_limit() -> int:
    """The most tasks that an array may have on this cluster, ARRAY_JOBS at most; 1 where there are no arrays."""
    text = _call(["scontrol", "show", "config"])
    limits = re.findall(r"^MaxArraySize\s*=\s*(\d+)|\bmax_array_tasks=(\d+)", text, re.MULTILINE)
    return max(1, min([ARRAY_JOBS, *(int(size or tasks) for size, tasks in limits)]))


_LATER = re.compile(
    r"Unable to contact slurm controller|Socket timed out|Connection (refused|reset|timed out)|Zero Bytes were transm"
    r"|temporarily unable|Resource temporarily unavailable|Transport endpoint|Communication connection failure"
    r"|controller is in standby|backup controller|Protocol authentication error|No route to host",
    re.IGNORECASE,
)
"""What passes by itself: a controller that restarts or is busy."""
_CROWDED = re.compile(
    r"MaxSubmitJob|GrpSubmitJob|MaxSubmitPU|job submit limit reached|Pending job limit|Too many jobs", re.IGNORECASE
)
"""Limits on how many jobs may be submitted, which an array is taken or refused by as a whole."""


_SIGNALS = range(129, 193)
"""Exit codes that tell of a signal; those above are the low bytes of Slurm's own errors."""


def refusal(program: str, said: str, code: int | None) -> SlurmError:
    """The error for what a client printed before it failed; one that was killed may have done what it was to do."""
    if code is not None and (code < 0 or code in _SIGNALS):
        return UnansweredError(f"{program}: was killed before it could answer")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    words = "; ".join(line.removeprefix(f"{program}: error: ") for line in lines) or f"exit code {code}"
    kind = CrowdedError if _CROWDED.search(words) else UnansweredError if _LATER.search(words) else SlurmError
    return kind(f"{program}: {words}")


def no_answer(program: str) -> UnansweredError:
    """The error for a client that took too long."""
    return UnansweredError(f"{program}: no answer within {TIMEOUT_S:g} s; is the Slurm controller up?")


_REACHES = {"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT"}
_FOREIGN = ("SLURM_", "SQUEUE_", "SACCT_", "SCANCEL_")


def foreign() -> set[str]:
    """Variables that no client is to see: its user's habits at the prompt, and those of a job that the queue is in.

    sbatch would pass the latter on to the job, such as another's array index. What leads to the controller stays.
    """
    return {name for name in os.environ if name.startswith(_FOREIGN)} - _REACHES


def _call(command: Sequence[str]) -> str:
    program = command[0]
    unseen = foreign()
    own = {name: value for name, value in os.environ.items() if name not in unseen}
    environment = {**own, "SLURM_TIME_FORMAT": "%s", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [client(program), *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise no_answer(program) from None
    except OSError as error:
        raise UnansweredError(f"{program}: can't be run: {error.strerror}") from None
    if done.returncode == 0:
        return done.stdout
    raise refusal(program, done.stderr or done.stdout, done.returncode)


def _listed(line: str) -> Listed:
    job, state, reason, start, nodes, name, comment = line.split("|", 6)
    comment = "" if comment == "(null)" else comment
    return Listed(job, state, "" if reason == "None" else reason, _unix(start), _nodes(nodes), name, comment)


def _nodes(text: str) -> str:
    return "" if text in {"(null)", "None assigned", "n/a"} else text


def _unix(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # N/A
        return None
