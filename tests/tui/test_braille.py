"""The chart renderer: pictures worked out by hand, and its promises on any input."""

import math
import random
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.widgets.axes import gutter, ticks
from tui.widgets.braille import NO_DATA, Series, render
from tui.widgets.dots import AXIS_STYLE, Row

NAN = math.nan


def line(*ys: float | None, name: str = "loss", style: str = "") -> Series:
    return Series(name, range(len(ys)), ys, style)


def picture(rows: list[Row]) -> list[str]:
    return ["".join(text for text, _ in row) for row in rows]


@pytest.mark.parametrize(
    ("ys", "expected"),
    [
        # 2 cells are 4 × 4 dots; dots of a cell, top to bottom: left 01 02 04 40, right 08 10 20 80 (hexadecimal)
        ((0, 1, 2, 3), "⡠⠊"),  # left 40 + right 20; left 02 + right 08
        ((3, 2, 1, 0), "⠑⢄"),  # left 01 + right 10; left 04 + right 80
        ((0, 3, 0, 3), "⡜⡜"),  # the jump's 4 rows are shared by both columns: left 40 + 04, right 10 + 08
        ((0, None, None, 3), "⡀⠈"),  # a gap is not bridged
        ((0, NAN, math.inf, 3), "⡀⠈"),
        ((0, None, 3, 3), "⡀⠉"),
        ((3, 3, 0, None), "⠉⢣"),  # x ends at 2; the fall: left 01 + 02, right 20 + 80
        ((3, 3, 0, 0), "⠙⣄"),
    ],
)
def test_small_pictures(ys: tuple[float | None, ...], expected: str) -> None:
    assert picture(render([line(*ys)], 2, 1)) == [expected]


def test_axes() -> None:
    rows = render([line(0, 1, 2, 3, style="red")], 14, 5, x_label="epoch")
    assert picture(rows) == [
        " │         ⡠⠔⠊",
        "2┤      ⡠⠔⠉   ",
        " │   ⣀⠔⠊      ",
        "0┤⡠⠔⠉         ",
        "  0  epoch   3",
    ]
    assert rows[3] == [("0┤", AXIS_STYLE), ("⡠⠔⠉         ", "red")]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("height", range(3, 31))
def test_ticks_are_evenly_apart(height: int, log: bool) -> None:
    draw = random.Random(height)
    for _ in range(200):
        low = draw.uniform(-3, 3)
        high = low + (draw.uniform(2, 30) if log else 10 ** draw.uniform(-2, 1))
        rows = [row.endswith("┤") for row in gutter((low, high), height, log=log)]
        places = [place for place, ticked in enumerate(rows) if ticked]
        apart = [below - above for above, below in pairwise(places)]
        assert len(places) >= min(2, height - 2)
        assert not apart or max(apart) - min(apart) <= min(apart) / 3


def test_a_spike_among_2000_points_reaches_the_top() -> None:
    ys = [0.0] * 2000
    ys[1234] = 1.0
    top, *_, bottom = picture(render([line(*ys)], 40, 3))
    assert [x for x, cell in enumerate(top) if cell != " "] == [1234 * 79 // 1999 // 2]
    assert " " not in bottom


def test_later_series_takes_a_shared_cell() -> None:
    flat = line(1, 1, style="red"), line(1, 1, style="blue")
    assert render(flat, 4, 1, y_range=(0, 3)) == [[("⠤⠤⠤⠤", "blue")]]
    assert render(flat[::-1], 4, 1, y_range=(0, 3)) == [[("⠤⠤⠤⠤", "red")]]


def test_series_keep_their_own_cells() -> None:
    low, high = line(0, 0, style="red"), line(8, 8, style="blue")
    assert render([low, high], 3, 2) == [[("⠉⠉⠉", "blue")], [("⣀⣀⣀", "red")]]


def test_steep_line_has_no_holes() -> None:
    rows = picture(render([Series("loss", (0, 1), (0, 1))], 1, 10))
    assert all(row != " " for row in rows)


def test_unsorted_x_draws_the_same_line() -> None:
    assert render([Series("a", (3, 0), (3, 0))], 2, 1) == render([Series("a", (0, 3), (0, 3))], 2, 1)


def test_constant_runs_through_the_middle() -> None:
    rows = picture(render([line(0.5, 0.5, 0.5)], 20, 9))
    assert [row for row in rows if "⠤⠤" in row or "⠒⠒" in row or "⠉⠉" in row or "⣀⣀" in row] == [rows[4]]
    assert rows[4].startswith("0.50┤")


def test_rounding_noise_is_a_constant() -> None:
    (row,) = picture(render([line(0.3, 0.1 + 0.2)], 4, 1))
    assert set(row) <= {"⠤", "⠒"}  # the two dots nearest to the middle


def test_single_point() -> None:
    rows = picture(render([Series("auroc", (7,), (0.9,))], 20, 6))
    assert sum(0x2800 < ord(cell) <= 0x28FF for row in rows for cell in row) == 1
    assert rows[-1].strip() == "7"


@pytest.mark.parametrize("series", [[], [line()], [line(NAN, None, math.inf)]])
def test_nothing_to_draw(series: list[Series]) -> None:
    assert any(NO_DATA in row for row in picture(render(series, 30, 5)))
    assert picture(render(series, 4, 1)) == [NO_DATA[:4]]


def test_y_range_clips_to_its_edge() -> None:
    inside = render([line(0, 50, 100)], 20, 9, y_range=(0, 100))
    beyond = render([line(-1e9, 50, 1e299)], 20, 9, y_range=(0, 100))
    assert picture(inside)[1:] == picture(beyond)[1:]


@pytest.mark.parametrize("y_range", [(1, 1), (2, 1), (NAN, 1), (0, math.inf)])
def test_unusable_y_range_is_ignored(y_range: tuple[float, float]) -> None:
    assert render([line(0, 1)], 20, 6, y_range=y_range) == render([line(0, 1)], 20, 6)


@pytest.mark.parametrize(
    ("lo", "hi", "labels"),
    [
        (0, 1, ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        (0, 0.3, ["0.0", "0.1", "0.2", "0.3"]),
        (0.13, 2.3, ["0.5", "1.0", "1.5", "2.0"]),
        (90, 100, ["90.0", "92.5", "95.0", "97.5", "100.0"]),
        (0, 1e-5, ["0", "2.5e-6", "5e-6", "7.5e-6", "1e-5"]),
        (-2e6, 2e6, ["-2e6", "-1e6", "0", "1e6", "2e6"]),
    ],
)
def test_tick_labels(lo: float, hi: float, labels: list[str]) -> None:
    assert [label for _, label in ticks(lo, hi, most=5)] == labels


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_three_to_five_distinct_ticks_inside_the_range(lo: float, span: float) -> None:
    found = ticks(lo, lo + span, most=5)
    assert 3 <= len(found) <= 5
    assert len({label for _, label in found}) == len(found)
    assert all(lo - 1e-3 * span <= value <= lo + span * 1.001 for value, _ in found)


VALUES = st.one_of(st.none(), st.floats(), st.floats(-10, 10), st.integers(-5, 5), st.just(10**400))
SERIES = st.builds(Series, st.text(max_size=8), st.lists(VALUES, max_size=12), st.lists(VALUES, max_size=12))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(SERIES, max_size=3),
    st.integers(-1, 60),
    st.integers(-1, 12),
    st.text(max_size=12),
    st.none() | st.tuples(st.floats(), st.floats()),
)
def test_always_the_asked_size(
    series: list[Series], width: int, height: int, text: str, y_range: tuple[float, float] | None
) -> None:
    rows = render(series, width, height, x_label=text, y_range=y_range)
    assert len(rows) == max(0, height)
    assert all(sum(cell_len(part) for part, _ in row) == max(0, width) for row in rows)
    assert all(part.isprintable() for row in rows for part, _ in row)


def test_needs_neither_textual_nor_numpy() -> None:
    code = "import sys, tui.widgets.braille; print(*{'textual', 'numpy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
