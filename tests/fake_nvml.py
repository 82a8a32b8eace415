"""A driver with GPUs as scripted, in place of `pynvml`: a fake device, for machines without one.

The script is a file of JSON that the variable FAKE_NVML names; it is read anew by each `nvmlInit`, so a test can change
what the GPUs show while a queue looks at them:

    {"driver": true, "gpus": [{"uuid": "GPU-aa", "name": "A", "bus": 1, "total": 80, "used": 10, "processes": [...]}]}

Memory is in GiB. `"refuses": ["nvmlDeviceGetUUID"]` makes queries fail as they do in containers. A process is
`{"pid": 7, "memory": 2}`, with `"screen": true` one that draws; `"mig": [...]` are parts, described like GPUs. Power is
in watts. `"refuses": ["nvmlDeviceGetCount"]` beside `"gpus"` is a driver that fails once it is open.
"""
# ruff: noqa: N802

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

Script: TypeAlias = Callable[..., None]
"""What the fixture `driver` gives: it takes the GPUs there are from now on."""
GIB = 2**30
nvmlMemory_v2 = 0x02000028  # noqa: N816
NVML_TEMPERATURE_GPU = 0

_now: dict[str, Any] = {}
_open: list[str] = []
"""An entry for each `nvmlInit` without its `nvmlShutdown`."""


class NVMLError(Exception):
    """What every refusal is."""


def script(path: Path, gpus: Sequence[Mapping[str, Any]], *, driver: bool = True, refuses: Sequence[str] = ()) -> None:
    """Write what the GPUs show from now on."""
    beside = path.with_suffix(".new")
    found = {"driver": driver, "gpus": list(gpus), "refuses": list(refuses)}
    beside.write_text(json.dumps(found), encoding="utf-8")
    beside.replace(path)


def install(folder: Path, path: Path) -> dict[str, str]:
    """Variables with which a process started anew finds this module as `pynvml` and `path` as its script."""
    folder.mkdir(exist_ok=True)
    shutil.copy(__file__, folder / "pynvml.py")
    known = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{folder}{os.pathsep}{known}" if known else str(folder), "FAKE_NVML": str(path)}


def nvmlInit() -> None:
    found = json.loads(Path(os.environ["FAKE_NVML"]).read_text(encoding="utf-8"))
    if not found["driver"]:
        raise NVMLError("Driver Not Loaded")
    _now.clear()
    _now.update(found)
    _open.append(os.environ["FAKE_NVML"])


def nvmlShutdown() -> None:
    _open.pop()


def nvmlDeviceGetCount() -> int:
    assert _open, "NVML is not open"
    return len(_asked("nvmlDeviceGetCount", _now)["gpus"])


def nvmlDeviceGetHandleByIndex(index: int) -> dict[str, Any]:
    return _asked("nvmlDeviceGetHandleByIndex", _now["gpus"][index])


def nvmlDeviceGetPciInfo(handle: dict[str, Any]) -> SimpleNamespace:
    _asked("nvmlDeviceGetPciInfo", handle)
    return SimpleNamespace(domain=0, bus=handle.get("bus", 0), device=0)


def nvmlDeviceGetUUID(handle: dict[str, Any]) -> str:
    return str(_asked("nvmlDeviceGetUUID", handle)["uuid"])


def nvmlDeviceGetName(handle: dict[str, Any]) -> str:
    return str(_asked("nvmlDeviceGetName", handle).get("name", "Fake"))


def nvmlDeviceGetMemoryInfo(handle: dict[str, Any], version: int | None = None) -> SimpleNamespace:
    _asked("nvmlDeviceGetMemoryInfo" + ("_v2" if version else ""), handle)
    total, used, kept = (int(handle.get(key, 0) * GIB) for key in ("total", "used", "reserved"))
    if version is None:  # which counts what the driver keeps as used
        return SimpleNamespace(total=total, used=used + kept, free=total - used - kept)
    return SimpleNamespace(total=total, used=used, reserved=kept, free=total - used - kept)


def nvmlDeviceGetUtilizationRates(handle: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(gpu=_asked("nvmlDeviceGetUtilizationRates", handle).get("utilisation", 0), memory=0)


def nvmlDeviceGetTemperature(handle: dict[str, Any], sensor: int) -> int:
    assert sensor == NVML_TEMPERATURE_GPU
    return int(_told("nvmlDeviceGetTemperature", handle, "temperature"))


def nvmlDeviceGetPowerUsage(handle: dict[str, Any]) -> int:
    return int(_told("nvmlDeviceGetPowerUsage", handle, "power") * 1000)


def nvmlDeviceGetEnforcedPowerLimit(handle: dict[str, Any]) -> int:
    return int(_told("nvmlDeviceGetEnforcedPowerLimit", handle, "limit") * 1000)


def nvmlDeviceGetComputeRunningProcesses(handle: dict[str, Any]) -> list[SimpleNamespace]:
    return _processes(_asked("nvmlDeviceGetComputeRunningProcesses", handle), screen=False)


def nvmlDeviceGetGraphicsRunningProcesses(handle: dict[str, Any]) -> list[SimpleNamespace]:
    return _processes(_asked("nvmlDeviceGetGraphicsRunningProcesses", handle), screen=True)


def nvmlDeviceGetMigMode(handle: dict[str, Any]) -> list[int]:
    on = int("mig" in _asked("nvmlDeviceGetMigMode", handle))
    return [on, on]


def nvmlDeviceGetMaxMigDeviceCount(handle: dict[str, Any]) -> int:
    return 7


def nvmlDeviceGetMigDeviceHandleByIndex(handle: dict[str, Any], index: int) -> dict[str, Any]:
    if index >= len(handle["mig"]):
        raise NVMLError("Not Found")
    return dict(handle["mig"][index])


def _told(query: str, handle: dict[str, Any], key: str) -> Any:
    """What the script says of a GPU; refused where it says nothing."""
    if key not in _asked(query, handle):
        raise NVMLError("Not Supported")
    return handle[key]


def _asked(query: str, handle: dict[str, Any]) -> dict[str, Any]:
    assert _open, "NVML is not open"
    if query in handle.get("refuses", ()):
        raise NVMLError("Not Supported")
    return handle


def _processes(handle: dict[str, Any], *, screen: bool) -> list[SimpleNamespace]:
    return [
        SimpleNamespace(
            pid=process["pid"], usedGpuMemory=None if process["memory"] is None else int(process["memory"] * GIB)
        )
        for process in handle.get("processes", ())
        if process.get("screen", False) is screen
    ]
