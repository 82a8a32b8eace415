"""What a worker writes down: records that survive a crash, and a heartbeat."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from goe.core.config import complete
from goe.core.process import myself
from goe.core.records import Launch, Metric, MetricsTail, Status
from goe.core.rundir import Attempt, RunDir
from goe.journal import Journal


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    config = complete({"experiment": "x", "seed": 1}, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert config is not None
    return RunDir.create(tmp_path, config)


@pytest.fixture
def attempt(run: RunDir) -> Attempt:
    found = run.claim(Launch(attempt=1, launcher="local", supervisor=myself(), started=time.time()))
    assert found is not None
    return found


@pytest.fixture
def journal(run: RunDir, attempt: Attempt) -> Iterator[Journal]:
    with Journal(run, attempt, epochs=5) as found:
        yield found


def watch(run: RunDir) -> MetricsTail:
    tail = MetricsTail(run.metrics_file)
    tail.poll()
    return tail


def status(attempt: Attempt) -> Status:
    found = attempt.status()
    assert found is not None
    return found


def test_a_record_is_there_as_soon_as_it_is_written(run: RunDir, journal: Journal) -> None:
    before = time.time()
    journal.record("train", epoch=1, step=3, values={"loss": 0.5})
    (record,) = watch(run).records
    assert before <= record.time <= time.time()
    assert (record.kind, record.epoch, record.step, record.values) == ("train", 1, 3, {"loss": 0.5})
    journal.record("epoch", epoch=1, step=4, values={"val/accuracy": None})
    assert [record.kind for record in watch(run).records] == ["train", "epoch"]


def test_a_record_has_a_checksum(run: RunDir, journal: Journal) -> None:
    journal.record("train", epoch=1, step=3, values={"loss": 0.5})
    data = run.metrics_file.read_bytes()
    assert len(json.loads(data)["crc"]) == 8
    run.metrics_file.write_bytes(data.replace(b"0.5", b"0.6"))
    tail = watch(run)
    assert (tail.records, tail.bad) == ([], 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_is_null(run: RunDir, attempt: Attempt, journal: Journal, value: float) -> None:
    journal.record("train", epoch=1, step=1, values={"loss": value, "lr": 0.1})
    assert json.loads(run.metrics_file.read_bytes())["values"] == {"loss": None, "lr": 0.1}
    journal.phase("failed")
    assert status(attempt).values == {"loss": None, "lr": 0.1}


def test_a_cut_last_line_does_not_swallow_the_next(run: RunDir, attempt: Attempt) -> None:
    with Journal(run, attempt, epochs=5) as first:
        assert not first.continued
        first.record("train", epoch=1, step=1, values={"loss": 1.0})
        first.record("train", epoch=1, step=2, values={"loss": 2.0})
    run.metrics_file.write_bytes(run.metrics_file.read_bytes()[:-10])
    with Journal(run, attempt, epochs=5) as second:
        assert second.continued
        second.record("train", epoch=1, step=2, values={"loss": 3.0})
    tail = watch(run)
    assert [(record.step, record.values["loss"]) for record in tail.records] == [(1, 1.0), (2, 3.0)]
    assert tail.bad == 1
    assert run.metrics_file.read_bytes().count(b"\n") == 3


def test_a_whole_file_is_only_appended_to(run: RunDir, attempt: Attempt) -> None:
    for step in (1, 2):
        with Journal(run, attempt, epochs=5) as journal:
            journal.record("train", epoch=1, step=step, values={})
    tail = watch(run)
    assert ([record.step for record in tail.records], tail.bad) == ([1, 2], 0)
    assert run.metrics_file.read_bytes().count(b"\n") == 2


def test_a_resume_takes_back_what_was_lost(run: RunDir, journal: Journal) -> None:
    for step in (1, 2, 3):
        journal.record("train", epoch=1, step=step, values={})
    journal.record("resume", epoch=1, step=1, values={})
    journal.record("train", epoch=1, step=2, values={"loss": 1.0})
    assert [record.step for record in watch(run).records] == [1, 2]


def test_a_phase_is_written_at_once(attempt: Attempt, journal: Journal) -> None:
    assert attempt.status() is None
    journal.phase("training")
    assert (status(attempt).phase, status(attempt).epochs) == ("training", 5)
    journal.phase("failed", "it diverged")
    assert (status(attempt).phase, status(attempt).error) == ("failed", "it diverged")


def test_a_heartbeat_is_written_once_a_second(attempt: Attempt, journal: Journal) -> None:
    journal.phase("training")
    journal.record("train", epoch=1, step=7, values={"loss": 0.5})
    assert status(attempt).step == 0
    journal.phase("evaluating")
    assert (status(attempt).step, status(attempt).epoch, status(attempt).values) == (7, 1, {"loss": 0.5})


def test_a_late_heartbeat_is_written(attempt: Attempt, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.phase("training")
    monkeypatch.setattr("goe.journal.HEARTBEAT_S", 0.0)
    journal.update(steps=100, eta_s=5.0)
    assert (status(attempt).steps, status(attempt).eta_s) == (100, 5.0)


def test_the_status_keeps_the_newest_value_of_each_metric(attempt: Attempt, journal: Journal) -> None:
    journal.record("epoch", epoch=1, step=1, values={"loss": 2.0, "val/accuracy": 0.5})
    journal.record("train", epoch=2, step=2, values={"loss": 1.0})
    journal.phase("stopped")
    assert status(attempt).values == {"loss": 1.0, "val/accuracy": 0.5}


def test_records_are_those_of_the_protocol(run: RunDir, journal: Journal) -> None:
    journal.record("train", epoch=1, step=3, values={"a": 0.25, "b": None})
    (record,) = watch(run).records
    assert record == Metric(kind="train", epoch=1, step=3, time=record.time, values={"a": 0.25, "b": None})
