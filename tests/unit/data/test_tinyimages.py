import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from goe.core.errors import DataError
from goe.data.source import Index, Source
from goe.data.tinyimages import (
    COUNT,
    IMAGE_BYTES,
    BlockReader,
    BlockShuffle,
    SequentialOffset,
    TinyImages,
    read_exclusions,
)

SIZE = 1003
KEY = [7, 2, 1]


def file_bytes(index: Index) -> np.ndarray:
    """(n, 3072) bytes of the made-up file's images: four bytes in the same place tell any two of them apart."""
    words = index.astype(np.uint32)[:, None] * np.uint32(2654435761) + np.arange(IMAGE_BYTES // 4, dtype=np.uint32)
    return words.view(np.uint8)


def expected(index: Index) -> np.ndarray:
    """The images at `index` of the file, one by one as the format is defined."""
    return np.stack([raw.reshape(32, 32, 3, order="F") for raw in file_bytes(np.asarray(index))])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny_images.bin"
    path.write_bytes(file_bytes(np.arange(SIZE)).tobytes())
    return path


@pytest.fixture
def tiny(path: Path) -> TinyImages:
    return TinyImages(path, count=SIZE)


def test_it_is_a_source(tiny: TinyImages) -> None:
    source: Source = tiny
    assert (source.name, len(source)) == ("tiny-images", SIZE)
    images = source.images(np.array([5]))
    assert images.flags.writeable
    assert images.flags.c_contiguous


def test_pixels_are_stored_by_column(tmp_path: Path) -> None:
    raw = np.zeros((2, IMAGE_BYTES), np.uint8)
    raw[1, 3 + 32 * 5 + 1024 * 1] = 200
    (tmp_path / "t.bin").write_bytes(raw.tobytes())
    images = TinyImages(tmp_path / "t.bin", count=2).images(np.array([0, 1]))
    assert np.argwhere(images).tolist() == [[1, 3, 5, 1]]
    assert images[1, 3, 5, 1] == 200


@pytest.mark.parametrize(
    "index",
    [
        [],
        [SIZE - 1],
        [7, 3, 7, SIZE - 1, 0, 500, 3],
        list(range(SIZE)),
        list(range(SIZE - 1, -1, -1)),
        [0, 2, 4, 12, 20, 29, 30],
        [10, 10, 12],
    ],
    ids=lambda index: f"{len(index)}-{sum(index)}",
)
def test_images_come_in_the_order_asked_for(tiny: TinyImages, index: list[int]) -> None:
    wanted = np.array(index, dtype=np.int64)
    images = tiny.images(wanted)
    assert images.shape == (len(index), 32, 32, 3)
    assert images.dtype == np.uint8
    if index:
        assert np.array_equal(images, expected(wanted))


def test_random_indices(tiny: TinyImages) -> None:
    rng = np.random.default_rng(3)
    for count in (2, 30, 256, 2000):
        index = rng.integers(SIZE, size=count)
        tiny.will_need(index)
        assert np.array_equal(tiny.images(index), expected(index))


@pytest.mark.parametrize("bad", [[-1], [SIZE], [0, SIZE]])
def test_positions_outside_are_an_error(tiny: TinyImages, bad: list[int]) -> None:
    with pytest.raises(IndexError, match=f"of {SIZE} images"):
        tiny.images(np.array(bad))


def test_labels_take_no_memory(tiny: TinyImages) -> None:
    labels = tiny.labels()
    assert labels.shape == (SIZE,)
    assert labels.dtype == np.int64
    assert set(labels) == {-1}
    assert labels.strides == (0,)
    assert not labels.flags.writeable


@pytest.mark.parametrize(
    "excluded",
    [[0], [SIZE - 1], [0, 1, 2], [5, 900, 6], list(range(100, 700)), list(range(0, SIZE, 2)), list(range(SIZE - 1))],
    ids=lambda excluded: f"{len(excluded)}-{excluded[0]}",
)
def test_excluded_images_are_never_seen_and_all_others_are(path: Path, excluded: list[int]) -> None:
    tiny = TinyImages(path, count=SIZE, excluded=np.array(excluded))
    kept = np.setdiff1d(np.arange(SIZE), excluded)
    assert len(tiny) == len(tiny.labels()) == len(kept)
    assert np.array_equal(tiny.images(np.arange(len(kept))), expected(kept))
    some = np.random.default_rng(0).integers(len(kept), size=50)
    assert np.array_equal(tiny.images(some), expected(kept[some]))
    with pytest.raises(IndexError):
        tiny.images(np.array([len(kept)]))


@pytest.mark.parametrize("bad", [[-1, 4], [4, SIZE]])
def test_exclusions_outside_the_file_are_refused(path: Path, bad: list[int]) -> None:
    with pytest.raises(DataError, match=f"left out; the file has images 0 to {SIZE - 1}"):
        TinyImages(path, count=SIZE, excluded=np.array(bad))


def test_a_file_of_another_size_is_refused(path: Path) -> None:
    with pytest.raises(DataError) as caught:
        TinyImages(path)
    for part in (
        path,
        f"{SIZE * 3072:,} bytes",
        f"{COUNT * 3072:,}",
        "truncated",
        "29 June 2020",
        "300K Random Images",
    ):
        assert str(part) in str(caught.value)
    whole = path.read_bytes()
    for content in (whole[:-1], whole + b"x", b""):
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"{len(content):,} bytes"):
            TinyImages(path, count=SIZE)


def test_a_missing_file_is_answered_with_the_withdrawal(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not found; it can't be downloaded.*withdrawn by its authors on 29 June 2020"):
        TinyImages(tmp_path / "tiny_images.bin")


def test_a_file_cut_while_in_use_is_an_error(tiny: TinyImages, path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(500 * IMAGE_BYTES + 10)
    assert np.array_equal(tiny.images(np.array([499])), expected(np.array([499])))
    with pytest.raises(DataError, match=r"image 500: the file ends 3,062 bytes early"):
        tiny.images(np.array([3, 500]))


def test_nothing_is_read_after_closing(tiny: TinyImages) -> None:
    tiny.close()
    tiny.close()
    for index in ([0], [0, 500]):
        with pytest.raises(DataError, match="image 0: Bad file descriptor"):
            tiny.images(np.array(index))


def test_neighbours_are_read_together_but_never_too_many(tiny: TinyImages, monkeypatch: pytest.MonkeyPatch) -> None:
    def reading(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        reads.append((offset // IMAGE_BYTES, len(buffers[0]) // IMAGE_BYTES))
        return whole(descriptor, buffers, offset)

    reads: list[tuple[int, int]] = []
    whole = os.preadv
    monkeypatch.setattr("goe.data.tinyimages.os.preadv", reading)
    tiny.images(np.array([900, 3, 4, 910, 6, 902]))
    assert reads == [(3, 4), (900, 11)]
    reads.clear()
    tiny.images(np.arange(SIZE))
    assert reads == [(0, 512), (512, SIZE - 512)]


def test_threads_never_get_anothers_image(tiny: TinyImages) -> None:
    def wrong(seed: int) -> int:
        rng = np.random.default_rng(seed)
        indices = [rng.integers(SIZE, size=64) for _ in range(40)]
        return sum(not np.array_equal(tiny.images(index), everything[index]) for index in indices)

    everything = expected(np.arange(SIZE))
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(wrong, range(16))) == 0


def test_exclusions_are_read_as_counted_from_one(tmp_path: Path) -> None:
    path = tmp_path / "80mn_cifar_idxs.txt"
    path.write_text("\n12\n3\n\n 3 \r\n1\n1000")
    found = read_exclusions(path, 1000)
    assert found.dtype == np.int64
    assert found.tolist() == [0, 2, 11, 999]
    assert read_exclusions(path, 1001, first=0).tolist() == [1, 3, 12, 1000]
    path.write_text("\n")
    assert len(read_exclusions(path, 1000)) == 0


def test_every_bad_line_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("1\n0\nx\n\n1001\n-3\n2.0\n٣\n" + "9" * 5000 + "\n7\n")
    with pytest.raises(DataError) as caught:
        read_exclusions(path, 1000)
    assert str(caught.value) == (
        f'{path}: line 2 "0", line 3 "x", line 5 "1001", line 6 "-3", line 7 "2.0" and 2 more; '
        "expected one number from 1 to 1000 a line"
    )
    path.write_text("0\n")
    with pytest.raises(DataError, match=r'line 1 "0"; expected'):
        read_exclusions(path, 1000)


def test_a_missing_list_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"list\.txt: can't be read: No such file"):
        read_exclusions(tmp_path / "list.txt", 10)


def shuffle(size: int = SIZE, seed: list[int] = KEY) -> BlockShuffle:
    return BlockShuffle(size, seed, block=16, group=5)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 80, 81, SIZE, 1040])
@pytest.mark.parametrize("seed", range(4))
def test_a_pass_visits_each_position_once(size: int, seed: int) -> None:
    order = shuffle(size, [seed, 2, 0]).order(0, size)
    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(size))


def test_the_order_is_the_same_for_every_cut() -> None:
    whole = shuffle().order(0, SIZE)
    for step in (1, 7, 80, 256, 900):
        fresh = shuffle()
        cuts = [(start, min(start + step, SIZE)) for start in range(0, SIZE, step)]
        assert np.array_equal(np.concatenate([fresh.order(*cut) for cut in cuts]), whole)
        backwards = [fresh.order(*cut) for cut in reversed(cuts)]
        assert np.array_equal(np.concatenate(backwards[::-1]), whole)
    assert len(shuffle().order(40, 40)) == 0


@pytest.mark.parametrize("bad", [(-1, 4), (5, 4), (0, SIZE + 1)])
def test_ranges_outside_a_pass_are_an_error(bad: tuple[int, int]) -> None:
    with pytest.raises(IndexError, match=f"a pass of {SIZE}"):
        list(shuffle().pieces(*bad))


def test_passes_and_seeds_differ() -> None:
    orders = [shuffle(seed=seed).order(0, SIZE) for seed in ([7, 2, 0], [7, 2, 1], [7, 2, 2], [8, 2, 0])]
    for number, order in enumerate(orders):
        assert all((order == other).mean() < 0.02 for other in orders[:number])


def test_a_group_holds_whole_blocks_and_mixes_them() -> None:
    one = shuffle()
    for number in range(len(one.starts) - 1):
        group = one.group_order(number)
        assert len(group) == one.starts[number + 1] - one.starts[number]
        blocks, counts = np.unique(group // 16, return_counts=True)
        assert len(blocks) == (5 if number < 12 else 3)
        assert all(count == min(16, SIZE - 16 * block) for block, count in zip(blocks, counts, strict=True))
        assert (np.diff(group // 16) != 0).mean() > 0.5


def test_blocks_come_in_random_order() -> None:
    firsts = [shuffle(seed=[seed, 2, 0]).group_order(0) // 16 for seed in range(300)]
    seen = np.bincount(np.concatenate([np.unique(blocks) for blocks in firsts]), minlength=63)
    assert seen.min() >= 5
    assert seen.max() <= 50  # 300 * 5 / 63 = 24 each


def test_each_group_is_shuffled_in_a_way_of_its_own() -> None:
    one = BlockShuffle(960, KEY, block=16, group=5)
    offsets = [one.group_order(number) % 16 for number in range(12)]
    assert all((offsets[0] == other).mean() < 0.4 for other in offsets[1:])  # 1/16 is expected, 1 if keyed alike


def test_full_size_needs_little() -> None:
    whole = BlockShuffle(COUNT, [1, 2, 0])
    tail = whole.order(COUNT - 1000, COUNT)
    assert len(np.unique(tail)) == 1000
    assert tail.max() < COUNT
    assert len(whole.starts) == -(-309774 // 128) + 1


def test_sequential_reading_goes_round_and_reaches_the_last_image() -> None:
    order = SequentialOffset(SIZE, 1000)
    assert order.order(0, 5).tolist() == [1000, 1001, 1002, 0, 1]
    assert np.array_equal(order.order(3, 10), order.order(0, 10)[3:])
    assert np.array_equal(np.sort(order.order(0, SIZE)), np.arange(SIZE))


@pytest.mark.parametrize("excluded", [[], [0, 17, 18, *range(200, 400), SIZE - 1]], ids=["all", "excluded"])
@pytest.mark.parametrize("step", [1, 64, 200, 1003])
def test_block_reader_gives_the_images_of_the_order(path: Path, excluded: list[int], step: int) -> None:
    tiny = TinyImages(path, count=SIZE, excluded=np.array(excluded, dtype=np.int64))
    order = shuffle(len(tiny))
    wanted = tiny.images(order.order(0, len(tiny)))
    reader = BlockReader(tiny, order)
    for start in range(0, len(tiny), step):
        stop = min(start + step, len(tiny))
        assert np.array_equal(reader.images(start, stop), wanted[start:stop])


def test_block_reader_can_jump(tiny: TinyImages) -> None:
    order = shuffle()
    reader = BlockReader(tiny, order)
    assert reader.images(5, 5).shape == (0, 32, 32, 3)
    for start, stop in [(900, SIZE), (0, 10), (500, 700), (70, 90), (0, SIZE)]:
        assert np.array_equal(reader.images(start, stop), tiny.images(order.order(start, stop)))


def test_block_reader_recovers_from_a_failed_read(tiny: TinyImages, path: Path) -> None:
    whole, order = path.read_bytes(), shuffle()
    reader = BlockReader(tiny, order)
    reader.images(0, 10)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="bytes early"):
        reader.images(500, 510)
    path.write_bytes(whole)
    assert np.array_equal(reader.images(0, 10), tiny.images(order.order(0, 10)))


def test_block_reader_wants_an_order_of_the_sets_size(tiny: TinyImages) -> None:
    with pytest.raises(ValueError, match=f"10 positions for {SIZE} images"):
        BlockReader(tiny, shuffle(10))
