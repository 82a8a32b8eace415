"""Outlier Exposure: values by hand, one shared forward."""

from math import log

import numpy as np
import pytest
import torch
from stub_nets import NormNet, PixelNet, batch_of, random_batch

from goe.core import config
from goe.methods import build_method


def test_loss_of_a_hand_made_batch() -> None:
    # ID: p = (3/4, 1/4), class 0: ce = ln(4/3).
    # Outliers: uniform, H = ln 2; and p = (3/4, 1/4), H = ln(16/3) / 2; oe is their mean.
    x = torch.tensor([[log(3), 0.0]], dtype=torch.float64)
    x_out = torch.tensor([[5.0, 5.0], [0.0, log(3)]], dtype=torch.float64)
    method = build_method(config.OE(weight=0.3))
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
    loss = build_method(config.OE(weight=0.5)).step(PixelNet(classes), batch, np.random.default_rng(0)).loss
    assert loss.item() == pytest.approx(1.5 * log(classes))


def test_id_and_outliers_share_one_training_forward() -> None:
    net = PixelNet(4).double().train()
    batch = random_batch(3, 5, channels=4)
    build_method(config.OE()).step(net, batch, np.random.default_rng(0))
    ((images, training, gradient),) = net.seen
    assert torch.equal(images, torch.cat([batch.x, batch.x_out]))
    assert training
    assert gradient


def test_only_the_loss_carries_gradient() -> None:
    output = build_method(config.OE()).step(NormNet().double(), random_batch(3, 5), np.random.default_rng(0))
    assert output.loss.requires_grad
    assert not output.logits.requires_grad
    assert not any(term.requires_grad for term in output.terms.values())


def test_a_batch_without_outliers_is_refused() -> None:
    with pytest.raises(ValueError, match="0 outliers"):
        build_method(config.OE()).step(NormNet().double(), random_batch(3, 0), np.random.default_rng(0))
