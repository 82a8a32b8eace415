"""The lines of an evaluation table in the order of one of its columns. Pure; no screen."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from goe.core.cells import Cell
from goe.core.table import Block


def headings_of(blocks: Iterable[Block]) -> list[str]:
    """Every column that some block has."""
    return list(dict.fromkeys(heading for block in blocks for heading in block.header))


def ordered(blocks: Iterable[Block], heading: str, *, descending: bool) -> tuple[Block, ...]:
    """Each block by that column, what has no value last; without a heading as the queue file has the experiments.

    A block without that column stays as it is.
    """
    return tuple(_ordered(block, heading, descending) for block in blocks)


def _ordered(block: Block, heading: str, descending: bool) -> Block:
    if not heading:
        return replace(block, lines=block.lines[::-1]) if descending else block
    if heading not in block.header:
        return block
    place = block.header.index(heading)
    known = [line for line in block.lines if _has_value(line[place])]
    rest = [line for line in block.lines if not _has_value(line[place])]
    return replace(block, lines=(*sorted(known, key=lambda line: _key(line, place), reverse=descending), *rest))


def _has_value(cell: Cell) -> bool:
    return cell.row is None or cell.row.mean is not None


def _key(line: Sequence[Cell], place: int) -> tuple[float, str]:
    row = line[place].row
    return (row.mean or 0.0, "") if row is not None else (0.0, line[place].text)
