"""The end of a log that may be huge, still growing, or full of what was meant for a terminal."""

import os
import re
from pathlib import Path

from msgspec import Struct

MAX_LINE_LENGTH = 2_000  # one line of 100 MB in a log is what hangs toolong (its issue 55)
_BLOCK = 256 * 1024
_BUDGET = 64 * 2**20
"""Bytes read back from the end at most: a tenth of a second."""
_PART = 64 * 1024
"""Characters of a long line that are cleaned at once: a millisecond, in which no key is answered."""
_PENDING = 64 * 1024
"""Bytes kept of a line that is still being written."""

_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|\x1b[]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS and their like: titles, links, images
    r"|\x1b[ -/]*[0-~]"  # two-character escapes
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Lone surrogates (bytes that were no UTF-8) can't be written to a terminal; the others break or reorder lines.
_UNSAFE = re.compile(r"[\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def clean_line(line: str) -> str:
    """One log line as a terminal would leave it: the text after the last carriage return, without escapes.

    The length is capped first, so no expression below ever sees a long line; a cut line ends in "…".
    """
    line = line.rstrip("\r\n")
    start = line.rfind("\r") + 1  # a progress bar rewrites its line; only the last state counts
    cut = len(line) - start > MAX_LINE_LENGTH
    line = _clean(line[start : start + MAX_LINE_LENGTH])[:MAX_LINE_LENGTH]
    return line + "…" if cut else line


def _clean(text: str) -> str:
    return text if text.isprintable() else _UNSAFE.sub("�", _CONTROL.sub("", _ESCAPE.sub("", text).expandtabs()))


def whole(line: bytes) -> str:
    """All of a line as a terminal would leave it, however long: in parts, so that no expression sees a long one."""
    text = line.decode(errors="replace").rstrip("\r")
    start = text.rfind("\r") + 1
    return "".join(_clean(text[place : place + _PART]) for place in range(start, len(text), _PART))


def shown(line: bytes, lost: int = 0) -> str:
    """`clean_line` of bytes, with a note of what was cut; `lost` bytes at its end are not in `line` any more."""
    text = line.decode(errors="replace").rstrip("\r")
    left_out = len(text) - text.rfind("\r") - 1 - MAX_LINE_LENGTH
    cleaned = clean_line(text).removesuffix("…") if left_out > 0 else clean_line(text)
    left_out = max(0, left_out) + lost
    return f"{cleaned}… [{left_out:,} more characters]" if left_out else cleaned


class Tail(Struct, frozen=True):
    """The last lines of a file."""

    lines: tuple[str, ...]
    """Whole ones."""
    rest: str
    """What stands behind the last line break, usually nothing."""
    offset: int
    """Where `rest` begins: a Follower goes on there."""
    cut: bool
    """Whether there were too many bytes to find as many lines as were asked for."""


def tail(path: Path, count: int, *, start: int = 0, end: int | None = None) -> Tail:
    """The last `count` lines of the bytes from `start` to `end` of a file; at most 64 MiB are read, from the end.

    Raises OSError if the file can't be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        stop = size if end is None else min(end, size)
        place, breaks = stop, 0
        blocks: list[bytes] = []
        while place > start and breaks <= count and stop - place < _BUDGET:
            length = min(_BLOCK, place - start)
            place -= length
            file.seek(place)
            blocks.append(file.read(length))
            breaks += blocks[-1].count(b"\n")
    *whole, rest = b"".join(reversed(blocks)).split(b"\n")
    cut = place > start and breaks <= count
    lines = tuple(shown(line) for line in whole[max(0, len(whole) - count) :])
    return Tail(lines, shown(rest), stop - len(rest), cut)


class Follower:
    """Reads a growing file from `offset` on, whole lines at a time."""

    def __init__(self, path: Path, offset: int) -> None:
        self.path = path
        self.restarted = False
        """Whether the last `poll` found a shorter or another file and began it anew."""
        self._offset = offset
        self._inode: int | None = None
        self._pending = b""
        self._lost = 0

    def poll(self) -> list[str]:
        """The lines finished since the last time."""
        self.restarted = False
        try:
            with self.path.open("rb") as file:
                self._look(file.fileno())
                file.seek(self._offset)
                lines: list[str] = []
                while data := file.read(_BLOCK):
                    self._offset += len(data)
                    lines += self._take(data)
                return lines
        except FileNotFoundError:
            return []

    def rest(self) -> str:
        """The line still being written."""
        return shown(self._pending, self._lost)

    def _look(self, handle: int) -> None:
        stat = os.fstat(handle)
        if stat.st_size < self._offset or self._inode not in {None, stat.st_ino}:
            self.restarted, self._offset, self._pending, self._lost = True, 0, b"", 0
        self._inode = stat.st_ino

    def _take(self, data: bytes) -> list[str]:
        first, *others = data.split(b"\n")
        self._keep(first)
        if not others:
            return []
        *whole, last = others
        lines = [self.rest(), *(shown(line) for line in whole)]
        self._pending, self._lost = b"", 0
        self._keep(last)
        return lines

    def _keep(self, data: bytes) -> None:
        """Add to the unfinished line: only what follows its last carriage return, and of that only the beginning."""
        if not data.strip(b"\r"):  # perhaps the line's end
            self._pending += data[:1]
            return
        rewritten = data.rstrip(b"\r").rfind(b"\r")
        if rewritten >= 0 or self._pending.endswith(b"\r"):
            data, self._pending, self._lost = data[rewritten + 1 :], b"", 0
        room = max(0, _PENDING - len(self._pending))
        self._pending += data[:room]
        self._lost += len(data[room:])
