"""What can go wrong, as exceptions and exit codes.

GoeError
├── UserError            exit 2: the message alone is shown, no traceback
│   ├── ConfigError      a queue file or option; carries every problem found, not only the first
│   ├── DataError        a data set that is not what it should be
│   │   └── MissingError one that is not there
│   ├── CheckpointError  a checkpoint that is missing, cut or altered
│   ├── RunError         a run directory that does not exist or can't be read
│   └── ScoreError       a score that can't be computed for this network and data
├── NonFiniteLossError   exit 4: training diverged; the last good checkpoint stands
└── MemoryLackError      exit 6: a step doesn't fit into the device's memory; any other lack of memory ends so as well

A full disk has an exit code of its own and no class: a worker can tell of it by nothing else (exit 5).

Every message reads *where: what was found; what is accepted or what to do next*.
"""

import difflib
from collections.abc import Iterable, Sequence
from typing import ClassVar

EXIT_OK = 0
EXIT_BUG = 1
EXIT_USER = 2
EXIT_STOPPED = 3
EXIT_NON_FINITE = 4
EXIT_DISK_FULL = 5
EXIT_MEMORY = 6


class GoeError(Exception):
    """Base of every error this project raises on purpose."""

    exit_code: ClassVar[int] = EXIT_BUG


class UserError(GoeError):
    """Something the user can mend; shown without a traceback."""

    exit_code: ClassVar[int] = EXIT_USER


class ConfigError(UserError):
    """One or more problems in a queue file or on the command line, one line each."""

    def __init__(self, problems: Sequence[str], findings: Iterable[tuple[int, str]] = ()) -> None:
        """`findings`: of problems in a text, the line and the words of each, without the name of the file."""
        self.problems = tuple(problems)
        self.findings = tuple(findings)
        super().__init__("\n".join(self.problems))

    @property
    def line(self) -> int:
        """Of the first problem in its text; 1 where it is at none."""
        return self.findings[0][0] if self.findings else 1


class DataError(UserError):
    """A data set has the wrong form, or is missing."""


class MissingError(DataError):
    """A data set is not there."""


class CheckpointError(UserError):
    """A checkpoint is missing, cut or altered."""


class RunError(UserError):
    """A run directory is missing or unreadable."""


class ScoreError(UserError):
    """A score can't be computed: its detector can't be fitted, or gives NaN or infinite values."""


class NonFiniteLossError(GoeError):
    """The loss became NaN or infinite."""

    exit_code: ClassVar[int] = EXIT_NON_FINITE


class MemoryLackError(GoeError):
    """A training step needs more memory than the device has free."""

    exit_code: ClassVar[int] = EXIT_MEMORY


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """` (did you mean "x"?)` for the nearest of `choices`, or an empty string when none is near."""
    near = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return f' (did you mean "{near[0]}"?)' if near else ""
