"""What a log is searched for: plain text or a regular expression, in any case unless a capital letter is asked for."""

import re
from dataclasses import dataclass
from functools import cached_property

from goe.core.errors import UserError

PART, OVERLAP = 2_000, 1_000
"""Characters."""


@dataclass(frozen=True)
class Pattern:
    """Smart case: "loss" finds "Loss", "Loss" finds nothing else."""

    text: str
    regex: bool = False

    @property
    def any_case(self) -> bool:
        """Whether capitals and small letters are the same."""
        words = re.sub(r"\\.", "", self.text) if self.regex else self.text  # \S is no capital letter
        return words == words.lower()

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """For lines. Raises UserError where it is no regular expression."""
        try:
            return re.compile(self.text if self.regex else re.escape(self.text), re.IGNORECASE if self.any_case else 0)
        except re.error as error:
            raise UserError(f"search: {error}; ctrl+r searches for plain text") from None

    def first(self, line: str) -> tuple[int, int] | None:
        """Where it stands first in a line of any length, if no longer than `OVERLAP`.

        Looked for in parts: what takes the square of a length takes little of each, and other threads get their turn.
        """
        search = self.compiled.search
        for start in range(0, max(1, len(line) - OVERLAP), PART - OVERLAP):
            match = search(line, start, start + PART)
            if match and match.end() == start + PART:  # perhaps cut, and `$` stands for the part's end
                match = self.compiled.match(line, match.start(), match.start() + PART)
            if match:
                return match.span()
        return None

    def surely_absent(self, data: bytes) -> bool:
        """Whether no line of `data` can match, told without looking at its lines: what makes a search fast."""
        if self.regex or not self.text.isascii() or b"\x1b" in data:
            return False  # an escape may stand within the words
        needle = self.text.encode()
        return needle.lower() not in data.lower() if self.any_case else needle not in data

    def spans(self, line: str) -> list[tuple[int, int]]:
        """Where it stands in a line."""
        return [match.span() for match in self.compiled.finditer(line) if match.end() > match.start()]
