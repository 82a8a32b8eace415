"""Energy-OE: outlier exposure that pushes energies apart instead of flattening probabilities."""

import numpy as np

from goe.core import specs
from goe.methods.base import Batch, Method, StepOutput, forward_parts, require_outliers
from goe.methods.filtering import filter_outliers, kept
from goe.methods.losses import cross_entropy, energy, masked_mean
from goe.models.base import Net


class EnergyOE(Method):
    """L = CE(z(x), y) + weight * [(1/B) sum_i relu(E(x_i) - m_in)^2 + (1/M) sum_j o_j relu(m_out - E(u_j))^2].

    E(x) = -logsumexp_k z_k(x). Energy-bounded learning (Liu et al., NeurIPS 2020, arXiv:2010.03759, section 3.3, eq. 8
    and 9); weight 0.1 is in their CIFAR/train.py, margins by data set in their run.sh. o_j is 0 for outliers that the
    filter drops, else 1; with `normalise = "kept"` the second sum is divided by sum o_j.

    The authors filter nothing, which is the default, and fine-tune a trained network for ten epochs. The G-OE authors
    train from scratch instead; whether a run starts from a trained network is no business of the method.
    """

    def __init__(self, spec: specs.EnergyOE) -> None:
        super().__init__()
        self.spec = spec

    def step(self, net: Net, batch: Batch, rng: np.random.Generator) -> StepOutput:  # noqa: ARG002
        """A filter forward without gradient if there is a filter, then [x, x_out]; `rng` isn't drawn from.

        The term "energy" is the two squared hinges together.
        """
        require_outliers(batch)
        spec = self.spec
        filtered = filter_outliers(net, batch, spec.filter, self.epoch)
        logits, logits_out = forward_parts(net, [batch.x, batch.x_out], spec.forward)
        ce = cross_entropy(logits, batch.y).mean()
        hinge_in = (energy(logits) - spec.m_in).relu().square()
        hinge_out = (spec.m_out - energy(logits_out)).relu().square()
        hinges = hinge_in.mean() + masked_mean(hinge_out, kept(filtered, batch), spec.normalise)
        return StepOutput(
            loss=ce + spec.weight * hinges,
            logits=logits.detach(),
            terms={"ce": ce.detach(), "energy": hinges.detach()},
            dropped=None if filtered is None else filtered.dropped,
            threshold=None if filtered is None else filtered.threshold,
        )
