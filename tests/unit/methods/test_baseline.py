"""The baseline: cross-entropy on ID data, blind to outliers."""

from math import log

import numpy as np
import pytest
import torch
from stub_nets import NormNet, PixelNet, batch_of, random_batch

from goe.core import specs
from goe.methods import build_method


def test_loss_of_a_hand_made_batch() -> None:
    # p = (3/4, 1/4) for both; classes 0 and 1: (ln(4/3) + ln 4) / 2 = ln(16/3) / 2
    logits = torch.tensor([[log(3), 0.0], [log(3), 0.0]], dtype=torch.float64)
    output = build_method(specs.Baseline()).step(
        PixelNet(2).double(), batch_of(logits, [0, 1], torch.zeros(0, 2)), np.random.default_rng(0)
    )
    assert output.loss.item() == pytest.approx(0.5 * log(16 / 3))
    assert {name: term.item() for name, term in output.terms.items()} == {"ce": output.loss.item()}
    assert torch.equal(output.logits, logits)
    assert output.dropped is None
    assert output.threshold is None


def test_outliers_reach_neither_the_loss_nor_batch_norm() -> None:
    method = build_method(specs.Baseline())
    assert not method.needs_outliers
    nets = [NormNet().double() for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    losses = [
        method.step(net, random_batch(6, m), np.random.default_rng(0)).loss for net, m in zip(nets, [0, 9], strict=True)
    ]
    assert torch.equal(*losses)
    assert torch.equal(*(net.norm.running_mean for net in nets))


def test_no_chance_is_used() -> None:
    rng = np.random.default_rng(0)
    build_method(specs.Baseline()).step(NormNet().double(), random_batch(6, 0), rng)
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state
