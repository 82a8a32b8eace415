"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Runs = Annotated[
    Path, typer.Option("--runs", "--save-path", envvar="GOE_RUNS", metavar="DIR", help="The folder with the runs.")
]
QueueFile = Annotated[Path, typer.Option("--queue", envvar="GOE_QUEUE", metavar="FILE", help="The queue file to read.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
RunNames = Annotated[
    list[str] | None, typer.Argument(metavar="RUN…", help="Run ids, unique beginnings of them, or experiments' names.")
]
Slots = Annotated[
    int | None, typer.Option("--slots", min=1, help="Runs at once (default: as the queue says, or one a GPU).")
]
Gpus = Annotated[str | None, typer.Option("--gpus", help="GPUs to use: numbers or UUIDs, e.g. 0,2.")]
DataRoot = Annotated[
    Path | None, typer.Option("--data", envvar="GOE_DATA", metavar="DIR", help="The folder with data sets.")
]


def _whole_name(name: str) -> str:
    """`epoch-7` as the checkpoint's file is called, `epoch-007`."""
    word, _, number = name.partition("-")
    return f"epoch-{int(number):03d}" if word == "epoch" and number.isdecimal() else name


Checkpoint = Annotated[
    str,
    typer.Option("--checkpoint", callback=_whole_name, help="best, last or epoch-N (default: as configured)."),
]
DEFAULT_RUNS = Path("runs")
DEFAULT_QUEUE = Path("experiments.toml")
