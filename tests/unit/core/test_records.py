"""metrics.jsonl read back whole, cut and altered."""

import json
from pathlib import Path

import msgspec
import pytest

from goe.core.records import Metric, MetricsTail, metric_line, series, split_records


def train(step: int, loss: float | None = 0.5) -> Metric:
    return Metric(kind="train", epoch=step // 10, step=step, time=1000.25 + step, values={"loss": loss})


def resume(step: int) -> Metric:
    return Metric(kind="resume", epoch=step // 10, step=step, time=2000.0)


def read(data: bytes) -> list[Metric | None]:
    return list(split_records(data))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def test_a_line_is_plain_json_with_its_checksum_last() -> None:
    line = metric_line(train(3))
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    plain = json.loads(line)
    assert list(plain) == ["kind", "epoch", "step", "time", "values", "crc"]
    assert plain["values"] == {"loss": 0.5}
    assert read(line) == [train(3)]


def test_lines_without_a_checksum_are_read_too() -> None:
    assert read(msgspec.json.encode(train(3)) + b"\n" + metric_line(train(4))) == [train(3), train(4)]


def test_nothing_and_blank_lines_hold_no_record() -> None:
    assert read(b"") == []
    assert read(b"\n\n" + metric_line(train(1)) + b"\n") == [train(1)]


@pytest.mark.parametrize("text", ['{"kind"', ',"crc":"00000000"}', 'a"b\\', "\n", "é\u2028\x00"])
def test_names_that_look_like_marks_do_no_harm(text: str) -> None:
    record = msgspec.structs.replace(train(1), values={text: 1.0})
    assert read(metric_line(record) * 2) == [record, record]


def test_any_altered_byte_costs_at_most_its_own_record() -> None:
    """All 255 ways to alter each byte of three lines: nothing is invented and no other record suffers."""
    records = [train(11), resume(10), train(12)]
    lines = [metric_line(record) for record in records]
    data = b"".join(lines)
    allowed = [records] + [records[:lost] + records[lost + 1 :] for lost in range(3)]
    kept_all = 0
    for at in range(len(data)):
        for other in range(256):
            if other == data[at]:
                continue
            found = read(data[:at] + bytes([other]) + data[at + 1 :])
            good = [record for record in found if record is not None]
            assert good in allowed, (at, other)
            assert 1 <= found.count(None) <= 2 or good == records, (at, other)
            kept_all += good == records
    assert kept_all < 0.2 * 255 * len(data)  # only damage to a line break or to the checksum's name is harmless


@pytest.mark.parametrize("cut", range(1, len(metric_line(train(1)))))
def test_a_line_cut_by_a_crash_costs_the_next_one_nothing(cut: int) -> None:
    found = read(metric_line(train(1)) + metric_line(train(2))[:cut] + metric_line(resume(1)) + metric_line(train(3)))
    # With only its line break cut off, the record itself is whole.
    lost = [train(2)] if cut == len(metric_line(train(2))) - 1 else [None]
    assert found == [train(1), *lost, resume(1), train(3)]


def test_bytes_that_are_no_utf8_are_one_bad_record() -> None:
    bad = b'{"kind":"tr\xffin","epoch":1,"step":1,"time":1}\n'
    assert read(metric_line(train(1)) + bad + metric_line(train(2))) == [train(1), None, train(2)]


def test_a_block_of_zeros_is_one_bad_record() -> None:
    assert read(metric_line(train(1)) + bytes(4096) + metric_line(train(2))) == [train(1), None, train(2)]


def test_tail_of_a_missing_file_is_empty(path: Path) -> None:
    tail = MetricsTail(path)
    assert tail.poll() is False
    assert (tail.records, tail.bad) == ([], 0)


def test_tail_waits_for_the_end_of_a_line(path: Path) -> None:
    tail = MetricsTail(path)
    line = metric_line(train(1))
    path.write_bytes(line[:20])
    assert tail.poll() is False
    assert (tail.records, tail.bad) == ([], 0)
    path.write_bytes(line + b'{"kind"')
    assert tail.poll() is True
    assert (tail.records, tail.bad) == ([train(1)], 0)
    assert tail.poll() is False
    assert tail.records == [train(1)]


def test_tail_reads_only_what_is_new(path: Path) -> None:
    path.write_bytes(metric_line(train(1)) + b"damage\n")
    tail = MetricsTail(path)
    tail.poll()
    with path.open("r+b") as file:  # what was read is not read again
        file.write(b"x")
        file.seek(0, 2)
        file.write(metric_line(train(2)))
    assert tail.poll() is True
    assert (tail.records, tail.bad) == ([train(1), train(2)], 1)


def test_a_resume_takes_back_what_was_lost(path: Path) -> None:
    steps = [metric_line(train(step)) for step in (10, 20, 30)]
    path.write_bytes(b"".join(steps) + metric_line(resume(20)) + metric_line(train(25)))
    tail = MetricsTail(path)
    tail.poll()
    assert [record.step for record in tail.records] == [10, 20, 25]


def test_a_file_made_anew_is_read_from_its_start(path: Path) -> None:
    path.write_bytes(metric_line(train(1)) + metric_line(train(2)) + b"bad\n")
    tail = MetricsTail(path)
    tail.poll()
    assert len(tail.records) == 2
    beside = path.with_name("beside")
    beside.write_bytes(metric_line(train(7)) * 9)
    beside.replace(path)
    assert tail.poll() is True
    assert (tail.records, tail.bad) == ([train(7)] * 9, 0)


def test_a_file_cut_short_is_read_again(path: Path) -> None:
    path.write_bytes(metric_line(train(1)) + metric_line(train(2)))
    tail = MetricsTail(path)
    tail.poll()
    path.write_bytes(metric_line(train(1)))
    assert tail.poll() is True
    assert tail.records == [train(1)]
    path.write_bytes(b"")
    assert tail.poll() is True
    assert tail.records == []
    assert tail.poll() is False


def test_series_skips_records_without_the_value() -> None:
    epoch = Metric(kind="epoch", epoch=1, step=10, time=1.0, values={"loss": 9.0, "accuracy": 0.5})
    records = [train(1, 0.25), train(2, None), epoch, train(3, 0.0)]
    assert series(records, "loss", "train") == ([1.0, 3.0], [0.25, 0.0])
    assert series(records, "loss", "epoch") == ([10.0], [9.0])
    assert series(records, "accuracy", "train") == ([], [])
