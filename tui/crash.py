"""What is left behind when the dashboard itself fails: the traceback in a file, and one line that says where."""

import contextlib
import time
import traceback
from pathlib import Path

from goe.core.rundir import write_atomic


def crash_line(error: BaseException, file: Path | None) -> str:
    """Write the traceback to `file`, and say so in one line."""
    what = f"goe tui: ended by an error of its own ({type(error).__name__}); runs and queue go on."
    written = file is not None and _write(error, file)
    return f"{what} Traceback: {file}" if written else f"{what} Its traceback could not be written."


def _write(error: BaseException, file: Path) -> bool:
    text = "".join(traceback.format_exception(error))
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{text}".encode("utf-8", "replace"))
        return True
    return False
