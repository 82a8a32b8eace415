"""Pause, resume, cancel and retry on real processes, and logs that are followed."""

import json
import os
import signal

from lab import TINY, TINY_OPTIONS, Lab, end, wait_until, worker_pid

from goe.core.overview import RunView
from goe.core.process import identify, is_alive, is_halted
from goe.core.queuefile import load_queue
from goe.core.rundir import Attempt, RunDir
from goe.core.state import RunState
from goe.launch.control import hold
from goe.launch.family import members

LONG = ["train", "--method", "baseline", "--name", "long", "--epochs", "1000", *TINY_OPTIONS]

# Runs at the start of every Python process of the lab: a worker gets a child in a session of its own, and one that also
# left its parent.
WITH_CHILDREN = """
import subprocess, sys
if "goe.worker" in sys.orig_argv:
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    subprocess.run(["sh", "-c", "setsid sleep 1000 & setsid sleep 1000 &"])
"""


def start(lab: Lab) -> RunView:
    done = lab.goe(*LONG, "--detach")
    assert done.returncode == 0, done.stderr
    return lab.wait_for_start()


def newest(view: RunView) -> Attempt:
    attempt = view.run.attempt()
    assert attempt is not None
    return attempt


def test_a_run_is_paused_and_goes_on(lab: Lab) -> None:
    view = start(lab)
    worker = identify(worker_pid(view))
    assert worker is not None
    done = lab.goe("pause", "long")
    assert done.returncode == 0
    assert done.stderr == (
        f"{view.run_id}: paused; its memory, also GPU memory, and its slot stay taken; `goe resume` continues it\n"
    )
    wait_until(lambda: is_halted(worker) is True)
    (listed,) = json.loads(lab.goe("runs", "--json").stdout)
    assert (listed["state"], listed["held"]) == ("paused", False)
    assert "‖ paused" in lab.goe("runs").stdout
    assert "paused     its memory" in lab.goe("show", "long").stdout
    assert lab.goe("pause", "long").stderr == f"{view.run_id}: is paused already\n"

    assert lab.goe("resume", "long").stderr == f"{view.run_id}: continued\n"
    wait_until(lambda: is_halted(worker) is False)
    assert not newest(view).paused
    assert lab.view().state is RunState.RUNNING
    assert lab.goe("resume", "long").stderr == f"{view.run_id}: is running: neither paused nor held\n"


def test_a_paused_run_that_was_continued_by_hand_is_running(lab: Lab) -> None:
    view = start(lab)
    assert lab.goe("pause", "long").returncode == 0
    wait_until(lambda: lab.view().state is RunState.PAUSED)
    os.kill(worker_pid(view), signal.SIGCONT)
    wait_until(lambda: lab.view().state is RunState.RUNNING)


def test_cancelling_ends_every_process_and_holds_the_run(lab: Lab) -> None:
    (lab.folder / "sitecustomize.py").write_text(WITH_CHILDREN, encoding="utf-8")
    lab.env["PYTHONPATH"] = os.pathsep.join([str(lab.folder), lab.env.get("PYTHONPATH", "")])
    view = start(lab)
    family = [identify(pid) for pid in members(newest(view))]
    assert len(family) == 4, "worker, child, and two that left their parent"
    assert worker_pid(view) in [process.pid for process in family if process]
    assert lab.goe("pause", "long").returncode == 0
    done = lab.goe("cancel", "long", "--grace", "100")
    assert done.returncode == 0
    assert done.stderr == f"{view.run_id}: asked to stop; held\n{view.run_id}: ■ stopped: exit 3\n"
    assert members(newest(view)) == []
    assert not any(is_alive(process) for process in family if process)

    view = lab.view()
    assert view.exit is not None
    assert (view.state, view.held, view.exit.code, view.needs_start) == (RunState.STOPPED, True, 3, False)
    assert "■ stopped, held" in lab.goe("runs").stdout

    allowed = lab.goe("retry", "long")
    assert allowed.stderr.splitlines() == [
        f"{view.run_id}: may be started again, its retries counted anew",
        "no queue works here: `goe queue run` starts one, `goe retry --now` needs none",
    ]
    assert (lab.view().needs_start, view.run.retried(), view.run.attempt_count()) == (True, 1, 1)
    started = lab.goe("retry", "long", "--now")
    assert (started.stdout, started.stderr) == (
        f"{view.run_id}\n",
        f"{view.run_id}: started, its retries counted anew\n",
    )
    again = lab.wait_for_start()
    assert again.attempt == 2

    # Without its supervisor nobody can tell the exit code, but nothing stays behind.
    assert again.launch is not None
    os.kill(again.launch.supervisor.pid, signal.SIGKILL)
    wait_until(lambda: is_alive(again.launch.supervisor) is False if again.launch else False)
    assert lab.goe("cancel", "long", "--grace", "0").returncode == 0
    assert members(newest(again)) == []
    assert lab.view().state in {RunState.LOST, RunState.STOPPED}


def test_cancelling_a_lost_run_ends_what_it_left(lab: Lab) -> None:
    (lab.folder / "sitecustomize.py").write_text(WITH_CHILDREN, encoding="utf-8")
    lab.env["PYTHONPATH"] = os.pathsep.join([str(lab.folder), lab.env.get("PYTHONPATH", "")])
    view = start(lab)
    end(view.run)
    assert lab.view().state is RunState.LOST
    assert len(members(newest(view))) == 3
    assert "is lost; held" in lab.goe("cancel", "long").stderr
    assert members(newest(view)) == []


def test_a_worker_that_heeds_nothing_is_killed(lab: Lab) -> None:
    view = start(lab)
    os.kill(worker_pid(view), signal.SIGSTOP)  # by hand, so that nobody continues it
    done = lab.goe("cancel", "long", "--grace", "0.1")
    assert done.returncode == 0
    assert [line.partition(": ")[2] for line in done.stderr.splitlines()] == [
        "asked to stop; held",
        "did not stop within 0.1 s; ending its processes",
        "■ stopped: signal 9",
    ]
    ended = lab.view()
    assert ended.exit is not None
    assert (ended.exit.code, ended.exit.signal) == (None, 9)


def test_a_cancelled_run_is_never_started(lab: Lab) -> None:
    lab.queue(f'{TINY}\n[[experiment]]\nname = "one"\nepochs = 1\n')
    start(lab)
    assert lab.goe("stop", "long", "--force").returncode == 0
    lab.wait_for_end()
    assert lab.goe("cancel", "long").returncode == 0
    done = lab.goe("queue", "run")
    assert done.returncode == 0, done.stderr
    one = next(view for view in lab.views() if view.run_id.startswith("one"))
    assert lab.goe("cancel", "one").stderr == f"{one.run_id}: is done; nothing to cancel\n"
    assert not one.run.held
    one.run.attempts_dir.rename(lab.folder / "aside")  # as if it had never been started
    one.run.attempts_dir.mkdir()
    said = lab.goe("cancel", "one")
    assert (said.returncode, said.stderr) == (
        0,
        f"{one.run_id}: is queued; held: no queue starts it until `goe retry`\n",
    )
    lab.goe("queue", "run")
    assert one.run.attempt_count() == 0


def test_a_run_that_is_released_gives_its_memory_back(lab: Lab) -> None:
    view = start(lab)
    said = lab.goe("pause", "long", "--release")
    assert "ends after its current step and frees its memory; held until `goe resume`" in said.stderr
    ended = lab.wait_for_end()
    assert (ended.state, ended.held, ended.needs_start) == (RunState.STOPPED, True, False)
    assert lab.goe("resume", "long").stderr == f"{view.run_id}: released\n"
    assert lab.view().needs_start
    refused = lab.goe("pause", "long")
    assert refused.returncode == 2
    assert f"error: {view.run_id}: is stopped; only a run at work is paused" in refused.stderr


def test_logs_are_followed_to_the_end(lab: Lab) -> None:
    assert lab.goe("train", "--name", "short", "--epochs", "1", *TINY_OPTIONS, "--detach").returncode == 0
    wait_until(lambda: len(lab.views()) == 1)
    view = lab.view()
    with view.run.log_file.open("ab") as log:
        log.write(b"\x1b[31mred\x1b[0m\n" + b"x" * 10_000_000 + b"\n 10%\r 50%\r100%\n")
    following = lab.start("logs", "short", "-f", "-n", "3")
    assert following.wait(100) == 0
    said = lab.said(0).splitlines()
    assert lab.view().state is RunState.DONE
    assert said[0] == "red"
    assert said[1] == "x" * 2000 + "… [9,998,000 more characters]"
    assert said[2] == "100%"
    assert said[-1] == f"{view.run_id}: ✓ done exit 0"
    assert "evaluating: best msp" in lab.goe("logs", "short").stdout or "evaluating" in lab.goe("logs", "short").stdout


def test_ctrl_c_ends_only_the_logs(lab: Lab) -> None:
    view = start(lab)
    following = lab.start("logs", "long", "-f")
    with view.run.log_file.open("ab") as log:
        log.write(b"here\n")
    wait_until(lambda: "here" in lab.said(0))
    following.send_signal(signal.SIGINT)
    assert following.wait(60) == 130
    assert lab.said(0).splitlines()[-1] == f"{view.run_id}: goes on; `goe logs -f` shows it again"
    assert lab.view().state is RunState.RUNNING
    assert lab.goe("logs", "long", "--attempt", "1").stdout.splitlines()[-1] == "here"
    none = lab.goe("logs", "long", "--attempt", "2")
    assert (none.returncode, none.stderr) == (
        2,
        f"error: {view.run_id}: --attempt: there is no attempt 2; it was started 1 times\n",
    )


def test_one_run_that_cannot_be_changed_keeps_no_other_from_it(lab: Lab) -> None:
    lab.queue(f'{TINY}[[experiment]]\nname = "base"\nseeds = [1, 2]\n')
    runs = [RunDir.create(lab.runs, job.config) for job in load_queue(lab.folder / "experiments.toml").jobs]
    runs[0].held_file.mkdir()
    hold(runs[1])
    done = lab.goe("resume", *(run.run_id for run in runs))
    assert done.returncode == 2
    assert f"error: runs/{runs[0].run_id}/held: " in done.stderr
    assert f"{runs[1].run_id}: released" in done.stderr
    assert not runs[1].held
