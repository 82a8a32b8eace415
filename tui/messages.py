"""What the poller tells the screens: plain immutable facts, each sent in one News."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.message import Message

from goe.core.overview import RunView
from goe.core.records import Values
from goe.core.table import Block
from tui.widgets.braille import Series
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
    unread: int = 0
    """Runs that were not read yet: the first read of a large folder takes a while."""


@dataclass(frozen=True, slots=True)
class Curves:
    """What the charts of one run show, over steps."""

    loss: tuple[Series, ...] = ()
    filtering: tuple[Series, ...] = ()
    accuracy: tuple[Series, ...] = ()


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
    curves: Curves = Curves()
    bad_records: int = 0
    log: tuple[str, ...] = ()
    log_cut: bool = False
    """Whether the log has more than the lines here."""
    checkpoints: tuple[Checkpoint, ...] = ()
    surface: Field | None = None
    """Confidence over the plane, of a spiral run after its evaluation."""
    surface_problem: str | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """The evaluation table, and what it could not cover."""

    blocks: tuple[Block, ...] = ()
    missing: tuple[str, ...] = ()
    """Experiments without any result, one line each."""
    problems: tuple[str, ...] = ()


class News(Message):
    """A reader has read something: one of the facts above."""

    def __init__(self, what: object) -> None:
        super().__init__()
        self.what = what


class Compare(Message):
    """The user wants the curves of these runs over each other."""

    def __init__(self, views: Sequence[RunView]) -> None:
        super().__init__()
        self.views = tuple(views)


class Diff(Message):
    """The user wants to see how two runs differ."""

    def __init__(self, a: RunView, b: RunView) -> None:
        super().__init__()
        self.a = a
        self.b = b
