"""How runs are put into words and numbers, for the command line and the dashboard alike."""

import time
from collections.abc import Iterable
from typing import Any

import msgspec

from goe.core.evaljob import ScoredImage
from goe.core.inventory import list_checkpoints
from goe.core.overview import RunView
from goe.core.records import Launch, MetricsTail
from goe.core.slurm import SlurmJob
from goe.core.state import RunState

GLYPHS = {
    RunState.QUEUED: "…",
    RunState.PENDING: "◌",
    RunState.STARTING: "○",
    RunState.RUNNING: "●",
    RunState.PAUSED: "‖",
    RunState.STOPPING: "□",
    RunState.DONE: "✓",
    RunState.STOPPED: "■",
    RunState.FAILED: "✗",
    RunState.LOST: "?",
    RunState.BROKEN: "!",
}
"""A sign for each state, so that colour is never the only one."""
NOTHING = "–"
"""Stands for what is not known."""


def state_label(state: RunState) -> str:
    """Sign and word."""
    return f"{GLYPHS[state]} {state}"


def view_label(view: RunView) -> str:
    """The state's, whether a broken run is alive, and whether the run is held."""
    alive = ", alive" if view.lives else ""
    held = ", held" if view.held and view.state is not RunState.DONE else ""
    return f"{state_label(view.state)}{alive}{held}"


def job_text(job: SlurmJob) -> str:
    """`job 12 waits (Resources), expected to start 2026-11-30 14:02`, `job 12 on n1`, `job 12 ended as TIMEOUT`."""
    if job.over:
        return f"job {job.job} ended as {job.state}"
    if not job.waits:
        return f"job {job.job} on {job.nodes}" if job.nodes else f"job {job.job}"
    reason = f" ({job.reason})" if job.reason else ""
    if job.start is None:
        return f"job {job.job} waits{reason}"
    return (
        f"job {job.job} waits{reason}, expected to start {time.strftime('%Y-%m-%d %H:%M', time.localtime(job.start))}"
    )


def percent(fraction: float | None, digits: int = 1) -> str:
    """A fraction in percent, without the sign."""
    return NOTHING if fraction is None else f"{fraction * 100:.{digits}f}"


def number(value: float | None, digits: int = 3) -> str:
    """A plain number; with three digits and an exponent when it is large."""
    if value is None:
        return NOTHING
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:.2e}"


def duration(seconds: float | None) -> str:
    """`0:07`, `12:34`, `1:02:03`, `2d 03h`."""
    if seconds is None:
        return NOTHING
    whole = max(0, round(seconds))
    if whole >= 86_400:
        return f"{whole // 86_400}d {whole % 86_400 // 3600:02}h"
    minutes, rest = divmod(whole, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def size(count: int) -> str:
    """Bytes in binary units: `17.3 MiB`."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def ended_by(view: RunView) -> str:
    """`exit 0`, `signal 9`, `exit 1 (nccl)` where the cause says more, or nothing while it runs or if nobody knows."""
    if view.exit is None:
        return ""
    how = f"signal {view.exit.signal}" if view.exit.signal is not None else f"exit {view.exit.code}"
    return f"{how} ({view.exit.cause})" if view.exit.cause not in {"", "signal"} else how


def end_text(view: RunView) -> str:
    """`exit 2 (user): cifar10: not found`: how it ended and what its worker said; what is wrong with others."""
    said = view.status.error if view.status is not None and view.exit is not None else None
    return ": ".join(part for part in (ended_by(view), said) if part) or view.problem or ""


def progress_line(view: RunView) -> str:
    """One line on a run: state, epoch, loss, filter rate, accuracy, ETA."""
    status = view.status
    if status is None or not status.epochs:
        return f"{view.run_id}  {state_label(view.state)}"
    parts = [f"{view.run_id}", state_label(view.state), f"epoch {status.epoch}/{status.epochs}"]
    parts.append(f"loss {number(view.value('loss'))}")
    terms = [name for name in status.values if name.startswith("loss/")]
    parts += [f"{name.removeprefix('loss/')} {number(status.values[name])}" for name in terms]
    if view.value("filter/rate") is not None:
        parts.append(f"filtered {percent(view.value('filter/rate'))}%")
    parts.append(f"val acc {percent(view.value('val/accuracy'))}%")
    if view.state.moves:
        parts.append(f"ETA {duration(status.eta_s)}")
    return "  ".join(parts)


def columns(views: Iterable[RunView]) -> list[tuple[str, ...]]:
    """A header and a line for each run, as plain text; a last column has the jobs of a cluster, if any."""
    views = tuple(views)
    lines: list[tuple[str, ...]] = [
        ("run", "state", "epoch", "loss", "filtered %", "val acc %", "img/s", "ETA", "ended by")
    ]
    for view in views:
        status = view.status
        lines.append(
            (
                view.run_id,
                view_label(view),
                f"{status.epoch}/{status.epochs}" if status else NOTHING,
                number(view.value("loss")),
                percent(view.value("filter/rate")),
                percent(view.value("val/accuracy")),
                number(view.value("images_per_s"), 0),
                duration(status.eta_s) if status and view.state.moves else NOTHING,
                ended_by(view) or NOTHING,
            )
        )
    jobs = [job_text(view.job) if view.is_live and view.job is not None else NOTHING for view in views]
    if any(job != NOTHING for job in jobs):
        lines = [(*line, job) for line, job in zip(lines, ["job", *jobs], strict=True)]
    return lines


def run_record(view: RunView) -> dict[str, Any]:
    """Everything known of a run, as JSON has it."""
    return {
        "run_id": view.run_id,
        "path": str(view.run.path),
        "state": str(view.state),
        "live": view.is_live,
        "held": view.held,
        "problem": view.problem,
        "attempt": view.attempt,
        **{
            key: None if part is None else msgspec.to_builtins(part)
            for key, part in (
                ("config", view.config),
                ("launch", view.launch),
                ("status", view.status),
                ("exit", view.exit),
                ("slurm", view.job),
            )
        },
    }


def device(launch: Launch) -> str:
    """What an attempt runs on: `GPU 0,1`, `CPU`, or the processes it shares its CPU between."""
    if launch.gpus:
        return f"GPU {','.join(map(str, launch.gpus))}"
    return "CPU" if launch.processes == 1 else f"CPU, {launch.processes} processes"


def describe(view: RunView) -> list[str]:
    """A run's page as lines of text."""
    lines = [f"{view.run_id}  {view_label(view)}", f"folder     {view.run.path}", *_remarks(view)]
    if view.launch is not None:
        where = device(view.launch)
        begun = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(view.launch.started))
        host = view.launch.supervisor.host
        if view.launch.launcher == "import":
            lines.append(f"imported   {begun} on {host}")
        else:
            job = f", job {view.launch.job}" if view.launch.job else ""
            lines.append(f"attempt    {view.attempt}, started {begun} on {host}, {where}{job}")
    if view.job is not None and view.is_live:
        lines.append(f"slurm      {job_text(view.job)}")
    if view.exit is not None and view.status is not None:  # an import has no training to end
        took = duration(view.exit.ended - view.exit.started)
        lines.append(f"ended      {ended_by(view)} after {took}, peak memory {size(view.exit.peak_memory)}")
    if view.status is not None:
        lines.append(f"progress   {view.status.phase}, epoch {view.status.epoch}/{view.status.epochs}")
        lines += ["", "metrics"]
        lines += [f"  {name:<20} {number(value, 4)}" for name, value in view.status.values.items()]
    checkpoints = list_checkpoints(view.run)
    if checkpoints:
        lines += ["", "checkpoints"]
        for found in checkpoints:
            epoch = f"epoch {found.index.epoch}" if found.index else "unreadable"
            accuracy = percent(found.value("val/accuracy"), 2)
            line = f"  {found.name:<10} {epoch:<10} val acc {accuracy} %  {size(found.size)}  {found.problem or ''}"
            lines.append(line.rstrip())
    if view.config is not None:
        lines += ["", "configuration"]
        lines += [f"  {key:<20} {value}" for key, value in flat(msgspec.to_builtins(view.config))]
    return lines


def _remarks(view: RunView) -> Iterable[str]:
    """What its user should know first."""
    if view.problem:
        yield f"problem    {view.problem}"
    if view.held and view.state is not RunState.DONE:
        yield "held       no queue starts it; `goe resume` or `goe retry` lets it"
    if view.state is RunState.PAUSED:
        yield "paused     its memory, also GPU memory, and its slot stay taken; `goe resume` continues it"
    if view.status is not None and view.status.warning:
        yield f"warning    {view.status.warning}"
    tail = MetricsTail(view.run.metrics_file)
    tail.poll()
    bad = tail.bad + (tail.cut and not view.is_live)
    if bad:
        yield f"damaged    {bad} record{'s' if bad > 1 else ''} of metrics.jsonl left out"


def describe_scored(image: ScoredImage) -> str:
    """One line on an image that was scored: the verdict first, so that lines can be sorted by it."""
    if image.problem is not None:
        return f"error  {image.path}: {image.problem}"
    verdict = "ID   " if image.accepted else "OOD  "
    against = f"{image.score} {number(image.value, 4)} {'≥' if image.accepted else '<'} {number(image.threshold, 4)}"
    return f"{verdict}  {image.path}  {against}  class {image.class_name} ({percent(image.probability)} %)"


def flat(table: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """The values of nested tables, each with its keys joined by dots."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
