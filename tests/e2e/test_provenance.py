"""Runs compared, made again, and told that their code changed; checkpoints verified and pruned as typed."""

import json
import subprocess
from pathlib import Path

import msgspec
import pytest
from lab import TINY_OPTIONS, Lab

import goe
from goe.core.code import ROOT, Queued
from goe.core.provenance import Environment
from goe.core.rundir import read_json, write_json

RUN = ["train", "--method", "oe", "--name", "first", "--epochs", "2", *TINY_OPTIONS]


def test_a_difference(finished: Lab) -> None:
    first, second = (view.run_id for view in finished.views())
    done = finished.goe("diff", "base-s1", "base-s2")
    assert done.returncode == 0
    assert [line.split() for line in done.stdout.splitlines()] == [[first, second], ["seed", "1", "2"]]
    found = json.loads(finished.goe("diff", "base-s1", "base-s2", "--env", "--json").stdout)
    assert found == [{"key": "seed", "a": 1, "b": 2}, {"key": "env.seed", "a": 1, "b": 2}]
    same = finished.goe("diff", "base-s1", "base-s1")
    assert (same.returncode, same.stdout, same.stderr) == (0, "", f"{first} and {first}: no difference\n")


def test_checkpoints_verified_and_pruned(finished: Lab) -> None:
    run = finished.views()[0].run
    assert (finished.goe("checkpoints", "verify").returncode, finished.goe("checkpoints", "verify").stdout) == (0, "")
    orphan = run.checkpoints / "epoch-007.safetensors"
    orphan.write_bytes(b"x" * 2048)
    dry = finished.goe("checkpoints", "prune", "--keep", "last,best,every=10")
    assert dry.returncode == 0
    assert dry.stdout == f"{run.run_id}/checkpoints/epoch-007.safetensors  2.0 KiB  named by no index\n"
    assert dry.stderr == "2.0 KiB would go; --apply removes them\n"
    assert orphan.exists()
    assert "named by no index" in finished.goe("checkpoints", "verify", "base-s1").stdout
    applied = finished.goe("checkpoints", "prune", "--apply")
    assert (applied.stdout, applied.stderr) == (dry.stdout, "2.0 KiB removed\n")
    assert not orphan.exists()
    weights = run.checkpoints / "epoch-001.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    damaged = finished.goe("checkpoints", "verify")
    assert damaged.returncode == 2
    assert damaged.stdout == (
        f"bad   {run.run_id}/checkpoints/epoch-001.safetensors: cut or altered: its SHA-256 is another; named by "
        "best.json, last.json\n"
    )


def test_a_config_is_trained_exactly(finished: Lab) -> None:
    old = finished.views()[0]
    file = str(old.run.config_file)
    refused = finished.goe("train", "--config", file, "--epochs", "3", "--set", "lr=1")
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        "error: --config: goes without --epochs: the file has it all",
        "--config: goes without --set: the file has it all",
    ]
    missing = finished.goe("train", "--config", "none.json")
    assert missing.stderr == "error: none.json: no such file; --config takes a run's config.json\n"
    raw = json.loads(old.run.config_file.read_text(encoding="utf-8"))
    (finished.folder / "odd.json").write_text(json.dumps({**raw, "model": "wrn-11-1"}), encoding="utf-8")
    assert "odd.json: model: " in finished.goe("train", "--config", "odd.json").stderr
    done = finished.goe("train", "--config", file, "--runs", "again", "--detach")
    assert (done.returncode, done.stdout) == (0, f"{old.run_id}\n")
    made = finished.folder / "again" / old.run_id
    assert (made / "config.json").read_bytes() == old.run.config_file.read_bytes()
    assert finished.goe("stop", old.run_id, "--runs", "again", "--force").returncode == 0
    finished.runs = finished.folder / "again"
    finished.wait_for_end()


def test_code_that_changed_is_told_everywhere(lab: Lab) -> None:
    assert lab.goe(*RUN[:-3], "--epochs", "1", *TINY_OPTIONS, "--detach").returncode == 0
    run = lab.wait_for_end().run
    warning = "code changed between queueing and start: "
    assert warning not in run.log_file.read_text(encoding="utf-8")
    queued = read_json(run.queued_file, Queued)
    assert queued is not None
    assert queued.code.files.keys() >= {"train.py", "core/code.py"}
    older = msgspec.structs.replace(queued.code, commit="a1b2c3d" + "0" * 33, diff_sha256=None)
    older = msgspec.structs.replace(older, files={**older.files, "train.py": "0"})
    write_json(run.queued_file, msgspec.structs.replace(queued, code=older))
    (run.attempts_dir / "1").rename(lab.folder / "aside")  # as if it had only been queued
    assert lab.goe("train", "--config", str(run.config_file)).returncode == 0
    said = f"{warning}a1b2c3d -> {queued.code.label}, 1 file (train.py)"
    assert f"warning: {said}\n" in run.log_file.read_text(encoding="utf-8")
    assert f"warning    {said}" in lab.goe("show", "first").stdout
    (listed,) = json.loads(lab.goe("runs", "--json").stdout)
    assert (listed["status"]["warning"], listed["status"]["code"]) == (said, queued.code.digest)


def test_a_run_is_made_again_bit_for_bit(lab: Lab) -> None:
    assert lab.goe(*RUN).returncode == 0
    run = lab.view().run
    environment = read_json(run.env_file, Environment)
    assert environment is not None
    if environment.commit is None:
        pytest.skip("no checkout of goe here")
    printed = lab.goe("reproduce", "first")
    assert printed.returncode == 0
    assert f"git -C {ROOT} worktree add --detach {lab.folder}/reproduce/{run.run_id}/code" in printed.stdout
    assert not (lab.folder / "reproduce").exists()
    try:
        done = lab.goe("reproduce", "first", "--run", "--into", "again")
        assert done.returncode == 0, done.stderr
        assert "the final weights are bit-equal" in done.stdout
        code = Path(environment.folder, "again", "code")
        assert (code / "goe" / "train.py").read_bytes() == Path(goe.__path__[0], "train.py").read_bytes()
        assert (lab.folder / "again" / "requirements.txt").read_text(encoding="utf-8").count("torch==") == 1
        again = lab.goe("reproduce", "first", "--run", "--into", "again")
        assert again.returncode == 2
        assert "again: is not empty; choose another folder with --into DIR" in again.stderr
    finally:
        folder = str(lab.folder / "again" / "code")
        subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", folder], check=False, timeout=60)
