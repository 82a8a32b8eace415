"""The spiral figure: confidence over the plane after Baseline, OE, OE with filtering and G-OE.

After fig/visualize.png of the G-OE authors' repository. No torch: the worker has left each run's surface and scores in
its folder.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from goe.core.errors import RunError
from goe.core.queuefile import Queue, parse_queue
from goe.core.records import EvalResult
from goe.core.rundir import RunDir, read_json
from goe.data import spiral
from goe.figures.draw import check_drawable, drawing, save
from goe.surface import Surface, read_surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEEDS = 5
"""The packaged queue has this many."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One experiment of the figure."""

    title: str
    surface: Surface


@dataclass(frozen=True, slots=True)
class Summary:
    """What one run's network says where: fractions, the confidences means over points."""

    accuracy: float
    on_id: float
    """Mean confidence on the ID test set."""
    far: float
    """Farther than 25 from the origin, where nothing is near the data."""
    gaps: float
    """Between the arms."""
    auroc_far: float


def spiral_queue(seeds: int) -> Queue:
    """The packaged queue of the figure's runs, those with seeds 1 to `seeds`; at most SEEDS."""
    path = files("goe.figures") / "spiral.toml"
    queue = parse_queue(path.read_text(encoding="utf-8"), Path(str(path)))
    return replace(queue, jobs=tuple(job for job in queue.jobs if job.config.seed <= seeds))


def read_panels(runs: Sequence[RunDir]) -> list[Panel]:
    """A panel for each experiment, of its first seed. Raises RunError if a surface is missing or damaged."""
    first: dict[str, RunDir] = {}
    for run in runs:
        first.setdefault(run.config().experiment, run)
    return [Panel(name, read_surface(run, run.config().evaluate)) for name, run in first.items()]


def read_summary(run: RunDir) -> Summary:
    """A run's accuracy and mean confidences. Raises RunError where its evaluation is missing or damaged."""
    path = run.eval / f"{run.config().evaluate}-msp-spiral.json"
    try:
        result = read_json(path, EvalResult)
        if result is None:
            raise FileNotFoundError("no such file")
        with np.load(io.BytesIO(path.with_suffix(".npz").read_bytes()), allow_pickle=False) as scores:
            on_id, far, gaps = (float(scores[f"score/{name}"].mean()) for name in ("spiral", "far", "gaps"))
        accuracy, auroc = result.classification["accuracy"], result.detection["far"]["auroc"]
    except Exception as error:  # noqa: BLE001 - a cut zip raises whatever its decoder met first
        raise RunError(f"{path}: can't be read: {error}; `goe eval {run.run_id} --force` writes it anew") from None
    if accuracy is None or auroc is None:
        raise RunError(f"{path}: accuracy or AUROC is not a number; did the run diverge? See {run.log_file}")
    return Summary(accuracy, on_id, far, gaps, auroc)


def summary_table(runs: Sequence[RunDir]) -> list[tuple[str, ...]]:
    """A heading and one line an experiment: percent, mean ± standard deviation (ddof 1) where there are more seeds."""
    found: dict[str, list[Summary]] = {}
    for run in runs:
        found.setdefault(run.config().experiment, []).append(read_summary(run))
    heading = ("experiment", "seeds", "ACC %", "conf. ID %", "conf. far %", "conf. gaps %", "AUROC far %")
    lines: list[tuple[str, ...]] = [heading]
    for name, each in found.items():
        values = 100 * np.array([[one.accuracy, one.on_id, one.far, one.gaps, one.auroc_far] for one in each])
        means = [f"{mean:.1f}" for mean in values.mean(axis=0)]
        if len(each) > 1:
            means = [f"{mean} ± {std:.1f}" for mean, std in zip(means, values.std(axis=0, ddof=1), strict=True)]
        lines.append((name, str(len(each)), *means))
    return lines


def draw(panels: Sequence[Panel], path: Path) -> None:
    """Draw the data and each panel's surface side by side to `path` (.png, .svg or .pdf).

    Raises UserError as `check_drawable` does.
    """
    check_drawable(path)
    from matplotlib.figure import Figure

    with drawing():
        figure = Figure(figsize=(2.6 * (len(panels) + 1) + 0.6, 2.9), layout="constrained")
        axes = figure.subplots(1, len(panels) + 1, sharex=True, sharey=True)
        _draw_data(axes[0])
        for axis, panel in zip(axes[1:], panels, strict=True):
            reach = (-panel.surface.extent, panel.surface.extent) * 2
            image = axis.imshow(
                panel.surface.confidence, origin="lower", extent=reach, cmap="viridis", vmin=0.5, vmax=1.0
            )
            axis.set(title=panel.title, xlim=reach[:2], ylim=reach[:2])
        figure.colorbar(image, ax=list(axes), label="confidence (MSP)", shrink=0.85, pad=0.01)
        save(figure, path)


def _draw_data(axis: "Axes") -> None:
    train, (outliers, _) = spiral.splits().train, spiral.outliers(spiral.OOD_POINTS)
    x, y = outliers.data.T * spiral.SCALE
    axis.scatter(x, y, s=0.6, color="0.7", rasterized=True)
    for label, colour in ((0, "tab:blue"), (1, "tab:orange")):
        x, y = train.data[train.labels() == label].T * spiral.SCALE
        axis.scatter(x, y, s=0.6, color=colour, rasterized=True)
    axis.set_title("Data")
    axis.set_aspect("equal")
