"""Two runs side by side: what they were told, and what they were computed with."""

from typing import Any

import msgspec

from goe.core.difference import OWN
from goe.core.errors import RunError
from goe.core.report import flat
from goe.core.rundir import RunDir, read_json
from tui.faults import told
from tui.messages import Difference, DiffLine
from tui.reading.dossier import text_of


class DifferenceReader:
    """Every five seconds: only a run that begins changes anything here."""

    period = 5.0

    def __init__(self, a: RunDir, b: RunDir) -> None:
        self._runs = (a, b)
        self._told: Difference | None = None

    def read(self) -> Difference | None:
        """Both now; None where nothing is new."""
        found = read_difference(*self._runs)
        if found == self._told:
            return None
        self._told = found
        return found


def read_difference(a: RunDir, b: RunDir) -> Difference:
    """Every key of either, configuration first."""
    problems: list[str] = []
    ours, theirs = (_values(run, problems) for run in (a, b))
    lines = tuple(
        DiffLine(key, text_of(ours.get(key)), text_of(theirs.get(key)), same=ours.get(key) == theirs.get(key))
        for key in {**ours, **theirs}
    )
    return Difference(
        a.run_id, b.run_id, tuple(sorted(lines, key=lambda line: line.key.startswith("env."))), tuple(problems)
    )


def _values(run: RunDir, problems: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        found |= flat(msgspec.to_builtins(run.config()))
        environment = read_json(run.env_file, dict[str, Any]) or {}
        found |= {f"env.{key}": value for key, value in flat(environment) if key not in OWN}
    except (RunError, OSError) as error:
        problems.append(told(error, run.path))
    return found
