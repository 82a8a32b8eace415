"""The main table of Koo et al. (Neurocomputing 2024): its figures, to set beside one's own, and its layout.

The figures (`paper_table.csv`) were read off fig/main_result.png of the authors' repository. Neither deviations nor the
sets averaged are given there, nor whether AUPR is AUPR-in or AUPR-out.
"""

import csv
import functools
from collections.abc import Iterable, Sequence
from importlib.resources import files

from goe.core.cells import NO_VALUE, Beside
from goe.core.config import RunConfig
from goe.core.errors import ConfigError
from goe.core.layout import Conventions, Layout, kind_of
from goe.core.metricstyles import STYLES, Kind, style_of
from goe.core.results import AVERAGE, Measured, Row
from goe.core.table import ID, Block, Column, block, grouped, lines_of, mean_over, scope_title
from goe.core.where import Where

# In the paper's order.
NAMES = {
    "dataset": {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"},
    "model": {"wrn-40-2": "WRN", "resnet-34": "Res34", "densenet-bc-100-12": "Dense"},
    "method": {"baseline": "MCP", "oe": "OE", "energy-oe": "E-OE", "udg": "UDG", "goe": "G-OE"},
}
"""The paper's words for goe's."""
KEYS = ("dataset", "model", "method")
COLUMNS = {"accuracy": "ACC", "aurc": "AURC", "fpr95": "FPR", "auroc": "AUROC", "aupr-in": "AUPR", "aupr-out": "AUPR"}
"""The paper's heading for each metric that may be meant by it."""
NOTE = (
    "In square brackets the figure of Koo et al. (2024), main table, and by how much ours is above it. Its AUPR "
    "stands beside both, as it doesn't say which it is; its ties count against ID."
)
NO_FIGURE = (
    "None of these results has a figure in Koo et al. (2024): they are of "
    f"{' and '.join(NAMES['dataset'])} with {', '.join(NAMES['model'])}."
)


@functools.cache
def _figures() -> dict[tuple[str, str, str], dict[str, str]]:
    with files("goe.core").joinpath("paper_table.csv").open(encoding="utf-8") as file:
        return {(line["dataset"], line["model"], line["method"]): line for line in csv.DictReader(file)}


def figure(row: Row) -> float | None:
    """The paper's figure for `row`, as a fraction: of its ID test set and of the average over OOD sets only."""
    style = style_of(kind_of(row), row.metric)
    name = next((name for name, known in STYLES.items() if known == style), "")
    if name not in COLUMNS or (style.kind is Kind.DETECTION and row.test_set != AVERAGE):
        return None
    where = (row.id_dataset, row.model, row.method)
    words = tuple(NAMES[key].get(value, "") for key, value in zip(KEYS, where, strict=True))
    found = _figures().get((words[0], words[1], words[2]))
    return None if found is None else float(found[COLUMNS[name]]) / style.scale


def comparison_note(blocks: Iterable[Block]) -> str:
    """What the brackets are, or that there are none."""
    matched = any(cell.figure is not None for one in blocks for line in one.lines for cell in line)
    return NOTE if matched else NO_FIGURE


def own_results(measured: Sequence[Measured], where: Where) -> list[Measured]:
    """The results a paper's single line shows: of the run's own checkpoint and first score, energy for Energy-OE.

    A score or checkpoint that `where` chooses comes first.
    """
    return [
        item
        for item in measured
        if ("score" in where.keys or item.result.score == _own_score(item.config))
        and ("checkpoint" in where.keys or item.result.checkpoint == item.config.evaluate)
    ]


def _own_score(config: RunConfig) -> str:
    return "energy" if config.method_name == "energy-oe" else config.scores[0]


def paper_metrics(layout: Layout) -> tuple[str, ...]:
    """The preset's metrics; AUPR is AUPR-in unless `layout` names AUPR-out. Raises ConfigError for others."""
    wanted = layout.metrics or ()
    if layout.rows != ("experiment",) or layout.columns != "metrics" or layout.sets or layout.metrics == ():
        wrong = "it has rows, columns and metrics of its own; leave --rows, --columns, --sets and --metrics all out"
        raise ConfigError([f"--preset paper: {wrong}"])
    if len(wanted) > 1 or not {"aupr-in", "aupr-out"}.issuperset(wanted):
        raise ConfigError(
            ["--preset paper: its metrics are the paper's; --metrics says aupr-in or aupr-out, or nothing"]
        )
    return ("accuracy", "aurc", "fpr95", "auroc", *(wanted or ("aupr-in",)))


def paper_blocks(
    rows: Sequence[Row], expected: Sequence[RunConfig], metrics: Sequence[str], conventions: Conventions, beside: Beside
) -> list[Block]:
    """`rows` in the paper's layout, a block for each protocol; experiments without results are shown as missing."""
    columns = [
        Column(ID if STYLES[name].kind is Kind.CLASSIFICATION else AVERAGE, STYLES[name], COLUMNS[name])
        for name in metrics
    ]
    layout = Layout(rows=("dataset", "model", "method", "score", "checkpoint"), conventions=conventions)
    found = []
    for scope, mine in grouped(rows, ["protocol"]).items():
        ordered = sorted([*mine, *_missing(mine, expected, scope[0])], key=_place)
        title = f"{scope_title(layout, scope)} · {_own(ordered)} · mean over {mean_over(mine)}"
        found.append(block(title, lines_of(ordered), columns, KEYS, beside, names=NAMES, with_seeds=False))
    return found


def paper_notes(metrics: Sequence[str], blocks: Iterable[Block]) -> tuple[str, ...]:
    """What the paper's headings leave open."""
    counts = sorted({cell.row.n for one in blocks for line in one.lines for cell in line if cell.row and cell.row.n})
    seeds = " to ".join(map(str, dict.fromkeys([counts[0], counts[-1]]))) if counts else "0"
    aupr = STYLES[metrics[-1]].title.removesuffix(" %")
    return (f"AURC is × 1000, the rest percent; n = {seeds}. AUPR is {aupr}: the paper doesn't say which of the two.",)


def _missing(rows: Sequence[Row], expected: Sequence[RunConfig], protocol: str) -> list[Row]:
    there = {(row.experiment, row.config) for row in rows}
    seeds: dict[tuple[str, str], list[RunConfig]] = {}
    for config in expected:
        if (config.experiment, config.group) not in there:
            seeds.setdefault((config.experiment, config.group), []).append(config)
    return [
        Row(
            experiment=config.experiment,
            config=config.group,
            method=config.method_name,
            id_dataset=config.dataset,
            model=config.model,
            score=_own_score(config),
            protocol=protocol,
            checkpoint=config.evaluate,
            test_set=config.dataset,
            metric="accuracy",
            expected=len({one.seed for one in each}),
            **NO_VALUE,
        )
        for each in seeds.values()
        for config in each[:1]
    ]


def _place(row: Row) -> tuple[int, ...]:
    """The paper's order; what is not in it comes last."""
    where = (row.id_dataset, row.model, row.method)
    known = [list(NAMES[key]) for key in KEYS]
    return tuple(
        names.index(value) if value in names else len(names) for names, value in zip(known, where, strict=True)
    )


def _own(rows: Sequence[Row]) -> str:
    """Scores and checkpoints of the lines: `checkpoint best · score msp; E-OE: energy`."""
    scores: dict[str, dict[str, None]] = {}
    for row in rows:
        scores.setdefault(row.score, {})[NAMES["method"].get(row.method, row.method)] = None
    usual = max(scores, key=lambda score: len(scores[score]))
    others = [f"{', '.join(methods)}: {score}" for score, methods in scores.items() if score != usual]
    checkpoints = dict.fromkeys(row.checkpoint for row in rows)
    return f"checkpoint {', '.join(checkpoints)} · score {'; '.join([usual, *others])}"
