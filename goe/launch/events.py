"""What a queue says of its work: events for whoever watches it."""

import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

from goe.core.overview import RunView
from goe.core.report import end_text

EventKind: TypeAlias = Literal["found", "submitted", "started", "ended", "retry", "error", "note"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something the queue did or saw."""

    kind: EventKind
    view: RunView | None
    """None for a `note`, which is on the queue itself."""
    text: str = ""


def log_event(event: Event) -> None:
    """An event as a line with date and time."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    who = () if event.view is None else (event.view.run_id, event.view.state)
    text = end_text(event.view) if event.kind == "ended" and event.view is not None else event.text
    print(stamp, event.kind, *who, *([text] if text else []), flush=True)  # noqa: T201
