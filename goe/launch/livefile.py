"""The queue file while it is edited: read again after each save; a bad version never replaces a good one."""

from goe.core.errors import ConfigError
from goe.core.queuefile import Queue, load_queue
from goe.core.stamp import Stamp, stamp_of


class LiveFile:
    """Follows the file that `queue` was read from.

    A save counts once the file looks the same at two polls, so an editor that empties, fills, or removes and renames
    it is never caught halfway.
    """

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        """The last good version."""
        self.problems: tuple[str, ...] = ()
        """What is wrong with the version after that, a line each; empty when the last good one is the newest."""
        self._seen: Stamp | None = Stamp(0, 0, 0)
        self._read: Stamp | None = self._seen

    def poll(self) -> bool:
        """Read the file if it was saved. True if `queue` or `problems` changed."""
        before, self._seen = self._seen, stamp_of(self.queue.path)
        if self._seen != before or self._seen == self._read:
            return False
        self._read = self._seen
        old = self.queue, self.problems
        try:
            self.queue, self.problems = load_queue(self.queue.path), ()
        except ConfigError as error:
            self.problems = error.problems
        return old != (self.queue, self.problems)
