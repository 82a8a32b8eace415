"""Score functions: one number a test image, higher = more ID, always.

Scores are float64 whatever the network ran in: in float32 a confident softmax saturates at 1 and what it ranked before
turns into ties. Whatever needs more than logits is pytorch-ood's business (goe/detectors.py).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a network says of N images."""

    logits: Tensor
    """(N, K), any float type."""
    features: Tensor | None = None
    """(N, D) penultimate features, for scores that look at them."""
    images: Callable[[], Iterator[Tensor]] | None = None
    """The N images again, in batches on the network's device, for scores that need gradients of them."""


Score: TypeAlias = Callable[[Outputs], Tensor]
"""From outputs to (N,) float64; an empty N gives an empty result."""


def msp(outputs: Outputs) -> Tensor:
    """Maximum softmax probability, in [1/K, 1] (Hendrycks and Gimpel, ICLR 2017)."""
    return F.softmax(outputs.logits.double(), dim=1).amax(1)


def max_logit(outputs: Outputs) -> Tensor:
    """Largest logit, unbounded (Hendrycks et al., ICML 2022)."""
    return outputs.logits.double().amax(1)


def energy(outputs: Outputs) -> Tensor:
    """Negative free energy at temperature 1, logsumexp_k z_k, unbounded (Liu et al., NeurIPS 2020, eq. 4).

    Of logits. The authors' code of 2022 takes the logsumexp of probabilities, a slip mended in 2024.
    """
    return outputs.logits.double().logsumexp(1)


def entropy(outputs: Outputs) -> Tensor:
    """Negative entropy of the softmax, sum_k p_k ln p_k in nats, in [-ln K, 0]."""
    log_p = F.log_softmax(outputs.logits.double(), dim=1)
    return (log_p.exp() * log_p).sum(1)


def margin(outputs: Outputs) -> Tensor:
    """Largest less second largest softmax probability, in [0, 1]; needs K >= 2."""
    first, second = F.softmax(outputs.logits.double(), dim=1).topk(2, dim=1).values.unbind(1)
    return first - second


SCORES: dict[str, Score] = {
    "msp": msp,
    "max-logit": max_logit,
    "energy": energy,
    "entropy": entropy,
    "margin": margin,
}
"""By the name used in a run's configuration."""
