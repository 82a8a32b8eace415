"""HTML: a fragment to paste into any page, without style of its own."""

from html import escape

from goe.core.cells import Cell
from goe.core.forms.marks import MARKS
from goe.core.table import Block, Table


def to_html(table: Table) -> str:
    """A table a block with its title as caption, the notes as paragraphs after them."""
    parts = [line for block in table.blocks for line in _lines(block)]
    return "\n".join([*parts, *(f"<p>{escape(note)}</p>" for note in (*table.notes, MARKS)), ""])


def _lines(block: Block) -> list[str]:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in block.header)
    body = [f"<tr>{_row(line, block.labels)}</tr>" for line in block.lines]
    caption = f"<caption>{escape(block.title)}</caption>"
    return ["<table>", caption, f"<thead><tr>{head}</tr></thead>", "<tbody>", *body, "</tbody>", "</table>"]


def _row(line: tuple[Cell, ...], labels: int) -> str:
    heads = [f'<th scope="row">{escape(cell.text)}</th>' for cell in line[:labels]]
    return "".join([*heads, *(f"<td>{_marked(cell)}</td>" for cell in line[labels:])])


def _marked(cell: Cell) -> str:
    text = escape(cell.text)
    return f"<b>{text}</b>" if cell.best else f"<u>{text}</u>" if cell.second else text
