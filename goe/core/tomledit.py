"""One key of a TOML text set or taken out, every other byte left as it is.

tomlkit's own containers write wrong TOML when a dotted key leaves an inline table, and put new keys below comments that
belong to the next table; so values are spliced into the text at the places that `tomlpos` finds.
"""

import re
from collections.abc import Sequence

import tomli
from tomlkit.items import SingleKey

from goe.core.config import spell_out
from goe.core.errors import ConfigError
from goe.core.tomlblocks import cut_block, line_end, line_start, newline_of, sections
from goe.core.tomlpos import KeyPath, Layout, Pair, layout

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def set_key(text: str, table: KeyPath, key: tuple[str, ...], value: str) -> str:
    """`key` within `table` set to `value`, which is TOML, be it written on a line, inline, dotted or in a sub-table.

    What is not there yet becomes a line below the keys nearest to it. Raises ConfigError if a part of `key` holds
    something other than a table.
    """
    path = (*table, *key)
    found = layout(text)
    exact = _pair_at(found, path)
    if exact is not None:
        return text[: exact.value] + value + text[exact.end :]
    if is_written(found, path):  # as dotted keys or sub-tables, which the value replaces
        text = unset_key(text, table, key)
        found = layout(text)
    for end in range(len(path) - 1, len(table) - 1, -1):
        holder = _pair_at(found, path[:end])
        if holder is not None:
            return _set_within(text, found, holder, path, value, first=end == len(table) + 1)
    return _add_line(text, found, table, path, value)


def unset_key(text: str, table: KeyPath, key: tuple[str, ...]) -> str:
    """`text` without `key` of `table` and all within it; an inline table left empty by that goes too."""
    path = (*table, *key)
    while is_written(layout(text), path):
        text = _take_out(text, table, path)
    return text


def is_written(found: Layout, path: KeyPath) -> bool:
    """Whether `path`, or something within it, stands in the text."""
    written = [header.path for header in found.headers] + [pair.path for pair in found.pairs]
    return any(each[: len(path)] == path for each in written)


def spell_key(key: Sequence[str | int]) -> str:
    """A dotted key as TOML, its parts quoted where they must be."""
    parts = [str(part) for part in key]
    return ".".join(part if _BARE.fullmatch(part) else SingleKey(part).as_string() for part in parts)


def _pair_at(found: Layout, path: KeyPath) -> Pair | None:
    return next((pair for pair in found.pairs if pair.path == path), None)


def _set_within(text: str, found: Layout, holder: Pair, path: KeyPath, value: str, *, first: bool) -> str:
    """The rest of `path` set in the pair `holder`: in its inline table, or in that which its short form stands for.

    `first`: the holder is a key of the experiment itself, where short forms are allowed.
    """
    rest = path[len(holder.path) :]
    new = f"{spell_key(rest)} = {value}"
    if text[holder.value] == "{":
        inner = [pair for pair in found.pairs if pair.inline and pair.table == holder.path]
        if inner:
            at = _nearest(inner, path).end
            return f"{text[:at]}, {new}{text[at:]}"
        at = holder.value + 1
        return f"{text[:at]} {new}{'' if text[at].isspace() else ' '}{text[at:]}"
    name, written = str(holder.path[-1]), text[holder.value : holder.end]
    spelt = spell_out({name: tomli.loads(f"value = {written}")["value"]})[name] if first else None
    if not isinstance(spelt, dict):
        raise ConfigError([f"{name}: it is {written} here, no table; {spell_key(rest)} can't be set within it"])
    (stands_for,) = spelt
    return f"{text[: holder.value]}{{ {stands_for} = {written}, {new} }}{text[holder.end :]}"


def _add_line(text: str, found: Layout, table: KeyPath, path: KeyPath, value: str) -> str:
    """A line for `path` in the innermost table that has a header, or beside its dotted siblings before any header."""
    headers = [header for header in found.headers if header.path == path[: len(header.path)]]
    home = max(headers, key=lambda header: len(header.path), default=None)
    where: KeyPath = home.path if home is not None and len(home.path) >= len(table) else ()
    lines = [pair for pair in found.pairs if not pair.inline and pair.table == where]
    begin, at = (home.start, line_end(text, home.end)) if home is not None and where else (0, 0)
    if lines:
        nearest = _nearest(lines, path)
        begin, at = nearest.start, line_end(text, nearest.end)
    indent = text[line_start(text, begin) : begin]
    return f"{text[:at]}{newline_of(text)}{indent}{spell_key(path[len(where) :])} = {value}{text[at:]}"


def _nearest(pairs: Sequence[Pair], path: KeyPath) -> Pair:
    """The last of those that share the longest beginning with `path`."""

    def shared(pair: Pair) -> int:
        parts = zip(pair.path, path, strict=False)
        return next((number for number, (one, other) in enumerate(parts) if one != other), len(pair.path))

    return max(reversed(pairs), key=shared)


def _take_out(text: str, table: KeyPath, path: KeyPath) -> str:
    """The first sub-table or pair at or within `path` taken out."""
    block = next((block for block in sections(text) if block.path[: len(path)] == path), None)
    if block is not None:
        return cut_block(text, block)
    found = layout(text)
    pair = next(pair for pair in found.pairs if pair.path[: len(path)] == path)
    while pair.inline:
        around = [other for other in found.pairs if other.inline and other.table == pair.table]
        holder = _pair_at(found, pair.table)
        if len(around) > 1 or holder is None or len(pair.table) <= len(table):
            return _take_out_inline(text, around, pair)
        pair = holder
    start, end = line_start(text, pair.start), line_end(text, pair.end)
    if start > 0:  # with the line end before it, so that a last line without one stays so
        return text[: line_end(text, start - 1)] + text[end:]
    return text[line_end(text, end) :].removeprefix("\r").removeprefix("\n")


def _take_out_inline(text: str, around: Sequence[Pair], pair: Pair) -> str:
    """`pair` taken out of the inline table with the pairs `around`, with one comma or its line."""
    number = around.index(pair)
    begin, end = line_start(text, pair.start), line_end(text, pair.end)
    if not text[begin : pair.start].strip() and re.fullmatch(r"\s*,?\s*(#.*)?", text[pair.end : end]):
        return text[: line_end(text, begin - 1)] + text[end:]  # a line of its own, as TOML 1.1 allows
    if number + 1 < len(around):
        return text[: pair.start] + text[around[number + 1].start :]
    before = around[number - 1].end if number else pair.start
    if "\n" in text[before : pair.start]:
        return text[: pair.start] + text[pair.end :]
    return text[:before].rstrip() + text[pair.end :]
