"""What the poller tells the screens: plain immutable facts, each sent in one News."""

from dataclasses import dataclass

from textual.message import Message

from goe.core.chart import Figure
from goe.core.overview import RunView
from goe.core.records import Values
from goe.core.state import RunState
from goe.core.table import Block
from goe.launch.detached import QueueMark
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
class Results:
    """The evaluation table, and what it could not cover."""

    blocks: tuple[Block, ...] = ()
    missing: tuple[str, ...] = ()
    """Experiments without any result, one line each."""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Queued:
    """An `[[experiment]]` of the queue file, and how far its runs are."""

    name: str
    """Empty where it has none."""
    line: int
    sets: tuple[str, ...] = ()
    """`key = value` as written, but for what the other fields say."""
    seeds: tuple[int, ...] = ()
    states: tuple[tuple[RunState, int], ...] = ()
    """Its runs, counted."""
    priority: int = 0
    held: bool = False
    after: tuple[str, ...] = ()
    why: str = ""
    """What its next run waits for."""
    left_s: int | None = None
    """Seconds until its last run is done."""


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """The queue file, and the queue that works on the folder."""

    experiments: tuple[Queued, ...] = ()
    """In the file's order; those of its last good version while it has problems."""
    problems: tuple[str, ...] = ()
    mark: QueueMark | None = None
    slots: str = ""
    """How much at once, in words."""


@dataclass(frozen=True, slots=True)
class QueueLog:
    """The last lines that queues of the folder wrote."""

    lines: tuple[str, ...] = ()


class News(Message):
    """A reader has read something: one of the facts above."""

    def __init__(self, what: object) -> None:
        super().__init__()
        self.what = what
