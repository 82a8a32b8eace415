"""`goe export` and `goe schema`: for other programs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui.commands.options import DEFAULT_RUNS, Checkpoint, DataRoot, Runs
from tui.commands.output import print_columns, print_json
from tui.commands.selection import use_data

if TYPE_CHECKING:
    from goe.core.rundir import RunDir


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run id, or a unique beginning of one.")],
    form: Annotated[
        str | None,
        typer.Option("--format", help="The classifier with preprocessing and threshold: onnx, safetensors, torch."),
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="The run's metrics: tensorboard, csv, json.")] = None,
    checkpoint: Checkpoint = "",
    score: Annotated[
        str | None,
        typer.Option(help="Score to decide by: msp, max-logit, energy, entropy, margin (default: as configured)."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Where to (default: RUN-CHECKPOINT.onnx; csv, json: standard output)."),
    ] = None,
    runs: Runs = DEFAULT_RUNS,
    data: DataRoot = None,
) -> None:
    """Write a run for other programs: its trained classifier (--format), or its metrics (--to)."""
    import subprocess

    from goe.core.interchange import check_request
    from goe.core.rundir import resolve_run

    check_request(form, to, checkpoint=checkpoint, score=score)
    found = resolve_run(runs, run)
    if form is None:
        _export_metrics(found, to, out)
        return
    use_data(data)
    worker = [sys.executable, "-P", "-m", "goe.worker", "export", str(found.path.resolve()), form]
    done = subprocess.run([*worker, checkpoint, score or "", str(out or "")], check=False)
    raise typer.Exit(done.returncode)


def _export_metrics(run: "RunDir", to: Any, out: Path | None) -> None:
    from goe.core.interchange import check_place, read_metrics, render_metrics
    from goe.core.rundir import write_atomic

    records, bad = read_metrics(run)
    if bad:
        print(f"warning: {run.metrics_file}: {bad} damaged records left out", file=sys.stderr)
    if to == "tensorboard":
        from goe.eventfiles import write_events

        out = out or Path("tensorboard", run.run_id)
        write_events(records, out)
    elif out is not None:
        check_place(out)
        write_atomic(out, render_metrics(records, to).encode())
    else:
        print(render_metrics(records, to), end="")
        return
    print(out)
    print(f"{out}: {len(records)} records of {run.run_id}", file=sys.stderr)


def schema(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="eval, metrics, config, …; none lists.")] = None,
) -> None:
    """Print the JSON Schema of a kind of file in a run's folder."""
    from goe.core.schemas import SCHEMAS, schema

    if name is not None:
        print_json(schema(name))
        return
    lines = [("schema", "version", "file")]
    lines += [(each, str(found.version), found.where) for each, found in SCHEMAS.items()]
    print_columns(lines)
