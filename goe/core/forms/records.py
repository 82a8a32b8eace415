"""CSV and JSON: one record a cell, unrounded, with all that is known of it."""

import csv
import io
from typing import Any

import msgspec

from goe.core.cells import Cell
from goe.core.table import Table

_OF_ROW = (
    *("experiment", "config", "method", "id_dataset", "model", "score", "protocol", "checkpoint"),
    *("test_set", "metric", "mean", "std", "n", "expected"),
)
FIELDS = (
    *_OF_ROW,
    *("seeds", "text", "rank", "positive", "ties", "paper", "above_paper"),
    *("difference", "difference_std", "low", "high", "p", "common_seeds", "block"),
)
"""Of each record. Fractions, not percent; empty where there is none. `seeds` are those in the mean; `rank` is that of
the cell among its neighbours; `paper` is the published figure; `difference` to `common_seeds` are against another
experiment; `block` is the title of the block that the cell stands in.
"""


def records(table: Table) -> list[dict[str, Any]]:
    """A record a cell, in the order of the cells."""
    found = []
    for block in table.blocks:
        for cell in (cell for line in block.lines for cell in line if cell.row is not None):
            known = _facts(cell) | {"block": block.title}
            known |= {"positive": table.conventions.positive, "ties": table.conventions.ties}
            found.append({name: known.get(name) for name in FIELDS})
    return found


def to_json(table: Table) -> str:
    """An array of records."""
    return msgspec.json.format(msgspec.json.encode(records(table)), indent=2).decode() + "\n"


def to_csv(table: Table) -> str:
    """A line a record; `seeds` by blanks."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: "" if value is None else value for key, value in record.items()}
        | {"seeds": " ".join(map(str, record["seeds"]))}
        for record in records(table)
    )
    return out.getvalue()


def _facts(cell: Cell) -> dict[str, Any]:
    row, difference = cell.row, cell.difference
    assert row is not None
    found: dict[str, Any] = {name: getattr(row, name) for name in _OF_ROW}
    found |= {"seeds": [seed for seed, _ in row.by_seed], "text": cell.text, "rank": cell.rank}
    if cell.figure is not None:
        found |= {"paper": cell.figure, "above_paper": None if row.mean is None else row.mean - cell.figure}
    if difference is not None:
        found |= {"difference": difference.mean, "difference_std": difference.std, "common_seeds": difference.n}
        found |= {"low": difference.low, "high": difference.high, "p": difference.p}
    return found
