"""Where the kernel keeps its count of out-of-memory kills, for what /proc/self/cgroup can say."""

from pathlib import Path

import pytest

from goe.launch.oomkills import count_file

MOUNT = Path("/sys/fs/cgroup")


@pytest.mark.parametrize(
    ("lines", "file"),
    [
        (["0::/user.slice/session-3.scope"], "user.slice/session-3.scope/memory.events"),
        (["0::/"], "memory.events"),
        (["5:cpu,cpuacct:/a", "4:memory:/jobs/7", "0::/b"], "memory/jobs/7/memory.oom_control"),
        (["0::/with:colon"], "with:colon/memory.events"),
    ],
)
def test_the_file(lines: list[str], file: str) -> None:
    assert count_file(lines, MOUNT) == MOUNT / file


@pytest.mark.parametrize("lines", [[], ["7:blkio:/"], ["nonsense"]])
def test_no_group(lines: list[str]) -> None:
    with pytest.raises(ValueError, match=r"no control group|not enough values"):
        count_file(lines, MOUNT)
