"""The points of each figure's curves, from scores as arrays; numpy alone. Higher scores are more ID throughout."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goe.metrics import ECE_BINS

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

HISTOGRAM_BINS = 50
TAIL = 0.005
"""Share of each set at either end that may be left to the outermost bins."""
BUCKETS = 1000
"""Of a thinned curve: more than a drawing's width has pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Densities on common bins."""

    edges: Floats
    """(bins + 1,), rising."""
    densities: dict[str, Floats]
    """(bins,) per set; density times bin width sums to 1."""
    cut: bool
    """Whether the outermost bins also hold what lies beyond them."""


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Answers by confidence, in equal bins (lo, hi] of [0, 1], 0 belonging to the first. NaN where a bin is empty."""

    edges: Floats
    """(bins + 1,), 0 to 1."""
    accuracy: Floats
    confidence: Floats
    """Mean over the bin."""
    share: Floats
    """Of all answers; sums to 1."""


def roc(id_scores: Floats, ood_scores: Floats) -> tuple[Floats, Floats]:
    """Share of OOD (FPR) and of ID (TPR) accepted from each distinct score up, from (0, 0) to (1, 1).

    Samples of equal score are accepted together: a tie is one sloping step, and the area below is the mid-rank AUROC.
    """
    accepted_id, accepted_ood = _accepted(id_scores, ood_scores)
    return accepted_ood / len(ood_scores), accepted_id / len(id_scores)


def risk_coverage(correct: Bools, confidence: Floats) -> tuple[Floats, Floats]:
    """Coverage i / n and error rate among the i most confident answers, i = 1..n.

    Expected value over the order of ties; its mean is the AURC of `goe.metrics`.
    """
    right, wrong = _accepted(confidence[correct], confidence[~correct])
    count = np.arange(1, len(correct) + 1)
    # Among tied answers each is equally likely to be wrong, so expected errors grow linearly through a tie.
    return count / len(correct), np.interp(count, right + wrong, wrong) / count


def best_risk_coverage(correct: Bools) -> tuple[Floats, Floats]:
    """The curve of `risk_coverage` if every right answer were more confident than any wrong one."""
    count = np.arange(1, len(correct) + 1)
    return count / len(correct), np.maximum(0, count - np.count_nonzero(correct)) / count


def histogram(sets: dict[str, Floats], bins: int = HISTOGRAM_BINS) -> Histogram:
    """Densities of every set on common bins over the range of all.

    Where a few far scores would squeeze the rest into less than half of that range, the bins cover what is left
    without TAIL of each set at either end, and the outermost also hold what lies beyond.
    """
    low, high = min(found.min() for found in sets.values()), max(found.max() for found in sets.values())
    inner = [np.quantile(found, (TAIL, 1 - TAIL)) for found in sets.values()]
    core_low, core_high = min(ends[0] for ends in inner), max(ends[1] for ends in inner)
    cut = bool(high - low > 2 * (core_high - core_low) > 0)
    if cut:
        low, high = core_low, core_high
    edges = np.histogram_bin_edges([low, high], bins)  # numpy widens a range of nothing
    width = edges[1] - edges[0]
    counted = {name: np.histogram(np.clip(found, low, high), edges)[0] for name, found in sets.items()}
    densities = {name: counts / (len(sets[name]) * width) for name, counts in counted.items()}
    return Histogram(edges, densities, cut)


def reliability(correct: Bools, confidence: Floats, bins: int = ECE_BINS) -> Reliability:
    """Accuracy and mean confidence in each bin, and the share of answers there (Guo et al., ICML 2017)."""
    edges = np.linspace(0, 1, bins + 1)
    of_bin = np.maximum(np.searchsorted(edges, confidence, side="left") - 1, 0)
    count = np.bincount(of_bin, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 of an empty bin is the NaN that is meant
        accuracy = np.bincount(of_bin, weights=correct, minlength=bins) / count
        mean = np.bincount(of_bin, weights=confidence, minlength=bins) / count
    return Reliability(edges, accuracy, mean, count / len(correct))


def thin(x: Floats, y: Floats, buckets: int = BUCKETS) -> tuple[Floats, Floats]:
    """The curve with at most four points in each of `buckets` equal parts of x: first, lowest, highest, last.

    `x` rises; curves that are short already stay as they are. No spike is lost.
    """
    if len(x) <= 4 * buckets:
        return x, y
    span = (x[-1] - x[0]) or 1.0
    part = np.minimum(((x - x[0]) / span * buckets).astype(np.int64), buckets - 1)
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    ends = np.append(starts[1:], len(x)) - 1
    ranked = np.lexsort((y, part))  # within each part by rising y
    kept = np.unique(np.concatenate([starts, ranked[starts], ranked[ends], ends]))
    return x[kept], y[kept]


def staircase(edges: Floats, heights: Floats) -> tuple[Floats, Floats]:
    """A curve along the tops of bars: both ends of each bar at its height. (bins + 1,), (bins,) to 2 × (2 bins,)."""
    return np.repeat(edges, 2)[1:-1], np.repeat(heights, 2)


def without_floor(y: Floats) -> Floats:
    """The curve with gaps where it runs along zero: there it would hide the others. (n,) to (n,)."""
    beside = np.concatenate([[0], y, [0]])
    return np.where((y == 0) & (beside[:-2] == 0) & (beside[2:] == 0), np.nan, y)


def _accepted(positive: Floats, negative: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many of each score at or above each distinct score, from the highest down; the first entries are 0."""
    scores = np.concatenate([positive, negative])
    order = np.argsort(scores)[::-1]
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    accepted = np.cumsum(order < len(positive))[last_of_ties]
    return np.insert(accepted, 0, 0), np.insert(last_of_ties + 1 - accepted, 0, 0)
