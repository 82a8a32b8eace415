"""G-OE: the whole loss by hand, the shared forward, the filter's effect."""

from math import log
from typing import Any

import numpy as np
import pytest
import torch
from stub_nets import FixedRng, NormNet, PixelNet, batch_of, outliers_in_order, random_batch, random_images

from goe.core import specs
from goe.methods import Batch, StepOutput, build_method
from goe.methods.mixing import mix_pool

NO_FILTER = specs.Filter(strategy="none")


def step(net: Any, batch: Batch, rng: Any = None, **options: Any) -> StepOutput:
    method = build_method(specs.GOE(**options))
    return method.step(net, batch, np.random.default_rng(0) if rng is None else rng)


def hand_batch() -> Batch:
    # ID: a = (ln 3, 0), class 0. Outliers: u = (0, 0) and v = (ln 9, 0), of which v is the more confident (0.9).
    x = torch.tensor([[log(3), 0.0]], dtype=torch.float64)
    x_out = torch.tensor([[0.0, 0.0], [log(9), 0.0]], dtype=torch.float64)
    return batch_of(x, [0], x_out)


def test_the_whole_loss_by_hand() -> None:
    # B = 1, so the pool is [a, u], targets [(1, 0), U]. lam = 1/2; first = (0, 1), second = (1, 0):
    #   mixture 0 = a/2 + u/2 = (ln sqrt 3, 0), target (3/4, 1/4);  p = sqrt3 / (sqrt3 + 1) = 0.63397
    #       H = -3/4 ln 0.63397 - 1/4 ln 0.36603 = 0.34182 + 0.25126 = 0.59308
    #   mixture 1 = u/2 + a/2, the same.   mix = 0.59308
    # topk with k = 1 drops v: oe = (H(u) + 0) / 2 = ln 2 / 2 = 0.34657.   ce = ln(4/3) = 0.28768
    rng = FixedRng(0.5, [0, 1], [1, 0])
    output = step(PixelNet(2).double(), hand_batch(), rng, mix_weight=2.0, oe_weight=3.0, filter=specs.Filter(k=1))
    found = {name: term.item() for name, term in output.terms.items()}
    assert found == pytest.approx({"ce": 0.28768, "oe": 0.34657, "mix": 0.59308}, abs=1e-5)
    # 0.28768 + 2 * 0.59308 + 3 * 0.34657 = 2.51356
    assert output.loss.item() == pytest.approx(2.51356, abs=3e-5)
    assert output.dropped is not None
    assert output.dropped.tolist() == [False, True]
    assert output.threshold is not None
    assert output.threshold.item() == pytest.approx(0.9)
    assert output.logits.tolist() == [[log(3), 0.0]]


def test_normalise_kept_divides_by_what_is_left() -> None:
    # As above, but oe = H(u) / 1 = ln 2.
    rng = FixedRng(0.5, [0, 1], [1, 0])
    output = step(PixelNet(2).double(), hand_batch(), rng, normalise="kept", filter=specs.Filter(k=1))
    assert output.terms["oe"].item() == pytest.approx(log(2))
    assert output.terms["mix"].item() == pytest.approx(0.59308, abs=1e-5)


@pytest.mark.parametrize(("normalise", "expected"), [("batch", log(4 / 3) / 2), ("kept", log(4 / 3))])
def test_mixtures_of_a_dropped_outlier_are_masked(normalise: str, expected: float) -> None:
    # The outlier v = (ln 9, 0) is the only one, dropped. Pool [a, v]; both permutations (0, 1):
    #   mixture 0 = a, target (1, 0), H = ln(4/3), kept;  mixture 1 = v, masked.
    batch = hand_batch()
    batch = batch_of(batch.x, [0], batch.x_out[1:])
    rng = FixedRng(0.25, [0, 1], [0, 1])
    output = step(PixelNet(2).double(), batch, rng, normalise=normalise, filter=specs.Filter(k=1))
    assert output.terms["mix"].item() == pytest.approx(expected)
    assert output.terms["oe"].item() == 0
    # Crossed permutations put v into both mixtures.
    rng = FixedRng(0.25, [0, 1], [1, 0])
    output = step(PixelNet(2).double(), batch, rng, normalise=normalise, filter=specs.Filter(k=1))
    assert output.terms["mix"].item() == 0


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize(("mix_weight", "oe_weight"), [(0.5, 0.5), (2.0, 0.0), (0.0, 1.0)])
@pytest.mark.parametrize("strategy", ["mixup", "cutmix"])
@pytest.mark.parametrize("lam", ["batch", "sample"])
def test_uniform_logits_cost_ln_k_for_each_weight(
    classes: int, mix_weight: float, oe_weight: float, strategy: Any, lam: Any
) -> None:
    batch = batch_of(torch.zeros(4, classes), [0, 1, 2, 3], torch.zeros(7, classes))
    mix = specs.Mix(strategy=strategy, lam=lam)
    output = step(PixelNet(classes), batch, mix=mix, mix_weight=mix_weight, oe_weight=oe_weight, filter=NO_FILTER)
    assert output.loss.item() == pytest.approx(log(classes) * (1 + mix_weight + oe_weight))


def test_one_training_forward_sees_id_mixtures_and_outliers() -> None:
    net = PixelNet(4).double().train()
    batch = random_batch(3, 5, channels=4)
    step(net, batch, filter=specs.Filter(k=1))
    assert [(len(images), training) for images, training, _ in net.seen] == [(5, False), (3 + 6 + 5, True)]
    images = net.seen[1][0]
    assert torch.equal(images[:3], batch.x)
    assert torch.equal(images[9:], batch.x_out)


def test_separate_forwards_see_each_part_alone() -> None:
    net = PixelNet(4).double().train()
    step(net, random_batch(3, 5, channels=4), forward="separate", filter=specs.Filter(k=1))
    assert net.rows == [5, 3, 6, 5]
    net = PixelNet(4).double().train()
    step(net, random_batch(3, 5, channels=4), forward="separate", mix_weight=0.0, filter=NO_FILTER)
    assert net.rows == [3, 5]


@pytest.mark.parametrize("lam", ["batch", "sample"])
def test_points_of_the_plane_can_be_mixed(lam: Any) -> None:
    net = PixelNet(2).double()
    output = step(net, random_images(3, 5, (2,), classes=2), mix=specs.Mix(lam=lam), filter=NO_FILTER)
    assert net.rows == [3 + 6 + 5]
    assert output.loss.isfinite()


def test_points_have_no_boxes_to_cut() -> None:
    with pytest.raises(ValueError, match=r"cutmix: a tensor of shape \(6, 2\)"):
        step(PixelNet(2).double(), random_images(3, 5, (2,), classes=2), mix=specs.Mix(strategy="cutmix"))


def test_the_filter_sleeps_in_the_first_epochs() -> None:
    method = build_method(specs.GOE(filter=specs.Filter(k=1, warmup_epochs=1)))
    net, batch, rng = PixelNet(4).double(), random_batch(4, 6, channels=4), np.random.default_rng(0)
    dropped = []
    for epoch in range(2):
        method.start_epoch(net, None, epoch, rng)  # type: ignore[arg-type]
        dropped.append(method.step(net, batch, rng).dropped)
    assert dropped[0] is None
    assert dropped[1] is not None
    assert dropped[1].sum() == 1


def test_outliers_beyond_the_pool_may_come_in_any_order() -> None:
    # The first B = 4 of 9 are mixed; the others only enter the mean over outliers.
    batch = random_batch(4, 9, channels=4)
    order = torch.tensor([0, 1, 2, 3, 8, 6, 4, 7, 5])
    first, again = (
        step(PixelNet(4).double(), b, filter=specs.Filter(k=3)) for b in (batch, outliers_in_order(batch, order))
    )
    for name, term in first.terms.items():
        assert again.terms[name].item() == pytest.approx(term.item(), rel=1e-14)
    assert first.dropped is not None
    assert again.dropped is not None
    assert torch.equal(again.dropped, first.dropped[order])
    # The pool's own are told apart.
    other = step(PixelNet(4).double(), outliers_in_order(batch, torch.tensor([8, 1, 2, 3, 4, 5, 6, 7, 0])))
    assert other.terms["mix"] != first.terms["mix"]


def test_the_pool_is_shorter_where_outliers_are_few() -> None:
    net = PixelNet(4).double()
    step(net, random_batch(5, 2, channels=4), filter=NO_FILTER)
    assert net.rows == [5 + (5 + 2) + 2]


def test_batch_norm_is_shared_and_updated_once() -> None:
    net = NormNet().double().train()
    batch = random_batch(6, 8)
    step(net, batch, filter=specs.Filter(k=2))
    mix = mix_pool(batch, specs.Mix(), np.random.default_rng(0))
    everything = torch.cat([batch.x, mix.images, batch.x_out]).flatten(1)
    # Running mean starts at 0 and moves by momentum 0.1 to the mean of all 6 + 12 + 8 rows.
    assert net.norm.running_mean is not None
    assert net.norm.running_mean.tolist() == pytest.approx((0.1 * everything.mean(0)).tolist())
    assert net.norm.num_batches_tracked == 1


@pytest.mark.parametrize("strategy", ["none", "topk", "static", "adaptive", "quantile"])
@pytest.mark.parametrize("normalise", ["batch", "kept"])
@pytest.mark.parametrize("forward", ["joint", "separate"])
def test_without_mixing_it_is_outlier_exposure_with_a_filter(strategy: Any, normalise: Any, forward: Any) -> None:
    batch, rng = random_batch(6, 9, channels=3), np.random.default_rng(0)
    shared: Any = {"normalise": normalise, "forward": forward, "filter": specs.Filter(strategy=strategy, k=2)}
    outputs = []
    for spec in (specs.GOE(mix_weight=0.0, oe_weight=0.7, **shared), specs.OE(weight=0.7, **shared)):
        torch.manual_seed(0)
        outputs.append(build_method(spec).step(NormNet().double(), batch, rng))
    goe, oe = outputs
    assert torch.equal(goe.loss, oe.loss)
    assert goe.terms == oe.terms
    assert set(goe.terms) == {"ce", "oe"}
    if goe.dropped is not None:
        assert oe.dropped is not None
        assert torch.equal(goe.dropped, oe.dropped)
    assert (goe.dropped is None) == (strategy == "none")
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


def test_without_a_filter_nothing_is_reported_dropped() -> None:
    output = step(PixelNet(4).double(), random_batch(4, 6, channels=4), filter=specs.Filter(k=0))
    assert output.dropped is None
    assert output.threshold is None


def test_dropped_outliers_get_no_gradient() -> None:
    batch = random_batch(4, 6, channels=4)
    batch.x_out.requires_grad_()
    output = step(PixelNet(4).double(), batch, filter=specs.Filter(k=3))
    output.loss.backward()
    assert output.dropped is not None
    assert batch.x_out.grad is not None
    touched = batch.x_out.grad.flatten(1).abs().amax(1) > 0
    assert torch.equal(touched, ~output.dropped)


def test_all_outliers_dropped_leaves_the_id_terms() -> None:
    batch = random_batch(4, 6, channels=4)
    for normalise in ("batch", "kept"):
        net = PixelNet(4).double()
        output = step(net, batch, normalise=normalise, filter=specs.Filter(k=6))
        output.loss.backward()
        assert output.terms["oe"].item() == 0
        assert net.head.weight.grad is not None
        assert net.head.weight.grad.isfinite().all()


def test_the_same_rng_gives_the_same_loss_and_another_gives_another() -> None:
    batch = random_batch(4, 6, channels=4)
    losses = [step(PixelNet(4).double(), batch, np.random.default_rng(seed)).loss.item() for seed in (1, 1, 2)]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_gradient_survives_the_filter_under_autocast() -> None:
    # Autocast caches the bfloat16 copy of a weight; one made without gradient in the filter must not be used again.
    net = NormNet().train()
    batch = batch_of(torch.randn(6, 3), [0, 1, 2, 3, 0, 1], torch.randn(8, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = step(net, batch, filter=specs.Filter(k=2))
    output.loss.backward()
    assert output.loss.dtype == torch.float32
    assert net.head.weight.grad is not None
    assert net.head.weight.grad.abs().sum() > 0


def test_a_batch_without_outliers_is_refused() -> None:
    with pytest.raises(ValueError, match="0 outliers"):
        step(PixelNet(4).double(), random_batch(3, 0, channels=4))
