"""The network compiled, so that what lies between its convolutions is done in fewer passes over memory."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from goe.core.config import RunConfig
from goe.models.base import Net

MANY_STEPS = 10_000
"""From so many steps on `auto` compiles on a GPU: compiling takes a minute or two, whatever is trained after it."""
SHAPES = 32
"""Shapes and modes one network is compiled for: each part of a step, also of an epoch's last and shorter one."""


def wants_compiling(config: RunConfig, device: torch.device, steps: int) -> bool:
    """Whether a training of `steps` steps on `device` is to be compiled; `auto` never does on a CPU, where it costs."""
    if config.compile == "auto":
        return device.type == "cuda" and steps >= MANY_STEPS
    return config.compile == "on"


def compile_net(net: Net, device: torch.device, say: Callable[[str], None]) -> None:
    """Let `net` be compiled at its first use of each shape; where nothing can be compiled, leave it and say so."""
    try:
        torch.compile(F.relu)(torch.ones(8, device=device))
    except Exception as error:  # noqa: BLE001 -- no compiler, no Triton, an old chip: each has a kind of its own
        said = (str(error).splitlines() or [type(error).__name__])[0]
        say(f"note: compile: torch can't compile here ({said}); the network runs as it is")
        return
    dynamo = torch._dynamo.config  # noqa: SLF001 -- torch imports it here, which takes seconds that others are spared
    dynamo.recompile_limit = SHAPES
    dynamo.suppress_errors = True  # what can't be compiled after all runs as it is, with a warning
    net.features = torch.compile(net.features, dynamic=False)  # type: ignore[method-assign]
