"""What the queue's page is told: the file in its order, the state of its runs, what they wait for."""

import time
from typing import TYPE_CHECKING

import msgspec
import pytest
from runfolder import Lab

from goe.core.process import myself
from goe.core.queuefile import load_queue
from goe.core.records import Launch
from goe.core.rundir import RunDir, write_json
from goe.core.state import RunState
from goe.launch.detached import QueueMark, queue_mark
from goe.launch.status import queue_status
from tui.messages import QueueFacts, QueueLog
from tui.reading.queue import QueueLogReader, QueueReader

if TYPE_CHECKING:
    import subprocess

TEXT = """
[queue]
slots = 2

[defaults]
seeds = [1, 2]
epochs = 10

[[experiment]]
name = "goe"

[[experiment]]
name = "later"
method = { name = "oe", weight = 0.5 }
after = ["goe"]
priority = 3

[[experiment]]
name = "kept"
hold = true

[[experiment]]
name = "swept"
sweep = { lr = [0.1, 0.05] }
"""


@pytest.fixture
def mark(lab: Lab, at_work: "subprocess.Popen[bytes]") -> QueueMark:
    """The word of a queue at work, on the lab's file."""
    found = queue_mark(lab.runs)
    assert found is not None
    assert found.pid == at_work.pid
    return found


def facts_of(reader: QueueReader) -> QueueFacts:
    found = reader.read()
    assert found is not None
    return found


def test_the_file_in_its_order_with_its_runs(lab: Lab) -> None:
    lab.queue.write_text(TEXT)
    config = load_queue(lab.queue).runs[0]
    run = RunDir.create(lab.runs, config)
    facts = facts_of(QueueReader(lab.runs, lab.queue))
    goe, later, kept, swept = facts.experiments
    assert [each.name for each in facts.experiments] == ["goe", "later", "kept", "swept"]
    assert [TEXT.split("\n")[each.line - 1] for each in facts.experiments] == ["[[experiment]]"] * 4
    assert goe.states == ((RunState.QUEUED, 2),)
    assert (later.priority, later.after, later.seeds) == (3, ("goe",), (1, 2))
    assert later.sets == ('method = { name = "oe", weight = 0.5 }',)
    assert later.why == f"waits for {run.run_id}"
    assert kept.held
    assert kept.why == "held in the queue file"
    assert swept.states == ((RunState.QUEUED, 4),)
    assert (goe.why, swept.why) == ("next", "place 3")
    assert facts.slots == "2 slots"
    assert facts.mark is None


def test_nothing_new_is_no_news(lab: Lab) -> None:
    reader = QueueReader(lab.runs, lab.queue)
    facts_of(reader)
    assert reader.read() is None
    lab.queue.write_text(TEXT)
    assert len(facts_of(reader).experiments) == 4


def test_a_file_with_problems_leaves_its_last_good_version(lab: Lab) -> None:
    reader = QueueReader(lab.runs, lab.queue)
    good = facts_of(reader).experiments
    lab.queue.write_text('[[experiment]]\nname = "a"\nepochs = 0\n')
    facts = facts_of(reader)
    assert facts.experiments == good
    assert [problem.removeprefix(str(lab.queue))[:3] for problem in facts.problems] == [":3:"]
    lab.queue.write_text('[[experiment]\nname = "a"\n')
    assert facts_of(reader).problems[0].startswith(f"{lab.queue}:1:")
    lab.queue.unlink()
    assert "no such file" in facts_of(reader).problems[0]
    lab.queue.write_text('[[experiment]]\nname = "a"\n')
    facts = facts_of(reader)
    assert facts.problems == ()
    assert [each.name for each in facts.experiments] == ["a"]


def test_a_file_never_seen_good_shows_its_names(lab: Lab) -> None:
    lab.queue.write_text('[[experiment]]\nepochs = 0\n\n[[experiment]]\nname = "näme [b]"\n')
    facts = facts_of(QueueReader(lab.runs, lab.queue))
    assert [each.name for each in facts.experiments] == ["", "näme [b]"]
    assert len(facts.problems) == 3
    for text in ("experiment = 3\n", "[[[", "[experiment]\nname = 'a'\n"):
        lab.queue.write_text(text)
        assert facts_of(QueueReader(lab.runs, lab.queue)).experiments == ()


def test_it_says_what_status_says(lab: Lab, mark: QueueMark) -> None:
    lab.queue.write_text(TEXT.replace("slots = 2", "slots = 1"))
    lab.running("other")  # not of the file, but it takes the slot
    facts = facts_of(QueueReader(lab.runs, lab.queue))
    assert facts.mark == mark
    waiting = {each.run_id: each.text for each in queue_status(lab.runs, lab.queue).waiting}
    assert "waits for a slot: at most 1 at once; at work: other" in facts.experiments[0].why
    assert facts.experiments[0].why in waiting.values()
    assert facts.experiments[0].left_s is None  # nobody knows how long a run of this kind takes


def test_eta_counts_what_comes_before(lab: Lab, mark: QueueMark) -> None:
    lab.queue.write_text(TEXT)
    done, live = (RunDir.create(lab.runs, config) for config in load_queue(lab.queue).runs[:2])
    for run in (done, live):
        assert run.claim(Launch(attempt=1, launcher="local", supervisor=myself(), started=time.time() - 60))
        lab.status(run, eta=42)
    lab.ended(done)  # 90 s
    facts = facts_of(QueueReader(lab.runs, lab.queue))
    goe, later, kept, swept = facts.experiments
    assert goe.states == ((RunState.RUNNING, 1), (RunState.DONE, 1))
    assert goe.left_s == 42
    assert kept.left_s is None
    assert later.left_s is None
    assert swept.left_s is not None
    assert swept.left_s > 42 + 90 * 3
    (lab.runs / ".queue.json").unlink()
    goe, *_, swept = facts_of(QueueReader(lab.runs, lab.queue)).experiments
    assert (goe.left_s, swept.left_s) == (42, None)  # without a queue nothing more is started
    write_json(lab.runs / ".queue.json", msgspec.structs.replace(mark, slots=7, gpus=("0", "2")))
    assert facts_of(QueueReader(lab.runs, lab.queue)).slots == "GPUs 0, 2, 7 slots"


def test_the_log_is_followed(lab: Lab) -> None:
    reader = QueueLogReader(lab.runs)
    assert reader.read() == QueueLog()
    assert reader.read() is None
    lab.runs.mkdir()
    (lab.runs / ".queue.log").write_text("a\nb\n")
    assert reader.read() == QueueLog(("a", "b"))
    assert reader.read() is None
