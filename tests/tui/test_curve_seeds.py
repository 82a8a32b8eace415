"""Smoothing and the band over seeds, each against plain loops."""

import math
import random
from statistics import mean, stdev

import numpy as np
import pytest

from tui.curves.seeds import Band, band
from tui.curves.shape import Line
from tui.curves.smoothing import smooth

NAN, INF = math.nan, math.inf


def make_line(points: dict[float, float]) -> Line:
    return Line(np.array(list(points), float), np.array(list(points.values()), float))


def plain_smooth(ys: list[float], weight: float) -> list[float]:
    state, count, found = 0.0, 0, []
    for y in ys:
        if math.isfinite(y):
            state, count = weight * state + (1 - weight) * y, count + 1
            found.append(state / (1 - weight**count))
        else:
            found.append(abs(y))
    return found


@pytest.mark.parametrize("weight", [0.001, 0.3, 0.6, 0.9, 0.97, 0.999, 1 - 1e-6])
@pytest.mark.parametrize("length", [1, 2, 100, 5_000])
def test_smoothing_is_the_recurrence(weight: float, length: int) -> None:
    draw = random.Random(length)
    ys = [draw.choice([draw.gauss(5, 2)] * 9 + [NAN, math.inf, 1e12]) for _ in range(length)]
    ys[0] = 3.0
    found = smooth(Line(np.arange(float(length)), np.array(ys)), weight)
    assert found.y == pytest.approx(plain_smooth(ys, weight), rel=1e-9, nan_ok=True)
    assert found.y[0] == pytest.approx(3.0)  # debiased


def test_smoothing_leaves_what_it_cannot_smooth() -> None:
    empty, gaps = make_line({}), make_line({0: NAN, 1: NAN})
    for weight in (0.0, 0.9):
        assert len(smooth(empty, weight).y) == 0
        assert np.isnan(smooth(gaps, weight).y).all()
    some = make_line({0: 1, 1: 2})
    assert smooth(some, 0.0) is some
    assert smooth(make_line(dict.fromkeys(range(99), 7.0)), 0.9).y == pytest.approx([7.0] * 99)


def test_a_number_beyond_all_reason_spoils_only_itself() -> None:
    found = smooth(make_line({0: 1.0, 1: 1e305, 2: 1.0}), 0.9)
    assert found.y == pytest.approx([1.0, NAN, 1.0], nan_ok=True)


def table(found: Band) -> list[tuple[float, float, float, int]]:
    return list(zip(found.x.tolist(), found.mean.tolist(), found.std.tolist(), found.n.tolist(), strict=True))


def test_the_band_says_how_many_seeds_stand_behind_it() -> None:
    seeds = [
        make_line({1: 1.0, 2: 2.0, 3: NAN, 4: 5.0}),
        make_line({1: 3.0, 2: 6.0}),
        make_line({1: 2.0, 2: NAN, 3: NAN}),
    ]
    found = band(seeds)
    assert found.width == 0
    expected = [(1, 2.0, stdev([1, 3, 2]), 3), (2, 4.0, stdev([2, 6]), 2), (4, 5.0, NAN, 1)]
    assert np.array(table(found)) == pytest.approx(np.array(expected), nan_ok=True)
    low, middle, high = found.edges()
    assert (low.y[0], middle.y[0], high.y[0]) == pytest.approx((1, 2, 3))


def test_a_seed_without_a_record_is_taken_between_those_around_it() -> None:
    whole = {float(x): float(x) for x in range(1, 10)}
    lacking = {x: y + 2 for x, y in whole.items() if x not in {2.0, 5.0, 6.0}}
    unsaid = {x: NAN if x == 5 else y for x, y in lacking.items()}  # a record of other metrics
    for other in (lacking, unsaid):
        found = band([make_line(whole), make_line(other)])
        assert found.mean == pytest.approx([x + 1 for x in whole])
        assert (set(found.n.tolist()), found.parts.tolist()) == ({2}, [])
        assert found.std == pytest.approx([2**0.5] * 9)


def test_where_a_seed_ends_or_says_none_the_mean_is_of_the_others_and_parted() -> None:
    whole = {float(x): 1.0 for x in range(1, 7)}
    short = {2.0: 3.0, 3.0: INF, 4.0: 3.0}
    found = band([make_line(whole), make_line(short)])
    assert found.n.tolist() == [1, 2, 1, 2, 1, 1]
    assert found.mean.tolist() == [1, 2, 1, 2, 1, 1]
    low, mean, high = found.edges()
    assert mean.x.tolist() == low.x.tolist() == high.x.tolist() == [1, 2, 2, 3, 3, 4, 4, 5, 5, 6]
    assert mean.y == pytest.approx([1, NAN, 2, NAN, 1, NAN, 2, NAN, 1, 1], nan_ok=True)
    gone = band([make_line({1: 1.0, 2: INF}), make_line({1: 3.0, 2: INF})])
    assert (gone.mean.tolist(), gone.n.tolist()) == ([2, INF], [2, 0])


def test_a_stretch_where_one_seed_has_no_record_has_its_part_in_the_mean() -> None:
    draw = random.Random(5)
    steps = [sorted(draw.uniform(0, 100) for _ in range(90)) for _ in range(3)]
    seeds = [dict.fromkeys(each, 1.0 + seed) for seed, each in enumerate(steps)]
    seeds[1] = {x: y for x, y in seeds[1].items() if not 40 < x < 60}
    found = band([make_line(each) for each in seeds], most=20)
    assert found.width > 0
    assert (found.mean.tolist(), found.n.tolist()) == ([2] * 20, [3] * 20)
    seeds[1] = {x: INF if 30 < x < 70 else y for x, y in seeds[1].items()}
    found = band([make_line(each) for each in seeds], most=20)
    assert found.n.tolist() == [2 if 30 < x < 70 else 3 for x in found.x.tolist()]
    assert set(found.mean.tolist()) == {2}


def test_a_seed_that_is_far_behind_changes_nothing_in_that() -> None:
    whole = {float(epoch): 1.0 for epoch in range(1, 201)}
    found = band([make_line(whole), make_line({1: 3.0, 2: 3.0})])
    assert (found.width, found.n.tolist()) == (0, [2, 2] + [1] * 198)


def test_seeds_with_steps_of_their_own_are_compared_by_stretches() -> None:
    draw = random.Random(3)
    seeds = [{draw.uniform(0, 100): draw.gauss(seed, 1) for _ in range(60)} for seed in range(3)]
    seeds = [dict(sorted(each.items())) | {200.0 + place: 1.0} for place, each in enumerate(seeds)]
    found = band([make_line(each) for each in seeds], most=10)
    start, end = min(min(each) for each in seeds), max(max(each) for each in seeds)
    width, rows = (end - start) / 10, []
    assert found.width == pytest.approx(width)
    for place in range(10):
        low, high = start + place * width, start + (place + 1) * width
        inside = [[y for x, y in each.items() if low <= x < high or (place == 9 and x == end)] for each in seeds]
        means = [mean(ys) for ys in inside if ys]
        if means:
            rows.append((low + width / 2, mean(means), stdev(means) if len(means) > 1 else NAN, len(means)))
    assert np.array(table(found)) == pytest.approx(np.array(rows), nan_ok=True)
    assert {row[3] for row in rows} == {3}
    assert len(rows) < 10  # a stretch without points is none of the band


def test_long_seeds_are_compared_by_stretches() -> None:
    x = np.arange(50_000.0)
    found = band([Line(x, x), Line(x, x + 2)], most=100)
    assert (len(found.x), set(found.n.tolist())) == (100, {2})
    assert found.std == pytest.approx([math.sqrt(2)] * 100)
    assert found.mean[0] == pytest.approx(np.mean(x[:500]) + 1, abs=1)


@pytest.mark.parametrize("apart", [0.0, 0.3])
def test_a_seed_that_has_just_begun_leaves_the_others_their_curve(apart: float) -> None:
    """With records at the same steps, and with such that are not."""
    seeds = [{n + apart * seed: 1.0 for n in range(90)} for seed in range(2)] + [{0.0 + 2 * apart: 1.0, 1.0: 1.0}]
    found = band([make_line(each) for each in seeds])
    assert (found.width > 0) == (apart > 0)
    assert len(found.x) >= 25
    assert (found.n[0], found.n[-1]) == (3, 2)


def test_bands_of_little() -> None:
    assert table(band([])) == table(band([make_line({})])) == table(band([make_line({1: NAN})])) == []
    alone = band([make_line({1: 2.0}), make_line({})])
    assert (alone.mean.tolist(), alone.n.tolist(), np.isnan(alone.std).tolist()) == ([2.0], [1], [True])
    one = band([make_line({5: 1.0}), make_line({5: 2.0})])
    assert (one.x.tolist(), one.mean.tolist(), one.std.tolist()) == ([5], [1.5], [pytest.approx(stdev([1, 2]))])
    assert band([make_line({1: 1e308, 2: 1}), make_line({1: 1e308, 2: 1})]).mean[1] == 1
