"""What part of an axis is in view, and how zooming and panning change it. Pure functions on (first, last)."""

from typing import TypeAlias

Span: TypeAlias = tuple[float, float]

_DEEPEST = 1e-6
"""Of the whole, the smallest part that can be zoomed to."""


def zoomed(view: Span, whole: Span, at: float, factor: float) -> Span | None:
    """The view `factor` times as wide, with `at` where it was; None where that is the whole."""
    width = max((view[1] - view[0]) * factor, (whole[1] - whole[0]) * _DEEPEST)
    share = (at - view[0]) / (view[1] - view[0]) if view[1] > view[0] else 0.5
    start = at - min(max(share, 0.0), 1.0) * width
    return _within((start, start + width), whole)


def panned(view: Span, whole: Span, share: float) -> Span | None:
    """The view moved by a share of its width, no further than the ends of the whole."""
    by = (view[1] - view[0]) * share
    return _within((view[0] + by, view[1] + by), whole)


def _within(view: Span, whole: Span) -> Span | None:
    width = view[1] - view[0]
    if not 0 < width < whole[1] - whole[0]:
        return None
    start = min(max(view[0], whole[0]), whole[1] - width)
    return start, start + width
