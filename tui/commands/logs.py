"""`goe logs`: the end of a run's `train.log`, and what is added to it."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from tui.commands.options import DEFAULT_RUNS, Runs

if TYPE_CHECKING:
    from goe.core.logfile import Tail
    from goe.core.rundir import RunDir

POLL_S = 0.2


def logs(
    run: Annotated[str, typer.Argument(metavar="RUN")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends; Ctrl-C leaves it be.")
    ] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, metavar="LINES", help="How many of the last lines.")
    ] = 20,
    attempt: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only what this start of the run said.")
    ] = None,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Show the end of a run's log as a terminal would have left it."""
    from goe.core.logfile import Tail, tail
    from goe.core.rundir import resolve_run

    found = resolve_run(runs, run)
    start, end = _part(found, attempt)
    try:
        shown = tail(found.log_file, lines, start=start, end=end)
    except FileNotFoundError:
        print(f"{found.run_id}: no log yet: it was never started", file=sys.stderr)
        shown = Tail((), "", 0, cut=False)
    _print(shown, rest=not follow)
    if follow and end is None:
        try:
            _follow(found, shown.offset, attempt)
        except KeyboardInterrupt:
            print(f"{found.run_id}: goes on; `goe logs -f` shows it again", file=sys.stderr)
            raise typer.Exit(130) from None


def _part(run: "RunDir", attempt: int | None) -> tuple[int, int | None]:
    """From which byte of the log to which it is wanted, None for its end. RunError for an attempt there isn't."""
    from goe.core.errors import RunError

    if attempt is None:
        return 0, None
    count = run.attempt_count()
    if attempt > count:
        raise RunError(f"{run.run_id}: --attempt: there is no attempt {attempt}; it was started {count} times")
    places = [_begin(run, number) for number in (attempt, attempt + 1) if number <= count]
    return places[0], places[1] if len(places) == 2 else None


def _begin(run: "RunDir", number: int) -> int:
    from goe.core.errors import RunError

    place = run.numbered(number).launch().log_start
    if place is None and number > 1:
        raise RunError(
            f"{run.run_id}: --attempt: where attempt {number} begins in {run.log_file} was not recorded by the version "
            "of goe that started it; leave --attempt out"
        )
    return place or 0


def _print(shown: "Tail", *, rest: bool) -> None:
    if shown.cut:
        print("note: earlier lines are too far from the log's end to be looked for", file=sys.stderr)
    for line in shown.lines:
        print(line)
    if rest and shown.rest:
        print(shown.rest)
    sys.stdout.flush()


def _follow(run: "RunDir", offset: int, attempt: int | None) -> None:
    """Print what is added until the run, or the attempt, has ended; one that waits is waited for."""
    from goe.core.logfile import Follower
    from goe.core.overview import view_run
    from goe.core.report import ended_by, state_label
    from goe.core.state import RunState

    follower = Follower(run.log_file, offset)
    while True:
        view = view_run(run)  # before reading: what an ended run said last is in the file by then
        added = follower.poll()
        if follower.restarted:
            print(f"note: {run.log_file} was cut or replaced; from its start:", file=sys.stderr)
        for line in added:
            print(line)
        waits = view.state is RunState.QUEUED and attempt is None
        if not (view.is_live or waits) or attempt not in {None, view.attempt}:
            break
        sys.stdout.flush()
        time.sleep(POLL_S)
    if follower.rest():
        print(follower.rest())
    sys.stdout.flush()
    print(f"{run.run_id}: {state_label(view.state)} {ended_by(view)}".rstrip(), file=sys.stderr)
