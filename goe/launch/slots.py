"""Which part of the machine the next run may have: GPUs, shares of GPUs, or some of the CPU's cores.

Nothing is kept here that has to be true: what is taken is read from the live runs' launch records, whoever started
them, and what other people use from NVML. A GPU is not free

* when the shares of live runs and the new one's add up to more than 1;
* when somebody else computes on it, unless the new run shares GPUs (`gpu-share` below 1) and says with `gpu-memory`
  how much it needs;
* when less than `gpu-memory` is free, less what live runs asked for and have not filled yet;
* when NVML says neither which processes are there nor how much memory is in use, unless the GPU was named.

Runs that share a GPU go where most of it is taken already, so that whole GPUs stay free; with a fixed number of runs at
once (`--slots`) they are spread instead.
"""

import math
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from goe.core.jobs import JobOptions
from goe.core.overview import RunView
from goe.core.queuefile import QueueOptions
from goe.core.records import Launch
from goe.launch.base import Slot
from goe.launch.gpu import Gpu, read_gpus, select
from goe.launch.occupancy import GIB, holds, occupancy

READING_S = 2.0
"""Age at which a reading is taken anew: opening NVML takes tens of milliseconds, and other people don't come and go so
fast."""
SETTLING_S = 3.0
"""After a run began or ended, every look reads anew: its memory may be freed a moment later."""
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class _Held:
    """A live run of this machine, and what it was given."""

    run_id: str
    launch: Launch


_Looked: TypeAlias = tuple[frozenset[tuple[str, int]], float]
"""The live runs, by id and attempt, and since when they are these."""


class Slots:
    """What the runs of a queue may take. `gpus` and `count` (`--gpus`, `--slots`) win over the `[queue]` table."""

    def __init__(
        self,
        options: QueueOptions,
        gpus: Sequence[int | str] | None = None,
        count: int | None = None,
        *,
        read: Callable[[], Sequence[Gpu]] = read_gpus,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look which GPUs there are. Raises ConfigError if one that was named is not."""
        named = options.gpus if gpus is None else gpus
        self._read, self._clock = read, clock
        self._named = named is not None
        self._count = count
        self._cpu_slots = count or options.slots
        if named is None:
            self._gpus = tuple(read())
        else:
            self._gpus = select(read(), named, "gpus" if gpus is None else "--gpus") if named else ()
        self._now, self._read_at = self._gpus, clock()
        self._looked: _Looked = frozenset(), -math.inf

    def take(self, options: JobOptions, live: Sequence[RunView], beside: int = 0) -> Slot | None:
        """A free slot for a run queued like this, or None if it has to wait. `live`: every live run of the folder."""
        assert not beside, "runs of this machine are started one by one"
        return self._decide(options, live)[0]

    def why(self, options: JobOptions, live: Sequence[RunView]) -> str:
        """What such a run waits for, in words; empty if it needn't."""
        return self._decide(options, live)[1]

    def problem(self, options: JobOptions) -> str | None:
        """Why these GPUs, or without any these cores, can never do for such a run; None if they can."""
        if not self._gpus:
            return too_few_cores(options.processes)
        there, wanted = len(self._gpus), options.gpu_count
        if wanted > there:
            return f"gpu-count: it needs {wanted} GPUs, and {there} may be used"
        sizes = [gpu.memory_total for gpu in self._gpus]
        known = sorted((size for size in sizes if size is not None), reverse=True)
        if options.gpu_memory and len(known) < wanted:
            return "gpu-memory: NVML doesn't tell how much memory these GPUs have; leave it out"
        if options.gpu_memory and known[wanted - 1] < options.gpu_memory * GIB:
            largest = ", ".join(f"{size / GIB:.1f}" for size in known)
            return f"gpu-memory: it needs {options.gpu_memory:g} GiB on each of {wanted} GPUs; they have {largest} GiB"
        return None

    def _decide(self, options: JobOptions, live: Sequence[RunView]) -> tuple[Slot | None, str]:
        mine = platform.node()
        here = [_Held(view.run_id, view.launch) for view in live if view.launch and view.launch.supervisor.host == mine]
        found = self.problem(options)
        if found is not None:
            return None, found
        if not self._gpus:
            return self._on_cpu(options, [held for held in here if not held.launch.gpus])
        here = [held for held in here if held.launch.gpus]
        on_these = [held for held in here if any(holds(held.launch, gpu) for gpu in self._gpus)]
        if self._count is not None and len(on_these) >= self._count:
            return None, f"at most {self._count} at once; at work: {_names(on_these)}"
        return self._on_gpus(options, here)

    def _on_cpu(self, options: JobOptions, taken: Sequence[_Held]) -> tuple[Slot | None, str]:
        if len(taken) >= self._cpu_slots:
            return None, f"at most {self._cpu_slots} at once; at work: {_names(taken)}"
        threads = max(1, _cores() // self._cpu_slots)
        return Slot(threads=threads, processes=options.processes, restarts=options.restarts), ""

    def _on_gpus(self, options: JobOptions, here: Sequence[_Held]) -> tuple[Slot | None, str]:
        share = self._share(options)
        taken = [sum(held.launch.gpu_share for held in here if holds(held.launch, gpu)) for gpu in self._gpus]
        obstacles: dict[int, str] = {}
        for place, gpu in enumerate(self._gpus):
            if taken[place] + share > 1 + _ROUNDING:
                obstacles[place] = f"taken by {_names(held for held in here if holds(held.launch, gpu))}"
        if len(self._gpus) - len(obstacles) >= options.gpu_count:  # else NVML needn't be asked
            launches = [held.launch for held in here]
            for place, reading in enumerate(self._reading(here)):
                found = obstacles.get(place) or self._obstacle(options, reading, launches)
                obstacles |= {place: found} if found else {}
        free = [place for place in range(len(self._gpus)) if place not in obstacles]
        if len(free) < options.gpu_count:
            return None, self._reasons(options, obstacles)
        packed = 1 if self._count is not None else -1
        free.sort(key=lambda place: (packed * taken[place], place))
        return self._slot(options, share, [self._gpus[place] for place in sorted(free[: options.gpu_count])]), ""

    def _share(self, options: JobOptions) -> float:
        """With a fixed number of runs at once, none takes more than leaves room for the others."""
        if self._count is None:
            return options.gpu_share
        return min(options.gpu_share, 1 / -(-self._count // len(self._gpus)))

    def _slot(self, options: JobOptions, share: float, gpus: Sequence[Gpu]) -> Slot:
        part = 1 / self._count if self._count is not None else share * len(gpus) / len(self._gpus)
        return gpu_slot(gpus, share=share, memory=options.gpu_memory, part=part, restarts=options.restarts)

    def _obstacle(self, options: JobOptions, gpu: Gpu | None, live: Sequence[Launch]) -> str:
        if gpu is None:
            return "NVML doesn't show it any more"
        found = occupancy(gpu, live)
        others = found.by_others()
        if others and options.gpu_share == 1:
            return others
        if others and not options.gpu_memory:
            return f"{others}; with gpu-memory, a run that shares GPUs may join"
        if not found.told and not self._named:
            return "NVML doesn't tell who uses it; name it (`gpus`, `--gpus`) to use it all the same"
        if options.gpu_memory and found.free is None:
            return "NVML doesn't tell how much of its memory is free"
        if found.free is not None and found.free < options.gpu_memory * GIB:
            beside = f"; {others}" if others else ""
            return f"{max(0, found.free) / GIB:.1f} GiB free, {options.gpu_memory:g} needed{beside}"
        return ""

    def _reasons(self, options: JobOptions, obstacles: dict[int, str]) -> str:
        each = "; ".join(f"GPU {self._gpus[place].index}: {text}" for place, text in sorted(obstacles.items()))
        free = len(self._gpus) - len(obstacles)
        return f"{options.gpu_count} GPUs needed, {free} free: {each}" if options.gpu_count > 1 else each

    def _reading(self, here: Sequence[_Held]) -> list[Gpu | None]:
        """The GPUs as they are now, or were a moment ago; None for one that is gone."""
        now = self._clock()
        runs = frozenset((held.run_id, held.launch.attempt) for held in here)
        if runs != self._looked[0]:
            self._looked = runs, now
        settled = now - self._looked[1] > SETTLING_S
        if not settled or now - self._read_at > READING_S:
            self._now, self._read_at = tuple(self._read()), now
        by_name = {gpu.cuda_name: gpu for gpu in self._now}
        return [by_name.get(gpu.cuda_name) for gpu in self._gpus]


def too_few_cores(processes: int) -> str | None:
    """Why so many processes are too many for a run on the CPU; None if they are not."""
    cores = _cores()
    return f"processes: {processes} for {cores} CPU cores; use at most as many" if processes > max(1, cores) else None


def gpu_slot(
    gpus: Sequence[Gpu], *, share: float = 1.0, memory: float = 0.0, part: float = 1.0, restarts: int = 0
) -> Slot:
    """A slot on these GPUs, with `part` of the CPU's cores; all of them leave the number to the libraries."""
    uuids = tuple(gpu.uuid for gpu in gpus)
    return Slot(
        gpus=tuple(gpu.index for gpu in gpus),
        threads=max(1, int(_cores() * part + _ROUNDING)) if part < 1 else None,
        gpu_share=share,
        gpu_memory=memory,
        gpu_uuids=uuids if all(uuids) else (),
        processes=max(1, len(gpus)),
        restarts=restarts,
    )


def _names(held: Iterable[_Held]) -> str:
    return ", ".join(one.run_id for one in held)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
