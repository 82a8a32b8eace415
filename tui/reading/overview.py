"""Every run of a folder, in the order of the queue file."""

import time
from itertools import islice
from pathlib import Path

from goe.core.errors import ConfigError, RunError
from goe.core.overview import RunView
from goe.core.queuefile import load_queue
from goe.core.rundir import RunDir, find_runs
from goe.core.stamp import Stamp, Watch, stamp_of
from goe.core.state import RunState
from goe.launch.detached import queue_process
from goe.launch.look import Look
from tui.messages import Overview
from tui.reading.base import guarded
from tui.reading.turns import Turns

FIRST_S, PAUSE_S, SLICE_S = 0.04, 0.2, 0.3
"""Of the first reads of a large folder: a screenful is there and drawn at once; each news after it draws it anew."""
NEXT, TURN = 50, 40
"""Runs that are looked at in every read because the queue may start them soon, and how many of all others in turn."""
AGAIN_S = 60.0
"""Then the folder is listed in any case: a run may be copied into it slowly."""


class OverviewReader:
    """The list, once a second; a large folder in slices at first. Runs that live are read each time, others in turn."""

    def __init__(self, runs: Path, plan: "Plan") -> None:
        self.is_seen = True
        """Whether the list is on the screen; behind another page it may be older."""
        self._folder = RunsFolder(runs)
        self._plan = plan
        self._look = Look()
        self._found: dict[str, RunDir] = {}
        self._order: dict[str, int] = {}
        self._names: list[str] = []
        """Of all runs, as the list has them."""
        self._unread: list[str] = []
        """Of those that were never read, the next one last."""
        self._views: dict[str, RunView] = {}
        self._sorted: tuple[RunView, ...] = ()
        self._changed = False
        """Whether that is no longer how the views are."""
        self._live: set[str] = set()
        self._waiting: set[str] = set()
        """Runs that a queue may start."""
        self._turns = Turns()
        self._hurry = False
        self._begun = False
        """Whether there are views from an earlier read."""

    @property
    def period(self) -> float:
        """At once while there are runs that were never read, but for a pause in which the first of them are drawn."""
        if not self._unread:
            return 1.0 if self.is_seen else 2.0
        return 0.0 if self._begun else PAUSE_S

    def hurry(self) -> None:
        """Every run has its turn in the next read."""
        self._hurry = True

    def read(self) -> Overview:
        """Every run now, or as many as were read yet."""
        self._begun = bool(self._views)
        return self._read(SLICE_S if self._begun else FIRST_S)

    def read_whole(self) -> Overview:
        """Every run now."""
        return self._read(float("inf"))

    def _read(self, seconds: float) -> Overview:
        deadline = time.monotonic() + seconds
        self._plan.poll()
        now, problem, found = time.time(), None, {}
        try:
            found = self._folder.runs()
        except RunError as error:
            problem = str(error)
        self._arrange(found)
        alive = queue_process(self._folder.path) is not None
        known = self._due(queue_alive=alive)
        self._read_new(deadline)
        for name in known:
            self._see(name)
        planned, problems = len(self._order), self._plan.problems
        return Overview(self._in_order(), now, alive, planned, problems, problem, len(self._unread))

    def _arrange(self, found: dict[str, RunDir]) -> None:
        """By the queue file, then by name, where runs came or went or the file changed."""
        order = self._plan.order
        if found is self._found and order is self._order:
            return
        self._found, self._order, self._changed = found, order, True
        self._names = sorted(found, key=lambda name: order.get(name, len(order)))  # stable: names stay in order
        self._views = {name: view for name, view in self._views.items() if found.get(name) is view.run}
        self._unread = [name for name in reversed(self._names) if name not in self._views]
        self._live &= self._views.keys()
        self._waiting &= self._views.keys()

    def _due(self, *, queue_alive: bool) -> list[str]:
        """Whatever lives or may soon, and the next of the others; all of them in a hurry."""
        if self._hurry:
            self._hurry = False
            return list(self._views)
        soon = islice((name for name in self._names if name in self._waiting), NEXT if queue_alive else 0)
        return list(dict.fromkeys([*self._live, *soon, *self._turns.take(self._views, TURN)]))

    def _read_new(self, deadline: float) -> None:
        """At least one, and as many as there is time for."""
        while self._unread:
            self._see(self._unread.pop())
            if time.monotonic() > deadline:
                break

    def _see(self, name: str) -> None:
        view = guarded(self._found[name], lambda run: self._look.at(run).view, lambda view: view)
        before = self._views.get(name)
        if before is view or before == view:  # an equal one stays the same object: nothing has to be drawn
            return
        self._views[name], self._changed = view, True
        (set.add if view.is_live or view.state is RunState.LOST else set.discard)(self._live, name)
        (set.add if view.needs_start else set.discard)(self._waiting, name)

    def _in_order(self) -> tuple[RunView, ...]:
        """The same object while nothing changed."""
        if self._changed:
            self._changed = False
            views = tuple(self._views[name] for name in self._names if name in self._views)
            if len(views) != len(self._sorted) or any(a is not b for a, b in zip(views, self._sorted, strict=True)):
                self._sorted = views
        return self._sorted


class RunsFolder:
    """Which runs there are, listed again when the folder changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._runs: dict[str, RunDir] = {}
        self._watch = Watch(path, AGAIN_S)
        self._was_there = False

    def runs(self) -> dict[str, RunDir]:
        """Every run by name; one that stays is the same object. Raises RunError if the folder is unreadable or gone."""
        if self._watch.is_news():
            if self._was_there and self._watch.stamp is None:  # unmounted, say; one that never was is no problem
                raise RunError(f"{self.path}: is gone; its runs are shown again once it is back")
            self._was_there = self._watch.stamp is not None
            self._runs = {run.run_id: self._runs.get(run.run_id, run) for run in find_runs(self.path)}
            self._watch.was_read()
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
        if self._stamp == before:
            return
        if self._stamp is None:
            self.order, self.problems, self.min_free = {}, (), None
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
