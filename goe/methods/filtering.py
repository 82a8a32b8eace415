"""Which outliers of a batch look like ID data and should be left out (G-OE's filtering).

A confidence says how ID-like an image is to the network as it stands; a strategy says from which confidence on an
outlier is dropped. `static` and `adaptive` are those of the authors' code of 2022, `topk` that of 2024; `quantile` is
ours, a rank that doesn't depend on the batch size.

A confidence that is not a number never raises: `topk` takes it for the largest, and the others keep its outlier and,
where it makes their threshold one, every outlier. Ending such a run is the loop's business.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

import torch
import torch.nn.functional as F
from torch import Tensor

from goe.core import specs
from goe.methods.base import Batch
from goe.methods.losses import at_least_float32
from goe.models.base import Net

Estimation: TypeAlias = Literal["msp", "margin", "entropy"]


@dataclass(frozen=True, slots=True)
class Filtered:
    """The filter's verdict on a batch."""

    dropped: Tensor
    """(M,) bool, True for an outlier to leave out."""
    threshold: Tensor
    """() the confidence at or above which outliers were dropped."""


def msp(logits: Tensor) -> Tensor:
    """Maximum softmax probability, (N,) in [1/K, 1], of logits (N, K)."""
    return F.softmax(at_least_float32(logits), dim=1).amax(1)


def margin(logits: Tensor) -> Tensor:
    """Largest less second largest softmax probability, (N,) in [0, 1], of logits (N, K), K >= 2."""
    first, second = F.softmax(at_least_float32(logits), dim=1).topk(2, dim=1).values.unbind(1)
    return first - second


def entropy(logits: Tensor) -> Tensor:
    """Negative entropy, sum_k p_k ln p_k in nats, (N,) in [-ln K, 0], of logits (N, K)."""
    log_p = F.log_softmax(at_least_float32(logits), dim=1)
    return (log_p.exp() * log_p).sum(1)


# In training precision and from logits; goe.scores has the float64 forms that evaluation uses.
CONFIDENCES: dict[Estimation, Callable[[Tensor], Tensor]] = {"msp": msp, "margin": margin, "entropy": entropy}


def drop_topk(confidence_out: Tensor, k: int) -> Filtered:
    """Drop exactly min(k, M) outliers, those of largest confidence (M,); among equals the earlier. k, M >= 1.

    The authors drop every outlier at or above the k-th largest confidence, hence more than k where confidences tie, as
    saturated ones do.
    """
    # A stable sort: torch.topk promises nothing about ties, and runs should repeat.
    ranked = confidence_out.sort(descending=True, stable=True)
    k = min(k, len(confidence_out))
    none = torch.zeros_like(confidence_out, dtype=torch.bool)
    return Filtered(none.index_fill(0, ranked.indices[:k], value=True), ranked.values[k - 1])


def drop_static(confidence: Tensor, confidence_out: Tensor, k: int) -> Filtered:
    """Drop outliers (M,) at least as confident as the k-th least confident ID sample (B,). k >= 1.

    In the last, shorter batch of an epoch B may be less than k; the rank is then B.
    """
    threshold = confidence.sort().values[min(k, len(confidence)) - 1]
    return Filtered(confidence_out >= threshold, threshold)


def drop_adaptive(confidence: Tensor, confidence_out: Tensor) -> Filtered:
    """Drop outliers (M,) at least as confident as the ID samples (B,) are on average."""
    threshold = confidence.mean()
    return Filtered(confidence_out >= threshold, threshold)


def drop_quantile(confidence: Tensor, confidence_out: Tensor, quantile: float) -> Filtered:
    """Drop outliers (M,) at least as confident as the `quantile`-quantile of the ID samples (B,), in [0, 1].

    The quantile lies at rank quantile * (B - 1) from 0, linearly between its neighbours.
    """
    threshold = confidence.quantile(quantile)
    return Filtered(confidence_out >= threshold, threshold)


def filter_outliers(net: Net, batch: Batch, spec: specs.Filter, epoch: int) -> Filtered | None:
    """The outliers of `batch` to leave out, judged by `net` in evaluation mode; None where all are kept.

    That is where `spec` says so, and in the first `spec.warmup_epochs` epochs, counted from `epoch` 0. Otherwise one
    forward without gradient, of the outliers for `topk` and of [x, x_out] for the strategies that compare with ID data.
    `net` is left in the mode it came in, its batch-norm statistics untouched. Nothing waits for the device.

    The authors' commit 147ed10 has `static` and `adaptive` swapped; these are their correction's, 8593ebb.
    """
    if epoch < spec.warmup_epochs:
        return None
    match spec.strategy:
        case "topk" if spec.k > 0:
            return drop_topk(_confidence(net, batch.x_out, spec.estimation), spec.k)
        case "static" if spec.k > 0:
            return drop_static(*_both_confidences(net, batch, spec.estimation), spec.k)
        case "adaptive":
            return drop_adaptive(*_both_confidences(net, batch, spec.estimation))
        case "quantile":
            return drop_quantile(*_both_confidences(net, batch, spec.estimation), spec.quantile)
        case "topk" | "static" | "none":
            return None
        case _:
            assert_never(spec.strategy)


def kept(filtered: Filtered | None, batch: Batch) -> Tensor:
    """(M,) bool, the outliers that count: all where nothing was filtered."""
    if filtered is None:
        return batch.x_out.new_ones(len(batch.x_out), dtype=torch.bool)
    return ~filtered.dropped


def _both_confidences(net: Net, batch: Batch, estimation: Estimation) -> tuple[Tensor, Tensor]:
    both = _confidence(net, torch.cat([batch.x, batch.x_out]), estimation)
    return both[: len(batch.x)], both[len(batch.x) :]


def _confidence(net: Net, images: Tensor, estimation: Estimation) -> Tensor:
    with evaluating(net), torch.no_grad():
        return CONFIDENCES[estimation](net(images))


@contextmanager
def evaluating(net: Net) -> Iterator[None]:
    """Evaluation mode inside the block; afterwards the mode `net` was in, also after an exception."""
    training = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(training)
