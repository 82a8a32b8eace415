"""Confidence over the plane as text: the right way up, the right size, and readable without colour."""

import pytest
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tui.widgets.heatmap import LEVELS, VIRIDIS, colour_of, legend, picture, side_by_side

QUARTERS = ((1.0, 0.5), (0.5, 0.75))
"""Certain at the top left."""


def colours(line: Text) -> list[tuple[str, str]]:
    styles = [span.style for span in line.spans for _ in range(span.end - span.start)]
    assert all(isinstance(style, Style) and style.color and style.bgcolor for style in styles)
    return [(style.color.name, style.bgcolor.name) for style in styles]  # type: ignore[union-attr]


def test_colours_are_viridis_from_end_to_end() -> None:
    parsed = [tuple(Color.parse(colour_of(level)).triplet or ()) for level in range(LEVELS)]
    assert parsed[0] == VIRIDIS[0]
    assert parsed[-1] == VIRIDIS[-1]
    light = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in parsed]
    assert light == sorted(light)


def test_each_cell_holds_two_pixels_the_right_way_up() -> None:
    high, low, middle = colour_of(LEVELS - 1), colour_of(0), colour_of(round((LEVELS - 1) / 2))
    (line,) = picture(QUARTERS, 2, 1, colour=True)
    assert line.plain == "▀▀"
    assert colours(line) == [(high, low), (low, middle)]


@pytest.mark.parametrize(("columns", "rows", "side"), [(40, 30, 20), (100, 10, 10), (1, 5, 0), (0, 0, 0)])
def test_it_is_square_and_fits(columns: int, rows: int, side: int) -> None:
    lines = picture(((0.7,) * 200,) * 200, columns, rows, colour=True)
    assert len(lines) == side
    assert all(line.cell_len == 2 * side for line in lines)


def test_pixels_are_means() -> None:
    stripes = tuple((0.5, 1.0) * 50 for _ in range(100))
    (line,) = picture(stripes, 2, 1, colour=True)
    assert {colour for pair in colours(line) for colour in pair} == {colour_of(round((LEVELS - 1) / 2))}


def test_a_coarse_field_may_be_drawn_large() -> None:
    lines = picture(QUARTERS, 12, 6, colour=False)
    assert [line.plain for line in lines] == ["██████      "] * 3 + ["      ▒▒▒▒▒▒"] * 3


def test_what_is_out_of_range_is_the_end_of_the_scale() -> None:
    assert picture(((1.7, 0.1),), 2, 1, colour=False)[0].plain == "█ "


def test_the_legend_fits_and_names_both_ends() -> None:
    for colour in (True, False):
        assert legend(60, colour=colour).plain.startswith("confidence 0.5")
        assert legend(60, colour=colour).plain.endswith("1.0")
        assert legend(36, colour=colour).cell_len <= 36


@pytest.mark.parametrize(("width", "across"), [(200, 4), (120, 2), (80, 2), (40, 1), (10, 1)])
def test_panels_stand_in_equal_rows(width: int, across: int) -> None:
    panels = [(name, QUARTERS) for name in ("one", "two", "three", "four")]
    console = Console(width=width, force_terminal=True, color_system="truecolor")
    with console.capture() as capture:
        console.print(side_by_side(panels, width, colour=False))
    lines = Text.from_ansi(capture.get()).plain.splitlines()
    assert max(len(line) for line in lines) <= width
    titles = [line.split() for line in lines if set(line.split()) & {"one", "two", "three", "four"}]
    assert [len(each) for each in titles] == [across] * (4 // across)
