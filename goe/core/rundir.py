"""The run directory: the whole protocol between the trainer, its supervisor and everybody who watches.

    config.json            written once; the frozen RunConfig
    queued.json            with it: when, and the code of that moment
    held                   anyone: no queue starts the run
    slurm.json             queue, replaced: the job submitted for it, and what Slurm says of it
    env.json               worker: versions, commit, host, command
    code.patch             worker: the code's uncommitted changes
    metrics.jsonl          worker, appended
    train.log              stdout and stderr of the worker
    checkpoints/           worker
    eval/                  evaluation
    attempts/<n>/          one folder per start, n = 1, 2, …; the newest counts
        launch.json        supervisor; made together with its folder, so the folder is the claim
        status.json        worker, replaced
        exit.json          supervisor, once; a queue in its stead where Slurm says that it is gone
        stop               anyone: a request to end
        notice             supervisor: when the node is to be left, so that the epoch is ended before or not begun
        paused             whoever halted the worker; gone when it goes on
        retry              anyone: attempts up to this one no longer count against the limits of automatic retries

Each file has one writer. Replaced files are written beside and renamed, so a reader never sees half of one.
"""

import contextlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from goe.core.code import CodeIdentity, Queued, identify_code
from goe.core.config import RunConfig
from goe.core.errors import RunError
from goe.core.records import Exit, Launch, Notice, Status
from goe.core.slurm import SlurmJob

T = TypeVar("T")

_NEWER = re.compile("contains unknown field|Invalid enum value|Invalid value '")
"""What msgspec says of whole JSON with members or choices that this version does not know."""
_RUN_ID = re.compile(r".+-s[0-9]+-[0-9a-f]{8}")


def write_atomic(path: Path, data: bytes, *, durable: bool = True, like: Path | None = None) -> None:
    """Replace `path` by `data`: after a crash, kill or full disk it holds the old content or the new, never a part.

    `durable` also waits for the disk, for what must outlive a power cut; a heartbeat need not. The new file has the
    permissions, and if possible the owner, of `like`.
    """
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if like is not None:
            found = like.stat()
            with contextlib.suppress(PermissionError):
                os.chown(beside, found.st_uid, found.st_gid)
        Path(beside).chmod(0o644 if like is None else stat.S_IMODE(found.st_mode))
        Path(beside).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(beside).unlink()
        raise


def write_json(path: Path, value: object, *, durable: bool = True) -> None:
    """`write_atomic` of `value` as indented JSON."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n", durable=durable)


def read_json(path: Path, kind: type[T]) -> T | None:
    """The record in `path`; None if there is no such file. Raises RunError if it can't be read as `kind`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RunError(f"{path}: can't be read: {error.strerror}; check its owner and permissions") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if _NEWER.search(str(error)):
            finding = f"{path}: written by a newer goe, or altered: {error}"
            raise RunError(f"{finding}; restore the file, update goe, or remove {path.parent}") from None
        raise RunError(f"{path}: cut or altered: {error}; restore the file, or remove {path.parent}") from None


class _Folder(Protocol):
    path: Path


def _inside(name: str) -> "cached_property[Path]":
    """A place in a folder, made when it is first asked for: of thousands of listed runs few are ever asked for all."""

    def place(folder: _Folder) -> Path:
        return folder.path / name

    return cached_property(place)


class Attempt:
    """One start of a run."""

    launch_file = _inside("launch.json")
    status_file = _inside("status.json")
    exit_file = _inside("exit.json")
    stop_file = _inside("stop")
    paused_file = _inside("paused")
    notice_file = _inside("notice")
    retry_file = _inside("retry")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = int(path.name)

    def launch(self) -> Launch:
        """Who runs it. Raises RunError when the file is missing or damaged: an attempt is born with it."""
        launch = read_json(self.launch_file, Launch)
        if launch is None:
            raise RunError(f"{self.launch_file}: missing; remove {self.path} if no process of this run is alive")
        return launch

    def status(self) -> Status | None:
        """The worker's last heartbeat."""
        return read_json(self.status_file, Status)

    def exit(self) -> Exit | None:
        """How it ended; None while it runs, and for ever if its supervisor was killed."""
        return read_json(self.exit_file, Exit)

    def notice(self) -> Notice | None:
        """When its node is to be left; None as long as nobody knows of an end."""
        return read_json(self.notice_file, Notice)

    def bury(self, ended: Exit) -> bool:
        """Leave `ended` in the supervisor's stead; False if there is an exit.json already, which then stands."""
        handle, beside = tempfile.mkstemp(dir=self.path, prefix=".exit.")
        os.close(handle)
        try:
            write_json(Path(beside), ended)
            os.link(beside, self.exit_file)  # unlike a rename it replaces nothing, on NFS too
        except FileExistsError:
            return False
        finally:
            Path(beside).unlink(missing_ok=True)
        return True

    def request_stop(self) -> None:
        """Ask the worker to end after its current step."""
        self.stop_file.touch()

    @property
    def stop_requested(self) -> bool:
        """Whether anyone asked for the end."""
        return self.stop_file.exists()

    @property
    def paused(self) -> bool:
        """Whether somebody halted the worker, or was about to; the kernel knows whether it is."""
        return self.paused_file.exists()


class RunDir:
    """Paths and plain reads of one run's directory."""

    config_file = _inside("config.json")
    queued_file = _inside("queued.json")
    held_file = _inside("held")
    slurm_file = _inside("slurm.json")
    env_file = _inside("env.json")
    patch_file = _inside("code.patch")
    metrics_file = _inside("metrics.jsonl")
    log_file = _inside("train.log")
    checkpoints = _inside("checkpoints")
    eval = _inside("eval")
    attempts_dir = _inside("attempts")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_id = path.name

    def surface_file(self, checkpoint: str) -> Path:
        """Confidence over the plane after evaluating this checkpoint; only runs on `spiral` have one."""
        return self.eval / f"{checkpoint}-surface.npz"

    @classmethod
    def create(cls, runs: Path, config: RunConfig, code: Callable[[], CodeIdentity] = identify_code) -> "RunDir":
        """The directory of `config` under `runs`, made if it is missing. Safe when two callers do it at once.

        `code` says which code it is queued with; whoever makes many looks at the package's files once for all.
        """
        run = cls(runs / config.run_id)
        run.path.mkdir(parents=True, exist_ok=True)
        if not run.config_file.exists():
            write_json(run.queued_file, Queued(queued=time.time(), code=code()), durable=False)
            write_json(run.config_file, config)
        for folder in (run.checkpoints, run.eval, run.attempts_dir):  # after the config: see find_runs
            folder.mkdir(exist_ok=True)
        return run

    def config(self) -> RunConfig:
        """The run's configuration. Raises RunError if it is missing, cut or altered."""
        config = read_json(self.config_file, RunConfig)
        if config is None:
            raise RunError(f"{self.path}: not a run: there is no config.json in it; `goe runs` lists the runs")
        if config.run_id != self.run_id:
            raise RunError(
                f"{self.config_file}: altered: it describes {config.run_id}; restore it, or remove {self.path}"
            )
        return config

    def attempt(self) -> Attempt | None:
        """The newest attempt, or None if the run was never started."""
        number = self.attempt_count()
        return self.numbered(number) if number else None

    def attempt_count(self) -> int:
        """How often the run was started."""
        try:
            names = os.listdir(self.attempts_dir)  # noqa: PTH208 - names alone, without a Path for each
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise RunError(f"{self.attempts_dir}: can't be read: {error.strerror}; restore the folder") from None
        return max((int(name) for name in names if name.isdecimal()), default=0)

    def job(self) -> SlurmJob | None:
        """The job last submitted for it; None if there never was one."""
        return read_json(self.slurm_file, SlurmJob)

    @property
    def held(self) -> bool:
        """Whether no queue may start it."""
        return self.held_file.exists()

    def retried(self) -> int:
        """The newest attempt after which somebody asked for another by hand; 0 without one.

        Automatic retries are counted from the attempt after it.
        """
        return next((n for n in range(self.attempt_count(), 0, -1) if self.numbered(n).retry_file.exists()), 0)

    def numbered(self, number: int) -> Attempt:
        """Attempt `number`, counted from 1; whether it is there is not looked at."""
        return Attempt(self.attempts_dir / str(number))

    def claim(self, launch: Launch, ended: Exit | None = None) -> Attempt | None:
        """Take attempt `launch.attempt` for the caller; None if somebody has it already.

        With `ended` it is over with that: an attempt that came to nothing, and that nobody can make any more.

        The folder is made elsewhere with `launch.json` in it and renamed into place. Renaming onto a folder that is
        not empty fails, so of any number of callers exactly one wins, and no reader ever sees a claim without a name.
        """
        self.attempts_dir.mkdir(parents=True, exist_ok=True)
        place = self.attempts_dir / str(launch.attempt)
        if place.exists():
            return None
        beside = Path(tempfile.mkdtemp(dir=self.attempts_dir, prefix=".claim-"))
        try:
            write_json(beside / "launch.json", launch)
            if ended is not None:
                write_json(beside / "exit.json", ended)
            beside.chmod(0o755)
            beside.rename(place)
        except OSError:
            shutil.rmtree(beside, ignore_errors=True)
            # A file server that answers too late is asked again, and then says no to what it has done already.
            if read_json(place / "launch.json", Launch) == launch:
                return Attempt(place)
            if place.exists():
                return None
            raise
        return Attempt(place)


def find_runs(runs: Path) -> list[RunDir]:
    """Every run directory under `runs`, by name; an empty list if there is no such folder.

    A folder with neither config nor attempts is somebody else's, or a run being made at this moment. One that may not
    be looked into is taken for what its name says.
    """
    try:
        with os.scandir(runs) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"{runs}: can't be read: {error.strerror}; pass --runs FOLDER") from None
    folder = str(runs)
    return [RunDir(runs / name) for name in sorted(names, key=_natural) if _is_run(f"{folder}/{name}", name)]


def is_run(run: RunDir) -> bool:
    """Whether it was made already; yes for a folder of a run's name that may not be looked into."""
    return _is_run(str(run.path), run.run_id)


def _is_run(path: str, name: str) -> bool:
    """By system calls alone: a folder may hold thousands, and a Path for each takes longer than to look."""
    try:
        return _exists(f"{path}/config.json") or stat.S_ISDIR(os.stat(f"{path}/attempts").st_mode)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return _RUN_ID.fullmatch(name) is not None


def _exists(path: str) -> bool:
    try:
        os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def resolve_run(runs: Path, name: str) -> RunDir:
    """The run called `name`: its id, a unique beginning of it, or its path. Raises RunError otherwise."""
    if (Path(name) / "config.json").exists():
        return RunDir(Path(name).resolve())
    found = find_runs(runs)
    exact = [run for run in found if run.run_id == name]
    near = exact or [run for run in found if run.run_id.startswith(name)]
    if len(near) == 1:
        return near[0]
    if near:
        raise RunError(
            f"{name}: begins {len(near)} run ids: {', '.join(run.run_id for run in near[:6])}; write more of it"
        )
    raise RunError(f"{name}: no such run in {runs}; `goe runs --runs {runs}` lists them")


def _natural(name: str) -> tuple[str | int, ...]:
    """Sort key by which seed 2 comes before seed 10."""
    head, separator, tail = name.rpartition("-s")
    number, _, rest = tail.partition("-")
    if separator and number.isdecimal():
        return head, int(number), rest
    return name, -1, ""
