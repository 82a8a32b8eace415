"""Which outliers go: confidences, strategies, and what the filter's forward leaves untouched."""

from math import log, nan
from typing import Any

import pytest
import torch
from stub_nets import NormNet, PixelNet, batch_of, random_batch
from torch import Tensor

from goe.core.specs import Filter
from goe.methods.base import Batch
from goe.methods.filtering import (
    CONFIDENCES,
    Filtered,
    drop_adaptive,
    drop_quantile,
    drop_static,
    drop_topk,
    evaluating,
    filter_outliers,
    kept,
)
from goe.models.base import Net


def test_confidences_of_known_probabilities() -> None:
    # p = (1/2, 1/3, 1/6): entropy = ln(2)/2 + ln(3)/3 + ln(6)/6 = 1.0114
    logits = torch.tensor([[log(3), log(2), 0.0], [7.0, 7.0, 7.0]], dtype=torch.float64)
    expected = {"msp": [1 / 2, 1 / 3], "margin": [1 / 6, 0], "entropy": [-1.011404, -log(3)]}
    for name, confidence in CONFIDENCES.items():
        assert confidence(logits).tolist() == pytest.approx(expected.pop(name), rel=1e-6)
    assert not expected


@pytest.mark.parametrize("name", ["msp", "margin", "entropy"])
def test_confidences_of_bfloat16_logits_are_float32(name: str) -> None:
    half = torch.tensor([[0.11, 1.7, -2.3]], dtype=torch.bfloat16)
    found = CONFIDENCES[name](half)  # type: ignore[index]
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(CONFIDENCES[name](half.double()).item(), rel=1e-5)  # type: ignore[index]


def test_topk_drops_the_k_most_confident() -> None:
    found = drop_topk(torch.tensor([0.3, 0.9, 0.5, 0.8, 0.1]), k=2)
    assert found.dropped.tolist() == [False, True, False, True, False]
    assert found.threshold.item() == pytest.approx(0.8)


def test_topk_drops_exactly_k_of_tied_confidences_the_earlier_first() -> None:
    found = drop_topk(torch.tensor([1.0, 0.2, 1.0, 1.0, 1.0]), k=3)
    assert found.dropped.tolist() == [True, False, True, True, False]


def test_topk_of_many_ties_is_stable() -> None:
    # 4,096 equal values: an unstable sort would scatter the choice.
    found = drop_topk(torch.ones(4096), k=100)
    assert found.dropped.nonzero().flatten().tolist() == list(range(100))


def test_topk_beyond_the_batch_drops_all_of_it() -> None:
    found = drop_topk(torch.tensor([0.3, 0.9]), k=5)
    assert found.dropped.tolist() == [True, True]
    assert found.threshold.item() == pytest.approx(0.3)


ID = torch.tensor([0.9, 0.5, 0.7, 0.6])


@pytest.mark.parametrize(
    ("k", "threshold", "dropped"),
    [
        (1, 0.5, [False, True, True, True]),  # the least confident ID sample has 0.5; equal goes too
        (2, 0.6, [False, False, True, True]),
        (4, 0.9, [False, False, False, True]),
        (9, 0.9, [False, False, False, True]),  # a short last batch: rank 4 of 4
    ],
)
def test_static_drops_from_the_kth_least_confident_id_sample(k: int, threshold: float, dropped: list[bool]) -> None:
    found = drop_static(ID, torch.tensor([0.4, 0.5, 0.8, 0.95]), k)
    assert found.threshold.item() == pytest.approx(threshold)
    assert found.dropped.tolist() == dropped


def test_adaptive_drops_from_the_mean_id_confidence() -> None:
    # (1 + 0.5 + 0.75 + 0.75) / 4 = 0.75, exact in binary, so that equality is tested too
    found = drop_adaptive(torch.tensor([1.0, 0.5, 0.75, 0.75]), torch.tensor([0.74, 0.75, 0.76, 0.1]))
    assert found.threshold.item() == 0.75
    assert found.dropped.tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("quantile", "threshold", "dropped"),
    [
        # ID sorted: 0.5, 0.6, 0.7, 0.9 at ranks 0, 1, 2, 3
        (0.0, 0.5, [False, True, True, True]),  # equal goes too
        (0.15, 0.545, [False, False, True, True]),  # rank 0.45: 0.5 + 0.45 * 0.1
        (0.5, 0.65, [False, False, True, True]),
        (0.9, 0.84, [False, False, False, True]),  # rank 2.7: 0.7 + 0.7 * 0.2
        (1.0, 0.9, [False, False, False, True]),
    ],
)
def test_quantile_drops_from_the_interpolated_rank_of_the_id_batch(
    quantile: float, threshold: float, dropped: list[bool]
) -> None:
    found = drop_quantile(ID, torch.tensor([0.4, 0.5, 0.8, 0.95]), quantile)
    assert found.threshold.item() == pytest.approx(threshold)
    assert found.threshold.dtype == torch.float32
    assert found.dropped.tolist() == dropped


def test_quantile_of_a_batch_of_one_is_that_sample() -> None:
    assert drop_quantile(torch.tensor([0.5]), torch.tensor([0.4, 0.5]), 0.15).dropped.tolist() == [False, True]


def test_a_confidence_that_is_no_number_never_raises() -> None:
    sick, healthy = torch.tensor([0.5, nan, 0.7]), torch.tensor([0.5, 0.6, 0.7])
    # An outlier's NaN: the largest to topk, kept by the rest.
    assert drop_topk(sick, 1).dropped.tolist() == [False, True, False]
    for found in (
        drop_static(healthy, sick, 1),
        drop_quantile(healthy, sick, 0.01),
        drop_adaptive(healthy - 0.2, sick),
    ):
        assert found.dropped.tolist()[1:] == [False, True]
    # An ID sample's NaN: a threshold of NaN keeps all, as it does to `static` at the rank of the NaN, the last.
    for found in (drop_static(sick, healthy, 3), drop_quantile(sick, healthy, 0.1), drop_adaptive(sick, healthy)):
        assert found.threshold.isnan()
        assert found.dropped.tolist() == [False] * 3
    assert drop_static(sick, healthy, 2).dropped.tolist() == [False, False, True]


@pytest.mark.parametrize("strategy", ["topk", "static", "adaptive", "quantile"])
@pytest.mark.parametrize("estimation", ["msp", "margin", "entropy"])
def test_a_network_that_diverged_does_not_crash_the_filter(strategy: str, estimation: str) -> None:
    batch = batch_of(torch.full((3, 2), nan), [0, 1, 0], torch.full((5, 2), nan))
    found = judge(PixelNet(2), batch, strategy=strategy, estimation=estimation, k=2)
    assert found is not None
    assert int(found.dropped.sum()) == (2 if strategy == "topk" else 0)


def judge(net: Net, batch: Batch, epoch: int = 0, **options: Any) -> Filtered | None:
    return filter_outliers(net, batch, Filter(**options), epoch)


def logits_of(confidence: list[float]) -> Tensor:
    """Two-class logits whose maximum probability is `confidence`: ln(p / (1 - p)) against 0."""
    return torch.tensor([[log(p / (1 - p)), 0.0] for p in confidence], dtype=torch.float64)


@pytest.fixture
def batch() -> Batch:
    return batch_of(logits_of([0.9, 0.6, 0.7]), [0, 0, 0], logits_of([0.55, 0.8, 0.65, 0.72]))


@pytest.mark.parametrize("estimation", ["msp", "margin", "entropy"])
@pytest.mark.parametrize(
    ("strategy", "k", "dropped", "rows"),
    [
        ("topk", 1, [False, True, False, False], 4),  # 0.8 alone, judged without the ID batch
        ("static", 1, [False, True, True, True], 7),  # ID's least: 0.6
        ("static", 2, [False, True, False, True], 7),  # second least: 0.7
        ("adaptive", 0, [False, True, False, False], 7),  # msp mean 0.733; margin and entropy agree here
        ("quantile", 0, [False, True, False, True], 7),  # ID's median: 0.7
    ],
)
def test_strategies_on_a_batch(
    batch: Batch, estimation: str, strategy: str, k: int, dropped: list[bool], rows: int
) -> None:
    net = PixelNet(2).double()
    found = judge(net, batch, strategy=strategy, estimation=estimation, k=k, quantile=0.5)
    assert found is not None
    assert found.dropped.tolist() == dropped
    assert net.rows == [rows]
    assert kept(found, batch).tolist() == [not out for out in dropped]


@pytest.mark.parametrize(("strategy", "k"), [("none", 20), ("topk", 0), ("static", 0)])
def test_a_filter_that_keeps_all_runs_no_forward(batch: Batch, strategy: str, k: int) -> None:
    net = PixelNet(2).double()
    assert judge(net, batch, strategy=strategy, k=k) is None
    assert net.rows == []
    assert kept(None, batch).tolist() == [True] * 4


@pytest.mark.parametrize("strategy", ["topk", "static", "adaptive", "quantile"])
def test_nothing_is_dropped_or_judged_during_warmup(batch: Batch, strategy: str) -> None:
    net = PixelNet(2).double()
    for epoch in (0, 1):
        assert judge(net, batch, epoch, strategy=strategy, k=1, warmup_epochs=2) is None
    assert net.rows == []
    found, at_once = (
        judge(net, batch, 2, strategy=strategy, k=1, warmup_epochs=2),
        judge(net, batch, strategy=strategy, k=1),
    )
    assert found is not None
    assert at_once is not None
    assert torch.equal(found.dropped, at_once.dropped)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("strategy", ["topk", "static", "adaptive", "quantile"])
def test_the_filter_leaves_no_trace_on_the_network(strategy: str, training: bool) -> None:
    net = NormNet().double().train(training)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = judge(net, random_batch(6, 8), strategy=strategy, k=2)
    assert found is not None
    assert not found.threshold.requires_grad
    assert {module.training for module in net.modules()} == {training}
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_filter_runs_in_evaluation_mode_without_gradient(batch: Batch) -> None:
    net = PixelNet(2).double().train()
    judge(net, batch, strategy="adaptive")
    assert [(training, gradient) for _, training, gradient in net.seen] == [(False, False)]


def test_the_mode_is_restored_after_an_error() -> None:
    net = PixelNet(2).train()
    with pytest.raises(RuntimeError, match="broken"), evaluating(net):
        raise RuntimeError("broken")
    assert net.training
