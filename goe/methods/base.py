"""What a training method is: one step from a batch to a loss, with the network run by the method itself.

The method runs the network because what shares a forward pass shares batch-norm statistics, which makes it part of the
method.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from goe.core import specs
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
    """{"ce", "oe", "mix", "energy", "aux"} as far as the method has them: () each, unweighted and detached."""
    dropped: Tensor | None = None
    """(M,) bool, the outliers that the filter left out; None when nothing was filtered."""
    threshold: Tensor | None = None
    """() float, the confidence at or above which outliers were left out; None where no single one decided.

    For `topk` it is the least confidence dropped, so an outlier kept because of a tie may equal it.
    """


class TrainingView(Protocol):
    """What a method may see of the training sets between epochs, on the network's device and without augmentation."""

    @property
    def num_classes(self) -> int:
        """K"""

    @property
    def labels(self) -> Tensor:
        """(N,) int64, the class of each ID image; `Batch.index` points into it."""

    @property
    def num_outliers(self) -> int:
        """Images of the outlier set; `Batch.index_out` is below it."""

    def plain_id(self) -> Iterator[Tensor]:
        """All ID images in order, in batches (b, 3, H, W)."""

    def plain_outliers(self) -> Iterator[Tensor]:
        """All outliers in order, likewise."""


class Method(nn.Module, ABC):
    """A training objective. A module, so that parameters of its own are moved, optimised and saved by the loop."""

    needs_outliers: bool = True
    """Whether `step` must be given outliers. Without, the loop loads none."""

    epoch = 0
    """The epoch, from 0, that `step` is in; the loop sets it through `start_epoch`."""

    def bind(self, net: Net, data: TrainingView) -> None:
        """Make the parameters and buffers whose size depends on network or data; called once, before training.

        Raises ConfigError where the method does not fit them.
        """

    def start_epoch(self, net: Net, data: TrainingView, epoch: int, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Do what comes before an epoch's first step; all chance comes from `rng`."""
        self.epoch = epoch

    @abstractmethod
    def step(self, net: Net, batch: Batch, rng: np.random.Generator) -> StepOutput:
        """Loss and what to log for one batch. `net` is in training mode; all chance comes from `rng`."""


def forward_parts(net: Net, parts: Sequence[Tensor], forward: specs.Forward) -> tuple[Tensor, ...]:
    """Logits of each of `parts` (n_i, 3, H, W), n_i >= 1: from one pass over all rows, or from a pass each.

    One pass is what Outlier Exposure, Energy-OE and G-OE do: with two, each side gets batch-norm statistics of its own,
    and OE becomes far worse (OpenOOD issue 138). MixOE and UDG use separate ones.
    """
    if forward == "separate":
        return tuple(net(part) for part in parts)
    logits: Tensor = net(torch.cat(list(parts)))
    return tuple(torch.split(logits, [len(part) for part in parts]))


def require_outliers(batch: Batch) -> None:
    """Raise ValueError when the batch has no outliers: the run would quietly become a baseline."""
    if len(batch.x_out) == 0:
        raise ValueError("batch: 0 outliers; this method needs at least 1 a step")
