"""The loss terms against values worked out by hand."""

from math import inf, log

import pytest
import torch
from torch import Tensor

from goe.methods.losses import cross_entropy, energy, masked_mean, mixed_cross_entropy, uniform_cross_entropy

# softmax((ln 3, 0)) = (3/4, 1/4)
THREE_TO_ONE = [log(3), 0.0]


def test_cross_entropy_is_minus_log_probability() -> None:
    found = cross_entropy(torch.tensor([THREE_TO_ONE, THREE_TO_ONE], dtype=torch.float64), torch.tensor([0, 1]))
    # -ln(3/4) = ln(4/3), -ln(1/4) = ln 4
    assert found.tolist() == pytest.approx([log(4 / 3), log(4)])


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("shift", [0.0, -50.0, 1000.0])
def test_uniform_cross_entropy_of_uniform_logits_is_ln_k(classes: int, shift: float) -> None:
    found = uniform_cross_entropy(torch.full((3, classes), shift, dtype=torch.float64))
    assert found.tolist() == pytest.approx([log(classes)] * 3)


def test_uniform_cross_entropy_of_two_classes() -> None:
    # p = (3/4, 1/4): -(ln 3/4 + ln 1/4) / 2 = ln(16/3) / 2 = 0.8370;  lse - mean = ln 4 - ln(3) / 2, the same
    found = uniform_cross_entropy(torch.tensor([THREE_TO_ONE], dtype=torch.float64))
    assert found.item() == pytest.approx(0.5 * log(16 / 3))


def test_mixed_cross_entropy_weighs_the_two_targets() -> None:
    logits = torch.tensor([THREE_TO_ONE], dtype=torch.float64)
    class_0, uniform = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]])
    # 0.25 * ln(4/3) + 0.75 * ln(16/3) / 2 = 0.0719 + 0.6277 = 0.6997
    assert mixed_cross_entropy(logits, class_0, uniform, 0.25).item() == pytest.approx(0.6997, abs=5e-5)
    assert mixed_cross_entropy(logits, class_0, uniform, 1.0).item() == pytest.approx(log(4 / 3))


def test_mixed_cross_entropy_takes_a_lam_for_each_row() -> None:
    logits = torch.tensor([THREE_TO_ONE] * 3, dtype=torch.float64)
    class_0, uniform = torch.tensor([[1.0, 0.0]] * 3), torch.tensor([[0.5, 0.5]] * 3)
    found = mixed_cross_entropy(logits, class_0, uniform, torch.tensor([0.25, 1.0, 0.0], dtype=torch.float64))
    assert found.tolist() == pytest.approx([0.6997, log(4 / 3), 0.5 * log(16 / 3)], abs=5e-5)


def test_energy_is_minus_log_of_the_sum_of_exponentials() -> None:
    # e^(ln 3) + e^0 = 4;  two logits of 1000: 1000 + ln 2, with no overflow
    found = energy(torch.tensor([THREE_TO_ONE, [1000.0, 1000.0]], dtype=torch.float64))
    assert found.tolist() == pytest.approx([-log(4), -1000 - log(2)])


VALUES = [1.0, 2.0, 4.0, 9.0]


def test_masked_mean_divides_by_the_batch_or_by_the_kept() -> None:
    values, keep = torch.tensor(VALUES), torch.tensor([True, False, True, False])
    assert masked_mean(values, keep, "batch").item() == pytest.approx(5 / 4)
    assert masked_mean(values, keep, "kept").item() == pytest.approx(5 / 2)


def test_masked_mean_of_all_is_the_mean() -> None:
    keep = torch.ones(4, dtype=torch.bool)
    assert masked_mean(torch.tensor(VALUES), keep, "batch").item() == pytest.approx(4)
    assert masked_mean(torch.tensor(VALUES), keep, "kept").item() == pytest.approx(4)


@pytest.mark.parametrize("normalise", ["batch", "kept"])
def test_masked_mean_of_none_is_zero_with_zero_gradient(normalise: str) -> None:
    values = torch.tensor(VALUES, requires_grad=True)
    mean = masked_mean(values, torch.zeros(4, dtype=torch.bool), normalise)  # type: ignore[arg-type]
    mean.backward()
    assert mean.item() == 0
    assert values.grad is not None
    assert values.grad.tolist() == [0, 0, 0, 0]


def test_masked_mean_leaves_out_infinities() -> None:
    assert masked_mean(torch.tensor([3.0, inf]), torch.tensor([True, False]), "batch").item() == 1.5


def _losses(logits: Tensor) -> list[Tensor]:
    target = torch.eye(10)[: len(logits)]
    return [
        cross_entropy(logits, torch.arange(len(logits))),
        uniform_cross_entropy(logits),
        energy(logits),
        mixed_cross_entropy(logits, target, target.flip(0), 0.3),
    ]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_taken_to_float32_first(dtype: torch.dtype) -> None:
    half = torch.randn(5, 10, generator=torch.Generator().manual_seed(0)).mul(3).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = _losses(half)
    for loss, exact in zip(found, _losses(half.double()), strict=True):
        assert loss.dtype == torch.float32
        assert loss.tolist() == pytest.approx(exact.tolist(), rel=1e-5)
