"""All metrics of one evaluation, and collecting its scores, against the plain way, on the CPU.

    python benchmarks/metrics.py

Metrics: 10,000 ID and 26,032 OOD scores (CIFAR-10 against SVHN), and whether each ID answer is right. The plain way is
that of G-OE's authors, written here from the description in docs/science.md: a loop over thresholds, F1 over zipped and
sorted pairs, a loop for AURC, and scikit-learn for the rest. goe has no F1, so the plain way is timed without it too;
the plain way has no CCR. Equal results are checked before anything is timed.

Collecting: logits of 100 classes in batches of 128, kept in a list and concatenated once, as goe does, or concatenated
batch by batch, as the authors do.

Times are the process's CPU time, on which other work on the machine tells least: all sides run in one thread.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise

import numpy as np
from harness import Report, arguments
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from goe.metrics import Ties, classification_metrics, detection_metrics

ID, OOD = 10_000, 26_032
SIZES = (9_125, 18_250, 36_500, 73_000)
CLASSES, BATCH = 100, 128
TOLERANCE = 1e-9

Array = np.ndarray
Values = dict[str, float]


def plain_curve(inner: Array, outer: Array) -> tuple[Array, Array]:
    """ID and OOD left after each removal of the lowest score, ID first where they tie."""
    inner, outer = np.sort(inner), np.sort(outer)
    tp = np.zeros(len(inner) + len(outer) + 1, dtype=int)
    fp = np.zeros(len(inner) + len(outer) + 1, dtype=int)
    tp[0], fp[0] = len(inner), len(outer)
    gone_in = gone_out = 0
    for step in range(1, len(tp)):
        if gone_out == len(outer) or (gone_in < len(inner) and inner[gone_in] <= outer[gone_out]):
            gone_in += 1
        else:
            gone_out += 1
        tp[step], fp[step] = len(inner) - gone_in, len(outer) - gone_out
    return tp, fp


def plain_detection(inner: Array, outer: Array) -> Values:
    tp, fp = plain_curve(inner, outer)
    recall, fpr = tp / len(inner), fp / len(outer)
    some_in, some_out = tp + fp > 0, tp + fp < len(inner) + len(outer)
    precision_in = tp[some_in] / (tp + fp)[some_in]
    out = len(outer) - fp
    precision_out = out[some_out] / (out + len(inner) - tp)[some_out]
    return {
        "auroc": -np.trapezoid(1 - fpr, recall),
        "aupr_in": -np.trapezoid([0.5, *precision_in, 0], [1, *recall[some_in], 0]),
        "aupr_out": np.trapezoid([0, *precision_out, 0.5], [0, *(1 - fpr)[some_out], 1]),
        "fpr95": fpr[np.argmin(np.abs(recall - 0.95))],
        "detection_error": 1 - np.max(0.5 * (recall + 1 - fpr)),
    }


def plain_f1(inner: Array, outer: Array) -> float:
    pairs = sorted(zip([*inner, *outer], [1] * len(inner) + [0] * len(outer), strict=True), key=lambda pair: pair[0])
    scores, is_id = zip(*pairs, strict=True)
    precision, recall, thresholds = precision_recall_curve(is_id, scores)
    curve = np.zeros(len(precision))
    for point in range(len(precision)):
        both = precision[point] + recall[point]
        curve[point] = 2 * precision[point] * recall[point] / (both if both > 0 else 1e-8)
    return float(curve[np.argmin(np.abs(thresholds - 0.5))])


def plain_aurc(right: Array, confidence: Array) -> float:
    order = np.argsort(-confidence)
    errors, area = 0, 0.0
    for place, answer in enumerate(right[order], start=1):
        if not answer:
            errors += 1
        area += errors / place / len(right)
    return area


def plain_ece(right: Array, confidence: Array) -> float:
    edges = np.linspace(0, 1, 16)
    total = 0.0
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += abs(right[inside].mean() - confidence[inside].mean()) * inside.mean()
    return total


def plain_classification(right: Array, confidence: Array) -> Values:
    # Every point, so that equality can be checked; by default scikit-learn drops those on straight lines.
    fpr, tpr, _ = roc_curve(right, confidence, drop_intermediate=False)
    aurc, error = plain_aurc(right, confidence), 1 - right.mean()
    return {
        "accuracy": right.mean(),
        "auroc": roc_auc_score(right, confidence),
        "aupr_error": average_precision_score(~right, -confidence),
        "fpr95": fpr[np.argmin(np.abs(tpr - 0.95))],
        "aurc": aurc,
        "e_aurc": aurc - (error + (1 - error) * np.log(1 - error)),
        "ece": plain_ece(right, confidence),
    }


def largest_difference(found: Mapping[str, float], expected: Values, names: Sequence[str]) -> float:
    return max(abs(found[name] - expected[name]) for name in names)


def check(report: Report, inner: Array, outer: Array, right: Array) -> None:
    """Stop where goe and the plain way differ by more than 1e-9."""
    tied_in, tied_out = inner.round(3), outer.round(3)
    plain, plain_tied = plain_detection(inner, outer), plain_detection(tied_in, tied_out)
    plain_answers, plain_tied_answers = plain_classification(right, inner), plain_classification(right, tied_in)
    without_aurc = [name for name in plain_answers if "aurc" not in name]  # theirs hangs on the order of ties
    authors = asdict(detection_metrics(inner, outer, ties="against-id"))
    authors_tied = asdict(detection_metrics(tied_in, tied_out, ties="against-id"))
    answers = asdict(classification_metrics(right, inner, ties="against-id"))
    answers_tied = asdict(classification_metrics(right, tied_in, ties="against-id"))
    mid_rank = asdict(detection_metrics(inner, outer))
    ranked = ["auroc", "detection_error"]
    report.title("Largest difference between goe and the plain way")
    for what, difference in (
        ("detection, against-id, no ties", largest_difference(authors, plain, list(plain))),
        ("detection, against-id, ties", largest_difference(authors_tied, plain_tied, list(plain))),
        ("AUROC and detection error, mid-rank, no ties", largest_difference(mid_rank, plain, ranked)),
        ("classification, against-id, no ties", largest_difference(answers, plain_answers, list(plain_answers))),
        (
            "classification but AURC, against-id, ties",
            largest_difference(answers_tied, plain_tied_answers, without_aurc),
        ),
    ):
        report.say(what, f"{difference:.1e}")
        if difference > TOLERANCE:
            raise SystemExit(f"{what}: not equal to {TOLERANCE}")


def compare_metrics(report: Report, inner: Array, outer: Array, right: Array) -> None:
    def plain() -> None:
        plain_detection(inner, outer)
        plain_classification(right, inner)

    def plain_with_f1() -> None:
        plain()
        plain_f1(inner, outer)

    def ours(ties: Ties) -> None:
        detection_metrics(inner, outer, correct=right, ties=ties)
        classification_metrics(right, inner, ties=ties)

    sides = {
        "plain": plain_with_f1,
        "plain, no F1": plain,
        "goe, against-id": lambda: ours("against-id"),
        "goe, mid-rank": lambda: ours("mid-rank"),
    }
    title = f"All metrics of {ID:,} ID and {OOD:,} OOD scores, CPU time"
    report.compare(title, sides, unit="ms", baseline="plain, no F1", clock=time.process_time)


def collected(batches: Sequence[Array]) -> Array:
    kept = []
    for batch in batches:
        kept.append(batch)  # noqa: PERF402 - one at a time, as a network gives them
    return np.concatenate(kept)


def concatenated(batches: Sequence[Array]) -> Array:
    whole = np.empty((0, CLASSES), dtype=np.float32)
    for batch in batches:
        whole = np.concatenate([whole, batch])
    return whole


def calling(collect: Callable[[Sequence[Array]], Array], batches: Sequence[Array]) -> Callable[[], None]:
    def run() -> None:
        collect(batches)

    return run


def compare_collecting(report: Report) -> None:
    logits = np.random.default_rng(1).normal(size=(max(SIZES), CLASSES)).astype(np.float32)
    for size in SIZES:
        batches = np.array_split(logits[:size], -(-size // BATCH))
        if not np.array_equal(collected(batches), concatenated(batches)):
            raise SystemExit("collecting: not equal")
        sides = {"batch by batch": calling(concatenated, batches), "once": calling(collected, batches)}
        title = f"Collecting {size:,} x {CLASSES} logits, CPU time"
        report.compare(title, sides, unit="ms", baseline="batch by batch", clock=time.process_time)


def main() -> None:
    options = arguments(__doc__, rounds=15).parse_args()
    random = np.random.default_rng(0)
    inner, outer = (1 / (1 + np.exp(-random.normal(mean, 1.5, size))) for mean, size in ((2, ID), (0, OOD)))
    right = random.random(ID) < inner
    with Report(__file__, options) as report:
        check(report, inner, outer, right)
        compare_metrics(report, inner, outer, right)
        compare_collecting(report)


if __name__ == "__main__":
    main()
