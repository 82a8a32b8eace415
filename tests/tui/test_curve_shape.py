"""What charts draw of a run's columns, each against plain loops."""

import math
import random
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tui.curves.columns import Columns, RunCurves
from tui.curves.shape import Axis, Line, at, envelope, line, log_y, metrics, x_range, y_range

NAN, INF = math.nan, math.inf
NONE = Columns(np.empty(0), np.empty(0), np.empty(0), {})


def make_line(y: Sequence[float], x: Sequence[float] | None = None) -> Line:
    return Line(np.array(range(len(y)) if x is None else x, float), np.array(y, float))


def columns(
    steps: Sequence[float], epochs: Sequence[float], times: Sequence[float], **values: Sequence[float]
) -> Columns:
    named = {name.replace("__", "/"): np.array(column, float) for name, column in values.items()}
    return Columns(np.array(steps, float), np.array(epochs, float), np.array(times, float), named)


def curves(train: Columns = NONE, epochs: Columns = NONE) -> RunCurves:
    return RunCurves("a run", train, epochs)


def same(found: NDArray[np.float64], expected: Sequence[float]) -> bool:
    return np.array_equal(found, np.asarray(expected, float), equal_nan=True)


def random_lines(count: int, most: int) -> list[Line]:
    """Lines of all lengths, with gaps, spikes, repeated x and infinities."""
    draw = random.Random(7)
    found = []
    for _ in range(count):
        n = draw.randrange(most)
        x = sorted(draw.choice([draw.uniform(-5, 5), float(draw.randrange(-5, 5))]) for _ in range(n))
        y = [draw.choice([draw.gauss(0, 1)] * 6 + [NAN, 1e9, INF, -INF]) for _ in range(n)]
        found.append(make_line(y, x))
    return found


def test_metrics_are_those_with_a_number_once_each() -> None:
    train = columns([1, 2], [1, 1], [0, 1], loss=[NAN, 2.0], empty=[NAN, NAN])
    epochs = columns([2], [1], [1], loss=[1.5], val__loss=[2.5], none=[INF])
    assert metrics(curves(train, epochs)) == ("loss", "val/loss")
    assert metrics(curves()) == ()


def test_a_line_is_the_training_records_unless_only_epochs_have_it() -> None:
    train = columns([1, 2, 4], [1, 1, 2], [100, 101, 103], loss=[3.0, NAN, 1.0])
    epochs = columns([2, 4], [1, 2], [101.5, 103.5], loss=[9.0, 8.0], val__loss=[2.5, 2.0])
    run = curves(train, epochs)
    assert same(line(run, "loss").x, [1, 2, 4])
    assert same(line(run, "loss").y, [3, NAN, 1])
    assert same(line(run, "loss", kind="epoch").y, [9, 8])
    assert same(line(run, "val/loss").x, [2, 4])
    assert same(line(run, "val/loss", "epoch").x, [1, 2])
    assert same(line(run, "val/loss", "time").x, [1.5, 3.5])
    assert same(line(run, "loss", "time").x, [0, 1, 3])
    for axis in ("step", "epoch", "time"):
        kept: Axis = axis
        assert len(line(run, "no such", kept).x) == len(line(curves(), "loss", kept).x) == 0


def test_epochs_of_training_records_are_fractions() -> None:
    train = columns([2, 5, 10, 15, 20, 25, 30], [1, 1, 1, 2, 2, 3, 3], [0] * 7, loss=[0] * 7)
    ends = columns([10, 20], [1, 2], [0, 0], val=[0, 0])
    assert same(line(curves(train, ends), "loss", "epoch").x, [0.2, 0.5, 1, 1.5, 2, 2.5, 3])
    first = columns([5, 10], [1, 1], [0, 0], loss=[0, 0])  # its length is not known yet
    assert same(line(curves(first), "loss", "epoch").x, [0.5, 1])
    lost = columns([30], [3], [0], val=[0])  # the records of two epochs could not be read
    assert same(line(curves(train, lost), "loss", "epoch").x, [0.2, 0.5, 1, 1.5, 2, 2.5, 3])


def test_time_a_clock_was_set_back_by_is_not_counted() -> None:
    """It may not make a curve run backwards, nor part the epochs' records from the training's."""
    train = columns([1, 2, 3, 4, 5], [1, 1, 1, 2, 2], [1000, 1010, 410, 420, 1000], loss=[1, 2, 3, 4, 5])
    ends = columns([3, 5], [1, 2], [411, 1001], val=[1, 2])
    run = curves(train, ends)
    assert same(line(run, "loss", "time").x, [0, 10, 10, 20, 600])
    assert same(line(run, "val", "time").x, [11, 601])
    only = columns([3, 5, 6], [1, 2, 3], [500, 400, 460], val=[1, 2, 3])
    assert same(line(curves(epochs=only), "val", "time").x, [0, 0, 60])


def test_steps_that_fall_are_put_in_order_and_none_is_left_out() -> None:
    """So it is when the record that says `resume` was lost."""
    train = columns([1, 2, 3, 2, 3, 4], [1] * 6, range(6), loss=[1, 2, 3, 4, 5, 6])
    found = line(curves(train), "loss")
    assert same(found.x, [1, 2, 2, 3, 3, 4])
    assert same(found.y, [1, 2, 4, 3, 5, 6])


def test_only_positive_numbers_have_a_logarithm() -> None:
    found = log_y(make_line([100, 0.001, 0, -1, NAN, INF]))
    assert found.y == pytest.approx([2, -3, NAN, NAN, NAN, INF], nan_ok=True)
    assert len(log_y(make_line([])).y) == 0


def test_ranges() -> None:
    lines = [make_line([5, NAN, 7], [1, 2, 3]), make_line([-INF, 2], [0, 2.5]), make_line([])]
    assert x_range(lines) == (0, 3)
    assert x_range([make_line([])]) is None
    assert y_range(lines, (0, 3)) == (2, 7)
    assert y_range(lines, (1, 2)) == (5, 5)
    assert y_range(lines, (2.6, 3)) == (7, 7)
    assert y_range(lines, (1.5, 2)) is None
    assert y_range(lines, (0, 0.5)) is None
    assert y_range([], (0, 1)) is None


def test_the_nearest_point_with_a_value() -> None:
    checked = 0
    for each in random_lines(60, 30):
        points = [(x, y) for x, y in zip(each.x.tolist(), each.y.tolist(), strict=True) if not math.isnan(y)]
        for x in (-INF, -9.0, -1.0, 0.0, 0.3, 4.9, 9.0):
            found = at(each, x)
            if not points:
                assert found is None
                continue
            assert found in points
            assert math.isinf(x) or abs(found[0] - x) == min(abs(point[0] - x) for point in points)
            checked += 1
    assert checked > 200


def plain_envelope(each: Line, within: tuple[float, float], count: int) -> list[tuple[float, ...]]:
    """Column, first, low, high, last and joined of each column with a finite point, point by point."""
    low, high = within
    width = (high - low) / max(1, count - 1) or 1.0
    points = list(zip(each.x.tolist(), each.y.tolist(), strict=True))
    rows: list[tuple[float, ...]] = []
    before = -2
    for i, (x, y) in enumerate(points):
        if not (low <= x <= high and math.isfinite(y)):
            continue
        column = sum(x >= low + (edge - 0.5) * width for edge in range(1, count))
        if rows and rows[-1][0] == column:
            _, first, least, most, _, joined = rows[-1]
            rows[-1] = (column, first, min(least, y), max(most, y), y, joined)
        else:
            touches = before == i - 1 if rows else i > 0 and points[i - 1][0] < low and math.isfinite(points[i - 1][1])
            rows.append((column, y, y, y, y, touches))
        before = i
    return rows


@pytest.mark.parametrize("within", [(-5.0, 5.0), (-1.0, 1.0), (0.0, 0.0), (4.0, 40.0), (8.0, 9.0)])
@pytest.mark.parametrize("count", [1, 2, 7, 160])
def test_the_envelope_is_that_of_plain_loops(within: tuple[float, float], count: int) -> None:
    for each in [*random_lines(40, 60), make_line([]), make_line([3.0]), make_line([NAN]), make_line([2.0] * 9)]:
        found = envelope(each, within, count)
        parts = (found.column, found.first, found.low, found.high, found.last, found.joined)
        assert list(zip(*(part.tolist() for part in parts), strict=True)) == plain_envelope(each, within, count)


def test_a_line_comes_into_view_and_leaves_it() -> None:
    each = make_line([0, 10, 20, NAN, 40], [0, 10, 20, 30, 40])
    found = envelope(each, (5, 15), 11)
    assert (found.left, found.right, found.joined.tolist()) == (5, 15, [True])
    across = envelope(each, (12, 18), 7)  # no point in view, and yet the line is
    assert (across.column.tolist(), across.left, across.right) == ([], 12, 18)
    gap = envelope(each, (25, 45), 7)
    assert (math.isnan(gap.left), math.isnan(gap.right), gap.joined.tolist()) == (True, True, [False])
    whole = envelope(each, (0, 40), 5)
    assert (whole.joined.tolist(), whole.column.tolist()) == ([False, True, True, False], [0, 1, 2, 4])


def test_one_spike_in_a_million_points_stays() -> None:
    y = np.zeros(1_000_000)
    y[654_321], y[123_456] = 1.0, -1.0
    found = envelope(Line(np.arange(1e6), y), (0, 1e6 - 1), 320)
    assert (found.high.max(), found.low.min(), len(found.column)) == (1.0, -1.0, 320)
    assert found.column[found.high.argmax()] == round(654_321 / (1e6 - 1) * 319)


def test_nothing_loads_numpy_before_curves_are_read() -> None:
    code = "import sys, tui.reading.curves, tui.curves.columns; print('numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
