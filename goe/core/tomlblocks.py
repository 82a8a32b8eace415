"""TOML text cut into blocks, a table with its header each, that are put in, taken out and exchanged as plain text.

Comment lines directly above a header belong to it and go along with it; so do those directly below its last line. A
comment between blank lines belongs to its place in the file and stays. Editor directives (`#:schema …`) always stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from goe.core.tomlpos import KeyPath, Layout, layout


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a text, of whole lines but for the last line's end."""

    path: KeyPath
    start: int
    header: int
    """Where the line with the header begins, past the comments above it."""
    end: int

    def of(self, text: str) -> str:
        """The block's own text."""
        return text[self.start : self.end]


def line_start(text: str, at: int) -> int:
    """Where the line around `at` begins."""
    return text.rfind("\n", 0, at) + 1


def line_end(text: str, at: int) -> int:
    """Where the line around `at` ends, before its line end of either kind."""
    end = text.find("\n", at)
    if end < 0:
        return len(text)
    return end - 1 if end > 0 and text[end - 1] == "\r" else end


def newline_of(text: str) -> str:
    """The line end that the text uses first."""
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def sections(text: str) -> list[Block]:
    """A block for each header, in the text's order."""
    found = layout(text)
    begins = [line_start(text, header.start) for header in found.headers]
    ends = _content_ends(text, found)
    blocks: list[Block] = []
    for number, (header, begin) in enumerate(zip(found.headers, begins, strict=True)):
        start = _comments_above(text, begin, ends[number])
        following = begins[number + 1] if number + 1 < len(begins) else len(text)
        if number + 1 < len(begins):
            following = _comments_above(text, following, ends[number + 1])
        blocks.append(Block(header.path, start, begin, _comments_below(text, ends[number + 1], following)))
    return blocks


def _content_ends(text: str, found: Layout) -> list[int]:
    """Where the lines before the first header end, and those of each table: keys, values and comments beside them."""
    ends = [0] + [line_end(text, header.end) for header in found.headers]
    starts = [header.start for header in found.headers]
    number = 0
    for pair in found.pairs:
        while number < len(starts) and starts[number] < pair.start:
            number += 1
        ends[number] = max(ends[number], line_end(text, pair.end))
    return ends


def _comments_above(text: str, at: int, limit: int) -> int:
    """The beginning of the comment lines that end where the line at `at` begins, not before `limit`."""
    while at > limit:
        above = line_start(text, at - 1)
        line = text[above:at].strip()
        if above < limit or not line.startswith("#") or line.startswith("#:"):
            break
        at = above
    return at


def _comments_below(text: str, at: int, limit: int) -> int:
    """The end of the comment lines that follow the line ending at `at`, not past `limit`."""
    while True:
        begin = text.find("\n", at) + 1
        if not 0 < begin < limit or not text[begin:limit].lstrip(" \t").startswith("#"):
            return at
        at = line_end(text, begin)


def insert_block(text: str, at: int, block: str) -> str:
    """`block` put before the line that begins at `at`, or at the end, a blank line between it and what is above."""
    newline = newline_of(text)
    above = _filled_end(text, at)
    if above is not None:
        return text[:above] + newline * 2 + block + text[above:]
    return text[:at] + block + (newline * 2 if text[at:].strip() else newline) + text[at:]


def cut_block(text: str, block: Block) -> str:
    """`text` without `block` and without the blank lines above it, or below if it is the first thing."""
    above = _filled_end(text, block.start)
    if above is not None:
        return _keep_apart(text[:above], text[block.end :], newline_of(text))
    rest = text[block.end :]
    return text[: block.start] + rest[line_start(rest, len(rest) - len(rest.lstrip())) :] if rest.strip() else ""


def reorder(text: str, blocks: Sequence[Block], order: Sequence[int]) -> str:
    """`text` with block `order[i]` in the place of block `i`; what is between the places stays."""
    newline, result = newline_of(text), ""
    ends = [block.start for block in blocks[1:]] + [len(text)]
    for place in reversed(range(len(blocks))):
        result = text[blocks[place].end : ends[place]] + result
        result = _keep_apart(blocks[order[place]].of(text), result, newline)
    return text[: blocks[0].start] + result


def _filled_end(text: str, at: int) -> int | None:
    """Where the last line before `at` that is not blank ends; None if all are."""
    filled = text[:at].rstrip()
    return line_end(text, len(filled)) if filled else None


def _keep_apart(above: str, below: str, newline: str) -> str:
    """The two put together; a comment that ends `above` is kept from becoming one of a header in `below`."""
    last = above[line_start(above, len(above)) :].strip()
    gap = below[: len(below) - len(below.lstrip())]
    tight = gap.count("\n") == 1 and below.strip()
    belongs = last.startswith("#") and not last.startswith("#:")
    return above + (newline if tight and belongs else "") + below
