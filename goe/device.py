"""Where and in what precision a run computes: what its configuration asks for, as far as the machine has it."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch

from goe.core.config import RunConfig
from goe.core.errors import UserError

Precision: TypeAlias = Literal["float32", "tf32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Compute:
    """A device and the precision of training on it."""

    device: torch.device
    precision: Precision
    notes: tuple[str, ...] = ()
    """What was asked for and is not to be had here, one line each."""

    def autocast(self) -> AbstractContextManager[None]:
        """Mixed precision for the block where that is the precision: master weights and losses stay float32."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")

    def apply(self) -> None:
        """Let this process multiply float32 matrices in TF32 or not. Convolutions would be, unless told otherwise."""
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self.precision == "tf32"


def pick_device(config: RunConfig) -> torch.device:
    """The configured device; `auto` is the first visible GPU, or the CPU. UserError for a GPU that isn't there."""
    wanted = config.device
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError(
            'device: cuda was asked for, but torch sees no GPU here; use device = "auto", or check nvidia-smi and '
            "CUDA_VISIBLE_DEVICES"
        )
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def pick_compute(config: RunConfig) -> Compute:
    """Device and precision of a training run.

    `auto` is bfloat16 where the chip computes in it, else float32. What the chip lacks is done in float32, with a note.
    Raises UserError for a GPU that isn't there.
    """
    device, wanted = pick_device(config), config.precision
    lacking = _lacking(device)
    if wanted == "auto":
        return Compute(device, "float32" if "bfloat16" in lacking else "bfloat16")
    if wanted in lacking:
        return Compute(device, "float32", (f"precision: {lacking[wanted]}; float32 is used instead of {wanted}",))
    return Compute(device, wanted)


def _lacking(device: torch.device) -> dict[str, str]:
    """The precisions that the chip has no arithmetic for, and why."""
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device)[0] >= 8:
            return {}
        name = torch.cuda.get_device_name(device)
        return {precision: f"{name} has no {precision}" for precision in ("tf32", "bfloat16")}
    lacking = {"tf32": "only GPUs have TF32"}
    if not cpu_has_bfloat16():
        lacking["bfloat16"] = "this processor has no bfloat16 arithmetic"
    return lacking


def cpu_has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16."""
    if not hasattr(torch.cpu, "get_capabilities"):  # an older torch can't tell
        return False
    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
