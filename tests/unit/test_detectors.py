"""pytorch-ood's detectors under goe's names: every one is there, fitted, the right way round, and says what fails."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from goe.core.errors import ScoreError
from goe.core.scorespecs import DETECTORS, SCORE_NAMES
from goe.detectors import CHUNK
from goe.models.mlp import MLP
from goe.scores import Outputs, energy
from goe.scoring import Material, description, fit_score

CENTRES = torch.tensor([[4.0, 0.0], [-4.0, 0.0], [0.0, 4.0], [0.0, -4.0]])
"""Of four classes in the plane."""
EACH = 60


def points(each: int, spread: float, seed: int) -> Tensor:
    """`each` points around every centre, (4 * each, 2)."""
    noise = torch.randn(4 * each, 2, generator=torch.Generator().manual_seed(seed))
    return CENTRES.repeat_interleave(each, 0) + spread * noise


@pytest.fixture(scope="module")
def net() -> MLP:
    """A small network that tells the four classes apart."""
    torch.manual_seed(0)
    found = MLP([32, 16], num_classes=4)
    x, y = points(EACH, 0.5, 1), torch.arange(4).repeat_interleave(EACH)
    optimiser = torch.optim.Adam(found.parameters(), lr=0.01)
    for _ in range(150):
        optimiser.zero_grad()
        F.cross_entropy(found(x), y).backward()
        optimiser.step()
    optimiser.zero_grad()
    return found.eval()


def outputs(net: MLP, x: Tensor) -> Outputs:
    with torch.no_grad():
        features = net.features(x)
        return Outputs(net.head(features), features, lambda: iter(x.split(50)))


def material(net: MLP) -> Material:
    def training() -> tuple[Outputs, Tensor]:
        return outputs(net, points(EACH, 0.5, 1)), torch.arange(4).repeat_interleave(EACH)

    return Material(net, training, None)


@pytest.mark.parametrize("name", SCORE_NAMES)
def test_every_score_ranks_id_above_what_lies_between_the_classes(name: str, net: MLP) -> None:
    score = fit_score(name, material(net))
    id_scores = score(outputs(net, points(50, 0.3, 2)))
    between = torch.randn(100, 2, generator=torch.Generator().manual_seed(3)) * 0.3
    ood_scores = score(outputs(net, between))
    assert id_scores.shape == (200,)
    assert ood_scores.shape == (100,)
    assert id_scores.dtype == torch.float64
    auroc = (id_scores[:, None] > ood_scores[None]).double().mean()
    assert auroc > 0.6, f"{name}: {auroc}"


@pytest.mark.parametrize("name", [name for name in DETECTORS if name != "odin"])
def test_an_image_has_its_score_whatever_stands_beside_it(name: str, net: MLP) -> None:
    many = outputs(net, points(CHUNK // 4 + 5, 0.5, 4))  # more than one chunk
    whole = fit_score(name, material(net))(many)
    assert many.features is not None
    alone = fit_score(name, material(net))(Outputs(many.logits[-3:], many.features[-3:]))
    assert whole[-3:].tolist() == pytest.approx(alone.tolist(), rel=1e-3, abs=1e-5)  # float32


def test_mahalanobis_is_the_distance_to_the_nearest_class_mean(net: MLP) -> None:
    """Lee et al. (NeurIPS 2018), the scatter summed over the training images as the library does, which only scales."""
    seen, labels = material(net).training()
    assert seen.features is not None
    features = seen.features.double()
    means = torch.stack([features[labels == label].mean(0) for label in range(4)])
    centred = features - means[labels]
    precision = torch.linalg.inv(centred.T @ centred + 1e-6 * torch.eye(features.shape[1]))
    distances = torch.stack([((features - mean) @ precision * (features - mean)).sum(1) for mean in means])
    found = fit_score("mahalanobis", material(net))(seen)
    assert found.tolist() == pytest.approx((-0.5 * distances.amin(0)).tolist(), rel=2e-3, abs=1e-5)


def test_react_is_the_energy_of_clipped_features(net: MLP) -> None:
    seen, _ = material(net).training()
    assert seen.features is not None
    clipped = seen.features.clamp(max=float(torch.quantile(seen.features, 0.9)))
    expected = energy(Outputs(net.head(clipped).detach()))
    assert fit_score("react", material(net))(seen).tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_gradnorm_is_of_the_last_layer_alone(net: MLP) -> None:
    """Of the head W f + b the cross-entropy from uniform has the gradient (p - 1/K) x [f, 1]; its L1 norm by hand."""
    seen, _ = material(net).training()
    assert seen.features is not None
    p = seen.logits.softmax(1)
    expected = (p - 1 / 4).abs().sum(1) * (seen.features.abs().sum(1) + 1)
    found = fit_score("gradnorm", material(net))(seen)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    assert all(parameter.grad is None for parameter in net.head.parameters())


def test_odin_perturbs_what_the_network_is_given(net: MLP) -> None:
    """Liang et al. (ICLR 2018): a step of eps against the gradient's sign, then MSP at temperature 1000."""
    x = points(5, 0.5, 6)
    inner = x.clone().requires_grad_()
    logits = net(inner) / 1000
    F.cross_entropy(logits, logits.argmax(1)).backward()
    assert inner.grad is not None
    moved = x - 0.0014 * inner.grad.sign()
    expected = (net(moved) / 1000).softmax(1).amax(1).detach()
    assert fit_score("odin", material(net))(outputs(net, x)).tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_fitting_asks_for_training_images_only_where_it_must(net: MLP) -> None:
    def never() -> tuple[Outputs, Tensor]:
        raise AssertionError("nothing is fitted")

    for name in ("msp", "energy", "gen", "ash", "scale", "lts", "gradnorm", "odin"):
        fit_score(name, Material(net, never, None))


def test_a_score_that_cannot_be_fitted_says_why(net: MLP) -> None:
    few = outputs(net, points(5, 0.5, 1))
    with pytest.raises(ScoreError, match=r"knn: can't be fitted on the training images: k=50 exceeds .* \(20\)"):
        fit_score("knn", Material(net, lambda: (few, torch.arange(4).repeat_interleave(5)), None))
    wrong = torch.arange(4).repeat_interleave(5).roll(5)
    with pytest.raises(ScoreError, match=r"she: can't be fitted .*No correct predictions for class 0; use another"):
        fit_score("she", Material(net, lambda: (few, wrong), None))


@pytest.mark.parametrize("name", ["msp", "energy", "mahalanobis", "knn"])
def test_scores_that_are_no_numbers_are_refused(name: str, net: MLP) -> None:
    seen = outputs(net, points(5, 0.5, 1))
    assert seen.features is not None
    score = fit_score(name, material(net))
    seen.logits[3], seen.features[3] = torch.nan, torch.nan
    if name == "knn":  # scikit-learn refuses first
        with pytest.raises(ScoreError, match="knn: can't be computed"):
            score(seen)
        return
    with pytest.raises(ScoreError, match=f"{name}: 1 of 20 scores are NaN or infinite; did training diverge"):
        score(seen)


def test_no_images_no_scores(net: MLP) -> None:
    def none() -> Iterator[Tensor]:
        return iter(())

    empty = Outputs(torch.empty(0, 4), torch.empty(0, 16), none)
    for name in SCORE_NAMES:
        assert fit_score(name, material(net))(empty).shape == (0,)


def test_descriptions_name_the_code() -> None:
    assert description("max-logit") == "goe.scores.max_logit"
    assert description("knn").startswith("pytorch-ood 0.")


def test_a_run_under_its_own_score_is_spared_what_takes_long_to_load() -> None:
    loaded = "import sys, goe.train, goe.evaluate; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert {"goe", "torch"} <= set(done.stdout.split())
    assert {"pytorch_ood", "scipy", "sklearn", "sympy", "torchvision"}.isdisjoint(done.stdout.split())
