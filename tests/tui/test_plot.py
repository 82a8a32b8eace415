"""Training curves as text: pictures worked out by hand, legends that fit, and the promises on any input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.curves.shape import Line
from tui.curves.smoothing import smooth
from tui.widgets.axes import epoch_text, log_ticks, step_text, time_text
from tui.widgets.braille import NO_DATA
from tui.widgets.dots import AXIS_STYLE, TITLE_STYLE, Row
from tui.widgets.plot import Axes, Curve, plot

NAN = math.nan


def line(*ys: float, x: list[float] | None = None) -> Line:
    return Line(np.array(range(len(ys)) if x is None else x, dtype=float), np.array(ys, dtype=float))


def curve(*ys: float, name: str = "loss", style: str = "red", **more: object) -> Curve:
    return Curve(name, style, line(*ys), **more)


def picture(rows: list[Row]) -> list[str]:
    return ["".join(text for text, _ in row) for row in rows]


def drawn(*curves: Curve, width: int, height: int, cursor: float | None = None, **axes: object) -> list[str]:
    return picture(plot(curves, width, height, Axes(**axes)).rows(cursor))


def test_axes_and_legend() -> None:
    rows = plot([curve(0, 1, 2, 3)], 14, 6, Axes("loss", "epoch")).rows()
    assert picture(rows) == [
        "loss  ━ 3     ",
        " │         ⡠⠔⠊",
        "2┤      ⡠⠔⠉   ",
        " │   ⣀⠔⠊      ",
        "0┤⡠⠔⠉         ",
        "  0  epoch   3",
    ]
    assert rows[0][0] == ("loss", TITLE_STYLE)
    assert rows[4] == [("0┤", AXIS_STYLE), ("⡠⠔⠉         ", "red")]


def test_the_crosshair_stands_behind_the_curve_and_the_legend_says_its_values() -> None:
    rows = plot([curve(0, 1, 2, 3)], 14, 6, Axes("loss", "step")).rows(2)
    assert picture(rows) == [
        "loss @ 2  ━ 2 ",
        " │       ┊ ⡠⠔⠊",
        "2┤      ⡠⠔⠉   ",
        " │   ⣀⠔⠊ ┊    ",
        "0┤⡠⠔⠉    ┊    ",
        "  0   step   3",
    ]


def test_a_cell_knows_its_x_and_the_crosshair_its_cell() -> None:
    found = plot([curve(0, 1, 2, 3)], 14, 6, Axes())
    assert found.x_at(1) is None  # the axis
    assert found.x_at(14) is None
    for cell in range(2, 14):
        x = found.x_at(cell)
        assert x is not None
        assert found._rule(x) == cell - 2
    assert found.x_at(2) == pytest.approx(3 * 0.5 / 23)


def test_log_y_has_powers_of_ten_and_leaves_out_what_has_no_logarithm() -> None:
    rows = drawn(curve(1000, 100, 10, 1, 0), width=13, height=6, log=True)
    assert rows == [
        "━ loss 0     ",  # the value, not its logarithm
        "   │⠳⣄       ",
        "100┤ ⠈⠣⡀     ",
        "   │   ⠈⢢⡀   ",
        "  1┤     ⠙⢦  ",  # 0 is not drawn
        "    0       4",
    ]


@pytest.mark.parametrize(
    ("lo", "hi", "most", "labels"),
    [
        (-3, 0, 5, ["0.001", "0.01", "0.1", "1"]),
        (-8, 8, 5, ["1e-8", "1e-4", "1", "10000", "1e8"]),
        (0.1, 0.9, 5, ["2", "4", "6"]),
        (-400, -399.5, 3, ["1e-399.8"]),  # beyond what a number can be,
    ],
)
def test_log_ticks(lo: float, hi: float, most: int, labels: list[str]) -> None:
    assert [label for _, label in log_ticks(lo, hi, most)] == labels


def test_the_band_is_every_other_dot_and_the_mean_replaces_it_in_its_cells() -> None:
    mean = Curve("goe", "red", line(2, 2), band=(line(0, 0), line(4, 4)), counts=line(3, 3))
    rows = plot([mean], 4, 3, Axes()).rows()
    assert rows == [[("⡂⡂⡂⡂", "red dim")], [("⠒⠒⠒⠒", "red")], [("⡂⡂⡂⡂", "red dim")]]


def test_the_smoothed_curve_hides_the_raw_one_only_where_it_is() -> None:
    both = Curve("loss", "red", line(1, 1), raw=line(0, 2))
    assert plot([both], 2, 1, Axes()).rows() == [[("⠒⠒", "red")]]
    assert plot([both], 3, 3, Axes()).rows() == [
        [(" ", ""), ("⢀⡞", "red dim")],
        [("⠒⠒⠒", "red")],
        [("⡼⠁ ", "red dim")],
    ]


def test_a_zoom_draws_the_line_to_both_edges() -> None:
    assert drawn(curve(0, 4), width=4, height=1, x_range=(0.25, 0.75)) == ["⣀⠤⠒⠉"]
    found = plot([curve(0, 4)], 14, 6, Axes("", "step", (0.25, 0.75)))
    assert found.x_range == (0.25, 0.75)


def test_y_follows_what_is_in_view() -> None:
    rows = drawn(curve(100, 1, 0, 1), width=14, height=6, x_range=(1, 3))
    assert rows[1].lstrip().startswith(("1", "│"))
    assert "100" not in "".join(rows[1:5])


def test_what_is_beyond_the_y_axis_is_out_of_view_and_the_title_says_where() -> None:
    rows = plot([curve(0, 1, 9, 1, 0)], 14, 6, Axes("loss", y_span=(0, 2))).rows()
    assert picture(rows) == [
        "loss ↑  ━ 0   ",
        "2┤   ⡼    ⢳   ",  # as steep as on the way to 9
        " │   ⡇    ⢸   ",
        " │ ⢠⠞⠁    ⠈⠳⡄ ",
        "0┤⡴⠋        ⠙⢦",
        "  0          4",
    ]
    high = drawn(curve(9, 9), curve(1, 1), width=14, height=6, title="loss", y_span=(0, 2))
    assert [row[2:].strip() != "" for row in high[1:5]] == [False, True, False, False]  # nothing of 9 at the edge
    assert drawn(curve(0, 9), width=30, height=6, title="loss", y_span=(2, 3))[0].startswith("loss ↕  ")
    assert drawn(curve(0, 9), width=30, height=6, title="loss", y_span=(2, 9))[0].startswith("loss ↓  ")
    assert drawn(curve(0, 9), width=30, height=6, title="loss", y_span=(-1, 10))[0].startswith("loss  ")


def test_a_band_that_is_higher_than_the_view_fills_it() -> None:
    mean = Curve("goe", "", line(2, 2), band=(line(-9, -9), line(9, 9)))
    assert picture(plot([mean], 4, 3, Axes(y_span=(1, 3))).rows()) == ["⡂⡂⡂⡂", "⠒⠒⠒⠒", "⡂⡂⡂⡂"]


def test_without_outliers_the_y_axis_is_that_of_the_rest() -> None:
    ys = [1 + 0.01 * (n % 7) for n in range(100)]
    ys[50] = 1000.0
    found = plot([curve(*ys)], 40, 8, Axes("loss", robust=True))
    assert found.y_range == pytest.approx((1, 1.06))
    assert found.y_whole == (1, 1000)
    assert picture(found.rows())[0].startswith("loss ↑")
    assert plot([curve(*ys)], 40, 8, Axes("loss")).y_range == (1, 1000)  # usually a spike is not left out
    another = plot([curve(*ys), curve(*[500.0] * 100)], 40, 8, Axes("loss", robust=True))
    assert another.y_range == (1, 500)  # a curve for itself is none
    steady = plot([curve(*range(100))], 40, 8, Axes(robust=True))
    assert steady.y_range == (0, 99)


def test_a_row_knows_its_y_and_the_middle_is_where_the_curves_are() -> None:
    ys = [1.0] * 50 + [100.0] + [2.0] * 40
    found = plot([curve(*ys)], 40, 8, Axes("loss"))
    assert found.y_at(0) is None  # the legend
    assert found.y_at(7) is None  # the x axis
    assert found.y_at(1) == pytest.approx(100 - 99 / 12)
    assert found.y_at(6) == pytest.approx(1 + 99 / 12)
    assert (found.middle(), found.middle(cursor=80)) == (1, 2)
    assert plot([curve(*ys)], 40, 8, Axes(y_span=(3, 5))).middle() == 4
    assert plot([curve(10, 1000, 1000)], 40, 8, Axes(log=True)).middle() == 3


def test_a_spike_among_a_million_points_reaches_the_top() -> None:
    y = np.zeros(1_000_000)
    y[123_456] = 1.0
    top, *_, bottom = picture(plot([Curve("loss", "", Line(np.arange(1e6), y))], 40, 3, Axes()).rows())
    assert [x for x, cell in enumerate(top) if cell != " "] == [int(123_456 * 79 / 999_999 + 0.5) // 2]
    assert " " not in bottom


def test_the_first_curve_stands_before_the_others() -> None:
    rows = plot([curve(1, 1), curve(1, 1, style="blue"), curve(0, 0), curve(2, 2)], 4, 3, Axes()).rows()
    assert rows[1] == [("⠒⠒⠒⠒", "red")]


def test_letters_stand_on_their_curves_and_in_the_legend() -> None:
    pair = curve(0, 0, name="one", sign="a"), curve(9, 9, name="two", sign="b", style="")
    rows = plot(pair, 20, 6, Axes("acc")).rows()
    assert picture(rows)[0] == "acc  a one 0  +1    "
    assert [(y, text[0]) for y, row in enumerate(rows) for text, style in row if style == "red bold"] == [(4, "a")]
    assert "b" in picture(rows)[1]


def test_the_legend_says_how_many_curves_did_not_fit() -> None:
    many = [curve(n, n, name=f"run-{n}") for n in range(20)]
    assert drawn(*many, width=40, height=8, title="loss")[0].rstrip() == "loss  ━ run-0 0  ━ run-1 1  +18"
    assert (
        drawn(*many, width=40, height=8, title="loss", names=False)[0].rstrip()
        == "loss  ━ 0  ━ 1  ━ 2  ━ 3  ━ 4  ━ 5  +14"
    )
    tall = drawn(*many, width=40, height=24, title="loss", legend_rows=6)
    assert [row.rstrip() for row in tall[:4]] == [
        "loss  ━ run-0 0  ━ run-1 1  ━ run-2 2",
        "━ run-3 3  ━ run-4 4  ━ run-5 5",
        "━ run-6 6  ━ run-7 7  ━ run-8 8",
        "━ run-9 9  ━ run-10 10  ━ run-11 11  +8",
    ]


def test_the_legend_says_mean_std_and_count_and_marks_smoothed_values() -> None:
    mean = Curve("goe", "", line(1, 2), band=(line(0.5, 1.5), line(1.5, 2.5)), counts=line(3, 2))
    assert drawn(mean, width=40, height=6, title="loss")[0].rstrip() == "loss  ━ 2±0.5 n=2"
    assert drawn(mean, width=40, height=6, title="loss", cursor=0)[0].rstrip() == "loss @ 0  ━ 1±0.5 n=3"
    unnamed = drawn(mean, width=40, height=6, title="loss", names=False, cursor=0)
    assert unnamed[0].rstrip() == "loss @ 0  ━ 1±0.5"
    fewer = Curve("goe", "", line(1, 2), band=(line(0.5, 1.5), line(1.5, 2.5)), counts=line(3, 2), of=3)
    for names, first in ((True, "1±0.5 n=3"), (False, "1±0.5")):
        shown = [drawn(fewer, width=40, height=6, title="loss", names=names, cursor=x)[0].rstrip() for x in (0.0, None)]
        assert shown == [f"loss @ 0  ━ {first}", "loss  ━ 2±0.5 n=2/3"]
    assert drawn(curve(4, of=3), width=40, height=6, title="loss")[0].rstrip() == "loss  ━ 4 n=1/3"
    wide = Curve("goe", "", line(1000), band=(line(880), line(1120)), counts=line(3))
    assert drawn(wide, width=40, height=6, title="images/s")[0].rstrip() == "images/s  ━ 1000±120 n=3"
    smoothed = Curve("goe", "", line(0.125), raw=line(0.5))
    assert drawn(smoothed, width=40, height=6, title="loss")[0].rstrip() == "loss  ━ ~0.125"


def test_a_value_that_turned_to_none_is_not_the_last_one_before() -> None:
    gone = curve(0.5, math.inf, 0.4, NAN, math.inf, math.inf, NAN)
    assert drawn(gone, width=40, height=6, title="loss")[0].rstrip() == "loss  ━ none"
    assert drawn(gone, width=40, height=6, title="loss", cursor=1)[0].rstrip() == "loss @ 1  ━ none"
    assert drawn(gone, width=40, height=6, title="loss", cursor=3)[0].rstrip() == "loss @ 3  ━ 0.4"  # only not recorded
    smoothed = Curve("loss", "", smooth(gone.line, 0.6), gone.line)
    assert drawn(smoothed, width=40, height=6, title="loss")[0].rstrip() == "loss  ━ none"


def test_texts_of_x() -> None:
    assert [step_text(130.8), epoch_text(2.6249), epoch_text(3.0), time_text(3723.4)] == ["131", "2.62", "3", "1:02:03"]


@pytest.mark.parametrize("curves", [[], [curve()], [curve(NAN, math.inf)]])
def test_nothing_to_draw(curves: list[Curve]) -> None:
    assert any(NO_DATA in row for row in drawn(*curves, width=30, height=5))
    assert drawn(*curves, width=4, height=1) == [NO_DATA[:4]]


VALUES = st.floats() | st.floats(-10, 10)
CURVES = st.builds(
    lambda name, ys, more: Curve(
        name, "", line(*ys), raw=line(*ys) if more else None, band=(line(*ys), line(*ys)) if more else None, sign="a"
    ),
    st.text(max_size=8),
    st.lists(VALUES, max_size=12),
    st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(CURVES, max_size=4),
    st.integers(-1, 70),
    st.integers(-1, 14),
    st.text(max_size=12),
    st.none() | st.tuples(st.floats(-5, 5), st.floats(6, 15)),
    st.booleans(),
    st.none() | st.floats(-20, 20),
)
def test_always_the_asked_size(
    curves: list[Curve],
    width: int,
    height: int,
    text: str,
    x_range: tuple[float, float] | None,
    log: bool,
    cursor: float | None,
) -> None:
    found = plot(curves, width, height, Axes(text, text, x_range, None, log, names=log, legend_rows=3))
    rows = found.rows(cursor)
    assert len(rows) == max(0, height)
    assert all(sum(cell_len(part) for part, _ in row) == max(0, width) for row in rows)
    assert all(part.isprintable() for row in rows for part, _ in row)
