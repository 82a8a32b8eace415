"""The curves of one run while it grows: the whole of a long file at a glance, then every record of it."""

import time
from typing import TYPE_CHECKING

from goe.core.linetail import LineTail
from goe.core.overview import RunView
from goe.core.records import split_records
from goe.core.rundir import RunDir
from tui.curves.columns import RunCurves
from tui.reading.base import guarded
from tui.reading.glance import glance
from tui.reading.pace import Pace

if TYPE_CHECKING:
    from tui.curves.growing import RecordTable

SLICE = 256 * 1024
"""Bytes read at once: 2 to 4 ms, so that a pressed key never waits long for Python's lock."""
LONG = 2 * 2**20
"""Bytes that take a while: what is shown meanwhile is a glance at them."""
ROWS = 20_000
"""Of what was read already, shown until the rest is; a copy of all would double the memory."""


class CurveReader:
    """Follows `metrics.jsonl`. A file that changed nothing costs one `stat` and is no news."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._lines = LineTail(run.metrics_file)
        self._pace = Pace()
        self._table: RecordTable | None = None
        self._stale = True
        """Whether what was posted last lacks something."""
        self._cut = False
        self._problem: str | None = None
        self._next_glance = 0.0

    @property
    def period(self) -> float:
        """A pause for other threads while a file is read."""
        return 0.001 if self._lines.more else self._pace.period

    def read(self) -> RunCurves | None:
        """The curves if they changed; while much is still to be read, a coarse look four times a second."""
        return guarded(self.run, self._read, self._broken)

    def _read(self, run: RunDir) -> RunCurves | None:
        table = self._advance()
        if self._lines.more:
            return self._glance(run, table)
        lines = self._lines
        if not self._stale and (self._cut, self._problem) == (lines.cut, lines.problem):
            return None
        self._stale, self._cut, self._problem = False, lines.cut, lines.problem
        return self._curves(table)

    def _advance(self) -> "RecordTable":
        """One slice further."""
        from tui.curves.growing import RecordTable  # numpy: 0.1 s that the poller's thread can wait for

        data = self._lines.poll(SLICE)
        if self._lines.restarted or self._table is None:
            self._table, self._stale, self._next_glance = RecordTable(), True, 0.0
        if data:
            self._pace.grew()
            self._table.add(split_records(data))
            self._stale = True
        return self._table

    def _glance(self, run: RunDir, table: "RecordTable") -> RunCurves | None:
        start, size, now = self._lines.offset, self._lines.size, time.monotonic()
        if now < self._next_glance or size - start < LONG:
            return None
        found = table.thinned(ROWS)
        line_length = start // max(1, len(table.train) + len(table.epochs))
        try:
            found.add(glance(run.metrics_file, start, size, max(4096, 3 * line_length)))
        except OSError:  # gone since; the next slice will notice
            return None
        took = time.monotonic() - now
        self._next_glance = now + max(0.25, 10 * took)  # on a busy machine reading on comes first
        return self._curves(found, read=start / size)

    def _curves(self, table: "RecordTable", *, read: float = 1.0) -> RunCurves:
        train, epochs = table.train.snapshot(), table.epochs.snapshot()
        cut = read == 1.0 and self._lines.cut
        return RunCurves(self.run.run_id, train, epochs, table.bad, cut, read, self._lines.problem)

    def _broken(self, view: RunView) -> RunCurves:
        from tui.curves.growing import RecordTable

        none = RecordTable()
        return RunCurves(self.run.run_id, none.train.snapshot(), none.epochs.snapshot(), problem=view.problem)
