"""What a run was computed with, written once into `env.json`."""

import hashlib
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

import torch
from msgspec import Struct

from goe.core.rundir import RunDir, write_json


class Environment(Struct, frozen=True, kw_only=True):
    """`env.json`."""

    goe: str
    commit: str | None
    """Git commit of goe's source; None for an installed package."""
    dirty: bool | None
    diff_sha256: str | None
    """Digest of the uncommitted changes, if there are any."""
    python: str
    platform: str
    host: str
    command: tuple[str, ...]
    seed: int
    packages: dict[str, str]
    cuda: str | None
    gpus: tuple[str, ...]
    threads: int


def write_environment(run: RunDir) -> None:
    """Write `env.json` unless an earlier attempt did."""
    if run.env_file.exists():
        return
    commit = _git("rev-parse", "HEAD")
    diff = _git("diff", "HEAD") if commit else None
    gpus = tuple(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    environment = Environment(
        goe=importlib.metadata.version("goe"),
        commit=commit,
        dirty=bool(diff) if commit else None,
        diff_sha256=hashlib.sha256(diff.encode()).hexdigest() if diff else None,
        python=platform.python_version(),
        platform=platform.platform(),
        host=platform.node(),
        command=tuple(sys.orig_argv),
        seed=run.config().seed,
        packages={found.metadata["Name"]: found.version for found in importlib.metadata.distributions()},
        cuda=torch.version.cuda,
        gpus=gpus,
        threads=torch.get_num_threads(),
    )
    write_json(run.env_file, environment)


def _git(*arguments: str) -> str | None:
    """What git says of the folder goe runs from; None if that is no checkout of goe."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
