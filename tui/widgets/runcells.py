"""Runs as words and columns: pure functions from what was read to text, shared by the list, a run's page and `--once`.

A state is always a glyph and a word; its colour only repeats them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from goe.core.overview import RunView
from goe.core.report import NOTHING, duration, number, percent, state_label
from goe.core.state import RunState

# Okabe and Ito's colours; on light backgrounds darker, for a contrast of 4.5 : 1.
_DARK = {
    RunState.QUEUED: "dim",
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
_NAME_MIN, _NAME_LEAST, _NAME_MAX, _GAP = 8, 20, 40, 2


def state_colour(state: RunState, *, dark: bool) -> str:
    """A rich style for the label; empty for the text's own colour."""
    return (_DARK if dark else _LIGHT).get(state, "")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the list of runs."""

    title: str
    width: int
    cell: Callable[[RunView], str]
    right: bool = True


def epoch(view: RunView) -> str:
    """`i/N`; nothing for weights trained elsewhere."""
    status, config = view.status, view.config
    if status is None and view.state is RunState.DONE:
        return NOTHING
    total = (status.epochs if status else 0) or (config.epochs if config else 0)
    return f"{status.epoch if status else 0}/{total}" if total else NOTHING


def eta(view: RunView) -> str:
    """Time left; the phase where that says more; nothing for a run that doesn't go on."""
    if not view.state.is_live or view.state is RunState.PAUSED or view.status is None:
        return NOTHING
    return "eval" if view.status.phase == "evaluating" else duration(view.status.eta_s)


def speed(view: RunView) -> str:
    """Images per second of a live run."""
    value = view.value("images_per_s") if view.state.is_live and view.state is not RunState.PAUSED else None
    return NOTHING if value is None else f"{value:.0f}"


def spent(view: RunView) -> str:
    """How long the newest attempt has run, or ran until its last sign of life."""
    if view.launch is None:
        return NOTHING
    if view.exit is not None:
        return duration(view.exit.ended - view.exit.started)
    return duration(view.status.updated - view.launch.started) if view.status else NOTHING


def name(view: RunView) -> str:
    """The experiment; the folder's name where nothing better is known."""
    return view.config.experiment if view.config else view.run_id


def _seed(view: RunView) -> str:
    return str(view.config.seed) if view.config else NOTHING


def _method(view: RunView) -> str:
    return view.config.method_name if view.config else NOTHING


STATE = Column("state", 10, lambda view: state_label(view.state), right=False)
NAME = Column("experiment", _NAME_MIN, name, right=False)
SEED = Column("seed", 4, _seed)
METHOD = Column("method", 8, _method, right=False)
EPOCH = Column("epoch", 7, epoch)
LOSS = Column("loss", 7, lambda view: number(view.value("loss")))
FILTER = Column("filter %", 8, lambda view: percent(view.value("filter/rate")))
ACCURACY = Column("val acc %", 9, lambda view: percent(view.value("val/accuracy")))
SPEED = Column("img/s", 6, speed)
ETA = Column("ETA", 8, eta)
SPENT = Column("time", 8, spent)
DATASET = Column("data", 8, lambda view: view.config.dataset if view.config else NOTHING, right=False)
MODEL = Column("model", 10, lambda view: view.config.model if view.config else NOTHING, right=False)

_SHOWN = (STATE, NAME, SEED, METHOD, EPOCH, LOSS, FILTER, ACCURACY, SPEED, ETA, SPENT, DATASET, MODEL)
_BY_WEIGHT = (SEED, EPOCH, LOSS, ETA, FILTER, ACCURACY, METHOD, SPEED, SPENT, DATASET, MODEL)
"""Beside state and name, the most needed first: what doesn't fit is left out from the end."""


def fit_columns(views: Iterable[RunView], width: int) -> list[Column]:
    """The columns for a list `width` cells wide, two cells between columns; names get what room is left."""
    longest = max((len(name(view)) for view in views), default=0)
    wanted = min(max(longest, len(NAME.title)), _NAME_MAX)
    room = width - STATE.width - SEED.width - EPOCH.width - 4 * _GAP
    least = max(_NAME_MIN, min(wanted, _NAME_LEAST, room))
    free = width - STATE.width - least - 2 * _GAP
    chosen = [STATE]
    for column in _BY_WEIGHT:
        if column.width + _GAP > free:
            break
        free -= column.width + _GAP
        chosen.append(column)
    chosen.append(replace(NAME, width=least + max(0, min(free, wanted - least))))
    titles = [column.title for column in _SHOWN]
    return sorted(chosen, key=lambda column: titles.index(column.title))


def cut(text: str, width: int) -> str:
    """`text` in at most `width` characters, the last one "…" if something is missing."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def counts(views: Sequence[RunView]) -> str:
    """`2 running · 5 done`, the liveliest first."""
    order = [
        RunState.RUNNING,
        RunState.STARTING,
        RunState.PAUSED,
        RunState.STOPPING,
        RunState.FAILED,
        RunState.BROKEN,
        RunState.LOST,
        RunState.STOPPED,
        RunState.QUEUED,
        RunState.DONE,
    ]
    tally = [(state, sum(view.state is state for view in views)) for state in order]
    return " · ".join(f"{count} {state}" for state, count in tally if count) or "no runs"


def summarise(views: Sequence[RunView], now: float, *, queue_alive: bool) -> str:
    """The counts, whether a queue works here, and how long it will take."""
    if not queue_alive:
        return f"{counts(views)} · no queue running"
    left = queue_eta(views, now)
    return f"{counts(views)} · queue running" + ("" if left is None else f", about {duration(left)} left")


def queue_eta(views: Sequence[RunView], now: float) -> float | None:
    """Seconds until every live and queued run is done, as many at once as are live now; None where nobody can tell.

    A queued run is taken to last as long as ended and live runs of its kind do on average, or as all do.
    """
    live = [view for view in views if view.state.is_live]
    left = [view.status.eta_s if view.status else None for view in live]
    known = [seconds for seconds in left if seconds is not None]
    if not live or len(known) < len(left):
        return None
    expected = expected_length(views, now)
    lengths = [expected(view) for view in views if view.state is RunState.QUEUED]
    if None in lengths:
        return None
    rest = sum(length for length in lengths if length is not None)
    return max(*known, (sum(known) + rest) / len(live))


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
