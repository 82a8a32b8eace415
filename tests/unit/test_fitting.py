"""A step that doesn't fit into the GPU's memory: which sizes would, found by trying. No GPU is needed for that."""

from pathlib import Path

import pytest
import torch
from test_resume_exact import make_run, work

from goe.core.errors import MemoryLackError
from goe.fitting import lack_of_memory
from goe.methods.base import Batch
from goe.train import Trainer

SAID = "CUDA out of memory. Tried to allocate 2.00 GiB.\nMore of it"


def batch(size: int, outliers: int) -> Batch:
    x, x_out = torch.zeros(size, 3, 4, 4), torch.zeros(outliers, 3, 4, 4)
    return Batch(x, torch.arange(size), torch.arange(size), x_out, torch.arange(outliers))


@pytest.mark.parametrize(
    ("size", "outliers", "room", "said"),
    [
        (128, 256, 100, "batch-size = 32, outlier-batch-size = 64 would fit"),
        (128, 256, 192, "batch-size = 64, outlier-batch-size = 128 would fit"),
        (100, 0, 30, "batch-size = 25 would fit"),
        (100, 0, 1, "nor does any smaller batch fit"),
        (64, 3, 40, "batch-size = 32, outlier-batch-size = 1 would fit"),
        (64, 3, 20, "nor does any smaller batch fit"),  # a method needs an outlier
    ],
)
def test_the_next_smaller_sizes_that_fit_are_named(size: int, outliers: int, room: int, said: str) -> None:
    tried: list[int] = []

    def step(part: Batch) -> None:
        assert len({len(part.x), len(part.y), len(part.index)}) == 1
        assert len(part.x_out) == len(part.index_out)
        tried.append(len(part.x) + len(part.x_out))
        if tried[-1] > room:
            raise torch.OutOfMemoryError(SAID)

    error = lack_of_memory(torch.OutOfMemoryError(SAID), batch(size, outliers), step)
    assert said in str(error)
    assert f"out of memory with batch-size = {size}" in str(error)
    assert "CUDA out of memory. Tried to allocate 2.00 GiB; " in str(error)
    assert "More of it" not in str(error)
    assert tried == sorted(tried, reverse=True)
    assert sum(count <= room for count in tried) <= 1  # it stops at the first that fits


def test_training_ends_with_the_sizes_that_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, method="baseline")
    update = Trainer._update

    def narrow(self: Trainer, batch: Batch, rng: object) -> object:
        if self.epoch == 1 and len(batch.x) > 100:
            raise torch.OutOfMemoryError(SAID)
        return update(self, batch, rng)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_update", narrow)
    with pytest.raises(MemoryLackError, match=r"with batch-size = 256: .* batch-size = 64 would fit") as found:
        work(run, 1, lambda: False)
    assert found.value.exit_code == 6
    assert (run.checkpoints / "last.json").exists()
