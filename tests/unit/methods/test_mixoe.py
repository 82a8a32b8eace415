"""MixOE: values by hand, which outlier meets which image, shared and separate forwards."""

from math import log
from typing import Any

import numpy as np
import pytest
import torch
from stub_nets import FixedRng, LinearNet, NormNet, PixelNet, batch_of, outliers_in_order, random_batch, random_images

from goe.core import specs
from goe.methods import Batch, StepOutput, build_method


def step(net: Any, batch: Batch, rng: Any = None, **options: Any) -> StepOutput:
    method = build_method(specs.MixOE(**options))
    return method.step(net, batch, np.random.default_rng(0) if rng is None else rng)


def hand_batch() -> Batch:
    # ID: a = (ln 3, 0), class 0. Outliers: u = (0, 0), mixed with a, and one that isn't.
    x = torch.tensor([[log(3), 0.0]], dtype=torch.float64)
    x_out = torch.tensor([[0.0, 0.0], [7.0, 0.0]], dtype=torch.float64)
    return batch_of(x, [0], x_out)


def test_loss_of_a_hand_made_batch() -> None:
    # lam = 1/2: v = (ln sqrt 3, 0), target (3/4, 1/4), p = sqrt3 / (sqrt3 + 1) = 0.63397:
    #   H = -3/4 ln 0.63397 - 1/4 ln 0.36603 = 0.59308.   ce = ln(4/3) = 0.28768.   0.28768 + 5 * 0.59308 = 3.25308
    output = step(PixelNet(2).double(), hand_batch(), FixedRng(0.5))
    found = {name: term.item() for name, term in output.terms.items()}
    assert found == pytest.approx({"ce": 0.28768, "mix": 0.59308}, abs=1e-5)
    assert output.loss.item() == pytest.approx(3.25308, abs=5e-5)
    assert output.logits.tolist() == [[log(3), 0.0]]
    assert output.dropped is None


@pytest.mark.parametrize(("lam", "expected"), [(1.0, log(4 / 3)), (0.0, log(2))])
def test_ends_of_the_mixture_are_the_image_and_the_outlier(lam: float, expected: float) -> None:
    # lam = 1: the ID image with its class; lam = 0: u with the uniform target, H(U, U) = ln 2
    output = step(PixelNet(2).double(), hand_batch(), FixedRng(lam))
    assert output.terms["mix"].item() == pytest.approx(expected)


def test_cutmix_pastes_the_outlier_into_the_image() -> None:
    # 1 x 4 x 4 images of zeros, outliers of ones; lam = 3/4: sides int(4 * 1/2) = 2; centre (2, 1): rows 1 to 2,
    # columns 0 to 1, so 4 of 16 pixels.
    batch = Batch(
        x=torch.zeros(1, 1, 4, 4).double(),
        y=torch.tensor([0]),
        index=torch.tensor([0]),
        x_out=torch.ones(1, 1, 4, 4).double(),
        index_out=torch.tensor([0]),
    )
    net = PixelNet(16).double()
    output = step(net, batch, FixedRng(0.75, centres=(2, 1)), mix=specs.Mix(strategy="cutmix"))
    mixed = net.seen[1][0]
    assert mixed[0, 0].tolist() == [[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    # logits are 4 ones and 12 zeros: lse = ln(4 e + 12) = 3.13027; target 3/4 on class 0 (logit 0), 1/4 uniform
    # (mean 1/4): H = 3.13027 - 1/16 = 3.06777
    assert output.terms["mix"].item() == pytest.approx(np.log(4 * np.e + 12) - 1 / 16)


@pytest.mark.parametrize(("m", "expected"), [(2, [0, 1, 0, 1, 0]), (5, [0, 1, 2, 3, 4]), (8, [0, 1, 2, 3, 4])])
def test_image_i_meets_outlier_i_and_short_supplies_repeat(m: int, expected: list[int]) -> None:
    net, batch = PixelNet(3).double(), random_batch(5, m, classes=3)
    step(net, batch, FixedRng(0.0))
    assert torch.equal(net.seen[1][0], batch.x_out[expected])


@pytest.mark.parametrize(("normalise", "expected"), [("batch", log(2) / 2), ("kept", log(2))])
def test_mixtures_of_a_dropped_outlier_are_masked(normalise: str, expected: float) -> None:
    # lam = 0, so that mixtures are the outliers: (0, 0), H = ln 2, and (ln 9, 0), dropped as the more confident.
    x = torch.tensor([[log(3), 0.0]] * 2, dtype=torch.float64)
    x_out = torch.tensor([[0.0, 0.0], [log(9), 0.0]], dtype=torch.float64)
    options: Any = {"normalise": normalise, "filter": specs.Filter(k=1)}
    output = step(PixelNet(2).double(), batch_of(x, [0, 0], x_out), FixedRng(0.0), **options)
    assert output.terms["mix"].item() == pytest.approx(expected)
    assert output.dropped is not None
    assert output.dropped.tolist() == [False, True]


def test_a_dropped_outlier_masks_every_image_that_meets_it() -> None:
    # Two outliers for three images: dropping the first masks mixtures 0 and 2.
    x = torch.tensor([[log(3), 0.0]] * 3, dtype=torch.float64)
    x_out = torch.tensor([[log(9), 0.0], [0.0, 0.0]], dtype=torch.float64)
    output = step(PixelNet(2).double(), batch_of(x, [0] * 3, x_out), FixedRng(0.0), filter=specs.Filter(k=1))
    assert output.terms["mix"].item() == pytest.approx(log(2) / 3)


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("strategy", ["mixup", "cutmix"])
def test_uniform_logits_cost_ln_k_each(classes: int, strategy: Any) -> None:
    batch = batch_of(torch.zeros(4, classes), [0, 1, 1, 0], torch.zeros(7, classes))
    output = step(PixelNet(classes), batch, weight=5.0, mix=specs.Mix(strategy=strategy))
    assert output.loss.item() == pytest.approx(6 * log(classes))


@pytest.mark.parametrize(("forward", "rows"), [("separate", [3, 3]), ("joint", [6])])
def test_one_forward_each_or_one_shared(forward: str, rows: list[int]) -> None:
    net, batch = PixelNet(4).double().train(), random_batch(3, 5, channels=4)
    step(net, batch, forward=forward)
    assert net.rows == rows
    assert torch.equal(net.seen[0][0][:3], batch.x)
    assert all(training and gradient for _, training, gradient in net.seen)


def test_outliers_that_are_not_mixed_count_for_nothing() -> None:
    torch.manual_seed(0)
    batch, net = random_batch(4, 9), NormNet().double()
    order = torch.tensor([0, 1, 2, 3, 8, 6, 4, 7, 5])
    first, again = (step(net, b) for b in (batch, outliers_in_order(batch, order)))
    assert torch.equal(first.loss, again.loss)
    assert first.loss != step(net, outliers_in_order(batch, order.flip(0))).loss


def test_only_the_loss_carries_gradient() -> None:
    output = step(LinearNet(48, 4).double(), random_images(3, 5, (3, 4, 4)), mix=specs.Mix(strategy="cutmix"))
    assert output.loss.requires_grad
    assert not output.logits.requires_grad
    assert not any(term.requires_grad for term in output.terms.values())


def test_a_batch_without_outliers_is_refused() -> None:
    with pytest.raises(ValueError, match="0 outliers"):
        step(PixelNet(4).double(), random_batch(3, 0, channels=4))
