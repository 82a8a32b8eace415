"""What each `[[experiment]]` of a queue file says, as it is written: for forms and lists."""

from dataclasses import dataclass

import tomli

from goe.core.errors import ConfigError
from goe.core.setting import Setting
from goe.core.tomledit import spell_key
from goe.core.tomlpos import Layout, Pair, layout


@dataclass(frozen=True, slots=True)
class Entry:
    """One experiment of the text."""

    name: str
    """Empty where it has none."""
    line: int
    """Of its header."""
    settings: tuple[Setting, ...]
    """All its keys but the name; those of its sub-tables dotted."""

    def written(self, key: str) -> str:
        """The value of `key` as TOML; empty where it is not set."""
        return next((each.toml for each in self.settings if ".".join(each.key) == key), "")


def entries_of(text: str) -> list[Entry]:
    """The experiments in the text's order. Raises ConfigError where it is no TOML."""
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise ConfigError([f"line {error.lineno}: not valid TOML: {error.msg}"]) from None
    listed = data.get("experiment", [])
    if not isinstance(listed, list):
        return []
    return _entries(text, layout(text), [each if isinstance(each, dict) else {} for each in listed])


def _entries(text: str, found: Layout, tables: list[dict[str, object]]) -> list[Entry]:
    lines: dict[int, int] = {}
    for header in found.headers:
        if len(header.path) > 1 and header.path[0] == "experiment" and isinstance(header.path[1], int):
            lines.setdefault(header.path[1], _line(text, header.start))
    pairs: dict[int, list[Pair]] = {}
    for pair in found.pairs:
        if not pair.inline and len(pair.path) > 2 and pair.path[0] == "experiment" and isinstance(pair.path[1], int):
            pairs.setdefault(pair.path[1], []).append(pair)
    return [
        Entry(
            name if isinstance(name := table.get("name"), str) else "",
            lines.get(number, 1),
            tuple(_setting(text, pair) for pair in pairs.get(number, ()) if pair.path[2:] != ("name",)),
        )
        for number, table in enumerate(tables)
    ]


def _setting(text: str, pair: Pair) -> Setting:
    return Setting(tuple(str(part) for part in pair.path[2:]), text[pair.value : pair.end])


def lines_of(text: str, name: str) -> dict[int, str]:
    """Which dotted key of the experiment stands on which line; its header is its name's."""
    number = next((number for number, entry in enumerate(entries_of(text)) if entry.name == name), None)
    found = layout(text)
    lines: dict[int, str] = {}
    for header in found.headers:
        if header.path == ("experiment", number):
            lines[_line(text, header.start)] = "name"
    for pair in found.pairs:
        if not pair.inline and pair.path[:2] == ("experiment", number):
            key = spell_key(pair.path[2:])
            lines |= dict.fromkeys(range(_line(text, pair.start), _line(text, pair.end) + 1), key)
    return lines


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
