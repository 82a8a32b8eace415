"""The whole lines of a file that grows, each read once, in pieces as large as the reader likes."""

import os
from pathlib import Path
from typing import BinaryIO

from goe.core.stamp import Stamp, stamp_of


class LineTail:
    """Reads a file from where it stopped the last time; a line still being written waits for its end.

    A file that became shorter, or another one, is read from its start. What was read is not looked at again. While
    nothing changes, a look costs one `stat`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        """Bytes read so far, all of whole lines."""
        self.size = 0
        """Bytes of the file at the last look."""
        self.cut = False
        """Whether the file ends within a line: one being written, or cut when the writer was killed."""
        self.more = False
        """Whether the last `poll` stopped at its limit and the next one should follow at once."""
        self.restarted = False
        """Whether the last `poll` found that what had been read before is no longer the file's."""
        self.problem: str | None = None
        """Why the last `poll` could not read a file that is there."""
        self._inode = 0
        self._stamp: Stamp | None = None

    def poll(self, limit: int = -1) -> bytes:
        """The lines that are new, of about `limit` bytes and at least one line; all of them without a limit."""
        self.restarted, self.problem = False, None
        stamp = stamp_of(self.path)
        if stamp is None:
            self._forget()
        if stamp is None or (stamp == self._stamp and not self.more):
            return b""
        try:
            with self.path.open("rb") as file:
                self._look(os.fstat(file.fileno()))
                file.seek(self.offset)
                return self._take(file, limit)
        except FileNotFoundError:
            self._forget()
        except OSError as error:
            self._forget()
            self.problem = f"{self.path}: can't be read: {error.strerror}"
        return b""

    def _forget(self) -> None:
        """The file is gone: whatever comes in its place is another one, even if it is given the same inode."""
        self.more, self._stamp, self._inode = False, None, 0

    def _look(self, stat: os.stat_result) -> None:
        if stat.st_size < self.offset or stat.st_ino != self._inode:
            self.restarted = self.offset > 0
            self.offset = 0
        self._inode = stat.st_ino
        self.size = stat.st_size
        self._stamp = Stamp(stat.st_ino, stat.st_size, stat.st_mtime_ns)

    def _take(self, file: BinaryIO, limit: int) -> bytes:
        data = file.read(limit)
        while limit >= 0 and b"\n" not in data and file.tell() < self.size:
            data += file.read(max(limit, len(data)))  # doubles, so that a long line's length costs no square
        self.more = limit >= 0 and file.tell() < self.size
        lines = data[: data.rfind(b"\n") + 1]
        self.cut = not self.more and len(lines) < len(data)
        self.offset += len(lines)
        return lines
