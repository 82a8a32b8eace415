"""Reads run directories in a thread and posts what it found; the only part of the dashboard that opens files."""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from textual.message import Message

from goe.core.config import RunConfig
from goe.core.errors import ConfigError, RunError
from goe.core.overview import RunView, view_run
from goe.core.queuefile import load_queue
from goe.core.records import CheckpointIndex, Metric, MetricsTail, series
from goe.core.results import Measured, aggregate, expected_runs, gather, without_results
from goe.core.rundir import RunDir, find_runs, read_json
from goe.core.stamp import Stamp, stamp_of
from goe.core.state import RunState
from goe.core.table import blocks
from goe.launch.detached import queue_process
from tui.messages import (
    Checkpoint,
    Curves,
    DetailRead,
    Overview,
    OverviewRead,
    Results,
    ResultsRead,
    RunDetail,
)
from tui.widgets.braille import Series

if TYPE_CHECKING:
    from tui.widgets.heatmap import Field

T = TypeVar("T")

OVERVIEW_S = 1.0
DETAIL_S = 0.5
RESULTS_S = 2.0
LOG_BYTES = 256 * 1024

LOSS = {
    "loss": "total",
    "loss/ce": "ce",
    "loss/oe": "oe",
    "loss/mix": "mix",
    "loss/energy": "energy",
    "loss/aux": "aux",
}
FILTERING = {"filter/rate": "rate", "filter/precision": "precision", "filter/recall": "recall"}


class Poller:
    """Turns until stopped. `post` is called from the poller's thread."""

    def __init__(self, runs: Path, queue: Path, post: Callable[[Message], object]) -> None:
        self._runs = runs
        self._plan = Plan(queue)
        self._post = post
        self._open: RunReader | None = None
        self._results_wanted = False
        self._due: dict[Callable[[], None], float] = {}
        self._wake = threading.Event()
        self._stopped = False

    def run(self) -> None:
        """Read what is due, sleep, repeat; for a thread of its own."""
        while not self._stopped:
            self._wake.clear()
            for task, period in self._tasks():
                if time.monotonic() >= self._due.get(task, 0.0):
                    task()
                    self._due[task] = time.monotonic() + period
            soonest = min(self._due.get(task, 0.0) for task, _ in self._tasks())
            self._wake.wait(max(0.0, soonest - time.monotonic()))

    def open(self, run: RunDir | None) -> None:
        """Follow this run's curves, log and checkpoints; None ends it."""
        self._open = None if run is None else RunReader(run)
        self.refresh()

    def watch_results(self, wanted: bool) -> None:
        """Keep the evaluation table up to date, or stop doing so."""
        self._results_wanted = wanted
        self.refresh()

    def refresh(self) -> None:
        """Read everything now."""
        self._due = {}
        self._wake.set()

    def stop(self) -> None:
        """End the thread soon."""
        self._stopped = True
        self._wake.set()

    def _tasks(self) -> list[tuple[Callable[[], None], float]]:
        tasks = [(self._read_overview, OVERVIEW_S)]
        if self._open is not None:
            tasks.append((self._read_detail, DETAIL_S))
        if self._results_wanted:
            tasks.append((self._read_results, RESULTS_S))
        return tasks

    def _read_overview(self) -> None:
        self._post(OverviewRead(read_overview(self._runs, self._plan)))

    def _read_detail(self) -> None:
        reader = self._open  # the screens' thread may close it meanwhile
        if reader is not None:
            self._post(DetailRead(reader.read()))

    def _read_results(self) -> None:
        self._post(ResultsRead(read_results(self._runs, self._plan)))


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
        views = [_guarded(run, lambda run: view_run(run, now), lambda view: view) for run in find_runs(runs)]
    except RunError as error:
        problem = str(error)
    views.sort(key=lambda view: plan.order.get(view.run_id, len(plan.order)))  # stable: names stay in order
    return Overview(tuple(views), now, queue_process(runs) is not None, len(plan.order), plan.problems, problem)


class RunReader:
    """Follows one run; what did not change since the last time is not read again."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._metrics = MetricsTail(run.metrics_file)
        self._curves = Curves()
        self._log = LogTail(run.log_file)
        self._surface = SurfaceTail(run)

    def read(self) -> RunDetail:
        """The run now; a file that can't be read leaves its part as it was or empty."""
        return _guarded(self.run, self._read, lambda view: RunDetail(view, time.time()))

    def _read(self, run: RunDir) -> RunDetail:
        now = time.time()
        if self._metrics.poll():
            self._curves = make_curves(self._metrics.records)
        self._log.poll()
        view = view_run(run, now)
        self._surface.poll(view.config)
        return RunDetail(
            view,
            now,
            self._curves,
            self._metrics.bad + (self._metrics.cut and not view.state.is_live),
            self._log.lines,
            self._log.cut,
            read_checkpoints(run),
            self._surface.field,
            self._surface.problem,
        )


class SurfaceTail:
    """A spiral run's confidence over the plane, read again when its file changed."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.field: Field | None = None
        self.problem: str | None = None
        self._stamp: Stamp | None = None

    def poll(self, config: RunConfig | None) -> None:
        """Read the file of the checkpoint that the run is judged by; other data sets have none."""
        if config is None or config.dataset != "spiral":
            return
        before, self._stamp = self._stamp, stamp_of(self.run.surface_file(config.evaluate))
        if self._stamp == before:
            return
        self.field, self.problem = None, None
        if self._stamp is not None:
            from goe.surface import read_surface  # numpy: 0.1 s that only a spiral run's page should cost

            try:
                self.field = read_surface(self.run, config.evaluate).rows()
            except RunError as error:
                self.problem = str(error)


class LogTail:
    """The last lines of a growing text file: never more than its last 256 kB are read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: tuple[str, ...] = ()
        self.cut = False
        self._stamp: Stamp | None = None

    def poll(self) -> None:
        """Read the end again if the file changed."""
        stamp = stamp_of(self.path)
        if stamp is None or stamp == self._stamp:
            return
        try:
            with self.path.open("rb") as file:
                start = max(0, stamp.size - LOG_BYTES)
                file.seek(start)
                data = file.read(LOG_BYTES)
        except OSError:
            return
        self._stamp, self.cut = stamp, start > 0
        text = data.decode(errors="replace")
        if self.cut and "\n" in text:
            text = text.partition("\n")[2]  # its first line began before the part that was read
        self.lines = tuple(text.removesuffix("\n").split("\n")) if text else ()


def make_curves(records: list[Metric]) -> Curves:
    """The curves of a run's charts: training values per record, validation per epoch."""
    return Curves(
        loss=_curves(records, LOSS) + _curves(records, {"val/loss": "val"}, "epoch"),
        filtering=_curves(records, FILTERING),
        accuracy=_curves(records, {"train/accuracy": "train"}) + _curves(records, {"val/accuracy": "val"}, "epoch"),
    )


def _curves(records: list[Metric], names: dict[str, str], kind: str = "train") -> tuple[Series, ...]:
    found = ((title, series(records, name, "epoch" if kind == "epoch" else "train")) for name, title in names.items())
    return tuple(Series(title, steps, values) for title, (steps, values) in found if steps)


def read_checkpoints(run: RunDir) -> tuple[Checkpoint, ...]:
    """The run's checkpoints: `last` and `best` first, then by epoch."""
    found = [_checkpoint(path) for path in run.checkpoints.glob("*.json")]
    places = {"last": 0, "best": 1}
    return tuple(sorted(found, key=lambda one: (places.get(one.name, 2), one.epoch or 0, one.name)))


def _checkpoint(path: Path) -> Checkpoint:
    try:
        index = read_json(path, CheckpointIndex)
    except RunError:
        return Checkpoint(path.stem, problem="cut or altered")
    if index is None:
        return Checkpoint(path.stem, problem="removed")
    size = None
    with contextlib.suppress(OSError):
        size = (path.parent / index.weights).stat().st_size
    problem = "weights missing" if size is None else None
    return Checkpoint(path.stem, index.epoch, index.values, index.saved, size, problem)


def read_results(runs: Path, plan: Plan) -> Results:
    """The evaluation table over every run, and what it lacks."""
    plan.poll()
    try:
        found = find_runs(runs)
        expected = expected_runs([], None if plan.problems else plan.path)
    except (RunError, ConfigError) as error:
        return Results(problems=(str(error),))
    measured: list[Measured] = []
    problems: list[str] = []
    for run in found:
        configs, some, damaged = _guarded(run, _results_of, lambda view: ([], [], [view.problem or ""]))
        expected += configs
        measured += some
        problems += damaged
    return Results(tuple(blocks(aggregate(measured, expected))), without_results(measured, expected), tuple(problems))


def _results_of(run: RunDir) -> tuple[list[RunConfig], list[Measured], list[str]]:
    return expected_runs([run], None), *gather([run])


def _guarded(run: RunDir, read: Callable[[RunDir], T], broken: Callable[[RunView], T]) -> T:
    """`read(run)`; whatever goes wrong becomes this run's message and never reaches the others."""
    try:
        return read(run)
    except Exception as error:  # noqa: BLE001 - the border between one run and the rest of the dashboard
        problem = f"{run.path}: can't be read: {type(error).__name__}: {error}; `goe runs` shows the others"
        return broken(RunView(run, RunState.BROKEN, problem=problem))
