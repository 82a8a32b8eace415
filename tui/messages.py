"""What the poller tells the screens: plain immutable facts, each sent in one News."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from textual.message import Message

from goe.core.config import RunConfig
from goe.core.overview import RunView
from goe.core.records import Exit, Launch, Values
from goe.core.state import RunState
from goe.launch.detached import QueueMark
from goe.launch.gpu import Gpu
from goe.launch.machine import Machine, Room
from goe.launch.processes import Process

if TYPE_CHECKING:  # what the pages behind the list show; the list is there before they are loaded
    from goe.core.chart import Figure
    from goe.core.results import Measured, Row
    from goe.core.table import Block, Table
    from goe.core.tabulation import Against
    from tui.reading.logpattern import Pattern
    from tui.reading.tablelook import TableLook
    from tui.widgets.heatmap import Field


@dataclass(frozen=True, slots=True)
class Overview:
    """Every run of the folder at one moment."""

    views: tuple[RunView, ...] = ()
    """In the queue file's order, then by name."""
    read_at: float = field(default=0.0, compare=False)
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


class Checkpoint(Struct, frozen=True):
    """One entry of a run's `checkpoints/`."""

    name: str
    epoch: int | None = None
    values: Values | None = None
    saved: float = 0.0
    size: int | None = None
    """Bytes of the weights."""
    problem: str | None = None
    files: tuple[str, ...] = ()
    """Its own and those it names."""

    @property
    def content(self) -> tuple[object, ...]:
        """What tells it from one of the same name before."""
        return self.name, self.epoch, self.saved, self.files


class RunDetail(Struct, frozen=True):
    """Everything the page of one run shows."""

    view: RunView
    read_at: float
    checkpoints: tuple[Checkpoint, ...] = ()
    surface: "Field | None" = None
    """Confidence over the plane, of a spiral run after its evaluation."""
    surface_problem: str | None = None
    checkpoints_problem: str | None = None
    """Why the folder of the checkpoints can't be read."""


Fields = tuple[tuple[str, str], ...]
"""Names and what is said of them, in order."""


class AttemptFact(Struct, frozen=True):
    """One start of a run."""

    number: int
    launch: Launch | None = None
    exit: Exit | None = None
    problem: str | None = None
    """Why its files can't be read."""
    word: str | None = None
    """The worker's own, when it failed."""
    by_hand: bool = False
    """Whether somebody asked for it, by a retry after the one before."""


class Dossier(Struct, frozen=True):
    """What a run was told and computed with, and how often it was started."""

    run_id: str
    config: Fields = ()
    environment: Fields = ()
    attempts: tuple[AttemptFact, ...] = ()
    reproduce: str = ""
    """The command that computes it again."""


class DiffLine(Struct, frozen=True):
    """A key of two runs."""

    key: str
    a: str
    b: str
    same: bool


class Difference(Struct, frozen=True):
    """Two runs side by side."""

    a: str
    b: str
    lines: tuple[DiffLine, ...] = ()
    problems: tuple[str, ...] = ()


class LogLine(Struct, frozen=True):
    """One line of a log."""

    start: int
    """Byte where it begins."""
    end: int
    """Where the next one does."""
    text: str
    """As a terminal would leave it."""
    whole: bool = True
    """Whether it has its line break."""


class Hits(Struct, frozen=True):
    """How far a search of the log is."""

    wanted: "Pattern"
    lines: int = 0
    """Matching ones found so far."""
    share: float = 0.0
    """Of the file looked through, in [0, 1]."""
    steps: int = 0
    """Searches for the next match that have come to an end."""
    place: int | None = None
    """Where the last of them found its line; None if there is none that way."""


class LogPage(Struct, frozen=True):
    """A part of a log that follows on itself, and what was searched for."""

    lines: tuple[LogLine, ...] = ()
    size: int = 0
    """Bytes of the whole file."""
    life: int = 0
    """Goes up when the file is replaced or shrinks, and places in it mean nothing any more."""
    hits: Hits | None = None
    problem: str | None = None
    """Why the file can't be read, in the system's words."""


class Histogram(Struct, frozen=True):
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
    figure: "Figure | None" = None
    problem: str | None = None
    """Why there is nothing to draw."""


class Choices(Struct, frozen=True):
    """What evaluation results have of each thing that a table can be narrowed to."""

    metrics: tuple[str, ...] = ()
    """By their names on the command line."""
    sets: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()


class Results(Struct, frozen=True, eq=False):
    """The evaluation table, what it was made of, and what it could not cover."""

    look: "TableLook"
    """What was asked for."""
    table: "Table | None" = None
    """None where what was asked for doesn't fit the results."""
    measured: "tuple[Measured, ...]" = ()
    rows: "tuple[Row, ...]" = ()
    """Those over seeds."""
    expected: tuple[RunConfig, ...] = ()
    """The runs there should be."""
    missing: tuple[str, ...] = ()
    """Experiments without any result, one line each."""
    problems: tuple[str, ...] = ()
    there: Choices = Choices()
    difference: "Against | None" = None
    waiting: bool = False
    """Whether differences to the baseline are still being worked out."""

    @property
    def blocks(self) -> "tuple[Block, ...]":
        """Of the table."""
        return self.table.blocks if self.table else ()


class Queued(Struct, frozen=True):
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


class QueueFacts(Struct, frozen=True):
    """The queue file, and the queue that works on the folder."""

    experiments: tuple[Queued, ...] = ()
    """In the file's order; those of its last good version while it has problems."""
    problems: tuple[str, ...] = ()
    mark: QueueMark | None = None
    slots: str = ""
    """How much at once, in words."""
    faults: tuple[tuple[str, int], ...] = ()
    """Experiments with a problem in what is saved now, and the line of its first."""
    missing: bool = False
    """Whether there is no such file."""
    line: int = 1
    """Of the file, the one of the first problem."""


class QueueLog(Struct, frozen=True):
    """The last lines that queues of the folder wrote."""

    lines: tuple[str, ...] = ()


Trace = tuple[float | None, ...]
"""A share over the last minutes, oldest first; None where nobody looked."""
GpuShares = tuple[tuple[int, int | None], ...]
"""GPUs by index, and the bytes taken of each; None where the driver doesn't tell."""


class Pulse(Struct, frozen=True):
    """One look at the machine."""

    read_at: float
    """On the monotonic clock."""
    machine: Machine
    gpus: tuple[Gpu, ...] = ()
    problem: str = ""
    """What is wrong with the GPUs' driver."""


class Glimpse(Struct, frozen=True):
    """The machine for one line of another screen."""

    pulse: Pulse
    room: Room | None
    """Of the disk of the runs."""


class Disk(Struct, frozen=True):
    """A folder, and what its disk has left; None where that can't be told."""

    path: Path
    room: Room | None


class GpuFact(Struct, frozen=True):
    """A GPU now, and the last minutes."""

    gpu: Gpu
    busy: Trace
    memory: Trace


class Holder(Struct, frozen=True):
    """A process that takes of the machine; without one, what holds memory of a GPU and can't be seen from here."""

    process: Process | None
    run_id: str = ""
    """The run it belongs to: a path, where that is in another folder; empty for other people's."""
    gpus: GpuShares = ()


class SystemFacts(Struct, frozen=True):
    """The machine, and who is on it."""

    host: str
    pulse: Pulse
    gpus: tuple[GpuFact, ...]
    no_gpu: str
    """Why there are none."""
    cpu: Trace
    memory: Trace
    disks: tuple[Disk, ...]
    min_free: float | None
    """GiB on the first disk below which the queue starts nothing."""
    holders: tuple[Holder, ...]


class Diff(Message):
    """The user wants these two runs side by side."""

    def __init__(self, a: RunView, b: RunView) -> None:
        super().__init__()
        self.a = a
        self.b = b


class News(Message):
    """A reader has read something: one of the facts above."""

    def __init__(self, reader: str, what: object) -> None:
        super().__init__()
        self.reader = reader
        self.what = what


class Compare(Message):
    """The user wants the curves of these runs over each other."""

    def __init__(self, views: Sequence[RunView]) -> None:
        super().__init__()
        self.views = tuple(views)
