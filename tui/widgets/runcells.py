"""Runs as words and columns: pure functions from what was read to text, shared by the list, a run's page and `--once`.

A state is always a glyph and a word; its colour only repeats them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from goe.core import runfields
from goe.core.overview import RunView
from goe.core.report import GLYPHS, NOTHING, duration
from goe.core.state import RunState

# Okabe and Ito's colours; on light backgrounds darker, for a contrast of 4.5 : 1.
_DARK = {
    RunState.QUEUED: "dim",
    RunState.PENDING: "dim",
    RunState.STARTING: "#56B4E9",
    RunState.RUNNING: "#56B4E9",
    RunState.PAUSED: "#E69F00",
    RunState.STOPPING: "#E69F00",
    RunState.DONE: "#00B386",
    RunState.STOPPED: "#CC79A7",
    RunState.FAILED: "#F0703C",
    RunState.LOST: "#E69F00",
    RunState.BROKEN: "#F0703C",
}
_LIGHT = {
    RunState.QUEUED: "dim",
    RunState.PENDING: "dim",
    RunState.STARTING: "#00629B",
    RunState.RUNNING: "#00629B",
    RunState.PAUSED: "#8A5A00",
    RunState.STOPPING: "#8A5A00",
    RunState.DONE: "#00694D",
    RunState.STOPPED: "#8A4470",
    RunState.FAILED: "#A84400",
    RunState.LOST: "#8A5A00",
    RunState.BROKEN: "#A84400",
}


def state_colour(state: RunState, *, dark: bool) -> str:
    """A rich style for the label; empty for the text's own colour."""
    return (_DARK if dark else _LIGHT).get(state, "")


def epoch(view: RunView) -> str:
    """`i/N`; nothing for weights trained elsewhere."""
    total = runfields.epochs(view)
    return NOTHING if total is None else f"{view.status.epoch if view.status else 0}/{total}"


def eta(view: RunView) -> str:
    """Time left; the phase where that says more; nothing for a run that doesn't go on."""
    evaluates = view.state.moves and view.status is not None
    if evaluates and view.status and view.status.phase == "evaluating":
        return "eval"
    return duration(runfields.eta(view))


def speed(view: RunView) -> str:
    """Images per second of a live run."""
    value = runfields.speed(view)
    return NOTHING if value is None else f"{value:.0f}"


def spent(view: RunView) -> str:
    """How long the newest attempt has run."""
    return duration(runfields.spent(view))


def cut(text: str, width: int) -> str:
    """`text` in at most `width` characters, the last one "…" if something is missing."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def counts(views: Sequence[RunView]) -> str:
    """`2 running · 5 done`, the liveliest first."""
    tally = Counter(view.state for view in views)
    return " · ".join(f"{tally[state]} {state}" for state in runfields.URGENCY if tally[state]) or "no runs"


def liveliest(views: Iterable[RunView]) -> RunState:
    """The state that wants the most attention."""
    return min((view.state for view in views), key=runfields.URGENCY.index)


def signs(views: Sequence[RunView]) -> str:
    """`●2 ✓5`, the counts in little room."""
    tally = Counter(view.state for view in views)
    return " ".join(f"{GLYPHS[state]}{tally[state]}" for state in runfields.URGENCY if tally[state]) or "no runs"


def summarise(views: Sequence[RunView], now: float, *, queue_alive: bool, brief: bool = False) -> str:
    """The counts, whether a queue works here, and how long it will take."""
    counted = signs(views) if brief else counts(views)
    if not queue_alive:
        return f"{counted} · no queue" if brief else f"{counted} · no queue running"
    left = queue_eta(views, now)
    goes = "queue" if brief else "queue running"
    return f"{counted} · {goes}" + ("" if left is None else f", {'' if brief else 'about '}{duration(left)} left")


def queue_eta(views: Sequence[RunView], now: float) -> float | None:
    """Seconds until every live and queued run is done, as many at once as are live now; None where nobody can tell.

    A queued run, and one that only begins, is taken to last as long as ended and live runs of its kind do on average,
    or as all do. Held ones are not waited for.
    """
    expected = expected_length(views, now)
    live = [_left(view, now, expected) for view in views if view.is_live and view.state is not RunState.PENDING]
    queued = [expected(view) for view in views if view.state in {RunState.QUEUED, RunState.PENDING} and not view.held]
    known = [seconds for seconds in live + queued if seconds is not None]
    if not live or len(known) < len(live) + len(queued):
        return None
    return max(*known[: len(live)], sum(known) / len(live))


def _left(view: RunView, now: float, expected: Callable[[RunView], float | None]) -> float | None:
    if view.status is not None and view.status.eta_s is not None:
        return view.status.eta_s
    length = expected(view)
    begun = view.launch.started if view.launch else now
    return None if length is None else max(0.0, length - (now - begun))


def expected_length(views: Iterable[RunView], now: float) -> Callable[[RunView], float | None]:
    """How long a queued run is taken to last: as ended and live ones of its kind on average, or as all do."""
    lengths: dict[tuple[object, ...], list[float]] = {}
    for view in views:
        length = _length(view, now)
        if length is not None:
            lengths.setdefault(_kind(view), []).append(length)
    means = {kind: fmean(found) for kind, found in lengths.items()}
    overall = fmean(length for found in lengths.values() for length in found) if lengths else None
    return lambda view: means.get(_kind(view), overall)


def _length(view: RunView, now: float) -> float | None:
    if view.state is RunState.DONE and view.exit is not None:
        return view.exit.ended - view.exit.started
    if view.state is RunState.RUNNING and view.launch and view.status and view.status.eta_s is not None:
        return now - view.launch.started + view.status.eta_s
    return None


def _kind(view: RunView) -> tuple[object, ...]:
    config = view.config
    return (config.dataset, config.model, config.method_name, config.epochs) if config else ()
