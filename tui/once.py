"""The list of runs as one plain text frame, for pipes, logs and terminals that can't do more."""

import textwrap
from pathlib import Path

from tui.messages import Overview
from tui.reading.overview import Plan, read_overview
from tui.widgets.runcells import cut, summarise
from tui.widgets.runcolumns import Column, fit_columns


def frame(runs: Path, queue: Path, width: int) -> str:
    """Every run under `runs`, one line each of at most `width` characters, then the problems and a summary."""
    return render_frame(read_overview(runs, Plan(queue)), width)


def render_frame(overview: Overview, width: int) -> str:
    """`frame` for what was read."""
    views = overview.views
    columns = fit_columns(views, width + 2)  # the last column needs no gap after it
    lines = []
    if views:
        lines.append(_line(columns, [column.title for column in columns]))
        lines += [_line(columns, [column.cell(view) for column in columns]) for view in views]
    notes = [f"{view.run_id}: {view.problem}" for view in views if view.problem]
    notes += ([overview.problem] if overview.problem else []) + list(overview.queue_problems)
    summary = summarise(views, overview.read_at, queue_alive=overview.queue_alive)
    blocks = ["\n".join(lines), "\n".join(_note(note, width) for note in notes), textwrap.fill(summary, max(20, width))]
    return "\n\n".join(block for block in blocks if block)


def _line(columns: list[Column], texts: list[str]) -> str:
    cells = [cut(text, column.width) for text, column in zip(texts, columns, strict=True)]
    padded = [
        text.rjust(column.width) if column.right else text.ljust(column.width)
        for text, column in zip(cells, columns, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _note(text: str, width: int) -> str:
    # a path is left whole, so that it can be copied
    return textwrap.fill(
        f"! {text}", max(20, width), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
