"""The loop's arithmetic, with values worked out by hand."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from goe.core.config import RunConfig, complete
from goe.core.errors import NonFiniteLossError
from goe.methods.base import Batch, StepOutput
from goe.tally import Tally, summarise
from goe.train import RECORD_S, Clock, learning_rate


def config(**keys: Any) -> RunConfig:
    raw = {"experiment": "x", "seed": 1, **{key.replace("_", "-"): value for key, value in keys.items()}}
    found = complete(raw, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.4), (119, 0.4), (120, 0.04), (159, 0.04), (160, 0.004), (199, 0.004)],  # milestones after 12 and 16 epochs
)
def test_the_rate_falls_after_each_milestone(step: int, rate: float) -> None:
    multistep = config(epochs=20, schedule="multistep", milestones=[12, 16], lr=0.4, lr_decay=0.1)
    assert learning_rate(multistep, step, steps_per_epoch=10) == pytest.approx(rate, rel=1e-12)


def test_the_papers_milestones_are_the_default() -> None:
    paper = config(dataset="cifar10")
    rates = [learning_rate(paper, epoch * 352, steps_per_epoch=352) for epoch in (0, 119, 120, 159, 160, 199)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_a_milestone_at_zero_decays_from_the_start() -> None:
    early = config(epochs=4, schedule="multistep", milestones=[0, 4], lr=0.4, lr_decay=0.5)
    assert [learning_rate(early, step, steps_per_epoch=1) for step in range(4)] == [0.2] * 4


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.1),
        (10, 1e-6 + (0.1 - 1e-6) * (1 + math.sqrt(0.5)) / 2),  # a quarter of the way
        (20, (0.1 + 1e-6) / 2),
        (30, 1e-6 + (0.1 - 1e-6) * (1 - math.sqrt(0.5)) / 2),
        (40, 1e-6),
    ],
)
def test_the_cosine(step: int, rate: float) -> None:
    cosine = config(epochs=4, schedule="cosine", lr=0.1)
    assert learning_rate(cosine, step, steps_per_epoch=10) == pytest.approx(rate, rel=1e-12)


def test_a_cosine_never_rises() -> None:
    tiny = config(epochs=4, schedule="cosine", lr=1e-8)
    assert [learning_rate(tiny, step, steps_per_epoch=1) for step in range(5)] == pytest.approx([1e-8] * 5)


def batch(labels: list[int], outliers: list[int]) -> Batch:
    return Batch(
        x=torch.zeros(len(labels), 3, 1, 1),
        y=torch.tensor(labels, dtype=torch.int64),
        index=torch.arange(len(labels)),
        x_out=torch.zeros(len(outliers), 3, 1, 1),
        index_out=torch.tensor(outliers, dtype=torch.int64),
    )


def output(loss: float, guesses: list[int], dropped: list[bool] | None = None, threshold: float = 0.0) -> StepOutput:
    return StepOutput(
        loss=torch.tensor(loss, requires_grad=True),
        logits=torch.nn.functional.one_hot(torch.tensor(guesses), 3).float(),
        terms={"ce": torch.tensor(loss - 1), "oe": torch.tensor(2.0)},
        dropped=None if dropped is None else torch.tensor(dropped),
        threshold=None if dropped is None else torch.tensor(threshold),
    )


IS_ID = torch.tensor([True, False, True, False, False, True, False, False])
"""Outliers 0, 2 and 5 of the stream are really ID images."""


def test_means_and_filter_quality_from_counts() -> None:
    tally = Tally()
    # 3 of 4 right; dropped are 0 and 1, of 4 outliers with 0 and 2 ID: one hit.
    tally.add(1, output(2.0, [0, 1, 2, 0], [True, True, False, False], 0.5), batch([0, 1, 2, 1], [0, 1, 2, 3]), IS_ID)
    # 1 of 2 right; dropped are 5, 6 and 7, of 4 with only 5 ID: one hit.
    tally.add(2, output(4.0, [0, 0], [False, True, True, True], 0.7), batch([0, 1], [4, 5, 6, 7]), IS_ID)
    values = tally.flush()
    assert values == {
        "loss": 3.0,
        "loss/ce": 2.0,
        "loss/oe": 2.0,
        "train/accuracy": pytest.approx(4 / 6),
        "filter/rate": pytest.approx(5 / 8),
        "filter/threshold": pytest.approx(0.6),
        "filter/precision": pytest.approx(2 / 5),
        "filter/recall": pytest.approx(2 / 3),
        "filter/base-rate": pytest.approx(3 / 8),
    }
    assert tally.newest_images == 6 + 8


def test_an_epoch_is_all_of_its_flushes() -> None:
    tally = Tally()
    tally.add(1, output(1.0, [0]), batch([0], []), None)
    assert tally.flush()["loss"] == 1.0
    for step, loss in ((2, 2.0), (3, 6.0)):
        tally.add(step, output(loss, [1]), batch([0], []), None)
    assert tally.flush()["loss"] == 4.0
    assert not tally.pending
    assert tally.newest_images == 2
    assert tally.whole()["loss"] == 3.0
    assert tally.whole()["train/accuracy"] == pytest.approx(1 / 3)


def test_without_a_filter_there_is_nothing_to_say_of_it() -> None:
    tally = Tally()
    tally.add(1, output(1.0, [0]), batch([0], [1, 2]), IS_ID)
    assert set(tally.flush()) == {"loss", "loss/ce", "loss/oe", "train/accuracy"}


def test_without_the_truth_only_the_rate_is_known() -> None:
    tally = Tally()
    tally.add(1, output(1.0, [0], [True, False], 0.5), batch([0], [1, 2]), None)
    values = tally.flush()
    assert (values["filter/rate"], values["filter/threshold"]) == (0.5, 0.5)
    assert not {"filter/precision", "filter/recall", "filter/base-rate"} & set(values)


def test_undefined_precision_and_recall_are_none() -> None:
    tally = Tally()
    tally.add(1, output(1.0, [0], [False, False], 0.9), batch([0], [1, 3]), IS_ID)
    values = tally.flush()
    assert (values["filter/precision"], values["filter/recall"], values["filter/base-rate"]) == (None, None, 0.0)


def test_summarise_takes_ratios_of_sums_and_not_means_of_ratios() -> None:
    rows = np.array([[1.0, 1, 1], [1.0, 0, 3]])
    assert summarise(("loss", "correct", "id"), rows) == {"loss": 1.0, "train/accuracy": 0.25}


@pytest.mark.parametrize(("bad", "said"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_a_loss_that_is_not_finite_names_its_step(bad: float, said: str) -> None:
    tally = Tally()
    for step, loss in ((11, 1.0), (12, 2.0), (13, bad), (14, math.nan), (15, 1.0)):
        tally.add(step, output(loss, [0]), batch([0], []), None)
    with pytest.raises(NonFiniteLossError, match=f"the loss is {said} at step 13; the last good checkpoint stands"):
        tally.flush()


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    found = Hand()
    monkeypatch.setattr("goe.train.time", SimpleNamespace(monotonic=found.monotonic))
    return found


def test_the_clock_counts_this_attempts_steps(hand: Hand) -> None:
    clock = Clock(done=50, total=100)
    assert clock.eta() is None
    hand.now += 4
    assert clock.lap(60, images=200) == 50.0
    assert clock.eta() == pytest.approx(16.0)  # 10 steps took 4 s, 40 are left
    hand.now += 1
    assert clock.lap(100, images=200) == 200.0
    assert clock.eta() == 0.0
    assert clock.epoch_images_per_s == pytest.approx(80.0)


def test_it_is_time_for_a_record(hand: Hand) -> None:
    clock = Clock(done=0, total=10)
    assert not clock.due()
    hand.now += RECORD_S
    assert clock.due()
    clock.lap(1, images=1)
    assert not clock.due()


def test_validation_is_no_training(hand: Hand) -> None:
    clock = Clock(done=0, total=20)
    hand.now += 2
    clock.lap(10, images=100)
    hand.now += 8  # validation, saving
    clock.begin_epoch()
    assert not clock.due()
    hand.now += 1
    assert clock.lap(15, images=100) == 100.0
    hand.now += 3
    clock.lap(20, images=100)
    assert clock.epoch_images_per_s == pytest.approx(50.0)


def test_eta_counts_validation(hand: Hand) -> None:
    clock = Clock(done=0, total=20)
    hand.now += 2
    clock.lap(5, images=100)
    hand.now += 8
    clock.begin_epoch()
    clock.lap(10, images=100)
    assert clock.eta() == pytest.approx(10.0)


def test_a_pause_is_no_training(hand: Hand) -> None:
    clock = Clock(done=0, total=20)
    hand.now += 2
    assert clock.due()
    clock.lap(10, images=100)
    hand.now += 1
    assert clock.due()
    hand.now += 3600
    clock.skip_pause()
    hand.now += 1
    assert clock.lap(15, images=100) == pytest.approx(50.0)  # 2 s
    assert clock.eta() == pytest.approx(4 / 15 * 5)


def test_an_instant_lap_is_no_division_by_zero(hand: Hand) -> None:
    clock = Clock(done=0, total=2)
    assert clock.epoch_images_per_s == 0.0
    assert clock.lap(1, images=1) > 0


def test_the_loop_names_no_method() -> None:
    source = Path(str(learning_rate.__code__.co_filename)).read_text(encoding="utf-8")
    assert "goe.methods.goe" not in source
