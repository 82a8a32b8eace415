"""How well a score tells ID from OOD, and a confidence right answers from wrong ones.

Scores are higher = more ID, everywhere; ID (or right) is the positive class unless asked otherwise. Every value is a
fraction in [0, 1]; percent and x1000 are for those who print. Counts are integers and everything else float64. One call
sorts once.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import ceil, isfinite
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

Positive: TypeAlias = Literal["id", "ood"]
"""The class that must be found at 95 %: ID, as G-OE and SC-OOD have it, or OOD, as Hendrycks and OpenOOD 1.5."""
Ties: TypeAlias = Literal["mid-rank", "against-id"]
"""Samples of equal score: accepted or rejected together, or one by one, OOD first, as the authors' curve goes."""

ECE_BINS = 15
CCR_AT = {"ccr_1e4": 10_000, "ccr_1e3": 1_000, "ccr_1e2": 100, "ccr_1e1": 10}
"""One OOD sample in so many may be accepted."""


@dataclass(frozen=True, slots=True)
class DetectionMetrics:
    """Telling n ID from m OOD samples by score. Definitions with `ties="mid-rank"`; others: see `detection_metrics`."""

    auroc: float
    """P(ID score > OOD score) + P(equal) / 2."""
    aupr_in: float
    """Average precision with ID positive."""
    aupr_out: float
    """Average precision with OOD positive, by falling score negated."""
    fpr95: float
    """Share of OOD accepted at the highest threshold that accepts at least 95 % of ID; with `positive="ood"`, share of
    ID rejected at the lowest threshold that rejects at least 95 % of OOD."""
    detection_error: float
    """Least mean of the two error rates over all thresholds, at most 0.5."""
    ccr_1e4: float
    """Correct classification rate at FPR 1e-4: share of ID that is answered right and scores above the
    ceil(1e-4 m)-th highest OOD score. NaN where the answers are not given."""
    ccr_1e3: float
    """The same at FPR 1e-3."""
    ccr_1e2: float
    """The same at FPR 1e-2."""
    ccr_1e1: float
    """The same at FPR 1e-1."""


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
    """Share of wrong answers accepted at the highest threshold that accepts at least 95 % of right ones; with
    `ties="against-id"` at the first threshold from the top that accepts a share nearest to 95 %."""
    aurc: float
    """Mean over i of the error rate among the i most confident; expected value over the order of ties."""
    e_aurc: float
    """`aurc` less r + (1 - r) ln(1 - r), that of the best order of many answers with error rate r."""
    ece: float
    """Expected calibration error over 15 equal bins; NaN where confidence is no probability or lies outside [0, 1]."""


def detection_metrics(
    id_scores: ArrayLike,
    ood_scores: ArrayLike,
    *,
    correct: ArrayLike | None = None,
    positive: Positive = "id",
    ties: Ties = "mid-rank",
) -> DetectionMetrics:
    """Metrics of scores (n,) of ID and (m,) of OOD samples, n, m >= 1, higher = more ID.

    `correct` (n,) bool or 0/1 says which ID samples are classified right; CCR needs it. No result depends on the order
    of the input. Raises ValueError for an empty, non-finite or not one-dimensional input.

    `positive="ood"` (Hendrycks; OpenOOD 1.5) changes FPR95 and nothing else: AUROC and detection error are the same
    from either side, and the two AUPR are named by their positive class.

    `ties="mid-rank"` accepts samples of equal score together. FPR95 accepts down to the ceil(0.95 n)-th highest ID
    score; SC-OOD's accepts strictly above the floor(0.95 n)-th, the same without ties where 0.95 n is whole. AUPR is
    average precision, scikit-learn's step-wise sum; OpenOOD, SC-OOD and pytorch-ood take the trapezoid.

    `ties="against-id"` is the curve of the authors' metrics_ood.py, which accepts one sample at a time, of equal scores
    OOD first: AUROC is lower by P(tie) / 2; AUPR is a trapezoid that begins with precision 0 at recall 0; FPR95 takes
    the TPR nearest to 0.95, whichever side it lies on, and accepts all OOD down to the next ID score. With
    `positive="ood"` it is the share of rejected OOD that is nearest to 0.95, and all ID up to the next OOD score is
    rejected (Hendrycks's choice too). Detection error and CCR are the same either way: going through a tie OOD first
    is never better than not going through it, and strictly above is against ID already.
    """
    inner, outer = _checked(id_scores, "id_scores"), _checked(ood_scores, "ood_scores")
    right = None if correct is None else _answers(correct, inner, "id_scores")
    _refuse_unless_in(get_args(Positive), positive, "positive")
    _refuse_unless_in(get_args(Ties), ties, "ties")
    order = _Order.of(np.concatenate([inner, outer]))
    thresholds = order.curve(np.arange(len(inner) + len(outer)) < len(inner))
    authors = ties == "against-id"
    accepting = thresholds.by_sample() if authors else thresholds
    rejecting = accepting.exchanged()
    towards = accepting if positive == "id" else rejecting
    area = _trapezoid_precision if authors else _average_precision
    return DetectionMetrics(
        auroc=accepting.auroc(),
        aupr_in=area(accepting),
        aupr_out=area(rejecting),
        fpr95=_fpr_nearest_95(towards.tp[::-1], towards.fp[::-1]) if authors else towards.fpr95(),
        detection_error=thresholds.detection_error(),
        **_ccr(order, thresholds, right),
    )


def classification_metrics(
    correct: ArrayLike, confidence: ArrayLike, *, ties: Ties = "mid-rank", probability: bool = True
) -> ClassificationMetrics:
    """Metrics of n >= 1 answers: whether each is right, (n,) bool or 0/1, and its confidence, (n,).

    `probability` says that a confidence of p claims to be right in p of all cases; without it there is no ECE. Raises
    ValueError for empty, non-finite or differently long inputs. AURC and E-AURC after Geifman et al. (ICLR 2019); ECE
    after Guo et al. (ICML 2017) on bins (lo, hi], 0 belonging to the first.

    `ties="against-id"` changes FPR95 alone, to that of the authors' metrics_id.py: the TPR nearest to 0.95. Theirs
    looks among the points that scikit-learn's roc_curve keeps, and with its default `drop_intermediate` those between
    two others on a straight line are not: then it may find one further from 0.95 and another FPR. AUROC and AUPR-error
    are the same as theirs. Their AURC depends on the loader's order of ties; this is the expected value over all.
    """
    confidence = _checked(confidence, "confidence")
    right = _answers(correct, confidence, "confidence")
    _refuse_unless_in(get_args(Ties), ties, "ties")
    curve = _Order.of(confidence).curve(right)
    both = 0 < curve.positives < len(right)
    aurc, error = _aurc(curve), 1 - curve.positives / len(right)
    fpr95 = np.nan
    if both:
        fpr95 = _fpr_nearest_95(curve.tp, curve.fp) if ties == "against-id" else curve.fpr95()
    return ClassificationMetrics(
        accuracy=curve.positives / len(right),
        auroc=curve.auroc() if both else np.nan,
        aupr_error=_average_precision(curve.exchanged()) if both else np.nan,
        fpr95=fpr95,
        aurc=aurc,
        e_aurc=aurc - _best_aurc(error),
        ece=_ece(right, confidence) if probability else np.nan,
    )


def as_values(metrics: DetectionMetrics | ClassificationMetrics) -> dict[str, float | None]:
    """By name, as JSON has them: NaN, which it has not, becomes None."""
    return {name: float(value) if isfinite(value) else None for name, value in asdict(metrics).items()}


def threshold_at(id_scores: ArrayLike, share: float = 0.95) -> float:
    """The highest threshold t at which score >= t accepts at least `share`, in (0, 1], of ID scores (n,), n >= 1.

    One of the scores: the ceil(share n)-th highest. Raises ValueError for unusable scores or share.
    """
    scores = _checked(id_scores, "id_scores")
    if not 0 < share <= 1:
        raise ValueError(f"share: {share}; expected more than 0 and at most 1")
    # By the decimal that was written: as a float, share * n may come out above a whole number.
    accepted = ceil(Fraction(str(share)) * len(scores))
    return float(np.partition(scores, -accepted)[-accepted])


@dataclass(frozen=True, slots=True)
class _Curve:
    """How many samples are accepted at each threshold, from the highest down; first entry 0 for none."""

    tp: Counts
    fp: Counts

    @property
    def positives(self) -> int:
        return int(self.tp[-1])

    @property
    def negatives(self) -> int:
        return int(self.fp[-1])

    def exchanged(self) -> "_Curve":
        """From the lowest score up, with the classes changing places: what is rejected instead of accepted."""
        return _Curve(tp=self.negatives - self.fp[::-1], fp=self.positives - self.tp[::-1])

    def by_sample(self) -> "_Curve":
        """Accepting one sample at a time, of those accepted together the negatives first."""
        together = np.stack([np.diff(self.fp), np.diff(self.tp)], axis=1)
        is_positive = np.repeat(np.tile([0, 1], len(together)), together.ravel())
        tp = _from_zero(np.cumsum(is_positive))
        return _Curve(tp=tp, fp=np.arange(len(tp)) - tp)

    def auroc(self) -> float:
        # The trapezoid is the mid-rank rule where ties are accepted together; in integers it is exact.
        twice_area = np.diff(self.fp) @ (self.tp[1:] + self.tp[:-1])
        return float(twice_area / (2 * self.positives * self.negatives))

    def fpr95(self) -> float:
        # In integers: 0.95 is no binary fraction, and 0.95 * n may come out above a whole number.
        accepts_95 = np.searchsorted(self.tp, -(-19 * self.positives // 20))
        return float(self.fp[accepts_95] / self.negatives)

    def detection_error(self) -> float:
        return float(1 - np.max(self.tp / self.positives - self.fp / self.negatives)) / 2


@dataclass(frozen=True, slots=True)
class _Order:
    """Samples from the highest score down: the one sort that everything is counted from."""

    samples: NDArray[np.intp]
    last_of_ties: NDArray[np.intp]

    @classmethod
    def of(cls, scores: Floats) -> "_Order":
        samples = np.argsort(scores)[::-1]
        falling = scores[samples]
        return cls(samples, np.flatnonzero(np.append(falling[1:] != falling[:-1], True)))

    def count(self, flags: Flags) -> Counts:
        """How many flagged samples score at or above each distinct score; first entry 0."""
        return _from_zero(np.cumsum(flags[self.samples], dtype=np.int64)[self.last_of_ties])

    def curve(self, positive: Flags) -> _Curve:
        tp = self.count(positive)
        return _Curve(tp=tp, fp=_from_zero(self.last_of_ties + 1) - tp)


def _from_zero(counts: Counts) -> Counts:
    return np.concatenate([[0], counts])


def _average_precision(curve: _Curve) -> float:
    precision = curve.tp[1:] / (curve.tp[1:] + curve.fp[1:])
    return float(np.sum(np.diff(curve.tp) * precision) / curve.positives)


def _trapezoid_precision(curve: _Curve) -> float:
    # The authors' other end point, precision 0.5 at recall 1, spans no recall and adds nothing.
    precision = np.concatenate([[0.0], curve.tp[1:] / (curve.tp[1:] + curve.fp[1:])])
    return float(np.sum(np.diff(curve.tp) * (precision[1:] + precision[:-1])) / (2 * curve.positives))


def _fpr_nearest_95(tp: Counts, fp: Counts) -> float:
    # In floating point, as theirs: rounding decides between two shares that are equally near.
    nearest = np.argmin(np.abs(tp / tp.max() - 0.95))
    return float(fp[nearest] / fp.max())


def _ccr(order: _Order, thresholds: _Curve, right: Flags | None) -> dict[str, float]:
    if right is None:
        return dict.fromkeys(CCR_AT, np.nan)
    accepted = order.count(np.concatenate([right, np.zeros(thresholds.negatives, dtype=np.bool_)]))
    allowed = [-(-thresholds.negatives // one_in) for one_in in CCR_AT.values()]
    strictly_above = np.searchsorted(thresholds.fp, allowed) - 1
    return dict(zip(CCR_AT, (accepted[strictly_above] / thresholds.positives).tolist(), strict=True))


def _aurc(curve: _Curve) -> float:
    # Among tied answers each is equally likely to be wrong, so expected errors grow linearly through a tie.
    accepted = np.arange(1, curve.positives + curve.negatives + 1)
    errors = np.interp(accepted, curve.tp + curve.fp, curve.fp)
    return float(np.mean(errors / accepted))


def _best_aurc(error: float) -> float:
    return error + (1 - error) * float(np.log1p(-error)) if error < 1 else 1.0


def _ece(right: Flags, confidence: Floats) -> float:
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


def _answers(correct: ArrayLike, scores: Floats, of: str) -> Flags:
    right = np.asarray(correct)
    if right.shape != scores.shape:
        raise ValueError(f"correct: shape {right.shape}; expected that of {of}, {scores.shape}")
    if not np.all((right == 0) | (right == 1)):
        raise ValueError("correct: values other than 0 and 1; expected whether each answer is right")
    return right.astype(np.bool_)


def _refuse_unless_in(choices: Sequence[str], value: str, name: str) -> None:
    if value not in choices:
        raise ValueError(f"{name}: {value!r}; expected one of {', '.join(choices)}")
