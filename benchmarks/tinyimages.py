"""Images/s from a stand-in for tiny_images.bin, with a cold and a warm page cache, against reading as the authors do.

Linux only. The variants take turns within a round. Cold means that the file's pages were dropped by posix_fadvise, as
mincore confirms; what the disk itself caches is out of reach. Every image is checked, by its corners while timed.
"""

import ctypes
import itertools
import mmap
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from harness import Report, arguments
from tables import Row, Table

from goe.data.tinyimages import IMAGE_BYTES, SIDE, BlockReader, BlockShuffle, TinyImages, upright

BATCH = 256
SLOW, FAST = 20_000, 500_000  # images in one measurement, from random places and in blocks


def content(index: np.ndarray) -> np.ndarray:
    """(n, 3072) the bytes of images `index`: no two images have the same four bytes in the same place."""
    first = index.astype(np.uint32)[:, None] * np.uint32(2654435761)
    return (first + np.arange(IMAGE_BYTES // 4, dtype=np.uint32)).view(np.uint8)


def write(path: Path, count: int) -> None:
    with path.open("wb") as file:
        for start in range(0, count, 16 * BATCH):
            file.write(content(np.arange(start, min(start + 16 * BATCH, count))).tobytes())
        file.flush()
        os.fsync(file.fileno())


def evict(path: Path) -> float:
    """Drops the file from the page cache; returns the share of its pages still there."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        pages = np.zeros(-(-len(mapped) // mmap.PAGESIZE), dtype=np.uint8)
        view = np.frombuffer(mapped, dtype=np.uint8)
        pointer, size = ctypes.c_void_p, ctypes.c_size_t(len(mapped))
        if ctypes.CDLL(None).mincore(pointer(view.ctypes.data), size, pointer(pages.ctypes.data)):
            sys.exit("mincore failed")
        del view  # or the map could not be closed
    return float((pages & 1).mean())


def authors(path: Path, order: np.ndarray) -> Iterator[np.ndarray]:
    with path.open("rb") as file:
        for start in range(0, len(order), BATCH):
            images = []
            for image in order[start : start + BATCH].tolist():
                file.seek(image * IMAGE_BYTES)
                images.append(np.frombuffer(file.read(IMAGE_BYTES), np.uint8).reshape(SIDE, SIDE, 3, order="F"))
            yield np.stack(images)


def memory_map(path: Path, order: np.ndarray) -> Iterator[np.ndarray]:
    data = np.memmap(path, np.uint8, "r").reshape(-1, IMAGE_BYTES)
    for start in range(0, len(order), BATCH):
        yield upright(np.asarray(data[order[start : start + BATCH]]))


def positional(source: TinyImages, order: np.ndarray, ahead: int = 0) -> Iterator[np.ndarray]:
    for start in range(0, len(order), BATCH):
        source.will_need(order[start + ahead * BATCH :][: BATCH if ahead else 0])
        yield source.images(order[start : start + BATCH])


def blocks(source: TinyImages, shuffle: BlockShuffle, count: int) -> Iterator[np.ndarray]:
    reader = BlockReader(source, shuffle)
    for start in range(0, count, BATCH):
        yield reader.images(start, min(start + BATCH, count))


def check(batches: Iterator[np.ndarray], order: np.ndarray, step: int = 1) -> None:
    """Exits unless the batches are every `step`-th row and column of the images they should be."""
    for start, images in zip(itertools.count(0, BATCH), batches, strict=False):
        if not np.array_equal(images, upright(content(order[start : start + BATCH]))[:, ::step, ::step]):
            sys.exit(f"wrong images between {start} and {start + BATCH}")


def memory(field: str) -> float:
    """MB of VmRSS, or of its peak VmHWM."""
    return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0]) * 1024 / 1e6


def measure(batches: Iterator[np.ndarray], order: np.ndarray) -> tuple[float, float]:
    """Images/s, and MB that the peak of the resident memory grew by."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, begin = memory("VmRSS"), time.perf_counter()
    kept = [images[:, :: SIDE - 1, :: SIDE - 1].copy() for images in batches]
    seconds, growth = time.perf_counter() - begin, memory("VmHWM") - before
    check(iter(kept), order, SIDE - 1)
    return len(order) / seconds, growth


def compare(report: Report, path: Path, count: int) -> None:
    source, shuffle = TinyImages(path, count=count), BlockShuffle(count, [1, 2, 3])
    order, in_blocks = np.random.default_rng(1).permutation(count)[:SLOW], shuffle.order(0, min(count, FAST))
    variants: dict[str, tuple[Callable[[], Iterator[np.ndarray]], np.ndarray]] = {
        "seek + read, one file, random": (lambda: authors(path, order), order),
        "TinyImages.images, random": (lambda: positional(source, order), order),
        "the same, will_need 4 batches ahead": (lambda: positional(source, order, 4), order),
        "BlockReader": (lambda: blocks(source, shuffle, len(in_blocks)), in_blocks),
        "memory map, random": (lambda: memory_map(path, order), order),
    }
    speed: dict[tuple[str, str], list[float]] = {key: [] for key in itertools.product(variants, ("cold", "warm"))}
    growth, left = 0.0, 0.0
    for state, number in itertools.product(("cold", "warm"), range(report.rounds)):
        for name, (batches, wanted) in variants.items():
            if state == "cold":
                left = max(left, evict(path))
            elif number == 0:
                check(batches(), wanted)  # every byte; and the file is cached from here on
            rate, grown = measure(batches(), wanted)
            speed[name, state].append(rate)
            growth = max(growth, grown if name == "BlockReader" else 0.0)
    for state in ("cold", "warm"):
        rows = tuple(Row(name, tuple(speed[name, state])) for name in variants)
        title = f"80 Million Tiny Images, a file of {count:,}, {state} page cache"
        report.add(Table(title, "images/s", rows, rows[0].name, more_is_better=True))
    report.title("80 Million Tiny Images, beside the speed")
    report.say(f"BlockReader over {len(in_blocks):,} images: peak resident memory grew by", f"{growth:.0f} MB at most")
    report.say("in the page cache after eviction", f"{left:.2%} at most; every image was the right one")


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--size-gb", type=float, help="default: 3, 0.3 with --quick")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured; by default the temporary folder")
    options = parser.parse_args()
    size = options.size_gb or (0.3 if options.quick else 3.0)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, Report(__file__, options) as report:
        path, count = Path(folder) / "tiny_images.bin", int(size * 1e9) // IMAGE_BYTES
        write(path, count)
        compare(report, path, count)


if __name__ == "__main__":
    main()
