"""Where a run is and what it waits for, on screens and in lists: host, job, Slurm's reason, the expected start."""

import time
from pathlib import Path

import pytest

from goe.core.config import complete
from goe.core.overview import RunView, view_run
from goe.core.process import ProcessId
from goe.core.records import Exit, Launch
from goe.core.report import columns, describe
from goe.core.rundir import RunDir, write_json
from goe.core.runfields import FIELDS
from goe.core.slurm import SlurmJob
from goe.core.state import RunState
from tui.messages import AttemptFact, RunDetail
from tui.widgets.attempts import attempt_cells
from tui.widgets.runcells import queue_eta, summarise
from tui.widgets.runhead import headline, subline

NODE = ProcessId(pid=1, start="1", boot="another", host="n7")
START = time.mktime((2030, 5, 17, 14, 30, 0, 0, 0, -1))


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    config = complete({"experiment": "a", "seed": 1, "dataset": "digits"}, lambda *_: None)
    assert config is not None
    return RunDir.create(tmp_path / "runs", config)


@pytest.fixture
def waiting(run: RunDir) -> RunView:
    job = SlurmJob(job="12", attempt=1, submitted=1.0, reason="Resources", start=START, seen=time.time())
    write_json(run.slurm_file, job)
    return view_run(run)


@pytest.fixture
def working(run: RunDir, waiting: RunView) -> RunView:
    job = waiting.job
    assert job is not None
    write_json(run.slurm_file, SlurmJob(job="12", attempt=1, submitted=1.0, state="RUNNING", nodes="n7", seen=1.0))
    launch = Launch(attempt=1, launcher="slurm", supervisor=NODE, job="12", gpus=(0, 1), started=time.time())
    assert run.claim(launch)
    return view_run(run)


def test_a_run_that_waits(waiting: RunView) -> None:
    assert waiting.state is RunState.PENDING
    words = "job 12 waits (Resources), expected to start 2030-05-17 14:30"
    line = headline(RunDetail(waiting, time.time()), dark=True).plain
    assert line.startswith("◌ pending   epoch 0/")
    assert line.endswith(f" · {words}")
    assert f"slurm      {words}" in describe(waiting)
    header, row = columns([waiting])
    assert (header[-1], row[-1]) == ("job", words)
    found = {name: FIELDS[name](waiting) for name in ("state", "host", "job", "reason", "speed", "eta")}
    assert found == {"state": "pending", "host": None, "job": "12", "reason": "Resources", "speed": None, "eta": None}


def test_a_run_at_work(working: RunView) -> None:
    assert subline(working).endswith("GPU 0, 1 · n7 · job 12")
    assert "slurm      job 12 on n7" in describe(working)
    assert any(line.endswith("on n7, GPU 0,1, job 12") for line in describe(working))
    assert [FIELDS[name](working) for name in ("host", "job", "reason")] == ["n7", "12", None]


def test_lists_without_a_cluster_have_no_column_for_it(run: RunDir) -> None:
    assert columns([view_run(run)])[0][-1] == "ended by"


def test_an_attempt_says_its_job_and_host_until_there_is_a_last_word(working: RunView) -> None:
    fact = AttemptFact(1, working.launch)
    assert attempt_cells(fact, time.time())[-1][0] == "job 12 on n7"


def test_waiting_runs_are_counted_and_tell_no_end(waiting: RunView, working: RunView) -> None:
    said = summarise([waiting], time.time(), queue_alive=True)
    assert said == "1 pending · queue running"
    assert queue_eta([waiting], time.time()) is None


def test_what_slurm_said_of_the_end_is_the_problem(run: RunDir, working: RunView) -> None:
    attempt = run.attempt()
    assert attempt is not None
    said = "job 12 ended as NODE_FAIL on n7 and left no exit code"
    assert attempt.bury(Exit(code=None, signal=None, started=1, ended=2, peak_memory=0, cause="lost", said=said))
    view = view_run(run)
    assert (view.state, view.problem) == (RunState.LOST, said)
