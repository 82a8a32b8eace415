"""What goe says to damaged files, missing data, diverging losses and typing errors."""

import json
import shutil

from lab import TINY, Lab

from goe.core.records import CheckpointIndex
from goe.core.rundir import read_json
from goe.core.state import RunState


def test_a_typo_in_the_queue_file_starts_nothing(lab: Lab) -> None:
    lab.queue(
        """
[defaults]
datset = "digits"

[[experiment]]
name = "one"
method = "gose"
lr = "fast"

[[experiment]]
name = "two"
epochs = 0
"""
    )
    for command in (("queue", "run"), ("queue", "check"), ("queue", "list"), ("table",)):
        done = lab.goe(*command)
        assert done.returncode == 2
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        assert len(lines) == 4
        assert lines[0].startswith('error: experiments.toml:3: unknown key "datset" (did you mean "dataset"?)')
        assert lines[1].startswith('experiments.toml:7: unknown method "gose" (did you mean "goe"?)')
        assert lines[2].startswith("experiments.toml:8: ")
        assert "lr" in lines[2]
        assert lines[3].startswith("experiments.toml:12: ")
        assert "epochs" in lines[3]
    assert not lab.runs.exists()


def test_no_queue_file(lab: Lab) -> None:
    done = lab.goe("queue", "run")
    assert done.returncode == 2
    assert done.stderr.startswith("error: experiments.toml: no such file; pass --queue FILE")
    assert not lab.runs.exists()


def test_one_bad_run_does_not_keep_the_others(finished: Lab) -> None:
    """One run has no data, one a cut checkpoint, a file is in the place of one; the last goes on."""
    cut, good = (view.run for view in finished.views())
    for run in (cut, good):
        shutil.rmtree(run.attempts_dir)
    index = read_json(cut.checkpoints / "last.json", CheckpointIndex)
    assert index is not None
    weights = cut.checkpoints / index.weights
    weights.write_bytes(weights.read_bytes()[:-1000])
    text = (finished.folder / "experiments.toml").read_text(encoding="utf-8").replace("slots = 2", "slots = 1")
    text += '\n[[experiment]]\nname = "blocked"\n'
    before, _, base = text.partition("[[experiment]]")
    finished.queue(f'{before}[[experiment]]\nname = "nodata"\ndataset = "cifar10"\n\n[[experiment]]{base}')
    listed = json.loads(finished.goe("queue", "list", "--json").stdout)
    assert [record["state"] for record in listed] == ["queued"] * 4
    blocked = finished.runs / listed[3]["run_id"]
    blocked.write_text("in the way")

    done = finished.goe("queue", "run")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    listed = json.loads(finished.goe("queue", "list", "--json").stdout)
    nodata, broken, going = listed[:3]
    assert (nodata["state"], nodata["exit"]["code"], nodata["attempt"]) == ("failed", 2, 1)
    place = finished.folder / "data/cifar-10-batches-py"
    assert nodata["problem"] == f"cifar10: {place} not found; fetch it with `goe data fetch cifar10`"
    assert (broken["state"], broken["exit"]["code"]) == ("failed", 2)
    assert broken["problem"] == (
        f"{weights}: cut or altered: its SHA-256 is not the one in last.json; "
        f"restore the file, or remove {cut.checkpoints} to train from the start"
    )
    assert (going["state"], going["exit"]["code"]) == ("done", 0)
    for problem in (nodata["problem"], broken["problem"], f"error    {blocked.name}: "):
        assert problem in done.stderr
    assert "4 runs: 1 done, 2 failed, 1 broken" in done.stderr
    assert blocked.read_text() == "in the way"


def test_altered_files_of_one_run_hide_no_other(finished: Lab) -> None:
    first, second = (view.run for view in finished.views())
    config = first.config_file.read_text(encoding="utf-8")
    first.config_file.write_text(config.replace('"epochs": 1', '"epochs": 2'), encoding="utf-8")
    done = finished.goe("runs")
    assert done.returncode == 0
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "! broken" in lines[first.run_id]
    assert "✓ done" in lines[second.run_id]
    assert f"{first.run_id}: runs/{first.run_id}/config.json: altered: it describes base-s1-" in done.stderr
    first.config_file.write_text(config[:100], encoding="utf-8")
    states = {
        item["run_id"]: (item["state"], item["problem"]) for item in json.loads(finished.goe("runs", "--json").stdout)
    }
    assert states[second.run_id] == ("done", None)
    assert states[first.run_id][0] == "broken"
    assert "config.json: cut or altered" in states[first.run_id][1]
    table = finished.goe("table", "--format", "md")
    assert table.returncode == 0
    assert "| base | 1/2 |" in table.stdout
    assert "warning: " in table.stderr
    queue = finished.goe("queue", "run")
    assert queue.returncode == 1
    assert f"error    {first.run_id}: " in queue.stderr


def test_a_damaged_result_is_named_and_not_averaged(finished: Lab) -> None:
    result = next(finished.views()[0].run.eval.glob("*.json"))
    result.write_bytes(result.read_bytes()[:-20])
    done = finished.goe("table")
    assert done.returncode == 0
    assert f"{result.parent.parent.name}/eval/{result.name}: cut or altered; `goe eval base-s1-" in done.stderr
    assert "base          1/2" in done.stdout


def test_a_diverging_loss_names_its_step_and_leaves_the_checkpoint(lab: Lab) -> None:
    """The first epoch goes well; then the learning rate rises beyond all bounds."""
    lab.queue(
        f"""{TINY.replace("epochs = 1", "epochs = 2")}
milestones = [1]
lr = 0.01
lr-decay = 1e30

[[experiment]]
name = "wild"
"""
    )
    done = lab.goe("queue", "run")
    assert done.returncode == 1
    view = lab.view()
    assert view.exit is not None
    assert (view.state, view.exit.code) == (RunState.FAILED, 4)
    assert view.problem is not None
    assert "the loss is nan at step 10; the last good checkpoint stands" in view.problem
    assert view.problem in done.stderr
    index = read_json(view.run.checkpoints / "last.json", CheckpointIndex)
    assert index is not None
    assert (index.epoch, index.step) == (1, 8)
    assert "Traceback" not in view.run.log_file.read_text(encoding="utf-8")
