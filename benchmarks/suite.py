"""All benchmarks, or some, one after another, each in a process of its own; what they find as one file.

    python benchmarks/suite.py [PART…] [--quick] [--out FILE] [--write-docs]

`goe bench` and `make bench` are this. The file has the last findings of each part: a part measured again replaces its
own, the others stay. With --quick nothing is kept unless --out says where.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from document import write_docs
from harness import BROKEN_OFF, ROOT, machine
from tables import Machine, Record, Results

from goe.core.errors import EXIT_OK, EXIT_USER, UserError, did_you_mean

HERE = Path(__file__).parent
DOCS = ROOT / "docs" / "performance.md"


@dataclass(frozen=True, slots=True)
class Run:
    """A script with what it is given."""

    part: str
    script: str
    words: tuple[str, ...] = ()
    needs: str = ""
    """A program that has to be installed."""


USUAL = (
    Run("data", "data"),
    Run("step", "step"),
    Run("accuracy", "accuracy"),
    Run("epoch", "epoch"),
    Run("sharing", "sharing"),
    Run("ddp", "ddp"),
    Run("whole-run", "whole_run"),
    Run("memory", "memory"),
    Run("metrics", "metrics"),
    Run("queue", "queue_loop"),
    Run("dashboard", "dashboard", needs="tmux"),
)
OTHERS = (
    Run("evaluation", "evaluation"),
    Run("tinyimages", "tinyimages"),
    Run("curves", "curves"),
    Run("log", "logtail"),
    Run("slurm", "slurm", needs="sbatch"),
)
GPU = (
    Run("data", "data", ("--rounds=2", "--images=12800")),
    Run("step", "step", ("--device=cuda", "--rounds=3", "--compile", "wrn-40-2")),
    Run("accuracy", "accuracy", ("--methods=goe",)),
    Run("epoch", "epoch", ("--device=cuda",)),
    Run("sharing", "sharing", ("--device=cuda", "--rounds=3")),
    Run("ddp", "ddp", ("--device=cuda", "--rounds=3")),
    Run("whole-run", "whole_run", ("--device=cuda",)),
    Run("memory", "memory", ("--device=cuda", "--methods", "baseline", "goe")),
)
"""All that matters on a GPU, in less than 10 minutes."""
PARTS = {run.part: (run,) for run in (*USUAL, *OTHERS)} | {"gpu": GPU}


def chosen(names: Sequence[str]) -> tuple[Run, ...]:
    """The runs of these parts; the usual ones for none. Raises UserError for what is no part."""
    for name in names:
        if name not in PARTS:
            raise UserError(f'"{name}" is no benchmark{did_you_mean(name, PARTS)}; known: {", ".join(PARTS)}')
    return tuple(run for name in names for run in PARTS[name]) or USUAL


class Terminated(KeyboardInterrupt):
    """SIGTERM, which reached this process alone."""


def terminate(*_: object) -> None:
    """What SIGTERM does here."""
    raise Terminated


def measure(run: Run, number: str, quick: bool) -> Record | None:
    """Run one script, what it says going to the screen. None if it failed."""
    print(f"\n=== {number}: {run.part} ===", flush=True)
    if run.needs and shutil.which(run.needs) is None:
        print(f"{run.part}: needs {run.needs}, which is not installed; the other parts go on", file=sys.stderr)
        return None
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        words = [*run.words, *(["--quick"] if quick else [])]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        argv = [sys.executable, str(HERE / f"{run.script}.py"), *words, "--json", str(file)]
        with subprocess.Popen(argv, env=os.environ | {"PYTHONPATH": path}) as script:
            try:
                code = script.wait()
            except KeyboardInterrupt as broken:  # from the keyboard the script had it too; it clears up
                if isinstance(broken, Terminated):
                    script.terminate()
                script.wait()
                raise
        print(f"=== {run.part}: {time.monotonic() - begun:.0f} s ===", flush=True)
        if code != EXIT_OK or not file.exists():
            print(f"{run.part}: failed with exit code {code}; the other parts go on", file=sys.stderr)
            return None
        return msgspec.json.decode(file.read_bytes(), type=Record)


def found(path: Path) -> tuple[Record, ...]:
    """What the file has; nothing where it is not there."""
    return msgspec.json.decode(path.read_bytes(), type=Results).records if path.exists() else ()


def keep(path: Path, records: Sequence[Record]) -> Results:
    """Put these findings into the file, in place of the same scripts' older ones."""
    new = {record.script: record for record in (*found(path), *records)}
    results = Results(records=tuple(new.values()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    return results


def usual_place(here: Machine) -> Path:
    """`benchmarks/results/<date>-<machine>.json` of a checkout; else in the present folder."""
    name = here.gpus[0] if here.gpus else f"{here.cpu} {here.cores} cores"
    slug = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\(r\)|\(tm\)|processor", "", name.lower())).strip("-")
    file = f"{time.strftime('%Y-%m-%d')}-{slug}.json"
    folder = ROOT / "benchmarks" / "results"
    return folder / file if folder.is_dir() else Path(f"goe-bench-{file}")


def refuse(asked: argparse.Namespace) -> None:
    """Raise UserError for what would fail once all is measured."""
    if asked.write_docs and not DOCS.exists():
        raise UserError(f"--write-docs: {DOCS} is not there; it is part of a checkout")
    if asked.out is None:
        return
    if asked.out.is_dir() or not asked.out.absolute().parent.is_dir():
        raise UserError(f"--out: {asked.out} can't be a file; name one in a folder that is there")
    try:
        found(asked.out)
    except msgspec.DecodeError as error:
        raise UserError(f"--out: {asked.out} is no file of `goe bench` ({error}); name another") from None


def options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="small and few, to see that all works; no true figures")
    parser.add_argument("--out", type=Path, help="the file for all that is found")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/performance.md")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    asked = options(argv)
    try:
        runs = chosen(asked.parts)
        refuse(asked)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USER
    place = asked.out or (None if asked.quick else usual_place(machine()))
    failed = []
    for number, run in enumerate(runs, start=1):
        record = measure(run, f"{number} of {len(runs)}", asked.quick)
        if record is None:
            failed.append(run.part)
        elif place is not None:  # at once: whoever breaks off keeps what there is
            keep(place, [record])
            if asked.write_docs:
                write_docs(DOCS, [record])
    if place is not None and len(failed) < len(runs):
        print(f"\nwritten to {place}" + (f" and {DOCS}" if asked.write_docs else ""), flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, terminate)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(BROKEN_OFF)
