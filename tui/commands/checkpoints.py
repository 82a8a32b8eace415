"""`goe checkpoints`: what there is, whether it is whole, what may go, and weights from elsewhere."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tui.commands.options import DEFAULT_RUNS, AsJson, RunNames, Runs
from tui.commands.output import print_columns, print_json
from tui.commands.selection import WORKER, select
from tui.commands.train import config_of


class _ListsByDefault(TyperGroup):
    """`goe checkpoints RUN` lists; a word that is a command of the group runs that."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["list", *args]
        return super().parse_args(ctx, args)


checkpoints_app = typer.Typer(
    cls=_ListsByDefault,
    help="List checkpoints, also as `goe checkpoints [RUN…]`, verify and prune them, or import weights.",
)


@checkpoints_app.command("list")
def checkpoints(names: RunNames = None, runs: Runs = DEFAULT_RUNS, as_json: AsJson = False) -> None:
    """List checkpoints with epoch, validation accuracy and size."""
    from goe.core.inventory import list_checkpoints
    from goe.core.report import percent, size

    views = [view for run in select(runs, names, None, None) for view in list_checkpoints(run)]
    if as_json:
        print_json(
            [
                {
                    "run_id": view.run_id,
                    "checkpoint": view.name,
                    "epoch": view.index.epoch if view.index else None,
                    "val_accuracy": view.value("val/accuracy"),
                    "bytes": view.size,
                    "problem": view.problem,
                }
                for view in views
            ]
        )
        return
    if not views:
        print(f"no checkpoints in {runs}", file=sys.stderr)
        return
    lines = [("run", "checkpoint", "epoch", "val acc %", "size", "")]
    for view in views:
        epoch = str(view.index.epoch) if view.index else "–"
        accuracy = percent(view.value("val/accuracy"), 2)
        lines.append((view.run_id, view.name, epoch, accuracy, size(view.size), view.problem or ""))
    print_columns(lines)


@checkpoints_app.command("import")
def checkpoints_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Of torch.save(net.state_dict()), or .safetensors.")],
    model: Annotated[str, typer.Option(help="wrn, res18, res34, res50, dense; also wrn-D-W and so on.")],
    dataset: Annotated[str, typer.Option(help="ID data set it was trained on: cifar10, cifar100, digits.")],
    method: Annotated[str, typer.Option(help="Method it was trained with.")] = "goe",
    name: Annotated[str | None, typer.Option(help="Experiment name (default: imported-method-dataset-model).")] = None,
    trial: Annotated[str, typer.Option(help="Trial number; it is the seed.")] = "1",
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Make a run, done and ready for `goe eval`, of weights that the paper's authors' code trained."""
    import subprocess

    import msgspec

    from goe.core.config import spell_out

    raw: dict[str, Any] = spell_out({"preset": "paper", "dataset": dataset, "model": model, "method": method})
    config = config_of(raw, [], trial, name or f"imported-{method}-{dataset}-{raw['model']}")
    command = [*WORKER, "import", str(file), str(runs), msgspec.json.encode(config).decode()]
    done = subprocess.run(command, check=False)
    raise typer.Exit(done.returncode)


@checkpoints_app.command("verify")
def checkpoints_verify(names: RunNames = None, runs: Runs = DEFAULT_RUNS, as_json: AsJson = False) -> None:
    """Compare every checkpoint file with its index's digest; exit code 2 if one is damaged or missing."""
    from goe.core.integrity import verify

    found = [finding for run in select(runs, names, None, None) for finding in verify(run)]
    bad = sum(finding.bad for finding in found)
    if as_json:
        print_json(found)
    else:
        for finding in found:
            if finding.bad or finding.text != "whole":
                word = "bad " if finding.bad else "note"
                print(f"{word}  {finding.run_id}/checkpoints/{finding.file}: {finding.text}")
        print(f"{len(found)} files looked at, {bad} bad", file=sys.stderr)
    raise typer.Exit(2 if bad else 0)


@checkpoints_app.command("prune")
def checkpoints_prune(
    names: RunNames = None,
    keep: Annotated[
        str, typer.Option(metavar="WHICH", help="What stays: last, best, every=N, epoch-NNN, joined by commas.")
    ] = "last,best",
    apply: Annotated[bool, typer.Option("--apply", help="Remove it instead of saying what would go.")] = False,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Say which checkpoint files could go and how many bytes they are; with --apply, remove them."""
    from goe.core.overview import view_runs
    from goe.core.pruning import needed_by, parse_keep, plan_pruning, prune
    from goe.core.report import size

    wanted = parse_keep(keep)
    found = select(runs, names, None, None)
    needed = needed_by(runs, view_runs(runs))
    total = 0
    for run in found:
        planned = plan_pruning(run, wanted, needed)
        for remark in planned.remarks:
            print(f"{run.run_id}: {remark}", file=sys.stderr)
        if apply:
            prune(planned)
        for removal in planned.removals:
            print(f"{run.run_id}/{removal.path.relative_to(run.path)}  {size(removal.size)}  {removal.why}")
        total += planned.size
    done = "removed" if apply else "would go; --apply removes them"
    print(f"{size(total)} {done}", file=sys.stderr)
