"""Records turned into columns as they come in, and shown to others while more come.

Imports numpy (0.1 s): import it where the numbers are needed, not at the top of a module.
"""

from collections.abc import Iterable, Sequence
from math import inf, nan
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from goe.core.records import Metric
from tui.curves.columns import Columns

if TYPE_CHECKING:
    from tui.curves.columns import Column

MOST_METRICS = 1_000
"""Names beyond these are left out: no run has them, and each costs a whole column."""
_ROOM = 1_024
_LARGEST = 2**1000
"""What surely fits in a double."""


class GrowingColumns:
    """Records of one kind in columns with room to spare.

    A snapshot is a view of the rows so far. New rows go behind it, and where rows are taken back the columns are
    copied first, so no snapshot ever changes.
    """

    def __init__(self) -> None:
        self._count = 0
        self._room = _ROOM
        self._marks: dict[str, Column] = {name: np.empty(_ROOM) for name in ("step", "epoch", "time")}
        self._values: dict[str, Column] = {}

    def __len__(self) -> int:
        return self._count

    def append(self, records: Sequence[Metric]) -> None:
        """Add rows. Raises OverflowError, and adds none, where a number is too large for a column."""
        end = self._count + len(records)
        rows = slice(self._count, end)
        if end > self._room:
            self._replace(slice(self._count), max(end, 2 * self._room))
        for name in dict.fromkeys(name for record in records for name in record.values):
            if name not in self._values and len(self._values) < MOST_METRICS:
                self._values[name] = np.empty(self._room)
                self._values[name][: self._count] = np.nan
        for name, column in self._marks.items():
            column[rows] = [getattr(record, name) for record in records]
        for name, column in self._values.items():
            found = (record.values.get(name, nan) for record in records)
            column[rows] = np.array([inf if value is None else value for value in found], np.float64)
        self._count = end

    def rewind(self, step: int) -> None:
        """Take back the rows after `step`."""
        step = min(max(step, -_LARGEST), _LARGEST)  # one in the file may be too large for numpy
        kept = np.flatnonzero(self._marks["step"][: self._count] <= step)
        if len(kept) < self._count:
            self._replace(kept, self._room)

    def snapshot(self) -> Columns:
        """The rows so far."""
        step, epoch, time = (self._view(column) for column in self._marks.values())
        return Columns(step, epoch, time, {name: self._view(column) for name, column in self._values.items()})

    def thinned(self, most: int) -> "GrowingColumns":
        """About `most` of the rows, evenly spread, in columns of their own."""
        found = GrowingColumns()
        found._marks, found._values, found._count = dict(self._marks), dict(self._values), self._count
        found._replace(slice(0, self._count, max(1, self._count // most)), _ROOM)
        return found

    def _view(self, column: "Column") -> "Column":
        view = column[: self._count]
        view.flags.writeable = False
        return view

    def _replace(self, rows: slice | NDArray[np.intp], room: int) -> None:
        """Go on in new arrays that begin with `rows` of the present ones; one at a time, to need less at once."""
        count = len(self._marks["step"][: self._count][rows])
        self._room, before, self._count = max(room, count), self._count, count
        for columns in (self._marks, self._values):
            for name, column in columns.items():
                columns[name] = np.empty(self._room)
                columns[name][:count] = column[:before][rows]


class RecordTable:
    """All records of a run, as columns."""

    def __init__(self, train: GrowingColumns | None = None, epochs: GrowingColumns | None = None) -> None:
        self.train = train or GrowingColumns()
        self.epochs = epochs or GrowingColumns()
        self.bad = 0
        """Records that could not be read, or not be put in columns."""

    def add(self, records: Iterable[Metric | None]) -> None:
        """Add records in the order of the file; None is one that could not be read."""
        waiting: dict[Literal["train", "epoch"], list[Metric]] = {"train": [], "epoch": []}
        for record in records:
            if record is None:
                self.bad += 1
            elif record.kind == "resume":
                self._add(waiting)
                self.train.rewind(record.step)
                self.epochs.rewind(record.step)
            else:
                waiting[record.kind].append(record)
        self._add(waiting)

    def thinned(self, most: int) -> "RecordTable":
        """The same with about `most` rows of each kind, evenly spread."""
        return RecordTable(self.train.thinned(most), self.epochs.thinned(most))

    def _add(self, waiting: dict[Literal["train", "epoch"], list[Metric]]) -> None:
        for columns, records in ((self.train, waiting["train"]), (self.epochs, waiting["epoch"])):
            try:
                columns.append(records)
            except OverflowError:
                fitting = [record for record in records if max(abs(record.step), abs(record.epoch)) < _LARGEST]
                self.bad += len(records) - len(fitting)
                columns.append(fitting)
            records.clear()
