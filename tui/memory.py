"""What the dashboard remembers of its looks between two visits: sort order, columns, zoom; never anything of a run.

One small file for each runs folder, under `$XDG_STATE_HOME/goe` (`~/.local/state/goe`). Losing it costs a few key
presses, so it is never waited for, and what can't be read or written is left out without a word.
"""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from goe.core.rundir import write_json

T = TypeVar("T", bound=msgspec.Struct)


class Memory:
    """The remembered looks, by screen. `path` None remembers nothing beyond this visit."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._kept: dict[str, object] = {}
        if path is not None:
            with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
                self._kept = msgspec.json.decode(path.read_bytes(), type=dict[str, object])

    def load(self, screen: str, kind: type[T]) -> T:
        """What the screen kept as `kind`; the defaults of `kind` where it kept nothing that can be understood."""
        try:
            return msgspec.convert(self._kept.get(screen, {}), kind)
        except msgspec.ValidationError:
            return kind()

    def store(self, screen: str, value: msgspec.Struct) -> None:
        """Keep this for the next visit."""
        found = msgspec.to_builtins(value)
        if self._kept.get(screen) == found:
            return
        self._kept[screen] = found
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                write_json(self._path, self._kept, durable=False)


def memory_file(runs: Path) -> Path:
    """Where the looks at this runs folder are kept."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    digest = hashlib.sha256(str(runs.absolute()).encode()).hexdigest()[:12]
    return Path(base) / "goe" / f"{runs.absolute().parent.name or 'root'}-{digest}.json"
