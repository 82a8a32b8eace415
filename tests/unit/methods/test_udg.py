"""UDG: pseudo-labels and losses by hand, planted ID images found again, resuming."""

from math import log, sqrt
from typing import Any

import numpy as np
import pytest
import torch
from stub_nets import Images, LinearNet, NormNet, PixelNet, batch_of
from torch import Tensor

from goe.core import specs
from goe.core.errors import ConfigError
from goe.methods import Batch, StepOutput
from goe.methods.udg import UDG, cluster_labels, cluster_weights
from goe.models.base import Net

CLASSES = 3


def planted(seed: int = 0) -> tuple[Images, Tensor, Tensor]:
    """3 classes of 60 images, 3 kinds of outliers of 60, and 20 ID images among the outliers; with truth and class.

    Each class and kind is a tight cloud on an axis of its own in 6 dimensions.
    """
    generator = torch.Generator().manual_seed(seed)

    def clouds(axis: Tensor) -> Tensor:
        noise = torch.randn(len(axis), 6, generator=generator)
        return (10 * torch.eye(6)[axis] + 0.1 * noise).reshape(-1, 6, 1, 1)

    labels = torch.arange(180) % CLASSES
    inside = torch.arange(20) % CLASSES
    axis_out = torch.cat([inside, CLASSES + torch.arange(180) % 3])[torch.randperm(200, generator=generator)]
    is_id = axis_out < CLASSES
    return Images(clouds(labels), labels, clouds(axis_out), CLASSES), is_id, axis_out


def bound(net: Net, view: Images, **options: Any) -> UDG:
    method = UDG(specs.UDG(**{"clusters": 30, **options}))
    method.bind(net, view)
    return method


def grouped(
    pseudo: list[int], cluster: list[int], cluster_out: list[int], weight: list[float], *, net: Net, **options: Any
) -> UDG:
    """A method in float64 whose groups are given; its auxiliary head is 0."""
    size, size_out = len(cluster), len(cluster_out)
    view = Images(torch.zeros(size, 1), torch.zeros(size, dtype=torch.int64), torch.zeros(size_out, 1), 2)
    method = bound(net, view, **{"clusters": len(weight), **options}).double()
    torch.nn.init.zeros_(method.aux.weight)
    torch.nn.init.zeros_(method.aux.bias)
    method.pseudo_labels.copy_(torch.tensor(pseudo))
    method.cluster_id.copy_(torch.tensor(cluster))
    method.cluster_out.copy_(torch.tensor(cluster_out))
    method.cluster_weight.copy_(torch.tensor(weight))
    return method


def values(output: StepOutput) -> dict[str, float]:
    return {name: term.item() for name, term in output.terms.items()}


RNG = np.random.default_rng(0)


# ---- pseudo-labels and weights


def test_pseudo_labels_by_hand() -> None:
    # 2 classes, 8 clusters, purity 0.6.
    table = {
        0: ([0, 0, -1], 0),  # 2/3 > 0.6: class 0
        1: ([0, 0, 0, -1, -1], -1),  # 3/5 is not more than 0.6
        2: ([-1, -1, -1, 1], -1),  # -1 itself is pure
        3: ([1, -1, -1, -1], -1),
        4: ([1, 1, 1, 0], 1),
        5: ([0, 1, -1], -1),  # nothing is pure
        6: ([1], 1),
        7: ([], -1),
    }
    cluster = torch.tensor([c for c, (members, _) in table.items() for _ in members])
    labels = torch.tensor([label for members, _ in table.values() for label in members])
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    found = cluster_labels(cluster[order], labels[order], clusters=8, classes=2, purity=0.6)
    assert found.tolist() == [expected for _, expected in table.values()]


@pytest.mark.parametrize(
    ("members", "purity", "expected"),
    [
        ([1, 0], 0.4, 0),  # both have 1/2: the first in the order -1, 0, 1
        ([1, 1, 1, 0, 0], 0.3, 0),  # the first, not the largest
        ([1, 1, 0, -1], 0.2, -1),
        ([1, 1, 0, -1], 0.3, 1),
        ([1, 1, 1], 0.0, 1),
        ([1, 1, 1], 1.0, -1),  # no share is more than 1
    ],
)
def test_the_first_pure_label_counts(members: list[int], purity: float, expected: int) -> None:
    cluster = torch.zeros(len(members), dtype=torch.int64)
    assert cluster_labels(cluster, torch.tensor(members), clusters=1, classes=2, purity=purity).tolist() == [expected]


def test_cluster_weights_by_hand() -> None:
    # 1, 1/2 and 1/3 of sizes 1, 4 and 9; mean 11/18. The empty one doesn't count.
    found = cluster_weights(torch.tensor([4, 0, 1, 9]))
    assert found.tolist() == pytest.approx([9 / 11, 0, 18 / 11, 6 / 11])
    assert cluster_weights(torch.tensor([5, 5])).tolist() == pytest.approx([1, 1])


# ---- the loss


def hand_batch() -> Batch:
    x = torch.tensor([[log(3), 0.0]], dtype=torch.float64)
    x_out = torch.tensor([[0.0, log(4)], [0.0, 0.0], [log(9), 0.0]], dtype=torch.float64)
    return batch_of(x, [0], x_out)


def test_the_loss_by_hand() -> None:
    # Outlier 0 counts as class 1, the others as outliers.
    #   ce = (-ln 3/4 - ln 4/5) / 2 = (0.287682 + 0.223144) / 2 = 0.255413
    #   oe = (H(u_1) + H(u_2)) / 2 = (ln 2 + ln 10 - ln(9)/2) / 2 = (0.693147 + 1.203973) / 2 = 0.948560
    #   aux: all H = ln 4; weights 0.5, 1, 2, 0.5: mean 1
    net = PixelNet(2).double()
    method = grouped([1, -1, -1], [2], [0, 1, 2], [1, 2, 0.5, 9], net=net, oe_weight=2.0, aux_weight=3.0)
    output = method.step(net, hand_batch(), RNG)
    expected = {"ce": 0.255413, "oe": 0.948560, "aux": log(4)}
    assert values(output) == pytest.approx(expected, abs=1e-6)
    assert output.loss.item() == pytest.approx(0.255413 + 2 * 0.948560 + 3 * log(4), abs=1e-5)
    assert output.dropped is not None
    assert output.dropped.tolist() == [True, False, False]
    assert output.threshold is None
    assert output.logits.tolist() == [[log(3), 0.0]]
    assert not output.logits.requires_grad


def test_the_auxiliary_loss_by_hand() -> None:
    # A head that is the identity: its logits are the features. Clusters 1 | 0, 0, 1, with weights 3 and 1/2:
    #   1/2 ln 4 + 3 ln 5 + 3 ln 2 + 1/2 ln 10 = 0.693147 + 4.828314 + 2.079442 + 1.151293 = 8.752196
    #   a quarter of it = 2.188049
    net = PixelNet(2).double()
    method = grouped([-1, -1, -1], [1], [0, 0, 1], [3, 0.5], net=net)
    torch.nn.init.eye_(method.aux.weight)
    assert method.step(net, hand_batch(), RNG).terms["aux"].item() == pytest.approx(2.188049, abs=1e-6)


def test_no_outlier_left() -> None:
    # All pseudo-labelled: ce = (-ln 3/4 - ln 4/5 - ln 1/2 - ln 9/10) / 4 = 1.309333 / 4
    net = PixelNet(2).double()
    method = grouped([1, 0, 0], [0], [0, 0, 0], [1, 1], net=net, aux_weight=0.0)
    output = method.step(net, hand_batch(), RNG)
    assert values(output)["oe"] == 0
    assert output.loss.item() == pytest.approx(1.309333 / 4, abs=1e-6)
    output.loss.backward()  # type: ignore[no-untyped-call]
    assert net.head.weight.grad is not None
    assert net.head.weight.grad.isfinite().all()
    assert output.dropped is not None
    assert output.dropped.all()


def test_no_outlier_taken_for_id() -> None:
    net = PixelNet(2).double()
    method = grouped([-1, -1, -1], [0], [0, 0, 0], [1, 1], net=net)
    output = method.step(net, hand_batch(), RNG)
    # H(U, (1/5, 4/5)) = ln 5 - ln(4)/2
    oe = (log(5) - log(4) / 2 + log(2) + log(10) - log(9) / 2) / 3
    assert values(output) == pytest.approx({"ce": log(4 / 3), "oe": oe, "aux": log(2)})
    assert output.dropped is not None
    assert not output.dropped.any()


def test_samples_are_found_by_their_index() -> None:
    net = PixelNet(2).double()
    method = grouped([-1, -1, 1], [0, 1, 1], [0, 1, 1], [1, 5], net=net)
    batch = Batch(
        x=torch.zeros(2, 2, 1, 1, dtype=torch.float64),
        y=torch.tensor([0, 0]),
        index=torch.tensor([2, 1]),
        x_out=torch.zeros(2, 2, 1, 1, dtype=torch.float64),
        index_out=torch.tensor([2, 0]),
    )
    output = method.step(net, batch, RNG)
    assert output.dropped is not None
    assert output.dropped.tolist() == [True, False]
    assert output.terms["aux"].item() == pytest.approx(log(2) * (5 + 5 + 5 + 1) / 4)


@pytest.mark.parametrize(("forward", "rows"), [("separate", [1, 3]), ("joint", [4])])
def test_forwards(forward: Any, rows: list[int]) -> None:
    net = PixelNet(2).double().train()
    method = grouped([1, -1, -1], [0], [0, 1, 1], [1, 1], net=net, forward=forward)
    output = method.step(net, hand_batch(), RNG)
    assert net.rows == rows
    assert output.terms["ce"].item() == pytest.approx(0.255413, abs=1e-6)


def test_separate_forwards_are_the_default_and_matter_to_batch_norm() -> None:
    losses = []
    for options in ({}, {"forward": "separate"}, {"forward": "joint"}):
        torch.manual_seed(0)
        net = NormNet(2).double().train()
        method = grouped([1, -1, -1], [0, 0], [0, 1, 1], [1, 1], net=net, **options)
        generator = torch.Generator().manual_seed(1)
        x, x_out = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (2, 3))
        losses.append(method.step(net, batch_of(x, [0, 1], x_out), RNG).loss.item())
    assert losses[0] == losses[1] != pytest.approx(losses[2])


def test_mixed_precision_costs_float32() -> None:
    net = LinearNet(4, 2)
    view = Images(torch.rand(3, 4), torch.tensor([0, 1, 1]), torch.rand(5, 4), 2)
    method = bound(net, view, clusters=4)
    method.start_epoch(net, view, 0, np.random.default_rng(0))
    batch = Batch(view.x, view.labels, torch.arange(3), view.x_out, torch.arange(5))
    exact = method.step(net, batch, RNG)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = method.step(net, batch, RNG)
    assert output.logits.dtype == torch.bfloat16
    assert output.loss.dtype == torch.float32
    assert output.loss.item() == pytest.approx(exact.loss.item(), rel=0.02)


def test_both_heads_and_the_features_learn() -> None:
    net = NormNet(2).double().train()
    method = grouped([1, -1, -1], [0, 1], [0, 1, 1], [1, 1], net=net)
    torch.nn.init.normal_(method.aux.weight)
    batch = batch_of(torch.rand(2, 3, dtype=torch.float64), [0, 1], torch.rand(3, 3, dtype=torch.float64))
    method.step(net, batch, RNG).loss.backward()  # type: ignore[no-untyped-call]
    for parameter in [*net.parameters(), *method.parameters()]:
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


def test_a_batch_without_outliers_is_refused() -> None:
    net = PixelNet(2).double()
    method = grouped([1], [0], [0], [1, 1], net=net)
    with pytest.raises(ValueError, match="0 outliers"):
        method.step(net, batch_of(torch.zeros(1, 2), [0], torch.zeros(0, 2)), RNG)


# ---- bind


def test_bind_makes_head_and_pseudo_labels() -> None:
    view, _, _ = planted()
    method = bound(LinearNet(6, CLASSES), view, clusters=12)
    assert method.aux.weight.shape == (12, 6)
    assert {name: tuple(value.shape) for name, value in method.state_dict().items()} == {
        "aux.weight": (12, 6),
        "aux.bias": (12,),
        "pseudo_labels": (200,),
    }
    assert method.pseudo_labels.dtype == torch.int64
    assert (method.pseudo_labels == -1).all()


def test_more_clusters_than_images_are_refused() -> None:
    view, _, _ = planted()
    with pytest.raises(ConfigError) as caught:
        bound(LinearNet(6, CLASSES), view, clusters=381)
    assert caught.value.problems == (
        "method.clusters: 381 for 380 images (180 ID, 200 outliers); choose at most one for each image",
    )
    bound(LinearNet(6, CLASSES), view, clusters=380)


def test_no_outliers_are_refused() -> None:
    view, _, _ = planted()
    view.x_out = view.x_out[:0]
    with pytest.raises(ConfigError, match=r"^method: udg with 0 outliers; it needs at least 1"):
        bound(LinearNet(6, CLASSES), view)


# ---- start_epoch


def test_planted_id_images_are_found_among_the_outliers() -> None:
    view, is_id, axis = planted()
    net = PixelNet(6)
    method = bound(net, view)
    for epoch in range(3):
        method.start_epoch(net, view, epoch, np.random.default_rng([1, epoch]))
    taken = method.pseudo_labels >= 0
    precision = (taken & is_id).sum() / taken.sum()
    recall = (taken & is_id).sum() / is_id.sum()
    assert precision == 1
    assert recall >= 0.9
    assert torch.equal(method.pseudo_labels[taken], axis[taken])


def test_evidence_of_the_epoch_before_counts() -> None:
    # One cluster for each of two groups; group 0: 3 ID images of class 1 and 2 outliers, share 3/5 of class 1.
    x = torch.tensor([[5.0, 0.1], [5.0, 0.2], [5.0, 0.3], [0.1, 5.0]]).reshape(-1, 2, 1, 1)
    x_out = torch.tensor([[5.0, 0.4], [5.0, 0.5]]).reshape(-1, 2, 1, 1)
    view = Images(x, torch.tensor([1, 1, 1, 0]), x_out, 2)
    net = PixelNet(2)
    method = bound(net, view, clusters=2, purity=0.7, features=1)
    rng = next(seed for seed in range(99) if set(np.random.default_rng(seed).choice(6, 2, replace=False)) == {0, 3})
    method.start_epoch(net, view, 0, np.random.default_rng(rng))
    assert method.cluster_id.tolist() == [method.cluster_out[0]] * 3 + [1 - method.cluster_out[0]]
    assert len(set(method.cluster_out.tolist())) == 1
    assert method.pseudo_labels.tolist() == [-1, -1]
    # sizes 5 and 1: weights 1/sqrt(5) and 1, mean (1 + 1/sqrt 5)/2
    small = 2 / (sqrt(5) + 1)
    assert sorted(method.cluster_weight.tolist()) == pytest.approx([small, small * sqrt(5)])
    method.pseudo_labels[0] = 1  # now 4/5 of the group are of class 1
    method.start_epoch(net, view, 1, np.random.default_rng(rng))
    assert method.pseudo_labels.tolist() == [1, 1]
    method.pseudo_labels.copy_(torch.tensor([0, 0]))
    method.start_epoch(net, view, 2, np.random.default_rng(rng))  # 3/5 and 2/5
    assert method.pseudo_labels.tolist() == [-1, -1]
    assert view.labels.tolist() == [1, 1, 1, 0]


def test_features_come_from_evaluation_without_gradient_and_the_mode_is_restored() -> None:
    view, _, _ = planted()
    for training in (True, False):
        net = PixelNet(6).train(training)
        method = bound(net, view)
        method.start_epoch(net, view, 4, np.random.default_rng(0))
        assert net.training is training
        assert {(mode, gradient) for _, mode, gradient in net.seen} == {(False, False)}
        assert torch.equal(torch.cat([images for images, _, _ in net.seen]), torch.cat([view.x, view.x_out]))
        assert method.epoch == 4
    norm = NormNet()
    view = Images(torch.rand(9, 3, 1, 1), torch.arange(9) % 3, torch.rand(9, 3, 1, 1), 3)
    method = bound(norm, view, clusters=4)
    before = norm.norm.running_mean.clone()  # type: ignore[union-attr]
    method.start_epoch(norm, view, 0, np.random.default_rng(0))
    assert torch.equal(norm.norm.running_mean, before)  # type: ignore[arg-type]


def test_the_auxiliary_head_starts_anew() -> None:
    view, _, _ = planted()
    net = PixelNet(6)
    method = bound(net, view, clusters=300)
    method.start_epoch(net, view, 0, np.random.default_rng(0))
    first = method.aux.weight.clone()
    assert first.std().item() == pytest.approx(0.01, rel=0.1)
    assert first.mean().item() == pytest.approx(0, abs=0.001)
    assert first.requires_grad
    torch.nn.init.ones_(method.aux.bias)
    method.start_epoch(net, view, 1, np.random.default_rng(1))
    assert not torch.equal(first, method.aux.weight)
    assert (method.aux.bias == 0).all()


def test_clusters_and_weights_of_an_epoch() -> None:
    view, _, _ = planted()
    net = PixelNet(6)
    method = bound(net, view, clusters=50)
    method.start_epoch(net, view, 0, np.random.default_rng(0))
    assert method.cluster_id.shape == (180,)
    assert method.cluster_out.shape == (200,)
    sizes = torch.cat([method.cluster_id, method.cluster_out]).bincount(minlength=50)
    assert torch.allclose(method.cluster_weight, cluster_weights(sizes).float())
    assert method.cluster_weight[sizes > 0].mean().item() == pytest.approx(1)


def test_a_network_that_sees_no_difference_survives() -> None:
    view = Images(torch.ones(6, 4), torch.arange(6) % 2, torch.ones(5, 4), 2)
    net = LinearNet(4, 2)
    method = bound(net, view, clusters=4)
    method.start_epoch(net, view, 0, np.random.default_rng(0))
    assert (method.pseudo_labels == -1).all()
    assert method.cluster_weight.tolist().count(0) == 3
    batch = Batch(view.x, view.labels, torch.arange(6), view.x_out, torch.arange(5))
    assert method.step(net, batch, RNG).loss.isfinite()


# ---- repeating and resuming


def run_epochs(method: UDG, net: Net, view: Images, epochs: range) -> list[Tensor]:
    """Pseudo-labels, clusters and the loss of a step in each epoch; the network learns in between."""
    optimiser = torch.optim.SGD([*net.parameters(), *method.parameters()], lr=0.05)
    batch = Batch(view.x, view.labels, torch.arange(len(view.x)), view.x_out, torch.arange(len(view.x_out)))
    seen: list[Tensor] = []
    for epoch in epochs:
        rng = np.random.default_rng([7, epoch])
        method.start_epoch(net, view, epoch, rng)
        output = method.step(net.train(), batch, rng)
        optimiser.zero_grad()
        output.loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        seen += [method.pseudo_labels.clone(), method.cluster_out.clone(), output.loss.detach()]
    return seen


def fresh(view: Images) -> tuple[UDG, LinearNet]:
    net = LinearNet(6, CLASSES, seed=1)
    torch.manual_seed(0)
    return bound(net, view, clusters=15, purity=0.5), net


def test_two_identical_starts_agree() -> None:
    view, _, _ = planted()
    first, second = (run_epochs(*fresh(view), view, range(3)) for _ in range(2))
    assert all(map(torch.equal, first, second))


def test_resuming_continues_with_the_pseudo_labels() -> None:
    view, _, _ = planted()
    method, net = fresh(view)
    run_epochs(method, net, view, range(2))
    saved = {name: value.clone() for name, value in method.state_dict().items()}
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    assert (saved["pseudo_labels"] >= 0).any()
    expected = run_epochs(method, net, view, range(2, 5))

    resumed, net = fresh(view)
    resumed.load_state_dict(saved)
    net.load_state_dict(weights)
    assert torch.equal(resumed.pseudo_labels, saved["pseudo_labels"])
    assert all(map(torch.equal, run_epochs(resumed, net, view, range(2, 5)), expected))
