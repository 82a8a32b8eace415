"""`goe runs`, `goe show` and `goe stop`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tui.commands.options import DEFAULT_RUNS, AsJson, Runs
from tui.commands.output import print_columns, print_json

if TYPE_CHECKING:
    from goe.core.overview import RunView


def runs_(
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
    only: Annotated[
        str, typer.Option("--filter", metavar="TEXT", help='Which: "acc>0.95 state:failed -method:oe", and `or`.')
    ] = "",
    sort: Annotated[
        str, typer.Option(metavar="COLUMN", help="By a column, metric or key; `-acc` the highest first.")
    ] = "",
) -> None:
    """List runs with their state: all, or those that a filter leaves."""
    from goe.core.overview import view_runs
    from goe.core.report import columns, run_record

    found = view_runs(runs)
    views = _arranged(found, only, sort)
    if as_json:
        print_json([run_record(view) for view in views])
        return
    if not views:
        print(f"none of {len(found)} runs in {runs}" if found else f"no runs in {runs}", file=sys.stderr)
        return
    print_columns(columns(views))
    for view in views:
        if view.problem:
            print(f"{view.run_id}: {view.problem}", file=sys.stderr)


def _arranged(views: "list[RunView]", only: str, sort: str) -> "list[RunView]":
    from goe.core.runfields import metric_names, sort_views
    from goe.core.runquery import parse_query

    metrics = metric_names(views)
    shown = list(filter(parse_query(only, metrics), views))
    return sort_views(shown, sort.removeprefix("-"), metrics, descending=sort.startswith("-")) if sort else shown


def show(
    run: Annotated[str, typer.Argument(metavar="RUN")], runs: Runs = DEFAULT_RUNS, as_json: AsJson = False
) -> None:
    """Show one run: state, configuration, metrics, checkpoints, attempts."""
    from goe.core.overview import view_run
    from goe.core.report import describe, run_record
    from goe.core.rundir import resolve_run

    view = view_run(resolve_run(runs, run))
    if as_json:
        print_json(run_record(view))
    else:
        print("\n".join(describe(view)))


def stop(
    names: Annotated[list[str], typer.Argument(metavar="RUN…")],
    runs: Runs = DEFAULT_RUNS,
    force: Annotated[bool, typer.Option("--force", help="End its processes instead of asking.")] = False,
) -> None:
    """Ask runs to stop after their current step; the queue or the same `goe train` resumes them."""
    from goe.core.overview import view_run
    from goe.core.rundir import resolve_run
    from goe.launch.launchers import stop

    for name in names:
        run = resolve_run(runs, name)
        if view_run(run).is_live:
            stop(run, force=force)
            print(f"{run.run_id}: {'ending' if force else 'stopping after the current step'}", file=sys.stderr)
        else:
            print(f"{run.run_id}: is not running", file=sys.stderr)
