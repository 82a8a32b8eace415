"""How a run was started, again and again, as rows: pure functions from what was read to cells."""

import time

from goe.core.records import Exit, Launch
from goe.core.report import NOTHING, device, duration
from tui.messages import AttemptFact
from tui.widgets.keytable import Cell, Heading
from tui.widgets.runhead import size

_HEADINGS = (
    Heading("#", 3),
    Heading("ended", 9),
    Heading("took", 8, right=True),
    Heading("cause", 13),
    Heading("peak", 8, right=True),
    Heading("on", 8),
    Heading("started", 16),
)
_SAID, _GAP = 20, 2


def attempt_headings(width: int) -> tuple[Heading, ...]:
    """The columns for a table `width` cells wide: what was said last gets the rest."""
    rest = width - sum(heading.width + _GAP for heading in _HEADINGS) - _GAP
    return (*_HEADINGS, Heading("last word", max(_SAID, rest)))


def attempt_cells(fact: AttemptFact, now: float) -> tuple[Cell, ...]:
    """An attempt's row under `attempt_headings`."""
    launch, ended = fact.launch, fact.exit
    texts = (
        f"{fact.number}{'R' if fact.by_hand else ''}",
        "! unreadable" if launch is None else how_ended(ended),
        duration(_took(launch, ended, now)),
        ended.cause or NOTHING if ended else NOTHING,
        size(ended.peak_memory) if ended else NOTHING,
        _device(launch) if launch else NOTHING,
        time.strftime("%Y-%m-%d %H:%M", time.localtime(launch.started)) if launch else NOTHING,
        fact.problem or (fact.word or "").partition("\n")[0] or _place(fact),
    )
    return tuple((text, "") for text in texts)


def _place(fact: AttemptFact) -> str:
    """Where there was no last word: that somebody retried it, or its job and host."""
    if fact.by_hand:
        return "retried by hand"
    job = fact.launch.job if fact.launch else ""
    return f"job {job} on {fact.launch.supervisor.host}" if fact.launch and job else ""


def how_ended(ended: Exit | None) -> str:
    """The exit code or signal that the kernel told the supervisor."""
    if ended is None:
        return NOTHING
    return f"signal {ended.signal}" if ended.signal is not None else f"exit {ended.code}"


def _took(launch: Launch | None, ended: Exit | None, now: float) -> float | None:
    """Seconds; of one that has not ended, so far."""
    if ended is not None:
        return ended.ended - ended.started
    return now - launch.started if launch is not None else None


def _device(launch: Launch) -> str:
    share = f" ×{launch.gpu_share:g}" if launch.gpu_share != 1 else ""
    return f"{device(launch)}{share}"
