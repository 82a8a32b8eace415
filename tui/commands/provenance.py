"""`goe diff` and `goe reproduce`: what made two runs different, and a run made again."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui.commands.options import DEFAULT_RUNS, AsJson, Runs
from tui.commands.output import print_columns, print_json, warn

if TYPE_CHECKING:
    from goe.core.reproduction import Plan, Step


def diff(
    a: Annotated[str, typer.Argument(metavar="RUN")],
    b: Annotated[str, typer.Argument(metavar="RUN")],
    runs: Runs = DEFAULT_RUNS,
    env: Annotated[bool, typer.Option("--env", help="Also code, packages, host and the like.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the keys whose values differ between two runs, and nothing else."""
    from goe.core.difference import configurations, environments
    from goe.core.rundir import resolve_run

    one, other = resolve_run(runs, a), resolve_run(runs, b)
    found = configurations(one, other)
    if env:
        found |= environments(one, other)
        for run in (one, other):
            if not run.env_file.exists():
                warn(f"{run.run_id}: has no env.json: it was never started, or not trained here")
    if as_json:
        print_json([{"key": key, "a": values[0], "b": values[1]} for key, values in found.items()])
    elif found:
        print_columns([("", one.run_id, other.run_id), *((key, _text(x), _text(y)) for key, (x, y) in found.items())])
    else:
        print(f"{one.run_id} and {other.run_id}: no difference", file=sys.stderr)


def _text(value: Any) -> str:
    from goe.core.report import NOTHING

    return NOTHING if value is None else str(value)


def reproduce(
    run: Annotated[str, typer.Argument(metavar="RUN")],
    execute: Annotated[bool, typer.Option("--run", help="Do it here, with this Python, and compare.")] = False,
    into: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A new folder for code and run (default: reproduce/RUN).")
    ] = None,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Print the commands that compute a run again, code and packages included; with --run, do it and compare."""
    from goe.core.errors import RunError
    from goe.core.reproduction import finished_weights, plan, script
    from goe.core.rundir import resolve_run

    found = resolve_run(runs, run)
    place = (into or Path("reproduce") / found.run_id).absolute()
    planned = plan(found, place, python=sys.executable if execute else None)
    if not execute:
        print("\n".join(script(planned)))
        return
    if place.exists() and any(place.iterdir()):
        raise RunError(f"{place}: is not empty; choose another folder with --into DIR")
    finished_weights(found)
    for note in (*planned.notes, *_other_packages(planned)):
        warn(note)
    raise typer.Exit(0 if _repeat(planned) else 1)


def _other_packages(planned: "Plan") -> list[str]:
    """Which packages are not those that the run was trained with, the first ten."""
    import importlib.metadata

    here = {found.metadata["Name"]: found.version for found in importlib.metadata.distributions()}
    others = [
        f"{name} {version} -> {here.get(name, 'missing')}"
        for name, version in planned.environment.packages.items()
        if here.get(name) != version and name != "goe"
    ]
    more = f" and {len(others) - 10} more" if len(others) > 10 else ""
    return [f"this Python has other packages: {', '.join(others[:10])}{more}"] if others else []


def _repeat(planned: "Plan") -> bool:
    """Run every step but the packages' and print what came of it; whether the weights are bit-equal."""
    from goe.core.reproduction import verdict

    for step in planned.prepare:
        _do(step)
    planned.requirements.write_text("\n".join([*planned.pins(), ""]), encoding="utf-8")
    _do(planned.train)
    same, sentence = verdict(planned.run, planned.outcome)
    print(f"{planned.run.run_id}: {sentence}")
    print(f"it is in {planned.into}", file=sys.stderr)
    if planned.environment.commit is not None:
        print(f"`git worktree remove --force {planned.into / 'code'}` gives its code back", file=sys.stderr)
    return same


def _do(step: "Step") -> None:
    from goe.core.errors import RunError

    print(f"+ {step}", file=sys.stderr, flush=True)
    done = subprocess.run(step.command, env={**os.environ, **step.env}, cwd=step.folder, stdout=sys.stderr, check=False)
    if done.returncode:
        raise RunError(f"{step.command[0]}: ended with exit code {done.returncode}; the lines above say why")
