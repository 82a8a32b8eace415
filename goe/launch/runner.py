"""The queue: starts what is missing, in the file's order, while there are free slots.

It keeps nothing in memory that matters. Every turn looks at the run directories, so a queue that was killed is
replaced by starting another: live runs are found there and count as running, whoever started them.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from goe.core.errors import GoeError
from goe.core.lineage import source_run
from goe.core.overview import RunView, view_run, view_runs
from goe.core.process import ProcessId, is_alive, myself
from goe.core.queuefile import Queue, load_queue
from goe.core.rundir import RunDir, read_json, write_json
from goe.core.state import RunState
from goe.launch.base import Launcher, Slot
from goe.launch.local import LocalLauncher, children, reap
from goe.launch.slots import Slots

POLL_S = 0.3
EventKind: TypeAlias = Literal["found", "started", "ended", "error"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something the queue did or saw."""

    kind: EventKind
    view: RunView
    text: str = ""


@dataclass
class Runner:
    """One pass over a queue file: each run that is not done is started once."""

    queue: Queue
    runs: Path
    slots: Slots
    launcher: Launcher = field(default_factory=LocalLauncher)
    report: Callable[[Event], None] = lambda _: None
    views: dict[str, RunView] = field(default_factory=dict)
    tried: set[str] = field(default_factory=set)

    def run(self, *, idle: Callable[[], None] = lambda: None) -> bool:
        """Turn until nothing is left to start or wait for; True if every run is done. `idle` is called each turn."""
        with _announced(self.runs):
            self._create()
            while self.turn():
                idle()
                time.sleep(POLL_S)
                reap()
        return all(view.state is RunState.DONE for view in self.views.values())

    def turn(self) -> bool:
        """Look at every run once and fill the free slots. False when nothing is left to do."""
        self._look()
        live = self._elsewhere()
        for job in self.queue.jobs:
            view = self.views[job.run_id]
            if not view.needs_start or view.run_id in self.tried or not self._may_start(view):
                continue
            problem = self.slots.problem(job.options)
            if problem is not None:
                self.tried.add(view.run_id)
                self.report(Event("error", view, f"not started: {problem}"))
                continue
            slot = self.slots.take(job.options, live)
            if slot is None:
                break  # smaller ones behind it would keep it waiting for ever
            self._start(view, slot)
            live += [new for new in (self.views[view.run_id],) if new.state.is_live]
        waiting = any(view.needs_start and view.run_id not in self.tried for view in self.views.values())
        return waiting or any(view.state.is_live for view in self.views.values())

    def _create(self) -> None:
        """Make all directories first, so that every list shows what is still to come."""
        for config in self.queue.runs:
            try:
                view = view_run(RunDir.create(self.runs, config))
            except OSError as error:
                run = RunDir(self.runs / config.run_id)
                view = RunView(run, RunState.BROKEN, config, problem=f"{error.filename or run.path}: {error.strerror}")
                self.report(Event("error", view, str(view.problem)))
            self.views[view.run_id] = view
            if view.state.is_live:
                self.tried.add(view.run_id)
                self.report(Event("found", view))

    def _look(self) -> None:
        for run_id, old in self.views.items():
            if old.state is RunState.DONE:
                continue
            new = view_run(old.run)
            self.views[run_id] = new
            if new.state.is_live:
                self.tried.add(run_id)  # also if another queue started it
            elif old.state.is_live or (run_id in self.tried and new.attempt > old.attempt):
                self.report(Event("ended", new))

    def _elsewhere(self) -> list[RunView]:
        """Every live run of the folder, those of other queues and of `goe train` too."""
        return [view for view in view_runs(self.runs) if view.state.is_live]

    def _may_start(self, view: RunView) -> bool:
        """Whether the run whose weights this one begins with, if any, is done; without hope of that it is given up."""
        source = source_run(self.runs, view.config) if view.config is not None else None
        if source is None:
            return True
        found = self.views.get(source.run_id) or view_run(source)
        to_come = found.state.is_live or (
            source.run_id in self.views and found.needs_start and source.run_id not in self.tried
        )
        if found.state is not RunState.DONE and not to_come:
            self.tried.add(view.run_id)
            finding = f"not started: it begins with the weights of {source.run_id}, which is {found.state}"
            self.report(Event("error", view, finding))
        return found.state is RunState.DONE

    def _start(self, view: RunView, slot: Slot) -> None:
        self.tried.add(view.run_id)
        try:
            mine = self.launcher.launch(view.run, slot, attempt=view.attempt + 1)
        except (GoeError, OSError) as error:
            self.report(Event("error", view, str(error)))
            return
        new = view_run(view.run)
        self.views[view.run_id] = new
        self.report(Event("started" if mine else "found", new))
        if not new.state.is_live:
            self.report(Event("ended", new))


def pending(queue: Queue, runs: Path) -> list[RunView]:
    """Every run of the queue with what is known of it, in the queue's order, without creating anything."""
    directories = [(RunDir(runs / config.run_id), config) for config in queue.runs]
    return [
        view_run(run) if run.config_file.exists() else RunView(run, RunState.QUEUED, config)
        for run, config in directories
    ]


def queue_process(runs: Path) -> ProcessId | None:
    """The live queue that works on `runs`, if there is one."""
    try:
        process = read_json(runs / ".queue.json", ProcessId)
    except GoeError:
        return None
    return process if process is not None and is_alive(process) is not False else None


def start_detached(runs: Path, queue: Path) -> None:
    """Start a queue that outlives the caller. Raises ConfigError first if the file is wrong."""
    load_queue(queue)
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / ".queue.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "goe.launch.runner", str(runs), str(queue)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    children.append(child)


@contextlib.contextmanager
def _announced(runs: Path) -> Iterator[None]:
    """Leave word that a queue works here. Only for display: two queues on one folder do no harm."""
    path = runs / ".queue.json"
    with contextlib.suppress(OSError):  # what is wrong with the folder is said of each run
        runs.mkdir(parents=True, exist_ok=True)
        write_json(path, myself())
    try:
        yield
    finally:
        with contextlib.suppress(GoeError, OSError):
            if read_json(path, ProcessId) == myself():
                path.unlink()


def main(argv: Sequence[str]) -> int:
    """`python -m goe.launch.runner RUNS QUEUE`: the detached queue; what it does goes to `.queue.log`."""
    runs, path = (Path(arg) for arg in argv)
    try:
        queue = load_queue(path)
        slots = Slots(queue.options)
    except GoeError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code

    def log(event: Event) -> None:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        print(stamp, event.kind, event.view.run_id, event.view.state, event.text, flush=True)  # noqa: T201

    return 0 if Runner(queue, runs, slots, report=log).run() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
