"""Every run of a folder, in the order of the queue file."""

import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from goe.core.errors import ConfigError, RunError
from goe.core.overview import RunView
from goe.core.queuefile import load_queue
from goe.core.rundir import RunDir, find_runs
from goe.core.stamp import Stamp, stamp_of
from goe.core.state import RunState
from goe.launch.detached import queue_process
from goe.launch.look import FRESH_NS, Look
from tui.messages import Overview
from tui.reading.base import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_S, SLICE_S = 0.03, 0.1
"""Of the first reads of a large folder, so that a screenful is there at once, and keys are answered meanwhile."""
TURN = 1_000
"""Runs at rest that are looked at in one read; of more, each has its turn a read later."""
AGAIN_S = 30.0
"""Then the folder is listed in any case: a run may be copied into it slowly."""


class OverviewReader:
    """The list, once a second; a large folder in slices at first."""

    def __init__(self, runs: Path, plan: "Plan") -> None:
        self._folder = RunsFolder(runs)
        self._plan = plan
        self._look = Look()
        self._views: dict[str, RunView] = {}
        self._turn: Iterator[str] = iter(())
        self._sorted: tuple[RunView, ...] = ()
        self._unread = 0

    @property
    def period(self) -> float:
        """At once while there are runs that were never read."""
        return 0.0 if self._unread else 1.0

    def read(self) -> Overview:
        """Every run now, or as many as were read yet."""
        return self._read(SLICE_S if self._views else FIRST_S)

    def read_whole(self) -> Overview:
        """Every run now."""
        return self._read(float("inf"))

    def _read(self, seconds: float) -> Overview:
        self._plan.poll()
        now, problem, found = time.time(), None, {}
        try:
            found = self._folder.runs()
        except RunError as error:
            problem = str(error)
        self._views = {name: view for name, view in self._views.items() if found.get(name) is view.run}
        order = self._plan.order
        new = sorted((name for name in found if name not in self._views), key=lambda name: order.get(name, len(order)))
        deadline = time.monotonic() + seconds
        due = [*new, *self._due()]
        for count, name in enumerate(due):
            if 0 < count < len(new) and time.monotonic() > deadline:
                break
            self._see(found[name])
        self._unread = sum(name not in self._views for name in found)
        views = self._in_order(found)
        alive = queue_process(self._folder.path) is not None
        return Overview(views, now, alive, len(order), self._plan.problems, problem, self._unread)

    def _due(self) -> list[str]:
        """Whatever lives, and the next of those at rest."""
        live = [name for name, view in self._views.items() if view.is_live or view.state is RunState.LOST]
        turn = list(islice(self._turn, TURN))
        if len(turn) < TURN:
            self._turn = iter(list(self._views))
            turn += islice(self._turn, min(TURN, len(self._views)) - len(turn))
        return list(dict.fromkeys([*live, *(name for name in turn if name in self._views)]))

    def _see(self, run: RunDir) -> None:
        view = guarded(run, lambda run: self._look.at(run).view, lambda view: view)
        if self._views.get(run.run_id) != view:  # an equal one stays the same object: nothing has to be drawn
            self._views[run.run_id] = view

    def _in_order(self, found: dict[str, RunDir]) -> tuple[RunView, ...]:
        """By the queue file, then by name; the same object while nothing changed."""
        order = self._plan.order
        views = [self._views[name] for name in found if name in self._views]
        views.sort(key=lambda view: order.get(view.run_id, len(order)))  # stable: names stay in order
        if len(views) != len(self._sorted) or any(a is not b for a, b in zip(views, self._sorted, strict=True)):
            self._sorted = tuple(views)
        return self._sorted


class RunsFolder:
    """Which runs there are, listed again when the folder changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._runs: dict[str, RunDir] = {}
        self._stamp: Stamp | None = None
        self._was_there = False
        self._until = 0.0

    def runs(self) -> dict[str, RunDir]:
        """Every run by name; one that stays is the same object. Raises RunError if the folder is unreadable or gone."""
        stamp = stamp_of(self.path)
        if stamp is None and self._was_there:  # unmounted, say; one that never was is no problem
            raise RunError(f"{self.path}: is gone; its runs are shown again once it is back")
        self._was_there = stamp is not None
        if stamp is None or stamp != self._stamp or time.monotonic() > self._until:
            self._runs = {run.run_id: self._runs.get(run.run_id, run) for run in find_runs(self.path)}
            settled = stamp is not None and abs(time.time_ns() - stamp.changed) > FRESH_NS
            self._stamp = stamp if settled else None
            self._until = time.monotonic() + AGAIN_S
        return self._runs


class Plan:
    """The queue file, read again when it changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.order: dict[str, int] = {}
        """Place of each run id; that of the last readable version while the file is broken."""
        self.min_free: float | None = None
        """GiB on the runs' disk below which its queue starts nothing; None as long as no version was readable."""
        self.problems: tuple[str, ...] = ()
        self._stamp: Stamp | None = None

    def poll(self) -> None:
        """Read the file if it changed. A missing file plans nothing and is no problem."""
        before, self._stamp = self._stamp, stamp_of(self.path)
        if self._stamp is None:
            self.order, self.problems, self.min_free = {}, (), None
            return
        if self._stamp == before:
            return
        try:
            queue = load_queue(self.path)
            self.order = {config.run_id: place for place, config in enumerate(queue.runs)}
            self.problems, self.min_free = (), queue.options.min_free
        except ConfigError as error:
            self.problems = error.problems


def read_overview(runs: Path, plan: Plan) -> Overview:
    """Every run under `runs`; never raises for what the files hold."""
    return OverviewReader(runs, plan).read_whole()
