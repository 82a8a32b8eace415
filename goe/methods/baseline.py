"""Plain classification: what outlier exposure is compared with."""

import numpy as np

from goe.methods.base import Batch, Method, StepOutput
from goe.methods.losses import cross_entropy
from goe.models.base import Net


class Baseline(Method):
    """L = CE(z(x), y), the mean over the B ID images.

    What Hendrycks and Gimpel score by the maximum softmax probability (ICLR 2017, arXiv:1610.02136; its text could not
    be had to look up an equation).

    Departure: the G-OE authors' loop also sends the outlier batch through the network, where it enters batch norm's
    statistics though not the loss. A baseline that has seen outliers is none, so this one gets none.
    """

    needs_outliers = False

    def step(self, net: Net, batch: Batch, rng: np.random.Generator) -> StepOutput:  # noqa: ARG002
        """One forward of x. Outliers in the batch are ignored and `rng` isn't drawn from."""
        logits = net(batch.x)
        ce = cross_entropy(logits, batch.y).mean()
        return StepOutput(loss=ce, logits=logits.detach(), terms={"ce": ce.detach()})
