"""The machine under the runs: GPUs, cores, memory, disks, and the processes on them.

One sampler for the dashboard, which looks no more than once a second however many ask, and keeps the last minutes.
"""

import os
import platform
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from goe.core.overview import RunView
from goe.core.process import is_alive
from goe.launch.gpu import Gpu, read_gpus
from goe.launch.machine import MachineSampler, disk_room
from goe.launch.occupancy import SMALL, holds, occupancy
from goe.launch.processes import ProcessSampler
from tui.messages import Disk, Glimpse, GpuFact, GpuShares, Holder, Pulse, SystemFacts, Trace

LEAST_S = 1.0
"""Between two looks at the machine."""
BUCKET_S, BUCKETS = 5.0, 60
"""Of the curves of the last minutes: what a dot stands for, and how many there are."""
PATIENCE_S = 0.5
"""That a read waits for the GPUs' driver; a driver that failed may never answer."""


class SystemSampler:
    """Looks at the GPUs and the machine. For the poller's thread."""

    def __init__(self) -> None:
        self._machine = MachineSampler()
        self._gpus = GpuWatch(read_gpus)
        self._pulse: Pulse | None = None
        self._traces: dict[str, deque[tuple[int, float]]] = {}

    def pulse(self) -> Pulse:
        """The machine now, or as it was less than a second ago."""
        if self._pulse is not None and time.monotonic() - self._pulse.read_at < LEAST_S:
            return self._pulse
        gpus, problem = self._gpus.read()
        self._pulse = Pulse(time.monotonic(), self._machine.read(), gpus, problem)
        self._keep(self._pulse)
        return self._pulse

    def trace(self, name: str) -> Trace:
        """The last minutes of what is called so, oldest first; None where nobody looked."""
        newest = int(time.monotonic() // BUCKET_S)
        found = self._traces.get(name, ())
        buckets: list[list[float]] = [[] for _ in range(BUCKETS)]
        for bucket, value in found:
            if 0 <= newest - bucket < BUCKETS:
                buckets[BUCKETS - 1 - (newest - bucket)].append(value)
        return tuple(sum(each) / len(each) if each else None for each in buckets)

    def _keep(self, pulse: Pulse) -> None:
        bucket = int(pulse.read_at // BUCKET_S)
        machine = pulse.machine
        values = {"cpu": machine.busy, "memory": machine.memory.share if machine.memory else None}
        for gpu in pulse.gpus:
            values[f"busy {gpu.cuda_name}"] = gpu.utilisation
            values[f"memory {gpu.cuda_name}"] = filled(gpu)
        for name, value in values.items():
            if value is not None:
                kept = self._traces.setdefault(name, deque(maxlen=int(BUCKETS * BUCKET_S / LEAST_S)))
                kept.append((bucket, value))


class GpuWatch:
    """Asks for the GPUs in a thread of its own, so that a driver that hangs holds up nothing else."""

    def __init__(self, ask: Callable[[], tuple[Gpu, ...]]) -> None:
        self._ask = ask
        self._asked: float | None = None
        """When the question that is open was put."""
        self._answered = threading.Event()
        self._gpus: tuple[Gpu, ...] = ()
        self._problem = ""
        self._seen = 0
        """The most GPUs that were ever there."""

    def read(self) -> tuple[tuple[Gpu, ...], str]:
        """The GPUs, and what is wrong with their driver; the last ones known while it doesn't answer."""
        if self._asked is None:
            self._asked = time.monotonic()
            self._answered.clear()
            threading.Thread(target=self._answer, daemon=True, name="gpus").start()
        if not self._answered.wait(PATIENCE_S):
            return self._gpus, f"the driver hasn't answered for {time.monotonic() - self._asked:.0f} s"
        self._asked = None
        return self._gpus, self._problem

    def _answer(self) -> None:
        try:
            gpus, problem = self._ask(), ""
        except Exception as error:  # noqa: BLE001 - a driver that fails in mid-flight is a line on the page
            gpus, problem = (), f"the driver fails: {error}"
        if not gpus and not problem and self._seen:
            problem = f"the driver showed {self._seen} before, and shows none now"
        self._gpus, self._problem, self._seen = gpus, problem, max(self._seen, len(gpus))
        self._answered.set()


class PulseReader:
    """The machine at a glance, for a line of another screen."""

    def __init__(self, sampler: SystemSampler, runs: Path) -> None:
        self._sampler = sampler
        self._runs = runs
        self.period = LEAST_S
        """Soon after the start, which it doesn't slow down; then seldom."""
        self._begun = False

    def read(self) -> Glimpse | None:
        """What there is now."""
        if not self._begun:
            self._begun = True
            return None
        self.period = BUCKET_S
        return Glimpse(self._sampler.pulse(), disk_room(self._runs))


class SystemReader:
    """The whole page: every process of a run, and who else is on the GPUs."""

    period = 2.0

    def __init__(self, sampler: SystemSampler, runs: Path, min_free: Callable[[], float | None]) -> None:
        self._sampler = sampler
        self._runs = runs
        self._min_free = min_free
        self._processes = ProcessSampler()
        self.live: tuple[RunView, ...] = ()
        """The live runs as last read; whoever owns the reader sets them."""

    def read(self) -> SystemFacts:
        """Everything now."""
        pulse, sampler = self._sampler.pulse(), self._sampler
        gpus = tuple(
            GpuFact(gpu, sampler.trace(f"busy {gpu.cuda_name}"), sampler.trace(f"memory {gpu.cuda_name}"))
            for gpu in pulse.gpus
        )
        disks = tuple(Disk(path, disk_room(path)) for path in (self._runs.absolute(), Path(tempfile.gettempdir())))
        return SystemFacts(
            host=platform.node(),
            pulse=pulse,
            gpus=gpus,
            no_gpu=_no_gpu(pulse.gpus),
            cpu=sampler.trace("cpu"),
            memory=sampler.trace("memory"),
            disks=disks,
            min_free=self._min_free(),
            holders=self._holders(pulse.gpus),
        )

    def _holders(self, gpus: Sequence[Gpu]) -> tuple[Holder, ...]:
        """Runs first, by name; then other people; then what is hidden."""
        live = [view for view in self.live if view.launch is not None]
        on_gpus = {process.pid for gpu in gpus for process in gpu.processes or ()}
        found = self._processes.read(_recorded(live), on_gpus)
        holders = [Holder(each, self._run_id(each.run), _shares(each.pid, gpus)) for each in found]
        given = _given(live, gpus, holders)
        holders = [
            replace(each, gpus=given.get(process.pid, each.gpus)) for each, process in zip(holders, found, strict=True)
        ]
        holders.sort(key=lambda each: (not each.run_id, "/" in each.run_id, each.run_id))
        launches = [view.launch for view in live if view.launch is not None]
        hidden = [(gpu.index, occupancy(gpu, launches).hidden) for gpu in gpus]
        return *holders, *(Holder(None, gpus=((index, size),)) for index, size in hidden if size >= SMALL)

    def _run_id(self, run: Path | None) -> str:
        """The run's id where it is of this folder; else its path."""
        if run is None:
            return ""
        return run.name if run.parent == self._runs.resolve() else str(run)


def filled(gpu: Gpu) -> float | None:
    """Share of a GPU's memory that is used."""
    return gpu.memory_used / gpu.memory_total if gpu.memory_used is not None and gpu.memory_total else None


def _no_gpu(gpus: Sequence[Gpu]) -> str:
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if gpus:
        return ""
    return "none that NVML shows" + ("" if allowed is None else f" within CUDA_VISIBLE_DEVICES={allowed}")


def _recorded(live: Sequence[RunView]) -> dict[int, Path]:
    """The processes that launch records name, as far as they are there."""
    named = [
        (who, view.run.path) for view in live if view.launch for who in (view.launch.supervisor, view.launch.worker)
    ]
    return {who.pid: path.resolve() for who, path in named if who is not None and is_alive(who)}


def _shares(pid: int, gpus: Sequence[Gpu]) -> GpuShares:
    """The GPUs that a process is on."""
    return tuple((gpu.index, each.memory) for gpu in gpus for each in gpu.processes or () if each.pid == pid)


def _given(live: Sequence[RunView], gpus: Sequence[Gpu], holders: Sequence[Holder]) -> dict[int, GpuShares]:
    """The GPUs of workers that NVML doesn't show, by pid: those their launch records give them."""
    seen = {(each.run_id, index) for each in holders for index, _ in each.gpus}
    found: dict[int, GpuShares] = {}
    for view in live:
        launch = view.launch
        if launch is not None and launch.worker is not None:
            indices = {gpu.index for gpu in gpus if holds(launch, gpu) and (view.run_id, gpu.index) not in seen}
            if indices:
                found[launch.worker.pid] = tuple((index, None) for index in sorted(indices))
    return found
