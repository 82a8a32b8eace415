"""How often the kernel ended a process for want of memory where this one lives: the only certain sign of it."""

from pathlib import Path

_MINE = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")


def oom_kills() -> int | None:
    """The kernel's count of out-of-memory kills in this process's control group; None where it keeps none.

    Children are born into the same group, so a count that rose while a worker ran, and a worker ended by SIGKILL,
    belong together. Other processes of the group share the count.
    """
    try:
        lines = _MINE.read_text(encoding="utf-8").splitlines()
        counts = count_file(lines, _MOUNT).read_text(encoding="utf-8").split()
        return int(counts[counts.index("oom_kill") + 1])
    except (OSError, ValueError, IndexError):
        return None


def count_file(lines: list[str], mount: Path) -> Path:
    """The file with the count, for the lines of `/proc/self/cgroup`. Raises ValueError if they name no group."""
    groups = {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}
    if "memory" in groups:  # version 1, or both
        return mount / "memory" / groups["memory"].lstrip("/") / "memory.oom_control"
    if "" not in groups:
        raise ValueError("no control group")
    return mount / groups[""].lstrip("/") / "memory.events"
