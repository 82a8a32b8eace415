"""`goe table` and `goe compare`: results over seeds."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui.commands.options import DEFAULT_QUEUE, DEFAULT_RUNS, AsJson, QueueFile, RunNames, Runs
from tui.commands.output import colour, print_columns, print_json
from tui.commands.selection import select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goe.core.rundir import RunDir
    from goe.core.tabulation import Request

Conditions = Annotated[
    list[str] | None,
    typer.Option(
        "--where", metavar="KEY=VALUE", help="Only results of this experiment, method, model, …; *, ? and [] fit."
    ),
]
PositiveClass = Annotated[str, typer.Option("--positive", help="id or ood: the class to be found at 95 %.")]
TiesCount = Annotated[str, typer.Option("--ties", help="mid-rank or against-id, as the authors' curve.")]


def table(
    names: RunNames = None,
    form: Annotated[str, typer.Option("--format", help="text, md, csv, json, latex or html.")] = "text",
    rows: Annotated[
        str, typer.Option(help="Of experiment, method, model, dataset, score, checkpoint: what a line is about.")
    ] = "experiment",
    columns: Annotated[str, typer.Option(help="metrics: a block a test set; sets: a block a metric.")] = "metrics",
    metrics: Annotated[str, typer.Option(help="accuracy,aurc,e-aurc,ece,fpr95,auroc,…, or all.")] = "",
    sets: Annotated[str, typer.Option(help="OOD test sets, and average (default: all).")] = "",
    where: Conditions = None,
    positive: PositiveClass = "id",
    ties: TiesCount = "mid-rank",
    mixed: Annotated[bool, typer.Option("--mixed", help="Show several protocols, a block for each.")] = False,
    preset: Annotated[str, typer.Option(help="paper: the layout of Koo et al. (2024).")] = "",
    compare_with: Annotated[str, typer.Option("--compare", help="paper: its figures beside the cells.")] = "",
    against: Annotated[str, typer.Option(metavar="EXPERIMENT", help="Mark what differs from this one by †.")] = "",
    runs: Runs = DEFAULT_RUNS,
    queue: QueueFile = DEFAULT_QUEUE,
) -> None:
    """Print mean ± standard deviation over seeds, per OOD test set and averaged; best and second best are marked."""
    from goe.core.errors import ConfigError, did_you_mean
    from goe.core.forms import FORMATS
    from goe.core.layout import parse_layout
    from goe.core.tabulation import Request
    from goe.core.where import parse_where

    for option, word, known in (
        ("--format", form, FORMATS),
        ("--preset", preset or "paper", ("paper",)),
        ("--compare", compare_with or "paper", ("paper",)),
    ):
        if word not in known:
            raise ConfigError([f'{option}: "{word}" is unknown{did_you_mean(word, known)}; known: {", ".join(known)}'])
    request = Request(
        layout=parse_layout(rows=rows, columns=columns, metrics=metrics, sets=sets, positive=positive, ties=ties),
        where=parse_where(where or []),
        mixed=mixed,
        paper_layout=bool(preset),
        paper_figures=bool(compare_with),
        against=against,
    )
    print_table(select(runs, names, None, None), queue=None if names else queue, form=form, request=request)


def print_table(chosen: "Sequence[RunDir]", *, queue: Path | None, form: Any, request: "Request | None" = None) -> None:
    """Without a `request` the usual table, also of several protocols: what was just evaluated is always shown."""
    from goe.core.forms import RECORDS, render
    from goe.core.tabulation import Request
    from goe.tabulate import tabulate

    found = tabulate(chosen, queue, request or Request(mixed=True), every_metric=form in RECORDS)
    for problem in found.problems:
        print(f"warning: {problem}", file=sys.stderr)
    if found.missing:
        print(f"without a result: {', '.join(found.missing)}", file=sys.stderr)
    if not found.table.blocks:
        print("no evaluated run yet; `goe queue run` or `goe train` makes some", file=sys.stderr)
    if found.table.blocks or form in RECORDS:
        print(render(found.table, form, colour=colour()), end="")


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="An experiment.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    where: Conditions = None,
    positive: PositiveClass = "id",
    ties: TiesCount = "mid-rank",
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Compare two experiments seed by seed: paired differences, bootstrap intervals, t-tests."""
    from goe.comparison import columns, records, scopes, unpartnered
    from goe.comparison import compare as comparisons
    from goe.core.layout import parse_layout
    from goe.core.results import aggregate, gather
    from goe.core.where import parse_where
    from goe.tabulate import recompute

    conventions = parse_layout(positive=positive, ties=ties).conventions
    chosen = parse_where(where or [])
    measured, problems = gather(select(runs, None, None, None))
    measured, damaged = recompute(chosen.choose(measured), conventions)
    for problem in (*problems, *damaged):
        print(f"warning: {problem}", file=sys.stderr)
    found = comparisons(aggregate(measured, []), a, b)
    if as_json:
        print_json(records(found))
        return
    for title, some in scopes(found).items():
        print(f"{title} · {conventions}")
        print_columns(columns(some))
        print()
    print(f"difference: {a} less {b} over the seeds both have; interval: bootstrap; p: paired t-test")
    for message in unpartnered(found):
        print(message, file=sys.stderr)
