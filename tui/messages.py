"""What the poller tells the screens: plain immutable facts, each sent in one News."""

from dataclasses import dataclass

from textual.message import Message

from goe.core.chart import Figure
from goe.core.config import RunConfig
from goe.core.overview import RunView
from goe.core.records import Values
from goe.core.results import Measured, Row
from goe.core.table import Block, Table
from goe.core.tabulation import Against
from tui.reading.tablelook import TableLook
from tui.widgets.heatmap import Field


@dataclass(frozen=True, slots=True)
class Overview:
    """Every run of the folder at one moment."""

    views: tuple[RunView, ...] = ()
    """In the queue file's order, then by name."""
    read_at: float = 0.0
    """Unix time."""
    queue_alive: bool = False
    planned: int = 0
    """Runs of the queue file; 0 without one."""
    queue_problems: tuple[str, ...] = ()
    """What is wrong with the queue file."""
    problem: str | None = None
    """Why the folder can't be read."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One entry of a run's `checkpoints/`."""

    name: str
    epoch: int | None = None
    values: Values | None = None
    saved: float = 0.0
    size: int | None = None
    """Bytes of the weights."""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class RunDetail:
    """Everything the page of one run shows."""

    view: RunView
    read_at: float
    log: tuple[str, ...] = ()
    log_cut: bool = False
    """Whether the log has more than the lines here."""
    checkpoints: tuple[Checkpoint, ...] = ()
    surface: Field | None = None
    """Confidence over the plane, of a spiral run after its evaluation."""
    surface_problem: str | None = None


@dataclass(frozen=True, slots=True)
class Histogram:
    """The scores of one evaluation result of a run, and which others there are."""

    run_id: str
    names: tuple[str, ...] = ()
    """Of all results: checkpoint, score and protocol."""
    name: str = ""
    """Of the one that is drawn."""
    sets: tuple[str, ...] = ()
    """Its OOD test sets."""
    ood: str = ""
    """The set that is drawn; empty for all."""
    figure: Figure | None = None
    problem: str | None = None
    """Why there is nothing to draw."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What evaluation results have of each thing that a table can be narrowed to."""

    metrics: tuple[str, ...] = ()
    """By their names on the command line."""
    sets: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """The evaluation table, what it was made of, and what it could not cover."""

    look: TableLook
    """What was asked for."""
    table: Table | None = None
    """None where what was asked for doesn't fit the results."""
    measured: tuple[Measured, ...] = ()
    rows: tuple[Row, ...] = ()
    """Those over seeds."""
    expected: tuple[RunConfig, ...] = ()
    """The runs there should be."""
    missing: tuple[str, ...] = ()
    """Experiments without any result, one line each."""
    problems: tuple[str, ...] = ()
    there: Choices = Choices()
    difference: Against | None = None
    waiting: bool = False
    """Whether differences to the baseline are still being worked out."""

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Of the table."""
        return self.table.blocks if self.table else ()


class News(Message):
    """A reader has read something: one of the facts above."""

    def __init__(self, what: object) -> None:
        super().__init__()
        self.what = what
