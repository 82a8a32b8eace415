"""Runs readers in a thread, each when it is due, and posts what they found; no screen opens files itself."""

import math
import threading
import time
from collections.abc import Callable

from tui.messages import News
from tui.reading.base import Reader, Unhurried

BEAT_S = 0.25
"""Readers that wait longer are due on a common beat: one waking, and one drawing, for what several of them found."""


class Poller:
    """Turns until stopped. `post` is called from the poller's thread."""

    def __init__(self, post: Callable[[News], object]) -> None:
        self._post = post
        self._readers: dict[str, Reader] = {}
        self._due: dict[str, float] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False

    def run(self) -> None:
        """Read what is due, sleep, repeat; for a thread of its own."""
        while True:
            self._wake.clear()
            if self._stopped:  # asked only now: a stop before would be cleared away, and then slept through
                return
            for name, reader in self._take_due():
                found = reader.read()
                if self._set_due(name, reader) and found is not None:
                    self._post(News(name, found))
            with self._lock:
                soonest = min(self._due.values(), default=math.inf)
            self._wake.wait(None if soonest == math.inf else max(0.0, soonest - time.monotonic()))

    def follow(self, name: str, reader: Reader | None) -> None:
        """Read this from now on, in place of what `name` stood for; None ends it."""
        with self._lock:
            self._due.pop(name, None)
            if reader is None:
                self._readers.pop(name, None)
            else:
                self._readers[name], self._due[name] = reader, 0.0
        self._wake.set()

    def refresh(self) -> None:
        """Read everything now."""
        with self._lock:
            self._due = dict.fromkeys(self._readers, 0.0)
            for reader in self._readers.values():
                if isinstance(reader, Unhurried):
                    reader.hurry()
        self._wake.set()

    def stop(self) -> None:
        """End the thread soon."""
        self._stopped = True
        self._wake.set()

    def _take_due(self) -> list[tuple[str, Reader]]:
        now = time.monotonic()
        with self._lock:
            found = [(name, reader) for name, reader in self._readers.items() if now >= self._due[name]]
            self._due |= {name: math.inf for name, _ in found}
        return found

    def _set_due(self, name: str, reader: Reader) -> bool:
        """When it is read next, unless `refresh` said now meanwhile; False if it was dropped while it read."""
        with self._lock:
            if self._readers.get(name) is not reader:
                return False
            if self._due[name] == math.inf:
                period = reader.period
                self._due[name] = on_beat(time.monotonic() + period, period)
            return True


def on_beat(due: float, period: float) -> float:
    """The last beat up to `due`; `due` itself for a reader that waits no longer than a beat."""
    return due // BEAT_S * BEAT_S if period > BEAT_S else due
