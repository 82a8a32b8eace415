"""A first look at a long `metrics.jsonl`: records from all over it, long before it is read whole."""

import os
from collections.abc import Iterator
from pathlib import Path

from goe.core.records import Metric, split_records

BLOCKS = 256
"""Places that are looked at: about as many as a chart has dot columns."""


def glance(path: Path, start: int, end: int, block: int) -> Iterator[Metric]:
    """The whole records in blocks of `block` bytes, evenly spread from `start`, where a line begins, to `end`.

    Steps never fall: where a later block goes on from an earlier step, training was resumed between them, so a
    `resume` is put there. Raises OSError if the file can't be read.
    """
    highest = 0
    for data in _blocks(path, start, end, block):
        found = [record for record in split_records(data) if record is not None]
        if found and found[0].step < highest:
            yield Metric(kind="resume", epoch=found[0].epoch, step=found[0].step - 1, time=found[0].time)
        yield from found
        highest = found[-1].step if found else highest


def _blocks(path: Path, start: int, end: int, block: int) -> Iterator[bytes]:
    """The whole lines of each block."""
    count = max(1, min(BLOCKS, (end - start) // block))
    room = max(0, end - start - block)
    with path.open("rb") as file:
        for number in range(count):
            place = start + room * number // max(1, count - 1)
            data = os.pread(file.fileno(), block, place)
            first = data.find(b"\n") + 1 if place > start else 0
            yield data[first : data.rfind(b"\n") + 1]
