"""Edits of one queue file by one user, of which the last can be taken back as long as nobody else saved the file."""

from pathlib import Path
from typing import TYPE_CHECKING

from goe.core.errors import ConfigError
from goe.core.queuetext import read_queue, write_queue

if TYPE_CHECKING:
    from goe.core.queueedit import Edit

_DEEP = 50


class History:
    """What was done to the file from here."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._done: list[tuple[str, str, str]] = []

    def text(self) -> str:
        """The file as it is; empty where there is none yet. Raises ConfigError if it can't be read."""
        return read_queue(self.path).text if self.path.exists() else ""

    def apply(self, edit: "Edit", what: str) -> bool:
        """Edit the file; whether anything changed. `what` names the edit for `undo`. Raises ConfigError."""
        from goe.core.queueedit import edit_queue  # tomlkit takes a tenth of the dashboard's start; most only look

        old, new = edit_queue(self.path, edit, may_create=True)
        if new == old.text:
            return False
        self._done = [*self._done[1 - _DEEP :], (old.text, new, what)]
        return True

    def undo(self) -> str:
        """Take the last edit back and name it. Raises ConfigError if there is none, or the file has changed since."""
        if not self._done:
            raise ConfigError([f"{self.path}: nothing was changed from here yet; nothing to undo"])
        before, after, what = self._done[-1]
        now = read_queue(self.path)
        if now.text != after:
            raise ConfigError([f"{self.path}: saved by somebody else since «{what}»; nothing undone; mend it by hand"])
        write_queue(now, before)
        self._done.pop()
        return what
