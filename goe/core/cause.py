"""Why an attempt failed, told from its exit code or signal and from the words it left."""

import re

from goe.core.errors import EXIT_DISK_FULL, EXIT_MEMORY, EXIT_NON_FINITE, EXIT_OK, EXIT_STOPPED, EXIT_USER
from goe.core.jobs import Cause

KERNEL_KILLED = "the kernel killed it: out of memory"
"""Words the supervisor adds to `train.log` when the kernel counted an out-of-memory kill where the worker ran."""

_SIGABRT, _SIGKILL, _SIGTERM = 6, 9, 15

# The first that is found wins: a rank without memory makes the others complain of NCCL, not the other way round.
_WORDS: tuple[tuple[Cause, re.Pattern[str]], ...] = (
    (
        "out-of-memory",
        re.compile(
            r"OutOfMemoryError|(CUDA|HIP)( error:)? out of memory|^(\w+\.)*_?(Array)?MemoryError\b"
            r"|DefaultCPUAllocator: (can't allocate|not enough)|CU(BLAS|DNN)_STATUS_ALLOC_FAILED",
            re.MULTILINE,
        ),
    ),
    ("disk-full", re.compile(r"No space left on device|Disk quota exceeded|\[Errno (28|122)\]")),
    (
        "nccl",
        re.compile(
            r"NCCL error|ncclUnhandledCudaError|nccl(System|Internal|Remote)Error"
            r"|ProcessGroupNCCL.*(timeout|timed out)|Watchdog caught collective operation timeout"
        ),
    ),
    (
        "preempted",
        re.compile(r"(slurmstepd|srun): error: .*CANCELLED AT .*DUE TO (PREEMPTION|TIME LIMIT|NODE FAILURE)"),
    ),
)


def cause_of(code: int | None, signal: int | None, log: str, error: str | None) -> Cause:
    """The cause of a failure that nobody asked for.

    `code` or `signal` is how the worker ended; both None means that nobody knows. `log` is the end of what it printed
    in this attempt, `error` its last word in `status.json`, which is believed before the log. `preempted` is an end by
    SIGTERM, or the worker's own stop after one, without a request of goe's. Raises ValueError for exit code 0.
    """
    if code == EXIT_OK:
        raise ValueError("exit code 0 is no failure")
    if signal is None:
        return "lost" if code is None else _of_code(code, error or log)
    if signal == _SIGTERM:
        return "preempted"
    if signal == _SIGKILL:
        return "out-of-memory" if KERNEL_KILLED in log else _told(log, "preempted") or "signal"
    if signal == _SIGABRT:
        return _told(log, "out-of-memory", "disk-full", "nccl") or "signal"
    return "signal"


def _of_code(code: int, words: str) -> Cause:
    known: dict[int, Cause] = {
        EXIT_STOPPED: "preempted",
        EXIT_NON_FINITE: "non-finite",
        EXIT_DISK_FULL: "disk-full",
        EXIT_MEMORY: "out-of-memory",
    }
    if code in known:
        return known[code]
    if code == EXIT_USER:
        return _told(words, "disk-full") or "user"
    return _told(words) or "bug"


def job_cause(state: str, *, started: bool, words: str = "") -> Cause | None:
    """Why the attempt of a job that ended in `state` failed; None for one that somebody cancelled.

    `started`: whether its supervisor had claimed the attempt and then left no word. One that never came so far and
    that Slurm says nothing else of could not be started on its node: its user has to mend that, unless `words`, the
    last that the job printed, tell of something else.
    """
    known: dict[str, Cause | None] = {
        "CANCELLED": None,
        "DEADLINE": "user",
        "OUT_OF_MEMORY": "out-of-memory",
        "PREEMPTED": "preempted",
        "TIMEOUT": "preempted",
    }
    if state in known:
        return known[state]
    return _told(words) or "user" if state in {"COMPLETED", "FAILED"} and not started else "lost"


def _told(words: str, *causes: Cause) -> Cause | None:
    """The first cause that `words` speak of, among `causes` where any are named."""
    found = (cause for cause, pattern in _WORDS if (not causes or cause in causes) and pattern.search(words))
    return next(found, None)
