"""Energy-OE: the squared hinges by hand, on either side of the margins, with and without a filter."""

from math import log
from typing import Any

import numpy as np
import pytest
import torch
from stub_nets import NormNet, PixelNet, batch_of, outliers_in_order, random_batch

from goe.core import specs
from goe.methods import Batch, StepOutput, build_method


def step(net: Any, batch: Batch, **options: Any) -> StepOutput:
    return build_method(specs.EnergyOE(**options)).step(net, batch, np.random.default_rng(0))


def hand_batch() -> Batch:
    # Energies -ln(e^a + e^b). ID: (ln 3, 0): -ln 4 = -1.38629; (0, 0): -ln 2 = -0.69315.
    # Outliers: (0, 0): -ln 2; (ln 9, 0): -ln 10 = -2.30259, the more confident (0.9).
    x = torch.tensor([[log(3), 0.0], [0.0, 0.0]], dtype=torch.float64)
    x_out = torch.tensor([[0.0, 0.0], [log(9), 0.0]], dtype=torch.float64)
    return batch_of(x, [0, 1], x_out)


def test_loss_of_a_hand_made_batch() -> None:
    # m_in = -1: hinges 0 (energy below) and (-0.69315 + 1)^2 = 0.30685^2 = 0.09416; mean 0.04708
    # m_out = -1: hinges 0 (energy above) and (-1 + 2.30259)^2 = 1.69673; mean 0.84837
    # ce = (ln(4/3) + ln 2) / 2 = 0.49041.  loss = 0.49041 + 0.1 * 0.89545 = 0.57996
    output = step(PixelNet(2).double(), hand_batch(), m_in=-1.0, m_out=-1.0, weight=0.1)
    found = {name: term.item() for name, term in output.terms.items()}
    assert found == pytest.approx({"ce": 0.49041, "energy": 0.89545}, abs=1e-5)
    assert output.loss.item() == pytest.approx(0.57996, abs=1e-5)
    assert output.dropped is None
    assert output.logits.tolist() == hand_batch().x.flatten(1).tolist()


@pytest.mark.parametrize(("normalise", "expected"), [("batch", 0.15343), ("kept", 0.30685)])
def test_a_dropped_outlier_leaves_only_the_outlier_mean(normalise: str, expected: float) -> None:
    # Dropping (ln 9, 0) leaves (0, 0). m_out = -0.13921: hinge (-0.13921 + 0.69315)^2 = 0.55394^2 = 0.30685.
    # m_in = 0: no ID energy is above it.
    options: Any = {"m_in": 0.0, "m_out": -0.13921, "normalise": normalise, "filter": specs.Filter(k=1)}
    output = step(PixelNet(2).double(), hand_batch(), **options)
    assert output.terms["energy"].item() == pytest.approx(expected, abs=1e-5)
    assert output.dropped is not None
    assert output.dropped.tolist() == [False, True]


def test_energies_within_the_margins_cost_nothing() -> None:
    net = PixelNet(2).double()
    output = step(net, hand_batch(), m_in=-0.5, m_out=-2.5, weight=7.0)
    assert output.terms["energy"].item() == 0
    assert torch.equal(output.loss.detach(), output.terms["ce"])


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_uniform_logits_have_energy_minus_ln_k(classes: int) -> None:
    # Hinges (-ln K + 25)^2 and (-7 + ln K)^2, no further than ln K = 7 (K = 1,097).
    batch = batch_of(torch.zeros(4, classes), [0, 1, 1, 0], torch.zeros(7, classes))
    energy = (25 - log(classes)) ** 2 + max(0, log(classes) - 7) ** 2
    assert step(PixelNet(classes), batch).loss.item() == pytest.approx(log(classes) + 0.1 * energy)


def test_the_gradient_pushes_energies_towards_their_margins() -> None:
    # d relu(E - m_in)^2 / dz_k = -2 relu(E - m_in) p_k, over B = 1; for outliers 2 relu(m_out - E) p_k, over M = 1.
    batch = batch_of(torch.tensor([[0.0, 0.0]]).double(), [0], torch.tensor([[log(9), 0.0]]).double())
    batch.x.requires_grad_()
    batch.x_out.requires_grad_()
    output = step(PixelNet(2).double(), batch, m_in=-1.0, m_out=-1.0, weight=1.0)
    ce = -torch.log_softmax(batch.x.flatten(1), 1)[0, 0]
    inner, outer = torch.autograd.grad(output.loss - ce, [batch.x, batch.x_out])
    assert inner.flatten().tolist() == pytest.approx([-(1 - log(2))] * 2)  # p = 1/2
    slope = 2 * (log(10) - 1)
    assert outer.flatten().tolist() == pytest.approx([0.9 * slope, 0.1 * slope])


@pytest.mark.parametrize(("forward", "rows"), [("joint", [8]), ("separate", [3, 5])])
def test_one_shared_forward_or_one_each(forward: str, rows: list[int]) -> None:
    net = PixelNet(4).double().train()
    step(net, random_batch(3, 5, channels=4), forward=forward)
    assert net.rows == rows


def test_the_order_of_outliers_is_nothing() -> None:
    batch = random_batch(5, 9)
    torch.manual_seed(0)
    net = NormNet().double()
    options: Any = {"m_in": -3.0, "m_out": 0.0, "filter": specs.Filter(k=3)}
    losses = [step(net, b, **options).loss.item() for b in (batch, outliers_in_order(batch, torch.arange(9).flip(0)))]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


def test_half_precision_energies_are_taken_in_float32() -> None:
    # An energy near -25 in bfloat16 is off by up to 0.06; squared hinges would show it.
    torch.manual_seed(0)
    net = NormNet().train()
    batch = batch_of(torch.randn(6, 3), [0, 1, 2, 3, 0, 1], torch.randn(8, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = step(net, batch)
    assert output.loss.dtype == torch.float32
    assert output.terms["energy"].dtype == torch.float32


def test_a_batch_without_outliers_is_refused() -> None:
    with pytest.raises(ValueError, match="0 outliers"):
        step(PixelNet(4).double(), random_batch(3, 0, channels=4))
