"""What a run was computed with, as its files say it: `env.json` and the code it was queued with."""

from msgspec import Struct

from goe.core.code import CodeIdentity, Queued, change
from goe.core.errors import RunError
from goe.core.rundir import RunDir, read_json

PATCH_LIMIT = 2 * 2**20
"""Bytes of uncommitted changes that are kept with a run."""


class Environment(Struct, frozen=True, kw_only=True):
    """`env.json`."""

    goe: str
    commit: str | None
    """Git commit of goe's source; None for an installed package."""
    dirty: bool | None
    diff_sha256: str | None
    """Digest of the uncommitted changes, if there are any."""
    patch: str = ""
    """Where those are: `code.patch`, or why they were not kept; empty without any."""
    code: str = ""
    """Digest of the package's files, 12 hex digits."""
    python: str
    platform: str
    host: str
    command: tuple[str, ...]
    folder: str = ""
    """Where the command was given; relative paths in the configuration begin there."""
    data: str = ""
    """The folder with the data sets."""
    seed: int
    packages: dict[str, str]
    cuda: str | None
    gpus: tuple[str, ...]
    threads: int
    """Of each process."""
    processes: int = 1
    """That trained the run together; in the first attempt, as all of this."""
    precision: str = ""
    """Of training, as far as the chip had what the configuration asks for; empty in records of older versions."""


def read_environment(run: RunDir) -> Environment:
    """The run's `env.json`. Raises RunError if there is none yet, or it can't be read."""
    found = read_json(run.env_file, Environment)
    if found is None:
        raise RunError(f"{run.env_file}: missing: the run was not trained yet, or not by goe")
    return found


def code_warning(run: RunDir, now: CodeIdentity) -> str | None:
    """What to say if `now` is not the code that the run was queued with; nothing where nobody knows that."""
    try:
        queued = read_json(run.queued_file, Queued)
    except RunError as error:
        return str(error)
    return change(queued.code, now) if queued is not None else None
