"""Many things of which a few are looked at each time: each has its turn before any has its second."""

from collections.abc import Iterator, Mapping
from itertools import islice


class Turns:
    """Whose turn it is, of names that may come and go."""

    def __init__(self) -> None:
        self._rest: Iterator[str] = iter(())

    def take(self, names: Mapping[str, object], count: int) -> list[str]:
        """The next `count` of `names`; all of them where there are no more."""
        found = list(islice(self._rest, count))
        if len(found) < count:
            self._rest = iter(list(names))
            found += islice(self._rest, min(count, len(names)) - len(found))
        return [name for name in dict.fromkeys(found) if name in names]
