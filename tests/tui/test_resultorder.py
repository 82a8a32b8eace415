"""The lines of an evaluation table in the order of a column."""

from goe.core.cells import Cell
from goe.core.results import Row
from goe.core.table import Block
from tui.resultorder import headings_of, ordered


def line(name: str, mean: float | None) -> tuple[Cell, ...]:
    row = Row(name, "", "", "", "", "", "", "", "", "auroc", mean, None, 1, 1)
    return Cell(name), Cell("–" if mean is None else f"{mean}", row=row)


BLOCK = Block("", ("experiment", "AUROC"), (line("b", 0.9), line("c", None), line("a", 0.10), line("d", 0.9)))
OTHER = Block("", ("experiment", "ACC"), (line("b", 0.9), line("a", 0.8)))


def names(heading: str, *, descending: bool = False) -> list[str]:
    return ["".join(cells[0].text for cells in block.lines)
            for block in ordered([BLOCK, OTHER], heading, descending=descending)]  # fmt: skip


def test_what_was_not_measured_is_last_either_way_and_equal_ones_stay() -> None:
    assert names("AUROC") == ["abdc", "ba"]
    assert names("AUROC", descending=True) == ["bdac", "ba"]


def test_labels_are_sorted_as_text() -> None:
    assert names("experiment", descending=True) == ["dcba", "ba"]


def test_without_a_column_as_they_came() -> None:
    assert names("") == ["bcad", "ba"]
    assert names("", descending=True) == ["dacb", "ab"]
    assert names("none such") == ["bcad", "ba"]


def test_every_heading_is_offered_once() -> None:
    assert headings_of([BLOCK, OTHER]) == ["experiment", "AUROC", "ACC"]
