"""Who uses a GPU: live runs of ours, other people's programs, and what stays hidden.

A process is ours if it descends from a live run's supervisor or shares its worker's session. What a container hides
from NVML shows only as memory that nobody visible accounts for: on a GPU with a live run of ours it is taken for that
run's, on any other for other people's.
"""

import contextlib
import os
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from goe.core.records import Launch
from goe.launch.gpu import Gpu, GpuProcess

GIB = 2**30
SMALL = GIB // 4
"""Bytes below which a program doesn't count: monitors and MPS servers take a few MiB, a CUDA context 300 and more."""


class Occupancy(Struct, frozen=True):
    """What keeps one GPU busy."""

    others: tuple[GpuProcess, ...]
    """Programs that compute and are none of ours."""
    hidden: int
    """Bytes in use that neither a visible process nor a run of ours accounts for."""
    free: int | None
    """Bytes for a new run: NVML's, less what live runs are expected to fill and have not yet. None if not told."""
    told: bool
    """Whether NVML says anything of who is there: processes or memory."""

    def by_others(self) -> str:
        """How other people use it, in words; empty if they don't."""
        if self.others:
            return ", ".join(f"{_gib(process.memory)} used by {_who(process.pid)}" for process in self.others)
        return f"{_gib(self.hidden)} used by programs that can't be seen from here" if self.hidden >= SMALL else ""


def holds(launch: Launch, gpu: Gpu) -> bool:
    """Whether a live run was given (part of) this GPU."""
    return gpu.uuid in launch.gpu_uuids if launch.gpu_uuids and gpu.uuid else gpu.index in launch.gpus


def occupancy(gpu: Gpu, live: Sequence[Launch]) -> Occupancy:
    """Sort what NVML shows of one GPU by owner. `live` are the live runs of this machine, on whichever GPUs."""
    roots = {who.pid: number for number, run in enumerate(live) for who in (run.supervisor, run.worker) if who}
    owned = [(process, _owner(process.pid, roots)) for process in gpu.processes or ()]
    seen = [(process, owner) for process, owner in owned if owner is not None]
    ours = {number: 0 for _, number in seen if number != _NOT_OURS}
    for process, number in seen:
        if number in ours:
            ours[number] += process.memory or 0
    untold = {number for process, number in seen if process.memory is None}
    here = {number for number, run in enumerate(live) if holds(run, gpu)}
    unseen = (here - ours.keys()) | (here & untold)
    used = gpu.memory_used or 0
    loose = max(0, used - sum(process.memory or 0 for process, _ in seen))
    others = tuple(process for process, number in seen if number == _NOT_OURS and _counts(process))
    return Occupancy(
        others=others,
        hidden=0 if unseen or untold else loose,
        free=None if gpu.memory_free is None else gpu.memory_free - _owed(live, here, ours, unseen, loose),
        told=gpu.processes is not None or gpu.memory_used is not None,
    )


_NOT_OURS = -1


def _counts(process: GpuProcess) -> bool:
    return not process.screen and (process.memory is None or process.memory >= SMALL)


def _owed(
    live: Sequence[Launch], here: Collection[int], ours: Mapping[int, int], unseen: Collection[int], loose: int
) -> int:
    """Bytes that runs on a GPU are expected to fill and have not yet."""
    expected = {number: int(live[number].gpu_memory * GIB) for number in here}
    known = sum(max(0, expected[number] - ours[number]) for number in here if number not in unseen)
    return known + max(0, sum(expected[number] for number in here if number in unseen) - loose)


def _owner(pid: int, roots: Mapping[int, int]) -> int | None:
    """The number of the run that a process belongs to, -1 if it is none's; None if no such process is visible."""
    import psutil

    try:
        line = [pid, os.getsid(pid), *(parent.pid for parent in psutil.Process(pid).parents())]
    except (psutil.Error, OSError):
        return None
    return next((roots[pid] for pid in line if pid in roots), _NOT_OURS)


def _who(pid: int) -> str:
    """A process as people know it: pid, program, user."""
    import psutil

    known: list[str] = []
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        known.append(process.name())
        known.append(process.username())
    return f"pid {pid} ({', '.join(known)})" if known else f"pid {pid}"


def _gib(size: int | None) -> str:
    return "memory" if size is None else f"{size / GIB:.1f} GiB"
