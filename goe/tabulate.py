"""From run directories to a table: choose results, work them out anew if asked to, gather over seeds, lay out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from goe.core.cells import Beside
from goe.core.config import RunConfig
from goe.core.errors import ConfigError
from goe.core.layout import Conventions, Layout, check_sets
from goe.core.paper import comparison_note, figure, own_results, paper_blocks, paper_metrics, paper_notes
from goe.core.results import Measured, Row, aggregate, expected_runs, gather, without_results
from goe.core.rundir import RunDir
from goe.core.table import Block, Table, blocks, notes
from goe.core.where import Where, refuse_mixed_protocols


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a table."""

    layout: Layout = field(default_factory=Layout)
    where: Where = field(default_factory=Where)
    mixed: bool = False
    """Several protocols of one data set are a block each instead of refused."""
    paper_layout: bool = False
    paper_figures: bool = False
    against: str = ""
    """An experiment: what differs from it is marked."""

    def __post_init__(self) -> None:
        if self.paper_figures and self.layout.conventions.positive == "ood":
            raise ConfigError(["--compare paper: the paper's figures have ID positive; leave --positive ood out"])
        if self.paper_layout:
            paper_metrics(self.layout)


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
    chosen = request.where.choose(measured)
    if request.paper_layout:
        chosen = own_results(chosen, request.where)
    if not request.mixed:
        refuse_mixed_protocols(chosen)
    named = [item for item in measured if item.config.experiment == request.against.partition("@")[0]]
    chosen, damaged = recompute(chosen, request.layout.conventions)
    rows = aggregate(chosen, expected)
    check_sets(request.layout, rows)
    beside = Beside(figure=figure) if request.paper_figures else Beside()
    if request.against and rows:
        from goe.comparison import against

        reference, also_damaged = recompute(named or measured, request.layout.conventions)
        damaged += [problem for problem in also_damaged if problem not in damaged]
        others = [item for item in chosen if item.config.experiment not in {one.config.experiment for one in reference}]
        any_model = "model" in request.layout.rows
        difference = against(aggregate([*reference, *others], expected), request.against, any_model=any_model)
        beside = replace(beside, difference=difference)
    table = _table(rows, expected, request, beside, every_metric=every_metric)
    return Tabulated(table, (*problems, *damaged), without_results(chosen, expected))


def recompute(measured: Sequence[Measured], conventions: Conventions) -> tuple[list[Measured], list[str]]:
    """`measured` under `conventions`, and what could not be; as they are if they follow them already."""
    if conventions == Conventions():
        return list(measured), []
    from goe.conventions import under

    return under(measured, conventions)


def _table(
    rows: Sequence[Row], expected: Sequence[RunConfig], request: Request, beside: Beside, *, every_metric: bool
) -> Table:
    layout = request.layout
    told = list(notes(layout.conventions))
    if request.paper_layout:
        metrics = paper_metrics(layout)
        found: list[Block] = paper_blocks(rows, expected, metrics, layout.conventions, beside)
        told += paper_notes(metrics, found)
    else:
        found = blocks(rows, replace(layout, metrics=()) if every_metric and layout.metrics is None else layout, beside)
    if request.paper_figures:
        told.append(comparison_note(found))
    if request.against:
        told.append(
            f"†: differs from {request.against} under the same score with p < 0.05 (paired t-test over at least 3 "
            "common seeds, not corrected for the number of comparisons)."
        )
    return Table(tuple(found), tuple(told), layout.conventions)
