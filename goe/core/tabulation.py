"""What is asked of a table, and the table laid out from results that are read already; no metric is worked out here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from goe.core.cells import Beside
from goe.core.config import RunConfig
from goe.core.errors import ConfigError
from goe.core.layout import Layout
from goe.core.paper import comparison_note, figure, own_results, paper_blocks, paper_metrics, paper_notes
from goe.core.results import Difference, Measured, Row
from goe.core.table import Table, blocks, notes
from goe.core.where import Where, refuse_mixed_protocols

Against = Callable[[Row], Difference | None]
"""The difference of a row to that of another experiment."""


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


def choose(measured: Sequence[Measured], request: Request) -> list[Measured]:
    """The results the table is made of. Raises ConfigError where none fits, or protocols mix unasked."""
    chosen = request.where.choose(measured)
    if request.paper_layout:
        chosen = own_results(chosen, request.where)
    if not request.mixed:
        refuse_mixed_protocols(chosen)
    return chosen


def lay_out(
    rows: Sequence[Row],
    expected: Sequence[RunConfig],
    request: Request,
    difference: Against | None = None,
    *,
    every_metric: bool = False,
) -> Table:
    """The table of `rows`, of the runs `expected`. `every_metric`: all there are, unless some are asked for."""
    layout = request.layout
    beside = Beside(figure=figure) if request.paper_figures else Beside()
    if difference is not None:
        beside = replace(beside, difference=difference)
    told = list(notes(layout.conventions))
    if request.paper_layout:
        metrics = paper_metrics(layout)
        found = paper_blocks(rows, expected, metrics, layout.conventions, beside)
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
