"""What the system refuses is said with place, finding and remedy."""

import errno
import os
from pathlib import Path

import pytest

from goe.core.errors import RunError
from tui.faults import told

PLACE = Path("/runs/a")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EROFS, "/x/y: Read-only file system; have its disk mounted for writing, or use a folder on another"),
        (errno.ENOSPC, "/x/y: No space left on device; make room on its disk"),
        (errno.EIO, "/x/y: Input/output error; see whether its disk is well"),
    ],
)
def test_a_number_of_the_system_has_a_remedy(number: int, words: str) -> None:
    assert told(OSError(number, os.strerror(number), "/x/y"), PLACE) == words


def test_an_error_without_a_place_has_the_one_it_was_met_at() -> None:
    assert told(PermissionError(errno.EACCES, "Permission denied"), PLACE).startswith(
        "/runs/a: Permission denied; check"
    )
    assert told(TimeoutError(), PLACE) == "/runs/a: TimeoutError; see whether its disk is well"


def test_words_of_goe_stand_without_what_a_terminal_obeys() -> None:
    assert told(RunError("a\x1b[31m: gone; look\nthere"), PLACE) == "a: gone; look\nthere"
