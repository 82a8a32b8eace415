"""`goe queue`: experiments.toml worked through."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tui.commands.options import DEFAULT_QUEUE, DEFAULT_RUNS, AsJson, DataRoot, Gpus, QueueFile, Runs, Slots
from tui.commands.output import print_columns, print_json
from tui.commands.selection import use_data

if TYPE_CHECKING:
    from goe.core.queuefile import Queue

queue_app = typer.Typer(help="Work through experiments.toml.", no_args_is_help=True)


@queue_app.command("check")
def queue_check(queue: QueueFile = DEFAULT_QUEUE) -> None:
    """Read the queue file and report every problem with its line."""
    from goe.core.queuefile import load_queue

    found = load_queue(queue)
    experiments = len({run.experiment for run in found.runs})
    print(f"{queue}: {experiments} experiments, {len(found.runs)} runs, no problems")


@queue_app.command("list")
def queue_list(runs: Runs = DEFAULT_RUNS, queue: QueueFile = DEFAULT_QUEUE, as_json: AsJson = False) -> None:
    """List the queue's runs in their order, with their state."""
    from goe.core.queuefile import load_queue
    from goe.core.report import columns, run_record
    from goe.launch.look import Look

    jobs = {job.run_id: job for job in load_queue(queue).jobs}
    views = [seen.view for seen in Look().planned(jobs, runs).values()]
    if as_json:
        print_json([run_record(view) for view in views])
    else:
        print_columns(columns(views))


@queue_app.command("run")
def queue_run(
    runs: Runs = DEFAULT_RUNS,
    queue: QueueFile = DEFAULT_QUEUE,
    slots: Slots = None,
    gpus: Gpus = None,
    data: DataRoot = None,
    stay: Annotated[bool, typer.Option("--stay", help="Wait for edits when nothing is left to do.")] = False,
) -> None:
    """Train whatever of the queue is not done. Ctrl-C leaves training alive; the next `goe queue run` adopts it."""
    from goe.core.queuefile import load_queue

    found = load_queue(queue)
    use_data(data, queue)
    raise typer.Exit(0 if work_through(found, runs, slots, gpus, command="goe queue run", stay=stay, alone=True) else 1)


def work_through(
    found: "Queue",
    runs: Path,
    slots: int | None,
    gpus: str | None,
    *,
    command: str,
    stay: bool = False,
    follow: bool = True,
    alone: bool = False,
) -> bool:
    """Train what of a queue is not done, and show it; whether all of it is done in the end. BusyError: see `Runner`."""
    import signal

    from goe.launch.queueloop import Runner
    from tui.progress import QueueDisplay

    runs.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `goe queue stop` ends it as ctrl-C does
    with QueueDisplay(command) as display:
        runner = Runner(
            found,
            runs.resolve(),
            gpu_names(gpus),
            slots,
            report=display.event,
            stay=stay,
            follow=follow,
            alone=alone,
        )
        try:
            complete = runner.run(idle=lambda: display.show(runner.views.values(), runner.waits()))
        except KeyboardInterrupt:
            display.interrupted(runner.views.values())
            raise typer.Exit(130) from None
    display.summary(runner.views.values())
    return complete


def gpu_names(gpus: str | None) -> list[str] | None:
    """`--gpus` as numbers and UUIDs; None where it was not given. Raises ConfigError."""
    from goe.core.errors import ConfigError

    if gpus is None:
        return None
    names = [name.strip() for name in gpus.split(",")]
    if "" in names:
        raise ConfigError([f"--gpus: {gpus!r} names no GPU; as in --gpus 0,2, or `gpus = []` in [queue] for the CPU"])
    return names
