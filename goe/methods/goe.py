"""Generalized Outlier Exposure: outlier exposure, RandomMixup, and a filter for outliers that look like ID data."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from goe.core import config
from goe.methods.base import Batch, Method, StepOutput, require_outliers
from goe.methods.filtering import filter_outliers
from goe.methods.losses import (
    at_least_float32,
    cross_entropy,
    masked_mean,
    mixed_cross_entropy,
    uniform_cross_entropy,
)
from goe.models.base import Net


class GOE(Method):
    """L = CE(z(x), y) + mix_weight * L_mix + oe_weight * L_oe (Koo et al., Neurocomputing 577, 2024, 127371).

        L_oe  = (1/M) sum_j o_j H(U, p(u_j))
        L_mix = (1/P) sum_i m_i [lam H(T[a_i], p(v_i)) + (1 - lam) H(T[b_i], p(v_i))]

    The pool is the ID batch and its first B outliers, P = B + min(B, M) images with targets T: one-hot for ID images,
    uniform U for outliers. v_i = lam * pool[a_i] + (1 - lam) * pool[b_i] with a, b two random permutations and one
    lam ~ Beta(alpha, beta) a batch. o_j is 0 for outliers that the filter drops and m_i for mixtures of one; with
    `normalise = "kept"` the sums are divided by sum o_j and sum m_i instead.

    After the authors' final main.py. Departures: Boolean masks for lists of positions, which recent PyTorch reads
    differently; exactly k outliers dropped by `topk`, also where confidences tie; M < B allowed.
    """

    def __init__(self, spec: config.GOE) -> None:
        super().__init__()
        self.spec = spec

    def step(self, net: Net, batch: Batch, rng: np.random.Generator) -> StepOutput:
        """A filter forward without gradient, then one forward of [x, v, x_out], (B + P + M) rows.

        One, so that all three share batch-norm statistics, as in the authors' code. With `mix_weight` 0 nothing is
        mixed: outlier exposure with a filter, B + M rows, no draw from `rng` and no "mix" among the terms.
        """
        require_outliers(batch)
        spec = self.spec
        filtered = filter_outliers(net, batch, spec.filter)
        everything = batch.x_out.new_ones(len(batch.x_out), dtype=torch.bool)
        keep = everything if filtered is None else ~filtered.dropped
        mix = mix_pool(batch, keep, rng, alpha=spec.alpha, beta=spec.beta) if spec.mix_weight > 0 else None

        mixed = batch.x[:0] if mix is None else mix.images
        parts = [batch.x, mixed, batch.x_out]
        logits, logits_mix, logits_out = net(torch.cat(parts)).split([len(part) for part in parts])
        terms = {
            "ce": cross_entropy(logits, batch.y).mean(),
            "oe": masked_mean(uniform_cross_entropy(logits_out), keep, spec.normalise),
        }
        loss = terms["ce"] + spec.oe_weight * terms["oe"]
        if mix is not None:
            terms["mix"] = masked_mean(mix.cross_entropy(logits_mix, batch.y), mix.keep, spec.normalise)
            loss = loss + spec.mix_weight * terms["mix"]
        return StepOutput(
            loss=loss,
            logits=logits.detach(),
            terms={name: term.detach() for name, term in terms.items()},
            dropped=None if filtered is None else filtered.dropped,
            threshold=None if filtered is None else filtered.threshold,
        )


@dataclass(frozen=True, slots=True)
class Mix:
    """RandomMixup of a batch: P mixtures of two pool images each."""

    images: Tensor
    """(P, 3, H, W), lam * pool[first] + (1 - lam) * pool[second]."""
    first: Tensor
    """(P,) int64, a permutation of the pool; positions below B are ID images."""
    second: Tensor
    """(P,) int64, another one."""
    lam: float
    """Share of the first image, in [0, 1]."""
    keep: Tensor
    """(P,) bool, False where either image is a dropped outlier."""

    def cross_entropy(self, logits: Tensor, y: Tensor) -> Tensor:
        """Mixup loss in nats, (P,), of the mixtures' logits (P, K) given the ID classes y (B,)."""
        logits = at_least_float32(logits)
        classes = logits.shape[1]
        targets = torch.full_like(logits, 1 / classes)
        targets[: len(y)] = F.one_hot(y, classes)
        return mixed_cross_entropy(logits, targets[self.first], targets[self.second], self.lam)


def mix_pool(batch: Batch, keep: Tensor, rng: np.random.Generator, *, alpha: float, beta: float) -> Mix:
    """RandomMixup of the ID batch and its first B outliers, of which `keep` (M,) bool says which count.

    Draws from `rng`, in this order: lam from Beta(alpha, beta) (none where alpha <= 0: lam is 1, the mixtures are pool
    images in another order), the first permutation, the second.
    """
    size = len(batch.x)
    pool = torch.cat([batch.x, batch.x_out[:size]])
    keep_pool = torch.cat([torch.ones_like(batch.y, dtype=torch.bool), keep[:size]])
    lam = rng.beta(alpha, beta) if alpha > 0 else 1.0
    first, second = (_permutation(len(pool), rng, pool.device) for _ in range(2))
    return Mix(
        # pool[first], not index_select: that one loses channels_last.
        images=lam * pool[first] + (1 - lam) * pool[second],
        first=first,
        second=second,
        lam=lam,
        keep=keep_pool[first] & keep_pool[second],
    )


def _permutation(length: int, rng: np.random.Generator, device: torch.device) -> Tensor:
    return torch.from_numpy(rng.permutation(length)).to(device, non_blocking=True)
