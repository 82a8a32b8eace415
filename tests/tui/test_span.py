"""Zooming and panning of an x axis."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.span import panned, zoomed

WHOLE = (0.0, 100.0)


def test_zooming_keeps_the_point_where_it_is() -> None:
    assert zoomed(WHOLE, WHOLE, 25, 0.5) == (12.5, 62.5)
    assert zoomed((12.5, 62.5), WHOLE, 25, 0.5) == (18.75, 43.75)
    assert zoomed((40, 60), WHOLE, 50, 2) == (30, 70)


def test_zooming_out_ends_at_the_whole() -> None:
    assert zoomed((30, 90), WHOLE, 90, 2) is None
    assert zoomed((0, 40), WHOLE, 40, 2) == (0, 80)  # no further than the start


def test_panning_ends_at_the_ends() -> None:
    assert panned((20, 40), WHOLE, 0.25) == (25, 45)
    assert panned((20, 40), WHOLE, -5) == (0, 20)
    assert panned((20, 40), WHOLE, 50) == (80, 100)
    assert panned(WHOLE, WHOLE, 0.25) is None


@pytest.mark.parametrize("whole", [(5.0, 5.0), (0.0, 0.0)])
def test_a_single_point_cannot_be_zoomed(whole: tuple[float, float]) -> None:
    assert zoomed(whole, whole, 5, 0.5) is None
    assert panned(whole, whole, 0.25) is None


@given(st.floats(0, 1), st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.5, 0.8, 1.25, 2.0])), max_size=40))
def test_always_within_the_whole(start: float, steps: list[tuple[float, float]]) -> None:
    view = WHOLE
    for share, factor in steps:
        view = zoomed(view, WHOLE, view[0] + share * (view[1] - view[0]), factor) or WHOLE
        view = panned(view, WHOLE, start - 0.5) or WHOLE
        assert WHOLE[0] <= view[0] < view[1] <= WHOLE[1] + 1e-9
