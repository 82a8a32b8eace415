"""metrics.jsonl under damage: cut anywhere, altered anywhere, read in any pieces."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from goe.core.records import Metric, MetricsTail, metric_line, split_records

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(['{"kind"', ',"crc":"', "loss"])
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
METRICS = st.builds(
    Metric,
    kind=st.sampled_from(["train", "train", "epoch", "resume"]),
    epoch=st.integers(0, 300),
    step=st.integers(0, 50),
    time=NUMBERS,
    values=st.dictionaries(NAMES, NUMBERS | st.none(), max_size=3),
)
RECORDS = st.lists(METRICS, min_size=1, max_size=8)


def replay(records: list[Metric]) -> list[Metric]:
    """What a watcher should show after these records."""
    shown: list[Metric] = []
    for record in records:
        if record.kind == "resume":
            shown = [old for old in shown if old.step <= record.step]
        else:
            shown.append(record)
    return shown


def watch(*pieces: bytes) -> MetricsTail:
    """A tail that polled after each piece was appended."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.jsonl"
        tail = MetricsTail(path)
        for piece in pieces:
            with path.open("ab") as file:
                file.write(piece)
            tail.poll()
    return tail


@settings(deadline=None)
@given(records=RECORDS)
def test_what_was_written_is_read(records: list[Metric]) -> None:
    data = b"".join(map(metric_line, records))
    assert data.count(b"\n") == len(records)
    assert list(split_records(data)) == records
    tail = watch(data)
    assert (tail.records, tail.bad) == (replay(records), 0)


@settings(deadline=None, max_examples=200)
@given(records=RECORDS, place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_one_altered_byte_costs_at_most_one_record(records: list[Metric], place: float, change: int) -> None:
    data = bytearray(b"".join(map(metric_line, records)))
    data[int(place * len(data))] ^= change
    tail = watch(bytes(data))
    without_one = [records[:lost] + records[lost + 1 :] for lost in range(len(records))]
    assert tail.records in [replay(records), *map(replay, without_one)]
    assert tail.bad <= 2  # two when a line break was put into a record


@settings(deadline=None)
@given(records=RECORDS, place=st.floats(0, 1))
def test_a_cut_file_gives_all_its_complete_lines(records: list[Metric], place: float) -> None:
    lines = [metric_line(record) for record in records]
    data = b"".join(lines)
    cut = round(place * len(data))
    complete = sum(sum(map(len, lines[: count + 1])) <= cut for count in range(len(lines)))
    tail = watch(data[:cut])
    assert (tail.records, tail.bad) == (replay(records[:complete]), 0)


@settings(deadline=None)
@given(before=RECORDS, after=RECORDS, place=st.floats(0, 1, exclude_max=True))
def test_a_line_cut_by_a_crash_costs_nothing_else(before: list[Metric], after: list[Metric], place: float) -> None:
    last = metric_line(before[-1])
    data = b"".join(map(metric_line, before))[: -len(last)] + last[: int(place * len(last))]
    tail = watch(data, b"".join(map(metric_line, after)))
    assert tail.records in [replay(before[:-1] + after), replay(before + after)]
    assert tail.bad <= 1


@settings(deadline=None)
@given(
    records=RECORDS, cuts=st.lists(st.floats(0, 1), max_size=6), damage=st.none() | st.floats(0, 1, exclude_max=True)
)
def test_pieces_give_the_same_as_one_read(records: list[Metric], cuts: list[float], damage: float | None) -> None:
    data = bytearray(b"".join(map(metric_line, records)))
    if damage is not None:
        data[int(damage * len(data))] ^= 0x20
    ends = sorted(round(cut * len(data)) for cut in cuts)
    pieces = [bytes(data[start:end]) for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]
    one, many = watch(bytes(data)), watch(*pieces)
    assert (many.records, many.bad) == (one.records, one.bad)
