"""A run that trains while its configuration can't be read: it keeps its slot, is followed, and can be ended."""

import json

from lab import Lab, wait_until
from test_queue_live import HEAD, SLEEP, A, B, Queue, reaches, state, view

from goe.core.overview import RunView
from goe.core.state import RunState
from goe.launch.detached import queue_mark

NEWER = '{"version": 9}'


def breaks(lab: Lab, running: RunView) -> str:
    """Spoil the configuration of a run at work; what it was before."""
    whole = running.run.config_file.read_text(encoding="utf-8")
    running.run.config_file.write_text(NEWER, encoding="utf-8")
    return whole


def test_it_keeps_its_slot_and_is_followed_to_its_end(lab: Lab) -> None:
    lab.queue(HEAD + A + B)
    queue = Queue(lab, f'case "$run" in *b-s1*) exec true;; esac; {SLEEP}', "--slots", "1")
    running = reaches(lab, "a", RunState.STARTING)
    whole = breaks(lab, running)
    queue.says(f"error {running.run_id} broken ")
    status = json.loads(lab.goe("queue", "status", "--json").stdout)
    assert (status["live"], status["counts"]) == ([running.run_id], {"queued": 1, "broken": 1})
    listed = lab.goe("runs")
    assert "! broken, alive" in listed.stdout
    assert "its processes live (starting)" in listed.stderr
    found = reaches(lab, "b", RunState.QUEUED)
    waits = f"next       {found.run_id}: waits for a slot: at most 1 at once; at work: {running.run_id}"
    assert waits in lab.goe("queue", "status").stdout
    running.run.config_file.write_text(whole, encoding="utf-8")
    reaches(lab, "a", RunState.STARTING)
    breaks(lab, running)
    done = lab.goe("cancel", running.run_id, "--grace", "0")
    assert done.returncode == 0, done.stderr
    assert f"{running.run_id}: ! broken: signal 15" in done.stderr
    queue.says(f"ended {running.run_id} broken signal 15")
    running.run.config_file.write_text(whole, encoding="utf-8")
    assert queue.ends() == 1
    assert (state(lab, "a"), state(lab, "b")) == (RunState.STOPPED, RunState.DONE)
    assert found.run.attempt_count() == 1
    assert f"started {running.run_id}" in queue.said().splitlines()[0]
    assert queue.said().count("started") == 2


def test_a_queue_that_comes_to_it_gives_its_slot_to_no_other(lab: Lab) -> None:
    lab.queue(HEAD + A)
    first = Queue(lab, SLEEP, "--slots", "1")
    running = reaches(lab, "a", RunState.STARTING)
    first.process.kill()
    first.ends()
    breaks(lab, running)
    lab.queue(HEAD + A + B)
    second = Queue(lab, "exec true", "--slots", "1")
    second.says(f"found {running.run_id} broken")
    wait_until(lambda: queue_mark(lab.runs) is not None and "waits for a slot" in lab.goe("queue", "status").stdout)
    stopped = lab.goe("stop", "--force", running.run_id)
    assert f"{running.run_id}: ending" in stopped.stderr
    second.says(f"ended {running.run_id} broken")
    assert second.ends() == 1
    other = view(lab, "b")
    assert other is not None
    assert other.state is RunState.DONE
