"""The evaluation table over every run as it was asked for, and what it lacks."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from goe.core.errors import ConfigError
from goe.core.forms import RECORDS, Format, render
from goe.core.layout import check_sets
from goe.core.metricstyles import STYLES, Kind
from goe.core.results import Aggregation, Measured, without_results
from goe.core.table import Table
from goe.core.tabulation import choose, lay_out
from tui.messages import Choices, Results
from tui.reading.differences import Differences
from tui.reading.evaluations import Evaluations
from tui.reading.overview import Plan
from tui.reading.tablelook import TableLook, options_of, request_of


class ResultsReader:
    """The table, anew when a result or what is asked for changed."""

    def __init__(self, runs: Path, plan: Plan, look: TableLook | None = None) -> None:
        self._runs = runs
        self._plan = plan
        self._look = look or TableLook()
        self._done: TableLook | None = None
        self._evaluations = Evaluations(runs, plan.path)
        self._differences = Differences()
        self._aggregation = Aggregation()

    @property
    def period(self) -> float:
        """Seconds; fewer while differences are being worked out."""
        return 0.2 if self._differences.pending else 2.0

    def hurry(self) -> None:
        """Every run has its turn in the next read."""
        self._evaluations.hurry()

    def ask(self, look: TableLook) -> None:
        """Show this from the next read on."""
        self._look = look

    def read(self) -> Results | None:
        """The table now; None if it is what it was."""
        self._plan.poll()
        look, changed = self._look, self._evaluations.poll()
        asked = look != self._done
        if changed or asked:
            self._work_out(look)
        elif not self._differences.poll():
            return None
        self._done = look
        return self._results(look)

    def _work_out(self, look: TableLook) -> None:
        if look.against and self._evaluations.measured:
            words = [*options_of(look), "--runs", str(self._runs), "--queue", str(self._plan.path)]
            self._differences.want(words)
        else:
            self._differences.forget()

    def _results(self, look: TableLook) -> Results:
        measured, problems = self._evaluations.measured, self._evaluations.problems
        problems = (*problems, *self._plan.problems)
        there = choices(measured)
        try:
            request = request_of(look)
            chosen = choose(measured, request)
            expected = tuple(request.where.choose_runs(self._evaluations.expected))
            rows = tuple(self._aggregation.rows(chosen, expected))
            check_sets(request.layout, rows)
        except ConfigError as error:
            return Results(look, there=there, problems=(*problems, *error.problems))
        answer = self._differences.found
        problems = (*problems, answer.problem) if answer.problem else problems
        found = Results(
            look,
            measured=tuple(chosen),
            rows=rows,
            expected=expected,
            missing=without_results(chosen, expected),
            problems=problems,
            there=there,
            difference=answer.of if look.against else None,
            waiting=self._differences.pending,
        )
        return replace(found, table=table_of(found))


def table_of(results: Results, *, every_metric: bool = False) -> Table:
    """The results laid out as asked for. `every_metric`: all there are, unless some are asked for."""
    request = request_of(results.look)
    return lay_out(results.rows, results.expected, request, results.difference, every_metric=every_metric)


def written(results: Results, form: Format) -> str:
    """The table as `goe table --format` prints it."""
    table = table_of(results, every_metric=form in RECORDS)
    return render(table, form) if table.blocks or form in RECORDS else ""


def choices(measured: Sequence[Measured]) -> Choices:
    """What there is to choose from."""
    results = [item.result for item in measured]
    there = {
        Kind.CLASSIFICATION: _names(result.classification for result in results),
        Kind.DETECTION: _names(values for result in results for values in result.detection.values()),
        Kind.FILTERING: _names(result.filter for result in results),
    }
    return Choices(
        metrics=tuple(name for name, style in STYLES.items() if style.key in there[style.kind]),
        sets=tuple(_names(result.detection for result in results)),
        scores=tuple(_names([result.score] for result in results)),
        checkpoints=tuple(_names([result.checkpoint] for result in results)),
        protocols=tuple(_names([result.protocol] for result in results)),
        experiments=tuple(_names([item.config.experiment] for item in measured)),
    )


def _names(some: Iterable[Iterable[str]]) -> dict[str, None]:
    return dict.fromkeys(name for names in some for name in names)
