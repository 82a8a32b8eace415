"""Processes by owner, with what they take: those of runs, and any others that are asked for by pid."""

import contextlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from goe.launch.family import marked

if TYPE_CHECKING:
    import psutil

T = TypeVar("T")


class Process(Struct, frozen=True):
    """One reading of a process; None and empty where it can't be looked at."""

    pid: int
    run: Path | None = None
    """The run's folder, if it belongs to one: of whatever folder of runs."""
    user: str = ""
    command: str = ""
    cpu: float | None = None
    """Cores' worth of time since the reading before: 1.5 is one and a half."""
    memory: int | None = None
    """Resident bytes."""


class ProcessSampler:
    """Keeps what it needs to tell how busy a process was between two readings."""

    def __init__(self) -> None:
        self._known: dict[int, psutil.Process] = {}

    def read(self, recorded: Mapping[int, Path], others: Collection[int] = ()) -> tuple[Process, ...]:
        """Every process of a run, and `others`, by pid. `recorded`: what launch records say, where marks can't be read.

        A process of a run carries its attempt's mark wherever it went; a launch record knows the supervisor too.
        """
        runs = dict(recorded) | {pid: run_of(mark) for pid, mark in marked().items()}
        before = self._known
        found = {pid: _process(pid, before.get(pid)) for pid in sorted({*runs, *others})}
        self._known = {pid: process for pid, process in found.items() if process is not None}
        return tuple(
            Process(pid, runs.get(pid)) if process is None else _reading(process, runs.get(pid), before.get(pid))
            for pid, process in found.items()
            if process is not None or pid in others
        )


def run_of(mark: str) -> Path:
    """The folder of the run whose attempt has this mark."""
    return Path(mark).parent.parent


def _process(pid: int, known: "psutil.Process | None") -> "psutil.Process | None":
    """The one known from the reading before, if it still is the one with this pid."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        return known if known is not None and known.is_running() else psutil.Process(pid)
    return None


def _reading(process: "psutil.Process", run: Path | None, before: "psutil.Process | None") -> Process:
    cpu = _told(process.cpu_percent)  # of the time since it was asked last, so nothing the first time
    memory = _told(process.memory_info)
    return Process(
        pid=process.pid,
        run=run,
        user=_told(process.username) or "",
        command=" ".join(_told(process.cmdline) or ()).strip() or _told(process.name) or "",
        cpu=cpu / 100 if cpu is not None and before is process else None,
        memory=memory.rss if memory else None,
    )


def _told(ask: Callable[[], T]) -> T | None:
    import psutil

    try:
        return ask()
    except (psutil.Error, OSError, KeyError):  # gone, somebody else's, or a user without a name
        return None
