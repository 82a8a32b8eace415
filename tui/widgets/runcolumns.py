"""The columns of the list of runs: fixed ones, and one for any metric or key of the configuration.

A cell is text for one run, or for the seeds of an experiment together.
"""

from collections.abc import Callable, Collection, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from goe.core.overview import RunView
from goe.core.report import GLYPHS, NOTHING, duration, number, percent, state_label
from goe.core.runfields import FIELDS, SHORT, Read, Value, experiment, field, is_text
from goe.core.runfolds import Mean, common, mean
from goe.core.state import RunState
from tui.widgets.runcells import epoch, eta, liveliest, speed

_NAME_MIN, _NAME_LEAST, _NAME_FOLDED, _NAME_MAX, GAP = 8, 20, 16, 40, 2
_FOLDED_MORE = 8
"""Cells that ` ±0.12` and the number of seeds take."""


class Column(Struct, frozen=True):
    """One column of the list of runs."""

    name: str
    """As it is sorted and filtered by."""
    title: str
    width: int
    cell: Callable[[RunView], str]
    right: bool = True
    fold: Callable[[Sequence[RunView]], str] = lambda _: ""
    folded_more: int = 0
    """How much wider it is where seeds are folded."""


def _measured(name: str, title: str, width: int, show: Callable[[float | None], str], read: Read) -> Column:
    """A number that is averaged over seeds."""

    def cell(view: RunView) -> str:
        value = read(view)
        return show(value) if isinstance(value, int | float) else NOTHING

    return Column(name, title, width, cell, fold=lambda views: _mean(mean(views, read), show), folded_more=_FOLDED_MORE)


def _mean(found: Mean | None, show: Callable[[float | None], str]) -> str:
    """`0.512 ±0.01`, and `(2)` where not every seed is in it."""
    if found is None:
        return NOTHING
    std = "" if found.std is None else f"±{show(found.std)}"
    return f"{show(found.value)}{std}" + (f" ({found.count})" if found.count < found.of else "")


def _worded(name: str, title: str, width: int, read: Read) -> Column:
    """Words, or what is no measurement: seeds show what they have in common."""

    def folded(views: Sequence[RunView]) -> str:
        return plain(common(views, read))

    return Column(name, title, width, lambda view: plain(read(view)), right=False, fold=folded)


def plain(value: Value) -> str:
    """A value of any kind."""
    if value is None:
        return NOTHING
    return value if isinstance(value, str) else f"{value:.4g}"


def _fold_state(views: Sequence[RunView]) -> str:
    done = sum(view.state is RunState.DONE for view in views)
    return f"{GLYPHS[liveliest(views)]} {done}/{len(views)} done"


def _fold_epoch(views: Sequence[RunView]) -> str:
    texts = {epoch(view) for view in views}
    if len(texts) == 1:
        return texts.pop()
    known = [view.status.epoch if view.status else 0 for view in views]
    return f"{min(known)}…{max(known)}"


def _fold_eta(views: Sequence[RunView]) -> str:
    known = [value for view in views if isinstance(value := FIELDS["eta"](view), int | float)]
    return duration(max(known)) if known else NOTHING


def _whole(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0f}"


def _node(view: RunView) -> str:
    """As squeue has it: the host, or in parentheses why a job waits."""
    if view.state is RunState.PENDING and view.job is not None:
        return f"({view.job.reason})" if view.job.reason else NOTHING
    return plain(FIELDS["host"](view))


STATE = Column("state", "state", 10, lambda view: state_label(view.state), right=False, fold=_fold_state, folded_more=3)
NAME = Column("experiment", "experiment", _NAME_MIN, experiment, right=False, fold=lambda views: experiment(views[0]))
SEED = Column("seed", "seed", 4, lambda view: plain(FIELDS["seed"](view)), fold=lambda views: f"×{len(views)}")
METHOD = _worded("method", "method", 8, FIELDS["method"])
EPOCH = Column("epoch", "epoch", 7, epoch, fold=_fold_epoch)
LOSS = _measured("loss", "loss", 7, number, FIELDS["loss"])
FILTER = _measured("filter", "filter %", 8, percent, FIELDS["filter"])
ACCURACY = _measured("acc", "val acc %", 9, percent, FIELDS["acc"])
SPEED = replace(_measured("speed", "img/s", 6, _whole, FIELDS["speed"]), cell=speed)
ETA = Column("eta", "ETA", 8, eta, fold=_fold_eta)
SPENT = _measured("time", "time", 8, duration, FIELDS["time"])
DATASET = _worded("data", "data", 8, FIELDS["data"])
MODEL = _worded("model", "model", 10, FIELDS["model"])
NODE = Column("host", "node (reason)", 13, _node, right=False)
"""Among the usual ones as soon as a run has a job of Slurm."""
FIXED = (STATE, NAME, SEED, METHOD, EPOCH, LOSS, FILTER, ACCURACY, SPEED, ETA, SPENT, DATASET, MODEL)
DEFAULT = tuple(column.name for column in FIXED)
ALWAYS = (STATE.name, NAME.name)
"""Without these no row says which run it is and how it fares."""
_BY_NAME = {column.name: column for column in (*FIXED, NODE)}
_BY_WEIGHT = (SEED, EPOCH, LOSS, NODE, ETA, FILTER, ACCURACY, METHOD, SPEED, SPENT, DATASET, MODEL)
"""Beside state and name, the most needed first: what doesn't fit is left out from the end."""
_FOLDED_BY_WEIGHT = (SEED, ACCURACY, LOSS, EPOCH, FILTER, ETA, METHOD, SPENT, SPEED, NODE, DATASET, MODEL)
"""The same where seeds are folded: what they reached comes first."""


def column(name: str, metrics: Collection[str]) -> Column:
    """The column of a field, a metric or a key of the configuration. Raises ConfigError for an unknown name."""
    name = SHORT.get(name, name)
    if name in _BY_NAME:
        return _BY_NAME[name]
    read, width = field(name, metrics), min(max(8, len(name)), 24)
    return _measured(name, name, width, plain, read) if name in metrics else _other(name, width, read)


def _other(name: str, width: int, read: Read) -> Column:
    return replace(_worded(name, name, max(width, 12) if is_text(name) else width, read), right=not is_text(name))


def fit_columns(
    views: Iterable[RunView], width: int, *, chosen: Sequence[Column] = FIXED, folded: bool = False
) -> list[Column]:
    """The columns for a list `width` cells wide, two cells after each; names get what room is left.

    State and name are always there. The default leaves out what is needed least; a choice is cut at its end.
    """
    views = tuple(views)
    usual = _FOLDED_BY_WEIGHT if folded else _BY_WEIGHT
    if tuple(chosen) == FIXED:
        rest, chosen = [one for one in usual if one is not NODE or has_jobs(views)], (*FIXED, NODE)
    else:
        rest = [one for one in chosen if one not in {STATE, NAME}]
    if folded:
        rest = [replace(one, width=one.width + one.folded_more) for one in rest]
    state = replace(STATE, width=STATE.width + folded * STATE.folded_more)
    longest = max((len(experiment(view)) for view in views), default=0)
    wanted = min(max(longest, len(NAME.title)), _NAME_MAX)
    room = width - state.width - SEED.width - EPOCH.width - 4 * GAP
    least = max(_NAME_MIN, min(wanted, _NAME_FOLDED if folded else _NAME_LEAST, room))
    free = width - state.width - least - 2 * GAP
    kept = [state]
    for one in rest:
        if one.width + GAP > free:
            break
        free -= one.width + GAP
        kept.append(one)
    more = max(0, min(free, wanted - least))
    kept = _widened(kept, views, free - more)
    kept.append(replace(NAME, width=least + more))
    return _ordered(kept, [one.name for one in chosen])


def has_jobs(views: Iterable[RunView]) -> bool:
    """Whether Slurm runs any of them, or did."""
    return any(view.job is not None for view in views)


def _widened(columns: Sequence[Column], views: Sequence[RunView], free: int) -> list[Column]:
    """Names of data sets and models whole, as far as there is room that nothing else needs."""
    found = []
    for one in columns:
        longest = max(map(len, {one.cell(view) for view in views}), default=0) if one in {DATASET, MODEL} else 0
        more = max(0, min(free, longest - one.width))
        free -= more
        found.append(replace(one, width=one.width + more))
    return found


def _ordered(columns: list[Column], names: list[str]) -> list[Column]:
    """As chosen; state and name, where they were not, come first."""
    first = [name for name in ALWAYS if name not in names]
    order = first + names
    return sorted(columns, key=lambda one: order.index(one.name))
