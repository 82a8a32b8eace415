"""The images are plain colours that say which set and which number they are, so a wrong image can't go unseen."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from goe.core.config import RunConfig
from goe.core.errors import DataError
from goe.data import loader
from goe.data.catalog import Benchmark, TrainingSets
from goe.data.loader import Stream, TrainData, eval_batches, keyed_rng, outlier_order
from goe.data.outliers import Contaminated, OutlierSet, contaminate, images_in_npy
from goe.data.source import ArraySource, Source, TensorSet
from goe.data.tinyimages import TinyImages
from goe.methods.base import Batch

CPU = torch.device("cpu")
BENCHMARK = Benchmark("digits", "digits", tuple("01234567"), (0.5, 0.4, 0.3), (0.25, 0.2, 0.1))
ID, OUT = 50, 100
"""Values of the blue channel."""

MakeConfig = Callable[..., RunConfig]
MakeData = Callable[..., TrainData]


@pytest.fixture
def make_data(numbered: Callable[..., ArraySource], make_config: MakeConfig) -> MakeData:
    """Training data of `train` ID images and `outliers` outliers (0: none)."""

    def make(
        train: int = 30,
        outliers: int = 23,
        resident_bytes: int | None = None,
        prefetch: int | None = None,
        order: str = "auto",
        source: Source | None = None,
        **over: object,
    ) -> TrainData:
        known = OutlierSet(source or numbered(outliers, blue=OUT), is_id=None) if outliers else None
        sets = TrainingSets(BENCHMARK, numbered(train, blue=ID), numbered(2, blue=ID), known)
        config = make_config(
            **{"batch_size": 8, "outlier_batch_size": 5, "method": "oe", "outliers": {"order": order}, **over}
        )
        return TrainData(sets, config, CPU, resident_bytes=resident_bytes, prefetch=prefetch)

    return make


def pixels(x: torch.Tensor) -> np.ndarray:
    """(n, 32, 32, 3) uint8 before normalisation."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (BENCHMARK.mean, BENCHMARK.std))
    return ((x * std + mean) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def colours(x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Number and blue value of each image; each must be of one colour but for the black border of its crop."""
    images = pixels(x)
    centre = images[:, 16, 16].astype(int)
    border = (images == 0).all(-1)
    assert (border | (images == centre[:, None, None].astype(np.uint8)).all(-1)).all()
    return centre[:, 0] - 1 + 250 * (centre[:, 1] - 1), centre[:, 2]


def assert_same(left: list[Batch], right: list[Batch]) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        for field in ("x", "y", "index", "x_out", "index_out"):
            assert torch.equal(getattr(one, field), getattr(other, field)), field


@pytest.mark.parametrize("resident_bytes", [None, 0])
def test_no_image_is_ever_another(make_data: MakeData, resident_bytes: int | None) -> None:
    data = make_data(train=600, outliers=555, resident_bytes=resident_bytes, batch_size=64, flip=0.5)
    for batch in data.epoch(0):
        for x, index, blue in ((batch.x, batch.index, ID), (batch.x_out, batch.index_out, OUT)):
            number, found = colours(x)
            assert number.tolist() == index.tolist()
            assert (found == blue).all()
        assert torch.equal(batch.y, batch.index % 7)


def test_an_epoch_visits_each_id_image_once_in_a_new_order(make_data: MakeData) -> None:
    data = make_data(train=30)
    orders = [torch.cat([batch.index for batch in data.epoch(epoch)]).tolist() for epoch in range(3)]
    assert all(sorted(order) == list(range(30)) for order in orders)
    assert len({tuple(order) for order in [*orders, list(range(30))]}) == 4


@pytest.mark.parametrize(
    ("train", "batch_size", "sizes"),
    [(16, 8, [8, 8]), (18, 8, [8, 8, 2]), (17, 8, [8, 8]), (5, 8, [5]), (3, 1, [1, 1, 1])],
)
def test_the_last_batch_is_kept_unless_it_is_one_image(
    make_data: MakeData, train: int, batch_size: int, sizes: list[int]
) -> None:
    data = make_data(train=train, batch_size=batch_size)
    batches = list(data.epoch(0))
    assert [len(batch.x) for batch in batches] == sizes
    assert [len(batch.x_out) for batch in batches] == [5] * len(sizes)
    assert data.steps_per_epoch == len(sizes)


def test_one_image_is_too_few_to_train_on(make_data: MakeData) -> None:
    with pytest.raises(DataError, match="at least 2"):
        make_data(train=1)


@pytest.mark.parametrize("outliers", [1, 3, 5, 7, 23, 400])
def test_outliers_cycle_and_batches_straddle_the_passes(make_data: MakeData, outliers: int) -> None:
    data = make_data(outliers=outliers)  # 4 steps of 5 outliers an epoch
    batches = [batch for epoch in range(6) for batch in data.epoch(epoch)]
    assert all(len(batch.index_out) == 5 for batch in batches)
    stream = torch.cat([batch.index_out for batch in batches]).tolist()
    passes = [stream[start : start + outliers] for start in range(0, len(stream), outliers)]
    for whole in passes[:-1]:
        assert sorted(whole) == list(range(outliers))
    assert len(set(passes[-1])) == len(passes[-1])
    if outliers == 23:
        assert len({tuple(whole) for whole in passes}) == len(passes)  # each pass in an order of its own


@pytest.mark.parametrize("prefetch", [0, 1, 3, 100])
@pytest.mark.parametrize("order", ["shuffled", "blocks", "sequential-offset"])
def test_reading_ahead_changes_no_batch(make_data: MakeData, order: str, prefetch: int) -> None:
    resident = make_data(order=order)
    read = make_data(order=order, resident_bytes=0, prefetch=prefetch)
    for epoch in (0, 1, 5):
        assert_same(list(read.epoch(epoch)), list(resident.epoch(epoch)))


def test_an_epoch_that_is_left_early_leaves_no_thread(make_data: MakeData) -> None:
    epoch = make_data(resident_bytes=0, prefetch=2).epoch(0)
    next(epoch)
    del epoch
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def outlier_stream(data: TrainData, epochs: int) -> list[int]:
    return torch.cat([batch.index_out for epoch in range(epochs) for batch in data.epoch(epoch)]).tolist()


def test_by_blocks_neighbours_come_soon_after_each_other(make_data: MakeData) -> None:
    size = 256 * 300
    data = make_data(train=80, batch_size=8, outlier_batch_size=size // 10, outliers=size, order="blocks")
    stream = np.concatenate([data._outlier_draw(epoch).host_index for epoch in range(2)])
    first, second = stream[:size], stream[size:]
    assert np.array_equal(np.sort(first), np.arange(size))
    assert np.array_equal(np.sort(second), np.arange(size))
    assert not np.array_equal(first, second)
    when = np.argsort(first)
    apart = np.abs(np.diff(when)).reshape(-1)
    within = apart[np.arange(size - 1) % 256 != 255]
    assert within.max() < 256 * 128  # of one block, so in one group


def test_with_an_offset_outliers_come_in_their_own_order(make_data: MakeData) -> None:
    data = make_data(outliers=23, order="sequential-offset")  # 4 steps of 5 an epoch
    starts = []
    for epoch in range(30):
        found = torch.cat([batch.index_out for batch in data.epoch(epoch)]).tolist()
        assert found == [(found[0] + place) % 23 for place in range(20)]
        starts.append(found[0])
    assert len(set(starts)) > 10


def test_a_set_too_large_to_permute_is_drawn_from(make_data: MakeData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "_PERMUTED", 20)
    monkeypatch.setattr(loader, "_DRAWN", 7)  # keys change within an epoch and within a batch
    stream = outlier_stream(make_data(outliers=23), 40)
    counts = np.bincount(stream, minlength=23)
    assert counts.min() > 0
    assert outlier_order(0, 33, 61, 23).tolist() == stream[33:61]


TINY = 700


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[TinyImages]:
    """697 images of a file of 700, column-major."""
    number = np.arange(TINY)
    colour = np.stack([number % 250 + 1, number // 250 + 1, np.full(TINY, OUT)], axis=-1).astype(np.uint8)
    (tmp_path / "tiny.bin").write_bytes(np.repeat(colour[:, :, None], 1024, axis=2).tobytes())
    source = TinyImages(tmp_path / "tiny.bin", count=TINY, excluded=LEFT_OUT)
    yield source
    source.close()


LEFT_OUT = np.array([0, 5, 699])
KEPT = np.delete(np.arange(TINY), LEFT_OUT)


@pytest.mark.parametrize("order", ["auto", "shuffled", "sequential-offset"])
def test_tiny_images_from_their_file(make_data: MakeData, tiny: TinyImages, order: str) -> None:
    """Read by blocks or one by one, over the ends of passes and the images left out."""
    data = make_data(train=80, outlier_batch_size=100, outliers=1, source=tiny, order=order, resident_bytes=0)
    for epoch in (0, 1):
        for batch in data.epoch(epoch):
            found, blue = colours(batch.x_out)
            assert (blue == OUT).all()
            assert found.tolist() == KEPT[batch.index_out.numpy()].tolist()


def test_contaminated_tiny_images_are_read_by_blocks_too(
    make_data: MakeData, tiny: TinyImages, numbered: Callable[..., ArraySource], monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = contaminate(OutlierSet(tiny, is_id=None), numbered(6, blue=ID), 0.3)
    assert isinstance(mixed.source, Contaminated)
    assert mixed.is_id is not None
    monkeypatch.setattr(TinyImages, "images", lambda *_: pytest.fail("read one by one"))
    data = make_data(train=80, outlier_batch_size=100, outliers=1, source=mixed.source, resident_bytes=0)
    seen = []
    for epoch in (0, 1):
        for batch in data.epoch(epoch):
            index = batch.index_out.numpy()
            found, blue = colours(batch.x_out)
            replaced = mixed.is_id[index]
            assert np.array_equal(blue == ID, replaced)
            assert found[~replaced].tolist() == KEPT[index[~replaced]].tolist()
            seen += index.tolist()
    assert sorted(seen[:697]) == list(range(697))  # a pass, each image once


def test_how_much_stays_in_memory_can_be_set(make_data: MakeData, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,600 pixels of three bytes an image, padded."""
    total = psutil.virtual_memory().total
    for share, limit in (("", total // 10), ("0.5", total // 2), ("0", 0), ("1", total)):
        monkeypatch.setenv("GOE_RESIDENT", share)
        assert loader._resident_limit(CPU) == pytest.approx(limit, abs=1)
    for share, resident in ((4800 * 23 / total, True), (4800 * 22 / total, False)):
        monkeypatch.setenv("GOE_RESIDENT", repr(share + 1 / total))
        outliers = make_data(train=2, outliers=23)._outliers
        assert isinstance(outliers, loader._Store)
        assert (outliers.resident is not None) == resident
    for share in ("half", "-0.1", "1.5", "nan"):
        monkeypatch.setenv("GOE_RESIDENT", share)
        with pytest.raises(DataError, match=f'GOE_RESIDENT: "{share}" is no share of the memory; give a number from 0'):
            make_data()


def test_resuming_at_an_epoch_gives_the_same_batches(make_data: MakeData) -> None:
    through = [list(batches) for data in [make_data()] for batches in map(data.epoch, range(4))]
    for epoch in (3, 1):
        assert_same(list(make_data().epoch(epoch)), through[epoch])


def test_the_seed_decides_order_and_augmentation(make_data: MakeData) -> None:
    first, same, other = (next(make_data(seed=seed).epoch(0)) for seed in (0, 0, 1))
    assert_same([first], [same])
    assert not torch.equal(first.index, other.index)
    assert not torch.equal(first.index_out, other.index_out)


def test_augmentation_differs_between_epochs_and_between_the_streams(make_data: MakeData) -> None:
    data = make_data(train=2, outliers=1, outlier_batch_size=2, flip=0.0)
    first, later = next(data.epoch(0)), next(data.epoch(1))
    borders = [(pixels(x)[:, :, :, 2] == 0).tobytes() for x in (first.x, later.x, first.x_out, later.x_out)]
    assert len(set(borders)) == 4


def test_without_augmentation_images_come_as_they_are(make_data: MakeData) -> None:
    for batch in make_data(augment=False).epoch(0):
        assert (pixels(batch.x)[..., 2] == ID).all()
        assert (pixels(batch.x_out)[..., 2] == OUT).all()


def test_outliers_don_t_change_the_id_batches(make_data: MakeData) -> None:
    with_outliers, without = list(make_data().epoch(2)), list(make_data(outliers=0).epoch(2))
    for left, right in zip(with_outliers, without, strict=True):
        assert torch.equal(left.x, right.x)
        assert torch.equal(left.y, right.y)
        assert right.x_out.shape == (0, 3, 32, 32)
        assert right.index_out.shape == (0,)


def test_form_of_a_batch(make_data: MakeData) -> None:
    batch = next(make_data().epoch(0))
    assert batch.x.shape == (8, 3, 32, 32)
    assert batch.x_out.shape == (5, 3, 32, 32)
    assert batch.x.dtype == batch.x_out.dtype == torch.float32
    assert batch.y.dtype == batch.index.dtype == batch.index_out.dtype == torch.int64
    assert batch.x.is_contiguous(memory_format=torch.channels_last)


def test_a_mapped_and_contaminated_set_is_read_right(
    numbered: Callable[..., ArraySource], make_config: MakeConfig, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", numbered(40, blue=OUT).data)
    mixed = contaminate(OutlierSet(images_in_npy("x", tmp_path / "x.npy"), is_id=None), numbered(6, blue=ID), 0.3)
    sets = TrainingSets(BENCHMARK, numbered(30, blue=ID), numbered(2, blue=ID), mixed)
    config = make_config(batch_size=8, outlier_batch_size=16, method="oe")
    mapped, resident = (TrainData(sets, config, CPU, resident_bytes=size) for size in (0, None))
    assert mapped.is_id is not None
    assert mapped.is_id.sum() == 12
    for batch in mapped.epoch(0):
        _, blue = colours(batch.x_out)
        assert ((blue == ID) == mapped.is_id[batch.index_out].numpy()).all()
    assert_same(list(mapped.epoch(1)), list(resident.epoch(1)))


def test_streams_are_apart() -> None:
    keys = [(seed, stream, number) for seed in (0, 1, 2) for stream in Stream for number in (0, 1, 2)]
    draws = {tuple(keyed_rng(*key).integers(2**62, size=2)) for key in keys}
    alone = {tuple(np.random.default_rng(seed).integers(2**62, size=2)) for seed in (0, 1, 2)}
    assert len(draws | alone) == len(keys) + 3


def test_evaluation_goes_through_a_set_in_order_without_augmentation(numbered: Callable[..., ArraySource]) -> None:
    source = numbered(10, blue=ID)
    batches = list(eval_batches(source, BENCHMARK, 4, CPU))
    assert [len(x) for x, _ in batches] == [4, 4, 2]
    assert torch.cat([y for _, y in batches]).tolist() == [i % 7 for i in range(10)]
    assert np.array_equal(np.concatenate([pixels(x) for x, _ in batches]), source.data)


def test_evaluation_normalises_by_the_benchmarks_constants(numbered: Callable[..., ArraySource]) -> None:
    x, _ = next(eval_batches(numbered(1, blue=ID), BENCHMARK, 1, CPU))
    expected = [(1 / 255 - 0.5) / 0.25, (1 / 255 - 0.4) / 0.2, (ID / 255 - 0.3) / 0.1]
    assert x[0, :, 0, 0].tolist() == pytest.approx(expected, abs=1e-6)


def test_evaluation_passes_a_tensor_set_on_unchanged() -> None:
    data = np.random.default_rng(0).standard_normal((5, 3, 32, 32), dtype=np.float32)
    batches = list(eval_batches(TensorSet("noise", data), BENCHMARK, 3, CPU))
    assert np.array_equal(torch.cat([x for x, _ in batches]).numpy(), data)
    assert torch.cat([y for _, y in batches]).tolist() == [-1] * 5


def test_validation_is_seen_as_it_is_in_every_epoch(make_data: MakeData) -> None:
    data = make_data()
    for epoch in (0, 1):
        ((x, y),) = data.validation(epoch)
        assert (pixels(x)[:, :, :, 2] == ID).all()  # no border: no crop
        assert y.tolist() == [0, 1]


def test_the_papers_validation_is_augmented_anew_each_epoch(make_data: MakeData) -> None:
    data = make_data(augment_validation=True)
    epochs = [[x for x, _ in data.validation(epoch)] for epoch in range(8)]
    again = [x for x, _ in make_data(augment_validation=True).validation(3)]
    assert torch.equal(again[0], epochs[3][0])
    assert any(not torch.equal(epoch[0], epochs[0][0]) for epoch in epochs)
    numbers, blue = colours(epochs[5][0])
    assert (numbers.tolist(), set(blue)) == ([0, 1], {ID})
    ((plain, _),) = make_data(augment=False, augment_validation=True).validation(3)
    assert (pixels(plain)[:, :, :, 2] == ID).all()


def test_plain_images_come_in_order_without_augmentation(make_data: MakeData) -> None:
    data = make_data()
    for batches, blue, size in ((data.plain_id(), ID, 30), (data.plain_outliers(), OUT, 23)):
        images = torch.cat(list(batches))
        assert (pixels(images)[:, :, :, 2] == blue).all()
        assert colours(images)[0].tolist() == list(range(size))
    assert list(make_data(outliers=0).plain_outliers()) == []
