"""`goe train` and `goe eval` as typed, with the authors' spellings too."""

import json
import resource

from lab import TINY_OPTIONS, Lab

from goe.core.config import RunConfig
from goe.core.records import EvalResult
from goe.core.rundir import read_json
from goe.core.specs import GOE, Filter
from goe.core.state import RunState

AUTHORS = ["--model", "res34", "--gpu-id", "0", "--trial", "01", "--filtered_num", "20"]
AUTHORS += ["--estimation-func", "msp", "--strategy", "static", "--save-path", "runs"]
ONE_EPOCH = ["--epochs", "1", *TINY_OPTIONS]


def test_the_authors_command_without_the_data(lab: Lab) -> None:
    done = lab.goe("train", "--dataset", "cifar100", *AUTHORS)
    assert done.returncode == 2
    missing = f"cifar100: {lab.folder / 'data/cifar-100-python'} not found; fetch it with `goe data fetch cifar100`"
    assert f"error: {missing}" in done.stderr
    assert "Traceback" not in done.stderr
    view = lab.view()
    assert view.run_id.startswith("goe-cifar100-resnet-34-s1-")
    assert (view.state, view.attempt) == (RunState.FAILED, 1)
    assert view.problem == missing
    assert view.exit is not None
    assert view.exit.code == 2
    assert "goe data fetch cifar100" in view.run.log_file.read_text(encoding="utf-8")
    shown = lab.goe("runs")
    assert "✗ failed" in shown.stdout
    assert "goe data fetch cifar100" in shown.stderr

    evaluated = lab.goe("eval", *["--dataset", "cifar100", "--model", "res34", "--gpu-id", "0", "--save-path", "runs"])
    assert evaluated.returncode == 2
    assert evaluated.stderr == ("error: runs: no trained run of cifar100 res34 to evaluate; `goe train` makes one\n")


def test_the_authors_command_on_digits(lab: Lab) -> None:
    done = lab.goe("train", "--dataset", "digits", *AUTHORS, "--detach")
    assert done.returncode == 0, done.stderr
    view = lab.view()
    assert done.stdout == f"{view.run_id}\n"
    assert "this machine has no GPU; training on the CPU" in done.stderr
    config = view.config
    assert isinstance(config, RunConfig)
    assert (config.dataset, config.model, config.seed, config.dropout) == ("digits", "resnet-34", 1, 0.0)
    assert config.method == GOE(filter=Filter(strategy="static", estimation="msp", k=20))
    stopped = lab.goe("stop", view.run_id, "--force", "--save-path", "runs")
    assert (stopped.returncode, stopped.stderr) == (0, f"{view.run_id}: ending\n")
    ended = lab.wait_for_end()
    assert ended.state is RunState.STOPPED
    again = lab.goe("stop", view.run_id)
    assert (again.returncode, again.stderr) == (0, f"{view.run_id}: is not running\n")


def test_every_problem_of_a_command_at_once(lab: Lab) -> None:
    options = ["--dataset", "digit", "--model", "wrn-41-2", "--trial", "x"]
    options += ["--set", "lr=-1", "--set", "seed=2", "--set", "nonsense"]
    done = lab.goe("train", *options)
    assert done.returncode == 2
    for part in ("--dataset:", "--model:", "--trial:", "--lr:", "--set: seed: use --trial", "--set: 'nonsense'"):
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert not lab.runs.exists()


def test_a_method_of_the_wrong_type_is_a_finding(lab: Lab) -> None:
    done = lab.goe("train", "--set", "method=5")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "--method: " in done.stderr


def test_train_shows_the_run_and_its_table(lab: Lab) -> None:
    done = lab.goe("train", "--method", "oe", "--name", "shown", *ONE_EPOCH)
    assert done.returncode == 0, done.stderr
    assert [line.split("  ")[0] for line in done.stdout.splitlines()].count("epoch 1/1") == 1
    assert "score msp · protocol digits" in done.stdout
    assert "✓ done" in done.stderr
    again = lab.goe("train", "--method", "oe", "--name", "shown", *ONE_EPOCH)
    assert again.returncode == 0
    assert "is done; nothing to train" in again.stderr
    assert lab.view().attempt == 1


def test_a_full_disk_is_said_and_the_exit_code_kept(lab: Lab) -> None:
    def no_large_files() -> None:  # a checkpoint has 320 kB, everything else less than 50
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = lab.goe("train", *ONE_EPOCH, preexec_fn=no_large_files)
    assert done.returncode == 2, done.stderr
    view = lab.view()
    assert view.state is RunState.FAILED
    assert view.problem is not None
    assert "File too large" in view.problem
    assert view.problem in done.stderr
    assert list(view.run.checkpoints.iterdir()) == []


def test_eval_under_other_scores(finished: Lab) -> None:
    first, second = (view.run for view in finished.views())
    done = finished.goe("eval", first.run_id, "--scores", "energy,msp")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()[2:4]] == [["base", "energy"], ["base", "msp"]]
    assert sorted(path.name for path in first.eval.glob("*.json")) == [
        "best-energy-digits.json",
        "best-msp-digits.json",
    ]
    assert len(list(second.eval.glob("*.json"))) == 1
    energy = read_json(first.eval / "best-energy-digits.json", EvalResult)
    assert energy is not None
    assert energy.sizes == {"digits": 300, "digits-8-9": 354, "flower": 1000, "blobs": 1000, "gaussian-noise": 1000}
    assert energy.classification["ece"] is None


def test_eval_finds_nothing_to_do(finished: Lab) -> None:
    paths = sorted(finished.runs.glob("*/eval/*"))
    before = [path.stat().st_mtime_ns for path in paths]
    done = finished.goe("eval", "--dataset", "digits", "--model", "wrn-10-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_eval_of_what_is_not_there(finished: Lab) -> None:
    unknown = finished.goe("eval", "--scores", "energi")
    assert (unknown.returncode, 'did you mean "energy"' in unknown.stderr) == (2, True)
    missing = finished.goe("eval", finished.views()[0].run_id, "--checkpoint", "epoch-007")
    assert missing.returncode == 2
    assert "epoch-007.json: there is no such checkpoint" in missing.stderr


def test_what_a_finished_run_shows(finished: Lab) -> None:
    run_id = finished.views()[0].run_id
    page = finished.goe("show", "base-s1")
    assert page.returncode == 0
    for part in (f"{run_id}  ✓ done", "exit 0 after", "best", "last", "val/accuracy", "batch-size           100"):
        assert part in page.stdout
    listed = json.loads(finished.goe("checkpoints", "--json").stdout)
    assert [(item["run_id"], item["checkpoint"], item["epoch"]) for item in listed] == [
        (view.run_id, name, 1) for view in finished.views() for name in ("best", "last")
    ]
    assert all(item["problem"] is None and item["bytes"] > 300_000 for item in listed)
    records = json.loads(finished.goe("runs", "--json").stdout)
    assert [(item["state"], item["attempt"], item["exit"]["code"]) for item in records] == [("done", 1, 0)] * 2


def test_a_finished_run_is_tested_on_other_sets(finished: Lab) -> None:
    run = finished.views()[0].run
    done = finished.goe("eval", run.run_id, "--ood", "uniform-noise,rademacher-noise")
    assert done.returncode == 0, done.stderr
    assert "OOD: rademacher-noise" in done.stdout
    assert len(list(run.eval.glob("*-own-*.json"))) == 1
    assert len(list(run.eval.glob("*-digits.json"))) == 1  # the configured result stays
    for options, said in (
        (("--ood", "nose"), 'error: {run}: --ood: "nose" is not a known OOD test set'),
        (("--protocol", "scood"), 'error: {run}: --protocol: "scood" is a protocol for cifar10 and cifar100'),
        (("--protocol", "scod"), 'error: --protocol: "scod" is unknown (did you mean "scood"?)'),
        (("--ood-mode", "as-id"), "error: {run}: --ood-mode: only for the protocols scood and goe2024"),
    ):
        done = finished.goe("eval", run.run_id, *options)
        assert done.returncode == 2
        assert said.format(run=run.run_id) in done.stderr
        assert "Traceback" not in done.stderr
