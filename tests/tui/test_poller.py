"""What the poller reads and posts: changes are seen, damage stays with its run, reading is bounded."""

import threading
import time
from collections.abc import Callable
from typing import Any, Self

import pytest
from runfolder import Lab, newest

import goe.launch.look
import tui.reading.run
from goe.core.overview import RunView, view_run
from goe.core.results import aggregate, expected_runs, gather
from goe.core.rundir import RunDir, find_runs
from goe.core.state import RunState
from goe.core.table import blocks
from tui.messages import Overview, Results, RunDetail
from tui.poller import Poller, on_beat
from tui.reading.overview import OverviewReader, Plan, read_overview
from tui.reading.results import ResultsReader
from tui.reading.run import RunReader


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)


class Ear:
    """A running poller and what it said."""

    def __init__(self, lab: Lab) -> None:
        self.heard: list[object] = []
        self.poller = Poller(lambda news: self.heard.append(news.what))
        self.poller.follow("overview", OverviewReader(lab.runs, Plan(lab.queue)))
        self.thread = threading.Thread(target=self.poller.run)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.poller.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()

    def last(self, kind: type[object]) -> object:
        return next((what for what in reversed(self.heard) if type(what) is kind), None)


def test_reads_what_is_followed_until_it_is_not(lab: Lab) -> None:
    run = lab.running()
    lab.metrics(run)
    with Ear(lab) as ear:
        wait_until(lambda: ear.last(Overview))
        assert (ear.last(RunDetail), ear.last(Results)) == (None, None)
        ear.poller.follow("run", RunReader(run))
        ear.poller.follow("results", ResultsReader(lab.runs, Plan(lab.queue)))
        wait_until(lambda: ear.last(RunDetail))
        wait_until(lambda: ear.last(Results))
        ear.poller.follow("run", None)
        ear.poller.follow("results", None)
        count = len(ear.heard)
        wait_until(lambda: sum(isinstance(what, Overview) for what in ear.heard[count:]) >= 2)
        late = [what for what in ear.heard[count:] if not isinstance(what, Overview)]
        assert len(late) <= 1  # one may have been on its way


class Counter:
    """Counts its reads; slow or quick to be read again."""

    def __init__(self, period: float) -> None:
        self.period = period
        self.count = 0

    def read(self) -> int | None:
        """Every second time there is news."""
        self.count += 1
        return self.count if self.count % 2 == 0 else None


def test_a_reader_is_read_when_it_is_due_and_at_once_when_asked(lab: Lab) -> None:
    slow, quick = Counter(1000.0), Counter(0.0)
    with Ear(lab) as ear:
        ear.poller.follow("slow", slow)
        ear.poller.follow("quick", quick)
        wait_until(lambda: quick.count >= 10)
        assert slow.count == 1
        ear.poller.refresh()
        wait_until(lambda: slow.count == 2)
        ear.poller.follow("quick", None)
        other = Counter(1000.0)
        ear.poller.follow("slow", other)
        wait_until(lambda: other.count == 1)
        assert slow.count == 2
    assert [what for what in ear.heard if isinstance(what, int) and what % 2] == []


def test_stop_is_prompt(lab: Lab) -> None:
    with Ear(lab) as ear:
        wait_until(lambda: ear.last(Overview))
        started = time.monotonic()
        ear.poller.stop()
        ear.thread.join(5)
        assert time.monotonic() - started < 0.4  # not at the end of its second


def test_stop_is_heeded_whenever_it_comes() -> None:
    poller = Poller(lambda _: None)

    class Stopped(threading.Event):
        def clear(self) -> None:
            poller.stop()
            super().clear()

    poller._wake = Stopped()
    thread = threading.Thread(target=poller.run, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


def test_overview_follows_the_files(lab: Lab) -> None:
    plan = Plan(lab.queue)
    run = lab.queued()
    assert [view.state for view in read_overview(lab.runs, plan).views] == [RunState.QUEUED]
    lab.running()
    view = read_overview(lab.runs, plan).views[0]
    assert (view.state, view.value("loss")) == (RunState.RUNNING, 0.5123)
    lab.ended(run)
    assert read_overview(lab.runs, plan).views[0].state is RunState.DONE


def test_an_exception_stays_with_its_run(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = lab.running("bad"), lab.running("good")
    lab.result(good, 0.9)

    def view(run: RunDir, *options: Any, **named: Any) -> RunView:
        if run.run_id == bad.run_id:
            raise ZeroDivisionError("a bug of ours")
        return view_run(run, *options, **named)

    monkeypatch.setattr(goe.launch.look, "view_run", view)
    views = {each.run_id: each for each in read_overview(lab.runs, Plan(lab.queue)).views}
    assert views[good.run_id].state is RunState.RUNNING
    assert views[bad.run_id].state is RunState.BROKEN
    assert "ZeroDivisionError: a bug of ours" in (views[bad.run_id].problem or "")
    assert RunReader(bad).read().view.state is RunState.BROKEN


def test_the_plan_survives_a_broken_queue_file(lab: Lab) -> None:
    plan = Plan(lab.queue)
    assert read_overview(lab.runs, plan).planned == 4
    lab.queue.write_text("[[experiment]]\nnome = 1\n")
    overview = read_overview(lab.runs, plan)
    assert overview.planned == 4
    assert len(overview.queue_problems) == 2
    lab.queue.unlink()
    assert read_overview(lab.runs, plan).queue_problems == ()


def test_checkpoints_with_damage(lab: Lab) -> None:
    run = lab.running()
    lab.checkpoint(run, "epoch-003", 3)
    lab.checkpoint(run, "best", 2)
    lab.checkpoint(run, "last", 4)
    (run.checkpoints / "epoch-001.json").write_text("{")
    (run.checkpoints / "epoch-002.safetensors").unlink()
    found = RunReader(run).read().checkpoints
    assert [(one.name, one.problem) for one in found] == [
        ("last", None),
        ("best", "weights missing"),
        ("epoch-001", "cut or altered"),
        ("epoch-003", None),
    ]
    assert found[0].size == 2_500_000


def test_results_are_those_of_the_table(lab: Lab) -> None:
    for seed, auroc in ((1, 0.9), (2, 0.95)):
        lab.result(lab.done("baseline", seed, "baseline"), auroc)
    lab.result(lab.done("extra", 1), 0.8)
    lab.broken()
    (lab.done("extra", 2).eval / "last-msp-far-ood.json").write_text("{")
    results = ResultsReader(lab.runs, Plan(lab.queue)).read()
    assert results is not None
    runs = find_runs(lab.runs)
    assert list(results.blocks) == blocks(aggregate(gather(runs)[0], expected_runs(runs, lab.queue)))
    assert results.missing == ("goe (0/2)",)
    assert len(results.problems) == 2


def test_an_unreadable_folder_is_one_message(lab: Lab) -> None:
    lab.runs.write_text("a file")
    overview = read_overview(lab.runs, Plan(lab.queue))
    assert overview.views == ()
    assert "can't be read" in (overview.problem or "")
    results = ResultsReader(lab.runs, Plan(lab.queue)).read()
    assert results is not None
    assert results.problems


def test_a_run_that_vanishes_is_no_error(lab: Lab) -> None:
    run = lab.running()
    reader = RunReader(run)
    reader.read()
    run.path.rename(lab.runs / ".gone")
    assert reader.read().view.state is RunState.BROKEN
    assert newest(RunDir(lab.runs / ".gone")).number == 1


def test_a_run_that_rests_is_told_of_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    run = lab.done("a")
    reader = RunReader(run)
    told = reader.read()
    assert told is not None
    assert reader.read() is None
    run.held_file.touch()
    found = reader.read()
    assert found is not None
    assert found.view.held
    assert reader.read() is None
    monkeypatch.setattr(tui.reading.run, "AGES_S", 0.0)  # ages go on all the same
    assert reader.read() is not None


def test_a_run_that_lives_is_told_of_each_time(lab: Lab) -> None:
    reader = RunReader(lab.running("a"))
    assert None not in [reader.read(), reader.read()]


def test_what_is_not_urgent_keeps_to_a_beat() -> None:
    assert on_beat(10.49, 0.5) == on_beat(10.26, 1.0) == 10.25
    assert on_beat(10.49, 0.001) == 10.49
