"""The surface's grid and file."""

from pathlib import Path

import numpy as np
import pytest

from goe.core.config import complete
from goe.core.errors import RunError
from goe.core.rundir import RunDir
from goe.surface import EXTENT, SIDE, grid, read_surface, write_surface


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    config = complete({"experiment": "x", "seed": 1, "dataset": "spiral"}, lambda *_: None)
    assert config is not None
    return RunDir.create(tmp_path, config)


def test_rows_rise_with_y_and_screens_are_written_from_the_top(run: RunDir) -> None:
    x, y = grid().T
    write_surface(run, "last", (0.5 + 0.3 * (y > 0) + 0.1 * (x > 0)).astype(np.float32))
    surface = read_surface(run, "last")
    assert surface.confidence.shape == (SIDE, SIDE)
    assert surface.extent == EXTENT
    corners = surface.confidence[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners == pytest.approx([0.5, 0.6, 0.8, 0.9])
    assert surface.rows()[0][0] == pytest.approx(0.8)  # top left: y high, x low
    assert (x.min(), x.max(), y.min(), y.max()) == (-EXTENT, EXTENT, -EXTENT, EXTENT)


def test_each_checkpoint_has_its_own(run: RunDir) -> None:
    write_surface(run, "last", np.full(SIDE * SIDE, 0.9, np.float32))
    with pytest.raises(RunError, match=r"best-surface.npz: not there; `goe eval x-s1-.* --force` writes it anew"):
        read_surface(run, "best")


@pytest.mark.parametrize("keep", [0, 10, 200, -1])
def test_a_cut_file_is_named_with_the_remedy(run: RunDir, keep: int) -> None:
    write_surface(run, "last", np.full(SIDE * SIDE, 0.9, np.float32))
    path = run.surface_file("last")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RunError, match=r"last-surface.npz: cut or altered: .*; `goe eval"):
        read_surface(run, "last")


def test_a_diverged_net_has_no_surface(run: RunDir) -> None:
    write_surface(run, "last", np.full(SIDE * SIDE, np.nan, np.float32))
    with pytest.raises(RunError, match="confidences are not numbers"):
        read_surface(run, "last")
