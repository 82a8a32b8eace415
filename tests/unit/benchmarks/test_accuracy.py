"""Ways of training compared by what they end with."""

from pathlib import Path

import accuracy
import pytest
import torch
from accuracy import Plainly, spread, verdict, ways
from standin import config_of, trainer, training_sets

from goe.comparison import paired
from goe.device import Compute, pick_compute
from goe.train import Trainer

CUDA = torch.device("cuda")


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ({1: 0.91, 2: 0.94, 3: 0.92}, "+0.33 to float32, p = 0.67: within noise"),
        ({1: 0.81, 2: 0.83, 3: 0.82}, "-10.00 to float32, p = 0.00: NOT WITHIN NOISE"),
        ({1: 0.90, 2: 0.93, 3: 0.93}, "+0.00 to float32: no difference"),
        ({3: 0.95}, "+2.00 to float32: a single seed"),
    ],
)
def test_a_difference_is_noise_or_not(ours: dict[int, float], said: str) -> None:
    assert verdict(paired(ours, {1: 0.90, 2: 0.93, 3: 0.93})) == said


def test_values_are_said_in_percent() -> None:
    assert spread([0.5, 0.52]) == "51.00 ± 1.41"
    assert spread([0.5]) == "50.00"


def test_every_precision_is_compared_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [name for name, _ in ways("oe", "cpu", False)] == ["float32", "bfloat16"]
    assert dict(ways("oe", "cpu", True)).keys() == {
        "float32",
        "bfloat16",
        f"{pick_compute(config_of()).precision}, compiled",
    }
    for notes, lower in (((), ["tf32", "bfloat16"]), (("an old chip",), [])):
        monkeypatch.setattr(accuracy, "pick_compute", lambda _, notes=notes: Compute(CUDA, "float32", notes))
        assert [name for name, _ in ways("goe", "cuda", False)] == ["float32", "plain step", *lower]


def test_the_plain_way_trains_as_goe_does(tmp_path: Path) -> None:
    """Without dropout, whose law alone is the same: the first steps are equal but for rounding."""
    found = {}
    for kind in (Plainly, Trainer):
        config = config_of(
            model="wrn-10-1",
            dropout=0.0,
            batch_size=8,
            outlier_batch_size=16,
            epochs=1,
            method={"name": "goe", "filter": {"k": 4}},
        )
        with trainer(config, training_sets(16, 32), tmp_path / kind.__name__, kind) as loop:
            loop.run()
            found[kind] = torch.cat([parameter.detach().flatten() for parameter in loop.net.parameters()])
    plain, ours = found.values()
    assert torch.allclose(plain, ours, atol=1e-5)
