"""Weights under the authors' names become a run that every command takes for what it is."""

import json
import re
from pathlib import Path

import pytest
import safetensors.torch
import torch
from lab import Lab

from goe.core.overview import RunView
from goe.core.records import CheckpointIndex, EvalResult
from goe.core.rundir import RunDir, read_json
from goe.core.state import RunState

QUEUE = """
[[experiment]]
name = "theirs"
preset = "paper"
dataset = "digits"
model = "wrn-10-1"
method = "oe"
"""
OPTIONS = ("--model=wrn-10-1", "--dataset=digits", "--method=oe", "--name=theirs")


def under_the_authors_names(run: RunDir, file: Path) -> None:
    """Save the best network of a WRN as the authors' code would have, from several GPUs."""
    index = read_json(run.checkpoints / "best.json", CheckpointIndex)
    assert index is not None
    named = {}
    for key, value in safetensors.torch.load_file(run.checkpoints / index.weights).items():
        name = re.sub(r"^groups\.(\d)\.(\d)", lambda m: f"block{int(m[1]) + 1}.layer.{m[2]}", key)
        for ours, their in {
            r"^stem": "conv1",
            r"^norm": "bn1",
            r"^head": "fc",
            "shortcut": "convShortcut",
            "norm": "bn",
        }.items():
            name = re.sub(ours, their, name)
        named[f"module.{name}"] = value
    torch.save(named, file)


def imported(lab: Lab) -> RunView:
    (view,) = [view for view in lab.views() if view.run_id.startswith("theirs-")]
    return view


def test_an_imported_run_is_evaluated_and_listed_and_not_trained(finished: Lab) -> None:
    trained = finished.views()[0].run
    file = finished.folder / "model_best.pth"
    under_the_authors_names(trained, file)
    done = finished.goe("checkpoints", "import", str(file), *OPTIONS)
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.strip()
    assert run_id == imported(finished).run_id
    assert done.stderr == f"imported {file}; `goe eval {run_id}` evaluates it\n"

    done = finished.goe("eval", run_id)
    assert done.returncode == 0, done.stderr
    assert "theirs" in done.stdout
    found, expected = (
        read_json(run.eval / "best-msp-digits.json", EvalResult) for run in (imported(finished).run, trained)
    )
    assert found is not None
    assert expected is not None
    assert found.classification == pytest.approx(expected.classification)
    assert found.detection.keys() == expected.detection.keys()
    for name, values in found.detection.items():
        assert values == pytest.approx(expected.detection[name])

    lines = {line.split()[0]: line for line in finished.goe("runs").stdout.splitlines()}
    assert "✓ done" in lines[run_id]
    shown = finished.goe("show", "theirs").stdout
    assert f"{run_id}  ✓ done" in shown
    assert "imported   2" in shown
    assert "attempt" not in shown
    assert "0/200" not in finished.goe("tui", "--once").stdout
    listed = json.loads(finished.goe("checkpoints", "theirs", "--json").stdout)
    assert [(item["checkpoint"], item["epoch"], item["val_accuracy"]) for item in listed] == [
        ("best", 200, None),
        ("last", 200, None),
    ]
    assert "theirs" in finished.goe("table").stdout

    finished.queue(QUEUE)
    queue = finished.goe("queue", "run")
    assert queue.returncode == 0, queue.stderr
    assert "started" not in queue.stderr
    options = ("--dataset=digits", "--model=wrn-10-1", "--method=oe", "--name=theirs", "--set=preset=paper")
    assert f"{run_id} is done; nothing to train" in finished.goe("train", *options).stderr
    view = imported(finished)
    assert (view.state, view.attempt) == (RunState.DONE, 1)
    assert not view.run.metrics_file.exists()


def test_what_is_refused_makes_no_run(lab: Lab) -> None:
    file = lab.folder / "theirs.pth"
    torch.save({"fc.weight": torch.zeros(100, 64)}, file)
    for options, said in (
        ((str(file), *OPTIONS), f"error: {file}: is of another network: it lacks conv1.weight, "),
        (("absent.pth", *OPTIONS), "error: absent.pth: can't be read: No such file or directory; check the path"),
        ((str(file), "--model=vgg", "--dataset=digits"), 'error: --model: unknown model "vgg"'),
        ((str(file), "--model=wrn", "--dataset=digit"), 'error: --dataset: "digit" is not accepted'),
        ((str(file), *OPTIONS, "--trial=x"), "error: --trial: 'x' is not a number"),
    ):
        done = lab.goe("checkpoints", "import", *options)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(said)
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not lab.runs.exists()


def test_checkpoints_without_a_command_lists(finished: Lab) -> None:
    run_id = finished.views()[0].run_id
    everything = finished.goe("checkpoints")
    assert everything.returncode == 0
    assert everything.stdout == finished.goe("checkpoints", "list").stdout
    one = finished.goe("checkpoints", run_id)
    assert {line.split()[0] for line in one.stdout.splitlines()} == {"run", run_id}
    elsewhere = finished.goe("checkpoints", "--runs", "nowhere", "--json")
    assert json.loads(elsewhere.stdout) == []
    page = finished.goe("checkpoints", "--help").stdout
    assert "goe checkpoints [RUN…]" in page
    assert "  import " in page
