"""Generalized Outlier Exposure: outlier exposure, RandomMixup, and a filter for outliers that look like ID data."""

import numpy as np

from goe.core import specs
from goe.methods.base import Batch, Method, StepOutput, forward_parts, require_outliers
from goe.methods.filtering import filter_outliers, kept
from goe.methods.losses import cross_entropy, masked_mean, uniform_cross_entropy
from goe.methods.mixing import mix_pool
from goe.models.base import Net


class GOE(Method):
    """L = CE(z(x), y) + mix_weight * L_mix + oe_weight * L_oe (Koo et al., Neurocomputing 577, 2024, 127371).

        L_oe  = (1/M) sum_j o_j H(U, p(u_j))
        L_mix = (1/P) sum_i m_i [lam H(T[a_i], p(v_i)) + (1 - lam) H(T[b_i], p(v_i))]

    The pool is the ID batch and its first B outliers, P = B + min(B, M) images with targets T: one-hot for ID images,
    uniform U for outliers. v_i = lam * pool[a_i] + (1 - lam) * pool[b_i] with a, b two random permutations and one
    lam ~ Beta(alpha, beta) a batch. o_j is 0 for outliers that the filter drops and m_i for mixtures of one; with
    `normalise = "kept"` the sums are divided by sum o_j and sum m_i instead.

    After the authors' final main.py, as the article's text could not be had. Departures: Boolean masks for lists of
    positions, which recent PyTorch reads differently; exactly k outliers dropped by `topk`, also where confidences
    tie; M < B allowed. Not theirs either, and off by default: CutMix, a lam for each mixture, `quantile`, warm-up of
    the filter, separate forwards.
    """

    def __init__(self, spec: specs.GOE) -> None:
        super().__init__()
        self.spec = spec

    def step(self, net: Net, batch: Batch, rng: np.random.Generator) -> StepOutput:
        """A filter forward without gradient, then [x, v, x_out], (B + P + M) rows.

        With `mix_weight` 0 nothing is mixed: outlier exposure with a filter, B + M rows, no draw from `rng` and no
        "mix" among the terms.
        """
        require_outliers(batch)
        spec = self.spec
        filtered = filter_outliers(net, batch, spec.filter, self.epoch)
        keep = kept(filtered, batch)
        mixtures = mix_pool(batch, spec.mix, rng, keep=keep) if spec.mix_weight > 0 else None

        mixed = [] if mixtures is None else [mixtures.images]
        outputs = forward_parts(net, [batch.x, *mixed, batch.x_out], spec.forward)
        logits, logits_out = outputs[0], outputs[-1]
        terms = {
            "ce": cross_entropy(logits, batch.y).mean(),
            "oe": masked_mean(uniform_cross_entropy(logits_out), keep, spec.normalise),
        }
        loss = terms["ce"] + spec.oe_weight * terms["oe"]
        if mixtures is not None:
            terms["mix"] = masked_mean(mixtures.cross_entropy(outputs[1], batch.y), mixtures.keep, spec.normalise)
            loss = loss + spec.mix_weight * terms["mix"]
        return StepOutput(
            loss=loss,
            logits=logits.detach(),
            terms={name: term.detach() for name, term in terms.items()},
            dropped=None if filtered is None else filtered.dropped,
            threshold=None if filtered is None else filtered.threshold,
        )
