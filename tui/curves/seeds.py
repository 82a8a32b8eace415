"""The seeds of one experiment as a mean with a band. Imports numpy, as shape.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tui.curves.shape import Line, x_range

if TYPE_CHECKING:
    from tui.curves.columns import Column


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Mean and spread of several lines, at k places."""

    x: "Column"
    """(k,), ascending."""
    mean: "Column"
    """(k,), of the seeds that have a value here."""
    std: "Column"
    """(k,), over the seeds, with n − 1; NaN where only one has a value."""
    n: NDArray[np.intp]
    """(k,), how many seeds have a value here."""
    width: float = 0.0
    """Of the stretches of x whose means were taken; 0 where the seeds' own x were compared."""

    def edges(self) -> tuple[Line, Line, Line]:
        """Mean − std, mean, and mean + std as lines."""
        return Line(self.x, self.mean - self.std), Line(self.x, self.mean), Line(self.x, self.mean + self.std)


@np.errstate(over="ignore", invalid="ignore")
def band(lines: Sequence[Line], places: int = 200) -> Band:
    """Mean and sample standard deviation over seeds, where they have values; nothing is interpolated.

    Records of epochs stand at the same x in all seeds. Those of training do not: they are written as time goes by. So
    where two seeds ran, but most x are one's alone, or where there are more x than can be drawn, the means of `places`
    equal stretches are compared; `width` says so.
    """
    spanned = x_range(lines)
    few = sum(len(line.x) for line in lines) <= 8 * places * len(lines)
    if spanned is None or spanned[0] == spanned[1] or (few and _aligned(lines)):
        return _exact(lines)
    edges = np.linspace(*spanned, places + 1)
    return _over_seeds(
        (edges[1:] + edges[:-1]) / 2, [_means(line, edges) for line in lines], float(edges[1] - edges[0])
    )


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
    """The line's y at each of `x`, NaN where it has none; of several at one x the last."""
    y = np.full(len(x), np.nan)
    y[np.searchsorted(x, line.x)] = line.y
    return y


def _means(line: Line, edges: "Column") -> "Column":
    """The mean of the finite y in each stretch, NaN where there is none; a point on an edge belongs to the right."""
    finite = np.isfinite(line.y)
    x, y = line.x[finite], line.y[finite]
    bounds = np.searchsorted(x, edges)
    bounds[-1] = len(x)
    counts = np.diff(bounds)
    found = np.full(len(counts), np.nan)
    if len(x):
        found[counts > 0] = np.add.reduceat(y, bounds[:-1][counts > 0]) / counts[counts > 0]
    return found


def _over_seeds(x: "Column", seeds: Sequence["Column"], width: float = 0.0) -> Band:
    values = np.array(seeds).reshape(len(seeds), len(x))
    finite = np.isfinite(values)
    n = finite.sum(axis=0)
    kept = n > 0
    x, n, values = x[kept], n[kept], np.where(finite, values, 0.0)[:, kept]
    mean = values.sum(axis=0) / n
    square = (np.where(finite[:, kept], values - mean, 0.0) ** 2).sum(axis=0)
    std = np.sqrt(np.divide(square, n - 1, out=np.full(len(n), np.nan), where=n > 1))
    return Band(x, mean, std, n, width)
