"""Confidence over the plane: what a network trained on the spirals says everywhere, for figures and dashboard."""

import io

import numpy as np
import torch
from torch import nn

from goe.core.rundir import RunDir, write_atomic
from goe.data.spiral import SCALE
from goe.scores import Outputs, msp

EXTENT = 30.0
"""The surface covers the square from -30 to 30."""
SIDE = 200
"""Grid points along each side."""


@torch.inference_mode()
def write_surface(run: RunDir, net: nn.Module, device: torch.device) -> None:
    """Write `eval/surface.npz`: `confidence` (200, 200) float32, the MSP with y rising by rows, and `extent`."""
    axis = torch.linspace(-EXTENT, EXTENT, SIDE, device=device)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack([x, y], dim=2).reshape(-1, 2) / SCALE
    confidence = msp(Outputs(net(points))).reshape(SIDE, SIDE).float().cpu().numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, confidence=confidence, extent=np.float32(EXTENT))
    write_atomic(run.surface_file, buffer.getvalue())
