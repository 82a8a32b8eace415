"""Markdown (GitHub's): best between `**`, second best between `<u>` and `</u>`, which Markdown lacks."""

import re

from goe.core.cells import Cell
from goe.core.forms.marks import MARKS
from goe.core.table import Block, Table


def to_markdown(table: Table) -> str:
    """A table a block, its title above, the notes last."""
    parts: list[str] = []
    for block in table.blocks:
        parts += [f"**{_escaped(block.title)}**", "", *_lines(block), ""]
    notes = [line for note in (*table.notes, MARKS) for line in (_escaped(note), "")]
    return "\n".join([*parts, *notes])


def _lines(block: Block) -> list[str]:
    rule = ["---" if place < block.labels else "---:" for place in range(len(block.header))]
    cells = [[_marked(cell) for cell in line] for line in block.lines]
    return [_row([_escaped(text) for text in block.header]), f"|{'|'.join(rule)}|", *map(_row, cells)]


def _row(texts: list[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _marked(cell: Cell) -> str:
    text = _escaped(cell.text)
    return f"**{text}**" if cell.best else f"<u>{text}</u>" if cell.second else text


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*|<>])", r"\\\1", text)
