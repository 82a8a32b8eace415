"""The user's own editor on a file, for as long as it takes."""

import os
import shlex
import subprocess
from pathlib import Path

from textual.app import App, SuspendNotSupported

from goe.core.errors import UserError

_PLUS = {"vi", "vim", "nvim", "view", "nano", "pico", "emacs", "emacsclient", "micro", "kak", "joe", "jed", "ne", "mg"}
"""Editors that take `+LINE` before the file."""
_COLON = {"hx", "helix", "subl", "zed", "fresh"}
"""Those that take `FILE:LINE`."""
_GOTO = {"code", "codium", "code-insiders"}
"""Those that take `--goto FILE:LINE`."""


def editor_command(path: Path, line: int) -> list[str]:
    """$VISUAL, else $EDITOR, else vi, told to begin at the line where that is known how."""
    chosen = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi") or ["vi"]
    name = Path(chosen[0]).name
    if name in _PLUS:
        return [*chosen, f"+{line}", str(path)]
    if name in _COLON:
        return [*chosen, f"{path}:{line}"]
    if name in _GOTO:
        return [*chosen, "--goto", f"{path}:{line}"]
    return [*chosen, str(path)]


def edit_file(app: App[None], path: Path, line: int) -> None:
    """Give the terminal to the editor until it ends. Raises UserError if that can't be done."""
    command = editor_command(path, line)
    try:
        with app.suspend():
            done = subprocess.run(command, check=False)
    except SuspendNotSupported:
        raise UserError(
            f"{path}: an editor needs a terminal of its own, which there is none here; edit it elsewhere"
        ) from None
    except OSError as error:
        raise UserError(f"{command[0]}: can't be started: {error.strerror}; set $VISUAL or $EDITOR") from None
    if done.returncode:
        raise UserError(f"{command[0]}: it ended with exit code {done.returncode}; the file is as it left it")
