"""Paired differences to a baseline, worked out by `goe table` itself in a process of its own.

They need scipy, which takes a second to import and memory that the dashboard does without.
"""

import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from goe.core.results import Difference, Row
from tui.goecommand import GOE

_KEYS = ("experiment", "config", "id_dataset", "model", "score", "protocol", "checkpoint", "test_set", "metric")


@dataclass(frozen=True, slots=True)
class Found:
    """Differences by what tells rows apart."""

    by_row: Mapping[tuple[str, ...], Difference] = field(default_factory=dict)
    problem: str = ""

    def of(self, row: Row) -> Difference | None:
        """The row's, if it has one."""
        return self.by_row.get(tuple(getattr(row, key) for key in _KEYS))


class Differences:
    """Asks in a thread; the answer is picked up by `poll`."""

    def __init__(self) -> None:
        self.found = Found()
        self._wanted: object = None
        self._answer: tuple[object, Found] | None = None

    @property
    def pending(self) -> bool:
        """Whether an answer is awaited."""
        return self._wanted is not None

    def want(self, words: Sequence[str]) -> None:
        """Work out those of `goe table` with these words; what was asked before is forgotten."""
        wanted = self._wanted = object()
        self.found = Found()

        def ask() -> None:
            self._answer = (wanted, _ask(words))

        threading.Thread(target=ask, name="differences", daemon=True).start()

    def forget(self) -> None:
        """No differences are wanted."""
        self._wanted, self.found = None, Found()

    def poll(self) -> bool:
        """Whether an answer came."""
        if self._answer is None or self._wanted is None or self._answer[0] is not self._wanted:
            return False
        self.found = self._answer[1]
        self._wanted = None
        return True


def _ask(words: Sequence[str]) -> Found:
    done = subprocess.run(
        [*GOE, "table", *words, "--format", "json"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode:
        return Found(problem=done.stderr.decode(errors="replace").strip().removeprefix("error: "))
    return Found({_identity(one): _difference(one) for one in msgspec.json.decode(done.stdout) if _has(one)})


def _has(record: dict[str, Any]) -> bool:
    return record["difference"] is not None


def _identity(record: dict[str, Any]) -> tuple[str, ...]:
    return tuple(record[key] for key in _KEYS)


def _difference(record: dict[str, Any]) -> Difference:
    return Difference(
        record["difference"],
        record["difference_std"],
        record["low"],
        record["high"],
        record["p"],
        record["common_seeds"],
    )
