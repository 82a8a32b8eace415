"""The list of runs as the user wants it seen: filtered, sorted, with seeds folded, some marked. Pure; no screen."""

from collections.abc import Collection, Sequence

import msgspec

from goe.core.errors import ConfigError
from goe.core.overview import RunView
from goe.core.runfields import experiment, field, is_text, sort_views
from goe.core.runfolds import Fold, fold, mean
from goe.core.runquery import EVERYTHING, Query


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How the list is seen; remembered between visits."""

    sort: str = ""
    """A column; empty for the order of the queue file."""
    descending: bool = False
    filter: str = ""
    folded: bool = False
    unfolded: tuple[str, ...] = ()
    """Folds that are open."""
    columns: tuple[str, ...] = ()
    """Empty for the usual ones."""


class Line(msgspec.Struct, frozen=True):
    """One line of the list: a run, or the seeds of an experiment."""

    key: str
    views: tuple[RunView, ...]
    fold: Fold | None = None
    is_open: bool = False
    """Whether the seeds follow."""
    parent: str | None = None
    """The key of the open fold that it is a seed of; empty for a single seed among folds, None where nothing folds."""

    @property
    def view(self) -> RunView | None:
        """The run, where it is one."""
        return None if self.fold else self.views[0]

    @property
    def experiment(self) -> str:
        """What gives the line its colour."""
        return experiment(self.views[0])


def shown_runs(views: Sequence[RunView], look: Look, query: Query, metrics: Collection[str]) -> list[RunView]:
    """The runs that pass the filter, in order. A column that nobody knows any more orders nothing."""
    found = list(views) if query is EVERYTHING else [view for view in views if query(view)]
    if not look.sort:
        return found[::-1] if look.descending else found
    try:
        return sort_views(found, look.sort, metrics, descending=look.descending)
    except ConfigError:
        return found


def lines(shown: Sequence[RunView], look: Look, metrics: Collection[str] = ()) -> list[Line]:
    """A line for each run, or for each experiment where seeds are folded; those in the order of the means they show."""
    if not look.folded:
        return [Line(view.run_id, (view,)) for view in shown]
    found: list[Line] = []
    for each in _by_mean(fold(shown), look, metrics):
        if len(each.views) == 1:
            found.append(Line(each.views[0].run_id, each.views, parent=""))
            continue
        is_open = each.key in look.unfolded
        found.append(Line(each.key, each.views, each, is_open))
        found += [Line(view.run_id, (view,), parent=each.key) for view in each.views if is_open]
    return found


def _by_mean(folds: list[Fold], look: Look, metrics: Collection[str]) -> list[Fold]:
    """Where the order is not one of numbers: as their first seeds stand."""
    if not look.sort or is_text(look.sort):
        return folds
    try:
        read = field(look.sort, metrics)
    except ConfigError:
        return folds
    means = {each.key: mean(each.views, read) for each in folds}
    known = {key: found.value for key, found in means.items() if found is not None}
    measured = [each for each in folds if each.key in known]
    return [
        *sorted(measured, key=lambda each: known[each.key], reverse=look.descending),
        *(each for each in folds if each.key not in known),
    ]
