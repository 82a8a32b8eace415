"""The seeds of one experiment as a mean with a band. Imports numpy, as shape.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tui.curves.shape import Line, x_range

if TYPE_CHECKING:
    from tui.curves.columns import Column

_FEW = 1_600
"""Records of a seed that are still compared one by one."""
_RECORDS_A_PLACE = 3


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Mean and spread of several lines, at k places."""

    x: "Column"
    """(k,), ascending."""
    mean: "Column"
    """(k,), of the seeds that have a value here; infinite where they say that there is none."""
    std: "Column"
    """(k,), over the seeds, with n − 1; NaN where only one has a value."""
    n: NDArray[np.intp]
    """(k,), how many seeds have a value here."""
    parts: NDArray[np.intp]
    """Places where it is of other seeds than at the place before."""
    width: float = 0.0
    """Of the stretches of x whose means were taken; 0 where the seeds' own x were compared."""

    def edges(self) -> tuple[Line, Line, Line]:
        """Mean − std, mean, and mean + std as lines, parted where seeds come or go: a mean of others is no step of
        their training.
        """
        x = np.insert(self.x, self.parts, self.x[self.parts])
        low, mean, high = (
            Line(x, np.insert(y, self.parts, np.nan)) for y in (self.mean - self.std, self.mean, self.mean + self.std)
        )
        return low, mean, high


@np.errstate(over="ignore", invalid="ignore")
def band(lines: Sequence[Line], most: int = 200) -> Band:
    """Mean and sample standard deviation over the seeds that ran at each x.

    A seed without a record there has the value between those before and after it; before its first and after its
    last, and where its records say that there is none, it has no part in the mean.

    Records of epochs stand at the same x in all seeds. Those of training do not: they are written as time goes by. So
    where two seeds ran, but most x are one's alone, or where there are more x than can be drawn, the means of equal
    stretches are compared, `most` at most; `width` says so.
    """
    lines = [_recorded(line) for line in lines]
    spanned = x_range(lines)
    few = sum(len(line.x) for line in lines) <= _FEW * len(lines)
    if spanned is None or spanned[0] == spanned[1] or (few and _aligned(lines)):
        return _exact(lines)
    edges = np.linspace(*spanned, _places(lines, spanned[1] - spanned[0], most) + 1)
    held = np.any([_counts(line.x, edges) > 0 for line in lines], axis=0)
    centres = (edges[1:] + edges[:-1])[held] / 2
    return _over_seeds(centres, [_means(line, edges)[held] for line in lines], float(edges[1] - edges[0]))


def _places(lines: Sequence[Line], length: float, most: int) -> int:
    """How many stretches: so few that each has records of every seed that ran there."""
    apart = max(float(line.x[-1] - line.x[0]) / len(line.x) for line in lines if len(line.x))
    return min(most, max(1, int(length / (_RECORDS_A_PLACE * apart)))) if apart else most


def _recorded(line: Line) -> Line:
    """The line without records that lack the metric; of several at one x the last."""
    kept = ~np.isnan(line.y)
    x, y = line.x[kept], line.y[kept]
    last = np.append(x[1:] != x[:-1], True)[: len(x)]
    return Line(x[last], y[last])


def _aligned(lines: Sequence[Line]) -> bool:
    """Whether at least half the x that lie where two lines or more run are those of two or more."""
    ends = [(line.x[0], line.x[-1]) for line in lines if len(line.x)]
    if len(ends) < 2:
        return True
    low, high = sorted(low for low, _ in ends)[1], sorted(high for _, high in ends)[-2]
    x, counts = np.unique(np.concatenate([np.unique(line.x) for line in lines]), return_counts=True)
    counts = counts[(x >= low) & (x <= high)]
    return 2 * int(np.count_nonzero(counts > 1)) >= len(counts)


def _exact(lines: Sequence[Line]) -> Band:
    x = np.unique(np.concatenate([np.empty(0), *(line.x for line in lines)]))
    return _over_seeds(x, [_placed(line, x) for line in lines])


def _placed(line: Line, x: "Column") -> "Column":
    """The line's y at each of `x`, between two of its points on the way from one to the other; beyond its ends NaN."""
    if not len(line.x):
        return np.full(len(x), np.nan)
    y = np.interp(x, line.x, np.where(np.isinf(line.y), np.nan, line.y), np.nan, np.nan)
    y[np.searchsorted(x, line.x[np.isinf(line.y)])] = np.inf
    return y


def _means(line: Line, edges: "Column") -> "Column":
    """The mean of the finite y in each stretch, between two of them where there is no point; a point on an edge
    belongs to the right.
    """
    finite = np.isfinite(line.y)
    counts, known = _counts(line.x[finite], edges), _counts(line.x, edges) > 0
    found = np.full(len(counts), np.inf)
    if finite.any():
        starts = (np.cumsum(counts) - counts)[counts > 0]
        found[counts > 0] = np.add.reduceat(line.y[finite], starts) / counts[counts > 0]
    centres = (edges[1:] + edges[:-1]) / 2
    return _placed(Line(centres[known], found[known]), centres)


def _counts(x: "Column", edges: "Column") -> NDArray[np.intp]:
    """How many x are in each stretch; all of them are in some."""
    bounds = np.searchsorted(x, edges)
    bounds[-1] = len(x)
    return np.diff(bounds)


def _over_seeds(x: "Column", seeds: Sequence["Column"], width: float = 0.0) -> Band:
    values = np.array(seeds).reshape(len(seeds), len(x))
    finite = np.isfinite(values)
    n = finite.sum(axis=0)
    kept = (n > 0) | np.isinf(values).any(axis=0)
    x, n, finite, values = x[kept], n[kept], finite[:, kept], np.where(finite, values, 0.0)[:, kept]
    mean = np.divide(values.sum(axis=0), n, out=np.full(len(n), np.inf), where=n > 0)
    square = (np.where(finite, values - mean, 0.0) ** 2).sum(axis=0)
    std = np.sqrt(np.divide(square, n - 1, out=np.full(len(n), np.nan), where=n > 1))
    parts = 1 + np.flatnonzero((finite[:, 1:] != finite[:, :-1]).any(axis=0))
    return Band(x, mean, std, n, parts, width)
