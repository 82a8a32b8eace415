"""Masks of whole arrays are those of the plain loop."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tui.curves.shape import Line, envelope
from tui.widgets.dots import Bucket, trace
from tui.widgets.tracing import trace_envelope

VALUES = st.just(np.nan) | st.floats(-3, 3) | st.sampled_from([0.0, 1e300, -1e300])


@settings(max_examples=200, deadline=None)
@example([(0.0, -2.0), (7.0, 2.0)], (1.0, 6.0), 1, 1)
@given(
    st.lists(st.tuples(st.floats(0, 10), VALUES), max_size=60),
    st.tuples(st.floats(-1, 5), st.floats(5.5, 11)),
    st.integers(1, 30),
    st.integers(1, 6),
)
def test_as_the_plain_loop(
    points: list[tuple[float, float]], view: tuple[float, float], columns: int, height: int
) -> None:
    points.sort(key=lambda point: point[0])
    x, y = (np.array([point[i] for point in points], dtype=float) for i in (0, 1))
    found = envelope(Line(x, y), view, columns)
    buckets: list[Bucket | None] = []
    if np.isfinite(found.left) and found.column[:1].tolist() != [0]:
        buckets.append((0, *[found.left] * 4))
    for i, place in enumerate(found.column.tolist()):
        buckets += [] if found.joined[i] else [None]
        buckets.append((place, *(float(each[i]) for each in (found.first, found.low, found.high, found.last))))
    if np.isfinite(found.right) and found.column[-1:].tolist() != [columns - 1]:
        buckets.append((columns - 1, *[found.right] * 4))
    assert trace_envelope(found, (-2, 2), columns, 4 * height) == trace(buckets, (-2, 2), columns, 4 * height)


def test_an_empty_line() -> None:
    assert trace_envelope(envelope(Line(np.zeros(0), np.zeros(0)), (0, 1), 4), (0, 1), 4, 4) == [0, 0, 0, 0]
