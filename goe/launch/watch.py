"""Waiting for processes to end, also for those that another process started."""

import contextlib
import os
import select
import time
from collections.abc import Collection

from goe.core.process import ProcessId, is_alive

_CAN_WAIT = hasattr(os, "pidfd_open") and hasattr(select, "poll")


class Watch:
    """Sleeps until one of some processes ends. Without Linux's process descriptors it only sleeps."""

    def __init__(self) -> None:
        self._open: dict[ProcessId, int] = {}
        self._unwatched: set[ProcessId] = set()  # ended, of another host, or not to be opened

    def wait(self, processes: Collection[ProcessId], timeout: float) -> None:
        """Return when one of `processes` ends that had not ended before, or after `timeout` seconds."""
        if not _CAN_WAIT:
            time.sleep(timeout)
            return
        self._follow(processes)
        poll = select.poll()
        for handle in self._open.values():
            poll.register(handle, select.POLLIN)
        ended = {handle for handle, _ in poll.poll(max(1.0, timeout * 1000))}
        for process in [process for process, handle in self._open.items() if handle in ended]:
            os.close(self._open.pop(process))  # it would wake every later wait
            self._unwatched.add(process)

    def _follow(self, processes: Collection[ProcessId]) -> None:
        for process in self._open.keys() - set(processes):
            os.close(self._open.pop(process))
        self._unwatched &= set(processes)
        for process in processes:
            if process not in self._open and process not in self._unwatched:
                self._add(process)

    def _add(self, process: ProcessId) -> None:
        with contextlib.suppress(OSError):  # ended already, or too many open files
            handle = os.pidfd_open(process.pid)
            if is_alive(process):  # asked after opening: else the pid may be somebody else's by now
                self._open[process] = handle
                return
            os.close(handle)
        self._unwatched.add(process)

    def close(self) -> None:
        """Forget all processes."""
        self._follow(())
