"""A queue as a systemd user service: the unit's text, and the file it belongs into."""

import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

from goe.launch.detached import queue_command

PASSED_ON = ("PYTHONPATH", "GOE_DATA", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
"""Variables of the shell that a service would otherwise lack."""
FOR_SLURM = ("PATH", "SLURM_CONF")
"""Those that lead to Slurm's commands and its controller."""


def unit_name(runs: Path) -> str:
    """`goe-queue-<folder>-<4 hex>.service`: the same for the same folder of runs."""
    place = str(runs.absolute())
    label = re.sub(r"[^A-Za-z0-9_]+", "-", runs.absolute().parent.name).strip("-") or "root"
    return f"goe-queue-{label}-{zlib.crc32(place.encode()) & 0xFFFF:04x}.service"


def unit_text(runs: Path, queue: Path, options: Sequence[str], folder: Path, *, slurm: bool = False) -> str:
    """The unit of a queue that works in `folder`, on a cluster with `slurm`; all its paths are absolute.

    KillMode=process, or stopping the queue would end training. A restart is nobody's wish to try failed runs again,
    hence `--not-again`. Where another queue works it fails, and is tried again until that has ended.
    """
    command = queue_command(runs.absolute(), queue.absolute(), [*options, "--stay", "--not-again", "--alone"])
    passed = [key for key in (*PASSED_ON, *(FOR_SLURM if slurm else ())) if key in os.environ]
    environment = [f"Environment={_quote(f'{key}={os.environ[key]}')}" for key in passed]
    log = runs.absolute() / ".queue.log"
    lines = [
        "[Unit]",
        f"Description=goe queue of {_literal(str(runs.absolute()))}",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=exec",
        f"WorkingDirectory={_literal(str(folder.absolute()))}",
        *environment,
        f"ExecStart={' '.join(_quote(part, command=True) for part in command)}",
        f"StandardOutput=append:{_literal(str(log))}",
        f"StandardError=append:{_literal(str(log))}",
        "Restart=on-failure",
        "RestartSec=30",
        "KillMode=process",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    return "\n".join(lines) + "\n"


def unit_folder() -> Path:
    """Where systemd looks for a user's own units."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "systemd" / "user"


def how_to_enable(name: str) -> list[str]:
    """The commands that make an installed unit work, also after logout and reboot."""
    return [
        "systemctl --user daemon-reload",
        f"systemctl --user enable --now {name}",
        "loginctl enable-linger   # or it ends with your last session",
    ]


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def _quote(text: str, *, command: bool = False) -> str:
    """`text` as one word of a unit file; in a command `$` would begin a variable."""
    text = _literal(text).replace("\\", "\\\\").replace('"', '\\"')
    text = text.replace("$", "$$") if command else text
    return f'"{text}"' if re.search(r"[\s'\"\\;]", text) or not text else text
