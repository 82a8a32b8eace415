"""One printed value of a table: its text, its rank among its neighbours, and what stands beside it."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from goe.core.metricstyles import MetricStyle
from goe.core.report import NOTHING
from goe.core.results import Difference, Row

DAGGER = "†"
NO_VALUE: dict[str, Any] = {"mean": None, "std": None, "n": 0, "by_seed": ()}
"""What a row holds that was not measured."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside a mean, if there is anything."""

    difference: Callable[[Row], Difference | None] = lambda _: None
    """Against another experiment."""
    figure: Callable[[Row], float | None] = lambda _: None
    """A published figure, as a fraction."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One printed value, or a label."""

    text: str
    rank: int | None = None
    """1 is best; equal ones share a rank and the next is as much further. None where there is nothing to compare."""
    row: Row | None = None
    """What is printed; None for a label."""
    figure: float | None = None
    """The published figure, as a fraction."""
    difference: Difference | None = None

    @property
    def best(self) -> bool:
        """Whether to print it bold."""
        return self.rank == 1

    @property
    def second(self) -> bool:
        """Whether to underline it."""
        return self.rank == 2


def text_of(row: Row, style: MetricStyle, rank: int | None, beside: Beside) -> Cell:
    """The cell of `row`: `94.12 ± 0.31 (4/5)†`, and after it `[95.63 −1.51]`, a published figure and by how much the
    mean is above it.
    """
    difference, figure = beside.difference(row), beside.figure(row)
    text = NOTHING
    if row.mean is not None:
        text = f"{printed(row.mean, style):.2f}"
        text += f" ± {row.std * style.scale:.2f}" if row.std is not None else ""
        text += f" ({row.n}/{row.expected})" if row.n < row.expected else ""
        text += DAGGER if difference is not None and difference.significant else ""
    if figure is not None:
        more = "" if row.mean is None else f" {signed(row.mean - figure, style)}"
        text += f" [{figure * style.scale:.2f}{more}]"
    return Cell(text, rank, row, figure, difference)


def printed(value: float, style: MetricStyle) -> float:
    """A fraction as it is printed, without a minus before 0.00."""
    return round(value * style.scale, 2) + 0.0


def signed(value: float, style: MetricStyle) -> str:
    """A difference of fractions as it is printed, with its sign: `+0.25`, `−1.51`."""
    return f"{printed(value, style):+.2f}".replace("-", "−")


def ranks(values: Sequence[float | None], groups: Sequence[Hashable], style: MetricStyle) -> list[int | None]:
    """Competition ranks of fractions as printed, within each group: all that look equal are equal.

    None without a value, where neither is better, and in a group with fewer than two values.
    """
    shown = [None if value is None else printed(value, style) for value in values]
    known: dict[Hashable, list[float]] = {}
    for own, group in zip(shown, groups, strict=True):
        if own is not None:
            insort(known.setdefault(group, []), own)
    return [_rank(own, known.get(group, ()), style) for own, group in zip(shown, groups, strict=True)]


def _rank(own: float | None, known: Sequence[float], style: MetricStyle) -> int | None:
    """Of one among the rising values that there are."""
    if own is None or len(known) < 2 or style.higher_is_better is None:
        return None
    return 1 + (len(known) - bisect_right(known, own) if style.higher_is_better else bisect_left(known, own))
