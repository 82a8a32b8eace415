"""What a run computes in, on chips that have bfloat16 and on others."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from goe.core.config import RunConfig, complete
from goe.core.errors import UserError
from goe.device import Compute, pick_compute


def config(**keys: Any) -> RunConfig:
    raw = {"experiment": "x", "seed": 1, "dataset": "cifar10", **keys}
    found = complete(raw, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert found is not None
    return found


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """What the processor says it has; there is no GPU."""
    found: dict[str, bool] = {"avx2": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return found


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The compute capability of the only GPU."""
    found = [(9, 0)]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: found[-1])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla V100")
    return found


@pytest.mark.parametrize("has", ["avx512_bf16", "amx_bf16", "bf16"])
def test_auto_is_bfloat16_where_the_processor_has_it(processor: dict[str, bool], has: str) -> None:
    assert pick_compute(config()).precision == "float32"
    processor[has] = True
    assert pick_compute(config()) == Compute(torch.device("cpu"), "bfloat16")
    assert pick_compute(config(precision="float32")).precision == "float32"
    assert pick_compute(config(dataset="spiral")).precision == "float32"
    assert pick_compute(config(preset="paper")).precision == "float32"


@pytest.mark.parametrize(
    ("precision", "why"),
    [("bfloat16", "this processor has no bfloat16 arithmetic"), ("tf32", "only GPUs have TF32")],
)
@pytest.mark.usefixtures("processor")
def test_what_the_processor_lacks_is_done_in_float32_with_a_note(precision: str, why: str) -> None:
    found = pick_compute(config(precision=precision))
    assert found.precision == "float32"
    assert found.notes == (f"precision: {why}; float32 is used instead of {precision}",)


def test_an_older_torch_cannot_tell(processor: dict[str, bool], monkeypatch: pytest.MonkeyPatch) -> None:
    processor["amx_bf16"] = True
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert pick_compute(config()).precision == "float32"


def test_a_gpu_has_what_its_generation_has(gpu: list[tuple[int, int]]) -> None:
    assert pick_compute(config()) == Compute(torch.device("cuda"), "bfloat16")
    assert pick_compute(config(precision="tf32")).precision == "tf32"
    gpu.append((7, 0))
    assert pick_compute(config()) == Compute(torch.device("cuda"), "float32")
    assert pick_compute(config(precision="tf32")).notes == (
        "precision: Tesla V100 has no tf32; float32 is used instead of tf32",
    )


@pytest.mark.usefixtures("processor")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(UserError, match="torch sees no GPU here"):
        pick_compute(config(device="cuda"))


@pytest.fixture
def flags() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.mark.usefixtures("flags")
def test_float32_means_float32() -> None:
    """Torch would let convolutions compute in TF32."""
    for precision, allowed in (("tf32", True), ("float32", False), ("bfloat16", False)):
        Compute(torch.device("cpu"), precision).apply()  # type: ignore[arg-type]
        assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == (allowed, allowed)
