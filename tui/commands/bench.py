"""`goe bench`: how fast this machine is with goe, beside plain ways of doing the same."""

import sys
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "benchmarks", ROOT / "goe" / "benchmarks")
"""Of a checkout, and of an installed package."""


def bench(
    parts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PART…",
            help="data, step, accuracy, epoch, sharing, ddp, whole-run, memory, metrics, queue, dashboard: all of "
            "these if none is named; also evaluation, tinyimages, curves, log, slurm; gpu: what matters on a GPU, in "
            "10 minutes.",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small and few, to see that all works; not kept.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="The JSON file for what is found (default: named by date and chip)."
        ),
    ] = None,
    write_docs: Annotated[
        bool, typer.Option("--write-docs", help="Put the tables into a checkout's docs/performance.md.")
    ] = False,
) -> None:
    """Measure training, data, metrics, queue and dashboard on this machine, each beside a plain way of doing it."""
    import subprocess

    from goe.core.errors import RunError

    folder = next((folder for folder in FOLDERS if (folder / "suite.py").exists()), None)
    if folder is None:
        raise RunError(f"{FOLDERS[0]}: the benchmarks are not there; install goe again, or use a whole checkout")
    flags = [*(["--quick"] if quick else []), *(["--write-docs"] if write_docs else [])]
    place = ["--out", str(out)] if out is not None else []
    with subprocess.Popen([sys.executable, str(folder / "suite.py"), *(parts or []), *flags, *place]) as suite:
        try:
            code = suite.wait()
        except KeyboardInterrupt:  # it has had it too, and ends what it started
            code = suite.wait()
    raise typer.Exit(code)
