"""What a figure is made of, whoever draws it: curves in data units with their names, neither pixels nor fonts.

Built from a run's files by `goe.figures`, drawn to a file by `goe.figures.draw` and as text by `tui.widgets.figure`.
"""

import zlib
from typing import TypeAlias

from msgspec import Struct

Values: TypeAlias = tuple[float, ...]

# Okabe and Ito's colours, told apart with any common colour blindness; each list leaves out those too close to its
# background (blue on dark, yellow on light) and starts with the strongest. On light some are darker: 3 : 1 at least.
PALETTE_DARK = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00")
PALETTE_LIGHT = ("#0072B2", "#D55E00", "#008060", "#B3589A", "#B07A00", "#3B9BD6")


def colour_index(experiment: str) -> int:
    """The place of an experiment's colour in either palette: the same on every screen and every day."""
    # with 12 to begin with, the six methods have six colours
    return zlib.crc32(experiment.encode(errors="surrogatepass"), 12) % len(PALETTE_DARK)


class Line(Struct, frozen=True):
    """One curve."""

    name: str
    """In the legend, which holds each name once; empty for no entry."""
    x: Values
    y: Values
    """As long as `x`; NaN is a gap."""
    place: int | None = 0
    """Lines of one place look alike; None is grey, for what belongs to no run."""
    band: tuple[Values, Values] | None = None
    """Lower and upper edge of an area around the curve, each as long as `x`."""
    dotted: bool = False
    """What the other curves are held against: chance, the best possible, a threshold."""
    filled: bool = False
    """Down to zero, as bars are."""


class Chart(Struct, frozen=True):
    """Curves on one pair of axes."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    y_range: tuple[float, float] | None = None
    """What the y axis spans; None for the range of the data."""
    x_range: tuple[float, float] | None = None
    """What the x axis spans at least."""


class Figure(Struct, frozen=True):
    """Charts beside and below each other, under one title and with one legend."""

    title: str
    charts: tuple[Chart, ...]
    sources: tuple[str, ...] = ()
    """Where its numbers come from, one run a line; kept in the file's metadata."""

    def legend(self) -> tuple[Line, ...]:
        """The first line of each name, in order of appearance."""
        found: dict[str, Line] = {}
        for chart in self.charts:
            for line in chart.lines:
                if line.name:
                    found.setdefault(line.name, line)
        return tuple(found.values())
