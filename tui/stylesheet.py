"""The app's style sheet, which parses the rules of each widget and screen once for each theme."""

from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet


class OnceParsed(Stylesheet):
    """Textual's own begins anew with all rules at every first visit of a screen, and three times as the app starts."""

    def __init__(self, like: Stylesheet) -> None:
        super().__init__(variables=like._variables)  # noqa: SLF001 - they take 6 ms to work out
        self._parse_cache = LRUCache(1024)

    def set_variables(self, variables: dict[str, str]) -> None:
        """Parse anew only where the theme is another one."""
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        """What was parsed stays."""
        self.parse()
