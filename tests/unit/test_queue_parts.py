"""What the queue's loop is made of: the followed file, looks at runs, pasts, room, waiting, the unit."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from goe.core.config import complete
from goe.core.overview import view_run
from goe.core.process import identify, myself
from goe.core.queuefile import load_queue
from goe.core.records import Exit, Launch, Status
from goe.core.rundir import RunDir, write_json
from goe.core.stamp import FRESH_NS
from goe.core.state import RunState
from goe.launch.base import Start
from goe.launch.detached import Announcement, BusyError, last_lines, queue_mark
from goe.launch.events import Event, log_event
from goe.launch.livefile import LiveFile
from goe.launch.look import Look
from goe.launch.queueloop import Runner
from goe.launch.retry import Past, read_past
from goe.launch.service import unit_name, unit_text
from goe.launch.space import SpaceGuard, free_gib
from goe.launch.watch import Watch

GOOD = '[defaults]\ndataset = "digits"\n[[experiment]]\nname = "a"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "experiments.toml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    config = complete({"experiment": "a", "seed": 1, "dataset": "digits"}, lambda *_: None)
    assert config is not None
    return RunDir.create(tmp_path / "runs", config)


def tried(run: RunDir, number: int, *, code: int | None = None, signal: int | None = None, cause: str = "") -> Path:
    claimed = run.claim(Launch(attempt=number, launcher="local", supervisor=myself(), started=float(number)))
    assert claimed is not None
    if (code, signal) != (None, None):
        ended = Exit(code=code, signal=signal, started=number, ended=number + 0.5, peak_memory=1, cause=cause)
        write_json(claimed.exit_file, ended)
    return claimed.path


def test_a_save_counts_once_the_file_is_the_same_at_two_polls(file: Path) -> None:
    live = LiveFile(load_queue(file))
    assert [live.poll() for _ in range(3)] == [False, False, False]  # read anew, and the same
    file.write_text(GOOD + "seeds = [1, 2]\n")
    assert [live.poll(), len(live.queue.jobs)] == [False, 1]
    assert [live.poll(), len(live.queue.jobs)] == [True, 2]
    assert [live.poll() for _ in range(2)] == [False, False]


def test_a_file_that_is_being_written_is_not_read(file: Path) -> None:
    live = LiveFile(load_queue(file))
    for text in ("", "[defaults", GOOD + "seeds = [1, 2]\n"):
        file.write_text(text)
        assert not live.poll()
    assert live.poll()
    assert (live.problems, len(live.queue.jobs)) == ((), 2)


def test_a_bad_version_is_reported_once_and_the_good_one_stays(file: Path) -> None:
    live = LiveFile(load_queue(file))
    file.write_text(GOOD + "epochs = -1\n")
    assert [live.poll(), live.poll(), live.poll()] == [False, True, False]
    assert live.problems == (f"{file}:5: epochs: expected int >= 1, got -1",)
    assert len(live.queue.jobs) == 1
    file.unlink()
    assert [live.poll(), live.poll()] == [False, True]
    assert live.problems[0].startswith(f"{file}: no such file")
    file.write_text(GOOD)
    assert [live.poll(), live.poll(), live.problems] == [False, True, ()]


def test_a_past_is_the_causes_of_what_failed(run: RunDir) -> None:
    tried(run, 1, code=3)  # stopped
    tried(run, 2, signal=9)
    tried(run, 3)  # lost
    tried(run, 4, code=1, cause="nccl")
    tried(run, 5, code=4)
    assert read_past(run, 5) == Past(("signal", "lost", "nccl", "non-finite"), 5.5, 0)
    assert read_past(run, 3) == Past(("signal", "lost"), None, 0)
    (run.attempts_dir / "3" / "retry").touch()
    assert read_past(run, 5) == Past(("nccl", "non-finite"), 5.5, 3)
    (run.attempts_dir / "4" / "exit.json").write_text("{")
    assert read_past(run, 5).causes == ("lost", "non-finite")


def age(*paths: Path) -> None:
    """Let them have been changed a while ago."""
    for path in paths:
        os.utime(path, ns=(0, time.time_ns() - 2 * FRESH_NS))


def test_a_run_that_rests_is_not_read_again(run: RunDir) -> None:
    look = Look()
    age(run.path, run.attempts_dir)
    first = look.at(run)
    assert first.view.state is RunState.QUEUED
    assert look.at(run) is first
    (run.path / "held").touch()
    assert look.at(run).view.held
    tried(run, 1, code=2)
    failed = look.at(run)
    assert (failed.view.state, failed.past.causes) == (RunState.FAILED, ("user",))


def test_the_configuration_of_a_live_run_is_read_again_only_after_a_change(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[RunDir] = []
    config = RunDir.config
    monkeypatch.setattr(RunDir, "config", lambda run: (read.append(run), config(run))[1])
    look = Look()
    tried(run, 1)
    assert [look.at(run).view.config for _ in range(2)] == [config(run)] * 2
    assert len(read) == 2  # as long as the file is fresh
    age(run.config_file)
    assert [look.at(run).view.config for _ in range(3)] == [config(run)] * 3
    assert len(read) == 3
    run.config_file.write_text('{"version": 99}')
    assert look.at(run).view.lives
    assert look.at(run).view.state is RunState.BROKEN


def test_a_run_that_was_just_changed_is_read_again(run: RunDir) -> None:
    look = Look()
    first, second = look.at(run), look.at(run)
    assert first is not second
    assert first.at == second.at  # but it has been so since the first look


def test_a_request_in_the_newest_attempt_is_seen(run: RunDir) -> None:
    look = Look()
    folder = tried(run, 1, code=1)
    age(run.path, run.attempts_dir, folder)
    first = look.at(run)
    assert look.at(run) is first
    (folder / "retry").touch()
    assert look.at(run).past == Past((), 1.5, 1)


def test_room_is_spoken_of_when_it_changes(tmp_path: Path) -> None:
    guard = SpaceGuard()
    said = [guard.look(free, 1.0, Path("runs")) for free in (5.0, 0.5, 0.4, 1.0, 2.0, 0.0)]
    assert said == [
        "",
        "runs: 0.50 GiB free, less than min-free = 1: nothing is started until there is room",
        "",
        "runs: 1.00 GiB free: going on",
        "",
        "runs: 0.00 GiB free, less than min-free = 1: nothing is started until there is room",
    ]
    assert 0 <= free_gib(tmp_path) < 1e9


def test_waiting_ends_with_a_process_and_is_not_woken_by_it_again() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        process = identify(child.pid)
        assert process is not None
        watch = Watch()
        watch.wait([process], 0.001)
        assert child.stdin is not None
        child.stdin.close()
        watch.wait([process], 100.0)
        assert identify(child.pid) is None  # a zombie is none
        watch.wait([process], 0.001)  # it would return at once for ever if it were still watched
        watch.close()
    finally:
        child.kill()
        child.wait()


def test_only_one_live_queue_is_announced(tmp_path: Path) -> None:
    runs, file = tmp_path / "runs", tmp_path / "experiments.toml"
    first, second = Announcement(runs, file), Announcement(runs, tmp_path / "other.toml")
    first.renew()
    second.renew()
    mark = queue_mark(runs)
    assert mark is not None
    assert (mark.process, mark.queue) == (myself(), str(file))
    second.withdraw()
    assert queue_mark(runs) == mark
    first.withdraw()
    assert queue_mark(runs) is None
    second.renew()
    mark = queue_mark(runs)
    assert mark is not None
    assert mark.queue == str(tmp_path / "other.toml")


def test_a_queue_says_what_it_plans_and_leaves_alone_what_others_say(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    first, second = Announcement(runs, tmp_path / "a.toml"), Announcement(runs, tmp_path / "b.toml")
    first.renew({"a-s1": 2}, {"b-s1": "no GPU"})
    second.renew({}, {})
    first.insist()
    with pytest.raises(BusyError, match=f"a queue works here already: process {myself().pid} on "):
        second.insist()
    mark = queue_mark(runs)
    assert mark is not None
    assert (mark.asked, mark.refused) == ({"a-s1": 2}, {"b-s1": "no GPU"})
    first.renew()
    assert queue_mark(runs) == mark


def test_the_log_says_how_a_run_ended(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    path = tried(run, 1, code=2, cause="user")
    write_json(path / "status.json", Status(phase="failed", error="no data", updated=2.0))
    log_event(Event("ended", view_run(run)))
    log_event(Event("started", view_run(run)))
    ended, started = capsys.readouterr().out.splitlines()
    assert ended.endswith(f" ended {run.run_id} failed exit 2 (user): no data")
    assert started.endswith(f" started {run.run_id} failed")


def test_a_run_that_cannot_be_read_is_reported_by_the_queue(file: Path, tmp_path: Path) -> None:
    queue = load_queue(file)
    run = RunDir.create(tmp_path / "runs", queue.jobs[0].config)
    run.config_file.write_text('{"version": 99}')
    events: list[Event] = []
    assert not Runner(queue, tmp_path / "runs", launcher=AtOnce(), report=events.append).run()
    assert [(event.kind, event.view and event.view.run_id) for event in events] == [("error", run.run_id)]
    assert "written by a newer goe" in events[0].text


def test_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_lines(log, 3) == []
    log.write_text("a\nb\nc\nd\n")
    assert last_lines(log, 3) == ["b", "c", "d"]


def test_a_unit_has_absolute_paths_and_survives_odd_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOE_DATA", "/data $x")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    text = unit_text(Path("runs"), Path("50% off/it's.toml"), ["--slots", "2"], tmp_path)
    lines = text.splitlines()
    assert f"WorkingDirectory={tmp_path}" in lines
    assert 'Environment="GOE_DATA=/data $x"' in lines
    command = next(line for line in lines if line.startswith("ExecStart="))
    assert command == (
        f"ExecStart={sys.executable} -P -m goe.launch.runner {tmp_path}/runs "
        f'"{tmp_path}/50%% off/it\'s.toml" --slots 2 --stay --not-again --alone'
    )
    assert {"Restart=on-failure", "KillMode=process", "[Install]", "WantedBy=default.target"} <= set(lines)


def test_a_unit_of_a_cluster_leads_to_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/opt/slurm/bin:/bin")
    monkeypatch.setenv("SLURM_CONF", "/opt/slurm/etc/slurm.conf")
    given = {"Environment=PATH=/opt/slurm/bin:/bin", "Environment=SLURM_CONF=/opt/slurm/etc/slurm.conf"}
    assert given <= set(unit_text(Path("runs"), Path("x.toml"), [], tmp_path, slurm=True).splitlines())
    assert not given & set(unit_text(Path("runs"), Path("x.toml"), [], tmp_path).splitlines())


def test_units_of_different_folders_have_different_names() -> None:
    one, two = unit_name(Path("/a/lab x/runs")), unit_name(Path("/b/lab x/runs"))
    assert one.startswith("goe-queue-lab-x-")
    assert one.endswith(".service")
    assert one != two
    assert unit_name(Path("/runs")).startswith("goe-queue-root-")


class AtOnce:
    """A launcher whose runs are over before it returns."""

    most = 1

    def __init__(self) -> None:
        self.launched: list[str] = []

    def launch(self, starts: Sequence[Start]) -> list[bool]:
        """Claim the attempt and end it well."""
        for start in starts:
            tried(start.run, start.attempt, code=0)
            self.launched.append(start.run.run_id)
        return [True] * len(starts)

    def stop(self, run: RunDir, *, force: bool = False) -> None:
        """Nothing runs."""


def test_what_waited_for_a_run_comes_first_also_when_that_run_ended_at_once(file: Path, tmp_path: Path) -> None:
    last = '[[experiment]]\nname = "last"\nafter = ["a"]\npriority = 9\n'
    file.write_text(f'{GOOD}priority = 1\n[[experiment]]\nname = "low"\n{last}')
    launcher = AtOnce()
    assert Runner(load_queue(file), tmp_path / "runs", count=1, launcher=launcher).run()
    assert [run_id.rpartition("-")[0] for run_id in launcher.launched] == ["a-s1", "last-s1", "low-s1"]


class Spoiled(AtOnce):
    """Claims an attempt that lives on, and whose configuration is spoiled before the queue looks again."""

    def launch(self, starts: Sequence[Start]) -> list[bool]:
        """Claim the attempt for this process."""
        (start,) = starts
        tried(start.run, start.attempt)
        start.run.config_file.write_text('{"version": 99}')
        return [True]


def test_a_run_that_is_spoiled_while_it_starts_is_reported_at_once(file: Path, tmp_path: Path) -> None:
    queue = load_queue(file)
    events: list[Event] = []
    runner = Runner(queue, tmp_path / "runs", launcher=Spoiled(), report=events.append)

    def end() -> None:
        (view,) = runner.views.values()
        assert view.lives
        write_json(view.run.attempts_dir / "1/exit.json", Exit(code=0, signal=None, started=1, ended=2, peak_memory=1))

    assert not runner.run(idle=end)
    assert [event.kind for event in events] == ["started", "error", "ended"]
    assert "written by a newer goe" in events[1].text
