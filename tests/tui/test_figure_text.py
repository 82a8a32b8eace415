"""Figures as terminal text: layout, legends, and charts apart where there are no colours."""

import io

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from goe.core.chart import PALETTE_DARK, Chart, Figure, Line
from tui.widgets.figure import picture

NAN = float("nan")


def curve(name: str, *y: float, place: int | None = 0, dotted: bool = False) -> Line:
    return Line(name, tuple(map(float, range(len(y)))), y, place=place, dotted=dotted)


def shown(figure: Figure, columns: int, *, colour: bool = False) -> list[str]:
    out = io.StringIO()
    console = Console(
        file=out, width=columns, force_terminal=colour, color_system="truecolor" if colour else None, _environ={}
    )
    console.print(picture(figure, columns, colour=colour))
    return out.getvalue().splitlines()


def test_one_curve_with_title_legend_and_axes() -> None:
    figure = Figure("ROC", (Chart("", "FPR", "TPR", (curve("near: 50 %", 0, 9),)),))
    assert [line.rstrip() for line in shown(figure, 24)] == [
        "ROC",
        "━ near: 50 %",
        "TPR",
        " │                   ⢀⠤⠊",
        "8┤                 ⣀⠔⠁",
        " │              ⢀⡠⠊",
        " │            ⣀⠔⠁",
        "4┤          ⡠⠊",
        " │       ⢀⠔⠉",
        " │     ⡠⠊⠁",
        " │  ⢀⠔⠉",
        "0┤⡠⠒⠁",
        "  0        FPR         1",
        "",
    ]


def test_colours_tell_lines_of_one_chart_apart() -> None:
    lines = curve("a", 0, 9), curve("b", 9, 0, place=1), curve("chance", 5, 5, place=None, dotted=True)
    rows = shown(Figure("t", (Chart("", "x", "y", lines),)), 60, colour=True)
    assert sum("┤" in row for row in rows) == 5  # one chart
    red, green, blue = (int(PALETTE_DARK[1][i : i + 2], 16) for i in (1, 3, 5))
    assert f"\x1b[38;2;{red};{green};{blue}m━ \x1b[0mb" in rows[1]
    assert "┈ \x1b[0mchance" in rows[1]


def test_without_colours_each_line_has_a_chart_with_the_same_axes() -> None:
    lines = curve("a", 0, 1), curve("b", 8, 4, 6, place=1), curve("chance", 5, 5, place=None, dotted=True)
    rows = shown(Figure("t", (Chart("c", "x", "y", lines),)), 80)
    assert rows[1].rstrip() == "┈ chance"
    left, right = rows[2][:41].rstrip(), rows[2][41:].rstrip()
    assert (left, right) == ("c · a · y", "c · b · y")
    for row in rows[3:-1]:
        assert row[:2] == row[41:43]  # labels of the y axis
    assert rows[-2].split() == ["0", "x", "2", "0", "x", "2"]
    assert "\x1b" not in "".join(rows)


def test_more_lines_than_colours_are_shared_among_charts() -> None:
    lines = tuple(curve(f"set {place}", place, place, place=place) for place in range(8))
    rows = shown(Figure("t", (Chart("", "x", "y", lines),)), 120, colour=True)
    axes = [row for row in rows if row.count("│") or row.count("┤")]
    assert all(row.count("│") + row.count("┤") == 2 for row in axes)
    assert all(f"set {place}" in "".join(rows) for place in range(8))


def test_a_dotted_line_has_gaps_and_a_band_is_dotted() -> None:
    flat = replace(curve("a", 5, 5), y=(5.0, 5.0))
    solid = shown(Figure("t", (Chart("", "x", "", (flat,), y_range=(0, 9)),)), 60)
    dotted = shown(Figure("t", (Chart("", "x", "", (replace(flat, dotted=True),), y_range=(0, 9)),)), 60)
    band = replace(flat, band=((0.0, 0.0), (9.0, 9.0)))
    banded = shown(Figure("t", (Chart("", "x", "", (band,), y_range=(0, 9)),)), 60)
    assert dots(solid) == 2 * 58  # every dot of 58 cells
    assert dots(dotted) == 2 * 60 // 4 + 1  # both ends
    assert dots(banded) == dots(solid) + 2 * dots(dotted)


def dots(rows: list[str]) -> int:
    return sum((ord(cell) - 0x2800).bit_count() for row in rows for cell in row if 0x2800 < ord(cell) <= 0x28FF)


def test_a_gap_is_not_dotted_over() -> None:
    line = Line("a", (0.0, 1.0, 2.0, 3.0), (5.0, 5.0, NAN, NAN), dotted=True)
    chart = Chart("", "x", "", (line,), y_range=(0, 9), x_range=(0, 3))
    right_half = [row[30:] for row in shown(Figure("t", (chart,)), 60)]
    assert dots(right_half) == 0


@pytest.mark.parametrize("columns", [1, 7, 20, 39, 80, 81, 200, 400])
@pytest.mark.parametrize("colour", [False, True])
def test_any_width(columns: int, colour: bool) -> None:
    lines = curve("first", 0, 1), curve("second", 2, 1, place=1), curve("", NAN, NAN, place=2)
    figure = Figure("a title", tuple(Chart(f"chart {i}", "epoch", "", lines) for i in range(5)))
    out = Console(file=io.StringIO(), width=columns, color_system=None)
    rows = out.render_lines(picture(figure, columns, colour=colour))
    assert all(cell_len("".join(segment.text for segment in row)) <= columns for row in rows)


def test_nothing_recorded() -> None:
    empty = Chart("loss", "epoch", "", (curve("a", NAN),))
    assert any("no data yet" in row for row in shown(Figure("t", (empty,)), 60))
