"""A line of the evaluation table seed by seed: pure functions from what was read to cells."""

import time
from collections.abc import Mapping, Sequence

from goe.core.cells import Cell, printed
from goe.core.config import RunConfig
from goe.core.layout import kind_of
from goe.core.metricstyles import style_of
from goe.core.overview import RunView
from goe.core.report import NOTHING, state_label
from goe.core.results import Measured, Row
from goe.core.state import RunState
from goe.core.table import Block
from tui.messages import Results
from tui.widgets.keytable import Cell as KeyCell
from tui.widgets.keytable import Heading
from tui.widgets.resultstable import printable
from tui.widgets.runcells import state_colour

Views = Mapping[str, RunView]


def row_of(line: Sequence[Cell]) -> Row | None:
    """What a line of a block is about."""
    return next((cell.row for cell in line if cell.row is not None), None)


def seed_runs(results: Results, row: Row) -> list[RunConfig]:
    """The runs that the line's means are over, or should be, by seed."""
    there = [item.config for item in results.measured]
    found = {
        config.seed: config
        for config in (*there, *results.expected)
        if (config.experiment, config.group) == (row.experiment, row.config)
    }
    return [found[seed] for seed in sorted(found)]


def headings(block: Block, room: int) -> tuple[Heading, ...]:
    """For `seed_cells`: the values of the line first, the note as wide as there is room."""
    values = [Heading(name, max(6, len(name)), right=True) for name in _told_apart(value_names(block))]
    rest = [
        Heading(name, width) for name, width in (("state", 12), ("checkpoint", 10), ("epoch", 5), ("evaluated", 16))
    ]
    found = [Heading("seed", 4, right=True), *values, *rest]
    left = room - sum(heading.width + 2 for heading in found) - 3
    return (*found, Heading("note", max(30, left)))


def value_names(block: Block) -> tuple[str, ...]:
    """The headings of the block's values."""
    return block.header[len(block.header) - sum(cell.row is not None for cell in block.lines[0]) :]


def _told_apart(names: Sequence[str]) -> list[str]:
    """A test set may be called like another column; columns go by their titles."""
    found: list[str] = []
    for name in map(printable, names):
        while name in {*found, "seed", "state", "checkpoint", "epoch", "evaluated", "note"}:
            name += "’"
        found.append(name)
    return found


def seed_cells(
    config: RunConfig, line: Sequence[Cell], results: Results, view: RunView | None, *, dark: bool
) -> tuple[KeyCell, ...]:
    """One seed: its value of every cell of the line, and where they are from or why there are none."""
    row = row_of(line)
    assert row is not None
    item = result_of(config, row, results.measured)
    values = [(_value(cell.row, config.seed), "") for cell in line if cell.row is not None]
    state = ("not made", "") if view is None else (state_label(view.state), state_colour(view.state, dark=dark))
    where = ["", "", ""]
    if item is not None:
        evaluated = time.strftime("%Y-%m-%d %H:%M", time.localtime(item.result.created))
        where = [item.result.checkpoint, str(item.result.epoch), evaluated]
    note = "" if item is not None else reason(row, config, view, results)
    texts = ((text, "") for text in where)
    return ((str(config.seed), ""), *values, state, *texts, (printable(note), ""))


def result_of(config: RunConfig, row: Row, measured: Sequence[Measured]) -> Measured | None:
    """The seed's result that went into the row."""
    wanted = (config.run_id, row.score, row.protocol, row.checkpoint)
    for item in measured:
        result = item.result
        if (item.config.run_id, result.score, result.protocol, result.checkpoint) == wanted:
            return item
    return None


def _value(row: Row, seed: int) -> str:
    found = dict(row.by_seed).get(seed)
    return NOTHING if found is None else f"{printed(found, style_of(kind_of(row), row.metric)):.2f}"


def reason(row: Row, config: RunConfig, view: RunView | None, results: Results) -> str:
    """Why the seed is missing."""
    damaged = [problem for problem in results.problems if f"/{config.run_id}/" in problem]
    if damaged:
        return damaged[0]
    if view is None:
        return "no run yet: no queue has started it"
    if view.problem:
        return view.problem
    if view.state is not RunState.DONE:
        return f"{view.state}: a run is evaluated when its training ends"
    return f"no result under {row.score}, {row.protocol}, {row.checkpoint}; `goe eval {config.run_id}` writes some"
