"""Runs that differ by nothing but their seed, as one: how many there are, and the mean of what they reached."""

from collections.abc import Sequence
from statistics import fmean, stdev

from msgspec import Struct

from goe.core.overview import RunView
from goe.core.runfields import Read, Value, experiment


class Fold(Struct, frozen=True):
    """The seeds of one experiment's configuration."""

    key: str
    views: tuple[RunView, ...]

    @property
    def name(self) -> str:
        """The experiment."""
        return experiment(self.views[0])


class Mean(Struct, frozen=True):
    """A mean over seeds."""

    value: float
    std: float | None
    """Sample standard deviation; None of a single value."""
    count: int
    of: int


def fold(views: Sequence[RunView]) -> list[Fold]:
    """By experiment and configuration, in order of first appearance; a run without a configuration stands alone."""
    groups: dict[str, list[RunView]] = {}
    for view in views:
        head, _, digest = view.run_id.rpartition("-")  # the id was checked when the configuration was read
        key = f"{experiment(view)}\n{digest}" if view.config and head else view.run_id
        groups.setdefault(key, []).append(view)
    return [Fold(key, tuple(found)) for key, found in groups.items()]


def mean(views: Sequence[RunView], read: Read) -> Mean | None:
    """Over those that can be compared: as many epochs done as the farthest of those that have a value."""
    known = [(view.status.epoch if view.status else 0, value) for view in views if is_number(value := read(view))]
    if not known:
        return None
    farthest = max(epoch for epoch, _ in known)
    values = [value for epoch, value in known if epoch == farthest and isinstance(value, int | float)]
    return Mean(fmean(values), stdev(values) if len(values) > 1 else None, len(values), len(views))


def is_number(value: Value) -> bool:
    """Whether it can be averaged."""
    return isinstance(value, int | float) and abs(value) < float("inf")


def common(views: Sequence[RunView], read: Read) -> Value:
    """What all of them have alike; None if they differ."""
    values = {read(view) for view in views}
    return values.pop() if len(values) == 1 else None
