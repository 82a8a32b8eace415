"""The plain step that speed is measured against does what goe's does."""

import math
from typing import Any

import numpy as np
import plain
import pytest
import torch
from plain import Pictures, largest_difference, mixture_mask

from goe.core import specs
from goe.data.augment import Normalise
from goe.data.cifar import MEAN, STD
from goe.methods import Batch
from goe.models import build_model


def batch_of(size: int, outliers: int) -> Batch:
    chance = torch.Generator().manual_seed(1)
    x, x_out = (torch.randn(count, 3, 32, 32, generator=chance) for count in (size, outliers))
    return Batch(x, torch.arange(size) % 10, torch.arange(size), x_out, torch.arange(outliers))


@pytest.mark.parametrize("model", ["wrn-10-1", "densenet-bc-10-12"])
@pytest.mark.parametrize(("size", "outliers", "k"), [(6, 12, 4), (8, 8, 7), (7, 5, 1)])
def test_loss_gradients_and_masks_are_goes(model: str, size: int, outliers: int, k: int) -> None:
    torch.manual_seed(0)
    net = build_model(model, num_classes=10, dropout=0.0)
    assert largest_difference(net, batch_of(size, outliers), specs.GOE(filter=specs.Filter(k=k))) < plain.TOLERANCE


def test_other_masks_and_other_losses_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    net, batch = build_model("wrn-10-1", num_classes=10, dropout=0.0), batch_of(6, 12)
    spec = specs.GOE(filter=specs.Filter(k=4))
    right = plain.discard
    with monkeypatch.context() as change:
        change.setattr(plain, "discard", lambda *given: right(*given)[1:])
        assert largest_difference(net, batch, spec) == math.inf
    with monkeypatch.context() as change:
        change.setattr(plain, "mixture_mask", lambda gone, first, *_: torch.ones(len(first)))
        assert largest_difference(net, batch, spec) == math.inf
    monkeypatch.setattr(plain, "soft_cross_entropy", lambda logits, targets: -(targets * logits).sum(1))
    assert largest_difference(net, batch, spec) > 1e-6


def test_a_mixture_of_a_discarded_outlier_counts_nothing() -> None:
    # 2 ID images and 2 outliers in the pool; outlier 1 is in place 3, outlier 5 in none.
    mask = mixture_mask([1, 5], torch.tensor([3, 0, 1, 2]), torch.tensor([0, 1, 3, 2]), size=2)
    assert mask.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("labels", [None, np.array([3, 4])])
def test_pictures_are_crops_of_the_padded_image_or_its_mirror(labels: Any) -> None:
    images = np.random.default_rng(0).integers(1, 256, size=(2, 32, 32, 3), dtype=np.uint8)
    pictures = Pictures(images, labels)
    pictures.offset = 1
    torch.manual_seed(0)
    found, label = pictures[0]
    assert label == (0 if labels is None else 4)
    padded = np.pad(images[1], ((4, 4), (4, 4), (0, 0)))
    crops = [padded[row : row + 32, column : column + 32] for row in range(9) for column in range(9)]
    wanted = torch.from_numpy(np.stack([*crops, *(crop[:, ::-1] for crop in crops)])).permute(0, 3, 1, 2)
    everyone = Normalise(MEAN, STD, torch.device("cpu"))(wanted)
    assert (everyone - found).flatten(1).abs().amax(1).min() < 1e-6


def test_an_epoch_trains_on_every_image_once() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(20, 32, 32, 3), dtype=np.uint8)
    loaders = plain.id_loader(images, np.arange(20) % 10, 8, 0), plain.outlier_loader(images, 10, 0)
    net = build_model("wrn-10-1", num_classes=10, dropout=0.3).train()
    before = net.head.weight.clone()
    spec = specs.GOE(filter=specs.Filter(k=2))
    # The shorter of the two ends the epoch: 2 batches of outliers beside 3 of ID images.
    assert plain.plain_epoch(net, plain.plain_optimiser(net), loaders, rng, spec) == 16 + 20
    assert not torch.equal(net.head.weight, before)
