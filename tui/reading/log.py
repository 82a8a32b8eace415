"""The log of a run that grows while it is read."""

from pathlib import Path

from goe.core.stamp import Stamp, stamp_of

LOG_BYTES = 256 * 1024


class LogTail:
    """The last lines of a growing text file: never more than its last 256 kB are read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: tuple[str, ...] = ()
        self.cut = False
        self._stamp: Stamp | None = None

    def poll(self) -> None:
        """Read the end again if the file changed."""
        stamp = stamp_of(self.path)
        if stamp is None or stamp == self._stamp:
            return
        try:
            with self.path.open("rb") as file:
                start = max(0, stamp.size - LOG_BYTES)
                file.seek(start)
                data = file.read(LOG_BYTES)
        except OSError:
            return
        self._stamp, self.cut = stamp, start > 0
        text = data.decode(errors="replace")
        if self.cut and "\n" in text:
            text = text.partition("\n")[2]  # its first line began before the part that was read
        self.lines = tuple(text.removesuffix("\n").split("\n")) if text else ()
