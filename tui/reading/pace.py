"""How often a file that may grow is looked at: what rests costs little, what goes on is seen soon."""

import time

QUICK_S, CALM_S = 0.5, 1.0
_WHILE_S = 5.0


class Pace:
    """Twice a second while it grows, once when it did not for a while."""

    def __init__(self) -> None:
        self._grew = time.monotonic()

    def grew(self) -> None:
        """It did, by the last look."""
        self._grew = time.monotonic()

    @property
    def period(self) -> float:
        """Seconds to the next look."""
        return QUICK_S if time.monotonic() - self._grew < _WHILE_S else CALM_S
