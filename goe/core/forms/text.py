"""Plain text for a terminal: aligned columns; marks are bold and underline, or signs where there is no colour."""

from collections.abc import Sequence

from goe.core.cells import Cell
from goe.core.forms.marks import MARKS
from goe.core.table import Block, Table

PLAIN_MARKS = "*: best; _: second best."


def to_text(table: Table, *, colour: bool) -> str:
    """Blocks below each other, the notes last. `colour` marks by escape sequences instead of `*` and `_`."""
    parts: list[str] = []
    for block in table.blocks:
        parts += [block.title, *_lines(block, colour=colour), ""]
    return "\n".join([*parts, *table.notes, MARKS if colour else PLAIN_MARKS, ""])


def _lines(block: Block, *, colour: bool) -> list[str]:
    grid = [tuple(map(Cell, block.header)), *block.lines]
    widths = [max(len(_plain(line[place], colour=colour)) for line in grid) for place in range(len(block.header))]
    return [_line(line, widths, block.labels, colour=colour) for line in grid]


def _line(line: Sequence[Cell], widths: Sequence[int], labels: int, *, colour: bool) -> str:
    padded = []
    for place, (cell, width) in enumerate(zip(line, widths, strict=True)):
        text = _plain(cell, colour=colour)
        blank = " " * (width - len(text))
        marked = _escaped(cell) if colour else text
        padded.append(marked + blank if place < labels else blank + marked)
    return "  ".join(padded).rstrip()


def _plain(cell: Cell, *, colour: bool) -> str:
    """What takes place on the screen."""
    sign = "" if colour else "*" if cell.best else "_" if cell.second else ""
    return sign + cell.text


def _escaped(cell: Cell) -> str:
    code = "1" if cell.best else "4" if cell.second else ""
    return f"\x1b[{code}m{cell.text}\x1b[0m" if code else cell.text
