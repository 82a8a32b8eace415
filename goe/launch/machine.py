"""How busy and how full this machine is: cores, load, memory, swap, disks. What can't be read is None."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

T = TypeVar("T")


class Room(Struct, frozen=True):
    """Of memory, or a disk, in bytes."""

    total: int
    free: int
    """What programs of this user may still take."""

    @property
    def used(self) -> int:
        """The rest."""
        return self.total - self.free

    @property
    def share(self) -> float | None:
        """How much of it is used, in [0, 1]."""
        return self.used / self.total if self.total else None


class Machine(Struct, frozen=True):
    """One reading."""

    cores: tuple[float, ...] | None = None
    """Share of the time since the reading before in which each was busy, in [0, 1]."""
    load: tuple[float, float, float] | None = None
    """Of 1, 5 and 15 minutes."""
    memory: Room | None = None
    swap: Room | None = None

    @property
    def busy(self) -> float | None:
        """Mean of the cores."""
        return sum(self.cores) / len(self.cores) if self.cores else None


class MachineSampler:
    """Reads the machine; readings should be a second or more apart."""

    def __init__(self) -> None:
        self._begun = False

    def read(self) -> Machine:
        """The machine now; how busy its cores are is told from the second reading on."""
        import psutil

        cores = _told(lambda: tuple(percent / 100 for percent in psutil.cpu_percent(percpu=True)))
        begun, self._begun = self._begun, True
        memory, swap = _told(psutil.virtual_memory), _told(psutil.swap_memory)
        return Machine(
            cores=cores if begun and cores else None,
            load=_told(os.getloadavg),
            memory=Room(memory.total, memory.available) if memory else None,
            swap=Room(swap.total, swap.free) if swap else None,
        )


def disk_room(path: Path) -> Room | None:
    """Of the disk where `path` is, or will be."""
    there = next((each for each in (path, *path.absolute().parents) if each.exists()), path)
    usage = _told(lambda: shutil.disk_usage(there))
    return Room(usage.total, usage.free) if usage else None


def _told(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except Exception:  # noqa: BLE001 - psutil fails in many ways where /proc is missing or closed
        return None
