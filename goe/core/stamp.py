"""Whether a file or folder changed since it was looked at, without reading it."""

import os
from pathlib import Path
from typing import NamedTuple


class Stamp(NamedTuple):
    """What tells one state of a file from the next without reading it."""

    inode: int
    size: int
    changed: int


def stamp_of(path: Path | str) -> Stamp | None:
    """The file's stamp now; None where there is none to read."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - hundreds of them a second should cost nothing
    except OSError:
        return None
    return Stamp(stat.st_ino, stat.st_size, stat.st_mtime_ns)
