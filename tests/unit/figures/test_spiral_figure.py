"""The spiral figure: its queue, its summary worked out by hand, and files that are what their suffix says."""

import time
from pathlib import Path

import numpy as np
import pytest

from goe.core.config import RunConfig, complete
from goe.core.errors import RunError
from goe.core.records import EvalResult
from goe.core.rundir import RunDir, write_json
from goe.core.specs import GOE, OE, Baseline
from goe.figures.spiral import SEEDS, Panel, draw, read_panels, spiral_queue, summary_table
from goe.surface import EXTENT, SIDE, Surface, write_surface


def config(name: str, seed: int) -> RunConfig:
    found = complete({"experiment": name, "seed": seed, "dataset": "spiral"}, lambda *_: None)
    assert found is not None
    return found


def evaluated(runs: Path, name: str, seed: int, *, level: float, accuracy: float | None = 1.0) -> RunDir:
    run = RunDir.create(runs, config(name, seed))
    write_surface(run, "last", np.full(SIDE * SIDE, level, np.float32))
    result = EvalResult(
        run_id=run.run_id,
        checkpoint="last",
        epoch=200,
        weights_sha256="0" * 64,
        score="msp",
        protocol="spiral",
        id_dataset="spiral",
        classification={"accuracy": accuracy, "aurc": 0.0},
        detection={"far": {"auroc": 0.25}, "gaps": {"auroc": 0.5}},
        sizes={"spiral": 2, "far": 2, "gaps": 2},
        created=time.time(),
    )
    write_json(run.eval / "last-msp-spiral.json", result)
    scores = {"score/spiral": [level, level], "score/far": [0.5, 0.7], "score/gaps": [0.9, 1.0]}
    np.savez(run.eval / "last-msp-spiral.npz", **{key: np.array(value) for key, value in scores.items()})
    return run


def test_the_queue_is_four_methods_on_ordinary_runs() -> None:
    runs = spiral_queue(2).runs
    assert [(run.experiment, run.seed) for run in runs] == [
        (name, seed) for name in ("Baseline", "OE", "OE+filter", "G-OE") for seed in (1, 2)
    ]
    assert {(run.dataset, run.model, run.epochs) for run in runs} == {("spiral", "mlp-100-100-100", 200)}
    methods = [run.method for run in runs[::2]]
    assert isinstance(methods[0], Baseline)
    assert isinstance(methods[1], OE)
    assert methods[1].filter.strategy == "none"
    assert isinstance(methods[2], OE)
    assert isinstance(methods[3], GOE)
    assert methods[2].filter == methods[3].filter
    assert (methods[2].filter.strategy, methods[2].filter.k) == ("topk", 20)
    assert len(spiral_queue(SEEDS).runs) == 4 * SEEDS


def test_each_panel_is_an_experiments_first_seed(tmp_path: Path) -> None:
    runs = [evaluated(tmp_path, name, seed, level=level) for name, seed, level in (("a", 1, 0.6), ("a", 2, 0.7))]
    runs.append(evaluated(tmp_path, "b", 1, level=0.8))
    panels = read_panels(runs)
    assert [panel.title for panel in panels] == ["a", "b"]
    assert [float(panel.surface.confidence[0, 0]) for panel in panels] == pytest.approx([0.6, 0.8])


def test_the_summary(tmp_path: Path) -> None:
    runs = [evaluated(tmp_path, "a", 1, level=0.6), evaluated(tmp_path, "a", 2, level=0.8, accuracy=0.9)]
    runs.append(evaluated(tmp_path, "b", 1, level=0.75))
    assert summary_table(runs) == [
        ("experiment", "seeds", "ACC %", "conf. ID %", "conf. far %", "conf. gaps %", "AUROC far %"),
        ("a", "2", "95.0 ± 7.1", "70.0 ± 14.1", "60.0 ± 0.0", "95.0 ± 0.0", "25.0 ± 0.0"),
        ("b", "1", "100.0", "75.0", "60.0", "95.0", "25.0"),
    ]


def test_what_the_summary_lacks_is_named(tmp_path: Path) -> None:
    run = evaluated(tmp_path, "a", 1, level=0.6)
    scores = run.eval / "last-msp-spiral.npz"
    scores.write_bytes(scores.read_bytes()[:50])
    with pytest.raises(RunError, match=r"last-msp-spiral.json: can't be read: .*`goe eval a-s1-.* --force`"):
        summary_table([run])
    scores.with_suffix(".json").unlink()
    with pytest.raises(RunError, match="no such file"):
        summary_table([run])
    with pytest.raises(RunError, match="did the run diverge"):
        summary_table([evaluated(tmp_path, "c", 1, level=0.6, accuracy=None)])


PANELS = [
    Panel(title, Surface(np.full((SIDE, SIDE), level, np.float32), EXTENT))
    for title, level in (("Baseline", 1.0), ("G-OE", 0.5))
]


@pytest.mark.parametrize(("name", "begins"), [("f.png", b"\x89PNG"), ("f.PDF", b"%PDF"), ("f.svg", b"<?xml")])
def test_a_file_is_what_its_suffix_says(tmp_path: Path, name: str, begins: bytes) -> None:
    draw(PANELS, tmp_path / name)
    written = (tmp_path / name).read_bytes()
    assert written.startswith(begins)
    if name.endswith("svg"):
        text = written.decode()
        assert all(f">{word}</text>" in text for word in ("Data", "Baseline", "G-OE", "confidence (MSP)"))
