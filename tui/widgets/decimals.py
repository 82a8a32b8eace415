"""Cells of a column one below the other by their parts: value, spread, what follows. Pure; no widget."""

import re
from collections.abc import Sequence

from rich.cells import cell_len

_CELL = re.compile(r"(?P<value>\S*)(?P<spread> ± \S+)?(?P<rest>.*)", re.DOTALL)


def aligned(texts: Sequence[str]) -> list[str]:
    """The texts, equally wide: values and spreads flush right, so that equally exact ones meet at the point."""
    parts = [(one["value"], (one["spread"] or "")[3:], one["rest"]) for one in map(_CELL.fullmatch, texts) if one]
    values, spreads = (max((cell_len(part[place]) for part in parts), default=0) for place in (0, 1))
    joined = [_right(value, values) + (f" ± {_right(spread, spreads)}" if spread else "") + rest
              for value, spread, rest in parts]  # fmt: skip
    width = max(map(cell_len, joined), default=0)
    return [text + " " * (width - cell_len(text)) for text in joined]


def _right(text: str, width: int) -> str:
    return " " * (width - cell_len(text)) + text
