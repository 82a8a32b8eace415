"""GPUs of this machine as NVML shows them: which there are, how full they are, and whose processes are on them.

The one place that opens NVML. Each query may be refused on its own (containers, MIG, old drivers); what is refused is
None and never a guess.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from goe.core.errors import ConfigError, did_you_mean


class GpuProcess(Struct, frozen=True):
    """A process on a GPU. Containers mostly hide those of others, and some their own."""

    pid: int
    memory: int | None
    """Bytes; None where the driver doesn't tell."""
    screen: bool = False
    """It draws on a screen: a desktop, a browser."""


class Gpu(Struct, frozen=True):
    """One reading of one GPU, or of one MIG device, which CUDA takes for a GPU."""

    index: int
    """From 0 in PCI bus order, as nvidia-smi counts; MIG devices have that of the GPU they are part of."""
    uuid: str = ""
    """`GPU-…` or `MIG-…`; empty where the driver doesn't tell."""
    name: str = ""
    memory_total: int | None = None
    memory_used: int | None = None
    """Bytes of processes, without what the driver keeps for itself (which drivers before 510 count in)."""
    memory_free: int | None = None
    utilisation: float | None = None
    """Share of the last moment in which a kernel ran, in [0, 1]."""
    temperature: int | None = None
    """Degrees Celsius."""
    power: float | None = None
    """Watts now."""
    power_limit: float | None = None
    """Watts at which it is held back."""
    processes: tuple[GpuProcess, ...] | None = None
    """Those that NVML shows; None if it shows nobody's."""

    @property
    def cuda_name(self) -> str:
        """What CUDA_VISIBLE_DEVICES calls it."""
        return self.uuid or str(self.index)


def read_gpus() -> tuple[Gpu, ...]:
    """Every GPU within CUDA_VISIBLE_DEVICES, in PCI bus order; empty without a driver."""
    with _nvml() as nvml:
        found = tuple(_readings(nvml)) if nvml is not None else ()
    return _visible(found, os.environ.get("CUDA_VISIBLE_DEVICES"))


def matching(gpus: Sequence[Gpu], name: int | str) -> list[Gpu]:
    """The GPUs called `name`: an index (with MIG, all devices of that GPU), a UUID, or a beginning of just one UUID."""
    text = str(name).strip()
    if text.isdecimal():
        return [gpu for gpu in gpus if gpu.index == int(text)]
    if not text.upper().startswith(("GPU-", "MIG-")):
        return []
    near = [gpu for gpu in gpus if gpu.uuid.lower().startswith(text.lower())]
    return near if len(near) == 1 else []


def select(gpus: Sequence[Gpu], names: Sequence[int | str], where: str) -> tuple[Gpu, ...]:
    """The GPUs called `names`, in PCI bus order. Raises ConfigError, which lists those there, for each unknown one."""
    problems: list[str] = []
    chosen: list[Gpu] = []
    there = ", ".join(f"{gpu.index} ({gpu.cuda_name}, {gpu.name})" for gpu in gpus)
    for name in names:
        found = matching(gpus, name)
        if not found and not gpus:
            problems.append(f"{where}: no GPU {name} here: NVML shows none; leave it out, or `gpus = []` for the CPU")
        elif not found:
            near = did_you_mean(str(name), [gpu.uuid for gpu in gpus])
            problems.append(f"{where}: no GPU {name} here{near}; there are {there}")
        elif any(gpu in chosen for gpu in found):
            problems.append(f"{where}: GPU {name} is there twice; gpu-share lets several runs share a GPU")
        chosen += found
    if problems:
        raise ConfigError(problems)
    return tuple(gpu for gpu in gpus if gpu in chosen)


def _visible(gpus: tuple[Gpu, ...], allowed: str | None) -> tuple[Gpu, ...]:
    """Those of CUDA_VISIBLE_DEVICES. Like CUDA, it reads no further than a name that fits no GPU, such as -1."""
    if allowed is None:
        return gpus
    seen: list[Gpu] = []
    for name in allowed.split(","):
        found = matching(gpus, name)
        if not found:
            break
        seen += found
    return tuple(gpu for gpu in gpus if gpu in seen)


@contextlib.contextmanager
def _nvml() -> Iterator[Any]:
    """The open library, or None where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _ask(nvml: Any, query: str, *args: Any) -> Any:
    """NVML's answer; None if it is refused."""
    try:
        return getattr(nvml, query)(*args)
    except nvml.NVMLError:
        return None


def _readings(nvml: Any) -> Iterator[Gpu]:
    handles = [_ask(nvml, "nvmlDeviceGetHandleByIndex", place) for place in range(nvml.nvmlDeviceGetCount())]
    places = [_ask(nvml, "nvmlDeviceGetPciInfo", handle) for handle in handles if handle is not None]
    if len(places) == len(handles) and None not in places:  # else one is lost, and NVML's own order the best there is
        order = [(place.domain, place.bus, place.device) for place in places]
        handles = [handles[number] for number in sorted(range(len(handles)), key=order.__getitem__)]
    for index, handle in enumerate(handles):
        if handle is None:
            continue
        mode = _ask(nvml, "nvmlDeviceGetMigMode", handle)
        if mode is None or not mode[0]:
            yield _reading(nvml, index, handle)
            continue
        for place in range(_ask(nvml, "nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
            part = _ask(nvml, "nvmlDeviceGetMigDeviceHandleByIndex", handle, place)
            if part is not None:
                yield _reading(nvml, index, part)


def _reading(nvml: Any, index: int, handle: Any) -> Gpu:
    memory = _ask(nvml, "nvmlDeviceGetMemoryInfo", handle, nvml.nvmlMemory_v2)
    memory = memory or _ask(nvml, "nvmlDeviceGetMemoryInfo", handle)
    rates = _ask(nvml, "nvmlDeviceGetUtilizationRates", handle)
    power = _ask(nvml, "nvmlDeviceGetPowerUsage", handle)
    limit = _ask(nvml, "nvmlDeviceGetEnforcedPowerLimit", handle)
    return Gpu(
        index=index,
        uuid=_ask(nvml, "nvmlDeviceGetUUID", handle) or "",
        name=_ask(nvml, "nvmlDeviceGetName", handle) or "",
        memory_total=memory.total if memory else None,
        memory_used=memory.used if memory else None,
        memory_free=memory.free if memory else None,
        utilisation=rates.gpu / 100 if rates else None,
        temperature=_ask(nvml, "nvmlDeviceGetTemperature", handle, nvml.NVML_TEMPERATURE_GPU),
        power=None if power is None else power / 1000,
        power_limit=None if limit is None else limit / 1000,
        processes=_processes(nvml, handle),
    )


def _processes(nvml: Any, handle: Any) -> tuple[GpuProcess, ...] | None:
    compute = _ask(nvml, "nvmlDeviceGetComputeRunningProcesses", handle)
    if compute is None:
        return None
    drawing = _ask(nvml, "nvmlDeviceGetGraphicsRunningProcesses", handle) or []
    screens = {process.pid for process in drawing}
    each = {process.pid: process.usedGpuMemory for process in (*drawing, *compute)}
    return tuple(GpuProcess(pid, memory, screen=pid in screens) for pid, memory in each.items())
