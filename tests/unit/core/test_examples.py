"""The queue files of examples/: all of them are right, and paper.toml is the paper's table."""

from itertools import product
from pathlib import Path

import pytest

from goe.core.queuefile import load_queue

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_there_are_examples() -> None:
    assert {path.name for path in EXAMPLES.glob("*.toml")} >= {"paper.toml", "methods.toml", "ablation.toml"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_every_example_is_a_queue_without_mistakes(path: Path) -> None:
    runs = load_queue(path).runs
    assert runs
    assert len({run.run_id for run in runs}) == len(runs)


def test_the_papers_table_has_each_of_its_cells_five_times() -> None:
    # Rows of the main table: CIFAR-10, CIFAR-100; WRN, Res34, Dense; MCP, OE, E-OE, UDG, G-OE. Five trials.
    runs = load_queue(EXAMPLES / "paper.toml").runs
    cells = product(
        ("cifar10", "cifar100"),
        ("wrn-40-2", "resnet-34", "densenet-bc-100-12"),
        ("baseline", "oe", "energy-oe", "udg", "goe"),
        (1, 2, 3, 4, 5),
    )
    assert len(runs) == 150
    assert {(run.dataset, run.model, run.method_name, run.seed) for run in runs} == set(cells)
    assert {(run.preset, run.protocol, run.outliers.source) for run in runs} == {("paper", "goe2024", "random-300k")}
