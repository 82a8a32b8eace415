"""From run directories to a table: choose results, work them out anew if asked to, gather over seeds, lay out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goe.core.layout import Conventions, check_sets
from goe.core.results import Measured, aggregate, expected_runs, gather, without_results
from goe.core.rundir import RunDir
from goe.core.table import Table
from goe.core.tabulation import Request, choose, lay_out


@dataclass(frozen=True, slots=True)
class Tabulated:
    """A table and what it could not cover."""

    table: Table
    problems: tuple[str, ...]
    missing: tuple[str, ...]
    """Experiments without a line, for want of any result."""


def tabulate(runs: Sequence[RunDir], queue: Path | None, request: Request, *, every_metric: bool = False) -> Tabulated:
    """The table of `runs`, and of those planned in the `queue` file. `every_metric`: all there are, unless some are
    asked for. Raises ConfigError for what does not fit the results.
    """
    measured, problems = gather(runs)
    expected = request.where.choose_runs(expected_runs(runs, queue))
    chosen, damaged = recompute(choose(measured, request), request.layout.conventions)
    rows = aggregate(chosen, expected)
    check_sets(request.layout, rows)
    difference = None
    if request.against and rows:
        from goe.comparison import against

        named = [item for item in measured if item.config.experiment == request.against.partition("@")[0]]
        reference, also_damaged = recompute(named or measured, request.layout.conventions)
        damaged += [problem for problem in also_damaged if problem not in damaged]
        others = [item for item in chosen if item.config.experiment not in {one.config.experiment for one in reference}]
        any_model = "model" in request.layout.rows
        difference = against(aggregate([*reference, *others], expected), request.against, any_model=any_model)
    table = lay_out(rows, expected, request, difference, every_metric=every_metric)
    return Tabulated(table, (*problems, *damaged), without_results(chosen, expected))


def recompute(measured: Sequence[Measured], conventions: Conventions) -> tuple[list[Measured], list[str]]:
    """`measured` under `conventions`, and what could not be; as they are if they follow them already."""
    if conventions == Conventions():
        return list(measured), []
    from goe.conventions import under

    return under(measured, conventions)
