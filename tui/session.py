"""What the screens of one dashboard share."""

from dataclasses import dataclass, field
from pathlib import Path

from goe.core.queuehistory import History
from tui.memory import Memory
from tui.poller import Poller
from tui.reading.overview import Plan
from tui.reading.system import SystemSampler


@dataclass(slots=True)
class Place:
    """Where somebody was on a run's page."""

    pane: str = ""
    """The one that was shown alone; empty for all, or the first where they don't fit."""
    focus: str = ""
    """The id of what took the keys."""
    rows: dict[str, str] = field(default_factory=dict)
    """Of each table by its id, the key of the row under the cursor."""


@dataclass(frozen=True, slots=True)
class Session:
    """One runs folder and one queue file, and who reads them."""

    runs: Path
    queue: Path
    poller: Poller
    plan: Plan
    """The queue file, for readers."""
    memory: Memory
    readonly: bool = False
    """Whether nothing may be changed from here: no run, no queue, no file, not even a new one such as an export."""
    system: SystemSampler = field(default_factory=SystemSampler)
    """The one that looks at the machine."""
    history: History = field(kw_only=True)
    """What was done to the queue file from here."""
    places: dict[str, Place] = field(default_factory=dict, kw_only=True)
    """By run id; of this sitting alone."""

    def allows(self, action: str) -> bool:
        """Whether an action of this name may be taken: a `change_…` not from a dashboard that only looks."""
        return not (self.readonly and action.startswith("change_"))
