"""A queue at work while its file, its disk and its runs change: real processes, but workers that do nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lab import Lab, wait_until

from goe.core.errors import ConfigError
from goe.core.overview import RunView
from goe.core.process import is_alive
from goe.core.state import RunState
from goe.launch.base import LaunchError
from goe.launch.detached import queue_mark, queue_process, start_detached, wait_until_at_work

NOOP = Path(__file__).parents[2] / "benchmarks" / "noop.py"
HEAD = '[defaults]\ndataset = "digits"\n'
A = '[[experiment]]\nname = "a"\n'
B = '[[experiment]]\nname = "b"\n'
SLEEP = "exec sleep 1000"


class Queue:
    """A detached queue with no-op workers in a lab."""

    def __init__(self, lab: Lab, worker: str, *options: str) -> None:
        self.lab = lab
        self.log = lab.folder / f"log-{len(lab.started)}"
        argv = [sys.executable, NOOP, lab.folder, worker, "runs", "experiments.toml", *options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                argv, cwd=lab.folder, env=lab.env, stdout=log, stderr=log, text=True, start_new_session=True
            )
        lab.started.append(self.process)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def says(self, text: str) -> None:
        wait_until(lambda: text in self.said())

    def ends(self) -> int:
        return self.process.wait(100)


def with_noop(lab: Lab) -> dict[str, str]:
    """The lab's environment, in which scripts may import `noop`."""
    return lab.env | {"PYTHONPATH": os.pathsep.join([str(NOOP.parent), lab.env.get("PYTHONPATH", "")])}


def view(lab: Lab, experiment: str) -> RunView | None:
    found = [each for each in lab.views() if each.config is not None and each.config.experiment == experiment]
    return found[0] if found else None


def state(lab: Lab, experiment: str) -> RunState | None:
    found = view(lab, experiment)
    return None if found is None else found.state


def reaches(lab: Lab, experiment: str, wanted: RunState) -> RunView:
    wait_until(lambda: state(lab, experiment) is wanted)
    found = view(lab, experiment)
    assert found is not None
    return found


def test_a_bad_save_is_reported_and_the_last_good_version_goes_on(lab: Lab) -> None:
    lab.queue(HEAD + A)
    queue = Queue(lab, "exec true", "--stay")
    reaches(lab, "a", RunState.DONE)
    lab.queue(HEAD + A + B + "seeds = [1\n")
    queue.says("experiments.toml:8:1: not valid TOML")
    queue.says("the queue goes on with the file as it was at")
    (lab.folder / "experiments.toml").unlink()
    queue.says("experiments.toml: no such file")
    assert queue.process.poll() is None
    lab.queue(HEAD + A + B)
    reaches(lab, "b", RunState.DONE)
    assert "experiments.toml: in order again" in queue.said()
    assert "experiments.toml: changed: 1 runs new, 0 gone" in queue.said()
    assert queue.said().count("not valid TOML") == 1
    queue.process.terminate()
    assert queue.ends() == 0
    assert queue_process(lab.runs) is None


def test_a_removed_run_goes_on_and_is_followed_but_not_started(lab: Lab) -> None:
    lab.queue(HEAD + A + B)
    queue = Queue(lab, f'test "${{run#*b-s1}}" = "$run" || exec true; {SLEEP}', "--slots", "1")
    running = reaches(lab, "a", RunState.STARTING)
    lab.queue(f'{HEAD}[[experiment]]\nname = "b"\nhold = true\n')
    queue.says("0 runs new, 1 gone")
    assert running.launch is not None
    assert is_alive(running.launch.supervisor)
    os.kill(running.launch.supervisor.pid, signal.SIGTERM)
    queue.says(f"ended {running.run_id} failed")
    assert queue.ends() == 1
    assert (state(lab, "b"), running.run.attempt_count()) == (RunState.QUEUED, 1)


def test_slots_of_the_file_take_effect_at_once(lab: Lab) -> None:
    lab.queue(HEAD + A + B)
    Queue(lab, SLEEP)
    reaches(lab, "a", RunState.STARTING)
    assert state(lab, "b") is RunState.QUEUED
    lab.queue(f"[queue]\nslots = 2\n{HEAD}{A}{B}")
    reaches(lab, "b", RunState.STARTING)


def test_priorities_and_dependencies_decide_the_order(lab: Lab) -> None:
    jobs = '[[experiment]]\nname = "{}"\n{}\n'
    lab.queue(
        HEAD
        + jobs.format("last", 'after = ["high"]\npriority = 9')
        + jobs.format("low", "")
        + jobs.format("high", "priority = 1\nseeds = [1, 2]")
    )
    queue = Queue(lab, "exec true")
    assert queue.ends() == 0
    started = [line.split()[3] for line in queue.said().splitlines() if " started " in line]
    assert [run_id.rpartition("-")[0] for run_id in started] == ["high-s1", "high-s2", "last-s1", "low-s1"]


def test_a_hold_in_the_folder_is_honoured_until_it_is_gone(lab: Lab) -> None:
    lab.queue(f"{HEAD}{A}hold = true\n")
    queue = Queue(lab, "exec true", "--stay")
    held = reaches(lab, "a", RunState.QUEUED).run.path / "held"
    held.touch()
    lab.queue(HEAD + A + B)
    reaches(lab, "b", RunState.DONE)
    assert state(lab, "a") is RunState.QUEUED
    held.unlink()
    reaches(lab, "a", RunState.DONE)
    assert queue.process.poll() is None


def test_a_killed_worker_is_retried_and_a_user_error_is_not(lab: Lab) -> None:
    lab.queue(f"[queue]\nretry = {{ signal = 1, backoff = 0.5 }}\n{HEAD}{A}{B}")
    once = 'test -e "$run/once" && exit 0; touch "$run/once"; case "$run" in *a-s1*) kill -9 $$;; esac; exit 2'
    queue = Queue(lab, once)
    assert queue.ends() == 1
    first, second = view(lab, "a"), view(lab, "b")
    assert first is not None
    assert second is not None
    assert (first.state, first.attempt) == (RunState.DONE, 2)
    assert (second.state, second.attempt) == (RunState.FAILED, 1)
    assert f"retry {first.run_id} failed retry 1/1 in " in queue.said()
    again = Queue(lab, once)  # its user asks again
    assert again.ends() == 0
    assert f"started {second.run_id}" in again.said()


def test_a_restarted_queue_counts_on(lab: Lab) -> None:
    lab.queue(f"[queue]\nretry = {{ signal = 2, backoff = 0.1 }}\n{HEAD}{A}")
    queue = Queue(lab, "kill -9 $$")
    assert queue.ends() == 1
    assert "given up after 2 retries (signal)" in queue.said()
    found = view(lab, "a")
    assert found is not None
    assert found.attempt == 3
    later = Queue(lab, "kill -9 $$", "--not-again")
    assert later.ends() == 1
    assert found.run.attempt_count() == 3
    asked = Queue(lab, "kill -9 $$")
    assert asked.ends() == 1
    assert found.run.attempt_count() == 4


def test_a_slot_is_also_taken_by_a_run_of_another_queue(lab: Lab) -> None:
    lab.queue(HEAD + A)
    Queue(lab, 'while test ! -e "$run/go"; do sleep 0.05; done')
    other = reaches(lab, "a", RunState.STARTING)
    lab.queue(HEAD + B)
    queue = Queue(lab, "exec true")
    mine = reaches(lab, "b", RunState.QUEUED)
    why = f"next       {mine.run_id}: waits for a slot: at most 1 at once; at work: {other.run_id}"
    wait_until(lambda: why in lab.goe("queue", "status").stdout)
    (other.run.path / "go").touch()
    assert queue.ends() == 0
    first, second = view(lab, "a"), view(lab, "b")
    assert first is not None
    assert second is not None
    assert first.exit is not None
    assert second.launch is not None
    assert second.launch.started >= first.exit.ended


def test_without_room_nothing_is_started_until_there_is(lab: Lab) -> None:
    lab.queue(f"[queue]\nmin-free = 1e9\n{HEAD}{A}")
    queue = Queue(lab, "exec true")
    queue.says("less than min-free = 1e+09: nothing is started until there is room")
    assert state(lab, "a") is RunState.QUEUED
    (next_,) = (line for line in lab.goe("queue", "status").stdout.splitlines() if line.startswith("next "))
    assert next_.endswith("GiB free, less than min-free = 1e+09")
    lab.queue(f"[queue]\nmin-free = 0\n{HEAD}{A}")
    assert queue.ends() == 0
    assert "free: going on" in queue.said()
    assert queue.said().count("nothing is started") == 1


def test_start_status_stop(lab: Lab) -> None:
    lab.queue(f"{HEAD}{A}hold = true\n{B}after = ['a']\n")
    started = lab.goe("queue", "start", "--slots", "3")
    assert (started.returncode, started.stdout) == (0, "")
    mark = queue_mark(lab.runs)
    assert mark is not None
    assert f"the queue works, process {mark.pid}; log: runs/.queue.log" in started.stderr
    assert f"a queue works here already: process {mark.pid}" in lab.goe("queue", "start").stderr
    wait_until(lambda: len(lab.views()) == 2)
    status = json.loads(lab.goe("queue", "status", "--json").stdout)
    assert (status["queue"]["pid"], status["counts"], status["live"]) == (mark.pid, {"queued": 2}, [])
    assert (status["queue"]["slots"], status["queue"]["gpus"]) == (3, None)
    assert status["queue"]["queue"] == str(lab.folder / "experiments.toml")
    held, waits = (each.run_id for each in sorted(lab.views(), key=lambda each: each.run_id))
    assert [(each["run_id"], each["why"], each["text"]) for each in status["waiting"]] == [
        (held, "held", "held in the queue file"),
        (waits, "waits", f"waits for {held}"),
    ]
    text = lab.goe("queue", "status").stdout
    assert f"process {mark.pid} on {mark.host}" in text
    assert f"held       {held}: held in the queue file" in text
    stopped = lab.goe("queue", "stop")
    assert stopped.returncode == 0
    assert f"the queue, process {mark.pid}, has ended" in stopped.stderr
    assert queue_mark(lab.runs) is None
    assert "no queue works here" in lab.goe("queue", "stop").stderr
    assert "none works here" in lab.goe("queue", "status").stdout
    lab.queue("nonsense")
    problems = json.loads(lab.goe("queue", "status", "--json").stdout)["problems"]
    assert problems == ["experiments.toml:1:9: not valid TOML: Expected '=' after a key in a key/value pair"]


def test_status_says_what_the_queue_at_work_will_do(lab: Lab) -> None:
    """It starts a failed run once more, because its user asked for it by starting the queue."""
    first = '[[experiment]]\nname = "first"\npriority = 1\n'
    lab.queue(HEAD + A + f"{B}after = ['a']\n")
    assert Queue(lab, "exit 1").ends() == 1
    text = lab.goe("queue", "status").stdout
    a, b = (each.run_id for each in sorted(lab.views(), key=lambda each: each.run_id))
    assert f"over       {a}: failed: exit 1 (bug)\n" in text
    lab.queue(HEAD + first + A + f"{B}after = ['a']\n")
    queue = Queue(lab, SLEEP, "--stay")
    live = reaches(lab, "first", RunState.STARTING).run_id
    wait_until(lambda: f"next       {a}: waits for a slot" in lab.goe("queue", "status").stdout)
    text = lab.goe("queue", "status").stdout
    assert f"waits      {b}: waits for {a}\n" in text
    assert f"live       {live}\n" in text
    lab.queue(HEAD + A + f"{B}after = ['a']\n")
    queue.says("0 runs new, 1 gone")
    assert json.loads(lab.goe("queue", "status", "--json").stdout)["live"] == [live]
    lab.queue("nonsense")
    status = json.loads(lab.goe("queue", "status", "--json").stdout)
    assert (status["live"], status["counts"]) == ([live], {"queued": 1, "starting": 1, "failed": 1})


def test_of_two_queues_started_at_one_instant_one_ends(lab: Lab) -> None:
    lab.queue(f"{HEAD}{A}hold = true\n")
    both = [start_detached(lab.runs, lab.folder / "experiments.toml", ["--stay"]) for _ in range(2)]
    try:
        wait_until(lambda: any(child.poll() is not None for child in both), 60)
        ended, stays = sorted(both, key=lambda child: child.returncode is None)
        assert ended.returncode == 2
        assert not wait_until_at_work(lab.runs, ended)
        assert wait_until_at_work(lab.runs, stays)
        assert f"a queue works here already: process {stays.pid} on" in (lab.runs / ".queue.log").read_text()
        assert lab.goe("queue", "stop").returncode == 0
        assert stays.wait(60) == 0
    finally:
        for child in both:
            child.kill()
            child.wait(30)


def test_stop_leaves_training_alone_and_stop_all_asks_it_to_end(lab: Lab) -> None:
    lab.queue(HEAD + A)
    for option, asked in (((), False), (("--all",), True)):
        Queue(lab, SLEEP, "--stay")
        live = reaches(lab, "a", RunState.STARTING)
        wait_until(lambda: queue_mark(lab.runs) is not None)
        done = lab.goe("queue", "stop", *option)
        assert done.returncode == 0, done.stderr
        assert queue_mark(lab.runs) is None
        assert live.launch is not None
        assert is_alive(live.launch.supervisor)
        assert (live.run.attempts_dir / "1" / "stop").exists() is asked
        assert f"{live.run_id}: {'stopping after the current step' if asked else 'goes on'}" in done.stderr


def test_a_queue_that_dies_at_once_says_why(lab: Lab) -> None:
    lab.queue(f"{HEAD}{A}hold = true\n")
    child = start_detached(lab.runs, lab.folder / "experiments.toml", ["--bogus"])
    with pytest.raises(LaunchError, match=r"(?s)the queue died at once: .*unrecognized arguments: --bogus"):
        wait_until_at_work(lab.runs, child)
    idle = start_detached(lab.runs, lab.folder / "experiments.toml")
    assert idle.wait(60) == 1  # held: not done
    assert not wait_until_at_work(lab.runs, idle)
    lab.queue("nonsense")
    with pytest.raises(ConfigError, match="not valid TOML"):
        start_detached(lab.runs, lab.folder / "experiments.toml")


def test_a_killed_queue_is_replaced_and_its_runs_are_adopted(lab: Lab) -> None:
    lab.queue(HEAD + A)
    queue = Queue(lab, 'while test ! -e "$run/go"; do sleep 0.05; done')
    live = reaches(lab, "a", RunState.STARTING)
    queue.process.kill()
    queue.ends()
    assert queue_process(lab.runs) is None
    following = Queue(lab, "exit 1")
    following.says(f"found {live.run_id}")
    (live.run.path / "go").touch()
    assert following.ends() == 0
    assert (reaches(lab, "a", RunState.DONE).attempt, "started" in following.said()) == (1, False)


def test_two_queues_at_one_instant_start_each_run_once_in_fifty_tries(lab: Lab) -> None:
    lab.queue(HEAD + A)
    script = Path(__file__).with_name("same_instant.py")
    done = subprocess.run(
        [sys.executable, script, lab.folder, "50"], cwd=lab.folder, env=with_noop(lab), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "50 tries, 0 wrong\n"), done.stderr


@pytest.fixture
def analyze(tmp_path: Path) -> list[str]:
    """The command that checks units."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    return ["env", f"XDG_RUNTIME_DIR={tmp_path}", "systemd-analyze", "--user", "--man=no", "verify"]


def test_the_service_is_a_unit_that_systemd_takes(tmp_path: Path, analyze: list[str]) -> None:
    folder = tmp_path / "with space, 100% and $HOME"
    folder.mkdir()
    lab = Lab(folder)
    lab.env["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    lab.queue(HEAD + A)
    printed = lab.goe("queue", "service", "--slots", "2")
    assert printed.returncode == 0, printed.stderr
    installed = lab.goe("queue", "service", "--slots", "2", "--install")
    unit = Path(installed.stdout.strip())
    assert unit.parent == tmp_path / "config" / "systemd" / "user"
    assert unit.read_text(encoding="utf-8") == printed.stdout
    checked = subprocess.run([*analyze, unit], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
    for line in ("Restart=on-failure", "KillMode=process", "Type=exec"):
        assert line in printed.stdout.splitlines()


def test_a_queue_that_is_part_of_its_file_stays_so(lab: Lab) -> None:
    """As `goe figure spiral --seeds 1` needs it; a queue that follows its file takes the other run in."""
    lab.queue(HEAD + A + B)
    script = (
        "import sys; from msgspec.structs import replace; from pathlib import Path\n"
        "from noop import use_stub; use_stub(Path())\n"
        "from goe.core.queuefile import load_queue; from goe.launch.queueloop import Runner\n"
        "queue = load_queue(Path('experiments.toml')); part = replace(queue, jobs=queue.jobs[:1])\n"
        "follow = sys.argv[1] == 'follow'\n"
        "runner = Runner(part, Path('runs'), follow=follow, stay=follow)\n"
        "runner.run(idle=lambda: len(runner.jobs) == 2 and sys.exit())\n"
    )
    for word, count in (("part", 1), ("follow", 2)):
        done = subprocess.run(
            [sys.executable, "-c", script, word],
            cwd=lab.folder,
            env=with_noop(lab),
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        assert len(lab.views()) == count
