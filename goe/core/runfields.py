"""What is known of a run by name, as numbers and words: what lists are filtered by, sorted by and made of.

A name is one of `FIELDS` (or a short form of it), a key of the configuration as the queue file spells it with dots
(`lr`, `method.filter.k`), or a metric of the run's status (`val/loss`).
"""

import functools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias, get_args

import msgspec

from goe.core.config import METHODS, RunConfig
from goe.core.errors import ConfigError, did_you_mean
from goe.core.overview import RunView
from goe.core.state import RunState

Value: TypeAlias = float | str | None
"""None is what is not known or not so."""
Read: TypeAlias = Callable[[RunView], Value]

URGENCY = (
    RunState.RUNNING,
    RunState.STARTING,
    RunState.PAUSED,
    RunState.STOPPING,
    RunState.PENDING,
    RunState.FAILED,
    RunState.BROKEN,
    RunState.LOST,
    RunState.STOPPED,
    RunState.QUEUED,
    RunState.DONE,
)
"""The liveliest first."""


def experiment(view: RunView) -> str:
    """The experiment; the folder's name where nothing better is known."""
    return view.config.experiment if view.config else view.run_id


def epochs(view: RunView) -> int | None:
    """How many there are to be; None for weights trained elsewhere."""
    if view.status is None and view.state is RunState.DONE:
        return None
    return (view.status.epochs if view.status else 0) or (view.config.epochs if view.config else 0) or None


def epoch(view: RunView) -> float | None:
    """Epochs done."""
    return None if epochs(view) is None else view.status.epoch if view.status else 0


def speed(view: RunView) -> float | None:
    """Images per second of a live run."""
    return view.value("images_per_s") if view.state.moves else None


def eta(view: RunView) -> float | None:
    """Seconds left of a run that goes on; none are known while it is evaluated."""
    if not view.state.moves or view.status is None:
        return None
    return None if view.status.phase == "evaluating" else view.status.eta_s


def spent(view: RunView) -> float | None:
    """Seconds that the newest attempt has run, or ran until its last sign of life."""
    if view.launch is None:
        return None
    if view.exit is not None:
        return view.exit.ended - view.exit.started
    return view.status.updated - view.launch.started if view.status else None


def host(view: RunView) -> str | None:
    """Where a live run runs, or where the newest attempt of another did."""
    if view.state is RunState.PENDING:
        return None
    return view.launch.supervisor.host if view.launch else None


FIELDS: Mapping[str, Read] = MappingProxyType(
    {
        "state": lambda view: str(view.state),
        "experiment": experiment,
        "id": lambda view: view.run_id,
        "seed": lambda view: view.config.seed if view.config else None,
        "method": lambda view: view.config.method_name if view.config else None,
        "epoch": epoch,
        "loss": lambda view: view.value("loss"),
        "filter": lambda view: view.value("filter/rate"),
        "acc": lambda view: view.value("val/accuracy"),
        "speed": speed,
        "eta": eta,
        "time": spent,
        "data": lambda view: view.config.dataset if view.config else None,
        "model": lambda view: view.config.model if view.config else None,
        "attempt": lambda view: view.attempt or None,
        "host": host,
        "job": lambda view: view.job.job if view.job and not view.job.over else None,
        "reason": lambda view: view.job.reason or None if view.job and view.state is RunState.PENDING else None,
        "held": lambda view: "true" if view.held else "false",
        "problem": lambda view: view.problem,
    }
)
TEXTS = frozenset({"state", "experiment", "id", "method", "data", "model", "held", "problem", "host", "job", "reason"})
"""The fields that are words."""
SHORT = MappingProxyType(
    {"run": "id", "name": "experiment", "dataset": "data", "accuracy": "acc", "img/s": "speed", "rate": "filter"}
)
"""Other spellings."""


def config_keys() -> tuple[str, ...]:
    """Every dotted key that a configuration can have, in its own order."""
    return tuple(_config_keys())


@functools.cache
def _config_keys() -> dict[str, None]:
    return dict.fromkeys(_keys_of(RunConfig, ""))


def _keys_of(kind: Any, prefix: str) -> Iterable[str]:
    for field in msgspec.structs.fields(kind):
        name = prefix + field.encode_name
        kinds = list(METHODS.values()) if field.name == "method" else [field.type, *get_args(field.type)]
        inner = [one for one in kinds if isinstance(one, type) and issubclass(one, msgspec.Struct)]
        for one in inner:
            yield from _keys_of(one, f"{name}.")
        if not inner:
            yield name


def metric_names(views: Iterable[RunView]) -> list[str]:
    """Every metric in the status of any of these runs, in alphabetical order."""
    return sorted({name for view in views if view.status for name in view.status.values})


def field(name: str, metrics: Collection[str]) -> Read:
    """What stands for `name` in a run. Raises ConfigError for a name that is neither field, key nor known metric."""
    spelled = SHORT.get(name, name)
    if spelled in FIELDS:
        return FIELDS[spelled]
    key = _whole_key(name)
    if key is not None:
        return functools.partial(_configured, tuple(part.replace("-", "_") for part in key.split(".")))
    if name in metrics or (not metrics and "/" in name):  # nothing has begun yet: any metric may come
        return lambda view: view.value(name)
    raise ConfigError([f'unknown column "{name}"{_instead(name, [*FIELDS, *SHORT, *metrics, *_config_keys()])}'])


def _whole_key(name: str) -> str | None:
    """The key itself, or the only one that begins and ends so: `method.k` is `method.filter.k`."""
    if name in _config_keys():
        return name
    head, _, tail = name.partition(".")
    found = [key for key in _config_keys() if tail and key.startswith(f"{head}.") and key.endswith(f".{tail}")]
    return found[0] if len(found) == 1 else None


def _instead(name: str, known: Sequence[str]) -> str:
    """The nearest name, a key by its last part, which is what is remembered of it; and what there is."""
    longer = [key for key in known if key.endswith(f".{name}")]
    nearest = f' (did you mean "{longer[0]}"?)' if longer else did_you_mean(name, known)
    return f"{nearest}; known: {', '.join(FIELDS)}, any metric such as val/loss, any key such as lr"


def is_text(name: str) -> bool:
    """Whether the field holds words, so that it has no more or less."""
    return SHORT.get(name, name) in TEXTS


def _configured(path: tuple[str, ...], view: RunView) -> Value:
    found: Any = view.config
    for part in path:
        found = getattr(found, part, None)
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, tuple):
        return ",".join(map(str, found))
    return found if found is None or isinstance(found, int | float) else str(found)


def sort_views(views: Sequence[RunView], name: str, metrics: Collection[str], *, descending: bool) -> list[RunView]:
    """In the order of one field; what it is not known of comes last either way, and equal ones stay as they were.

    States are in the order of their urgency, words in alphabetical order with upper and lower case alike.
    """
    read = field(name, metrics)
    places = {str(state): place for place, state in enumerate(URGENCY)}

    def key(view: RunView) -> tuple[bool, float | str]:
        value = read(view)
        if name == "state":
            return False, places[str(value)]
        return (True, value.casefold()) if isinstance(value, str) else (False, value or 0.0)

    known = [view for view in views if not _missing(read(view))]
    missing = [view for view in views if _missing(read(view))]
    return sorted(known, key=key, reverse=descending) + missing


def _missing(value: Value) -> bool:
    """NaN has no place in an order either."""
    return value is None or (isinstance(value, float) and math.isnan(value))
