"""Every method against a reference in plain loops, and what must hold of all of them; UDG is in test_golden_udg.py.

The reference follows the formulas of the papers sample by sample in Python floats. Only the order in which chance is
drawn is the methods' own: lam, the two permutations, the rows and the columns of box centres.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import exp, floor, log, sqrt
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from plain_loops import Head, Image, Row, cross, head_of, log_sum_exp, logits_of
from stub_nets import LinearNet, NormNet, random_images

from goe.core import specs
from goe.methods import Batch, StepOutput, build_method
from goe.methods.mixing import mix_pairs, mix_pool

SHAPE = (1, 6, 4)
PIXELS = 24
SEED = 2


def confidence(z: Row, estimation: str) -> float:
    total = log_sum_exp(z)
    p = sorted(exp(v - total) for v in z)
    match estimation:
        case "msp":
            return p[-1]
        case "margin":
            return p[-1] - p[-2]
    return sum(q * log(q) for q in p)


def dropped_outliers(spec: specs.Filter, logits: list[Row], logits_out: list[Row]) -> set[int]:
    inner = sorted(confidence(z, spec.estimation) for z in logits)
    outer = [confidence(z, spec.estimation) for z in logits_out]
    match spec.strategy:
        case "none":
            return set()
        case "topk":
            ranked = sorted(range(len(outer)), key=lambda j: -outer[j])
            return set(ranked[: spec.k])
        case "static":
            threshold = inner[min(spec.k, len(inner)) - 1]
        case "adaptive":
            threshold = sum(inner) / len(inner)
        case "quantile":
            rank = spec.quantile * (len(inner) - 1)
            below = floor(rank)
            above = min(below + 1, len(inner) - 1)
            threshold = inner[below] + (rank - below) * (inner[above] - inner[below])
    return {j for j, value in enumerate(outer) if value >= threshold}


def mean(values: list[float], keep: list[bool], normalise: str) -> float:
    total = sum(value for value, counts in zip(values, keep, strict=True) if counts)
    return total / (len(values) if normalise == "batch" else max(sum(keep), 1))


def mixture(spec: specs.Mix, lam: float, centre: tuple[int, int], first: Image, second: Image) -> tuple[Image, float]:
    """The mixed image and the first's share in it."""
    height, width = len(first[0]), len(first[0][0])
    side_h, side_w = int(height * sqrt(1 - lam)) // 2, int(width * sqrt(1 - lam)) // 2
    pasted = 0
    mixed: Image = []
    for a, b in zip(first, second, strict=True):
        mixed.append([])
        for h in range(height):
            mixed[-1].append([])
            for w in range(width):
                if spec.strategy == "mixup":
                    mixed[-1][-1].append(lam * a[h][w] + (1 - lam) * b[h][w])
                    continue
                # from centre - side to before centre + side, in both directions
                inside = abs(2 * (h - centre[0]) + 1) < 2 * side_h and abs(2 * (w - centre[1]) + 1) < 2 * side_w
                pasted += inside
                mixed[-1][-1].append(b[h][w] if inside else a[h][w])
    return mixed, lam if spec.strategy == "mixup" else 1 - pasted / (height * width * len(first))


def mixed_terms(
    spec: specs.Mix, net: Head, pool: list[Image], targets: list[Row], rng: np.random.Generator, size: int | None
) -> list[tuple[float, int, int]]:
    """Loss of each mixture and the positions of its two images; pairs (i, i + size), or permuted where size is None."""
    count = len(pool) if size is None else size
    shape = () if spec.lam == "batch" else (count,)
    lams = np.broadcast_to(rng.beta(spec.alpha, spec.beta, size=shape), count)
    if size is None:
        first, second = rng.permutation(count), rng.permutation(count)
    else:
        first, second = np.arange(size), np.arange(size) + size
    centres = [(0, 0)] * count
    if spec.strategy == "cutmix":
        rows, columns = (np.broadcast_to(rng.integers(n, size=shape), count).tolist() for n in SHAPE[1:])
        centres = list(zip(rows, columns, strict=True))
    found = []
    for lam, a, b, centre in zip(lams.tolist(), first.tolist(), second.tolist(), centres, strict=True):
        image, share = mixture(spec, lam, centre, pool[a], pool[b])
        z = logits_of(net, image)
        found.append((share * cross(targets[a], z) + (1 - share) * cross(targets[b], z), a, b))
    return found


@dataclass
class Reference:
    loss: float
    terms: dict[str, float]
    dropped: set[int]


def reference(net: Head, batch: Batch, spec: Any) -> Reference:
    """The loss of a method, its unweighted terms, and the outliers its filter drops."""
    x, x_out, y = batch.x.tolist(), batch.x_out.tolist(), batch.y.tolist()
    b, m, classes = len(x), len(x_out), len(net[1])
    logits, logits_out = [logits_of(net, image) for image in x], [logits_of(net, image) for image in x_out]
    one_hot = [[1.0 if k == label else 0.0 for k in range(classes)] for label in y]
    uniform = [1 / classes] * classes
    ce = sum(cross(target, z) for target, z in zip(one_hot, logits, strict=True)) / b
    if isinstance(spec, specs.Baseline):
        return Reference(ce, {"ce": ce}, set())

    dropped = dropped_outliers(spec.filter, logits, logits_out)
    kept = [j not in dropped for j in range(m)]
    oe = mean([cross(uniform, z) for z in logits_out], kept, spec.normalise)
    rng = np.random.default_rng(SEED)
    if isinstance(spec, specs.OE):
        return Reference(ce + spec.weight * oe, {"ce": ce, "oe": oe}, dropped)
    if isinstance(spec, specs.EnergyOE):
        inner = [max(0.0, -log_sum_exp(z) - spec.m_in) ** 2 for z in logits]
        outer = [max(0.0, spec.m_out + log_sum_exp(z)) ** 2 for z in logits_out]
        energy = sum(inner) / b + mean(outer, kept, spec.normalise)
        return Reference(ce + spec.weight * energy, {"ce": ce, "energy": energy}, dropped)
    if isinstance(spec, specs.MixOE):
        partners = [x_out[i % m] for i in range(b)]
        found = mixed_terms(spec.mix, net, x + partners, one_hot + [uniform] * b, rng, b)
        mix = mean([value for value, _, _ in found], [i % m not in dropped for i in range(b)], spec.normalise)
        return Reference(ce + spec.weight * mix, {"ce": ce, "mix": mix}, dropped)
    assert isinstance(spec, specs.GOE)
    pool = x + x_out[:b]
    found = mixed_terms(spec.mix, net, pool, one_hot + [uniform] * (len(pool) - b), rng, None)
    counts = [first - b not in dropped and second - b not in dropped for _, first, second in found]
    mix = mean([value for value, _, _ in found], counts, spec.normalise)
    loss = ce + spec.mix_weight * mix + spec.oe_weight * oe
    return Reference(loss, {"ce": ce, "oe": oe, "mix": mix}, dropped)


MIXES = {
    f"{strategy}-{lam}": specs.Mix(strategy=strategy, lam=lam, alpha=0.8, beta=1.7)  # type: ignore[arg-type]
    for strategy, lam in product(("mixup", "cutmix"), ("batch", "sample"))
}
METHODS: dict[str, Callable[..., Any]] = {
    "oe": lambda **options: specs.OE(weight=0.7, **options),
    # Logits of 24 normal pixels times normal weights have a deviation of 5, so energies lie on either side of -9.
    "energy-oe": lambda **options: specs.EnergyOE(weight=0.3, m_in=-9.0, m_out=-8.0, **options),
    **{
        f"mixoe-{n}": lambda mix=mix, **options: specs.MixOE(weight=1.9, mix=mix, **options) for n, mix in MIXES.items()
    },
    **{
        f"goe-{n}": lambda mix=mix, **options: specs.GOE(mix_weight=0.7, oe_weight=1.3, mix=mix, **options)
        for n, mix in MIXES.items()
    },
}
FILTERS = {
    "none": specs.NO_FILTER,
    **{
        f"{strategy}-{estimation}": specs.Filter(strategy=strategy, estimation=estimation, k=3, quantile=0.4)  # type: ignore[arg-type]
        for strategy, estimation in product(("topk", "static", "adaptive", "quantile"), ("msp", "margin", "entropy"))
    },
}


def step(net: Any, batch: Batch, spec: Any, seed: int = SEED) -> StepOutput:
    return build_method(spec).step(net, batch, np.random.default_rng(seed))


def softer(net: LinearNet) -> LinearNet:
    """`net` in float64 with logits a fifth as large, so that many classes have a say."""
    net = net.double()
    with torch.no_grad():
        net.head.weight /= 5
    return net


def check(spec: Any, b: int, m: int, classes: int) -> StepOutput:
    # Energies need the large logits to lie about the margins.
    net = LinearNet(PIXELS, classes).double()
    net = net if isinstance(spec, specs.EnergyOE) else softer(net)
    batch = random_images(b, m, SHAPE, classes=classes, seed=classes + m)
    found, expected = step(net, batch, spec), reference(head_of(net), batch, spec)
    assert {name: term.item() for name, term in found.terms.items()} == pytest.approx(expected.terms, rel=1e-11)
    assert found.loss.item() == pytest.approx(expected.loss, rel=1e-11)
    assert found.loss.dtype == torch.float64
    dropped = set() if found.dropped is None else set(found.dropped.nonzero().flatten().tolist())
    assert dropped == expected.dropped
    return found


@pytest.mark.parametrize("filtering", FILTERS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("normalise", ["batch", "kept"])
def test_methods_agree_with_plain_loops_under_every_filter(method: str, filtering: str, normalise: str) -> None:
    found = check(METHODS[method](normalise=normalise, filter=FILTERS[filtering]), b=6, m=12, classes=10)
    assert (found.dropped is None) == (filtering == "none")
    if found.dropped is not None:
        assert 0 < found.dropped.sum() < 12  # else the case would show nothing


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize(("b", "m"), [(5, 16), (6, 4), (1, 1)], ids=["short-last-batch", "few-outliers", "one-each"])
@pytest.mark.parametrize("filtering", ["static-msp", "quantile-entropy"])
def test_methods_agree_with_plain_loops_in_every_shape(
    method: str, classes: int, b: int, m: int, filtering: str
) -> None:
    check(METHODS[method](filter=FILTERS[filtering]), b, m, classes)


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_the_baseline_agrees_with_plain_loops(classes: int) -> None:
    for m in (0, 16):
        check(specs.Baseline(), 5, m, classes)


def test_the_energy_cases_lie_on_both_sides_of_the_margins() -> None:
    head, batch = head_of(LinearNet(PIXELS, 10).double()), random_images(6, 12, SHAPE, classes=10, seed=22)
    for images, margin in ((batch.x, -9.0), (batch.x_out, -8.0)):
        energies = [-log_sum_exp(logits_of(head, image)) for image in images.tolist()]
        assert min(energies) < margin < max(energies)


@pytest.mark.parametrize("name", ["cutmix-batch", "cutmix-sample"])
def test_the_cutmix_cases_paste_part_of_an_image(name: str) -> None:
    for mix in (mix_pool, mix_pairs):
        share = torch.as_tensor(mix(random_images(6, 12, SHAPE), MIXES[name], np.random.default_rng(SEED)).lam)
        assert ((share > 0.25) & (share < 0.95)).double().mean() > 0.5


WEIGHTLESS: dict[str, Any] = {
    "oe": specs.OE(weight=0.0),
    "energy-oe": specs.EnergyOE(weight=0.0),
    "mixoe": specs.MixOE(weight=0.0),
    "goe": specs.GOE(mix_weight=0.0, oe_weight=0.0),
}


@pytest.mark.parametrize("method", WEIGHTLESS)
@pytest.mark.parametrize("filtering", ["none", "topk-msp"])
def test_without_weight_every_method_is_the_baseline(method: str, filtering: str) -> None:
    spec = msgspec.structs.replace(WEIGHTLESS[method], filter=FILTERS[filtering])
    batch = random_images(6, 12, SHAPE)
    gradients = []
    for each in (spec, specs.Baseline()):
        net = softer(LinearNet(PIXELS, 4))
        output = step(net, batch, each)
        output.loss.backward()
        assert torch.equal(output.loss.detach(), output.terms["ce"])
        gradients.append((output.loss.item(), net.head.weight.grad))
    (loss, gradient), (expected_loss, expected) = gradients
    assert loss == pytest.approx(expected_loss, rel=1e-14)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("method", METHODS)
def test_k_of_zero_is_no_filter(method: str) -> None:
    batch, net = random_images(6, 12, SHAPE), softer(LinearNet(PIXELS, 4))
    expected = step(net, batch, METHODS[method](filter=specs.NO_FILTER))
    for strategy in ("topk", "static"):
        found = step(net, batch, METHODS[method](filter=specs.Filter(strategy=strategy, k=0)))
        assert torch.equal(found.loss, expected.loss)
        assert found.dropped is None
        assert found.threshold is None


@pytest.mark.parametrize("method", METHODS)
def test_warmup_is_no_filter_until_it_is_over(method: str) -> None:
    batch, net = random_images(6, 12, SHAPE), softer(LinearNet(PIXELS, 4))
    plain = specs.Filter(strategy="topk", k=3)
    sleeping = build_method(METHODS[method](filter=msgspec.structs.replace(plain, warmup_epochs=3)))
    for epoch, spec in ((2, specs.NO_FILTER), (3, plain)):
        sleeping.start_epoch(net, None, epoch, np.random.default_rng(0))  # type: ignore[arg-type]
        found = sleeping.step(net, batch, np.random.default_rng(SEED))
        assert torch.equal(found.loss, step(net, batch, METHODS[method](filter=spec)).loss)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("normalise", ["batch", "kept"])
def test_dropped_outliers_get_exactly_no_gradient(method: str, normalise: str) -> None:
    batch = random_images(6, 12, SHAPE)
    batch.x_out.requires_grad_()
    spec = METHODS[method](normalise=normalise, filter=specs.Filter(k=4))
    if isinstance(spec, specs.EnergyOE):
        spec = msgspec.structs.replace(spec, m_out=0.0)  # every outlier's energy is below it
    output = step(softer(LinearNet(PIXELS, 4)), batch, spec)
    output.loss.backward()
    assert output.dropped is not None
    assert batch.x_out.grad is not None
    touched = (batch.x_out.grad != 0).flatten(1).any(1)
    assert not touched[output.dropped].any()
    if not isinstance(spec, specs.MixOE):  # which has no use for those beyond the first B
        assert touched[~output.dropped].all()


@pytest.mark.parametrize("filtering", ["topk-msp", "static-margin", "adaptive-entropy", "quantile-msp"])
@pytest.mark.parametrize("method", ["oe", "energy-oe", "mixoe-mixup-batch", "goe-mixup-batch"])
def test_no_gradient_flows_through_the_filter(method: str, filtering: str) -> None:
    # The gradient must be the same where the filter judges with copies of the weights.
    batch = random_images(6, 12, SHAPE)
    spec = METHODS[method](filter=FILTERS[filtering])
    gradients = []
    for detached in (False, True):
        net: LinearNet = JudgedApart(PIXELS, 4) if detached else LinearNet(PIXELS, 4)
        step(softer(net), batch, spec).loss.backward()
        gradients.append(net.head.weight.grad)
    assert torch.equal(*gradients)


class JudgedApart(LinearNet):
    """In evaluation mode its weights are copies that no gradient could reach."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            return super().forward(x)
        return x.flatten(1) @ self.head.weight.detach().clone().T + self.head.bias.detach().clone()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("forward", ["joint", "separate"])
def test_parts_share_batch_norm_only_in_a_joint_forward(method: str, forward: Any) -> None:
    # Moving the outliers far away moves the ID images' logits exactly where they share statistics.
    spec = METHODS[method](forward=forward)
    logits = []
    for distance in (0.0, 10.0):
        batch = random_images(6, 12, SHAPE)
        batch.x_out.add_(distance)
        torch.manual_seed(0)
        net = NormNet(pixels=PIXELS).double().train()
        logits.append(step(net, batch, spec).logits)
    assert torch.equal(*logits) == (forward == "separate")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_losses_are_float32_in_training_precision(method: str, dtype: torch.dtype) -> None:
    batch = random_images(6, 12, SHAPE, dtype=torch.float32)
    net = LinearNet(PIXELS, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        output = step(net, batch, METHODS[method](filter=specs.Filter(strategy="quantile")))
    output.loss.backward()
    assert output.loss.dtype == torch.float32
    assert {term.dtype for term in output.terms.values()} == {torch.float32}
    assert net.head.weight.grad is not None
    assert net.head.weight.grad.isfinite().all()
    assert net.head.weight.grad.abs().sum() > 0
