"""Evaluation results as the dashboard reads them: what didn't change is not read again."""

import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from runfolder import Lab

from goe.core.errors import ConfigError
from goe.core.evalfile import stem
from goe.core.forms import FORMATS
from goe.core.records import EvalResult
from goe.core.rundir import RunDir, read_json, write_json
from tui.goecommand import GOE
from tui.messages import Results
from tui.reading.evaluations import Evaluations
from tui.reading.overview import Plan
from tui.reading.results import ResultsReader, written
from tui.reading.tablelook import TableLook, command_line, options_of, request_of


def evaluated(run: RunDir, **changes: object) -> None:
    """The run's first result again, changed."""
    result = read_json(run.eval / "best-msp-far-ood.json", EvalResult)
    assert result is not None
    made = msgspec.structs.replace(result, **changes)
    write_json(run.eval / f"{stem(made.checkpoint, made.score, made.protocol)}.json", made)


def fill(lab: Lab) -> None:
    for seed, auroc in ((1, 0.9), (2, 0.95)):
        lab.result(lab.done("baseline", seed, "baseline"), auroc)
        lab.result(lab.done("goe", seed), auroc + 0.02)


def read(lab: Lab, look: TableLook) -> Results:
    found = ResultsReader(lab.runs, Plan(lab.queue), look).read()
    assert found is not None
    return found


def test_a_run_is_read_again_only_when_its_files_changed(lab: Lab) -> None:
    fill(lab)
    found = Evaluations(lab.runs, lab.queue)
    assert found.poll()
    assert found.reads == 4
    assert not found.poll()
    assert found.reads == 4
    run = RunDir(lab.runs / lab.config("goe", 1).run_id)
    lab.result(run, 0.5)
    assert found.poll()
    assert found.reads == 5
    assert {0.5} < {item.result.detection["noise"]["auroc"] for item in found.measured}


def test_what_comes_and_goes_is_noticed(lab: Lab) -> None:
    fill(lab)
    found = Evaluations(lab.runs, lab.queue)
    found.poll()
    run = RunDir(lab.runs / lab.config("goe", 1).run_id)
    evaluated(run, score="energy")
    assert found.poll()
    assert len(found.measured) == 5
    lab.checkpoint(run, "best")
    checkpoint = run.checkpoints / "best.json"
    checkpoint.write_text(checkpoint.read_text().replace("0" * 64, "1" * 64))
    assert found.poll()  # other weights than those measured
    assert len(found.measured) == 3
    assert len(found.problems) == 2
    run.path.rename(lab.runs / ".gone")
    assert found.poll()
    assert (len(found.measured), found.problems) == (3, ())


def test_a_broken_queue_file_leaves_the_last_good_plan(lab: Lab) -> None:
    fill(lab)
    found = Evaluations(lab.runs, lab.queue)
    found.poll()
    lab.queue.write_text("[[experiment]\n")
    assert not found.poll()
    assert len(found.expected) == 4
    lab.queue.unlink()
    lab.runs.rename(lab.runs.with_name("elsewhere"))
    assert found.poll()
    assert found.expected == ()


def test_nothing_new_is_no_news(lab: Lab) -> None:
    fill(lab)
    reader = ResultsReader(lab.runs, Plan(lab.queue))
    assert reader.read() is not None
    assert reader.read() is None
    reader.ask(TableLook(metrics=("auroc",)))
    found = reader.read()
    assert found is not None
    assert {name for block in found.blocks for name in block.header} == {"experiment", "seeds", "AUROC % ↑"}


def test_what_does_not_fit_is_said(lab: Lab) -> None:
    fill(lab)
    found = read(lab, TableLook(scores=("energy",)))
    assert found.blocks == ()
    assert 'no result has score "energy"' in found.problems[0]
    assert found.there.scores == ("msp",)
    with pytest.raises(ConfigError, match="unknown key"):
        request_of(TableLook(only=("colour=red",)))


LOOKS = (
    TableLook(),
    TableLook(metrics=("auroc", "accuracy"), sets=("noise",), columns="sets"),
    TableLook(metrics=("all",), protocols=("far-ood",), only=("experiment=*o*",)),
    TableLook(paper_layout=True, paper_figures=True, columns="sets", metrics=("ece",)),
)


@pytest.mark.parametrize("look", LOOKS)
def test_every_form_is_what_the_command_prints(
    lab: Lab, look: TableLook, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import cli

    fill(lab)
    if look.paper_layout:  # shows each run's own checkpoint alone
        evaluated(RunDir(lab.runs / lab.config("goe", 1).run_id), checkpoint="last")
    found = read(lab, look)
    words = [*options_of(look), "--runs", str(lab.runs), "--queue", str(lab.queue)]
    for form in FORMATS:
        monkeypatch.setattr(sys, "argv", ["goe", "table", *words, "--format", form])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0
        assert written(found, form) == capsys.readouterr().out != ""


def test_differences_to_a_baseline_come_from_the_command(lab: Lab) -> None:
    for seed, better in ((1, 0.02), (2, 0.021), (3, 0.022)):
        lab.result(lab.done("baseline", seed, "baseline"), 0.9 + seed / 100)
        lab.result(lab.done("goe", seed), 0.9 + seed / 100 + better)
    reader = ResultsReader(lab.runs, Plan(lab.queue), TableLook(against="baseline"))
    found = reader.read()
    assert found is not None
    assert found.waiting
    assert reader.period < 1
    answered = wait_for_answer(reader)
    words = [*options_of(TableLook(against="baseline")), "--runs", str(lab.runs), "--queue", str(lab.queue)]
    done = subprocess.run([*GOE, "table", *words], capture_output=True, text=True)
    assert written(answered, "text") == done.stdout
    assert "†" in done.stdout.partition("†: differs")[0]


def test_an_unknown_baseline_is_a_problem(lab: Lab) -> None:
    fill(lab)
    reader = ResultsReader(lab.runs, Plan(lab.queue), TableLook(against="basline"))
    reader.read()
    assert "basline" in wait_for_answer(reader).problems[0]


def wait_for_answer(reader: ResultsReader) -> Results:
    for thread in threading.enumerate():
        if thread.name == "differences":
            thread.join(60)
    found = reader.read()
    assert found is not None
    assert not found.waiting
    return found


def test_the_command_line_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOE_RUNS", raising=False)
    monkeypatch.delenv("GOE_QUEUE", raising=False)
    look = TableLook(scores=("msp",), protocols=("own-[1]",))
    line = command_line(look, Path("runs"), Path("my queue.toml"), "md")
    assert line == "goe table --where score=msp --where 'protocol=own-[[]1]' --format md --queue 'my queue.toml'"
    monkeypatch.setenv("GOE_RUNS", "elsewhere")
    assert command_line(TableLook(protocols=("x",)), Path("elsewhere"), Path("experiments.toml")) == (
        "goe table --where protocol=x"
    )
    assert "--runs runs" in command_line(TableLook(), Path("runs"), Path("experiments.toml"))
