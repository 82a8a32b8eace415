"""metrics.jsonl under damage: cut anywhere, altered anywhere, read in any pieces."""

import tempfile
from collections.abc import Iterator
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


SMALL = [
    Metric(kind="train", epoch=1, step=4, time=1000.5, values={"loss": 2.25, "lr": 0.1}),
    Metric(kind="epoch", epoch=1, step=8, time=1001.0, values={"loss": 1.5, "val/accuracy": None}),
    Metric(kind="train", epoch=2, step=12, time=1002.0, values={"loss": 1.0}),
    Metric(kind="resume", epoch=1, step=8, time=1100.0),
    Metric(kind="train", epoch=2, step=12, time=1101.0, values={"loss": 0.75}),
]


def damaged(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Each byte missing, and there twice."""
    for at in range(len(data)):
        yield f"{at} missing", data[:at] + data[at + 1 :]
        yield f"{at} twice", data[: at + 1] + data[at:]


def altered(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Each byte altered in every way."""
    for at, byte in enumerate(data):
        for other in range(256):
            if other != byte:
                yield f"{at} as {other}", data[:at] + bytes([other]) + data[at + 1 :]


def test_no_byte_missing_or_doubled_costs_more_than_one_record_or_passes_unseen(tmp_path: Path) -> None:
    """Exhaustive. What a lost `resume` took back is shown again; nothing else differs, and the loss is counted."""
    data = b"".join(map(metric_line, SMALL))
    shown = [replay(SMALL), *(replay(SMALL[:lost] + SMALL[lost + 1 :]) for lost in range(len(SMALL)))]
    path = tmp_path / "metrics.jsonl"
    harmless = 0
    for what, bytes_ in damaged(data):
        path.write_bytes(bytes_)
        tail = MetricsTail(path)
        tail.poll()
        assert tail.records in shown, what
        whole = tail.records == shown[0]
        assert whole or tail.bad + tail.cut == 1, what
        harmless += whole
    assert harmless < len(data) / 2  # of 2 len(data)


def test_no_altered_byte_costs_more_than_one_record_or_passes_unseen() -> None:
    """Exhaustive, as above. A line break put into a record makes two bad ones of it."""
    data = b"".join(map(metric_line, SMALL))
    shown = [SMALL, *(SMALL[:lost] + SMALL[lost + 1 :] for lost in range(len(SMALL)))]
    harmless = 0
    for what, bytes_ in altered(data):
        complete = bytes_[: bytes_.rfind(b"\n") + 1]
        found = list(split_records(complete))
        good = [record for record in found if record is not None]
        assert good in shown, what
        assert good == SMALL or 1 <= found.count(None) + (complete != bytes_) <= 2, what
        harmless += good == SMALL
    assert harmless < 255 * len(data) / 4
