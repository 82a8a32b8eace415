"""Where and in what precision a run computes."""

from contextlib import AbstractContextManager

import torch

from goe.core.config import RunConfig
from goe.core.errors import UserError


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


def autocast(config: RunConfig, device: torch.device) -> AbstractContextManager[None]:
    """Mixed precision as configured; `auto` is bfloat16 on a GPU and float32 on the CPU."""
    precision = config.precision
    if precision == "auto":
        precision = "bfloat16" if device.type == "cuda" else "float32"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
