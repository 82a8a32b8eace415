"""Differences between two runs, and the commands and verdict of a run made again."""

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from goe.core.config import complete
from goe.core.difference import configurations, differences, environments
from goe.core.errors import RunError
from goe.core.process import myself
from goe.core.provenance import Environment
from goe.core.records import CheckpointIndex, Launch, Metric, metric_line
from goe.core.reproduction import plan, script, verdict
from goe.core.rundir import RunDir, write_json

COMMIT = "1234567890" * 4
ENVIRONMENT = Environment(
    goe="0.1.0",
    commit=COMMIT,
    dirty=False,
    diff_sha256=None,
    code="abcdefabcdef",
    python="3.11.7",
    platform="Linux",
    host="lab",
    command=("python", "-m", "goe.worker"),
    folder="/",
    data="/data",
    seed=1,
    packages={"torch": "2.6.0", "numpy": "2.0", "goe": "0.1.0"},
    cuda=None,
    gpus=(),
    threads=4,
)


def make(runs: Path, name: str = "x", *, started: bool = True, **keys: Any) -> RunDir:
    raw = {"experiment": name, "seed": 1, "epochs": 2, **keys}
    config = complete(raw, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert config is not None
    run = RunDir.create(runs, config)
    if started:
        assert run.claim(Launch(attempt=1, launcher="local", supervisor=myself(), started=1.0))
    return run


def test_differences() -> None:
    a = {"same": 1, "lr": 0.1, "method": {"name": "goe", "k": 3, "mix": {"alpha": 1.0}}, "scores": ["msp"]}
    b = {
        "same": 1,
        "lr": 0.2,
        "method": {"name": "goe", "mix": {"alpha": 2.0}},
        "scores": ["msp"],
        "id": {"train": "t"},
    }
    assert differences(a, b) == {
        "lr": (0.1, 0.2),
        "method.k": (3, None),
        "method.mix.alpha": (1.0, 2.0),
        "id.train": (None, "t"),
    }
    assert list(differences(a, b)) == ["lr", "method.k", "method.mix.alpha", "id.train"]
    assert differences(a, a) == {}


def test_differences_of_runs(tmp_path: Path) -> None:
    one, other = make(tmp_path), make(tmp_path, "y", lr=0.5)
    assert configurations(one, other) == {"experiment": ("x", "y"), "lr": (0.1, 0.5)}
    write_json(one.env_file, ENVIRONMENT)
    changed = msgspec.structs.replace(ENVIRONMENT, command=("other",), packages={**ENVIRONMENT.packages, "torch": "3"})
    write_json(other.env_file, changed)
    assert environments(one, other) == {"env.packages.torch": ("2.6.0", "3")}
    other.env_file.unlink()
    assert environments(one, other)["env.host"] == ("lab", None)


def test_the_script(tmp_path: Path) -> None:
    run = make(tmp_path / "runs")
    write_json(run.env_file, msgspec.structs.replace(ENVIRONMENT, dirty=True, diff_sha256="d", patch="code.patch"))
    run.patch_file.write_text("patch")
    into = tmp_path / "a b"
    lines = script(plan(run, into, root=tmp_path / "checkout"))
    quoted = f"'{into}"
    settings = f"OMP_NUM_THREADS=4 PYTHONPATH={quoted}/code' CUDA_VISIBLE_DEVICES=''"
    options = f"train --config {run.config_file} --runs {quoted}/runs' --data /data"
    assert [line for line in lines if not line.startswith("#")] == [
        "set -e",
        f"mkdir -p {quoted}/runs'",
        f"git -C {tmp_path}/checkout worktree add --detach {quoted}/code' {COMMIT}",
        f"git -C {quoted}/code' apply {run.patch_file}",
        f"cat > {quoted}/requirements.txt' <<'END'",
        "numpy==2.0",
        "torch==2.6.0",
        "END",
        f"python3.11 -m venv {quoted}/venv'",
        f"{quoted}/venv/bin/python' -m pip install -r {quoted}/requirements.txt'",
        f"(cd / && {settings} {quoted}/venv/bin/python' -P -m cli {options})",
    ]
    done = subprocess.run(["sh", "-n"], input="\n".join(lines), text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_of_several_processes_is_shared_again(tmp_path: Path) -> None:
    run = make(tmp_path)
    write_json(run.env_file, msgspec.structs.replace(ENVIRONMENT, processes=2))
    planned = plan(run, tmp_path / "into")
    assert planned.train.command[-2:] == ("--processes", "2")
    assert planned.train.env["OMP_NUM_THREADS"] == "8"  # 4 in each of them


def test_an_installed_package_is_one_of_the_packages(tmp_path: Path) -> None:
    run = make(tmp_path)
    write_json(run.env_file, msgspec.structs.replace(ENVIRONMENT, commit=None, dirty=None))
    planned = plan(run, tmp_path / "into", python="py")
    assert planned.pins() == ["goe==0.1.0", "numpy==2.0", "torch==2.6.0"]
    assert [step.command[0] for step in planned.prepare] == ["mkdir"]
    assert "PYTHONPATH" not in planned.train.env
    assert planned.train.command[:4] == ("py", "-P", "-m", "cli")
    assert any("other code than this one" in note for note in planned.notes)


def test_fine_tuning_needs_its_source(tmp_path: Path) -> None:
    source = make(tmp_path)
    run = make(tmp_path, "tuned", **{"init-from": {"experiment": "x", "group": source.config().group}})
    write_json(run.env_file, ENVIRONMENT)
    commands = [step.command for step in plan(run, tmp_path / "into").prepare]
    assert ("ln", "-s", str(source.path), str(tmp_path / "into" / "runs")) in commands


def test_what_nobody_can_repeat(tmp_path: Path) -> None:
    run = make(tmp_path, started=False)
    with pytest.raises(RunError, match="the run was not trained yet"):
        plan(run, tmp_path)
    write_json(run.env_file, ENVIRONMENT)
    with pytest.raises(RunError, match="was not trained here"):
        plan(run, tmp_path)
    dirty = msgspec.structs.replace(ENVIRONMENT, dirty=True, diff_sha256="d")
    run = make(tmp_path, "dirty")
    write_json(run.env_file, dirty)
    with pytest.raises(RunError, match="uncommitted changes that nobody kept"):
        plan(run, tmp_path)
    write_json(run.env_file, msgspec.structs.replace(dirty, patch="left out: 3.0 MiB, more than 2.0 MiB"))
    with pytest.raises(RunError, match="changes were left out: 3"):
        plan(run, tmp_path)


def trained(run: RunDir, weights: str, losses: list[float]) -> RunDir:
    with run.metrics_file.open("wb") as file:
        for epoch, loss in enumerate(losses, start=1):
            values = {"loss": loss, "images_per_s": epoch + len(weights) / 7}
            file.write(metric_line(Metric(kind="epoch", epoch=epoch, step=epoch, time=1.0, values=values)))
    index = CheckpointIndex(
        epoch=len(losses), step=2, weights="w", weights_sha256=weights, state="s", state_sha256="s", values={},
        best_accuracy=0.5, saved=1.0,
    )  # fmt: skip
    write_json(run.checkpoints / "last.json", index)
    return run


@pytest.mark.parametrize(
    ("weights", "losses", "same", "sentence"),
    [
        ("a" * 64, [0.5, 0.25], True, f"the final weights are bit-equal: SHA-256 {'a' * 16}… after epoch 2"),
        ("b", [0.5, 0.26], False, "the final weights differ; epoch 2 is the first that does: loss was 0.25, is 0.26"),
        ("b", [0.4, 0.25], False, "the final weights differ; epoch 1 is the first that does: loss was 0.5, is 0.4"),
        ("b", [0.5, 0.25], False, "the final weights differ, though every epoch measured the same"),
    ],
)
def test_the_verdict(tmp_path: Path, weights: str, losses: list[float], same: bool, sentence: str) -> None:
    old, new = make(tmp_path / "old"), make(tmp_path / "new")
    trained(old, "a" * 64, [0.5, 0.25])
    assert verdict(old, trained(new, weights, losses)) == (same, sentence)


def test_a_verdict_needs_both_to_be_finished(tmp_path: Path) -> None:
    old, new = make(tmp_path / "old"), make(tmp_path / "new")
    trained(old, "a", [0.5, 0.25])
    trained(new, "a", [0.5])
    with pytest.raises(RunError, match="is starting after 1 of 2 epochs; only final weights are compared"):
        verdict(old, new)
