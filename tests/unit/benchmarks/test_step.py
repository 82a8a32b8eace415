"""What a step is measured by: sides that compute the same, floors, kinds of kernels."""

from dataclasses import replace

import kernels
import pytest
import step
import torch
from harness import Report, arguments
from standin import fresh, random_batch
from step import Side, Way, check, ways
from tables import Facts, Row, Table

from goe.device import Compute

CPU = torch.device("cpu")


@pytest.fixture
def report() -> Report:
    return Report("step.py", arguments("", rounds=1).parse_args([]))


def test_all_ways_begin_with_the_same_loss(report: Report) -> None:
    check(report, "wrn-10-1", CPU, tuple(ways("wrn-10-1", CPU, compiled=True)))
    (facts,) = report.parts
    assert isinstance(facts, Facts)
    said = [fact.what for fact in facts.facts]
    assert said[:3] == ["loss and gradients in float64", "loss, goe, none of them", "loss, channels_last alone"]
    assert said[-2:] == ["loss, all together", "loss, all, compiled"]


def test_a_way_with_another_loss_stops_it(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(step.ALLOWED, "float32", -1.0)
    with pytest.raises(SystemExit, match="loss, goe, none of them"):
        check(report, "wrn-10-1", CPU, tuple(ways("wrn-10-1", CPU, compiled=False)))


def test_every_way_trains_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    apply = Compute.apply

    def noted(compute: Compute) -> None:
        used.append(compute.precision)
        apply(compute)

    monkeypatch.setattr(Compute, "apply", noted)
    batch = random_batch((4, 8), CPU)
    for way in ways("wrn-10-1", CPU, compiled=False):
        side = Side(way, fresh("wrn-10-1", batch, dropout=True), batch)
        before = side.net.head.weight.clone()
        assert side() == 1
        assert not torch.equal(side.net.head.weight, before), way
        assert used.pop() == way.precision
        kept = side.net.groups[1][0].conv1.weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[index,union-attr]
        assert kept == way.channels_last
        assert side.optimiser.defaults["momentum"] == 0.9
        assert bool(side.optimiser.defaults["fused"]) == way.fused


def test_a_plain_way_draws_torchs_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr("goe.models.wrn.drop_out", lambda x, p: drawn.append(p) or x)
    batch = random_batch((4, 8), CPU)
    for way, times in ((Way("plain", plain=True), 0), (Way("goe"), 0), (replace(Way("goe"), own_dropout=True), 3)):
        drawn.clear()
        net = fresh("wrn-10-1", batch, dropout=True)
        drawn.clear()
        Side(way, net, batch).step()
        assert drawn == [0.3] * times


def test_a_floor_is_the_larger_of_arithmetic_and_traffic(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    # 1.43 TFLOP at 715 a second are 2 ms, 6.7 GB at 1,675 a second 4 ms.
    monkeypatch.setattr(kernels, "chip", lambda _: (715.0, 1675.0))
    table = Table("", "ms", (Row("plain", (40.0,)), Row("goe", (10.0, 6.0))), "plain")
    kernels.against_floor(report, "wrn-40-2", table, CPU)
    (facts,) = report.parts
    assert isinstance(facts, Facts)
    said = {fact.what: fact.said for fact in facts.facts}
    assert said["arithmetic, bfloat16"] == "2.00 ms"
    assert said["memory traffic in bfloat16, at the very least"] == "4.00 ms"
    assert said["plain: time over the floor"] == "10.0 ×"
    assert said["goe: time over the floor"] == "2.0 ×"


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        ("sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32_nhwckrsc_nhwc", "convolutions and matrix products"),
        ("void cudnn::bn_fw_tr_1C11_kernel_NCHW<float, float>", "batch norm"),
        ("void at::native::batch_norm_collect_statistics_channels_last_kernel", "batch norm"),
        ("triton_poi_fused__native_batch_norm_legit_relu_7", "compiled, fused"),
        ("void at::native::(anonymous namespace)::fused_dropout_kernel_vec", "dropout"),
        ("void at::native::(anonymous namespace)::multi_tensor_apply_kernel<FusedSgd", "the optimiser"),
        ("void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add", "elementwise"),
        ("Memcpy HtoD (Pageable -> Device)", "concatenation and copies"),
        ("void at::native::(anonymous namespace)::CatArrayBatchedCopy", "concatenation and copies"),
        ("void at::native::reduce_kernel<512, 1, at::native::ReduceOp", "reductions and sorting"),
        ("something_else", "others"),
    ],
)
def test_kernels_are_told_by_their_names(kernel: str, kind: str) -> None:
    assert kernels.kind_of(kernel) == kind
