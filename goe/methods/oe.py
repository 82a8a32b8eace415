"""Outlier Exposure."""

import numpy as np
import torch

from goe.core import config
from goe.methods.base import Batch, Method, StepOutput, require_outliers
from goe.methods.losses import cross_entropy, uniform_cross_entropy
from goe.models.base import Net


class OE(Method):
    """L = CE(z(x), y) + weight * (1/M) sum_j [logsumexp_k z_k(u_j) - mean_k z_k(u_j)].

    Outlier Exposure (Hendrycks et al., ICLR 2019, arXiv:1812.04606, eq. 1); weight 0.5 as in their CIFAR code.
    """

    def __init__(self, spec: config.OE) -> None:
        super().__init__()
        self.spec = spec

    def step(self, net: Net, batch: Batch, rng: np.random.Generator) -> StepOutput:  # noqa: ARG002
        """One forward of [x, x_out], (B + M) rows; `rng` isn't drawn from.

        One, as in the authors' code: with two forwards each side gets batch-norm statistics of its own, and results
        are far worse (OpenOOD issue 138).
        """
        require_outliers(batch)
        logits, logits_out = net(torch.cat([batch.x, batch.x_out])).split([len(batch.x), len(batch.x_out)])
        ce = cross_entropy(logits, batch.y).mean()
        oe = uniform_cross_entropy(logits_out).mean()
        return StepOutput(
            loss=ce + self.spec.weight * oe,
            logits=logits.detach(),
            terms={"ce": ce.detach(), "oe": oe.detach()},
        )
