"""A spiral run's confidence over the plane: the grid and its file. No torch, so that front ends can read it."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goe.core.errors import RunError
from goe.core.rundir import RunDir, write_atomic

EXTENT = 30.0
"""The surface covers the square from -30 to 30, in the plane's own units."""
SIDE = 200
"""Grid points along each side."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """What a network says everywhere on the plane."""

    confidence: NDArray[np.float32]
    """(side, side) MSP, y rising by rows and x by columns."""
    extent: float
    """Half the side of the square it covers, centred at the origin."""

    def rows(self) -> tuple[tuple[float, ...], ...]:
        """The confidences as plain numbers, the top row first, as a screen is written."""
        return tuple(tuple(row) for row in self.confidence[::-1].tolist())


def grid() -> NDArray[np.float32]:
    """(SIDE * SIDE, 2) points x, y of the surface, row by row."""
    axis = np.linspace(-EXTENT, EXTENT, SIDE, dtype=np.float32)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return np.stack([x, y], axis=2).reshape(-1, 2)


def write_surface(run: RunDir, checkpoint: str, confidence: NDArray[np.float32]) -> None:
    """Keep (SIDE * SIDE,) confidences on `grid()` as the surface of this checkpoint."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, confidence=confidence.reshape(SIDE, SIDE), extent=np.float32(EXTENT))
    write_atomic(run.surface_file(checkpoint), buffer.getvalue())


def read_surface(run: RunDir, checkpoint: str) -> Surface:
    """The surface of a checkpoint. Raises RunError if there is none or a damaged one."""
    path = run.surface_file(checkpoint)
    remedy = f"`goe eval {run.run_id} --force` writes it anew"
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as found:
            surface = Surface(found["confidence"], float(found["extent"]))
    except FileNotFoundError:
        raise RunError(f"{path}: not there; {remedy}") from None
    except Exception as error:  # noqa: BLE001 - a cut zip raises whatever its decoder met first
        raise RunError(f"{path}: cut or altered: {error}; {remedy}") from None
    if surface.confidence.ndim != 2 or not np.isfinite(surface.confidence).all():
        raise RunError(f"{path}: its confidences are not numbers: did the run diverge? See {run.log_file}")
    return surface
