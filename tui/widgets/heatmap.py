"""Confidence over the plane as terminal text: two pixels a cell in colour, a shade a cell without. Pure functions."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from math import ceil
from typing import TypeAlias

from rich.console import Group
from rich.style import Style
from rich.table import Table
from rich.text import Text

Field: TypeAlias = tuple[tuple[float, ...], ...]
"""Confidences row by row, the top row first; all rows as long as each other."""

LOW, HIGH = 0.5, 1.0
"""Confidence of two classes: undecided to certain. What lies outside is drawn as the nearer end."""

# Matplotlib's viridis at tenths (van der Walt and Smith 2015, CC0): even steps for the eye, also without red or green.
VIRIDIS = (
    (68, 1, 84), (72, 36, 117), (65, 68, 135), (53, 95, 141), (42, 120, 142), (33, 145, 140), (34, 168, 132),
    (68, 191, 112), (122, 209, 81), (189, 223, 38), (253, 231, 37),
)  # fmt: skip
LEVELS = 50
"""Colours told apart: few enough that neighbours share one and the terminal is sent less."""
SHADES = " ░▒▓█"
MIN_COLUMNS = 36
"""Narrower, the arms of the spirals run together."""
MAX_COLUMNS = 48
GAP = 2


def picture(field: Field, columns: int, rows: int, *, colour: bool) -> list[Text]:
    """The field as large as fits into columns × rows with its sides equal; a cell is twice as high as wide."""
    rows = min(rows, columns // 2)
    pixels = _sampled(field, 2 * rows)
    lines = []
    for above, below in zip(pixels[::2], pixels[1::2], strict=True):
        line = Text(no_wrap=True, end="")
        for top, bottom in zip(above, below, strict=True):
            if colour:
                line.append("▀", _style(_level(top), _level(bottom)))
            else:
                line.append(SHADES[round((_share(top) + _share(bottom)) / 2 * (len(SHADES) - 1))])
        lines.append(line)
    return lines


def legend(columns: int, *, colour: bool) -> Text:
    """What the colours mean, on one line."""
    line = Text(f"confidence {LOW} ", no_wrap=True, end="")
    steps = max(2, min(20, columns - 20))
    for step in range(steps):
        share = step / (steps - 1)
        level = round(share * (LEVELS - 1))
        if colour:
            line.append(" ", _style(level, level))
        else:
            line.append(SHADES[round(share * (len(SHADES) - 1))])
    return line.append(f" {HIGH}")


def side_by_side(panels: Sequence[tuple[str, Field]], columns: int, *, colour: bool) -> Group:
    """Titled pictures in as many rows as `columns` needs, and the legend below."""
    fit = max(1, (columns + GAP) // (MIN_COLUMNS + GAP))
    across = ceil(len(panels) / ceil(len(panels) / fit))  # rows equally long
    width = min(MAX_COLUMNS, (columns + GAP) // across - GAP)
    grid = Table.grid(padding=(0, GAP, 0, 0))
    for start in range(0, len(panels), across):
        part = panels[start : start + across]
        grid.add_row(*(Text(title, style="bold") for title, _ in part))
        grid.add_row(*(Group(*_ended(picture(field, width, width // 2, colour=colour))) for _, field in part))
    return Group(grid, *_ended([legend(columns, colour=colour)]))


def _ended(lines: Sequence[Text]) -> list[Text]:
    for line in lines:
        line.end = "\n"
    return list(lines)


def _sampled(field: Field, side: int) -> list[list[float]]:
    """The field's mean over each of side × side pixels."""
    down, across = _parts(len(field), side), _parts(len(field[0]), side)
    sampled = []
    for rows in down:
        total = [sum(values) for values in zip(*field[rows], strict=True)]
        count = rows.stop - rows.start
        sampled.append([sum(total[columns]) / (count * (columns.stop - columns.start)) for columns in across])
    return sampled


def _parts(length: int, count: int) -> list[slice]:
    """`count` parts of `length` places, each at least one long; they overlap where there are fewer places."""
    starts = [place * length // count for place in range(count)]
    ends = [(place + 1) * length // count for place in range(count)]
    return [slice(start, max(end, start + 1)) for start, end in zip(starts, ends, strict=True)]


def _share(confidence: float) -> float:
    return min(1.0, max(0.0, (confidence - LOW) / (HIGH - LOW)))


def _level(confidence: float) -> int:
    return round(_share(confidence) * (LEVELS - 1))


@cache
def _style(top: int, bottom: int) -> Style:
    return Style(color=colour_of(top), bgcolor=colour_of(bottom))


@cache
def colour_of(level: int) -> str:
    """Level 0 to LEVELS - 1 as #rrggbb."""
    place = level / (LEVELS - 1) * (len(VIRIDIS) - 1)
    index = min(int(place), len(VIRIDIS) - 2)
    low, high = list(pairwise(VIRIDIS))[index]
    mixed = (round(a + (b - a) * (place - index)) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
