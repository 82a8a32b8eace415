"""`goe queue start`, `stop`, `status` and `service`: a queue that nobody watches."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tui.commands.options import DEFAULT_QUEUE, DEFAULT_RUNS, AsJson, DataRoot, Gpus, QueueFile, Runs, Slots
from tui.commands.output import print_json
from tui.commands.queue import gpu_names
from tui.commands.selection import use_data


def start(
    runs: Runs = DEFAULT_RUNS,
    queue: QueueFile = DEFAULT_QUEUE,
    slots: Slots = None,
    gpus: Gpus = None,
    data: DataRoot = None,
    once: Annotated[bool, typer.Option("--once", help="End when nothing is left to do.")] = False,
) -> None:
    """Start a queue that outlives this terminal, and waits for edits of the file until `goe queue stop`."""
    from goe.launch.detached import queue_log, queue_mark, start_detached, wait_until_at_work

    mark = queue_mark(runs)
    if mark is not None:
        print(f"a queue works here already: process {mark.pid} on {mark.host}", file=sys.stderr)
        return
    use_data(data, queue)
    options = _slot_options(slots) + ([] if once else ["--stay"])
    child = start_detached(runs, queue, options, gpu_names(gpus))
    at_work = wait_until_at_work(runs, child)
    mark = None if at_work else queue_mark(runs)
    if mark is not None:  # somebody else's start was faster
        print(f"a queue works here already: process {mark.pid} on {mark.host}", file=sys.stderr)
        return
    said = f"the queue works, process {child.pid}" if at_work else "the queue found nothing left to do, and ended"
    print(f"{said}; log: {queue_log(runs)}", file=sys.stderr)


def stop(
    runs: Runs = DEFAULT_RUNS,
    everything: Annotated[bool, typer.Option("--all", help="Also ask all live runs to stop.")] = False,
) -> None:
    """End the queue; training goes on, and the next queue adopts it."""
    from goe.core.overview import view_runs
    from goe.launch.detached import stop_queue
    from goe.launch.launchers import stop

    mark = stop_queue(runs)
    print("no queue works here" if mark is None else f"the queue, process {mark.pid}, has ended", file=sys.stderr)
    live = [view.run for view in view_runs(runs) if view.is_live]
    for run in live:
        if everything:
            stop(run)
        print(f"{run.run_id}: {'stopping after the current step' if everything else 'goes on'}", file=sys.stderr)


def status(runs: Runs = DEFAULT_RUNS, queue: QueueFile = DEFAULT_QUEUE, as_json: AsJson = False) -> None:
    """Say which queue works here, since when, what comes next, and what its log says."""
    import time

    from goe.launch.status import describe_status, queue_status

    found = queue_status(runs, queue)
    if as_json:
        print_json(found)
    else:
        print("\n".join(describe_status(found, time.time())))


def service(
    runs: Runs = DEFAULT_RUNS,
    queue: QueueFile = DEFAULT_QUEUE,
    slots: Slots = None,
    gpus: Gpus = None,
    data: DataRoot = None,
    install: Annotated[bool, typer.Option("--install", help="Write it where systemd finds it.")] = False,
) -> None:
    """Print a systemd user unit for this queue: it starts after a reboot, and again after a crash."""
    from goe.core.queuefile import load_queue
    from goe.launch.detached import gpu_options
    from goe.launch.service import how_to_enable, unit_folder, unit_name, unit_text

    slurm = load_queue(queue).options.launcher == "slurm"  # wrong files are reported now, not by systemd
    use_data(data, queue)
    text = unit_text(runs, queue, [*_slot_options(slots), *gpu_options(gpu_names(gpus))], Path.cwd(), slurm=slurm)
    name = unit_name(runs)
    if install:
        runs.mkdir(parents=True, exist_ok=True)  # its log is there
        unit_folder().mkdir(parents=True, exist_ok=True)
        (unit_folder() / name).write_text(text, encoding="utf-8")
        print(unit_folder() / name)
    else:
        print(text, end="")
    print("then:" if install else f"as {unit_folder() / name}, then:", file=sys.stderr)
    for line in how_to_enable(name):
        print(f"  {line}", file=sys.stderr)


def _slot_options(slots: int | None) -> list[str]:
    return [] if slots is None else ["--slots", str(slots)]
