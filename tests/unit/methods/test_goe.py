"""G-OE: the whole loss by hand and against a reference in plain loops, the shared forward, the filter's effect."""

from math import exp, log
from typing import Any

import numpy as np
import pytest
import torch
from stub_nets import NormNet, PixelNet, batch_of, random_batch

from goe.core import config
from goe.methods import Batch, StepOutput, build_method
from goe.methods.goe import mix_pool

NO_FILTER = config.Filter(strategy="none")


class FixedRng:
    """Stands in for numpy's Generator where a test must know what is drawn."""

    def __init__(self, lam: float, *permutations: list[int]) -> None:
        self.lam = lam
        self.permutations = [np.array(values) for values in permutations]

    def beta(self, alpha: float, beta: float) -> float:
        return self.lam

    def permutation(self, length: int) -> np.ndarray[Any, Any]:
        values = self.permutations.pop(0)
        assert sorted(values) == list(range(length))
        return values


def step(net: Any, batch: Batch, rng: Any = None, **options: Any) -> StepOutput:
    method = build_method(config.GOE(**options))
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
    output = step(PixelNet(2).double(), hand_batch(), rng, mix_weight=2.0, oe_weight=3.0, filter=config.Filter(k=1))
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
    output = step(PixelNet(2).double(), hand_batch(), rng, normalise="kept", filter=config.Filter(k=1))
    assert output.terms["oe"].item() == pytest.approx(log(2))
    assert output.terms["mix"].item() == pytest.approx(0.59308, abs=1e-5)


@pytest.mark.parametrize(("normalise", "expected"), [("batch", log(4 / 3) / 2), ("kept", log(4 / 3))])
def test_mixtures_of_a_dropped_outlier_are_masked(normalise: str, expected: float) -> None:
    # The outlier v = (ln 9, 0) is the only one, dropped. Pool [a, v]; both permutations (0, 1):
    #   mixture 0 = a, target (1, 0), H = ln(4/3), kept;  mixture 1 = v, masked.
    batch = hand_batch()
    batch = batch_of(batch.x, [0], batch.x_out[1:])
    rng = FixedRng(0.25, [0, 1], [0, 1])
    output = step(PixelNet(2).double(), batch, rng, normalise=normalise, filter=config.Filter(k=1))
    assert output.terms["mix"].item() == pytest.approx(expected)
    assert output.terms["oe"].item() == 0
    # Crossed permutations put v into both mixtures.
    rng = FixedRng(0.25, [0, 1], [1, 0])
    output = step(PixelNet(2).double(), batch, rng, normalise=normalise, filter=config.Filter(k=1))
    assert output.terms["mix"].item() == 0


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize(("mix_weight", "oe_weight"), [(0.5, 0.5), (2.0, 0.0), (0.0, 1.0)])
def test_uniform_logits_cost_ln_k_for_each_weight(classes: int, mix_weight: float, oe_weight: float) -> None:
    batch = batch_of(torch.zeros(4, classes), [0, 1, 2, 3], torch.zeros(7, classes))
    output = step(PixelNet(classes), batch, mix_weight=mix_weight, oe_weight=oe_weight, filter=NO_FILTER)
    assert output.loss.item() == pytest.approx(log(classes) * (1 + mix_weight + oe_weight))


def reference_loss(batch: Batch, spec: config.GOE, seed: int) -> float:
    """The paper's loss for PixelNet (an image is its own logits), sample by sample, in plain Python."""
    x, x_out, y = batch.x.flatten(1).tolist(), batch.x_out.flatten(1).tolist(), batch.y.tolist()
    b, m, classes = len(x), len(x_out), len(x[0])

    def log_p(logits: list[float]) -> list[float]:
        total = log(sum(exp(z) for z in logits))
        return [z - total for z in logits]

    def cross(target: list[float], logits: list[float]) -> float:
        return -sum(t * v for t, v in zip(target, log_p(logits), strict=True))

    def confidence(logits: list[float]) -> float:
        p = sorted(exp(v) for v in log_p(logits))
        return {"msp": p[-1], "margin": p[-1] - p[-2], "entropy": sum(q * log(q) for q in p)}[spec.filter.estimation]

    inner, outer = [confidence(z) for z in x], [confidence(z) for z in x_out]
    threshold = {
        "topk": sorted(outer)[-spec.filter.k],
        "static": sorted(inner)[spec.filter.k - 1],
        "adaptive": sum(inner) / b,
        "none": 2.0,
    }[spec.filter.strategy]
    dropped = {j for j in range(m) if outer[j] >= threshold}

    rng = np.random.default_rng(seed)
    lam = rng.beta(spec.alpha, spec.beta) if spec.alpha > 0 else 1.0
    pool = x + x_out[:b]
    first, second = rng.permutation(len(pool)), rng.permutation(len(pool))
    uniform = [1 / classes] * classes
    targets = [[float(k == label) for k in range(classes)] for label in y] + [uniform] * (len(pool) - b)

    ce = sum(cross(target, z) for target, z in zip(targets, x, strict=False)) / b
    kept_oe = [cross(uniform, x_out[j]) for j in range(m) if j not in dropped]
    kept_mix = []
    for i, j in zip(first, second, strict=True):
        if i - b in dropped or j - b in dropped:
            continue
        image = [lam * p + (1 - lam) * q for p, q in zip(pool[i], pool[j], strict=True)]
        kept_mix.append(lam * cross(targets[i], image) + (1 - lam) * cross(targets[j], image))
    by_batch = spec.normalise == "batch"
    mix = sum(kept_mix) / (len(pool) if by_batch else max(len(kept_mix), 1))
    oe = sum(kept_oe) / (m if by_batch else max(len(kept_oe), 1))
    return ce + spec.mix_weight * mix + spec.oe_weight * oe


@pytest.mark.parametrize("normalise", ["batch", "kept"])
@pytest.mark.parametrize("strategy", ["topk", "static", "adaptive", "none"])
@pytest.mark.parametrize("estimation", ["msp", "margin", "entropy"])
@pytest.mark.parametrize(("b", "m"), [(6, 12), (6, 4)])
def test_agrees_with_the_reference_in_loops(normalise: str, strategy: str, estimation: str, b: int, m: int) -> None:
    spec = config.GOE(
        mix_weight=0.7,
        oe_weight=1.3,
        alpha=0.8,
        beta=1.7,
        normalise=normalise,  # type: ignore[arg-type]
        filter=config.Filter(strategy=strategy, estimation=estimation, k=3),  # type: ignore[arg-type]
    )
    batch = random_batch(b, m, channels=4, seed=m)
    found = build_method(spec).step(PixelNet(4).double(), batch, np.random.default_rng(5)).loss
    assert found.item() == pytest.approx(reference_loss(batch, spec, 5), rel=1e-12)


def test_one_training_forward_sees_id_mixtures_and_outliers() -> None:
    net = PixelNet(4).double().train()
    batch = random_batch(3, 5, channels=4)
    step(net, batch, filter=config.Filter(k=1))
    assert [(len(images), training) for images, training, _ in net.seen] == [(5, False), (3 + 6 + 5, True)]
    images = net.seen[1][0]
    assert torch.equal(images[:3], batch.x)
    assert torch.equal(images[9:], batch.x_out)


def test_the_pool_is_shorter_where_outliers_are_few() -> None:
    net = PixelNet(4).double()
    step(net, random_batch(5, 2, channels=4), filter=NO_FILTER)
    assert net.rows == [5 + (5 + 2) + 2]


def test_batch_norm_is_shared_and_updated_once() -> None:
    net = NormNet().double().train()
    batch = random_batch(6, 8)
    step(net, batch, filter=config.Filter(k=2))
    mix = mix_pool(batch, torch.ones(8, dtype=torch.bool), np.random.default_rng(0), alpha=1.0, beta=1.0)
    everything = torch.cat([batch.x, mix.images, batch.x_out]).flatten(1)
    # Running mean starts at 0 and moves by momentum 0.1 to the mean of all 6 + 12 + 8 rows.
    assert net.norm.running_mean is not None
    assert net.norm.running_mean.tolist() == pytest.approx((0.1 * everything.mean(0)).tolist())
    assert net.norm.num_batches_tracked == 1


def test_without_mixing_it_is_outlier_exposure_with_a_filter() -> None:
    net, rng, batch = PixelNet(4).double(), np.random.default_rng(0), random_batch(4, 6, channels=4)
    output = step(net, batch, rng, mix_weight=0.0, filter=NO_FILTER)
    oe = build_method(config.OE(weight=0.5)).step(PixelNet(4).double(), batch, rng)
    assert output.loss.item() == pytest.approx(oe.loss.item())
    assert set(output.terms) == {"ce", "oe"}
    assert net.rows == [4 + 6]
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


def test_without_a_filter_nothing_is_reported_dropped() -> None:
    output = step(PixelNet(4).double(), random_batch(4, 6, channels=4), filter=config.Filter(k=0))
    assert output.dropped is None
    assert output.threshold is None


def test_alpha_zero_mixes_nothing() -> None:
    batch, keep = random_batch(3, 4), torch.ones(4, dtype=torch.bool)
    mix = mix_pool(batch, keep, np.random.default_rng(0), alpha=0.0, beta=1.0)
    assert mix.lam == 1
    assert torch.equal(mix.images, torch.cat([batch.x, batch.x_out[:3]])[mix.first])


def test_dropped_outliers_get_no_gradient() -> None:
    batch = random_batch(4, 6, channels=4)
    batch.x_out.requires_grad_()
    output = step(PixelNet(4).double(), batch, filter=config.Filter(k=3))
    output.loss.backward()
    assert output.dropped is not None
    assert batch.x_out.grad is not None
    touched = batch.x_out.grad.flatten(1).abs().amax(1) > 0
    assert torch.equal(touched, ~output.dropped)


def test_all_outliers_dropped_leaves_the_id_terms() -> None:
    batch = random_batch(4, 6, channels=4)
    for normalise in ("batch", "kept"):
        net = PixelNet(4).double()
        output = step(net, batch, normalise=normalise, filter=config.Filter(k=6))
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
        output = step(net, batch, filter=config.Filter(k=2))
    output.loss.backward()
    assert output.loss.dtype == torch.float32
    assert net.head.weight.grad is not None
    assert net.head.weight.grad.abs().sum() > 0


def test_images_stay_channels_last() -> None:
    torch.manual_seed(0)
    x, x_out = (torch.randn(n, 3, 4, 4).to(memory_format=torch.channels_last) for n in (3, 5))
    batch = Batch(x=x, y=torch.arange(3), index=torch.arange(3), x_out=x_out, index_out=torch.arange(5))
    net = PixelNet(48)
    step(net, batch, filter=NO_FILTER)
    assert net.seen[0][0].is_contiguous(memory_format=torch.channels_last)


def test_a_batch_without_outliers_is_refused() -> None:
    with pytest.raises(ValueError, match="0 outliers"):
        step(PixelNet(4).double(), random_batch(3, 0, channels=4))
