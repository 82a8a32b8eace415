"""Looking at many runs often: what did not change since the last look is not read again."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from goe.core.config import RunConfig
from goe.core.jobs import Job
from goe.core.overview import RunView, view_run
from goe.core.rundir import RunDir, is_run
from goe.core.stamp import Stamp, is_settled, stamp_of
from goe.core.state import RunState
from goe.launch.retry import Past, read_past

TRUST_S, SILENT_S = 300.0, 3.0
"""Then a run is read again in any case: clocks of file servers and of this machine differ, and a silent one that lives
may have died."""

Marks: TypeAlias = tuple[Stamp | None, ...]
NO_PAST = Past()
_FAILED = {RunState.FAILED, RunState.LOST, RunState.STOPPED}
_RESTING = {RunState.QUEUED, RunState.PENDING, RunState.DONE, RunState.FAILED, RunState.STOPPED}


class Seen(Struct, frozen=True):
    """A run as it was at one look."""

    view: RunView
    past: Past = NO_PAST
    at: float = 0.0
    """When its newest attempt was first seen in this state, by the monotonic clock."""


class _Kept(Struct):
    seen: Seen
    marks: Marks
    until: float


class Look:
    """Remembers runs that rest: queued ones, and those whose newest attempt has ended."""

    def __init__(self) -> None:
        self._kept: dict[Path, _Kept] = {}
        self._configs: dict[Path, tuple[Stamp, RunConfig]] = {}
        self._missing: dict[str, Seen] = {}

    def at(self, run: RunDir) -> Seen:
        """The run now; the same object as the last time if nothing of it was read again."""
        kept = self._kept.get(run.path)
        now = time.monotonic()
        if kept is not None and now < kept.until and _marks(run.path, kept.seen.view.attempt) == kept.marks:
            return kept.seen
        view = view_run(run, read_config=self._config)
        # Marks are taken after the view: what changed between the two is fresh, and what is fresh is read again.
        marks = _marks(run.path, view.attempt)
        past = read_past(run, view.attempt) if view.state in _FAILED else NO_PAST
        same = kept is not None and (kept.seen.view.state, kept.seen.view.attempt) == (view.state, view.attempt)
        seen = Seen(view, past, kept.seen.at if kept is not None and same else now)
        self._kept[run.path] = _Kept(seen, marks, now + _trust(view) if is_settled(*marks) else 0.0)
        return seen

    def _config(self, run: RunDir) -> RunConfig:
        """The run's configuration, which hardly ever changes, while to read it takes a quarter of a look."""
        stamp, kept = stamp_of(run.config_file), self._configs.get(run.path)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        config = run.config()
        if stamp is not None and is_settled(stamp):
            self._configs[run.path] = stamp, config
        return config

    def planned(self, jobs: Mapping[str, Job], runs: Path) -> dict[str, Seen]:
        """Every job's run by id, in the jobs' order; one without a directory is queued, and none is made."""
        there = _names(runs)
        return {run_id: self._planned(run_id, job, runs, there) for run_id, job in jobs.items()}

    def _planned(self, run_id: str, job: Job, runs: Path, there: set[str] | None) -> Seen:
        if there is None or run_id in there:
            run = RunDir(runs / run_id)
            if is_run(run):
                return self.at(run)
        kept = self._missing.get(run_id)
        if kept is None or kept.view.config is not job.config or kept.view.run.path.parent != runs:
            kept = self._missing[run_id] = Seen(RunView(RunDir(runs / run_id), RunState.QUEUED, job.config))
        return kept


def _trust(view: RunView) -> float:
    """Seconds for which files that don't change are taken to say how the run is."""
    rests = view.state in _RESTING or (view.state is RunState.LOST and view.needs_start)
    return TRUST_S if rests else SILENT_S


def _names(folder: Path) -> set[str] | None:
    """What the folder holds: one call instead of one for each run of a long queue. None where that can't be told."""
    try:
        return set(os.listdir(folder))  # noqa: PTH208 - names alone, without a Path for each
    except FileNotFoundError:
        return set()
    except OSError:
        return None


def _marks(path: Path, attempt: int) -> Marks:
    """What changes with a hold, a new attempt, and anything put into the newest one."""
    folder = str(path)
    marks = (stamp_of(folder), stamp_of(f"{folder}/attempts"))
    return (*marks, stamp_of(f"{folder}/attempts/{attempt}")) if attempt else marks
