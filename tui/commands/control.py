"""`goe pause`, `resume`, `cancel` and `retry`: runs taken in hand."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tui.commands.options import DEFAULT_QUEUE, DEFAULT_RUNS, QueueFile, Runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from goe.core.rundir import RunDir

Names = Annotated[list[str], typer.Argument(metavar="RUN…", help="Run ids, or unique beginnings of them.")]


def pause(
    names: Names,
    runs: Runs = DEFAULT_RUNS,
    release: Annotated[
        bool, typer.Option("--release", help="Let it end and give its memory back; no queue starts it until `resume`.")
    ] = False,
) -> None:
    """Halt runs where they are. Their memory, also GPU memory, and their slots stay taken."""
    from goe.launch.control import pause as halt
    from goe.launch.control import release_memory

    _each(runs, names, release_memory if release else halt)


def resume(names: Names, runs: Runs = DEFAULT_RUNS, queue: QueueFile = DEFAULT_QUEUE) -> None:
    """Continue paused runs, and let the queue start held ones."""
    from goe.launch.control import resume as go_on

    still_held = _still_held(runs, queue)
    _each(runs, names, lambda run: go_on(run) + still_held(run))


def retry(
    names: Names,
    runs: Runs = DEFAULT_RUNS,
    queue: QueueFile = DEFAULT_QUEUE,
    now: Annotated[bool, typer.Option("--now", help="Start it here at once instead of leaving it to a queue.")] = False,
) -> None:
    """Let the queue start failed, stopped, lost or cancelled runs again, from their last checkpoint."""
    from goe.core.overview import view_run
    from goe.launch.control import retry as allow
    from goe.launch.detached import queue_process
    from tui.commands.train import as_before, attach

    still_held = _still_held(runs, queue)

    def do(run: "RunDir") -> str:
        said = allow(run)
        view = view_run(run)
        if now and view.needs_start:
            attach(run, None, as_before(view.launch), detach=True)
            return "started, its retries counted anew"
        return said + still_held(run)

    _each(runs, names, do)
    if not now and queue_process(runs) is None:
        print("no queue works here: `goe queue run` starts one, `goe retry --now` needs none", file=sys.stderr)


def cancel(
    names: Names,
    runs: Runs = DEFAULT_RUNS,
    queue: QueueFile = DEFAULT_QUEUE,
    grace: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds to stop by itself before it is ended (default: the queue file's, 30)."),
    ] = None,
) -> None:
    """End runs in whatever state and hold them: asked first, then ended with all their processes."""
    from goe.core.rundir import resolve_run
    from goe.launch.control import cancel as end

    found = [resolve_run(runs, name) for name in names]
    over = end(
        list({run.path: run for run in found}.values()),
        _grace(queue) if grace is None else grace,
        lambda run, text: print(f"{run.run_id}: {text}", file=sys.stderr, flush=True),
    )
    raise typer.Exit(0 if over else 1)


def _grace(queue: Path) -> float:
    """Of the queue file where there is one to read."""
    from goe.core.errors import ConfigError
    from goe.core.queuefile import QueueOptions, load_queue

    try:
        return load_queue(queue).options.grace
    except ConfigError:
        return QueueOptions().grace


def _still_held(runs: Path, queue: Path) -> "Callable[[RunDir], str]":
    """What is to be added where a run that was let go by hand is held in the queue file."""
    from goe.core.overview import view_run
    from goe.core.queueedit import jobs_by_entry
    from goe.launch.detached import queue_file

    file = queue_file(runs, queue)
    held = {job.run_id: name for job, name in jobs_by_entry(file) if job.options.hold}

    def say(run: "RunDir") -> str:
        if run.run_id not in held or not view_run(run).needs_start:
            return ""
        return f"; but {file} holds it: `goe queue release {held[run.run_id]}` lets it start"

    return say


def _each(runs: Path, names: list[str], do: "Callable[[RunDir], str]") -> None:
    """Do it to every run; one that it can't be done to does not keep the others from it. Exit code 2 then."""
    from goe.core.errors import UserError
    from goe.core.rundir import resolve_run

    failed = False
    for run in [resolve_run(runs, name) for name in names]:
        try:
            print(f"{run.run_id}: {do(run)}", file=sys.stderr)
        except UserError as error:
            failed = True
            print(f"error: {error}", file=sys.stderr)
        except OSError as error:  # somebody else's run, a read-only disk
            failed = True
            print(f"error: {error.filename or run.path}: {error.strerror}", file=sys.stderr)
    if failed:
        raise typer.Exit(2)
