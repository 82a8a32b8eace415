"""Many runs are read in slices, and what rests is not read again."""

import os
import time

import pytest
from runfolder import Lab, newest

import goe.launch.look
import tui.reading.overview
from goe.core.rundir import RunDir
from goe.core.state import RunState
from tui.poller import Poller
from tui.reading.overview import OverviewReader, Plan


def settle(run: RunDir) -> None:
    """As if nothing had touched the run for a minute."""
    old = time.time() - 60
    for path in (run.path, run.attempts_dir, *run.attempts_dir.iterdir(), run.path.parent):
        os.utime(path, (old, old))


def test_a_large_folder_comes_in_slices(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.queue.unlink()
    for seed in range(1, 6):
        lab.queued("a", seed)
    monkeypatch.setattr(tui.reading.overview, "FIRST_S", 0.0)
    monkeypatch.setattr(tui.reading.overview, "SLICE_S", 0.0)
    reader = OverviewReader(lab.runs, Plan(lab.queue))
    seen = [reader.read()]
    while seen[-1].unread:
        assert reader.period < 1
        seen.append(reader.read())
    assert reader.period == 1
    assert [len(each.views) for each in seen] == sorted({len(each.views) for each in seen})
    assert len(seen) > 1
    assert seen[-1].unread == 0
    assert [view.config.seed for view in seen[-1].views if view.config] == [1, 2, 3, 4, 5]


def test_what_rests_is_not_read_again_until_it_changes(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    done, queued = lab.done("a", 1), lab.queued("b", 1)
    for run in (done, queued):
        settle(run)
    reader = OverviewReader(lab.runs, Plan(lab.queue))
    first = reader.read()
    read: list[str] = []
    real = goe.launch.look.view_run
    monkeypatch.setattr(
        goe.launch.look, "view_run", lambda run, **named: (read.append(run.run_id), real(run, **named))[1]
    )
    assert reader.read().views is first.views
    assert read == []
    queued.held_file.touch()
    after = reader.read()
    assert read == [queued.run_id]
    assert [view.held for view in after.views] == [False, True]
    assert after.views[0] is first.views[0]


def test_runs_at_rest_take_turns(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.queue.unlink()
    runs = [lab.queued("a", seed) for seed in range(1, 8)]
    live = lab.running("live")
    monkeypatch.setattr(tui.reading.overview, "TURN", 3)
    monkeypatch.setattr(tui.reading.overview, "NEXT", 0)
    reader = OverviewReader(lab.runs, Plan(lab.queue))
    reader.read_whole()
    for run in runs:
        run.held_file.touch()
    lab.status(live, {"loss": 0.1}, epoch=9)
    held = []
    for _ in range(4):
        views = reader.read_whole().views
        held.append(sum(view.held for view in views))
    assert held[0] < 7
    assert held[-1] == 7
    assert held == sorted(held)
    (alive,) = [view for view in views if view.state is RunState.RUNNING]
    assert alive.value("loss") == 0.1


@pytest.mark.usefixtures("at_work")
def test_what_a_queue_starts_next_is_looked_at_in_every_read(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(1, 5):
        lab.done("a", seed)
    for seed in (1, 2):
        lab.queued("b", seed)
    monkeypatch.setattr(tui.reading.overview, "TURN", 0)
    monkeypatch.setattr(tui.reading.overview, "NEXT", 1)
    reader = OverviewReader(lab.runs, Plan(lab.queue))
    reader.read_whole()
    for seed in (1, 2):
        lab.running("b", seed)
    states = [[view.state for view in reader.read().views[-2:]] for _ in range(2)]
    assert states == [[RunState.RUNNING, RunState.QUEUED], [RunState.RUNNING, RunState.RUNNING]]


def test_a_list_that_is_not_seen_is_read_less_often(lab: Lab) -> None:
    reader = OverviewReader(lab.runs, Plan(lab.queue))
    reader.read_whole()
    seen = reader.period
    reader.is_seen = False
    assert reader.period > seen


def test_asked_for_now_every_run_has_its_turn(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.queue.unlink()
    runs = [lab.queued("a", seed) for seed in range(1, 4)]
    monkeypatch.setattr(tui.reading.overview, "TURN", 0)
    monkeypatch.setattr(tui.reading.overview, "NEXT", 0)
    reader = OverviewReader(lab.runs, Plan(lab.queue))
    poller = Poller(lambda news: None)
    poller.follow("overview", reader)
    reader.read_whole()
    for run in runs:
        run.held_file.touch()
    assert not any(view.held for view in reader.read().views)
    poller.refresh()
    assert all(view.held for view in reader.read().views)


def test_runs_come_and_go(lab: Lab) -> None:
    run = lab.running("a")
    reader = OverviewReader(lab.runs, Plan(lab.queue))
    assert [view.run_id for view in reader.read().views] == [run.run_id]
    lab.ended(run)
    other = lab.queued("b")
    assert [view.state for view in reader.read().views] == [RunState.DONE, RunState.QUEUED]
    run.path.rename(lab.runs / ".gone")
    assert [view.run_id for view in reader.read().views] == [other.run_id]
    (lab.runs / ".gone").rename(run.path)
    assert newest(run).number == 1
    assert len(reader.read().views) == 2
    lab.runs.rename(lab.runs.with_name("elsewhere"))
    assert reader.read().views == ()
