"""The queue file with the state of its runs, and the queue that works on them."""

import contextlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from goe.core.errors import ConfigError, RunError
from goe.core.jobs import Job, JobOptions
from goe.core.overview import RunView
from goe.core.queueentries import Entry, entries_of
from goe.core.queuefile import QueueOptions, experiment_entries, parse_queue
from goe.core.queuetext import read_queue
from goe.core.rundir import find_runs
from goe.core.setting import Setting
from goe.core.stamp import Stamp, stamp_of
from goe.core.state import RunState
from goe.core.tomledit import spell_key
from goe.launch.detached import QueueMark, last_lines, queue_log, queue_mark
from goe.launch.look import Look, Seen
from goe.launch.plan import Stand, Standing
from goe.launch.status import standings_of
from tui.messages import Queued, QueueFacts, QueueLog
from tui.reading.drain import finish_times

LOG_LINES = 500
_SAID_ELSEWHERE = {"seeds", "priority", "hold", "after"}
_TELLING = (Stand.BACKOFF, Stand.READY, Stand.WAITING, Stand.HELD, Stand.OVER)
"""Of an experiment's runs, one of the first of these kinds says what it waits for."""
_MOVING = {Stand.LIVE, Stand.BACKOFF}


_NO_OPTIONS = QueueOptions()
_NO_JOB = JobOptions()


@dataclass(frozen=True, slots=True)
class _Version:
    """The queue file as it was once."""

    entries: tuple[Entry, ...] = ()
    jobs: tuple[tuple[str, Job], ...] = ()
    makers: tuple[int, ...] = ()
    """Which entry each job belongs to."""
    options: QueueOptions = _NO_OPTIONS


class QueueReader:
    """The queue's page, once a second; runs that rest are not read again."""

    period = 1.0

    def __init__(self, runs: Path, queue: Path) -> None:
        self._runs = runs
        self._queue = queue
        self._look = Look()
        self._stamp: Stamp | None = None
        self._version = _Version()
        self._problems: tuple[str, ...] = ()
        self._faults: tuple[tuple[str, int], ...] = ()
        self._line = 1
        """Of the first problem."""
        self._grounds: tuple[_Version, tuple[str, ...], dict[str, Seen]] | None = None
        """What the last facts were made of."""
        self._rests = False
        """Whether other facts need other grounds, because nothing in them moves with time."""
        self._told: QueueFacts | None = None

    def read(self) -> QueueFacts | None:
        """The page now; None where nothing is new."""
        self._reread()
        version, mark = self._version, queue_mark(self._runs)
        jobs = dict(version.jobs)
        seen = self._look.planned(jobs, self._runs)
        grounds = (version, self._problems, seen)
        if mark is None and self._rests and grounds == self._grounds:
            return None
        self._grounds = grounds
        facts = self._facts(jobs, seen, mark)
        if facts == self._told:
            return None
        self._told = facts
        return facts

    def _reread(self) -> None:
        """Read the file if it changed; with problems, the last good version stays."""
        before, self._stamp = self._stamp, stamp_of(self._queue)
        if self._stamp == before and (before is not None or self._problems):
            return
        try:
            text = read_queue(self._queue).text
        except ConfigError as error:
            self._problems, self._faults, self._line = error.problems, (), error.line
            return
        try:
            self._version, self._problems, self._faults = _version(text, self._queue), (), ()
        except ConfigError as error:
            self._problems, self._faults, self._line = error.problems, _faults(text, error), error.line
            if not self._version.jobs:
                self._version = _names_alone(text)

    def _facts(self, jobs: Mapping[str, Job], seen: Mapping[str, Seen], mark: QueueMark | None) -> QueueFacts:
        version = self._version
        mine = mark if mark is not None and mark.queue in {"", str(self._queue.absolute())} else None
        standings = standings_of(jobs, seen, version.options, mine, self._runs, lambda: self._live(seen))
        self._rests = mark is None and not any(each.stand in _MOVING for each in standings.values())
        views = {run_id: each.view for run_id, each in seen.items()}
        ready = [views[run_id] for run_id, each in standings.items() if each.stand is Stand.READY and mine is not None]
        now = _Moment(jobs, views, standings, _whys(standings), finish_times(ready, views, time.time()))
        members: list[list[str]] = [[] for _ in version.entries]
        for (run_id, _), number in zip(version.jobs, version.makers, strict=True):
            members[number].append(run_id)
        listed = tuple(now.queued(entry, ids) for entry, ids in zip(version.entries, members, strict=True))
        missing = bool(self._problems) and self._stamp is None
        slots = _slots(version.options, mark)
        return QueueFacts(listed, self._problems, mark, slots, self._faults, missing, self._line)

    def _live(self, seen: Mapping[str, Seen]) -> list[RunView]:
        """Every live run of the folder, also those that are not of this file: they take slots too."""
        found = [each.view for each in seen.values()]
        with contextlib.suppress(RunError):
            found += [self._look.at(run).view for run in find_runs(self._runs) if run.run_id not in seen]
        return [view for view in found if view.is_live]


class QueueLogReader:
    """The end of the queue's log."""

    period = 1.0

    def __init__(self, runs: Path) -> None:
        self._path = queue_log(runs)
        self._stamp: Stamp | None = None
        self._told: QueueLog | None = None

    def read(self) -> QueueLog | None:
        """Its last lines; None where nothing is new."""
        before, self._stamp = self._stamp, stamp_of(self._path)
        if self._told is not None and self._stamp == before:
            return None
        self._told = QueueLog(tuple(last_lines(self._path, LOG_LINES)))
        return self._told


def _version(text: str, path: Path) -> _Version:
    found = parse_queue(text, path)
    makers = experiment_entries(text)
    jobs = tuple((job.run_id, job) for job in found.jobs)
    return _Version(
        tuple(entries_of(text)), jobs, tuple(makers[job.config.experiment] for job in found.jobs), found.options
    )


def _names_alone(text: str) -> _Version:
    """What can be told of a file of which no good version was seen yet."""
    try:
        return _Version(tuple(entries_of(text)))
    except ConfigError:
        return _Version()


def _faults(text: str, error: ConfigError) -> tuple[tuple[str, int], ...]:
    """The experiments that problems stand in, each with the line of its first; none where the text is no TOML."""
    found: dict[str, int] = {}
    entries = _names_alone(text).entries
    for line, _ in error.findings:
        names = [entry.name for entry in entries if entry.line <= line]
        if names:
            found[names[-1]] = min(line, found.get(names[-1], line))
    return tuple(found.items())


@dataclass(frozen=True, slots=True)
class _Moment:
    """Where every run of the file stands, by its id."""

    jobs: Mapping[str, Job]
    views: Mapping[str, RunView]
    standings: Mapping[str, Standing]
    whys: Mapping[str, str]
    ends: Mapping[str, float]

    def queued(self, entry: Entry, ids: Sequence[str]) -> Queued:
        """An entry of the file with the state of its runs `ids`."""
        tally = Counter(self.views[run_id].state for run_id in ids)
        options = self.jobs[ids[0]].options if ids else _NO_JOB
        return Queued(
            name=entry.name,
            line=entry.line,
            sets=tuple(_said(each) for each in entry.settings if each.key[0] not in _SAID_ELSEWHERE),
            seeds=tuple(dict.fromkeys(self.jobs[run_id].config.seed for run_id in ids)),
            states=tuple((state, tally[state]) for state in RunState if state in tally),
            priority=options.priority,
            held=options.hold,
            after=options.after,
            why=self._why(ids),
            left_s=self._left(ids),
        )

    def _why(self, ids: Sequence[str]) -> str:
        """What the first of the runs waits for, of the most telling kind."""
        waiting = [run_id for run_id in ids if self.standings[run_id].stand in _TELLING]
        first = min(waiting, key=lambda run_id: _TELLING.index(self.standings[run_id].stand), default=None)
        return "" if first is None else self.whys[first]

    def _left(self, ids: Sequence[str]) -> int | None:
        """Seconds until all of the runs are done, where that can be told."""
        open_ones = [run_id for run_id in ids if self.standings[run_id].stand is not Stand.DONE]
        if not open_ones or any(run_id not in self.ends for run_id in open_ones):
            return None
        return round(max(self.ends[run_id] for run_id in open_ones))


def _said(setting: Setting) -> str:
    return f"{spell_key(setting.key)} = {' '.join(setting.toml.split())}"


def _whys(standings: Mapping[str, Standing]) -> dict[str, str]:
    """What each run waits for, in words."""
    found: dict[str, str] = {}
    before = 0
    for run_id, each in standings.items():
        text = each.text
        if each.stand is Stand.READY:
            before += 1
            text = text or ("next" if before == 1 else f"place {before}")
        found[run_id] = text
    return found


def _slots(options: QueueOptions, mark: QueueMark | None) -> str:
    """How many runs at once, as the queue was told or the file says."""
    count = mark.slots if mark is not None else None
    if options.launcher == "slurm":
        return f"Slurm, {count or options.max_jobs} jobs at most"
    gpus = options.gpus if mark is None or mark.gpus is None else mark.gpus
    slots = count or options.slots
    words = f"{slots} slot{'s' if slots != 1 else ''}"
    if gpus:
        return f"GPU{'s' if len(gpus) > 1 else ''} {', '.join(map(str, gpus))}" + (f", {words}" if count else "")
    return words
