"""Exponential smoothing of a line, with the weights that TensorBoard's users know. Imports numpy, as shape.py."""

from math import log

import numpy as np

from tui.curves.shape import Line

_GROWTH = 1e8
"""Largest factor between the ends of a block: far below where doubles overflow, and the sums lose no digits."""
_LARGEST = 1e290
"""What is larger is a gap, as infinity is: it would overflow the sums, and all that follows with them."""


def smooth(line: Line, weight: float) -> Line:
    """Each y as the mean of it and all before, `weight` in [0, 1) times as heavy a point further back; gaps stay,
    infinite ones too.

    The recurrence s ← weight s + (1 − weight) y from s = 0, divided by 1 − weight^n: the debiased form of
    TensorBoard's scalar charts (`classicSmoothing`), so that a curve begins at its first value instead of near 0.
    """
    finite = np.abs(line.y) < _LARGEST
    y = line.y[finite]
    if not 0 < weight < 1 or not len(y):
        return line
    found = np.full(len(line.y), np.nan)
    debias = -np.expm1(np.arange(1, len(y) + 1) * log(weight))
    found[finite] = _recurrence(y, weight) / debias
    found[np.isinf(line.y)] = np.inf
    return Line(line.x, found)


def _recurrence(y: np.typing.NDArray[np.float64], weight: float) -> np.typing.NDArray[np.float64]:
    """The recurrence block by block: within one a running sum of y weight^-i, times weight^i."""
    size = max(1, min(4096, int(log(_GROWTH) / -log(weight))))
    blocks = -(-len(y) // size)
    padded = np.zeros(blocks * size)
    padded[: len(y)] = y
    power = weight ** np.arange(1, size + 1)
    own = np.cumsum(padded.reshape(blocks, size) * ((1 - weight) / power), axis=1) * power
    carried = np.empty(blocks)
    carried[0] = 0.0
    decay, last = float(power[-1]), own[:, -1].tolist()
    for number, end in enumerate(last[:-1], 1):
        carried[number] = carried[number - 1] * decay + end
    found: np.typing.NDArray[np.float64] = (own + carried[:, None] * power).reshape(-1)[: len(y)]
    return found
