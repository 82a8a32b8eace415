"""Outlier Exposure, with or without a filter for outliers that look like ID data."""

import numpy as np

from goe.core import specs
from goe.methods.base import Batch, Method, StepOutput, forward_parts, require_outliers
from goe.methods.filtering import filter_outliers, kept
from goe.methods.losses import cross_entropy, masked_mean, uniform_cross_entropy
from goe.models.base import Net


class OE(Method):
    """L = CE(z(x), y) + weight * (1/M) sum_j o_j [logsumexp_k z_k(u_j) - mean_k z_k(u_j)].

    Outlier Exposure (Hendrycks et al., ICLR 2019, arXiv:1812.04606), after the authors' CIFAR/oe_scratch.py, where the
    weight is 0.5; the numbers of the paper's equations could not be checked, as its text could not be had. o_j is 0 for
    outliers that the filter drops, else 1; with `normalise = "kept"` the sum is divided by sum o_j.

    Departures, off by default: a filter, division by what is kept, separate forwards. With a filter it is G-OE without
    mixing, the "OE with filtering" in the figure of the G-OE authors' repository. The authors train for 100 epochs, or
    fine-tune for ten, at a cosine; how long and how is the run's, by default 200 epochs in steps as in the G-OE code.
    """

    def __init__(self, spec: specs.OE) -> None:
        super().__init__()
        self.spec = spec

    def step(self, net: Net, batch: Batch, rng: np.random.Generator) -> StepOutput:  # noqa: ARG002
        """A filter forward without gradient if there is a filter, then [x, x_out]; `rng` isn't drawn from."""
        require_outliers(batch)
        spec = self.spec
        filtered = filter_outliers(net, batch, spec.filter, self.epoch)
        logits, logits_out = forward_parts(net, [batch.x, batch.x_out], spec.forward)
        ce = cross_entropy(logits, batch.y).mean()
        oe = masked_mean(uniform_cross_entropy(logits_out), kept(filtered, batch), spec.normalise)
        return StepOutput(
            loss=ce + spec.weight * oe,
            logits=logits.detach(),
            terms={"ce": ce.detach(), "oe": oe.detach()},
            dropped=None if filtered is None else filtered.dropped,
            threshold=None if filtered is None else filtered.threshold,
        )
