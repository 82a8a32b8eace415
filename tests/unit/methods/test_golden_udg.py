"""UDG against a reference in plain loops: pseudo-labels, cluster weights and loss, from the clusters that it found.

Only which image is in which cluster is the method's own; `test_clustering.py` is about that.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import pytest
import torch
from plain_loops import Head, Image, cross, head_of, logits_of
from stub_nets import Images, LinearNet

from goe.core import specs
from goe.methods import Batch
from goe.methods.udg import UDG

SHAPE = (1, 6, 4)
PIXELS = 24
ID, OUTLIERS = 40, 32
SPEC = specs.UDG(clusters=14, purity=0.4, oe_weight=0.7, aux_weight=1.3, features=20)


def planted(classes: int) -> Images:
    """Images near one of five prototypes, every second outlier too; the others are noise. Not all classes are there."""
    generator = torch.Generator().manual_seed(classes)
    prototypes = 3 * torch.randn(5, *SHAPE, generator=generator, dtype=torch.float64)
    kind, kind_out = torch.arange(ID) % 5, torch.arange(OUTLIERS) // 2 % 5
    noise, noise_out = (torch.randn(n, *SHAPE, generator=generator, dtype=torch.float64) for n in (ID, OUTLIERS))
    inside = (torch.arange(OUTLIERS) % 2 == 0)[:, None, None, None]
    x_out = torch.where(inside, prototypes[kind_out] + 0.5 * noise_out, 3 * noise_out)
    return Images(prototypes[kind] + 0.5 * noise, kind * (classes - 1) // 4, x_out, classes)


@dataclass
class Groups:
    """What comes before an epoch, by image: ID images first, then outliers."""

    cluster: list[int]
    pseudo: list[int]
    weight: list[float]


def groups(cluster: list[int], labels: list[int], pseudo: list[int], classes: int) -> Groups:
    """New pseudo-labels from those of the epoch before, and the weight of each cluster."""
    of_cluster, raw = [], []
    for c in range(SPEC.clusters):
        members = [label for its, label in zip(cluster, labels + pseudo, strict=True) if its == c]
        pure = [k for k in range(-1, classes) if members and members.count(k) / len(members) > SPEC.purity]
        of_cluster.append(pure[0] if pure else -1)
        raw.append(1 / sqrt(len(members)) if members else 0.0)
    mean = sum(raw) / sum(weight > 0 for weight in raw)
    return Groups(cluster, [of_cluster[c] for c in cluster[len(labels) :]], [weight / mean for weight in raw])


def reference(
    net: Head, aux: Head, images: list[Image], labels: list[int], cluster: list[int], weight: list[float]
) -> dict[str, float]:
    """The terms of a step; the label of an outlier is its pseudo-label."""
    classes = len(net[1])
    ce, oe, auxiliary = [], [], []
    for image, label, c in zip(images, labels, cluster, strict=True):
        z, q = logits_of(net, image), logits_of(aux, image)  # the features are the pixels
        if label >= 0:
            ce.append(cross([1.0 if k == label else 0.0 for k in range(classes)], z))
        else:
            oe.append(cross([1 / classes] * classes, z))
        auxiliary.append(weight[c] * cross([1.0 if k == c else 0.0 for k in range(len(aux[1]))], q))
    means = {"ce": ce, "oe": oe, "aux": auxiliary}
    return {name: sum(values) / len(values) if values else 0.0 for name, values in means.items()}


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize(("b", "m"), [(8, 16), (5, 16), (6, 4), (1, 1)], ids=["full", "short", "few-outliers", "one"])
def test_udg_agrees_with_plain_loops(classes: int, b: int, m: int) -> None:
    view, net = planted(classes), LinearNet(PIXELS, classes).double()
    method = UDG(SPEC)
    method.bind(net, view)
    method.double()
    labels, pseudo = view.labels.tolist(), [-1] * OUTLIERS
    for epoch in range(2):  # the second one has the pseudo-labels of the first for evidence
        method.start_epoch(net, view, epoch, np.random.default_rng(epoch))
        found = groups([*method.cluster_id.tolist(), *method.cluster_out.tolist()], labels, pseudo, classes)
        pseudo = found.pseudo
        assert method.pseudo_labels.tolist() == pseudo
        assert method.cluster_weight.tolist() == pytest.approx(found.weight, rel=1e-11)
    assert len(set(found.weight)) > 3  # else the weights would show nothing
    torch.nn.init.normal_(method.aux.weight, generator=torch.Generator().manual_seed(1))
    torch.nn.init.normal_(method.aux.bias, generator=torch.Generator().manual_seed(2))

    rng = np.random.default_rng(5)
    index, index_out = torch.from_numpy(rng.permutation(ID)[:b]), torch.from_numpy(rng.permutation(OUTLIERS)[:m])
    batch = Batch(view.x[index], view.labels[index], index, view.x_out[index_out], index_out)
    taken = [pseudo[j] for j in index_out.tolist()]
    assert m == 1 or min(taken) == -1 < max(taken)  # some are taken for ID images and some aren't
    output = method.step(net, batch, rng)

    expected = reference(
        head_of(net),
        (method.aux.weight.tolist(), method.aux.bias.tolist()),
        [*batch.x.tolist(), *batch.x_out.tolist()],
        [*batch.y.tolist(), *taken],
        [found.cluster[i] for i in index.tolist()] + [found.cluster[ID + j] for j in index_out.tolist()],
        found.weight,
    )
    assert {name: term.item() for name, term in output.terms.items()} == pytest.approx(expected, rel=1e-11)
    loss = expected["ce"] + SPEC.oe_weight * expected["oe"] + SPEC.aux_weight * expected["aux"]
    assert output.loss.item() == pytest.approx(loss, rel=1e-11)
    assert output.loss.dtype == torch.float64
    assert output.dropped is not None
    assert output.dropped.tolist() == [label >= 0 for label in taken]
