"""The evaluation table over every run, and what it lacks."""

from pathlib import Path

from goe.core.config import RunConfig
from goe.core.errors import ConfigError, RunError
from goe.core.results import Measured, aggregate, expected_runs, gather, without_results
from goe.core.rundir import RunDir, find_runs
from goe.core.table import blocks
from tui.messages import Results
from tui.reading.base import guarded
from tui.reading.overview import Plan


class ResultsReader:
    """The table, every two seconds."""

    period = 2.0

    def __init__(self, runs: Path, plan: Plan) -> None:
        self._runs = runs
        self._plan = plan

    def read(self) -> Results:
        """The table now."""
        return read_results(self._runs, self._plan)


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
        configs, some, damaged = guarded(run, _results_of, lambda view: ([], [], [view.problem or ""]))
        expected += configs
        measured += some
        problems += damaged
    return Results(tuple(blocks(aggregate(measured, expected))), without_results(measured, expected), tuple(problems))


def _results_of(run: RunDir) -> tuple[list[RunConfig], list[Measured], list[str]]:
    return expected_runs([run], None), *gather([run])
