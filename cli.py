"""The entry point of `goe`: which commands there are, and how errors end. The commands are in `tui/commands/`."""

import gc
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tui.commands import (
    bench,
    checkpoints,
    control,
    data,
    detached,
    evaluation,
    export,
    figures,
    logs,
    notify,
    provenance,
    queue,
    queue_edit,
    runs,
    tables,
    train,
)
from tui.commands.options import DEFAULT_QUEUE, DEFAULT_RUNS, QueueFile, Runs

app = typer.Typer(
    name="goe",
    help="A terminal lab for out-of-distribution detection with outlier exposure.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point of `goe`: a user's mistake ends in one clear message and its own exit code."""
    from goe.core.errors import EXIT_USER, GoeError

    try:
        app()
    except GoeError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `goe runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        print(f"error: {error.filename or 'system'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(EXIT_USER)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    """Set up nothing; commands set up what they need."""
    if version:
        from importlib.metadata import version as installed

        print(f"goe {installed('goe')}")
        raise typer.Exit


app.command()(train.train)
app.command("eval")(evaluation.eval_)
app.command()(evaluation.score)
app.command()(tables.table)
app.command()(tables.compare)
app.command()(export.export)
app.command()(export.schema)
app.command("runs")(runs.runs_)
app.command()(runs.show)
app.command()(logs.logs)
app.command()(provenance.diff)
app.command()(provenance.reproduce)
app.command()(runs.stop)
queue.queue_app.command()(queue_edit.add)
queue.queue_app.command()(queue_edit.copy)
queue.queue_app.command("rm")(queue_edit.remove)
queue.queue_app.command("set")(queue_edit.set_)
queue.queue_app.command()(queue_edit.unset)
queue.queue_app.command()(queue_edit.move)
queue.queue_app.command()(queue_edit.hold)
queue.queue_app.command()(queue_edit.release)
queue.queue_app.command()(queue_edit.schema)
queue.queue_app.command("notify")(notify.queue_notify)
app.command()(control.pause)
app.command()(control.resume)
app.command()(control.cancel)
app.command()(control.retry)
queue.queue_app.command("start")(detached.start)
queue.queue_app.command("stop")(detached.stop)
queue.queue_app.command("status")(detached.status)
queue.queue_app.command("service")(detached.service)
app.command()(bench.bench)
app.add_typer(queue.queue_app, name="queue")
app.add_typer(checkpoints.checkpoints_app, name="checkpoints")
app.add_typer(data.data_app, name="data")
app.add_typer(figures.figure_app, name="figure")


@app.command("tui")
def tui_(
    runs: Runs = DEFAULT_RUNS,
    queue: QueueFile = DEFAULT_QUEUE,
    once: Annotated[bool, typer.Option("--once", help="Print one plain frame and exit.")] = False,
    readonly: Annotated[
        bool, typer.Option("--readonly", help="Show only: no run, file or queue can be changed from it.")
    ] = False,
    web: Annotated[bool, typer.Option("--web", help="Show it to browsers of this machine, at 127.0.0.1.")] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="For --web; 0 is any free one.")] = 8640,
) -> None:
    """Open the dashboard. Quitting it never touches training."""
    if web and not once:
        serve_tui(runs, queue, port, readonly=readonly)
        return
    in_browser = "TEXTUAL_DRIVER" in os.environ  # textual-serve has set it
    if once or not (in_browser or (sys.stdin.isatty() and sys.stdout.isatty())):
        import shutil

        from tui.once import frame

        print(frame(runs, queue, shutil.get_terminal_size((100, 24)).columns))
        return
    gc.disable()  # nothing that a start makes is garbage, and to look for it takes an eighth of the start
    from tui.app import run_app

    run_app(runs, queue, readonly=readonly)


def serve_tui(runs: Path, queue: Path, port: int, *, readonly: bool) -> None:
    """`goe tui --web`."""
    from goe.core.errors import UserError
    from tui.goecommand import GOE

    try:
        from tui.web import serve
    except ModuleNotFoundError as error:
        raise UserError(
            f"--web: {(error.name or '').partition('.')[0]} is not installed; `pip install 'goe[web]'` adds it"
        ) from None
    flags = ["--readonly"] if readonly else []
    serve([*GOE, "tui", "--runs", str(runs), "--queue", str(queue), *flags], port)


if __name__ == "__main__":
    main()
