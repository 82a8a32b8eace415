"""What a training method is: one step from a batch to a loss, with the network run by the method itself.

The method runs the network because what shares a forward pass shares batch-norm statistics, which makes it part of the
method.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from goe.models.base import Net


@dataclass(frozen=True, slots=True)
class Batch:
    """B ID images with labels and M outliers without, on the network's device, normalised and augmented."""

    x: Tensor
    """ID images, (B, 3, H, W), float."""
    y: Tensor
    """Their classes, (B,) int64 in [0, K)."""
    index: Tensor
    """Their positions in the ID set, (B,) int64."""
    x_out: Tensor
    """Outliers, (M, 3, H, W), float. M >= 1 where the method needs outliers, else it may be 0."""
    index_out: Tensor
    """Their positions in the outlier stream, (M,) int64."""


@dataclass(frozen=True, slots=True)
class StepOutput:
    """What one step hands the loop. Nothing in it has been copied to the host."""

    loss: Tensor
    """() what to differentiate: the weighted sum of `terms`."""
    logits: Tensor
    """(B, K) logits of the ID images, detached, for the training accuracy."""
    terms: Mapping[str, Tensor]
    """{"ce", "oe", "mix"} as far as the method has them: () each, unweighted and detached."""
    dropped: Tensor | None = None
    """(M,) bool, the outliers that the filter left out; None when nothing was filtered."""
    threshold: Tensor | None = None
    """() float, the confidence at or above which outliers were left out; None exactly when `dropped` is None.

    For `topk` it is the least confidence dropped, so an outlier kept because of a tie may equal it.
    """


class Method(nn.Module, ABC):
    """A training objective. A module, so that parameters of its own are moved, optimised and saved by the loop."""

    needs_outliers: bool = True
    """Whether `step` must be given outliers. Without, the loop loads none."""

    @abstractmethod
    def step(self, net: Net, batch: Batch, rng: np.random.Generator) -> StepOutput:
        """Loss and what to log for one batch. `net` is in training mode; all chance comes from `rng`."""


def require_outliers(batch: Batch) -> None:
    """Raise ValueError when the batch has no outliers: the run would quietly become a baseline."""
    if len(batch.x_out) == 0:
        raise ValueError("batch: 0 outliers; this method needs at least 1 a step")
