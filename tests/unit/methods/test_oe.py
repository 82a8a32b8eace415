"""Outlier Exposure: values by hand, what a filter leaves, shared and separate forwards."""

from math import log
from typing import Any

import numpy as np
import pytest
import torch
from stub_nets import NormNet, PixelNet, batch_of, outliers_in_order, random_batch

from goe.core import specs
from goe.methods import build_method


def test_loss_of_a_hand_made_batch() -> None:
    # ID: p = (3/4, 1/4), class 0: ce = ln(4/3).
    # Outliers: uniform, H = ln 2; and p = (3/4, 1/4), H = ln(16/3) / 2; oe is their mean.
    x = torch.tensor([[log(3), 0.0]], dtype=torch.float64)
    x_out = torch.tensor([[5.0, 5.0], [0.0, log(3)]], dtype=torch.float64)
    method = build_method(specs.OE(weight=0.3))
    output = method.step(PixelNet(2).double(), batch_of(x, [0], x_out), np.random.default_rng(0))
    ce, oe = log(4 / 3), (log(2) + 0.5 * log(16 / 3)) / 2
    assert output.terms["ce"].item() == pytest.approx(ce)
    assert output.terms["oe"].item() == pytest.approx(oe)
    assert output.loss.item() == pytest.approx(ce + 0.3 * oe)
    assert set(output.terms) == {"ce", "oe"}
    assert torch.equal(output.logits, x)


@pytest.mark.parametrize("classes", [10, 100])
def test_uniform_logits_cost_ln_k_each(classes: int) -> None:
    batch = batch_of(torch.zeros(4, classes), [0, 1, 2, 3], torch.zeros(7, classes))
    loss = build_method(specs.OE(weight=0.5)).step(PixelNet(classes), batch, np.random.default_rng(0)).loss
    assert loss.item() == pytest.approx(1.5 * log(classes))


def test_id_and_outliers_share_one_training_forward() -> None:
    net = PixelNet(4).double().train()
    batch = random_batch(3, 5, channels=4)
    build_method(specs.OE()).step(net, batch, np.random.default_rng(0))
    ((images, training, gradient),) = net.seen
    assert torch.equal(images, torch.cat([batch.x, batch.x_out]))
    assert training
    assert gradient


@pytest.mark.parametrize(("normalise", "share"), [("batch", 1 / 2), ("kept", 1.0)])
def test_a_dropped_outlier_leaves_the_mean(normalise: Any, share: float) -> None:
    # Outliers: p = (1/2, 1/2), H = ln 2, and p = (1/10, 9/10), dropped as the more confident.
    x = torch.tensor([[log(3), 0.0]], dtype=torch.float64)
    x_out = torch.tensor([[5.0, 5.0], [0.0, log(9)]], dtype=torch.float64)
    method = build_method(specs.OE(normalise=normalise, filter=specs.Filter(k=1)))
    output = method.step(PixelNet(2).double(), batch_of(x, [0], x_out), np.random.default_rng(0))
    assert output.terms["oe"].item() == pytest.approx(log(2) * share)
    assert output.dropped is not None
    assert output.dropped.tolist() == [False, True]
    assert output.threshold is not None
    assert output.threshold.item() == pytest.approx(0.9)


def test_separate_forwards_see_each_side_alone() -> None:
    batch = random_batch(3, 5, channels=4)
    net = PixelNet(4).double().train()
    build_method(specs.OE(forward="separate")).step(net, batch, np.random.default_rng(0))
    assert all(torch.equal(seen[0], part) for seen, part in zip(net.seen, (batch.x, batch.x_out), strict=True))
    assert net.rows == [3, 5]


def test_the_order_of_outliers_is_nothing() -> None:
    batch = random_batch(5, 9)
    torch.manual_seed(0)
    net = NormNet().double()
    method = build_method(specs.OE(filter=specs.Filter(k=3)))
    losses = [
        method.step(net, b, np.random.default_rng(0)).loss.item()
        for b in (batch, outliers_in_order(batch, torch.arange(9).flip(0)))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


def test_only_the_loss_carries_gradient() -> None:
    output = build_method(specs.OE()).step(NormNet().double(), random_batch(3, 5), np.random.default_rng(0))
    assert output.loss.requires_grad
    assert not output.logits.requires_grad
    assert not any(term.requires_grad for term in output.terms.values())


def test_a_batch_without_outliers_is_refused() -> None:
    with pytest.raises(ValueError, match="0 outliers"):
        build_method(specs.OE()).step(NormNet().double(), random_batch(3, 0), np.random.default_rng(0))
