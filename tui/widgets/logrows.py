"""The rows that lines of a log fill: one each, or as many as they need where long lines are wrapped."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells

from tui.messages import LogLine


@dataclass(frozen=True, slots=True)
class Row:
    """A part of a line."""

    line: LogLine
    first: int
    """Of its text, the first character."""
    last: int
    """And the one after the last."""

    @property
    def text(self) -> str:
        """The part."""
        return self.line.text[self.first : self.last]


def rows_of(lines: Sequence[LogLine], width: int | None) -> list[Row]:
    """The rows of all lines, wrapped at `width` cells unless it is None."""
    found: list[Row] = []
    for line in lines:
        if width is None or cell_len(line.text) <= width:
            found.append(Row(line, 0, len(line.text)))
            continue
        place = 0
        for part in chop_cells(line.text, max(2, width)):
            found.append(Row(line, place, place + len(part)))
            place += len(part)
    return found


def row_at(rows: Sequence[Row], place: int) -> int:
    """The first row of the line that holds byte `place`; the first or last of all if it is outside."""
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        if rows[middle].line.end <= place:
            low = middle + 1
        else:
            high = middle
    return min(low, max(0, len(rows) - 1))
