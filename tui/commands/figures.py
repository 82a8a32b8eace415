"""`goe figure`: pictures, in a file or in the terminal."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui.commands.options import DEFAULT_RUNS, Checkpoint, Gpus, Runs, Slots
from tui.commands.output import print_columns, warn
from tui.commands.queue import work_through

if TYPE_CHECKING:
    from goe.core.chart import Figure

figure_app = typer.Typer(help="Pictures of what the methods do.", no_args_is_help=True)
FigureRuns = Annotated[
    list[str], typer.Argument(metavar="RUN…", help="Run ids, unique beginnings of them, or experiments' names.")
]
FigureOut = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Where to: .png, .svg or .pdf (default: FIGURE.png).")
]
InTerminal = Annotated[bool, typer.Option("--terminal", help="Draw it in the terminal; in a file only with --out.")]
FigureScore = Annotated[str, typer.Option("--score", help="Default: the first configured one that has a result.")]
FigureProtocol = Annotated[str, typer.Option("--protocol", help="Which OOD test sets, where a run has several.")]
FigureSet = Annotated[str, typer.Option("--set", metavar="NAME", help="This OOD test set alone.")]
BySteps = Annotated[bool, typer.Option("--steps", help="Over steps, as recorded while training, each run for itself.")]


@figure_app.command("spiral")
def figure_spiral(
    runs: Runs = DEFAULT_RUNS,
    seeds: Annotated[int, typer.Option(min=1, max=5, help="Runs of each method; the first is drawn.")] = 1,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to draw it: .png, .svg or .pdf (default: spiral.png).")
    ] = None,
    terminal: Annotated[
        bool, typer.Option("--terminal", help="Draw it in the terminal; in a file only with --out.")
    ] = False,
    slots: Slots = None,
    gpus: Gpus = None,
) -> None:
    """Confidence over the plane after Baseline, OE, OE with filtering and G-OE, trained on two spirals if need be."""
    from goe.core.rundir import RunDir
    from goe.figures.draw import check_drawable
    from goe.figures.spiral import draw, read_panels, spiral_queue, summary_table

    if out is None and not terminal:
        out = Path("spiral.png")
    if out is not None:
        check_drawable(out)
    queue = spiral_queue(seeds)
    if not work_through(queue, runs, slots, gpus, command="goe figure spiral", follow=False):
        raise typer.Exit(1)
    trained = [RunDir(runs / config.run_id) for config in queue.runs]
    panels = read_panels(trained)
    if out is not None:
        draw(panels, out)
        print(f"{out}: drawn", file=sys.stderr)
    if terminal:
        from rich.console import Console

        from tui.widgets.heatmap import side_by_side

        console = Console()
        colour = console.color_system in {"256", "truecolor"} and not console.no_color  # 16 colours are no scale
        fields = [(panel.title, panel.surface.rows()) for panel in panels]
        console.print(side_by_side(fields, console.width, colour=colour))
    print_columns(summary_table(trained))


@figure_app.command("roc")
def figure_roc(
    names: FigureRuns,
    score: FigureScore = "",
    protocol: FigureProtocol = "",
    checkpoint: Checkpoint = "",
    ood: FigureSet = "",
    out: FigureOut = None,
    terminal: InTerminal = False,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """ROC curves: of one run for each OOD test set, of several runs on one of them (--set, default: the first)."""
    out = _drawable("roc", out, terminal=terminal)
    from goe.figures.charts import roc_figure

    _show_figure(roc_figure(_evaluated(runs, names, score, protocol, checkpoint), ood), out, terminal=terminal)


@figure_app.command("hist")
def figure_hist(
    names: FigureRuns,
    score: FigureScore = "",
    protocol: FigureProtocol = "",
    checkpoint: Checkpoint = "",
    ood: FigureSet = "",
    out: FigureOut = None,
    terminal: InTerminal = False,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Histograms of each run's scores: ID against the OOD test sets."""
    out = _drawable("hist", out, terminal=terminal)
    from goe.figures.charts import histogram_figure

    _show_figure(histogram_figure(_evaluated(runs, names, score, protocol, checkpoint), ood), out, terminal=terminal)


@figure_app.command("risk-coverage")
def figure_risk_coverage(
    names: FigureRuns,
    score: FigureScore = "",
    protocol: FigureProtocol = "",
    checkpoint: Checkpoint = "",
    out: FigureOut = None,
    terminal: InTerminal = False,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Error rate among each share of most confident answers on the ID test set."""
    out = _drawable("risk-coverage", out, terminal=terminal)
    from goe.figures.charts import risk_coverage_figure

    _show_figure(risk_coverage_figure(_evaluated(runs, names, score, protocol, checkpoint)), out, terminal=terminal)


@figure_app.command("reliability")
def figure_reliability(
    names: FigureRuns,
    score: FigureScore = "",
    protocol: FigureProtocol = "",
    checkpoint: Checkpoint = "",
    out: FigureOut = None,
    terminal: InTerminal = False,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Accuracy against confidence on the ID test set, in 15 bins."""
    out = _drawable("reliability", out, terminal=terminal)
    from goe.figures.charts import reliability_figure

    _show_figure(reliability_figure(_evaluated(runs, names, score, protocol, checkpoint)), out, terminal=terminal)


@figure_app.command("training")
def figure_training(
    names: FigureRuns,
    steps: BySteps = False,
    out: FigureOut = None,
    terminal: InTerminal = False,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Loss, its terms, accuracy and learning rate over epochs; seeds of an experiment as mean and spread."""
    out = _drawable("training", out, terminal=terminal)
    from goe.core.groups import select_groups
    from goe.figures.training import training_figure

    _show_figure(training_figure(select_groups(runs, names), warn, by_step=steps), out, terminal=terminal)


@figure_app.command("filter")
def figure_filter(
    names: FigureRuns,
    steps: BySteps = False,
    out: FigureOut = None,
    terminal: InTerminal = False,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """What the filter dropped over epochs, its threshold, and its precision and recall where the truth is known."""
    out = _drawable("filter", out, terminal=terminal)
    from goe.core.groups import select_groups
    from goe.figures.training import filter_figure

    _show_figure(filter_figure(select_groups(runs, names), warn, by_step=steps), out, terminal=terminal)


def _drawable(figure: str, out: Path | None, *, terminal: bool) -> Path | None:
    """The file to draw, found writable before any work; None for the terminal alone."""
    if out is None and not terminal:
        out = Path(f"{figure}.png")
    if out is not None:
        from goe.figures.draw import check_drawable

        check_drawable(out)
    return out


def _evaluated(runs: Path, names: Sequence[str], score: str, protocol: str, checkpoint: str) -> Any:
    from goe.core.groups import select_groups
    from goe.figures.scores import Wanted, read_groups

    return read_groups(select_groups(runs, names), Wanted(score, protocol, checkpoint), warn)


def _show_figure(figure: "Figure", out: Path | None, *, terminal: bool) -> None:
    if out is not None:
        from goe.figures.draw import draw

        draw(figure, out)
        print(f"{out}: drawn", file=sys.stderr)
    if terminal:
        from rich.console import Console

        from tui.widgets.figure import picture

        console = Console()
        colour = console.color_system is not None and not console.no_color
        console.print(picture(figure, console.width, colour=colour))
