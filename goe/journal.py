"""What a worker tells the world while it trains: `metrics.jsonl` and the heartbeat `status.json`."""

import math
import os
import time
from types import TracebackType
from typing import Literal, Self

import msgspec

from goe.core.records import Metric, Phase, Status, Values, metric_line
from goe.core.rundir import Attempt, RunDir, write_json

HEARTBEAT_S = 1.0


class Journal:
    """Writes a run's metrics and status. Every record is flushed when written, so readers are never behind."""

    def __init__(self, run: RunDir, attempt: Attempt, *, epochs: int) -> None:
        self.attempt = attempt
        self.status = Status(phase="starting", epochs=epochs, updated=time.time())
        self._beat = 0.0
        self._file = run.metrics_file.open("ab")
        self.continued = self._file.tell() > 0
        """Whether an earlier attempt left records."""
        if self.continued and not _ends_with_newline(run):
            self._file.write(b"\n")  # a record cut by a crash must not swallow the next one

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def record(self, kind: Literal["train", "epoch", "resume"], *, epoch: int, step: int, values: Values) -> None:
        """Append one record; a value that is not finite is written as null."""
        finite = {name: value if value is not None and math.isfinite(value) else None for name, value in values.items()}
        metric = Metric(kind=kind, epoch=epoch, step=step, time=time.time(), values=finite)
        self._file.write(metric_line(metric))
        self._file.flush()
        self.update(epoch=epoch, step=step, values={**self.status.values, **finite})

    def phase(self, phase: Phase, error: str | None = None) -> None:
        """Enter a phase; written at once."""
        self.status = msgspec.structs.replace(self.status, phase=phase, error=error)
        self._write()

    def update(self, **changes: object) -> None:
        """Change fields of the status; written at most once in HEARTBEAT_S."""
        self.status = msgspec.structs.replace(self.status, **changes)
        if time.monotonic() - self._beat >= HEARTBEAT_S:
            self._write()

    def _write(self) -> None:
        self._beat = time.monotonic()
        self.status = msgspec.structs.replace(self.status, updated=time.time())
        write_json(self.attempt.status_file, self.status, durable=False)


class Silence:
    """The journal of a rank beside the first: nobody hears it, but its last word is kept."""

    continued = False

    def __init__(self) -> None:
        self.error: str | None = None

    def record(self, kind: Literal["train", "epoch", "resume"], *, epoch: int, step: int, values: Values) -> None:
        """Write nothing."""

    def phase(self, phase: Phase, error: str | None = None) -> None:  # noqa: ARG002
        """Keep the error."""
        self.error = error

    def update(self, **changes: object) -> None:
        """Write nothing."""


def _ends_with_newline(run: RunDir) -> bool:
    with run.metrics_file.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
