"""The loss terms that methods are made of, each per sample, and the mean over those that are kept.

Every softmax is taken in float32 at least: under bf16 autocast the network hands over bfloat16 logits, and a
log-probability with only 8 significant bits is off by up to 0.2 %.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from goe.core.specs import Normalise


def at_least_float32(logits: Tensor) -> Tensor:
    """`logits` in float32 if they are in half precision, unchanged otherwise."""
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """-log p(y_i | x_i) in nats, (N,), of logits (N, K) and classes (N,) int64."""
    return F.cross_entropy(at_least_float32(logits), y, reduction="none")


def uniform_cross_entropy(logits: Tensor) -> Tensor:
    """Cross-entropy from the uniform distribution, H(U, p(u_j)) = logsumexp_k z_jk - mean_k z_jk in nats, (N,).

    The outlier term of Outlier Exposure (Hendrycks et al., ICLR 2019, section 4.3).
    At least ln K, reached at uniform logits.
    """
    z = at_least_float32(logits)
    return z.logsumexp(1) - z.mean(1)


def energy(logits: Tensor) -> Tensor:
    """Free energy at temperature 1, E(x_i) = -logsumexp_k z_ik in nats, (N,); the lower, the more like ID data.

    Liu et al., NeurIPS 2020, eq. 4.
    """
    return -at_least_float32(logits).logsumexp(1)


def mixed_cross_entropy(logits: Tensor, target_a: Tensor, target_b: Tensor, lam: float | Tensor) -> Tensor:
    """Mixup loss (Zhang et al., ICLR 2018), lam * H(a_i, p_i) + (1 - lam) * H(b_i, p_i) in nats, (N,).

    Targets a and b are distributions, (N, K); lam is one for all or (N,). Cross-entropy is linear in its target, so one
    with the mixed target is the same as the authors' two, at half the work.
    """
    log_p = F.log_softmax(at_least_float32(logits), dim=1)
    share = lam[:, None] if isinstance(lam, Tensor) else lam
    target = share * target_a + (1 - share) * target_b
    return -(target * log_p).sum(1)


def masked_mean(values: Tensor, keep: Tensor, normalise: Normalise) -> Tensor:
    """Mean, (), of the `values` (N,), N >= 1, where `keep` (N,) bool holds.

    `batch`: the sum over what is kept divided by N, as the authors' code does, so that a term weighs less the more is
    masked. `kept`: divided by the number kept; 0 with zero gradient when that is none.
    """
    # where, not a product: a masked infinity must not become NaN.
    kept = torch.where(keep, values, torch.zeros_like(values))
    match normalise:
        case "batch":
            return kept.mean()
        case "kept":
            return kept.sum() / keep.sum().clamp(min=1)
