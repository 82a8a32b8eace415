"""What `goe queue status` says: which queue works on a folder, what it did, what it does next.

All of it is read from files, whether a queue works or not.
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from msgspec import Struct

from goe.core.errors import ConfigError
from goe.core.jobs import Job
from goe.core.overview import RunView, view_runs
from goe.core.process import is_alive
from goe.core.queuefile import QueueOptions, load_queue
from goe.core.report import duration, end_text, job_text
from goe.core.state import RunState
from goe.launch.base import Places
from goe.launch.detached import QueueMark, last_lines, queue_file, queue_log, queue_mark
from goe.launch.launchers import is_job, places_for
from goe.launch.look import Look, Seen
from goe.launch.plan import Plan, Stand, Standing
from goe.launch.space import free_gib, shortage

LOG_LINES = 5
NEXT = 5
"""Runs to come that are named."""


class Waiting(Struct, frozen=True, kw_only=True):
    """A run that is not done and not at work."""

    run_id: str
    why: str
    """`next`, `retry`, `waits`, `held` or `over`."""
    text: str = ""
    seconds: float | None = None
    """To its next retry."""


class QueueStatus(Struct, frozen=True, kw_only=True):
    """Everything `goe queue status --json` prints."""

    runs: str
    file: str
    queue: QueueMark | None
    """The queue at work; null for none."""
    counts: dict[str, int]
    """Runs of the file by state; of the whole folder while the file can't be read."""
    live: tuple[str, ...]
    """Those of the folder, also of runs that left the file."""
    jobs: dict[str, str] = {}
    """Of live runs that are jobs of Slurm: which one, where, or why it waits and until when."""
    waiting: tuple[Waiting, ...]
    """In the order in which they are to be started."""
    problems: tuple[str, ...]
    """What is wrong with the file; a queue at work goes on with its last good version."""
    log: tuple[str, ...]
    """The last lines that detached queues of this folder wrote."""


_WORDS = {
    Stand.READY: "next",
    Stand.BACKOFF: "retry",
    Stand.WAITING: "waits",
    Stand.HELD: "held",
    Stand.OVER: "over",
}

_TO_COME = {Stand.READY, Stand.BACKOFF, Stand.WAITING}


def queue_status(runs: Path, queue: Path) -> QueueStatus:
    """The status of the queue of `runs`; `queue` is its file if none is at work."""
    mark = queue_mark(runs)
    file = queue_file(runs, queue)
    jobs: dict[str, Job] = {}
    options = QueueOptions()
    problems: tuple[str, ...] = ()
    try:
        found = load_queue(file)
        jobs, options = {job.run_id: job for job in found.jobs}, found.options
    except ConfigError as error:
        problems = error.problems
    seen = Look().planned(jobs, runs)
    folder = view_runs(runs)
    live = [view for view in folder if view.is_live]
    standings = standings_of(jobs, seen, options, mark, runs, lambda: live)
    known = [run_id for run_id, each in standings.items() if each.stand is Stand.LIVE]
    states = [view.state for view in (folder if problems else [each.view for each in seen.values()])]
    return QueueStatus(
        runs=str(runs),
        file=str(file),
        queue=mark,
        counts={str(state): states.count(state) for state in RunState if state in states},
        live=tuple(dict.fromkeys([*known, *(view.run_id for view in live)])),
        jobs={view.run_id: job_text(view.job) for view in live if view.job is not None and is_job(view)},
        waiting=tuple(_waiting(run_id, each) for run_id, each in standings.items() if each.stand in _WORDS),
        problems=problems,
        log=tuple(last_lines(queue_log(runs), LOG_LINES)),
    )


def standings_of(
    jobs: Mapping[str, Job],
    seen: Mapping[str, Seen],
    options: QueueOptions,
    mark: QueueMark | None,
    runs: Path,
    live: Callable[[], Sequence[RunView]],
) -> dict[str, Standing]:
    """Where each job stands, in the order of starting; `live`: every live run of the folder, asked for only at need."""
    asked, refused = (mark.asked, mark.refused) if mark is not None else ({}, {})
    planned = partial(Plan, jobs, seen, options.retry, asked, now=time.time(), clock=time.monotonic())
    standings = planned(refused=refused).standings()
    slots = _slots(options, mark) if any(found.stand in _TO_COME for found in standings.values()) else None
    unfit = _unfit(jobs, standings, slots)
    if unfit:  # what comes after them is not started either
        refused = {**unfit, **refused}
        standings = planned(refused=refused).standings()
    if mark is not None:
        standings |= _kept_waiting(jobs, standings, live, runs, options, slots)
    return {run_id: _said(found, seen[run_id].view, refused) for run_id, found in standings.items()}


def describe_status(status: QueueStatus, now: float) -> list[str]:
    """The status as lines of text; `now` is the Unix time."""
    lines = [f"queue      {_at_work(status.queue, now)}", f"file       {status.file}"]
    lines += [f"problem    {problem}" for problem in status.problems]
    counts = ", ".join(f"{count} {state}" for state, count in status.counts.items())
    lines.append(f"runs       {sum(status.counts.values())}{': ' if counts else ''}{counts}")
    said = ((run_id, status.jobs.get(run_id)) for run_id in status.live)
    lines += [f"live       {run_id}: {text}" if text else f"live       {run_id}" for run_id, text in said]
    for word in _WORDS.values():
        named = [each for each in status.waiting if each.why == word]
        lines += [f"{word:<9}  {each.run_id}{f': {each.text}' if each.text else ''}" for each in named[:NEXT]]
        lines += [f"{word:<9}  and {len(named) - NEXT} more"] if len(named) > NEXT else []
    return lines + [f"log        {line}" for line in status.log]


def _slots(options: QueueOptions, mark: QueueMark | None) -> Places | None:
    """Those of the queue at work, or of one that would be started here; None where they can't be seen from here."""
    if mark is not None and is_alive(mark.process) is None:
        return None
    try:
        return places_for(options, mark.gpus if mark is not None else None, mark.slots if mark is not None else None)
    except ConfigError:
        return None


def _unfit(jobs: Mapping[str, Job], standings: Mapping[str, Standing], slots: Places | None) -> dict[str, str]:
    """The runs to come that these slots can never hold, and why."""
    if slots is None:
        return {}
    to_come = [run_id for run_id, found in standings.items() if found.stand in _TO_COME]
    problems = {run_id: slots.problem(jobs[run_id].options) for run_id in to_come}
    return {run_id: f"not started: {problem}" for run_id, problem in problems.items() if problem}


def _kept_waiting(
    jobs: Mapping[str, Job],
    standings: Mapping[str, Standing],
    live: Callable[[], Sequence[RunView]],
    runs: Path,
    options: QueueOptions,
    slots: Places | None,
) -> dict[str, Standing]:
    """The first run that is ready, with what it waits for if room or a slot is missing; nothing where nobody knows."""
    first = next((run_id for run_id, found in standings.items() if found.stand is Stand.READY), None)
    if first is None or slots is None:
        return {}
    with contextlib.suppress(OSError):
        free = free_gib(runs)
        if free < options.min_free:
            return {first: Standing(Stand.READY, f"waits for room: {shortage(free, options.min_free)}")}
    why = slots.why(jobs[first].options, live())
    return {first: Standing(Stand.READY, f"waits for a slot: {why}")} if why else {}


def _said(found: Standing, view: RunView, refused: Mapping[str, str]) -> Standing:
    """With why it is over, where the stand alone doesn't say it."""
    if found.stand is not Stand.OVER or found.text:
        return found
    text = refused.get(view.run_id) or ": ".join(part for part in (view.state, end_text(view)) if part)
    return replace(found, text=text)


def _waiting(run_id: str, found: Standing) -> Waiting:
    seconds = found.wait if found.stand is Stand.BACKOFF else None
    return Waiting(run_id=run_id, why=_WORDS[found.stand], text=found.text, seconds=seconds)


def _at_work(mark: QueueMark | None, now: float) -> str:
    if mark is None:
        return "none works here; `goe queue start` starts one"
    since = ""
    if mark.since is not None:
        begun = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(mark.since))
        since = f" since {begun} ({duration(now - mark.since)})"
    return f"at work{since}, process {mark.pid} on {mark.host}"
