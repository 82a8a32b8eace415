"""The plain frame: exact text, and what widths and damage do to it."""

from pathlib import Path

import msgspec
import pytest
from runfolder import Lab

from goe.core.overview import RunView, view_runs
from goe.core.records import Launch
from goe.core.report import duration, number, state_label
from goe.core.rundir import write_json
from goe.core.state import RunState
from tui.once import frame
from tui.widgets.runcells import queue_eta


@pytest.fixture
def mixed(lab: Lab) -> Lab:
    lab.queue.unlink()
    lab.running("goe", 1, filter__rate=0.156)
    lab.queued("goe", 2)
    lab.done("baseline", 1, "baseline")
    lab.ended(lab.running("oe", 1, "oe"), code=4)
    return lab


def test_the_whole_frame(mixed: Lab) -> None:
    oe = mixed.config("oe", 1, "oe").run_id
    assert frame(mixed.runs, mixed.queue, 110) == "\n".join(
        [
            "state       experiment  seed  method      epoch     loss  filter %  val acc %   img/s       ETA      time",
            "✓ done      baseline       1  baseline    10/10    0.250         –       95.0       –         –      1:30",
            "● running   goe            1  goe          4/10    0.512      15.6       92.5    1234      0:42      1:00",
            "… queued    goe            2  goe          0/10        –         –          –       –         –         –",
            "✗ failed    oe             1  oe           4/10    0.512         –       92.5       –         –      1:30",
            "",
            f"! {oe}: ended by exit code 4; the end of train.log says more",
            "",
            "1 running · 1 failed · 1 queued · 1 done · no queue running",
        ]
    )


def test_a_narrow_frame_keeps_the_most_needed_columns(mixed: Lab) -> None:
    assert frame(mixed.runs, mixed.queue, 40).splitlines()[:3] == [
        "state       experiment  seed    epoch",
        "✓ done      baseline       1    10/10",
        "● running   goe            1     4/10",
    ]


@pytest.mark.parametrize("width", [1, 20, 40, 60, 80, 120, 160, 400])
def test_lines_of_runs_fit_and_nothing_is_coloured(mixed: Lab, width: int) -> None:
    text = frame(mixed.runs, mixed.queue, width)
    assert "\x1b" not in text
    assert all(len(line) <= max(width, 37) for line in text.split("\n\n")[0].splitlines())


def test_the_queue_file_gives_the_order(lab: Lab) -> None:
    for name, seed in (("baseline", 2), ("other", 1), ("goe", 2), ("goe", 1)):
        lab.queued(name, seed, "baseline" if name == "baseline" else "goe")
    names = [line.split()[2:4] for line in frame(lab.runs, lab.queue, 60).splitlines()[1:5]]
    assert names == [["goe", "1"], ["goe", "2"], ["baseline", "2"], ["other", "1"]]


def test_an_empty_folder(tmp_path: Path) -> None:
    assert frame(tmp_path / "runs", tmp_path / "x.toml", 80) == "no runs · no queue running"


def test_a_broken_run_and_a_broken_queue_file_are_told_and_hide_nothing(lab: Lab) -> None:
    lab.queue.write_text('[[experiment]]\nname = "x"\nmethod = "gooe"\n')
    lab.broken()
    lab.running()
    text = frame(lab.runs, lab.queue, 400)
    assert "! broken    broken-s1-00000000" in text
    assert "● running   goe" in text
    assert f"! broken-s1-00000000: {lab.runs}/broken-s1-00000000/config.json: cut or altered" in text
    assert f"! {lab.queue}:3: " in text


def test_a_run_whose_worker_vanished_is_lost(lab: Lab) -> None:
    run = lab.running()
    attempt = run.attempt()
    assert attempt is not None
    dead = msgspec.structs.replace(attempt.launch().supervisor, start="0")
    write_json(attempt.launch_file, Launch(attempt=1, launcher="local", supervisor=dead, started=1.0))
    assert "? lost" in frame(lab.runs, lab.queue, 80)


def test_words() -> None:
    assert [duration(value) for value in (None, -3, 7.4, 754, 3723, 183_600)] == [
        "–",
        "0:00",
        "0:07",
        "12:34",
        "1:02:03",
        "2d 03h",
    ]
    assert [number(value) for value in (None, 0.51234, 12.0, 12345.6)] == ["–", "0.512", "12.000", "1.23e+04"]
    labels = {state_label(state) for state in RunState}
    assert len({label[0] for label in labels}) == len(RunState)  # told apart without colour


def test_queue_eta_counts_live_and_queued_runs(lab: Lab) -> None:
    lab.done("a", 1)  # took 90 s
    lab.started("a", 2)  # started 60 s ago, so it takes 102 s
    lab.status(lab.queued("a", 2), eta=42)
    lab.queued("a", 3)
    views = view_runs(lab.runs)
    status = next(view.status for view in views if view.state is RunState.RUNNING)
    assert status is not None
    left = queue_eta(views, status.updated)
    assert left == pytest.approx(42 + (90 + 102) / 2, abs=1)
    queued: list[RunView] = [view for view in views if view.state is RunState.QUEUED]
    assert queue_eta(queued, 0.0) is None
