"""Event files, read back by tensorboard."""

import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from goe.core.errors import UserError
from goe.core.records import Metric
from goe.eventfiles import write_events

RECORDS = [
    Metric(kind="train", epoch=1, step=1, time=1000.25, values={"loss": 0.5, "lr": 0.25}),
    Metric(kind="train", epoch=1, step=3, time=1001.5, values={"loss": 0.125, "lr": None}),
    Metric(kind="epoch", epoch=1, step=4, time=1002.0, values={"val/accuracy": 0.75}),
]


def scalars(folder: Path) -> dict[str, list[tuple[int, float, float]]]:
    """Step, wall time and value by tag."""
    found = EventAccumulator(str(folder))
    found.Reload()
    return {
        tag: [(each.step, each.wall_time, each.value) for each in found.Scalars(tag)] for tag in found.Tags()["scalars"]
    }


def test_steps_times_and_values_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "tensorboard" / "x"
    write_events(RECORDS, folder)
    assert scalars(folder) == {
        "train/loss": [(1, 1000.25, 0.5), (3, 1001.5, 0.125)],
        "train/lr": [(1, 1000.25, 0.25)],
        "epoch/val/accuracy": [(4, 1002.0, 0.75)],
    }
    assert [entry.name for entry in folder.parent.iterdir()] == ["x"]
    assert folder.stat().st_mode & 0o777 == 0o755


def test_only_an_empty_folder_is_written_to(tmp_path: Path) -> None:
    write_events(RECORDS, tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match="exists and is not empty; remove it, or pass --out FOLDER"):
        write_events(RECORDS, tmp_path)
    assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(UserError, match="is no folder; pass --out FOLDER"):
        write_events(RECORDS, before[0])


def test_without_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UserError, match=r"tensorboard is not installed; `pip install 'goe\[export\]'` adds it"):
        write_events(RECORDS, tmp_path / "x")
    assert not (tmp_path / "x").exists()
