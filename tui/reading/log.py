"""The log of a run, of any size and growing: the part in view, its end first, and the search through all of it."""

import os
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tui.messages import LogLine, LogPage
from tui.reading.loglines import backwards, forwards, line_start
from tui.reading.logpattern import Pattern
from tui.reading.logsearch import LogSearch
from tui.reading.pace import QUICK_S, Pace

_RACE = 2**20
"""Bytes more than this since the last time, and a view of the end begins anew instead of reading what came between."""


class Look(NamedTuple):
    """Which part is wanted."""

    place: int | None = None
    """A byte of its middle line; None for the file's end, and it stays there."""
    before: int = 200
    """Lines."""
    after: int = 200


class LogReader:
    """Reads what the view asks for; `look`, `search` and `step` may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.period = QUICK_S
        self._pace = Pace()
        self._look = Look()
        self._looked: tuple[Look, Pattern | None] | None = None
        self._search: LogSearch | None = None
        self._begin = self._end = 0
        """The bytes of the lines held."""
        self._above: list[LogLine] = []
        self._below: list[LogLine] = []
        self._inode: int | None = None
        self._size = 0
        self._life = 0
        self._told: LogPage | None = None

    def look(self, look: Look) -> None:
        """Read this part from now on."""
        self._look = look

    def search(self, wanted: Pattern | None) -> None:
        """Look for this in the whole file; None ends that."""
        self._search = LogSearch(wanted) if wanted is not None else None

    def step(self, direction: int, place: int) -> None:
        """Find the next matching line after (1) or before (-1) the one at `place`."""
        if self._search is not None:
            self._search.step(direction, place)

    def read(self) -> LogPage | None:
        """The part asked for, or as much of it as a few milliseconds allow; None where nothing is new."""
        search, complete, problem = None, True, None
        try:
            with self.path.open("rb", buffering=0) as file:
                complete = self._fill(file)
                search = self._search
                if search is not None:
                    search.turn(file, self._size)
        except FileNotFoundError:
            pass  # none yet, or just replaced
        except OSError as error:
            problem = error.strerror
        self.period = self._pace.period if complete and (search is None or not search.busy) else 0.0
        page = LogPage((*self._above, *self._below), self._size, self._life, search.hits if search else None, problem)
        if page == self._told:
            return None
        self._told = page
        return page

    def _fill(self, file: BinaryIO) -> bool:
        """Read more of the part; whether that is all of it."""
        grown = self._measure(file)
        look, wanted = self._look, self._search.wanted if self._search else None
        if self._looked != (look, wanted) or (look.place is None and grown > _RACE):
            self._looked = look, wanted
            self._begin = self._end = (
                self._size if look.place is None else line_start(file, min(look.place, self._size))
            )
            self._above, self._below = [], []
        if grown:
            self._drop_unfinished()
        room = (look.after if look.place is not None else _RACE) - len(self._below)
        if room > 0 and self._end < self._size:
            self._below += forwards(file, self._end, self._size, room, wanted)
            self._end = self._below[-1].end if self._below else self._size
            self._forget(look)
        missing = look.before - len(self._above)
        if missing > 0 and self._begin > 0:
            self._above[:0] = backwards(file, self._begin, missing, wanted)
            self._begin = self._above[0].start if self._above else 0
        return self._complete(look)

    def _complete(self, look: Look) -> bool:
        above = len(self._above) >= look.before or self._begin == 0
        below = self._end >= self._size or (look.place is not None and len(self._below) >= look.after)
        return above and below

    def _measure(self, file: BinaryIO) -> int:
        """Bytes that were added."""
        stat = os.fstat(file.fileno())
        if self._inode is not None and (stat.st_size < self._size or stat.st_ino != self._inode):
            self._begin_anew()
        grown = stat.st_size - self._size
        if grown:
            self._pace.grew()
        self._inode, self._size = stat.st_ino, stat.st_size
        return grown

    def _begin_anew(self) -> None:
        """Another file has taken its place."""
        self._life += 1
        self._size = 0
        self._look, self._looked = Look(None, self._look.before + self._look.after, 0), None
        if self._search is not None:
            self._search = LogSearch(self._search.wanted)

    def _drop_unfinished(self) -> None:
        """The last line may have been going on."""
        part = self._below or self._above
        if part and self._end == part[-1].end and not part[-1].whole:
            self._end = part.pop().start
            self._begin = min(self._begin, self._end)

    def _forget(self, look: Look) -> None:
        """A view of the end keeps no more than it asked for."""
        if look.place is None:
            lines = (self._above + self._below)[-look.before :]
            self._above, self._below = lines, []
            self._begin = lines[0].start if lines else self._end
