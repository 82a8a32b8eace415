"""What the screens of one dashboard share."""

from dataclasses import dataclass, field
from pathlib import Path

from goe.core.queuehistory import History
from tui.memory import Memory
from tui.poller import Poller
from tui.reading.overview import Plan
from tui.reading.system import SystemSampler


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

    def allows(self, action: str) -> bool:
        """Whether an action of this name may be taken: a `change_…` not from a dashboard that only looks."""
        return not (self.readonly and action.startswith("change_"))
