"""Figures as files: matplotlib (an extra) draws them, and they are written whole or not at all."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from goe.core.chart import PALETTE_LIGHT, Chart, Figure, Line
from goe.core.errors import UserError
from goe.core.rundir import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from matplotlib.lines import Line2D

FORMATS = (".png", ".svg", ".pdf")
# One more or fewer than there are colours: together they tell 30 lines apart, and five without colour.
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 1.5), (5, 1.5, 1, 1.5), (2.5, 1), (8, 1.5, 1, 1.5, 1, 1.5))
DOTS = (1, 1.6)
GREY = "0.45"
MOST_ACROSS = 3
MARGIN = 0.02
"""Around the axes' ends, so that a line along them is seen whole."""


def check_drawable(path: Path) -> None:
    """Raise UserError now for what `draw` would fail at after long work: suffix, folder, no matplotlib."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: can't draw {path.suffix or 'a file without suffix'}; use {', '.join(FORMATS)}")
    if not path.absolute().parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}; make it, or pass --out elsewhere")
    if find_spec("matplotlib") is None:
        raise UserError("matplotlib is not installed; `pip install 'goe[figures]'` adds it, --terminal does without")


@contextmanager
def drawing(font_size: float = 10) -> Iterator[None]:
    """Matplotlib's settings for every figure: text stays text in an editor, and the same data give the same file."""
    import matplotlib as mpl

    fonts: dict[Any, Any] = {"svg.fonttype": "none", "pdf.fonttype": 42, "font.size": font_size}
    with mpl.rc_context({**fonts, "svg.hashsalt": "goe", "text.parse_math": False}):
        yield


def save(canvas: "Canvas", path: Path, sources: Sequence[str] = ()) -> None:
    """Write a drawn canvas to `path` atomically, `sources` in its metadata. Call within `drawing()`."""
    form, made_of = path.suffix[1:].lower(), "\n".join(sources)
    metadata: dict[str, dict[str, str | None]] = {
        "png": {"Description": made_of},
        "svg": {"Description": made_of, "Date": None},
        "pdf": {"Subject": made_of, "CreationDate": None},
    }
    buffer = io.BytesIO()
    canvas.savefig(buffer, dpi=200, format=form, metadata=metadata[form])
    write_atomic(path, buffer.getvalue())


def draw(figure: Figure, path: Path) -> None:
    """Draw `figure` to `path` (.png, .svg or .pdf). Raises UserError as `check_drawable` does."""
    check_drawable(path)
    from matplotlib.figure import Figure as Canvas

    down = ceil(len(figure.charts) / MOST_ACROSS)
    across = ceil(len(figure.charts) / down)  # rows equally long
    width, height = (5.2, 3.6) if across == 1 else (3.2 * across, 2.5 * down)
    with drawing(font_size=9):
        canvas = Canvas(figsize=(width, height), layout="constrained")
        places = list(canvas.subplots(down, across, squeeze=False).flat)
        samples: dict[str, Line2D] = {}
        for axis, chart in zip(places, figure.charts, strict=False):
            _draw_chart(axis, chart, samples)
        for axis in places[len(figure.charts) :]:
            axis.remove()
        canvas.suptitle(figure.title, fontsize="medium", wrap=True)
        _add_legend(canvas, [(samples[line.name], line.name) for line in figure.legend()])
        save(canvas, path, figure.sources)


def _add_legend(canvas: "Canvas", entries: Sequence[tuple["Line2D", str]]) -> None:
    """Below the charts, in as many columns as fit; the canvas grows by what it takes."""
    for columns in range(len(entries), 0, -1):
        legend = canvas.legend(*zip(*entries, strict=True), loc="outside lower center", ncols=columns, frameon=False)
        needed = legend.get_window_extent()
        if needed.width <= canvas.bbox.width or columns == 1:
            width, height = canvas.get_size_inches()
            canvas.set_size_inches(max(width, needed.width / canvas.dpi), height + needed.height / canvas.dpi)
            return
        legend.remove()


def _draw_chart(axis: "Axes", chart: Chart, samples: "dict[str, Line2D]") -> None:
    for line in chart.lines:
        sample = _draw_line(axis, line)
        samples.setdefault(line.name, sample)
    axis.set(title=chart.title, xlabel=chart.x_label, ylabel=chart.y_label)
    axis.title.set_fontsize("medium")
    axis.margins(x=MARGIN)
    if chart.x_range is not None:
        axis.set_xlim(*_with_margin(*chart.x_range))
    if chart.y_range is not None:
        axis.set_ylim(*_with_margin(*chart.y_range))
    elif any(line.filled for line in chart.lines):
        axis.set_ylim(bottom=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25, linewidth=0.6)


def _with_margin(low: float, high: float) -> tuple[float, float]:
    return low - MARGIN * (high - low), high + MARGIN * (high - low)


def _draw_line(axis: "Axes", line: Line) -> "Line2D":
    colour = GREY if line.place is None else PALETTE_LIGHT[line.place % len(PALETTE_LIGHT)]
    dashes = DOTS if line.dotted else DASHES[(line.place or 0) % len(DASHES)]
    under = 1 if line.dotted else 2
    (sample,) = axis.plot(line.x, line.y, color=colour, linewidth=1.0 if line.dotted else 1.4, zorder=under)
    if dashes:
        sample.set_dashes(dashes)
    if line.filled:
        axis.fill_between(line.x, np.nan_to_num(line.y), color=colour, alpha=0.12, linewidth=0)
    if line.band is not None:
        low, high = line.band
        axis.fill_between(line.x, low, high, color=colour, alpha=0.2, linewidth=0)
    return sample
