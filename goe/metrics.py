"""How well a score tells ID from OOD, and a confidence right answers from wrong ones.

ID (or right) is the positive class and higher scores are more ID, everywhere. Every value is a fraction in [0, 1];
percent and x1000 are for those who print. Counts are integers and everything else float64.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

ECE_BINS = 15


@dataclass(frozen=True, slots=True)
class DetectionMetrics:
    """Telling n ID from m OOD samples by score; ID is positive. Sources: see `detection_metrics`."""

    auroc: float
    """P(ID score > OOD score) + P(equal) / 2."""
    aupr_in: float
    """Average precision with ID positive."""
    aupr_out: float
    """Average precision with OOD positive, by falling score negated."""
    fpr95: float
    """Share of OOD accepted at the highest threshold that accepts at least 95 % of ID."""
    detection_error: float
    """Least mean of the two error rates over all thresholds, at most 0.5."""


@dataclass(frozen=True, slots=True)
class ClassificationMetrics:
    """Accuracy, and telling right from wrong answers by confidence; right is positive.

    `auroc`, `aupr_error` and `fpr95` are NaN unless there are both right and wrong answers.
    """

    accuracy: float
    auroc: float
    """P(confidence of a right answer > of a wrong one) + P(equal) / 2."""
    aupr_error: float
    """Average precision with wrong answers positive, by falling confidence negated."""
    fpr95: float
    """Share of wrong answers accepted at the highest threshold that accepts at least 95 % of right ones."""
    aurc: float
    """Mean over i of the error rate among the i most confident; expected value over the order of ties."""
    e_aurc: float
    """`aurc` less r + (1 - r) ln(1 - r), that of the best order of many answers with error rate r."""
    ece: float
    """Expected calibration error over 15 equal bins; NaN where a confidence lies outside [0, 1]."""


def detection_metrics(id_scores: ArrayLike, ood_scores: ArrayLike) -> DetectionMetrics:
    """Metrics of scores (n,) of ID and (m,) of OOD samples, n, m >= 1, higher = more ID.

    Raises ValueError for an empty, non-finite or not one-dimensional input. Samples of equal score are accepted or
    rejected together, so no result depends on the order of the input.

    Departures from the authors' metrics_ood.py. AUROC counts half of each tie, where theirs counts ties against ID
    (lower by P(tie) / 2). AUPR is average precision, scikit-learn's step-wise sum: theirs, a trapezoid with ends of
    its own, differs by up to 2e-4 without ties and by 3 to 4 points with many. FPR95 accepts
    down to the ceil(0.95 n)-th highest ID score and no further (as SC-OOD's does), where theirs takes the TPR nearest
    to 0.95 and goes on down to the next ID score, with whatever OOD lies between the two.
    """
    curve = _curve(_checked(id_scores, "id_scores"), _checked(ood_scores, "ood_scores"))
    return DetectionMetrics(
        auroc=curve.auroc(),
        aupr_in=curve.aupr_in(),
        aupr_out=curve.aupr_out(),
        fpr95=curve.fpr95(),
        detection_error=curve.detection_error(),
    )


def classification_metrics(correct: ArrayLike, confidence: ArrayLike) -> ClassificationMetrics:
    """Metrics of n >= 1 answers: whether each is right, (n,) bool or 0/1, and its confidence, (n,).

    Raises ValueError for empty, non-finite or differently long inputs. AURC and E-AURC after Geifman et al. (ICLR
    2019); ECE after Guo et al. (ICML 2017) on bins (lo, hi], 0 belonging to the first.

    Departures from the authors' metrics_id.py: ties, AUPR and FPR95 as in `detection_metrics`; AURC is the expected
    value over the order of ties, where theirs depends on the loader's order.
    """
    confidence = _checked(confidence, "confidence")
    right = np.asarray(correct)
    if right.shape != confidence.shape:
        raise ValueError(f"correct: shape {right.shape}; expected that of confidence, {confidence.shape}")
    if not np.all((right == 0) | (right == 1)):
        raise ValueError("correct: values other than 0 and 1; expected whether each answer is right")
    right = right.astype(bool)
    curve = _curve(confidence[right], confidence[~right])
    both = 0 < curve.positives < len(right)
    aurc, error = _aurc(curve), 1 - curve.positives / len(right)
    return ClassificationMetrics(
        accuracy=curve.positives / len(right),
        auroc=curve.auroc() if both else np.nan,
        aupr_error=curve.aupr_out() if both else np.nan,
        fpr95=curve.fpr95() if both else np.nan,
        aurc=aurc,
        e_aurc=aurc - _best_aurc(error),
        ece=_ece(right, confidence),
    )


@dataclass(frozen=True, slots=True)
class _Curve:
    """How many samples score at or above each distinct score, from the highest down; first entry 0 for none."""

    tp: Counts
    fp: Counts

    @property
    def positives(self) -> int:
        return int(self.tp[-1])

    @property
    def negatives(self) -> int:
        return int(self.fp[-1])

    def auroc(self) -> float:
        # The trapezoid is the mid-rank rule; in integers it is exact.
        twice_area = np.sum(np.diff(self.fp) * (self.tp[1:] + self.tp[:-1]))
        return float(twice_area / (2 * self.positives * self.negatives))

    def aupr_in(self) -> float:
        return _average_precision(self.tp, self.fp)

    def aupr_out(self) -> float:
        # From the lowest score up, with the classes changing places.
        return _average_precision(self.negatives - self.fp[::-1], self.positives - self.tp[::-1])

    def fpr95(self) -> float:
        # In integers: 0.95 is no binary fraction, and 0.95 * n may come out above a whole number.
        accepts_95 = int(np.argmax(20 * self.tp >= 19 * self.positives))
        return float(self.fp[accepts_95] / self.negatives)

    def detection_error(self) -> float:
        return float(np.min(1 - self.tp / self.positives + self.fp / self.negatives) / 2)


def _curve(positive: Floats, negative: Floats) -> _Curve:
    scores = np.concatenate([positive, negative])
    order = np.argsort(scores)[::-1]
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    tp = np.cumsum(order < len(positive))[last_of_ties]
    return _Curve(tp=np.insert(tp, 0, 0), fp=np.insert(last_of_ties + 1 - tp, 0, 0))


def _average_precision(tp: Counts, fp: Counts) -> float:
    precision = tp[1:] / (tp[1:] + fp[1:])
    return float(np.sum(np.diff(tp) * precision) / tp[-1])


def _aurc(curve: _Curve) -> float:
    # Among tied answers each is equally likely to be wrong, so expected errors grow linearly through a tie.
    accepted = np.arange(1, curve.positives + curve.negatives + 1)
    errors = np.interp(accepted, curve.tp + curve.fp, curve.fp)
    return float(np.mean(errors / accepted))


def _best_aurc(error: float) -> float:
    return error + (1 - error) * float(np.log1p(-error)) if error < 1 else 1.0


def _ece(right: NDArray[np.bool_], confidence: Floats) -> float:
    if confidence.min() < 0 or confidence.max() > 1:
        return np.nan
    edges = np.linspace(0, 1, ECE_BINS + 1)
    of_bin = np.maximum(np.searchsorted(edges, confidence, side="left") - 1, 0)
    gap = np.bincount(of_bin, weights=right - confidence, minlength=ECE_BINS)
    return float(np.sum(np.abs(gap)) / len(right))


def _checked(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name}: shape {array.shape}; expected one dimension and at least one value")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: {np.sum(~np.isfinite(array))} of {array.size} values are NaN or infinite")
    return array
