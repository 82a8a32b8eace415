"""Queues as processes: which one works on a folder of runs, starting one that outlives its caller, ending it."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from goe.core.errors import EXIT_USER, GoeError, UserError
from goe.core.process import ProcessId, is_alive, myself
from goe.core.queuefile import load_queue
from goe.core.rundir import read_json, write_json
from goe.launch.base import LaunchError
from goe.launch.local import children

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
LOCK_TIMEOUT_S = 1.0
_POLL_S = 0.02
_LOG_BYTES = 64 * 1024


class BusyError(UserError):
    """Another queue works on the folder."""


class QueueMark(ProcessId, frozen=True, kw_only=True):
    """`.queue.json`: the process of the queue that works on this folder, and what it works on."""

    queue: str = ""
    """The queue file, absolute."""
    since: float | None = None
    """Unix time."""
    slots: int | None = None
    """`--slots`; null where the file says."""
    gpus: tuple[str, ...] | None = None
    """`--gpus`; null where the file says."""
    asked: dict[str, int] = msgspec.field(default_factory=dict)
    """Runs that it starts once more whatever their failures, with the attempt they had had when it came to them."""
    refused: dict[str, str] = msgspec.field(default_factory=dict)
    """Runs that it could not start, and why."""

    @property
    def process(self) -> ProcessId:
        """The process alone, to be compared with others."""
        return ProcessId(pid=self.pid, start=self.start, boot=self.boot, host=self.host)


def queue_mark(runs: Path) -> QueueMark | None:
    """The live queue that works on `runs`, if there is one."""
    try:
        mark = read_json(_mark_file(runs), QueueMark)
    except GoeError:
        return None
    return mark if mark is not None and is_alive(mark.process) is not False else None


def queue_file(runs: Path, otherwise: Path) -> Path:
    """The file of the queue that works on `runs`; `otherwise` if none does."""
    mark = queue_mark(runs)
    return Path(mark.queue) if mark is not None and mark.queue else otherwise


def queue_process(runs: Path) -> ProcessId | None:
    """The process of the live queue that works on `runs`, if there is one."""
    mark = queue_mark(runs)
    return mark.process if mark is not None else None


def queue_log(runs: Path) -> Path:
    """Where a detached queue writes what it does."""
    return runs / ".queue.log"


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines of a text file, of at most its last 64 kB; none if it can't be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []


class Announcement:
    """Word left in a folder that a queue works there, by which others are ended, asked about and kept from starting.

    No run hangs on it: two queues on one folder do no harm. The word of one of them stands there; another live one
    leaves its own when that is gone.
    """

    def __init__(
        self, runs: Path, queue: Path, gpus: Sequence[int | str] | None = None, slots: int | None = None
    ) -> None:
        self.runs = runs
        me = myself()
        self._mark = QueueMark(
            pid=me.pid,
            start=me.start,
            boot=me.boot,
            host=me.host,
            queue=str(queue.absolute()),
            since=time.time(),
            slots=slots,
            gpus=None if gpus is None else tuple(map(str, gpus)),
        )

    def renew(self, asked: Mapping[str, int] | None = None, refused: Mapping[str, str] | None = None) -> None:
        """Leave word, also of what the queue plans, unless another live one has."""
        if asked is not None and refused is not None:
            self._mark = msgspec.structs.replace(self._mark, asked=dict(asked), refused=dict(refused))
        with contextlib.suppress(OSError):  # what is wrong with the folder is said of each run
            self.runs.mkdir(parents=True, exist_ok=True)
            with _alone(self.runs):  # of two that look in the same instant, one sees the other's word
                found = queue_mark(self.runs)
                if self._is_mine(found) and found != self._mark:
                    write_json(_mark_file(self.runs), self._mark, durable=False)

    def insist(self) -> None:
        """Raise BusyError if the word of another live queue stands there."""
        found = queue_mark(self.runs)
        if found is None or self._is_mine(found):
            return
        text = f"{self.runs}: a queue works here already: process {found.pid} on {found.host}"
        if is_alive(found.process) is None:
            raise BusyError(f"{text}; end it there, or remove {_mark_file(self.runs)} if it is gone")
        raise BusyError(f"{text}; `goe queue status` says what it does, `goe queue stop` ends it")

    def _is_mine(self, found: QueueMark | None) -> bool:
        mine = self._mark
        return found is None or (found.process, found.queue) == (mine.process, mine.queue)

    def withdraw(self) -> None:
        """Take it back."""
        with contextlib.suppress(GoeError, OSError):
            found = read_json(_mark_file(self.runs), QueueMark)
            if found is not None and self._is_mine(found):
                _mark_file(self.runs).unlink()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep others that ask for it out for a moment. Where the disk knows no locks, or one is stuck, nobody is kept."""
    place = os.open(folder, os.O_RDONLY)
    try:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    break
                time.sleep(_POLL_S)
            except OSError:
                break
        yield
    finally:
        os.close(place)


@contextlib.contextmanager
def announced(word: Announcement) -> Iterator[Announcement]:
    """Leave word that a queue works there, and take it back in the end."""
    word.renew()
    try:
        yield word
    finally:
        word.withdraw()


def gpu_options(gpus: Sequence[str] | None) -> list[str]:
    """`--gpus` for the command line of a detached queue, where it was given."""
    return [] if gpus is None else ["--gpus", ",".join(gpus)]


def queue_command(runs: Path, queue: Path, options: Sequence[str] = ()) -> list[str]:
    """The command line of a detached queue; `options` are those of `python -m goe.launch.runner`."""
    return [sys.executable, "-P", "-m", "goe.launch.runner", str(runs), str(queue), *options]


def start_detached(
    runs: Path, queue: Path, options: Sequence[str] = (), gpus: Sequence[str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start a queue that outlives the caller; it refuses to work where another does.

    Raises ConfigError if the file is wrong, or one of `gpus` (`--gpus`) or the file's is not there.
    """
    from goe.launch.launchers import places_for  # here, because the dashboard needs it only now

    places_for(load_queue(queue).options, gpus)
    runs.mkdir(parents=True, exist_ok=True)
    with queue_log(runs).open("ab") as log:
        child = subprocess.Popen(
            queue_command(runs, queue, [*options, *gpu_options(gpus), "--alone"]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    children.append(child)
    return child


def wait_until_at_work(runs: Path, child: "subprocess.Popen[bytes]") -> bool:
    """Wait until the queue `child` has announced itself; False if it has come to its end, or left it to another.

    Raises LaunchError with its last words if it died before that, or says nothing.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        ended = child.poll()
        mark = queue_mark(runs)
        if ended is None and mark is not None and mark.pid == child.pid:
            return True
        if ended in {0, 1} or (ended == EXIT_USER and mark is not None):  # 1: not every run is done
            return False
        if ended is not None:
            said = "\n".join(last_lines(queue_log(runs), 3))
            raise LaunchError(f"the queue died at once: {said or f'exit code {ended}'} (from {queue_log(runs)})")
        time.sleep(_POLL_S)
    raise LaunchError(f"the queue says nothing; look into {queue_log(runs)}")


def stop_queue(runs: Path) -> QueueMark | None:
    """End the queue that works on `runs`, without its runs, and wait for that; None if there is none.

    Raises LaunchError if it is another host's, or does not end.
    """
    mark = queue_mark(runs)
    if mark is None:
        return None
    if is_alive(mark.process) is None:
        raise LaunchError(f"the queue of {runs} works on {mark.host}; stop it there")
    deadline = time.monotonic() + STOP_TIMEOUT_S
    try:
        os.kill(mark.pid, signal.SIGTERM)
    except ProcessLookupError:
        return mark
    except PermissionError:
        raise LaunchError(f"the queue of {runs}, process {mark.pid}, is somebody else's; ask its owner") from None
    while is_alive(mark.process):
        if time.monotonic() > deadline:
            raise LaunchError(f"the queue of {runs}, process {mark.pid}, does not end; `kill -9 {mark.pid}` is safe")
        time.sleep(_POLL_S)
    return mark


def _mark_file(runs: Path) -> Path:
    return runs / ".queue.json"
