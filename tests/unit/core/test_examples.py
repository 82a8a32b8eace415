"""The queue files of examples/: all of them are right, and paper.toml is the paper's table."""

import csv
from importlib.resources import files
from pathlib import Path

import pytest

from goe.core.paper import NAMES
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
    runs = load_queue(EXAMPLES / "paper.toml").runs
    with files("goe.core").joinpath("paper_table.csv").open(encoding="utf-8") as file:
        lines = {(line["dataset"], line["model"], line["method"]) for line in csv.DictReader(file)}
    words = [(NAMES["dataset"][r.dataset], NAMES["model"][r.model], NAMES["method"][r.method_name]) for r in runs]
    assert len(lines) == 30
    assert set(words) == lines
    assert {(*cell, run.seed) for cell, run in zip(words, runs, strict=True)} == {
        (*cell, seed) for cell in lines for seed in (1, 2, 3, 4, 5)
    }
    assert len(runs) == 150
    assert {(run.preset, run.protocol, run.outliers.source) for run in runs} == {("paper", "goe2024", "random-300k")}
