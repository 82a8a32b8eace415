"""Scores of logits worked out by hand."""

from math import log

import pytest
import torch

from goe.core.scorespecs import LOGIT_SCORES
from goe.scores import SCORES, Outputs

# softmax((ln 3, ln 2, 0)) = (1/2, 1/3, 1/6)
LOGITS = torch.tensor([[log(3), log(2), 0.0], [4.0, 4.0, 4.0]], dtype=torch.float64)
EXPECTED = {
    "msp": [1 / 2, 1 / 3],
    "max-logit": [log(3), 4],
    "energy": [log(6), 4 + log(3)],
    # ln(2)/2 + ln(3)/3 + ln(6)/6 = 0.34657 + 0.36620 + 0.29863 = 1.01140
    "entropy": [-1.01140, -log(3)],
    "margin": [1 / 6, 0],
}


def test_the_registry_has_the_configurations_names() -> None:
    assert set(SCORES) == set(LOGIT_SCORES)


@pytest.mark.parametrize("name", SCORES)
def test_values_by_hand(name: str) -> None:
    assert SCORES[name](Outputs(LOGITS)).tolist() == pytest.approx(EXPECTED[name], abs=1e-5)


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_scores_are_float64_from_any_logits(name: str, dtype: torch.dtype) -> None:
    logits = LOGITS.to(dtype)
    found = SCORES[name](Outputs(logits))
    assert found.dtype == torch.float64
    assert torch.equal(found, SCORES[name](Outputs(logits.double())))


@pytest.mark.parametrize("name", SCORES)
def test_a_surer_answer_scores_higher(name: str) -> None:
    found = SCORES[name](Outputs(torch.tensor([[9.0, 0.0, 0.0], [3.0, 0.0, 0.0], [1.0, 0.0, 0.0]])))
    assert found.tolist() == sorted(found.tolist(), reverse=True)
    assert len(set(found.tolist())) == 3


@pytest.mark.parametrize("name", SCORES)
def test_no_images_no_scores(name: str) -> None:
    assert SCORES[name](Outputs(torch.zeros(0, 3))).shape == (0,)


def test_what_float32_saturates_float64_still_ranks() -> None:
    logits = torch.tensor([[20.0, 0.0], [30.0, 0.0]])
    assert logits.softmax(1).amax(1).tolist() == [1, 1]
    low, high = SCORES["msp"](Outputs(logits)).tolist()
    assert low < high


@pytest.mark.parametrize("name", SCORES)
def test_extreme_logits_stay_finite(name: str) -> None:
    assert SCORES[name](Outputs(torch.tensor([[1e4, -1e4, 0.0]]))).isfinite().all()
