"""LaTeX with booktabs: a tabular a block, to be put into a table environment of one's own."""

from collections.abc import Sequence

from goe.core.cells import Cell
from goe.core.forms.marks import MARKS
from goe.core.table import Block, Table


def to_latex(table: Table) -> str:
    """A tabular a block, its title and the notes as comments.

    A label that is the same as in the line above, with all before it, is left blank; groups stand a little apart.
    """
    parts = ["% needs \\usepackage{booktabs}"]
    for block in table.blocks:
        columns = "l" * block.labels + "r" * (len(block.header) - block.labels)
        parts += [f"% {_escaped(block.title)}", f"\\begin{{tabular}}{{{columns}}}", "\\toprule"]
        parts += [_row([_escaped(text) for text in block.header]), "\\midrule", *_lines(block)]
        parts += ["\\bottomrule", "\\end{tabular}", ""]
    return "\n".join([*parts, *(f"% {_escaped(note)}" for note in (*table.notes, MARKS)), ""])


def _lines(block: Block) -> list[str]:
    lines: list[str] = []
    above: list[str] = []
    for line in block.lines:
        labels = [cell.text for cell in line[: block.labels]]
        same = _shared(labels[:-1], above)
        if above and same < block.labels - 1:
            lines.append("\\addlinespace")
        shown = ["" if place < same else _escaped(text) for place, text in enumerate(labels)]
        lines.append(_row([*shown, *(_marked(cell) for cell in line[block.labels :])]))
        above = labels
    return lines


def _shared(labels: Sequence[str], above: Sequence[str]) -> int:
    """How many of the first labels are those above."""
    count = 0
    for own, other in zip(labels, above, strict=False):
        if own != other:
            break
        count += 1
    return count


def _row(texts: Sequence[str]) -> str:
    return " & ".join(texts).lstrip() + r" \\"


def _marked(cell: Cell) -> str:
    text = _escaped(cell.text)
    return f"\\textbf{{{text}}}" if cell.best else f"\\underline{{{text}}}" if cell.second else text


_SIGNS = {
    "&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "±": r"$\pm$", "×": r"$\times$",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "‰": r"$\times 10^3$", "–": "--", "−": "$-$", "·": "--",
    "†": r"$^\dagger$",
}  # fmt: skip


def _escaped(text: str) -> str:
    return "".join(_SIGNS.get(char, char) for char in text)
