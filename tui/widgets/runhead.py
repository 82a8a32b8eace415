"""What a run's page says above its charts: pure functions from what was read to styled text."""

from rich.text import Text

from goe.core.overview import RunView
from goe.core.report import NOTHING, duration, ended_by, job_text, number, percent, state_label
from goe.core.state import RunState
from tui.curves.columns import RunCurves
from tui.messages import Checkpoint, RunDetail
from tui.widgets.keytable import Cell, Heading
from tui.widgets.runcells import epoch, eta, speed, spent, state_colour

CHECKPOINT_HEADINGS = (
    Heading("checkpoint", 10),
    Heading("epoch", 5, right=True),
    Heading("val acc %", 9, right=True),
    Heading("val loss", 8, right=True),
    Heading("size", 8, right=True),
    Heading("age", 8, right=True),
    Heading("verified", 10),
)
_SILENT_S = 30.0
"""A live run beats every second; after this the page says how long it has been silent."""


def headline(detail: RunDetail, *, dark: bool) -> Text:
    """State and progress on one line, the most needed first because a narrow screen cuts its end."""
    view = detail.view
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(state_label(view.state), f"bold {state_colour(view.state, dark=dark)}")
    facts = [f"epoch {epoch(view)}"] if view.config else []
    facts += _live_facts(view, detail.read_at) if view.state.is_live else _ended_facts(view)
    return line.append("   " + " · ".join(facts) if facts else "")


def _live_facts(view: RunView, now: float) -> list[str]:
    left = eta(view)
    facts = [f"ETA {left}"] if left not in {NOTHING, "eval"} else ["evaluating"] if left == "eval" else []
    if speed(view) != NOTHING:
        facts.append(f"{speed(view)} img/s")
    silent = now - view.status.updated if view.status else 0.0
    if view.state is RunState.PENDING:
        return [job_text(view.job)] if view.job is not None else []
    if view.state is RunState.PAUSED:
        facts.append("its memory, also GPU memory, stays taken")
    elif silent > _SILENT_S:
        facts.append(f"silent for {duration(silent)}")
    return [*facts, f"attempt {view.attempt}"]


def _ended_facts(view: RunView) -> list[str]:
    held = ["held: no queue starts it"] if view.held and view.state is not RunState.DONE else []
    if view.attempt == 0:
        return ["not started yet", *held] if view.state is RunState.QUEUED else held
    facts = [*held, f"attempt {view.attempt}"]
    if view.exit is not None:
        facts.append(ended_by(view))
        facts.append(f"peak memory {size(view.exit.peak_memory)}")
    return [*facts, f"ran {spent(view)}"] if spent(view) != NOTHING else facts


def subline(view: RunView) -> str:
    """What is trained, and where."""
    config, launch = view.config, view.launch
    parts = [config.method_name, config.dataset, config.model, f"seed {config.seed}"] if config else []
    if launch is not None:
        parts.append(f"GPU {', '.join(map(str, launch.gpus))}" if launch.gpus else "CPU")
        parts.append(launch.supervisor.host)
        parts += [f"job {launch.job}"] if launch.job else []
    return " · ".join(parts)


def alerts(detail: RunDetail, curves: RunCurves | None = None) -> str:
    """What went wrong, a line each; empty when nothing did. A cut record is none while the run writes on."""
    bad = curves.bad + (curves.cut and not detail.view.is_live) if curves else 0
    warning = detail.view.status.warning if detail.view.status else None
    problems = (detail.view.problem, warning, curves.problem if curves else None, detail.checkpoints_problem)
    lines = [line for line in problems if line]
    if bad:
        lines.append(f"{bad} bad metrics record{'s' if bad > 1 else ''} left out: damaged lines in metrics.jsonl")
    lines += [f"checkpoint {one.name}: {one.problem}" for one in detail.checkpoints if one.problem]
    return "\n".join(f"! {line}" for line in lines)


def checkpoint_cells(one: Checkpoint, now: float, verdict: str = "") -> tuple[Cell, ...]:
    """A checkpoint's row under CHECKPOINT_HEADINGS; `verdict` is what its files' digests said."""
    if one.values is None:
        texts = [one.name, "", "! damaged", "", "", "", verdict]
    else:
        texts = [
            one.name,
            str(one.epoch),
            percent(one.values.get("val/accuracy")),
            number(one.values.get("val/loss")),
            size(one.size) if one.size is not None else "! gone",
            age(now - one.saved),
            verdict,
        ]
    return tuple((text, "") for text in texts)


def age(seconds: float) -> str:
    """How long ago, coarse enough not to tick."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (unit == "min" and seconds >= length):
            return f"{seconds // length:.0f} {unit}"
    return "< 1 min"


def size(count: int) -> str:
    """Bytes as kB, MB or GB with three digits."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 999.5:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} GB"
