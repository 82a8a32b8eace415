"""Lines of a log of any size, by the bytes where they begin: looked for from any place, either way, in parts."""

from typing import BinaryIO

from goe.core.logfile import MAX_LINE_LENGTH, shown, whole
from tui.messages import LogLine
from tui.reading.logpattern import Pattern

LONGEST = 16 * 2**20
"""Bytes; a longer line (a binary file has them) is shown as several."""
BUDGET = 4 * 2**20
"""Bytes read in one call, unless a single line takes more: about 10 ms."""
_BLOCK = 256 * 1024
_BEFORE = 40
"""Characters shown before what was searched for, where a line is too long to be shown from its start."""


def line_start(file: BinaryIO, place: int) -> int:
    """Where the line that holds byte `place` begins; `place` itself within a line that is too long."""
    end = place
    while end > max(0, place - LONGEST):
        begin = max(0, end - _BLOCK)
        found = _read(file, begin, end).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0 if end == 0 else place


def forwards(file: BinaryIO, start: int, stop: int, count: int, wanted: Pattern | None = None) -> list[LogLine]:
    """At most `count` lines from `start` to before `stop`; fewer where they are long, but one if there is one.

    Of a line too long to be shown whole, the part is shown where `wanted` stands.
    """
    blocks: list[bytes] = []
    place, breaks = start, 0
    while place < stop and breaks < count and _goes_on(place - start, breaks, 1):
        blocks.append(_read(file, place, min(place + _BLOCK, stop)))
        if not blocks[-1]:
            break  # the file was cut meanwhile
        place += len(blocks[-1])
        breaks += blocks[-1].count(b"\n")
    data = b"".join(blocks)
    if breaks and (breaks > count or place < stop):
        data = data[: data.rfind(b"\n") + 1]  # what follows was not read to its end
    return _lines(data, start, wanted)[:count]


def backwards(file: BinaryIO, end: int, count: int, wanted: Pattern | None = None) -> list[LogLine]:
    """At most `count` lines before `end`, where a line begins or the file ends, in the file's order; as `forwards`."""
    blocks: list[bytes] = []
    place, breaks = end, 0
    while place > 0 and breaks <= count and _goes_on(end - place, breaks, 2):
        begin = max(0, place - _BLOCK)
        blocks.append(_read(file, begin, place))
        breaks += blocks[-1].count(b"\n")
        place = begin
    data = b"".join(reversed(blocks))
    first = data.find(b"\n") + 1
    if place > 0 and first < len(data):
        data, place = data[first:], place + first
    return _lines(data, place, wanted)[-count:] if count else []


def _goes_on(taken: int, breaks: int, needed: int) -> bool:
    return taken < BUDGET or (breaks < needed and taken < LONGEST)


def _read(file: BinaryIO, begin: int, end: int) -> bytes:
    file.seek(begin)
    return file.read(end - begin)


def _lines(data: bytes, start: int, wanted: Pattern | None) -> list[LogLine]:
    found = []
    for raw in _split(data):
        text = _part(raw.removesuffix(b"\n"), wanted) or shown(raw.removesuffix(b"\n"))
        found.append(LogLine(start, start + len(raw), text, raw.endswith(b"\n")))
        start += len(raw)
    return found


def _part(raw: bytes, wanted: Pattern | None) -> str:
    """Of a long line the part where `wanted` stands first; empty if it stands in what is shown of any line."""
    if wanted is None or len(raw) <= MAX_LINE_LENGTH or wanted.surely_absent(raw):
        return ""
    text = whole(raw)
    span = wanted.first(text)
    if span is None or span[1] <= MAX_LINE_LENGTH:
        return ""
    start = max(0, span[0] - _BEFORE)
    rest = len(text) - start - MAX_LINE_LENGTH
    shown_part = text[start : start + MAX_LINE_LENGTH]
    return f"[{start:,} characters] …{shown_part}" + (f"… [{rest:,} more characters]" if rest > 0 else "")


def _split(data: bytes) -> list[bytes]:
    """At line breaks alone: a carriage return ends no line."""
    *whole, rest = data.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])
