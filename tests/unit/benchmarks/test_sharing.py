"""Several runs at once and by turns, and files that stand for large sets."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import machine
from msgspec.structs import replace
from sharing import at_once, by_turns
from standin import config_of, sparse_npy, training_sets
from suite import usual_place

from goe.data.outliers import images_in_npy


class Noted:
    """Stands for a run: notes what it is told."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes = name, notes

    def go(self, steps: int) -> None:
        assert steps == 4
        self.notes.append(f"go {self.name}")

    def wait(self) -> None:
        self.notes.append(f"wait {self.name}")


@pytest.mark.parametrize(
    ("way", "order"),
    [(at_once, ["go a", "go b", "wait a", "wait b"]), (by_turns, ["go a", "wait a", "go b", "wait b"])],
)
def test_runs_are_told_to_go_together_or_one_by_one(way: Any, order: list[str]) -> None:
    notes: list[str] = []
    assert way([Noted("a", notes), Noted("b", notes)], 4)() == 8
    assert notes == order


def test_large_files_take_no_room(tmp_path: Path) -> None:
    sparse_npy(tmp_path / "many.npy", 300_000)
    source = images_in_npy("many", tmp_path / "many.npy")
    assert len(source) == 300_000
    assert not source.images(np.array([0, 299_999])).any()
    assert (tmp_path / "many.npy").stat().st_blocks * 512 < 2**20


def test_stand_ins_are_what_they_stand_for() -> None:
    sets = training_sets(30, 60, 10)
    assert sets.outliers is not None
    assert [len(each) for each in (sets.train, sets.outliers.source, sets.validation)] == [30, 60, 10]
    assert training_sets(30, 0).outliers is None
    config = config_of(batch_size=16, method="oe")
    assert (config.dataset, config.model, config.batch_size, config.method_name) == ("cifar10", "wrn-40-2", 16, "oe")
    with pytest.raises(AssertionError, match="batch-sise"):
        config_of(batch_sise=16)


def test_a_results_file_is_named_by_its_chip() -> None:
    here = replace(machine(), cpu="Intel(R) Xeon(R) Processor", cores=2, gpus=())
    assert usual_place(here).name.endswith("-intel-xeon-2-cores.json")
    assert usual_place(here).parent.parts[-2:] == ("benchmarks", "results")
    assert usual_place(replace(here, gpus=("NVIDIA H100 80GB HBM3",))).name.endswith("-nvidia-h100-80gb-hbm3.json")
