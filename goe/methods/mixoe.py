"""MixOE: outlier exposure on mixtures of ID images with outliers, so that confidence falls off between the two."""

import numpy as np

from goe.core import specs
from goe.methods.base import Batch, Method, StepOutput, forward_parts, require_outliers
from goe.methods.filtering import filter_outliers, kept
from goe.methods.losses import cross_entropy, masked_mean
from goe.methods.mixing import mix_pairs
from goe.models.base import Net


class MixOE(Method):
    """L = CE(z(x), y) + weight * (1/B) sum_i m_i H(lam onehot(y_i) + (1 - lam) U, p(v_i)).

    Mixture Outlier Exposure (Zhang et al., WACV 2023, arXiv:2106.03917), after its authors' train/train_mixoe.py; the
    numbers of the paper's equations could not be checked, as its text could not be had. U is the uniform distribution.
    v_i = lam * x_i + (1 - lam) * u_i, or x_i with a box of u_i pasted in and lam the share left of x_i (the authors
    found a box of x_i in u_i worse). m_i is 0 where the filter drops u_i, else 1; with `normalise = "kept"` the sum is
    divided by sum m_i. Weight 5 is that of their scripts, where it is called beta.

    lam ~ Beta(alpha, beta) with both parameters of the mixing alone: the authors draw from Beta(alpha, alpha), and
    OpenOOD takes their loss weight beta for the second parameter, so that its mean lam is 0.09 (from Beta(0.1, 1)).
    Departures, off by default: a lam for each mixture, a filter. M != B is allowed: the first B outliers are used,
    repeated where there are fewer. The authors fine-tune a trained network for ten epochs with batches of 32, a weight
    decay of 1e-5 and, for CutMix, alpha 2; here those are the run's, 128, 5e-4 and 1 where it says nothing.
    """

    def __init__(self, spec: specs.MixOE) -> None:
        super().__init__()
        self.spec = spec

    def step(self, net: Net, batch: Batch, rng: np.random.Generator) -> StepOutput:
        """A filter forward without gradient if there is a filter, then [x, v], B rows each.

        The filter judges all M outliers, also those that aren't mixed.
        """
        require_outliers(batch)
        spec = self.spec
        filtered = filter_outliers(net, batch, spec.filter, self.epoch)
        mixtures = mix_pairs(batch, spec.mix, rng, keep=kept(filtered, batch))
        logits, logits_mix = forward_parts(net, [batch.x, mixtures.images], spec.forward)
        ce = cross_entropy(logits, batch.y).mean()
        mix = masked_mean(mixtures.cross_entropy(logits_mix, batch.y), mixtures.keep, spec.normalise)
        return StepOutput(
            loss=ce + spec.weight * mix,
            logits=logits.detach(),
            terms={"ce": ce.detach(), "mix": mix.detach()},
            dropped=None if filtered is None else filtered.dropped,
            threshold=None if filtered is None else filtered.threshold,
        )
