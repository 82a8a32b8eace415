"""Mixing two images: which meet, what is pasted where, and how lam and the boxes are distributed."""

from typing import Any

import numpy as np
import pytest
import torch
from stub_nets import FixedRng, random_images

from goe.core.specs import Mix
from goe.methods import Batch
from goe.methods.mixing import cutmix, draw_lams, mix_pairs, mix_pool, mixup

MIXES = [Mix(strategy=strategy, lam=lam) for strategy in ("mixup", "cutmix") for lam in ("batch", "sample")]  # type: ignore[arg-type]


def bits(b: int, m: int, side: int = 6) -> Batch:
    """ID images of zeros and outliers of ones."""
    return Batch(
        x=torch.zeros(b, 3, side, side),
        y=torch.arange(b),
        index=torch.arange(b),
        x_out=torch.ones(m, 3, side, side),
        index_out=torch.arange(m),
    )


def test_mixup_with_one_lam_and_with_one_each() -> None:
    first, second = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 6.0], [7.0, 8.0]])
    assert mixup(first, second, 0.25).tolist() == [[4.0, 5.0], [6.0, 7.0]]
    assert mixup(first, second, torch.tensor([0.25, 1.0])).tolist() == [[4.0, 5.0], [3.0, 4.0]]


@pytest.mark.parametrize("shape", [(), (2,), (3, 4), (3, 4, 5)])
def test_mixup_takes_any_shape(shape: tuple[int, ...]) -> None:
    first, second = torch.zeros(3, *shape), torch.ones(3, *shape)
    found = mixup(first, second, torch.tensor([0.0, 0.25, 1.0])).reshape(3, -1)
    assert found.shape[1] == np.prod(shape)
    assert found.mean(1).tolist() == [1.0, 0.75, 0.0]


@pytest.mark.parametrize(
    ("lam", "row", "column", "rows", "columns"),
    [
        (0.75, 2, 2, (1, 3), (1, 3)),  # side int(4 * sqrt(1/4)) = 2, one pixel either way of the centre
        (0.75, 0, 3, (0, 1), (2, 4)),  # cut off at the upper and at the right border
        (0.4, 2, 1, (1, 3), (0, 2)),  # side int(4 * 0.7746) = 3, down to 2
        (0.0, 2, 2, (0, 4), (0, 4)),  # all of it
        (0.0, 0, 3, (0, 2), (1, 4)),
        (0.95, 2, 2, (2, 2), (2, 2)),  # side int(4 * 0.2236) = 0
        (1.0, 2, 2, (2, 2), (2, 2)),
    ],
)
def test_the_box_and_the_share_it_leaves(
    lam: float, row: int, column: int, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    rng: Any = FixedRng(lam, centres=(row, column))
    images, share = cutmix(torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4), np.array(lam), rng)
    expected = torch.zeros(1, 2, 4, 4)
    expected[:, :, slice(*rows), slice(*columns)] = 1
    assert torch.equal(images, expected)
    area = (rows[1] - rows[0]) * (columns[1] - columns[0])
    assert share.item() == 1 - area / 16


def test_the_box_has_the_proportions_of_the_image() -> None:
    # 4 x 8: sides int(4 / 2) = 2 and int(8 / 2) = 4
    rng: Any = FixedRng(0.75, centres=(2, 4))
    images, share = cutmix(torch.zeros(1, 1, 4, 8), torch.ones(1, 1, 4, 8), np.array(0.75), rng)
    assert images[0, 0].sum(0).tolist() == [0, 0, 2, 2, 2, 2, 0, 0]
    assert images[0, 0].sum(1).tolist() == [0, 4, 4, 0]
    assert share == 0.75


def test_each_mixture_has_its_own_box() -> None:
    rng: Any = FixedRng([0.75, 0.0, 1.0], centres=([2, 2, 0], [0, 2, 0]))
    images, share = cutmix(torch.zeros(3, 1, 4, 4), torch.ones(3, 1, 4, 4), rng.lam, rng)
    assert images[0, 0].tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert images[1].mean() == 1
    assert images[2].mean() == 0
    assert share.tolist() == [1 - 2 / 16, 0, 1]


@pytest.mark.parametrize("lam", ["batch", "sample"])
def test_the_share_is_exactly_what_is_pasted(lam: Any) -> None:
    # mix_pairs: zeros with ones pasted in, so the mean of a mixture is the pasted share, and each box is one rectangle.
    mixtures = mix_pairs(bits(200, 200, side=7), Mix(strategy="cutmix", lam=lam), np.random.default_rng(3))
    pasted = mixtures.images[:, 0]
    share = torch.as_tensor(mixtures.lam).expand(200)
    assert (1 - share).tolist() == pytest.approx(pasted.mean((1, 2)).tolist(), abs=1e-6)
    rows, columns = pasted.amax(2), pasted.amax(1)
    assert torch.equal(pasted, rows[:, :, None] * columns[:, None, :])
    for edge in (rows, columns):  # no gaps: between borders of zeros it rises at most once
        assert (torch.nn.functional.pad(edge, (1, 1)).diff(dim=1) > 0).sum(1).max() <= 1


def test_boxes_differ_between_samples_only_if_asked() -> None:
    for lam, more_than_one in (("batch", False), ("sample", True)):
        spec = Mix(strategy="cutmix", alpha=50.0, beta=50.0, lam=lam)  # type: ignore[arg-type]
        images = mix_pairs(bits(64, 64), spec, np.random.default_rng(0)).images
        assert (len(images.unique(dim=0)) > 1) is more_than_one


@pytest.mark.parametrize("spec", MIXES)
def test_the_pool_is_the_id_batch_and_its_first_outliers(spec: Mix) -> None:
    batch = random_images(3, 8, (3, 4, 4))
    mixtures = mix_pool(batch, spec, np.random.default_rng(0))
    pool = torch.cat([batch.x, batch.x_out[:3]])
    for positions in (mixtures.first, mixtures.second):
        assert positions.sort().values.tolist() == list(range(6))
    if spec.strategy == "mixup":
        expected = mixup(pool[mixtures.first], pool[mixtures.second], mixtures.lam)
        assert torch.equal(mixtures.images, expected)
    else:
        from_first, from_second = (mixtures.images == pool[p] for p in (mixtures.first, mixtures.second))
        assert (from_first | from_second).all()
    assert mixtures.keep.all()


def test_few_outliers_make_a_smaller_pool_and_repeated_pairs() -> None:
    batch = random_images(5, 2, (3, 4, 4))
    assert len(mix_pool(batch, Mix(), np.random.default_rng(0)).images) == 7
    pairs = mix_pairs(batch, Mix(), np.random.default_rng(0))
    assert pairs.first.tolist() == [0, 1, 2, 3, 4]
    assert pairs.second.tolist() == [5, 6, 5, 6, 5]


def test_an_outlier_that_does_not_count_masks_its_mixtures() -> None:
    batch, keep = random_images(3, 8, (2,)), torch.tensor([True, False, True] + [False] * 5)
    rng: Any = FixedRng(0.5, [0, 1, 2, 3, 4, 5], [4, 0, 1, 2, 3, 5])
    # Position 4 is outlier 1; those from outlier 3 on are in no mixture.
    assert mix_pool(batch, Mix(), rng, keep=keep).keep.tolist() == [False, True, True, True, False, True]
    assert mix_pairs(batch, Mix(), np.random.default_rng(0), keep=keep).keep.tolist() == [True, False, True]


@pytest.mark.parametrize("spec", MIXES)
def test_images_stay_channels_last(spec: Mix) -> None:
    for m in (2, 5):
        contiguous = random_images(3, m, (3, 4, 4))
        batch = Batch(
            x=contiguous.x.to(memory_format=torch.channels_last),
            y=contiguous.y,
            index=contiguous.index,
            x_out=contiguous.x_out.to(memory_format=torch.channels_last),
            index_out=contiguous.index_out,
        )
        for function in (mix_pool, mix_pairs):
            images = function(batch, spec, np.random.default_rng(0)).images
            assert images.is_contiguous(memory_format=torch.channels_last)
            plain = function(contiguous, spec, np.random.default_rng(0)).images
            assert torch.equal(images, plain)


@pytest.mark.parametrize("spec", MIXES)
def test_mixtures_keep_the_precision_of_the_images(spec: Mix) -> None:
    for dtype in (torch.float32, torch.float64):
        mixtures = mix_pool(random_images(3, 5, (3, 4, 4), dtype=dtype), spec, np.random.default_rng(0))
        assert mixtures.images.dtype == dtype
        assert (mixtures.lam.dtype if isinstance(mixtures.lam, torch.Tensor) else dtype) == dtype
        assert mixtures.cross_entropy(torch.zeros(6, 4, dtype=dtype), torch.tensor([0, 1, 2])).dtype == dtype


def test_the_batch_is_left_as_it_was() -> None:
    for spec in MIXES:
        batch, fresh = (random_images(3, 5, (3, 4, 4)) for _ in range(2))
        mix_pool(batch, spec, np.random.default_rng(0))
        mix_pairs(batch, spec, np.random.default_rng(0))
        assert torch.equal(batch.x, fresh.x)
        assert torch.equal(batch.x_out, fresh.x_out)


def test_chance_is_drawn_in_the_documented_order() -> None:
    batch = random_images(3, 5, (3, 4, 8))
    for lam, shape in (("batch", ()), ("sample", (6,))):
        rng, again = np.random.default_rng(7), np.random.default_rng(7)
        mixtures = mix_pool(batch, Mix(strategy="cutmix", alpha=2.0, beta=3.0, lam=lam), rng)  # type: ignore[arg-type]
        again.beta(2.0, 3.0, size=shape)
        assert mixtures.first.tolist() == again.permutation(6).tolist()
        assert mixtures.second.tolist() == again.permutation(6).tolist()
        again.integers(4, size=shape)
        again.integers(8, size=shape)
        assert rng.bit_generator.state == again.bit_generator.state


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.1, 1.0), (2.0, 5.0), (10.0, 10.0)])
@pytest.mark.parametrize("lam", ["batch", "sample"])
def test_lam_has_the_moments_of_its_beta_distribution(alpha: float, beta: float, lam: Any) -> None:
    # n draws: the mean's standard error is sqrt(var / n). |lam - mean| <= 1, so E(lam - mean)^4 <= var and the
    # variance's is at most that too. Five of them: 1 in 2 million, and the seed is fixed.
    n, rng, spec = 20_000, np.random.default_rng(0), Mix(alpha=alpha, beta=beta, lam=lam)
    drawn = draw_lams(spec, n, rng) if lam == "sample" else np.stack([draw_lams(spec, 8, rng) for _ in range(n)])
    assert drawn.shape == (n,)
    mean = alpha / (alpha + beta)
    variance = mean * (1 - mean) / (alpha + beta + 1)
    tolerance = 5 * (variance / n) ** 0.5
    assert drawn.mean() == pytest.approx(mean, abs=tolerance)
    assert drawn.var() == pytest.approx(variance, abs=tolerance)


def test_mixed_lams_are_those_drawn_one_a_batch_or_one_each() -> None:
    batch = random_images(500, 500, (2,))
    one = mix_pool(batch, Mix(), np.random.default_rng(0)).lam
    assert one == np.random.default_rng(0).beta(1.0, 1.0)
    each = mix_pool(batch, Mix(lam="sample"), np.random.default_rng(0)).lam
    assert isinstance(each, torch.Tensor)
    assert each.tolist() == np.random.default_rng(0).beta(1.0, 1.0, size=1000).tolist()


def test_a_quarter_of_the_pairs_is_id_with_id_and_half_is_mixed() -> None:
    # 2B = 20,000 pairs; each kind's count has a standard deviation below sqrt(20,000) / 2 = 71. Five of them: 354.
    mixtures = mix_pool(random_images(10_000, 10_000, (1,)), Mix(), np.random.default_rng(0))
    first, second = mixtures.first < 10_000, mixtures.second < 10_000
    assert abs((first & second).sum().item() - 5_000) < 354
    assert abs((first != second).sum().item() - 10_000) < 354


def test_box_centres_are_uniform() -> None:
    # lam = 0.9 on 20 x 20: side 6; rows 3 .. 16 as centres give whole boxes. The top row of a box pasted at centre c is
    # max(c - 3, 0), so centres 0 to 3 begin at 0: a share of 4/20. 20,000 boxes: standard error 0.0028; five of them.
    n, rng = 20_000, np.random.default_rng(0)
    images, share = cutmix(torch.zeros(n, 1, 20, 20), torch.ones(n, 1, 20, 20), np.full(n, 0.9), rng)
    for axis in (1, 2):
        touched = images[:, 0].amax(axis)
        assert touched[:, 0].mean().item() == pytest.approx(4 / 20, abs=0.0142)
        # The last row is touched by centres 17, 18 and 19.
        assert touched[:, -1].mean().item() == pytest.approx(3 / 20, abs=0.0142)
    assert share.min() == pytest.approx(1 - 36 / 400)  # no box is larger than asked for
    assert share.mean() > 0.91  # clipping makes them smaller
