"""Every run of a folder, in the order of the queue file."""

import time
from pathlib import Path

from goe.core.errors import ConfigError, RunError
from goe.core.overview import RunView, view_run
from goe.core.queuefile import load_queue
from goe.core.rundir import find_runs
from goe.core.stamp import Stamp, stamp_of
from goe.launch.detached import queue_process
from tui.messages import Overview
from tui.reading.base import guarded


class OverviewReader:
    """The list, once a second."""

    period = 1.0

    def __init__(self, runs: Path, plan: "Plan") -> None:
        self._runs = runs
        self._plan = plan

    def read(self) -> Overview:
        """Every run now."""
        return read_overview(self._runs, self._plan)


class Plan:
    """The queue file, read again when it changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.order: dict[str, int] = {}
        """Place of each run id; that of the last readable version while the file is broken."""
        self.problems: tuple[str, ...] = ()
        self._stamp: Stamp | None = None

    def poll(self) -> None:
        """Read the file if it changed. A missing file plans nothing and is no problem."""
        before, self._stamp = self._stamp, stamp_of(self.path)
        if self._stamp is None:
            self.order, self.problems = {}, ()
            return
        if self._stamp == before:
            return
        try:
            self.order = {config.run_id: place for place, config in enumerate(load_queue(self.path).runs)}
            self.problems = ()
        except ConfigError as error:
            self.problems = error.problems


def read_overview(runs: Path, plan: Plan) -> Overview:
    """Every run under `runs`; never raises for what the files hold."""
    plan.poll()
    now = time.time()
    problem = None
    views: list[RunView] = []
    try:
        views = [guarded(run, lambda run: view_run(run, now), lambda view: view) for run in find_runs(runs)]
    except RunError as error:
        problem = str(error)
    views.sort(key=lambda view: plan.order.get(view.run_id, len(plan.order)))  # stable: names stay in order
    return Overview(tuple(views), now, queue_process(runs) is not None, len(plan.order), plan.problems, problem)
