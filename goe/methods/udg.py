"""Unsupervised dual grouping: clusters tell which outliers are ID images, and are themselves a task to learn."""

from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from goe.core import specs
from goe.core.errors import ConfigError
from goe.methods.base import Batch, Method, StepOutput, TrainingView, require_outliers
from goe.methods.clustering import clustering_space, k_means
from goe.methods.filtering import evaluating
from goe.methods.losses import cross_entropy, masked_mean, uniform_cross_entropy
from goe.models.base import Net

UNKNOWN = -1
"""The pseudo-label of an outlier that is not taken for an ID image."""


class UDG(Method):
    """L = L_ce + oe_weight * L_oe + aux_weight * L_aux (Yang et al., ICCV 2021, arXiv:2108.11941).

        L_ce  = mean of H(y_i, p(x_i)) over the ID images and the outliers with a pseudo-label y_j >= 0
        L_oe  = mean of H(U, p(u_j)) over the outliers with pseudo-label -1
        L_aux = mean of w_c H(c, q(x)) over all images, c being the cluster of x and q the auxiliary head's softmax

    Before each epoch the features of all ID images and outliers, un-augmented and in evaluation mode, are PCA-whitened,
    scaled to length 1 and clustered by k-means. In each cluster, the first of the labels -1, 0, ..., K - 1 that more
    than `purity` of its members have becomes the pseudo-label of its outliers, -1 if there is none. An outlier's label
    in this count is its pseudo-label of the epoch before, at first -1. w_c is proportional to the cluster's size to the
    power of -1/2, with mean 1 over clusters. The auxiliary head starts anew each epoch.

    After scood/trainers/udg_trainer.py of Jingkang50/ICCV21_SCOOD; the numbers of the paper's equations could not be
    checked, as its text could not be had. Their OOD enhancement (`tau_ood`) is left out: it is dead code in all
    published configurations. Departures: pseudo-labels kept by the method, not on the data set, which saves them in
    checkpoints and from worker processes; never more dimensions than the features vary in; empty clusters kept out of
    the mean weight, where one alone would bring all others near 0; L_oe 0 where no outlier is left, not NaN; k-means
    and its guards as in goe.methods.clustering. Not theirs, and off by default: joint forwards.
    """

    aux: nn.Linear
    """The auxiliary head, (feature_dim -> clusters)."""
    pseudo_labels: Tensor
    """(outliers,) int64: each one's class, or -1. Evidence for the next epoch, so part of a checkpoint."""
    cluster_id: Tensor
    """(N,) int64, the cluster of each ID image in this epoch."""
    cluster_out: Tensor
    """(outliers,) int64, likewise."""
    cluster_weight: Tensor
    """(clusters,) float, w_c in this epoch."""

    def __init__(self, spec: specs.UDG) -> None:
        super().__init__()
        self.spec = spec

    def bind(self, net: Net, data: TrainingView) -> None:
        """Make head and pseudo-labels. ConfigError for 0 outliers, or for more clusters than images."""
        clusters, size, size_out = self.spec.clusters, len(data.labels), data.num_outliers
        if size_out == 0:
            raise ConfigError(["method: udg with 0 outliers; it needs at least 1: choose outliers.source"])
        if clusters > size + size_out:
            images = f"{size + size_out} images ({size} ID, {size_out} outliers)"
            raise ConfigError([f"method.clusters: {clusters} for {images}; choose at most one for each image"])
        self.aux = nn.Linear(net.feature_dim, clusters)
        self.register_buffer("pseudo_labels", torch.full((size_out,), UNKNOWN))
        for name, zeros in {
            "cluster_id": torch.zeros(size, dtype=torch.int64),
            "cluster_out": torch.zeros(size_out, dtype=torch.int64),
            "cluster_weight": torch.zeros(clusters),
        }.items():
            self.register_buffer(name, zeros, persistent=False)

    @torch.no_grad()
    def start_epoch(self, net: Net, data: TrainingView, epoch: int, rng: np.random.Generator) -> None:
        """Group all images anew, give outliers pseudo-labels, begin with a new auxiliary head.

        Draws from `rng` the first centres, then the head.
        """
        super().start_epoch(net, data, epoch, rng)
        spec = self.spec
        points = clustering_space(_plain_features(net, data), spec.features)
        cluster = k_means(points, spec.clusters, spec.iterations, rng)
        self.cluster_id, self.cluster_out = torch.split(cluster, [len(data.labels), data.num_outliers])
        self.cluster_weight.copy_(cluster_weights(cluster.bincount(minlength=spec.clusters)))
        labels = torch.cat([data.labels, self.pseudo_labels])
        of_cluster = cluster_labels(
            cluster, labels, clusters=spec.clusters, classes=data.num_classes, purity=spec.purity
        )
        self.pseudo_labels.copy_(of_cluster[self.cluster_out])
        weight = rng.normal(0.0, 0.01, tuple(self.aux.weight.shape))
        self.aux.weight.copy_(torch.from_numpy(weight))
        self.aux.bias.zero_()

    def step(self, net: Net, batch: Batch, rng: np.random.Generator) -> StepOutput:  # noqa: ARG002
        """Features of x and x_out in two forwards, and both heads on them; `rng` isn't drawn from.

        `dropped` are the outliers taken for ID images.
        """
        require_outliers(batch)
        spec = self.spec
        pseudo = self.pseudo_labels[batch.index_out]
        labels = torch.cat([batch.y, pseudo])
        known = labels != UNKNOWN
        cluster = torch.cat([self.cluster_id[batch.index], self.cluster_out[batch.index_out]])

        features = _features(net, batch, spec.forward)
        logits = net.head(features)
        ce = masked_mean(cross_entropy(logits, labels.clamp(min=0)), known, "kept")
        oe = masked_mean(uniform_cross_entropy(logits), ~known, "kept")
        aux = (self.cluster_weight[cluster] * cross_entropy(self.aux(features), cluster)).mean()
        return StepOutput(
            loss=ce + spec.oe_weight * oe + spec.aux_weight * aux,
            logits=logits[: len(batch.y)].detach(),
            terms={"ce": ce.detach(), "oe": oe.detach(), "aux": aux.detach()},
            dropped=pseudo != UNKNOWN,
        )


def cluster_weights(sizes: Tensor) -> Tensor:
    """w_c, (C,) float64: proportional to size^(-1/2), with mean 1 over clusters that have members; 0 for the others."""
    weights = torch.where(sizes > 0, sizes.double().clamp(min=1).rsqrt(), 0.0)
    return weights * (sizes > 0).sum() / weights.sum()


def cluster_labels(cluster: Tensor, labels: Tensor, *, clusters: int, classes: int, purity: float) -> Tensor:
    """The label that each cluster gives its outliers, (C,) int64 in [-1, K).

    From the cluster, in [0, C), and the label, in [-1, K), of each image: the first of -1, 0, ..., K - 1 that more than
    the share `purity` of the cluster has; -1 where none has it or the cluster is empty.
    """
    values = classes + 1
    counts = (cluster * values + labels + 1).bincount(minlength=clusters * values).view(clusters, values)
    share = counts.double() / counts.sum(1, keepdim=True).clamp(min=1)
    return (share > purity).int().argmax(1) - 1  # argmax takes the first of equals, hence -1 where all are 0


def _plain_features(net: Net, data: TrainingView) -> Tensor:
    """(N + outliers, D) float32, of the un-augmented images in order, ID images first."""
    with evaluating(net):
        return torch.cat([net.features(x).float() for x in chain(data.plain_id(), data.plain_outliers())])


def _features(net: Net, batch: Batch, forward: specs.Forward) -> Tensor:
    """(B + M, D), of x and x_out."""
    if forward == "joint":
        return net.features(torch.cat([batch.x, batch.x_out]))
    return torch.cat([net.features(batch.x), net.features(batch.x_out)])
