"""A queue whose workers do nothing: everything is real but what a worker does, which is a line of shell."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

STUB = """#!/bin/sh
case "$3" in
goe.worker) run="$5"; {worker} ;;
goe.launch.supervisor|goe.launch.slurmnode) name=$3; shift 3; exec {python} -P -c {code} "$name" "$@" ;;
esac
"""
SUPERVISOR = (
    "import importlib, sys; sys.executable = {stub!r}; "
    "sys.exit(importlib.import_module(sys.argv[1]).main(sys.argv[2:]))"
)


def use_stub(folder: Path, worker: str = "exec true") -> None:
    """Let this process start supervisors whose worker is `worker`, in which `$run` is the run's folder.

    Python is found by `sys.executable`; the stub that it names here sends supervisors on to the real one.
    """
    stub = folder / "python-stub"
    code = shlex.quote(SUPERVISOR.format(stub=str(stub)))
    stub.write_text(STUB.format(worker=worker, python=shlex.quote(sys.executable), code=code), encoding="utf-8")
    stub.chmod(0o755)
    sys.executable = str(stub)


def main(argv: Sequence[str]) -> int:
    """`python noop.py FOLDER WORKER RUNS QUEUE…`: the detached queue's own entry, with no-op workers."""
    folder, worker, *rest = argv
    use_stub(Path(folder), worker)
    from goe.launch.runner import main as queue

    return queue(rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
