"""Whether a file or folder changed since it was looked at, without reading it."""

import os
import time
from pathlib import Path
from typing import NamedTuple

FRESH_NS = 2_000_000_000
"""What changed so shortly before it was looked at may have changed again within its clock's resolution."""


class Stamp(NamedTuple):
    """What tells one state of a file from the next without reading it."""

    inode: int
    size: int
    changed: int


def stamp_of(path: Path | str) -> Stamp | None:
    """The file's stamp now; None where there is none to read."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - hundreds of them a second should cost nothing
    except OSError:
        return None
    return Stamp(stat.st_ino, stat.st_size, stat.st_mtime_ns)


def is_settled(*stamps: Stamp | None) -> bool:
    """Whether the next change of any of these will show in its stamp."""
    newest = max((stamp.changed for stamp in stamps if stamp is not None), default=0)
    return abs(time.time_ns() - newest) > FRESH_NS


class Watch:
    """Tells when a file or folder has to be read again: it changed, or may have, or was trusted for long enough."""

    def __init__(self, path: Path, trust_s: float) -> None:
        self.path = path
        self.stamp: Stamp | None = None
        """At the last look."""
        self._trust_s = trust_s
        self._read: Stamp | None = None
        self._until = 0.0

    def is_news(self) -> bool:
        """Whether to read it now."""
        self.stamp = stamp_of(self.path)
        return self.stamp is None or self.stamp != self._read or time.monotonic() > self._until

    def was_read(self) -> None:
        """It was, after `is_news`; a change in between has another stamp."""
        self._read = self.stamp if is_settled(self.stamp) else None
        self._until = time.monotonic() + self._trust_s
