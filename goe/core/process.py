"""Who a process is, beyond its pid: pids are reused, so host, boot and start time belong to the name.

Standard library only: the supervisor leans on this and has to start fast and never fail.
"""

import functools
import os
import platform
import subprocess
from pathlib import Path

from msgspec import Struct

_PROC = Path("/proc")


class ProcessId(Struct, frozen=True, kw_only=True):
    """A process for all time: no other process ever has the same four values."""

    pid: int
    start: str
    """Start time: kernel ticks since boot on Linux, a date elsewhere."""
    boot: str
    host: str


def identify(pid: int) -> ProcessId | None:
    """The identity of a live process of this host, or None when there is none (a zombie is none)."""
    start = _start_time(pid)
    return None if start is None else ProcessId(pid=pid, start=start, boot=_boot_id(), host=platform.node())


def myself() -> ProcessId:
    """The identity of the calling process."""
    me = identify(os.getpid())
    assert me is not None, "a running process has a start time"
    return me


def is_alive(process: ProcessId) -> bool | None:
    """Whether exactly this process still runs; None when it belongs to another host and can't be asked."""
    if process.host != platform.node():
        return None
    return identify(process.pid) == process


def is_halted(process: ProcessId) -> bool | None:
    """Whether this live process was halted by a signal such as SIGSTOP; None where the kernel can't be asked."""
    if not _PROC.is_dir() or is_alive(process) is not True:
        return None
    fields = _stat(process.pid)
    return None if fields is None else fields[0] == "T"


def _start_time(pid: int) -> str | None:
    if not _PROC.is_dir():
        return _start_time_from_ps(pid)
    fields = _stat(pid)
    return None if fields is None or fields[0] in {"Z", "X"} else fields[19]


def _stat(pid: int) -> list[str] | None:
    """The fields of `/proc/<pid>/stat` from the state on; None if there is no such process."""
    try:
        with open(f"{_PROC}/{pid}/stat", "rb") as file:  # noqa: PTH123 - asked for each live run each second
            stat = file.read().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name stands in parentheses and may contain anything, parentheses and spaces too.
    return stat.rpartition(")")[2].split()


def _start_time_from_ps(pid: int) -> str | None:
    # The date's form follows the environment, which may differ between the one who asks and the one who started.
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    found = subprocess.run(
        ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    ).stdout.split(maxsplit=1)
    return None if len(found) < 2 or found[0].startswith("Z") else found[1].strip()


@functools.cache  # no process outlives it
def _boot_id() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
