"""Progress on the plain command line: a live display on a terminal, plain lines elsewhere. No full screen, no torch."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from goe.core.evaljob import EvalProgress
from goe.core.overview import RunView, view_run
from goe.core.records import Metric, MetricsTail
from goe.core.report import duration, ended_by, number, percent, progress_line, state_label
from goe.core.rundir import RunDir
from goe.core.state import RunState
from goe.launch.events import Event
from goe.launch.launchers import stop
from goe.launch.local import reap

POLL_S = 0.25


def follow(run: RunDir) -> int:
    """Show a live run until it ends; the code to exit with is the run's own, 128 + n for signal n.

    The first ctrl-C asks the run to stop after its current step, the second ends it at once.
    """
    stops: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: stops.append(number))
    try:
        view = _follow(run, stops)
    finally:
        signal.signal(signal.SIGINT, before)
    return _farewell(view)


def _follow(run: RunDir, stops: list[int]) -> RunView:
    console = Console(stderr=True)
    tail = MetricsTail(run.metrics_file)
    tail.poll()
    shown, asked = _epochs(tail), 0
    with _live(console) as live:
        while True:
            reap()
            view = view_run(run)
            tail.poll()
            if live is not None:
                live.update(_panel([view], detail=True))
            else:
                for record in tail.records:
                    if record.kind == "epoch" and record.epoch > shown:
                        print(epoch_line(record, view), flush=True)  # noqa: T201
                        shown = record.epoch
            if not view.is_live:
                return view
            if len(stops) > asked:
                asked = len(stops)
                stop(run, force=asked > 1)
                if live is None:
                    print(_STOPPING, file=sys.stderr, flush=True)  # noqa: T201
                else:
                    console.print(_STOPPING)
            time.sleep(POLL_S)


_STOPPING = "stopping after the current step; ctrl-C again ends it at once"


def _epochs(tail: MetricsTail) -> int:
    return max((record.epoch for record in tail.records if record.kind == "epoch"), default=0)


def epoch_line(record: Metric, view: RunView) -> str:
    """One finished epoch as a plain line."""
    total = view.status.epochs if view.status else 0
    parts = [f"epoch {record.epoch}/{total}"]
    parts += [f"{name} {number(value)}" for name, value in record.values.items() if name.startswith("loss")]
    if "filter/rate" in record.values:
        parts.append(f"filtered {percent(record.values['filter/rate'])}%")
    if record.values.get("filter/precision") is not None:
        parts.append(f"precision {percent(record.values['filter/precision'])}%")
    parts.append(f"val acc {percent(record.values.get('val/accuracy'))}%")
    parts.append(f"ETA {duration(record.values.get('eta_s'))}")
    return "  ".join(parts)


def _farewell(view: RunView) -> int:
    if view.state is RunState.DONE:
        print(f"{view.run_id} {state_label(view.state)}; `goe show {view.run_id}` shows it", file=sys.stderr)  # noqa: T201
        return 0
    if view.state is RunState.STOPPED:
        print(f"{view.run_id} stopped; the same command resumes it", file=sys.stderr)  # noqa: T201
    else:
        print(f"error: {view.problem}", file=sys.stderr)  # noqa: T201
        print(f"log: {view.run.log_file}", file=sys.stderr)  # noqa: T201
    if view.exit is None:
        return 1
    return 128 + view.exit.signal if view.exit.signal is not None else view.exit.code or 0


class QueueDisplay:
    """What a queue at work shows: each event as a line, and below them the live runs where there is a terminal."""

    def __init__(self, command: str = "goe queue run") -> None:
        self.command = command
        """What adopts the runs that a ctrl-C left alive."""
        self.console = Console(stderr=True)
        self.live = _live(self.console)

    def __enter__(self) -> Self:
        self.live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.__exit__(kind, error, trace)

    def event(self, event: Event) -> None:
        """Print what the queue did."""
        view = event.view
        if view is None:
            self._say(f"queue    {event.text}".replace("\n", "\n         "))
            return
        match event.kind:
            case "submitted":
                text = f"submits  {view.run_id}: {event.text}"
            case "started":
                text = f"started  {view.run_id}"
            case "found":
                text = f"adopted  {view.run_id}: {event.text or 'it runs already'}"
            case "error" | "note":
                text = f"error    {view.run_id}: {event.text}"
            case "retry":
                text = f"waits    {view.run_id}: {event.text}"
            case "ended":
                text = f"ended    {progress_line(view)}  {ended_by(view)}"
                text += f"\n         {view.problem}" if view.problem else ""
        self._say(text)

    def show(self, views: Iterable[RunView], waits: Iterable[tuple[str, str]] = ()) -> None:
        """Redraw the live part: runs at work, then those that wait for a slot or a retry."""
        if isinstance(self.live, Live):
            notes = [Text(f"{run_id}  {text}", style="dim") for run_id, text in waits]
            self.live.update(Group(*notes, _panel(list(views), detail=False)))

    def interrupted(self, views: Iterable[RunView]) -> None:
        """Say what a ctrl-C left alive."""
        alive = [view.run_id for view in views if view.is_live]
        if alive:
            self._say(f"the queue ended; training goes on: {', '.join(alive)}")
            self._say(f"`{self.command}` adopts them, `goe stop RUN` stops one, `goe tui` shows them")

    def summary(self, views: Iterable[RunView]) -> None:
        """One closing line, and one for each run that did not make it."""
        found = list(views)
        counts = {state: sum(view.state is state for view in found) for state in RunState}
        said = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        self._say(f"{len(found)} runs: {said}")
        for view in found:
            if view.state is RunState.BROKEN:
                self._say(f"error    {view.run_id}: {view.problem}")

    def _say(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)


@contextmanager
def download_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar for one download on a terminal; elsewhere a line each tenth. Yields what takes bytes so far and in all."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(name, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    said = -1

    def line(done: int, total: int | None) -> None:
        nonlocal said
        tenth = 10 * done // total if total else -1
        if tenth > said:
            said = tenth
            print(f"{name}: {10 * tenth} %", file=sys.stderr, flush=True)  # noqa: T201

    yield line


class EvalDisplay:
    """How far an evaluation is: a bar for the data set at work on a terminal; elsewhere a line a data set."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task: TaskID | None = None
        self._part = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def show(self, now: EvalProgress) -> None:
        """Take the worker's newest word."""
        part = f"{now.run_id}: {now.note or now.part}"
        if now.note or part != self._part:
            self._begin(part, now)
        if self._task is not None and not now.note:
            self._bar.update(self._task, completed=now.done, total=now.total)

    def _begin(self, part: str, now: EvalProgress) -> None:
        if now.note or self._bar.disable:
            self._console.print(Text(part), soft_wrap=True)
        if now.note:
            return
        self._part = part
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(part, total=now.total)


class _Silent:
    """Stands where a live display would, off a terminal."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def _live(console: Console) -> "Live | _Silent":
    dumb = os.environ.get("TERM") in {None, "dumb"}
    return (
        Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal and not dumb else _Silent()
    )


def _panel(views: list[RunView], *, detail: bool) -> Group:
    """Live runs, a bar each; with `detail`, the loss terms below."""
    grid = Table.grid(padding=(0, 2))
    for view in views:
        if view.is_live and view.state is not RunState.PENDING:
            grid.add_row(*_bar_row(view))
    parts: list[Table | Text] = [grid]
    if detail:
        parts += [Text(_terms(view), style="dim") for view in views]
    else:
        done = sum(view.state is RunState.DONE for view in views)
        waiting = sum(view.state in {RunState.QUEUED, RunState.PENDING} for view in views)
        parts.append(Text(f"{done} of {len(views)} done, {waiting} waiting", style="dim"))
    return Group(*parts)


def _bar_row(view: RunView) -> list[Text | ProgressBar]:
    status = view.status
    if status is None or not status.steps:
        return [Text(view.run_id), Text(state_label(view.state))]
    filtered = view.value("filter/rate")
    return [
        Text(view.run_id),
        ProgressBar(total=status.steps, completed=status.step, width=24),
        Text(f"epoch {status.epoch}/{status.epochs}"),
        Text(f"loss {number(view.value('loss'))}"),
        Text("" if filtered is None else f"filtered {percent(filtered)}%"),
        Text(f"val acc {percent(view.value('val/accuracy'))}%"),
        Text(f"ETA {duration(status.eta_s)}"),
    ]


def _terms(view: RunView) -> str:
    if view.status is None:
        return state_label(view.state)
    shown = [f"{name} {number(value)}" for name, value in view.status.values.items() if name.startswith("loss/")]
    shown += [f"{number(view.value('images_per_s'), 0)} images/s", f"lr {number(view.value('lr'), 5)}"]
    precision = view.value("filter/precision")
    shown += [f"filter precision {percent(precision)}%"] if precision is not None else []
    return f"{view.status.phase}  {'  '.join(shown)}"
