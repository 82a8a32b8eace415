"""A run's records as columns, read as they come: the same as MetricsTail reads, however the file grows or breaks."""

import math
import queue
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from runfolder import Lab

import tui.reading.curves
from goe.core.linetail import LineTail
from goe.core.records import Metric, MetricsTail, metric_line
from goe.core.rundir import RunDir
from tui.curves.columns import Columns, RunCurves
from tui.curves.growing import MOST_METRICS, RecordTable
from tui.poller import Poller
from tui.reading.curves import CurveReader
from tui.reading.glance import glance


def train(step: int, **values: float | None) -> Metric:
    return Metric(
        kind="train", epoch=1 + step // 10, step=step, time=1000.5 + step, values=values or {"loss": 1 / step}
    )


def epoch(step: int) -> Metric:
    return Metric(kind="epoch", epoch=step // 10, step=step, time=1000.75 + step, values={"val/loss": 2 / step})


def resume(step: int) -> Metric:
    return Metric(kind="resume", epoch=step // 10, step=step, time=5000.0)


def lines(*records: Metric) -> bytes:
    return b"".join(map(metric_line, records))


def add(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def rows(columns: Columns) -> list[tuple[float, float, float, dict[str, float]]]:
    """Each record as it was, without the numbers that are none."""
    marks = zip(columns.step.tolist(), columns.epoch.tolist(), columns.time.tolist(), strict=True)
    return [
        (*mark, {name: float(column[i]) for name, column in columns.values.items() if math.isfinite(column[i])})
        for i, mark in enumerate(marks)
    ]


def expected(records: list[Metric], kind: str) -> list[tuple[float, float, float, dict[str, float]]]:
    return [
        (one.step, one.epoch, one.time, {name: value for name, value in one.values.items() if value is not None})
        for one in records
        if one.kind == kind
    ]


def settle(reader: CurveReader) -> RunCurves | None:
    """What the reader said last, once it has no more to read."""
    found = reader.read()
    while reader.period < 0.1:
        found = reader.read() or found
    return found


def check(reader: CurveReader, last: RunCurves) -> None:
    """The reader's last word is what MetricsTail reads."""
    tail = MetricsTail(reader.run.metrics_file)
    tail.poll()
    assert rows(last.train) == expected(tail.records, "train")
    assert rows(last.epochs) == expected(tail.records, "epoch")
    assert (last.bad, last.cut, last.read, last.problem) == (tail.bad, tail.cut, 1.0, None)


@pytest.fixture
def run(lab: Lab) -> RunDir:
    return lab.queued()


def test_a_run_without_records_is_said_once(run: RunDir) -> None:
    reader = CurveReader(run)
    found = reader.read()
    assert found is not None
    assert (found.run_id, len(found.train.step), len(found.epochs.step), found.read) == (run.run_id, 0, 0, 1.0)
    assert reader.read() is None


def test_follows_a_file_that_grows(run: RunDir) -> None:
    reader = CurveReader(run)
    reader.read()
    seen: list[tuple[RunCurves, object]] = []
    steps = [
        lines(train(1), train(2, loss=None, lr=0.1), epoch(10)),
        lines(train(11)) + b"damage\n",
        lines(train(12))[:30],  # a line being written
        lines(train(12))[30:],
        lines(*(train(step) for step in range(13, 3000))),
        lines(resume(10), train(11, loss=9.0)),
        lines(epoch(20), resume(0)),
        b'{"kind":"train"',
    ]
    for data in steps:
        add(run.metrics_file, data)
        found = settle(reader)
        assert found is not None
        check(reader, found)
        assert reader.read() is None
        seen.append((found, rows(found.train)))
        assert all(rows(old.train) == before for old, before in seen)  # nothing that came later changed it


def test_what_is_shown_cannot_be_written_to(run: RunDir) -> None:
    run.metrics_file.write_bytes(lines(train(1)))
    found = CurveReader(run).read()
    assert found is not None
    for column in (found.train.step, found.train.epoch, found.train.time, found.train.values["loss"]):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 7


def replace_by_another(path: Path) -> None:
    beside = path.with_name("beside")
    beside.write_bytes(lines(*(train(step) for step in range(1, 90))))
    beside.replace(path)


def shrink(path: Path) -> None:
    path.write_bytes(lines(train(5)))


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("change", [replace_by_another, shrink, empty])
def test_a_file_that_is_no_longer_the_same_is_read_anew(run: RunDir, change: Callable[[Path], None]) -> None:
    run.metrics_file.write_bytes(lines(train(1), train(2), epoch(10)) + b"bad\n")
    reader = CurveReader(run)
    reader.read()
    change(run.metrics_file)
    found = settle(reader)
    assert found is not None
    check(reader, found)


def test_a_file_that_is_gone_leaves_what_was_read(run: RunDir) -> None:
    run.metrics_file.write_bytes(lines(train(1), train(2)))
    reader = CurveReader(run)
    assert reader.read() is not None
    run.metrics_file.unlink()
    assert reader.read() is None
    run.metrics_file.mkdir()
    found = reader.read()
    assert found is not None
    assert found.problem == f"{run.metrics_file}: can't be read: Is a directory"
    assert found.train.step.tolist() == [1, 2]
    assert reader.read() is None
    run.metrics_file.rmdir()
    run.metrics_file.write_bytes(lines(*map(train, range(3, 9))))
    found = reader.read()
    assert found is not None
    check(reader, found)


def test_any_damage_costs_what_it_costs_elsewhere(run: RunDir) -> None:
    """Every byte altered, missing and doubled, read in one go and in two."""
    data = lines(train(4), epoch(10), train(12), resume(10), train(11, loss=0.5))
    for at in range(0, len(data), 3):
        for damaged in (data[:at] + b"\n" + data[at + 1 :], data[:at] + data[at + 1 :], data[: at + 1] + data[at:]):
            run.metrics_file.write_bytes(damaged[:at])
            reader = CurveReader(run)
            first = reader.read()
            add(run.metrics_file, damaged[at:])
            found = reader.read() or first
            assert found is not None
            check(reader, found)


@pytest.mark.parametrize("member", ["step", "epoch"])
def test_numbers_too_large_for_a_column_are_bad_records(run: RunDir, member: str) -> None:
    huge = lines(train(2)).replace(f'"{member}":'.encode(), f'"{member}":{"9" * 400}'.encode())
    huge = huge[: huge.index(b',"crc"')] + b"}\n"
    run.metrics_file.write_bytes(lines(train(1)) + huge + lines(train(3)))
    found = CurveReader(run).read()
    assert found is not None
    assert (found.train.step.tolist(), found.bad, found.problem) == ([1, 3], 1, None)


@pytest.mark.parametrize(("sign", "left"), [("", 2), ("-", 0)])
def test_a_resume_from_a_step_beyond_all_columns(run: RunDir, sign: str, left: int) -> None:
    line = f'{{"kind":"resume","epoch":1,"step":{sign}{"9" * 400},"time":1}}\n'.encode()
    run.metrics_file.write_bytes(lines(train(1), train(2)) + line)
    found = CurveReader(run).read()
    assert found is not None
    assert (len(found.train.step), found.problem) == (left, None)


def test_more_metrics_than_any_run_has_are_left_out() -> None:
    table = RecordTable()
    table.add([train(1, **{f"m{number}": 1.0 for number in range(MOST_METRICS + 9)}), train(2)])
    found = table.train.snapshot()
    assert (len(found.values), len(found.step)) == (MOST_METRICS, 2)


def test_a_metric_that_comes_late_or_goes_is_told_from_one_that_is_none() -> None:
    table = RecordTable()
    table.add([train(1, a=1.0), train(2, a=None, b=2.0), train(3, b=3.0)])
    table.add([train(4, c=4.0)])
    values = {name: column.tolist() for name, column in table.train.snapshot().values.items()}
    nan = pytest.approx(math.nan, nan_ok=True)
    assert values == {"a": [1, math.inf, nan, nan], "b": [nan, 2, 3, nan], "c": [nan, nan, nan, 4]}


def long_file(path: Path, count: int) -> list[Metric]:
    """A file of a resumed run, whose loss tells its step."""
    done = [train(step, loss=float(step), lr=0.1) for step in range(1, count)]
    again = [train(step, loss=float(step), lr=0.2) for step in range(count // 2, count)]
    records = [*done, resume(count // 2 - 1), *again]
    path.write_bytes(lines(*records))
    return records


def test_a_long_file_is_seen_whole_before_it_is_read(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tui.reading.curves, "SLICE", 16 * 1024)
    monkeypatch.setattr(tui.reading.curves, "LONG", 64 * 1024)
    monkeypatch.setattr(tui.reading.curves, "ROWS", 500)
    long_file(run.metrics_file, 12_000)
    reader = CurveReader(run)
    first = reader.read()
    assert first is not None
    assert 0 < first.read < 0.02
    assert first.train.step[-1] == 11_999  # the newest value is there at once
    assert (first.train.values["loss"] == first.train.step).all()
    assert np.diff(first.train.step).min() > 0
    assert np.diff(first.train.step).max() < 12_000 / 50
    assert not first.cut
    reads, said = 0, []
    while reader.period < 0.1:
        reads += 1
        if (found := reader.read()) is not None:
            said.append(found)
    assert reads > 50
    assert len(said) < reads / 4  # a screen that draws each slice would read for minutes
    assert [one.read for one in said] == sorted(one.read for one in said)
    check(reader, said[-1])
    assert reader.read() is None


def test_the_poller_reads_on_until_all_is_there(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tui.reading.curves, "SLICE", 16 * 1024)
    long_file(run.metrics_file, 3000)
    said: queue.SimpleQueue[object] = queue.SimpleQueue()
    poller = Poller(lambda news: said.put(news.what))
    poller.follow("curves", CurveReader(run))
    thread = threading.Thread(target=poller.run)
    thread.start()
    try:
        found = said.get(timeout=20)
    finally:
        poller.stop()
        thread.join(5)
    assert isinstance(found, RunCurves)
    check(CurveReader(run), found)


def test_a_short_file_is_read_without_a_first_look(run: RunDir) -> None:
    run.metrics_file.write_bytes(lines(*(train(step) for step in range(1, 5000))))
    reader = CurveReader(run)
    said = [reader.read()]
    while reader.period < 0.1:
        said.append(reader.read())
    assert said[:-1] == [None] * (len(said) - 1)
    assert len(said) > 1
    assert said[-1] is not None
    check(reader, said[-1])


def test_a_long_file_that_vanishes_while_it_is_read(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tui.reading.curves, "SLICE", 16 * 1024)
    long_file(run.metrics_file, 9000)
    reader = CurveReader(run)
    reader.read()
    run.metrics_file.unlink()
    found = settle(reader)
    assert found is not None
    assert (found.problem, 0 < len(found.train.step) < 9000) == (None, True)
    assert reader.read() is None


def test_thinned_columns_are_spread_evenly_and_stand_alone() -> None:
    table = RecordTable()
    table.add([train(step) for step in range(1, 5001)])
    thin = table.thinned(100)
    assert np.diff(thin.train.snapshot().step).tolist() == [50] * 99
    thin.add([train(9000)])
    assert len(table.train) == 5000
    assert len(table.thinned(9000).train) == 5000
    assert len(RecordTable().thinned(5).train) == 0


def glanced(path: Path, start: int = 0, block: int = 1000) -> list[Metric]:
    return list(glance(path, start, path.stat().st_size, block))


def test_a_glance_has_both_ends_and_knows_what_was_done_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    records = long_file(path, 3000)
    found = glanced(path)
    assert (found[0], found[-1]) == (records[0], records[-1])
    assert [one.kind for one in found].count("resume") >= 1
    assert {one.step for one in found if one.kind == "train"} < {one.step for one in records}
    table = RecordTable()
    table.add(found)
    assert (np.diff(table.train.snapshot().step) > 0).all()


@pytest.mark.parametrize("size", [0, 1, 40, 999, 1000, 1001, 2500])
def test_a_glance_at_little_finds_no_record_twice(tmp_path: Path, size: int) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(lines(*(train(step) for step in range(1, 40)))[:size])
    steps = [one.step for one in glanced(path) if one.kind == "train"]
    assert len(steps) == len(set(steps))


def test_a_glance_at_damage_shows_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    good = lines(*(train(step) for step in range(1, 2000)))
    path.write_bytes(good[:50_000] + random.Random(1).randbytes(30_000) + good[50_000:])
    assert {1, 1999} <= {one.step for one in glanced(path)}
    path.write_bytes(b"x" * 100_000)
    assert glanced(path) == []


def pieces(path: Path, limit: int) -> Iterator[bytes]:
    """All of a file's lines as LineTail gives them with this limit."""
    tail = LineTail(path)
    while data := tail.poll(limit):
        yield data
        assert tail.more == (tail.offset < tail.size - 3)
    assert tail.cut


@pytest.mark.parametrize("limit", [1, 7, 64, 1000, 10**6])
def test_slices_hold_whole_lines_however_long(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "file"
    whole = b"".join(b"%d %s\n" % (i, b"x" * (i * 37 % 300)) for i in range(60)) + b"y" * 5000 + b"\n\n"
    path.write_bytes(whole + b"cut")
    found = list(pieces(path, limit))
    assert b"".join(found) == whole
    assert all(each.endswith(b"\n") for each in found)
    assert max(map(len, found)) <= max(limit, 2 * 5001)


def test_a_device_without_an_end_is_not_read_for_ever(run: RunDir) -> None:
    run.metrics_file.symlink_to("/dev/zero")
    found = CurveReader(run).read()
    assert found is not None
    assert len(found.train.step) == 0
