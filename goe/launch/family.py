"""All processes of one attempt: the worker's group, and what left the group but still carries the attempt's mark.

A process can leave its group (`setsid`) and its parent (by forking twice), not its environment; so every worker is
started with the name of its attempt in there, and its children inherit it. Standard library only: the supervisor leans
on this. Without `/proc` only the group is known.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from goe.core.rundir import Attempt

MARK = "GOE_ATTEMPT"
_PROC = Path("/proc")
_PATIENCE_S = 5.0
"""A killed process that waits for a dead disk or GPU driver may stay for ever; its supervisor has more to do."""


def mark_of(attempt: Attempt) -> str:
    """What MARK is in the environment of the attempt's processes: its absolute path."""
    return str(attempt.path.resolve())


def members(attempt: Attempt) -> list[int]:
    """Pids of the live processes of this host that carry the attempt's mark, in whatever group they are."""
    mark = mark_of(attempt)
    return [pid for pid, found in marked().items() if found == mark]


def marked() -> dict[int, str]:
    """The marks of all live processes of this host that carry one and may be looked at, by pid."""
    marks = {pid: _mark(_environment(pid)) for pid in _pids()}
    return {pid: mark for pid, mark in marks.items() if mark is not None}


def signal_group(leader: int, number: signal.Signals) -> None:
    """Send a signal to the group of `leader`, if it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def signal_family(leader: int, attempt: Attempt, number: signal.Signals) -> None:
    """Send a signal to the group of `leader`, then to every member outside it, such as ranks in sessions of their own.

    Raises OSError where the group can't be signalled.
    """
    os.killpg(leader, number)
    for pid in members(attempt):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) != leader:
                os.kill(pid, number)


def end_family(leader: int | None, attempt: Attempt) -> bool:
    """Kill the group of `leader` and every member, until none is left; whether that came true within 5 s.

    `leader` is None where the worker is gone for sure: its pid may be somebody else's by now.
    """
    if leader is not None:
        signal_group(leader, signal.SIGKILL)
    deadline = time.monotonic() + _PATIENCE_S
    while left := members(attempt):  # again, for what they started meanwhile
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _pids() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()] if _PROC.is_dir() else []


def _mark(environment: list[bytes]) -> str | None:
    start = f"{MARK}=".encode()
    return next((os.fsdecode(entry[len(start) :]) for entry in environment if entry.startswith(start)), None)


def _environment(pid: int) -> list[bytes]:
    """`NAME=value` of a process of ours; nothing for a zombie, or somebody else's."""
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
