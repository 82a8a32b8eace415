import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import chisquare
from torchvision import transforms
from torchvision.transforms import functional

from goe.data.augment import (
    CROPS,
    IDENTITY,
    VARIANTS,
    Normalise,
    draw_variants,
    gather,
    to_planes,
    variant_table,
)

CPU = torch.device("cpu")
MEAN, STD = (0.49, 0.48, 0.44), (0.247, 0.243, 0.26)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8, generator=generator)


def test_every_variant_is_torchvisions_crop_and_flip(images: torch.Tensor) -> None:
    index = torch.full((VARIANTS,), 1)
    ours = gather(to_planes(images), index, torch.arange(VARIANTS), variant_table(CPU))
    padded = functional.pad(images[1].permute(2, 0, 1), [4])
    for variant in range(VARIANTS):
        top, left = divmod(variant % CROPS, 9)
        theirs = functional.crop(padded, top, left, 32, 32)
        theirs = functional.hflip(theirs) if variant >= CROPS else theirs
        assert torch.equal(ours[variant], theirs), variant


def test_each_image_gets_its_own_variant(images: torch.Tensor) -> None:
    index, variant = torch.tensor([2, 0, 2]), torch.tensor([IDENTITY, 5, 150])
    planes, table = to_planes(images), variant_table(CPU)
    together = gather(planes, index, variant, table)
    for i in range(3):
        assert torch.equal(together[i], gather(planes, index[i : i + 1], variant[i : i + 1], table)[0])


def test_identity_is_the_image_itself(images: torch.Tensor) -> None:
    ours = gather(to_planes(images), torch.arange(3), torch.full((3,), IDENTITY), variant_table(CPU))
    assert torch.equal(ours.permute(0, 2, 3, 1), images)


def test_normalised_pixels_are_torchvisions_bit_for_bit() -> None:
    every_level = np.arange(256, dtype=np.uint8).repeat(12).reshape(1, 32, 32, 3)
    theirs = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    ours = Normalise(MEAN, STD, CPU)(torch.from_numpy(every_level).permute(0, 3, 1, 2))
    assert ours.dtype == torch.float32
    assert torch.equal(ours[0], theirs(Image.fromarray(every_level[0])))


def test_batches_stay_channels_last(images: torch.Tensor) -> None:
    crops = gather(to_planes(images), torch.arange(3), torch.zeros(3, dtype=torch.int64), variant_table(CPU))
    assert Normalise(MEAN, STD, CPU)(crops).is_contiguous(memory_format=torch.channels_last)


def test_crops_are_uniform_and_independent_of_the_flip() -> None:
    variants = draw_variants(81_000, 0.5, np.random.default_rng(3))
    counts = np.bincount(variants, minlength=VARIANTS)
    assert len(counts) == VARIANTS
    assert chisquare(counts).pvalue > 0.01  # all 162 equally likely


@pytest.mark.parametrize(("flip", "share"), [(0.0, 0.0), (0.2, 0.2), (1.0, 1.0)])
def test_share_of_flips(flip: float, share: float) -> None:
    variants = draw_variants(20_000, flip, np.random.default_rng(0))
    assert np.mean(variants >= CROPS) == pytest.approx(share, abs=0.01 if 0 < flip < 1 else 0)
