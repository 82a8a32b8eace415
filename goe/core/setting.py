"""`KEY=VALUE` as written on the command line: a key of the queue file and its value."""

from dataclasses import dataclass
from typing import Any

import tomli
import tomlkit

from goe.core.errors import ConfigError
from goe.core.tomlpos import layout


@dataclass(frozen=True, slots=True)
class Setting:
    """A value for a key."""

    key: tuple[str, ...]
    """Parts of the dotted key."""
    toml: str
    """The value as TOML, as it was written but for the quotes that a bare word lacks."""

    @property
    def value(self) -> Any:
        """The value as TOML reads it."""
        return tomli.loads(f"value = {self.toml}")["value"]

    @property
    def table(self) -> dict[str, Any]:
        """The nested tables that the key stands for, with the value."""
        value = self.value
        for part in reversed(self.key):
            value = {part: value}
        return dict(value)


def parse_setting(text: str) -> Setting:
    """`lr=0.05`, `method.filter.k=3`, `method=oe`: a value that is no TOML is meant as a string. Raises ConfigError."""
    name, separator, value = text.partition("=")
    key = parse_key(name) if separator else None
    if key is None:
        raise ConfigError([f"{text!r} is not KEY=VALUE, for example lr=0.05"])
    line = f"value = {value.strip()}"
    try:
        single = tomli.loads(line).keys() == {"value"}
    except tomli.TOMLDecodeError:
        single = False
    if not single:
        return Setting(key, tomlkit.item(value).as_string())
    (pair,) = (pair for pair in layout(line).pairs if not pair.inline)
    return Setting(key, line[pair.value : pair.end])  # without a comment that may follow


def parse_key(text: str) -> tuple[str, ...] | None:
    """The parts of a dotted key as TOML spells it; None if it is none."""
    try:
        table: Any = tomli.loads(f"{text} = 0") if "\n" not in text else {}
    except tomli.TOMLDecodeError:
        return None
    parts: list[str] = []
    while isinstance(table, dict):
        if len(table) != 1:
            return None
        ((part, table),) = table.items()
        parts.append(part)
    return tuple(parts)
