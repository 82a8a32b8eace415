"""Checkpoints verified and pruned: small files with digests worked out here."""

import hashlib
from pathlib import Path

import msgspec
import pytest

from goe.core.config import complete
from goe.core.errors import ConfigError, RunError
from goe.core.integrity import verify
from goe.core.overview import view_runs
from goe.core.process import myself
from goe.core.pruning import Keep, Pruning, needed_by, parse_keep, plan_pruning, prune
from goe.core.records import CheckpointIndex, Exit, Launch
from goe.core.rundir import RunDir, write_json
from goe.core.thresholds import Thresholds

NO_ONE: dict[tuple[Path, str], str] = {}


def make(runs: Path, name: str = "x", **keys: object) -> RunDir:
    raw = {"experiment": name, "seed": 1, **keys}
    config = complete(raw, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert config is not None
    return RunDir.create(runs, config)


def claim(run: RunDir) -> None:
    assert run.claim(Launch(attempt=1, launcher="local", supervisor=myself(), started=1.0))


def finish(run: RunDir) -> None:
    claim(run)
    attempt = run.attempt()
    assert attempt is not None
    write_json(attempt.exit_file, Exit(code=0, signal=None, started=1.0, ended=2.0, peak_memory=1))


def save(run: RunDir, epoch: int, *names: str) -> CheckpointIndex:
    """Weights of `epoch` bytes and a state of 100 bytes, thresholds and outputs (10 bytes) of them."""
    weights, state = bytes([epoch]) * epoch, bytes([epoch]) * 100
    stem = f"epoch-{epoch:03d}"
    index = CheckpointIndex(
        epoch=epoch,
        step=epoch,
        weights=f"{stem}.safetensors",
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        state=f"{stem}.state.safetensors",
        state_sha256=hashlib.sha256(state).hexdigest(),
        values={},
        best_accuracy=0.5,
        saved=1.0,
    )
    (run.checkpoints / index.weights).write_bytes(weights)
    (run.checkpoints / index.state).write_bytes(state)
    write_json(run.checkpoints / f"{stem}.thresholds.json", Thresholds(weights_sha256=index.weights_sha256))
    outputs = run.eval / "outputs" / index.weights_sha256[:16]
    outputs.mkdir(parents=True, exist_ok=True)
    (outputs / "digits.safetensors").write_bytes(b"0123456789")
    for name in names:
        write_json(run.checkpoints / f"{name}.json", index)
    return index


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """Done: epochs 5, 10 and 15 kept, the last also `best`, and `last` of epoch 17."""
    found = make(tmp_path / "runs")
    save(found, 5, "epoch-005")
    save(found, 10, "epoch-010")
    save(found, 15, "epoch-015", "best")
    save(found, 17, "last")
    finish(found)
    return found


def problems(run: RunDir) -> dict[str, tuple[str, bool]]:
    return {found.file: (found.text, found.bad) for found in verify(run) if found.text != "whole" or found.bad}


def test_whole_checkpoints(run: RunDir) -> None:
    names = sorted(found.file for found in verify(run))
    assert names == sorted(path.name for path in run.checkpoints.iterdir())
    assert len(names) == 5 + 4 * 3
    assert problems(run) == {}


def test_a_run_without_checkpoints(tmp_path: Path) -> None:
    assert verify(make(tmp_path)) == []


def test_every_kind_of_damage_is_named(run: RunDir) -> None:
    folder = run.checkpoints
    (folder / "epoch-005.safetensors").write_bytes(b"\5" * 4)  # cut
    (folder / "epoch-010.state.safetensors").write_bytes(b"\x0b" + b"\x0a" * 99)  # one bit
    (folder / "epoch-015.safetensors").unlink()
    (folder / "last.json").write_text("{")
    (folder / "epoch-010.thresholds.json").write_text("[")
    (folder / "epoch-003.safetensors").touch()
    write_json(folder / "epoch-005.thresholds.json", Thresholds(weights_sha256="0"))
    found = problems(run)
    assert {file: bad for file, (_, bad) in found.items()} == {
        "epoch-005.safetensors": True,
        "epoch-010.state.safetensors": True,
        "epoch-015.safetensors": True,
        "last.json": True,
        "epoch-010.thresholds.json": True,
        "epoch-005.thresholds.json": False,
        "epoch-003.safetensors": False,
        "epoch-017.safetensors": False,
        "epoch-017.state.safetensors": False,
        "epoch-017.thresholds.json": False,
    }
    assert found["epoch-005.safetensors"][0] == "cut or altered: its SHA-256 is another; named by epoch-005.json"
    assert found["epoch-015.safetensors"][0] == "missing; named by best.json, epoch-015.json"
    assert found["epoch-003.safetensors"][0] == "named by no index that can be read"


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        ("last,best", Keep(("last", "best"), 0)),
        ("last, every=10,", Keep(("last",), 10)),
        ("every=3", Keep((), 3)),
        ("epoch-050", Keep(("epoch-050",), 0)),
    ],
)
def test_what_to_keep(text: str, keep: Keep) -> None:
    assert parse_keep(text) == keep


@pytest.mark.parametrize("text", ["", "lst", "every", "every=0", "every=x", "last=3", "epoch-"])
def test_what_is_no_answer(text: str) -> None:
    with pytest.raises(ConfigError, match="--keep: "):
        parse_keep(text)


def left(run: RunDir, pruning: Pruning) -> set[str]:
    prune(pruning)
    assert problems(run) == {}
    return {path.stem for path in run.checkpoints.glob("*.json") if "." not in path.stem}


def test_what_goes_and_how_many_bytes(run: RunDir) -> None:
    planned = plan_pruning(run, parse_keep("last,best,every=10"), NO_ONE)
    assert planned.remarks == ()
    threshold = (run.checkpoints / "epoch-005.thresholds.json").stat().st_size
    indexes = sum((run.checkpoints / f"{name}.json").stat().st_size for name in ("epoch-005", "epoch-015"))
    assert planned.size == indexes + 5 + 100 + threshold + 10
    assert {removal.path.name for removal in planned.removals} >= {"epoch-005.json", "epoch-015.json"}
    assert not any("epoch-015.safetensors" in removal.path.name for removal in planned.removals), "best names them too"
    before = sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    assert left(run, planned) == {"last", "best", "epoch-010"}
    assert sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file()) == before - planned.size
    assert len(list((run.eval / "outputs").iterdir())) == 3
    assert plan_pruning(run, parse_keep("last,best,every=10"), NO_ONE).removals == ()


def test_what_no_index_names_goes(run: RunDir) -> None:
    (run.checkpoints / ".epoch-018.safetensors.abc").write_bytes(b"half")
    (removal,) = plan_pruning(run, parse_keep("last,best,every=1"), NO_ONE).removals
    assert (removal.path.name, removal.size, removal.why) == (".epoch-018.safetensors.abc", 4, "named by no index")


def test_nothing_goes_while_an_index_is_damaged(run: RunDir) -> None:
    (run.checkpoints / "best.json").write_text("{")
    planned = plan_pruning(run, parse_keep("last"), NO_ONE)
    assert planned.removals == ()
    assert planned.remarks == ("best.json can't be read and may name any file: nothing is removed",)


def test_a_live_run_is_left_alone(tmp_path: Path) -> None:
    run = make(tmp_path)
    save(run, 5, "epoch-005")
    planned = plan_pruning(run, parse_keep("best"), NO_ONE)
    assert planned.removals
    claim(run)
    assert plan_pruning(run, parse_keep("best"), NO_ONE).remarks == ("is starting: nothing is removed while it lives",)
    with pytest.raises(RunError, match="is starting now; nothing was removed"):
        prune(planned)
    assert (run.checkpoints / "epoch-005.json").exists()


def test_a_run_that_goes_on_keeps_its_last(tmp_path: Path) -> None:
    run = make(tmp_path)
    save(run, 5, "best")
    save(run, 6, "last")
    planned = plan_pruning(run, parse_keep("best"), NO_ONE)
    assert planned.removals == ()
    assert planned.remarks == ("last stays: the run is not done and goes on from it",)


@pytest.mark.parametrize("by", ["experiment", "file"])
def test_what_others_begin_with_stays_until_they_are_done(run: RunDir, by: str) -> None:
    runs = run.path.parent
    origin = {"experiment": "x", "group": run.config().group} if by == "experiment" else {"file": str(run.path)}
    tuned = make(runs, "tuned", **{"init-from": {**origin, "checkpoint": "best"}})
    planned = plan_pruning(run, parse_keep("last"), needed_by(runs, view_runs(runs)))
    assert planned.remarks == (f"best stays: {tuned.run_id} begins with it and is not done",)
    assert not any(removal.path.name.startswith(("best", "epoch-015.s")) for removal in planned.removals)
    finish(tuned)
    assert needed_by(runs, view_runs(runs)) == {}
    assert left(run, plan_pruning(run, parse_keep("last"), NO_ONE)) == {"last"}


def test_an_index_that_names_the_weights_of_another_keeps_them(run: RunDir) -> None:
    index = msgspec.json.decode((run.checkpoints / "epoch-005.json").read_bytes(), type=CheckpointIndex)
    write_json(run.checkpoints / "last.json", index)
    assert left(run, plan_pruning(run, parse_keep("last"), NO_ONE)) == {"last"}
    assert (run.checkpoints / "epoch-005.safetensors").read_bytes() == b"\5" * 5
