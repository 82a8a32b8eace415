"""Room on the disk of the runs: below a set free space nothing is started."""

import shutil
from pathlib import Path

GIB = 2.0**30


def free_gib(path: Path) -> float:
    """GiB that a user may still write where `path` is. Raises OSError if it can't be asked."""
    return shutil.disk_usage(path).free / GIB


def shortage(free: float, wanted: float) -> str:
    """`0.50 GiB free, less than min-free = 1`."""
    return f"{free:.2f} GiB free, less than min-free = {wanted:g}"


class SpaceGuard:
    """Tells once when room runs out, and once when there is some again."""

    def __init__(self) -> None:
        self.short = False
        """Whether too little was free at the last look."""

    def look(self, free: float, wanted: float, where: Path) -> str:
        """Take notice of `free` GiB where `wanted` are needed; what there is to say, mostly nothing."""
        before, self.short = self.short, free < wanted
        if self.short and not before:
            return f"{where}: {shortage(free, wanted)}: nothing is started until there is room"
        return f"{where}: {free:.2f} GiB free: going on" if before and not self.short else ""
