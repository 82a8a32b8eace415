"""A queue whose workers do nothing: everything is real but what a worker does, which is a line of shell."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

STUB = """#!/bin/sh
while [ "$1" != -m ]; do shift; done
case "$2" in
goe.worker) run="$4"; {worker} ;;
*) shift; exec {python} -P -c {code} "$@" ;;
esac
"""
MODULE = (
    "import runpy, sys; sys.executable = {stub!r}; del sys.argv[0]; "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def use_stub(folder: Path, worker: str = "exec true") -> None:
    """Let this process start supervisors, or submit jobs, whose worker is `worker`; there `$run` is the run's folder.

    Python is found by `sys.executable`; the stub that it names here sends all but workers on to the real one.
    """
    stub = folder / "python-stub"
    code = shlex.quote(MODULE.format(stub=str(stub)))
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
