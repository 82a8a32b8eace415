"""Checkpoints: bit for bit there and back, and one clear message for every kind of damage."""

import contextlib
import hashlib
import os
import pickle
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from goe import checkpoint
from goe.core.config import complete
from goe.core.errors import CheckpointError
from goe.core.inventory import list_checkpoints
from goe.core.records import CheckpointIndex
from goe.core.rundir import RunDir, read_json, write_json


class State:
    """A small network with batch norm in channels-last layout, a method with a parameter, and their optimiser."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 5)
        self.net = nn.Sequential(*layers).to(memory_format=torch.channels_last)
        self.method = nn.Linear(5, 2)
        parameters = [*self.net.parameters(), *self.method.parameters()]
        self.optimiser = SGD(parameters, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3)

    def train(self, seed: int) -> None:
        """One step."""
        x = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        loss = self.method(self.net(x.to(memory_format=torch.channels_last))).square().mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()

    def save(self, run: RunDir, epoch: int, *names: str) -> None:
        checkpoint.save(
            run,
            names or ("last",),
            net=self.net,
            method=self.method,
            optimiser=self.optimiser,
            epoch=epoch,
            step=epoch * 10,
            values={"val/accuracy": 0.5},
            best_accuracy=0.5,
        )

    def resume(self, run: RunDir, say: Callable[[str], None] = lambda _: None) -> CheckpointIndex | None:
        return checkpoint.resume(run, net=self.net, method=self.method, optimiser=self.optimiser, say=say)

    def tensors(self) -> list[Tensor]:
        momentum = [self.optimiser.state[p]["momentum_buffer"] for p in self.optimiser.param_groups[0]["params"]]
        return [*self.net.state_dict().values(), *self.method.state_dict().values(), *momentum]


def same(one: State, other: State) -> bool:
    return all(torch.equal(mine, theirs) for mine, theirs in zip(one.tensors(), other.tensors(), strict=True))


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    config = complete({"experiment": "x", "seed": 1}, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert config is not None
    return RunDir.create(tmp_path, config)


@pytest.fixture
def saved(run: RunDir) -> RunDir:
    """A run with `best` of epoch 1 and `last` of epoch 2."""
    state = State(0)
    state.train(1)
    state.save(run, 1, "last", "best")
    state.train(2)
    state.save(run, 2)
    return run


def index(run: RunDir, name: str) -> CheckpointIndex:
    found = read_json(run.checkpoints / f"{name}.json", CheckpointIndex)
    assert found is not None
    return found


def names(run: RunDir) -> set[str]:
    return {path.name for path in run.checkpoints.iterdir()}


def test_a_resumed_state_goes_on_bit_for_bit(run: RunDir) -> None:
    first = State(0)
    for seed in range(3):
        first.train(seed)
    first.save(run, 3)
    second = State(99)
    found = second.resume(run)
    assert found is not None
    assert (found.epoch, found.step, found.best_accuracy, found.values) == (3, 30, 0.5, {"val/accuracy": 0.5})
    assert same(first, second)
    kernel = second.optimiser.state[second.net[0].weight]["momentum_buffer"]
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    for seed in range(3, 6):
        first.train(seed)
        second.train(seed)
    assert same(first, second)


def test_nothing_to_resume(run: RunDir) -> None:
    assert State(0).resume(run) is None


def test_weights_alone(saved: RunDir) -> None:
    net = State(5).net
    assert checkpoint.load_weights(saved, "best", net).epoch == 1
    again = State(6).net
    checkpoint.load_weights(saved, "last", again)
    assert not torch.equal(net[0].weight, again[0].weight)


def test_before_the_first_step_there_is_no_momentum(run: RunDir) -> None:
    State(0).save(run, 0)
    state = State(1)
    assert state.resume(run) is not None
    assert not state.optimiser.state


def test_best_and_last_share_their_files(run: RunDir) -> None:
    state = State(0)
    state.save(run, 1, "last", "best")
    assert names(run) == {"best.json", "last.json", "epoch-001.safetensors", "epoch-001.state.safetensors"}
    assert index(run, "best") == index(run, "last")


def test_what_nobody_names_is_swept(run: RunDir) -> None:
    state = State(0)
    state.save(run, 1, "last", "best")
    state.save(run, 2, "last", "epoch-002")
    for epoch in (3, 4):
        state.save(run, epoch)
    stems = {name.partition(".")[0] for name in names(run) if name.endswith(".safetensors")}
    assert stems == {"epoch-001", "epoch-002", "epoch-004"}
    assert len(names(run)) == 3 * 2 + 3


def test_half_written_files_of_a_killed_worker_are_swept(run: RunDir) -> None:
    for name in (".epoch-001.safetensors.abc", ".last.json.abc", "mine.txt"):
        (run.checkpoints / name).write_bytes(b"half")
    State(0).save(run, 2)
    assert names(run) == {"last.json", "epoch-002.safetensors", "epoch-002.state.safetensors", "mine.txt"}


def test_an_unreadable_index_stops_the_sweep(saved: RunDir) -> None:
    (saved.checkpoints / "best.json").write_text("{")
    State(0).save(saved, 3)
    assert {"epoch-001.safetensors", "epoch-002.safetensors", "epoch-003.safetensors"} <= names(saved)


def test_last_is_written_after_best(saved: RunDir) -> None:
    """Or a worker killed between them would resume without ever making this epoch `best`."""
    (saved.checkpoints / "best.json").unlink()
    (saved.checkpoints / "best.json").mkdir()
    with pytest.raises(IsADirectoryError):
        State(0).save(saved, 3, "last", "best")
    assert index(saved, "last").epoch == 2


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = pytest.mark.parametrize("damage", [cut, flip, empty, Path.unlink])


@DAMAGES
def test_damaged_weights_give_one_message(saved: RunDir, damage: Callable[[Path], None]) -> None:
    path = saved.checkpoints / index(saved, "last").weights
    damage(path)
    what = "can't be read: No such file or directory" if damage is Path.unlink else "cut or altered"
    with pytest.raises(CheckpointError) as raised:
        checkpoint.load_weights(saved, "last", State(1).net)
    message = str(raised.value)
    assert message.startswith(f"{path}: {what}")
    remedy = f"cp {saved.checkpoints}/best.json {saved.checkpoints}/last.json"
    assert message.endswith(f"; restore the file, or go on from `best`: {remedy}")


def test_the_remedy_works(saved: RunDir) -> None:
    cut(saved.checkpoints / index(saved, "last").weights)
    (saved.checkpoints / "last.json").write_bytes((saved.checkpoints / "best.json").read_bytes())
    assert checkpoint.load_weights(saved, "last", State(1).net).epoch == 1


def test_the_other_checkpoint_is_no_remedy_when_it_shares_the_file(run: RunDir) -> None:
    State(0).save(run, 1, "last", "best")
    cut(run.checkpoints / "epoch-001.safetensors")
    for load in (lambda: State(1).resume(run), lambda: checkpoint.load_weights(run, "last", State(1).net)):
        with pytest.raises(CheckpointError) as raised:
            load()
        assert str(raised.value) == (
            f"{run.checkpoints}/epoch-001.safetensors: cut or altered: its SHA-256 is not the one in last.json; "
            f"restore the file, or remove {run.checkpoints} to train from the start"
        )


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"epoch": 1}', b"\xff\xfe"])
def test_a_damaged_index_gives_one_message(saved: RunDir, content: bytes) -> None:
    path = saved.checkpoints / "last.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as raised:
        checkpoint.load_weights(saved, "last", State(1).net)
    assert str(raised.value).startswith(f"{path}: cut or altered: ")
    assert f"restore the file, or go on from `best`: cp {saved.checkpoints}/best.json {path}" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.fixture
def kept(run: RunDir) -> tuple[RunDir, dict[int, State]]:
    """A run with `best` of epoch 1, `epoch-002`, `epoch-003` and `last` of epoch 4, and the state after each."""
    states = {}
    for epoch, names in enumerate((("last", "best"), ("last", "epoch-002"), ("last", "epoch-003"), ("last",)), start=1):
        state = State(0)
        for seed in range(epoch):
            state.train(seed)
        state.save(run, epoch, *names)
        states[epoch] = state
    return run, states


@DAMAGES
@pytest.mark.parametrize("part", ["weights", "state"])
def test_a_damaged_last_is_passed_over_for_the_newest_that_is_whole(
    kept: tuple[RunDir, dict[int, State]], part: str, damage: Callable[[Path], None]
) -> None:
    run, states = kept
    broken = {name: run.checkpoints / getattr(index(run, name), part) for name in ("last", "epoch-003")}
    for expected, name in ((3, "last"), (2, "epoch-003")):
        damage(broken[name])
        said: list[str] = []
        resumed = State(9)
        found = resumed.resume(run, said.append)
        assert found is not None
        assert (found.epoch, found.step) == (expected, expected * 10)
        assert same(resumed, states[expected])
        assert len(said) == 1
        assert said[0].startswith(f"warning: {broken['last']}: ")
        assert said[0].endswith(f"; going on from checkpoint epoch-00{expected}, epoch {expected}")
    assert str(broken["epoch-003"]) in said[0]


def test_best_is_one_to_go_on_from(saved: RunDir) -> None:
    for gone in ("{", None):
        (saved.checkpoints / "last.json").unlink() if gone is None else (saved.checkpoints / "last.json").write_text(
            gone
        )
        said: list[str] = []
        found = State(1).resume(saved, said.append)
        assert found == index(saved, "best")
        assert f"{saved.checkpoints}/last.json: {'missing' if gone is None else 'cut or altered'}" in said[0]


def test_a_whole_last_says_nothing_of_the_others(saved: RunDir) -> None:
    (saved.checkpoints / "best.json").write_text("{")
    said: list[str] = []
    found = State(1).resume(saved, said.append)
    assert found is not None
    assert (found.epoch, said) == (2, [])


def test_when_none_is_whole_all_are_named(saved: RunDir) -> None:
    first, second = (saved.checkpoints / index(saved, name).state for name in ("last", "best"))
    cut(first)
    second.unlink()
    with pytest.raises(CheckpointError) as raised:
        State(1).resume(saved)
    assert str(raised.value) == (
        f"{first}: cut or altered: its SHA-256 is not the one in last.json; {second}: can't be read: No such file or "
        f"directory; restore one of them, or remove {saved.checkpoints} to train from the start"
    )


def test_a_checkpoint_of_another_network_is_no_damage_to_pass_over(saved: RunDir) -> None:
    other = State(1)
    with pytest.raises(CheckpointError, match=r"epoch-002\.safetensors: is of another network"):
        checkpoint.resume(saved, net=nn.Linear(2, 2), method=other.method, optimiser=other.optimiser)


def test_a_checkpoint_that_is_not_there(saved: RunDir) -> None:
    with pytest.raises(CheckpointError, match=r"epoch-007\.json: there is no such checkpoint; `goe checkpoints x-s1-"):
        checkpoint.load_weights(saved, "epoch-007", State(0).net)


def test_weights_of_another_network(saved: RunDir) -> None:
    with pytest.raises(CheckpointError, match=r"epoch-002\.safetensors: is of "):
        checkpoint.load_weights(saved, "last", nn.Sequential(nn.Linear(2, 2)))


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("vouched_for", [False, True])
def test_a_pickle_in_place_is_not_executed(saved: RunDir, vouched_for: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.path)
    last = index(saved, "last")
    data = pickle.dumps(Bomb())
    (saved.checkpoints / last.weights).write_bytes(data)
    if vouched_for:
        digest = hashlib.sha256(data).hexdigest()
        write_json(saved.checkpoints / "last.json", msgspec.structs.replace(last, weights_sha256=digest))
    with pytest.raises(CheckpointError, match="not a safetensors file" if vouched_for else "cut or altered"):
        checkpoint.load_weights(saved, "last", State(1).net)
    found = State(1).resume(saved)
    assert found is not None
    assert found.epoch == 1
    assert not (saved.path / "executed").exists()
    pickle.loads(data)
    assert (saved.path / "executed").exists(), "the bomb works"


@contextlib.contextmanager
def no_file_over(size: int) -> Iterator[None]:
    """What a full disk does to a write, for files over `size` bytes, without having to mount one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 500, 4000])
def test_a_full_disk_leaves_the_older_checkpoint_whole(run: RunDir, size: int) -> None:
    first = State(0)
    first.train(0)
    first.save(run, 1, "last", "best")
    before = {path: path.read_bytes() for path in run.checkpoints.iterdir()}
    second = State(1)
    second.train(1)
    with no_file_over(size), pytest.raises(OSError, match="File too large"):
        second.save(run, 2, "last", "best")
    assert {path: path.read_bytes() for path in run.checkpoints.iterdir()} == before, "nor anything half written"
    third = State(2)
    found = third.resume(run)
    assert found is not None
    assert found.epoch == 1
    assert same(first, third)
    second.save(run, 2, "last", "best")
    assert {name.partition(".")[0] for name in names(run)} == {"last", "best", "epoch-002"}


def test_the_inventory(saved: RunDir) -> None:
    best, last = list_checkpoints(saved)
    assert (best.name, last.name, last.run_id, last.problem) == ("best", "last", saved.run_id, None)
    assert (best.value("val/accuracy"), best.value("other")) == (0.5, None)
    files = [saved.checkpoints / f"epoch-002{suffix}" for suffix in (".safetensors", ".state.safetensors")]
    assert last.size == sum(file.stat().st_size for file in files)
    files[0].unlink()
    (saved.checkpoints / "best.json").write_text("{")
    best, last = list_checkpoints(saved)
    assert last.problem == f"epoch-002.safetensors: missing in {saved.checkpoints}"
    assert last.size == files[1].stat().st_size
    assert best.index is None
    assert best.value("val/accuracy") is None
    assert "best.json: cut or altered" in str(best.problem)
