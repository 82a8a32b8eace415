"""A search through a log of any size, a slice at a time: what it remembers is a number for each block of the file."""

import time
from typing import BinaryIO

from goe.core.logfile import MAX_LINE_LENGTH, shown, whole
from tui.messages import Hits
from tui.reading.loglines import LONGEST
from tui.reading.logpattern import Pattern

BLOCK = 2**20
SLICE_S = 0.03
"""Time of one turn: the thread has other things to read, and the screen its keys to answer."""


class LogSearch:
    """Counts the matching lines, the file's end first, and looks for the next one when asked to."""

    def __init__(self, wanted: Pattern) -> None:
        self.wanted = wanted
        self._size = 0
        self._found: dict[int, int] = {}
        """Matching lines that begin in each block."""
        self._left: list[int] = []
        """Blocks to be looked through, the last one first."""
        self._open: int | None = None
        """Where the file's last, unfinished line begins."""
        self._asked: tuple[int, int] | None = None
        """Direction and place of the next match that is wanted; set from other threads."""
        self._step: tuple[int, int, int] | None = None
        """The same, and the block that is to be looked through."""
        self._steps = 0
        self._place: int | None = None

    @property
    def busy(self) -> bool:
        """Whether there is something left to look through."""
        return bool(self._left) or self._step is not None or self._asked is not None

    @property
    def hits(self) -> Hits:
        """How far it is."""
        blocks = len(self._found) + len(self._left)
        share = len(self._found) / blocks if blocks else 1.0
        return Hits(self.wanted, sum(self._found.values()), share, self._steps, self._place)

    def step(self, direction: int, place: int) -> None:
        """Look for the line that matches next after `place` (1) or before it (-1)."""
        self._asked = direction, place

    def turn(self, file: BinaryIO, size: int) -> None:
        """Go on for a slice of time."""
        self._grow(size)
        until = time.monotonic() + SLICE_S
        while self.busy and time.monotonic() < until:
            if self._asked is not None:
                (direction, place), self._asked = self._asked, None
                self._step = direction, place, min(max(0, place), max(0, size - 1)) // BLOCK
            if self._step is not None:
                self._look(file, *self._step)
            else:
                self._count(file, self._left[-1])

    def _grow(self, size: int) -> None:
        if size == self._size:
            return
        again = {self._size // BLOCK} | ({self._open} if self._open is not None else set())
        new = set(range(self._size // BLOCK, (size - 1) // BLOCK + 1))
        for block in again:
            self._found.pop(block, None)
        self._left = sorted(set(self._left) | {block for block in again | new if block * BLOCK < size})
        self._size, self._open = size, None

    def _count(self, file: BinaryIO, block: int) -> list[int]:
        found = self._matches(file, block)
        self._found[block] = len(found)
        if block in self._left[-1:]:
            self._left.pop()
        elif block in self._left:
            self._left.remove(block)
        return found

    def _look(self, file: BinaryIO, direction: int, place: int, block: int) -> None:
        if not 0 <= block * BLOCK < max(1, self._size):
            self._end_step(None)
            return
        if self._found.get(block) != 0:
            found = [start for start in self._count(file, block) if (start - place) * direction > 0]
            if found:
                self._end_step(found[0] if direction > 0 else found[-1])
                return
        self._step = direction, place, block + direction

    def _end_step(self, place: int | None) -> None:
        self._step, self._place, self._steps = None, place, self._steps + 1

    def _matches(self, file: BinaryIO, block: int) -> list[int]:
        """Where the matching lines begin that begin in this block."""
        begin = block * BLOCK
        file.seek(max(0, begin - 1))
        data = file.read(min(BLOCK, self._size - begin) + (begin > 0))
        if begin > 0:  # the line that began before belongs to another block
            first = data.find(b"\n") + 1
            if not first:
                return []
            begin, data = begin - 1 + first, data[first:]
        if data and not data.endswith(b"\n"):
            data += self._rest_of_line(file)
            self._open = block if not data.endswith(b"\n") else self._open
        return [] if self.wanted.surely_absent(data) else _matching(self.wanted, data, begin)

    def _rest_of_line(self, file: BinaryIO) -> bytes:
        """In blocks: the file is not buffered, and `readline` would ask the kernel for each byte."""
        parts: list[bytes] = []
        taken = 0
        while taken < LONGEST and (part := file.read(min(BLOCK, self._size - file.tell()))):
            end = part.find(b"\n") + 1
            parts.append(part[:end] if end else part)
            if end:
                break
            taken += len(part)
        return b"".join(parts)


def _matching(wanted: Pattern, data: bytes, start: int) -> list[int]:
    found = []
    search = wanted.compiled.search
    for raw in data.removesuffix(b"\n").split(b"\n") if data else ():
        if search(shown(raw)) if len(raw) <= MAX_LINE_LENGTH else wanted.first(whole(raw)):
            found.append(start)
        start += len(raw) + 1
    return found
