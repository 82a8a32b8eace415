"""Where each key of a TOML text stands, so that a wrong value can be reported with its line, and a value be replaced.

Neither tomli nor tomlkit tells positions. This scanner reads text that tomli has already accepted, so it only has to
find keys and step over values; it checks nothing.
"""

from collections.abc import Mapping
from typing import TypeAlias

import tomli
from msgspec import Struct

KeyPath: TypeAlias = tuple[str | int, ...]

_BARE_END = frozenset(" \t\r\n=.,]}#")
_SCALAR_END = frozenset(",]}\r\n#")


class Header(Struct, frozen=True):
    """A `[table]` or `[[table]]`; positions are characters of the text from 0."""

    path: KeyPath
    start: int
    """Of its first bracket."""
    end: int
    """Past its last bracket."""


class Pair(Struct, frozen=True):
    """A `key = value`, on a line of its own or within an inline table."""

    path: KeyPath
    """With the table's: all parts of a dotted key count."""
    table: KeyPath
    """The header, or the inline table, that it is written under."""
    inline: bool
    start: int
    """Of the key."""
    value: int
    """Of the value."""
    end: int
    """Past the value."""


class Layout(Struct, frozen=True):
    """All that is written in a text, in its order."""

    headers: tuple[Header, ...]
    pairs: tuple[Pair, ...]
    """A pair with an inline table comes before those within it."""


def layout(text: str) -> Layout:
    """Where headers and pairs begin and end."""
    scanner = _Scanner(text)
    scanner.scan()
    return Layout(tuple(scanner.headers), tuple(sorted(scanner.pairs, key=lambda pair: pair.start)))


def key_lines(text: str) -> dict[KeyPath, int]:
    """Line number (from 1) of every key and table header; array-of-table entries count from 0 in the path."""
    return _Scanner(text).scan()


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """The line of `path`, or of the nearest table around it that has one."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.lines: dict[KeyPath, int] = {}
        self.entries: dict[KeyPath, int] = {}
        self.headers: list[Header] = []
        self.pairs: list[Pair] = []

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._skip_blank():
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
        return self.lines

    def _peek(self, length: int = 1) -> str:
        return self.text[self.at : self.at + length]

    def _step(self, count: int = 1) -> None:
        self.line += self.text.count("\n", self.at, self.at + count)
        self.at += count

    def _skip_blank(self) -> bool:
        """Step over white space, newlines and comments; False at the end of the text."""
        while self.at < len(self.text):
            if self._peek() == "#":
                end = self.text.find("\n", self.at)
                self._step((end if end >= 0 else len(self.text)) - self.at)
            elif self._peek().isspace():
                self._step()
            else:
                return True
        return False

    def _header(self) -> KeyPath:
        line, array, start = self.line, self._peek(2) == "[[", self.at
        self._step(2 if array else 1)
        names = self._dotted("]")
        self._step(2 if array else 1)
        # A header inside an array of tables means the array's newest entry.
        path: KeyPath = ()
        for name in names[:-1]:
            self.lines.setdefault((*path, name), line)
            path = self._newest((*path, name))
        path = (*path, names[-1])
        self.lines.setdefault(path, line)
        if array:
            self.entries[path] = self.entries.get(path, -1) + 1
        path = self._newest(path)
        self.lines.setdefault(path, line)
        self.headers.append(Header(path, start, self.at))
        return path

    def _newest(self, path: KeyPath) -> KeyPath:
        return (*path, self.entries[path]) if path in self.entries else path

    def _pair(self, table: KeyPath, *, inline: bool = False) -> None:
        line, start = self.line, self.at
        names = self._dotted("=")
        self._step()
        for end in range(1, len(names) + 1):
            self.lines.setdefault((*table, *names[:end]), line)
        self._skip_blank()
        value = self.at
        self._value((*table, *names))
        end = len(self.text[value : self.at].rstrip()) + value  # a bare value is stepped over with the space after it
        self.pairs.append(Pair((*table, *names), table, inline, start, value, end))

    def _dotted(self, end: str) -> tuple[str, ...]:
        names: list[str] = []
        while self._skip_blank() and self._peek() != end:
            if self._peek() == ".":
                self._step()
            elif self._peek() in {'"', "'"}:
                start = self.at
                self._string()
                names.append(tomli.loads(f"key = {self.text[start : self.at]}")["key"])  # with escapes resolved
            else:
                start = self.at
                while self._peek() not in _BARE_END:
                    self._step()
                names.append(self.text[start : self.at])
        return tuple(names)

    def _value(self, path: KeyPath) -> None:
        first = self._peek()
        if first in {'"', "'"}:
            self._string()
        elif first == "[":
            self._array(path)
        elif first == "{":
            self._inline(path)
        else:
            while self.at < len(self.text) and self._peek() not in _SCALAR_END:
                self._step()

    def _array(self, path: KeyPath) -> None:
        self._step()
        index = 0
        while self._skip_blank() and self._peek() != "]":
            if self._peek() == ",":
                self._step()
                index += 1
            else:
                self.lines.setdefault((*path, index), self.line)
                self._value((*path, index))
        self._step()

    def _inline(self, path: KeyPath) -> None:
        self._step()
        while self._skip_blank() and self._peek() != "}":
            if self._peek() == ",":
                self._step()
            else:
                self._pair(path, inline=True)
        self._step()

    def _string(self) -> None:
        quote = self._peek()
        mark = quote * 3 if self._peek(3) == quote * 3 else quote
        self._step(len(mark))
        while self._peek(len(mark)) != mark:
            self._step(2 if quote == '"' and self._peek() == "\\" else 1)
        self._step(len(mark))
        while len(mark) == 3 and self._peek() == quote:  # a string may end in up to two quotes of its own
            self._step()
