"""Two ranks on the CPU are one process: losses, gradients, batch norm, batches; each case is done once, by both."""

from pathlib import Path
from typing import Any

import pytest
import ranks
import torch
import torch.multiprocessing as mp
from torch import Tensor

from goe.core.config import METHODS
from goe.core.records import CheckpointIndex
from goe.core.rundir import RunDir, read_json
from goe.parallel import ALONE, Team

Found = list[dict[str, Any]]
WITHIN = 1e-4
"""Of each loss of a sequence in float32."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def found(runs: Path) -> Found:
    """What each rank found."""
    mp.start_processes(ranks.work, (str(runs), str(runs / "store")), nprocs=ranks.RANKS, start_method="spawn")
    return [torch.load(runs / f"{rank}.pt", weights_only=True) for rank in range(ranks.RANKS)]


def test_no_method_is_left_out() -> None:
    assert METHODS.keys() <= ranks.METHODS.keys()


@pytest.mark.parametrize("name", [name for name in ranks.METHODS if name != "alone"])
def test_the_losses_are_those_of_one_process(name: str, runs: Path, found: Found) -> None:
    one = ranks.alone(runs, name)
    assert len(one) == 4  # of them the last of five images
    assert found[0][name] == found[1][name]
    assert found[0][name] == pytest.approx(one, abs=WITHIN)
    assert len(set(one)) > 1


def test_without_sync_batch_norm_only_the_mixture_of_the_ranks_statistics_differs(runs: Path, found: Found) -> None:
    one = ranks.alone(runs, "alone")
    assert found[0]["alone"] == found[1]["alone"]
    assert found[0]["alone"] == pytest.approx(one, abs=0.3)
    assert found[0]["alone"] != pytest.approx(one, abs=WITHIN)


def test_only_the_first_rank_writes_and_anyone_can_read_it(runs: Path, found: Found) -> None:
    (two,), (one,) = ([*(runs / which).glob("goe-*")] for which in ("two", "one"))
    indices = [read_json(RunDir(path).checkpoints / "last.json", CheckpointIndex) for path in (one, two)]
    assert all(index is not None and index.epoch == 1 for index in indices)
    for name in ("epoch-001.safetensors", "epoch-001.state.safetensors"):
        mine, other = (_header(path / "checkpoints" / name) for path in (one, two))
        assert mine == other


def _header(path: Path) -> bytes:
    """Names, types and shapes of a safetensors file."""
    data = path.read_bytes()
    return data[: 8 + int.from_bytes(data[:8], "little")]


@pytest.mark.parametrize("sizes", ranks.SIZES)
def test_gradients_are_those_of_one_process(sizes: tuple[int, int], found: Found) -> None:
    one = ranks.stepped(ALONE, *sizes)
    for rank in found:
        for mine, whole in zip(rank[f"steps {sizes}"], one, strict=True):
            torch.testing.assert_close(mine, whole, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", ranks.SHAPES)
def test_batch_norm_is_that_of_all_rows(name: str, found: Found) -> None:
    norm, x, grad = ranks.layer(ranks.SHAPES[name])
    one = ranks.normalised(norm, x, grad, slice(None))
    first, second = (rank[f"norm {name}"] for rank in found)
    assert first.keys() == second.keys() == one.keys()
    for key, whole in one.items():
        together = _together(first[key], second[key]) if key in {"out", "x"} else first[key]
        if key in {"weight", "bias"}:
            together = first[key] + second[key]
        torch.testing.assert_close(together, whole, rtol=0, atol=1e-12)
        assert key not in {"running_mean", "running_var"} or torch.equal(first[key], second[key])


def _together(first: Tensor, second: Tensor) -> Tensor:
    whole = first.new_empty((len(first) + len(second), *first.shape[1:]))
    whole[::2], whole[1::2] = first, second
    return whole


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
def test_gathered_rows_are_in_order_and_hand_back_the_gradient_of_their_own(rows: int, found: Found) -> None:
    whole = torch.arange(rows * 3.0).view(rows, 3)
    for rank, results in enumerate(found):
        gathered, gradient = results[f"gather {rows}"]
        assert torch.equal(gathered, whole)
        assert torch.equal(gradient, whole[rank::2] * 2)


def test_ranks_agree(found: Found) -> None:
    assert [rank["least"] for rank in found] == [9, 9]
    assert torch.equal(found[0]["agreed"], found[1]["agreed"])


def test_batches_read_from_the_disk_by_shares_are_whole(runs: Path, found: Found) -> None:
    one = ranks.batches(ranks.make_run(runs / "one", "goe"), ALONE)
    for rank in found:
        assert len(rank["batches"]) == len(one) == 4
        for mine, whole in zip(rank["batches"], one, strict=True):
            assert all(torch.equal(mine[name], whole[name]) for name in whole)


def test_shares_are_every_row_once() -> None:
    rows = [*range(7)]
    shares = [rows[Team(rank, 3).share(7)] for rank in range(3)]
    assert shares == [[0, 3, 6], [1, 4], [2, 5]]
    assert ALONE.leads
    assert rows[ALONE.share(7)] == rows
