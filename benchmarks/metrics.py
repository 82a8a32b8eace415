"""All metrics of one evaluation, and collecting its scores, against the plain way, on the CPU.

    python benchmarks/metrics.py [--rounds 15]

Metrics: 10,000 ID and 26,032 OOD scores (CIFAR-10 against SVHN), and whether each ID answer is right. The plain way is
that of G-OE's authors, written here from the description in docs/science.md: a loop over thresholds, F1 over zipped and
sorted pairs, a loop for AURC, and scikit-learn for the rest. goe has no F1, so the plain way is timed without it too;
the plain way has no CCR. Equal results are checked before anything is timed.

Collecting: logits of 100 classes in batches of 128, kept in a list and concatenated once, as goe does, or concatenated
batch by batch, as the authors do.

Rounds are interleaved; the medians' ratio is what counts. Times are the process's CPU time, on which other work on the
machine tells least: all sides run in one thread.
"""

import argparse
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from statistics import median

import numpy as np
import sklearn
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from goe.metrics import classification_metrics, detection_metrics

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


def check(inner: Array, outer: Array, right: Array) -> None:
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
    for what, difference in (
        ("detection, against-id, no ties", largest_difference(authors, plain, list(plain))),
        ("detection, against-id, ties", largest_difference(authors_tied, plain_tied, list(plain))),
        (
            "AUROC and detection error, mid-rank, no ties",
            largest_difference(mid_rank, plain, ["auroc", "detection_error"]),
        ),
        ("classification, against-id, no ties", largest_difference(answers, plain_answers, list(plain_answers))),
        (
            "classification but AURC, against-id, ties",
            largest_difference(answers_tied, plain_tied_answers, without_aurc),
        ),
    ):
        print(f"{what:<46}largest difference {difference:.1e}")
        if difference > TOLERANCE:
            raise SystemExit(f"{what}: not equal to {TOLERANCE}")


def timed(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU milliseconds of each side in each round, after one round to warm up."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, run in sides.items():
            begin = time.process_time()
            run()
            found[name].append(1000 * (time.process_time() - begin))
    return {name: times[1:] for name, times in found.items()}


def compare_metrics(inner: Array, outer: Array, right: Array, rounds: int) -> None:
    def plain() -> None:
        plain_detection(inner, outer)
        plain_classification(right, inner)

    def plain_with_f1() -> None:
        plain()
        plain_f1(inner, outer)

    def ours(ties: str) -> None:
        detection_metrics(inner, outer, correct=right, ties=ties)
        classification_metrics(right, inner, ties=ties)

    sides = {
        "plain": plain_with_f1,
        "plain, no F1": plain,
        "goe, against-id": lambda: ours("against-id"),
        "goe, mid-rank": lambda: ours("mid-rank"),
    }
    times = timed(sides, rounds)
    print(f"\n{'all metrics':<20}{'CPU ms':>9}{'least':>9}{'most':>9}{'of plain':>11}{'of no F1':>11}")
    for name, found in times.items():
        of_plain, of_no_f1 = (median(times[side]) / median(found) for side in ("plain", "plain, no F1"))
        print(
            f"{name:<20}{median(found):>9.2f}{min(found):>9.2f}{max(found):>9.2f}{of_plain:>10.1f}x{of_no_f1:>10.1f}x"
        )


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


def compare_collecting(rounds: int) -> None:
    logits = np.random.default_rng(1).normal(size=(max(SIZES), CLASSES)).astype(np.float32)
    print(
        f"\n{'collecting logits':<20}{'once, ms':>9}{'least':>9}{'most':>9}"
        f"{'each, ms':>11}{'least':>9}{'most':>9}{'ratio':>9}"
    )
    for size in SIZES:
        batches = np.array_split(logits[:size], -(-size // BATCH))
        if not np.array_equal(collected(batches), concatenated(batches)):
            raise SystemExit("collecting: not equal")
        times = timed({"once": partial(collected, batches), "each": partial(concatenated, batches)}, rounds)
        once, each = times["once"], times["each"]
        print(
            f"{f'{size:,} x {CLASSES}':<20}{median(once):>9.2f}{min(once):>9.2f}{max(once):>9.2f}"
            f"{median(each):>11.1f}{min(each):>9.1f}{max(each):>9.1f}{median(each) / median(once):>8.1f}x"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    random = np.random.default_rng(0)
    inner, outer = (1 / (1 + np.exp(-random.normal(mean, 1.5, size))) for mean, size in ((2, ID), (0, OOD)))
    right = random.random(ID) < inner
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, scikit-learn {sklearn.__version__}"
    print(f"{platform.processor() or platform.machine()}, {versions}; {ID:,} ID, {OOD:,} OOD; {rounds} rounds")
    check(inner, outer, right)
    compare_metrics(inner, outer, right, rounds)
    compare_collecting(rounds)


if __name__ == "__main__":
    main()
