"""Looking at many runs often: what did not change since the last look is not read again."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from goe.core.jobs import Job
from goe.core.overview import RunView, view_run
from goe.core.rundir import RunDir, is_run
from goe.core.stamp import Stamp, stamp_of
from goe.core.state import RunState
from goe.launch.retry import Past, read_past

FRESH_NS = 2_000_000_000
"""A folder changed so shortly before it was read may have changed again within its clock's resolution."""
TRUST_S = 300.0
"""Then a run is read again in any case: clocks of file servers and of this machine differ."""

Marks: TypeAlias = tuple[Stamp | None, ...]
NO_PAST = Past()
_FAILED = {RunState.FAILED, RunState.LOST, RunState.STOPPED}
_RESTING = {RunState.QUEUED, RunState.DONE, RunState.FAILED, RunState.STOPPED}


@dataclass(frozen=True, slots=True)
class Seen:
    """A run as it was at one look."""

    view: RunView
    past: Past = NO_PAST
    at: float = 0.0
    """When its newest attempt was first seen in this state, by the monotonic clock."""


@dataclass(slots=True)
class _Kept:
    seen: Seen
    marks: Marks
    until: float


class Look:
    """Remembers runs that rest: queued ones, and those whose newest attempt has ended."""

    def __init__(self) -> None:
        self._kept: dict[Path, _Kept] = {}

    def at(self, run: RunDir) -> Seen:
        """The run now; the same object as the last time if nothing of it was read again."""
        kept = self._kept.get(run.path)
        now = time.monotonic()
        if kept is not None and now < kept.until and _marks(run.path, kept.seen.view.attempt) == kept.marks:
            return kept.seen
        view = view_run(run)
        # Marks are taken after the view: what changed between the two is fresh, and what is fresh is read again.
        marks = _marks(run.path, view.attempt)
        past = read_past(run, view.attempt) if view.state in _FAILED else NO_PAST
        same = kept is not None and (kept.seen.view.state, kept.seen.view.attempt) == (view.state, view.attempt)
        seen = Seen(view, past, kept.seen.at if kept is not None and same else now)
        resting = view.state in _RESTING or (view.state is RunState.LOST and view.needs_start)
        self._kept[run.path] = _Kept(seen, marks, now + TRUST_S if resting and _settled(marks) else 0.0)
        return seen

    def planned(self, jobs: Iterable[Job], runs: Path) -> dict[str, Seen]:
        """Every job's run by id, in the jobs' order; one without a directory is queued, and none is made."""
        found: dict[str, Seen] = {}
        for job in jobs:
            run = RunDir(runs / job.run_id)
            found[job.run_id] = self.at(run) if is_run(run) else Seen(RunView(run, RunState.QUEUED, job.config))
        return found


def _marks(path: Path, attempt: int) -> Marks:
    """What changes with a hold, a new attempt, and anything put into the newest one."""
    folder = str(path)
    marks = (stamp_of(folder), stamp_of(f"{folder}/attempts"))
    return (*marks, stamp_of(f"{folder}/attempts/{attempt}")) if attempt else marks


def _settled(marks: Marks) -> bool:
    newest = max((mark.changed for mark in marks if mark is not None), default=0)
    return abs(time.time_ns() - newest) > FRESH_NS
