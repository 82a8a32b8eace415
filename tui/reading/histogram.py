"""The scores of an evaluated run as histograms: ID against each OOD test set."""

from collections.abc import Sequence
from dataclasses import dataclass

from goe.core.errors import GoeError
from goe.core.evalfile import stem
from goe.core.overview import RunView
from goe.core.records import EvalResult
from goe.core.results import read_results
from goe.core.rundir import RunDir
from goe.core.stamp import Stamp, stamp_of
from tui.messages import Histogram
from tui.reading.base import guarded


@dataclass(frozen=True, slots=True)
class Choice:
    """Which result, and which of its OOD test sets; empty for the run's first and for all."""

    name: str = ""
    ood: str = ""


class HistogramReader:
    """One result of a run, read again when something changed among its results."""

    period = 2.0

    def __init__(self, run: RunDir, choice: Choice) -> None:
        self._run = run
        self._choice = choice
        self._stamps: list[tuple[str, Stamp | None]] | None = None

    def read(self) -> Histogram | None:
        """The histograms if they changed."""
        before, self._stamps = self._stamps, self._stamp()
        return None if self._stamps == before else guarded(self._run, self._read, self._broken)

    def _stamp(self) -> list[tuple[str, Stamp | None]]:
        return [(path.name, stamp_of(path)) for path in sorted(self._run.eval.glob("*"))]

    def _read(self, run: RunDir) -> Histogram:
        config = run.config()
        results, problems = read_results(run)
        if not results:
            nothing = f"{run.eval}: no result yet; `goe eval {run.run_id}` makes one"
            return Histogram(run.run_id, problem="\n".join(problems) or nothing)
        results.sort(key=lambda one: (one.checkpoint != config.evaluate, *_place(one.score, config.scores)))
        names = tuple(stem(one.checkpoint, one.score, one.protocol) for one in results)
        result = results[names.index(self._choice.name) if self._choice.name in names else 0]
        try:
            return self._drawn(run, result, names)
        except GoeError as error:
            name = stem(result.checkpoint, result.score, result.protocol)
            return Histogram(run.run_id, names, name, problem="\n".join([str(error), *problems]))

    def _drawn(self, run: RunDir, result: EvalResult, names: tuple[str, ...]) -> Histogram:
        from goe.figures.charts import histogram_figure  # numpy: 0.1 s that the poller's thread can wait for
        from goe.figures.scores import Evaluated, read_scores

        evaluated = Evaluated(run.run_id, (read_scores(run, result),), 1)
        ood = self._choice.ood if self._choice.ood in result.detection else ""
        figure = histogram_figure([evaluated], ood)
        name = stem(result.checkpoint, result.score, result.protocol)
        return Histogram(run.run_id, names, name, tuple(result.detection), ood, figure)

    def _broken(self, view: RunView) -> Histogram:
        return Histogram(view.run_id, problem=view.problem)


def _place(score: str, configured: Sequence[str]) -> tuple[int, str]:
    """The configured scores in their order, then the others by name."""
    return (configured.index(score) if score in configured else len(configured)), score
