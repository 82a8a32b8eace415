"""The figures of evaluation results: ROC curves, score histograms, risk over coverage, reliability."""

import statistics
from collections.abc import Callable, Iterable, Sequence

from goe.core.chart import Chart, Figure, Line
from goe.core.errors import ConfigError, UserError, did_you_mean
from goe.core.scorespecs import PROBABILITIES
from goe.figures.curves import (
    Floats,
    best_risk_coverage,
    histogram,
    reliability,
    risk_coverage,
    roc,
    staircase,
    thin,
    without_floor,
)
from goe.figures.scores import Evaluated, Scores
from goe.metrics import classification_metrics, detection_metrics, threshold_at

PERCENT = (0.0, 100.0)


def roc_figure(found: Sequence[Evaluated], ood: str = "") -> Figure:
    """Share of ID over share of OOD accepted: of one run a curve an OOD set (or for `ood` alone), of several runs one a
    run on `ood` (default: the first set). AUROC in the legend.
    """
    runs = _runs(found)
    if len(runs) == 1 and not ood:
        (only,) = runs
        lines = [
            _roc(only, name, f"{name}: {_percent('AUROC', [_auroc(only, name)])}", place)
            for place, name in enumerate(_ood_sets(runs))
        ]
        title = f"ROC of {_label(found[0], found)}"
    else:
        name = _chosen_set(runs, ood)
        lines = _overlaid(
            found,
            lambda each: _percent("AUROC", [_auroc(one, name) for one in each]),
            lambda *at: _roc(at[0], name, *at[1:]),
        )
        title = f"ROC on {name}"
    chance = Line("chance", PERCENT, PERCENT, place=None, dotted=True)
    chart = Chart("", "OOD accepted % (FPR)", "ID accepted % (TPR)", (chance, *lines), y_range=PERCENT)
    return Figure(_title(title, runs), (chart,), _sources(runs))


def histogram_figure(found: Sequence[Evaluated], ood: str = "") -> Figure:
    """A chart for each run: densities of the scores of ID and of each OOD set (or of `ood` alone) on common bins."""
    runs = _runs(found)
    names = [_chosen_set(runs, ood)] if ood else _ood_sets(runs)
    charts = [_histogram(label, scores, names) for label, scores in _by_run(found)]
    return Figure(_title("Scores", runs), tuple(charts), _sources(runs))


def risk_coverage_figure(found: Sequence[Evaluated]) -> Figure:
    """Error rate among the most confident share of the ID test set, a curve a run; AURC in the legend.

    Dotted: the same answers in the best order.
    """
    runs = _runs(found)
    best = [
        _line("", *best_risk_coverage(scores.correct), place, dotted=True)
        for place, each in enumerate(found)
        for scores in each.scores
    ]
    lines = _overlaid(found, _aurc, lambda scores, name, place: _line(name, *_risk(scores), place))
    chart = Chart(
        "",
        "coverage % (dotted: best order)",
        "error rate %",
        (*best, *lines),
        x_range=PERCENT,
    )
    return Figure(_title("Risk over coverage", runs), (chart,), _sources(runs))


def reliability_figure(found: Sequence[Evaluated]) -> Figure:
    """A chart for each run: accuracy, mean confidence and share of images in 15 bins of confidence, with the ECE.

    Raises UserError for a score that is no probability.
    """
    runs = _runs(found)
    for scores in runs:
        if scores.result.score not in PROBABILITIES:
            raise UserError(
                f"{scores.result.run_id}: score {scores.result.score} is no probability of being right, so it has no "
                f"reliability; choose --score {' or '.join(sorted(PROBABILITIES))}"
            )
    charts = [_reliability(label, scores) for label, scores in _by_run(found)]
    return Figure(_title("Reliability", runs), tuple(charts), _sources(runs))


def _runs(found: Iterable[Evaluated]) -> list[Scores]:
    return [scores for each in found for scores in each.scores]


def _ood_sets(runs: Sequence[Scores]) -> list[str]:
    """OOD sets that every run was tested on, in the first one's order. Raises UserError if there are none."""
    common = [name for name in runs[0].ood if all(name in scores.ood for scores in runs)]
    if not common:
        raise UserError(f"{runs[0].result.run_id}: no OOD test set that all these runs were tested on; `goe eval` them")
    return common


def _chosen_set(runs: Sequence[Scores], ood: str) -> str:
    """The set named, or the first that all runs have. Raises UserError for one that a run was not tested on."""
    if not ood:
        return _ood_sets(runs)[0]
    for scores in runs:
        if ood not in scores.ood:
            hint = did_you_mean(ood, scores.ood)
            raise ConfigError(
                [f'--set: {scores.result.run_id} was not tested on "{ood}"{hint}; choose of {", ".join(scores.ood)}']
            )
    return ood


def _overlaid(
    found: Sequence[Evaluated],
    number: Callable[[Sequence[Scores]], str],
    line: Callable[[Scores, str, int], Line],
) -> list[Line]:
    """A line a run; the runs of a group look alike and share one legend entry, with what `number` says of them."""
    lines = []
    for place, each in enumerate(found):
        missing = f"{len(each.scores)}/" if len(each.scores) < each.expected else ""
        seeds = f" ({missing}{each.expected} seeds)" if each.expected > 1 else ""
        name = f"{_label(each, found)}: {number(each.scores)}{seeds}"
        lines += [line(scores, "" if index else name, place) for index, scores in enumerate(each.scores)]
    return lines


def _by_run(found: Sequence[Evaluated]) -> list[tuple[str, Scores]]:
    """Each run with its label, which tells apart the seeds of one group."""
    labelled = []
    for each in found:
        label = _label(each, found)
        for scores in each.scores:
            seed = scores.result.run_id.removeprefix(each.label).rpartition("-")[0]
            labelled.append((f"{label}{seed}" if each.expected > 1 else label, scores))
    return labelled


def _label(each: Evaluated, found: Sequence[Evaluated]) -> str:
    """The group's label, with score and checkpoint where the groups differ in them."""
    runs = _runs(found)
    own = each.scores[0].result
    parts = [
        getattr(own, what) for what in ("score", "checkpoint") if len({getattr(one.result, what) for one in runs}) > 1
    ]
    return f"{each.label} [{', '.join(parts)}]" if parts else each.label


def _title(what: str, runs: Sequence[Scores]) -> str:
    """`what`, and what all runs share: ID data set, score, protocol, checkpoint."""
    first = runs[0].result
    common = [
        f"{name} {getattr(first, name)}"
        for name in ("score", "checkpoint", "protocol")
        if len({getattr(scores.result, name) for scores in runs}) == 1
    ]
    return " · ".join([what, f"ID {first.id_dataset}", *common])


def _sources(runs: Iterable[Scores]) -> tuple[str, ...]:
    return tuple(
        f"{one.run_id} {one.checkpoint}-{one.score}-{one.protocol} epoch {one.epoch} weights {one.weights_sha256}"
        for one in (scores.result for scores in runs)
    )


def _roc(scores: Scores, ood: str, name: str, place: int) -> Line:
    return _line(name, *roc(scores.against(ood), scores.ood[ood]), place)


def _auroc(scores: Scores, ood: str) -> float:
    return detection_metrics(scores.against(ood), scores.ood[ood]).auroc


def _risk(scores: Scores) -> tuple[Floats, Floats]:
    return risk_coverage(scores.correct, scores.id)


def _aurc(each: Sequence[Scores]) -> str:
    return _spread("AURC", [1000 * classification_metrics(scores.correct, scores.id).aurc for scores in each], "‰")


def _percent(name: str, values: Sequence[float]) -> str:
    return _spread(name, [100 * value for value in values], "%")


def _spread(name: str, values: Sequence[float], unit: str) -> str:
    """Mean ± sample standard deviation where there are several."""
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{name} {statistics.fmean(values):.2f}{spread} {unit}"


def _line(name: str, x: Floats, y: Floats, place: int, *, dotted: bool = False) -> Line:
    """A curve of fractions in percent."""
    x, y = thin(100 * x, 100 * y)
    return Line(name, tuple(x.tolist()), tuple(y.tolist()), place=place, dotted=dotted)


def _histogram(label: str, scores: Scores, names: Sequence[str]) -> Chart:
    found = histogram({scores.result.id_dataset: scores.id, **{name: scores.ood[name] for name in names}})
    lines = []
    for place, (name, density) in enumerate(found.densities.items()):
        x, y = staircase(found.edges, density)
        y = without_floor(y)
        title = name if place else f"ID: {name}"
        lines.append(Line(title, tuple(x.tolist()), tuple(y.tolist()), place=place, filled=True))
    threshold = min(max(threshold_at(scores.id), float(found.edges[0])), float(found.edges[-1]))
    top = max(float(density.max()) for density in found.densities.values())
    lines.append(Line("95 % of ID tests", (threshold, threshold), (0.0, top), place=None, dotted=True))
    x_label = scores.result.score + (" (outermost bins hold what lies beyond)" if found.cut else "")
    return Chart(label, x_label, "density", tuple(lines))


def _reliability(label: str, scores: Scores) -> Chart:
    found = reliability(scores.correct, scores.id)
    ece = classification_metrics(scores.correct, scores.id).ece
    x, accuracy = staircase(100 * found.edges, 100 * found.accuracy)
    _, confidence = staircase(100 * found.edges, 100 * found.confidence)
    _, share = staircase(100 * found.edges, 100 * found.share)
    bins, top = tuple(x.tolist()), tuple(confidence.tolist())
    lines = (
        Line("calibrated", PERCENT, PERCENT, place=None, dotted=True),
        Line("accuracy", bins, tuple(accuracy.tolist()), place=0, filled=True),
        Line("confidence, gap", bins, top, place=1, band=(tuple(accuracy.tolist()), top)),
        Line("share of images", bins, tuple(without_floor(share).tolist()), place=2),
    )
    return Chart(f"{label}: ECE {100 * ece:.2f} %", "confidence %", "accuracy %", lines, y_range=PERCENT)
