"""The command line of the detached queue; systemd units that users have installed name this module."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from goe.core.errors import GoeError
from goe.core.queuefile import load_queue
from goe.launch.events import log_event
from goe.launch.queueloop import Runner


def main(argv: Sequence[str]) -> int:
    """`python -m goe.launch.runner RUNS QUEUE`: the detached queue; what it does goes to `.queue.log`.

    Exit codes: 0 every run is done, or the queue was asked to end; 1 not every run is done; else those of errors.
    """
    parser = argparse.ArgumentParser(prog="goe.launch.runner", description="Work through a queue file.")
    parser.add_argument("runs", type=Path)
    parser.add_argument("queue", type=Path)
    parser.add_argument("--slots", type=int)
    parser.add_argument("--gpus", type=lambda text: text.split(","))
    parser.add_argument("--stay", action="store_true", help="wait for edits when nothing is left to do")
    parser.add_argument("--alone", action="store_true", help="refuse to work if another queue does here")
    parser.add_argument("--not-again", action="store_true", help="leave runs alone that failed or were stopped before")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        queue = load_queue(options.queue)
        if queue.options.data:
            os.environ.setdefault("GOE_DATA", str(Path(queue.options.data).absolute()))
        runner = Runner(
            queue,
            options.runs,
            options.gpus,
            options.slots,
            report=log_event,
            stay=options.stay,
            alone=options.alone,
            again=not options.not_again,
        )
        return 0 if runner.run() else 1
    except KeyboardInterrupt:
        return 0
    except GoeError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
