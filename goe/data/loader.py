"""Streams of training batches that can be repeated from any epoch with no state, and plain batches for evaluation.

Whatever is random is keyed by (seed, stream, epoch or pass), so a resumed run sees the batches it would have seen.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from goe.core.config import RunConfig
from goe.core.dataspecs import Order
from goe.core.errors import DataError
from goe.data.augment import (
    IDENTITY,
    PLANE,
    Normalise,
    draw_variants,
    gather,
    to_planes,
    variant_table,
)
from goe.data.catalog import Benchmark, TrainingSets
from goe.data.outliers import Contaminated
from goe.data.prefetch import ahead
from goe.data.source import ImageSet, Index, Pixels, Source, TensorSet
from goe.data.tinyimages import BlockReader, BlockShuffle, SequentialOffset, TinyImages
from goe.methods.base import Batch
from goe.parallel import ALONE, Team

_RESIDENT = {"cpu": 0.1, "cuda": 0.25}
"""Share of the memory, of a GPU's free memory, that a padded set may take, unless GOE_RESIDENT says another one. CIFAR
takes 240 MB, 300K Random Images 1.4 GB."""
_BLOCK = 4096
"""Images copied to the device at a time."""
PLAIN_BATCH = 512
"""Images in a batch without augmentation."""
_PERMUTED = 2**24
"""Largest set that is permuted: its order takes 128 MB."""
_DRAWN = 2**20
"""Draws from one key, where a set is larger."""
_AHEAD = 4
"""Batches read before they are used, where a set is not on the device."""


class Stream(IntEnum):
    """Keys that keep a run's random streams apart. 0 is not used: numpy takes (seed, 0, 0) for the seed alone."""

    ID = 1
    OUTLIERS = 2
    ID_VARIANTS = 3
    OUTLIER_VARIANTS = 4
    VALIDATION_VARIANTS = 5


def keyed_rng(seed: int, stream: Stream, number: int) -> np.random.Generator:
    """The generator for one epoch or pass of one stream."""
    return np.random.default_rng([seed, stream, number])


def id_order(seed: int, epoch: int, size: int) -> Index:
    """(size,) the order of the ID images in `epoch`."""
    return keyed_rng(seed, Stream.ID, epoch).permutation(size)


def outlier_order(seed: int, start: int, stop: int, size: int, *, blocks: bool = False) -> Index:
    """(stop - start,) what the endless outlier stream holds from position `start` to before `stop`.

    Pass p over the set fills positions p * size to (p + 1) * size, each image once, in an order of its own: any order,
    or with `blocks` one in which neighbours come soon after each other (`BlockShuffle`). From a set too large to
    permute, images are drawn one by one instead, with replacement.
    """
    if size > _PERMUTED and not blocks:
        chunks = range(start // _DRAWN, -(-stop // _DRAWN))
        drawn = [keyed_rng(seed, Stream.OUTLIERS, number).integers(size, size=_DRAWN) for number in chunks]
        first = start - chunks.start * _DRAWN
        return np.concatenate(drawn)[first : first + stop - start]
    parts = []
    for number in range(start // size, -(-stop // size)):
        begin, end = max(start - number * size, 0), min(stop - number * size, size)
        if blocks:
            parts.append(block_shuffle(seed, number, size).order(begin, end))
        else:
            parts.append(keyed_rng(seed, Stream.OUTLIERS, number).permutation(size)[begin:end])
    return np.concatenate(parts)


def block_shuffle(seed: int, number: int, size: int) -> BlockShuffle:
    """The order of one pass by blocks."""
    return BlockShuffle(size, [seed, Stream.OUTLIERS, number])


class TrainData:
    """The training batches of one run.

    Each epoch visits the ID images once, in batches of `config.batch_size` with a smaller one at the end. An end of a
    single image is left out: batch norm has no variance over one. Every batch brings `config.outlier_batch_size`
    outliers from a stream that starts over, reshuffled, whenever the set has been seen.
    """

    def __init__(
        self,
        sets: TrainingSets,
        config: RunConfig,
        device: torch.device,
        *,
        resident_bytes: int | None = None,
        prefetch: int | None = None,
        team: Team = ALONE,
    ) -> None:
        """Each rank of a `team` has every batch whole. Of images that are not on its device it reads a share.

        Sets of at most `resident_bytes`, padded, live on the device; larger ones are read `prefetch` batches ahead.

        The defaults are a tenth of the memory, shared by the ranks, a quarter of a GPU's free memory, and 4. The
        batches are the same.
        """
        if len(sets.train) < 2:
            raise DataError(f"{sets.train.name}: {len(sets.train)} images; training needs at least 2")
        self.benchmark = sets.benchmark
        self._config = config
        self._device = device
        self._team = team
        self._table = variant_table(device)
        self._normalise = Normalise(sets.benchmark.mean, sets.benchmark.std, device)
        self.labels = torch.tensor(sets.train.labels(), device=device)
        """(N,) int64 on the device, the class of each ID image."""
        self._id = _store(sets.train, device, resident_bytes, team)
        self._validation = sets.validation
        self._ahead = _AHEAD if prefetch is None else prefetch
        self._outliers = None if sets.outliers is None else _store(sets.outliers.source, device, resident_bytes, team)
        self._order = _order_of(config, sets)
        truth = None if sets.outliers is None else sets.outliers.is_id
        self.is_id: Tensor | None = None if truth is None else torch.from_numpy(truth).to(device)
        """(outliers,) bool on the device, for `Batch.index_out`: True for ID images among them; None if unknown."""

    @property
    def num_classes(self) -> int:
        """K"""
        return self.benchmark.num_classes

    @property
    def num_outliers(self) -> int:
        """Images of the outlier set; 0 without one."""
        return 0 if self._outliers is None else len(self._outliers.source)

    def plain_id(self) -> Iterator[Tensor]:
        """All ID images in order, normalised, without augmentation, in batches (b, 3, 32, 32)."""
        return self._plain(self._id)

    def plain_outliers(self) -> Iterator[Tensor]:
        """All outliers in order, likewise."""
        return iter(()) if self._outliers is None else self._plain(self._outliers)

    def validation(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(x, y) over the validation set in order: as in evaluation, or augmented anew each epoch if so configured."""
        points = isinstance(self._validation, TensorSet)
        if points or not (self._config.augment and self._config.augment_validation):
            yield from eval_batches(self._validation, self.benchmark, PLAIN_BATCH, self._device)
            return
        size = len(self._validation)
        store = _store(self._validation, self._device, resident_bytes=0)
        draw = self._draw(np.arange(size, dtype=np.int64), Stream.VALIDATION_VARIANTS, epoch)
        labels = torch.from_numpy(self._validation.labels()).to(self._device)
        for start in range(0, size, PLAIN_BATCH):
            part = draw.part(start, start + PLAIN_BATCH)
            yield self._images(store, part), labels[part.index]

    def _plain(self, store: "_AnyStore") -> Iterator[Tensor]:
        size = len(store.source)
        order = np.arange(size, dtype=np.int64)
        variant = np.full(size, IDENTITY, dtype=np.int64)
        draw = _Draw(order, *(torch.from_numpy(array).to(self._device) for array in (order, variant)))
        for start in range(0, size, PLAIN_BATCH):
            yield self._images(store, draw.part(start, start + PLAIN_BATCH))

    @property
    def steps_per_epoch(self) -> int:
        """Batches an epoch."""
        full, rest = divmod(len(self._id.source), self._config.batch_size)
        return full + (rest > 1)

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of epoch `number`, counted from 0; the same whenever and wherever they are asked for."""
        batch, batch_out = self._config.batch_size, self._config.outlier_batch_size
        steps = range(self.steps_per_epoch)
        ids, outliers = self._id_draw(number), self._outlier_draw(number)
        parts = [ids.part(step * batch, (step + 1) * batch) for step in steps]
        parts_out = [outliers.part(step * batch_out, (step + 1) * batch_out) for step in steps]
        images, images_out = self._read(self._id, parts), self._read(self._outliers, parts_out, number)
        for part, part_out, x, x_out in zip(parts, parts_out, images, images_out, strict=True):
            yield Batch(x=x, y=self.labels[part.index], index=part.index, x_out=x_out, index_out=part_out.index)

    def _read(self, store: "_AnyStore | None", parts: "Sequence[_Draw]", epoch: int = 0) -> Iterator[Tensor]:
        """The images of each part; those that are not on the device are read ahead in the background."""
        if not isinstance(store, _Store) or store.resident is not None:
            yield from (self._images(store, part) for part in parts)
            return
        for part, host in zip(parts, ahead(self._from_disk(store, parts, epoch), self._ahead), strict=True):
            images = host.to(self._device, non_blocking=True)
            if self._shares(store):
                images = self._team.gather(images, len(part.host_index))
            planes = to_planes(images)
            rows = torch.arange(len(images), device=self._device)
            yield self._normalise(gather(planes, rows, part.variant, self._table))

    def _from_disk(self, store: "_Store", parts: "Sequence[_Draw]", epoch: int) -> Iterator[Tensor]:
        """(n, 32, 32, 3) uint8 on the host for each part, pinned for a GPU."""
        pinned = self._device.type == "cuda"
        source = store.source
        clean = _clean(source)
        if isinstance(clean, TinyImages) and self._order == "blocks":
            arrays = self._by_blocks(clean, parts, epoch)
            if isinstance(source, Contaminated):
                arrays = (source.replace(array, part.host_index) for array, part in zip(arrays, parts, strict=True))
        else:
            arrays = (source.images(part.host_index[self._team.share(len(part.host_index))]) for part in parts)
        for array in arrays:
            images = torch.from_numpy(array)
            yield images.pin_memory() if pinned else images

    def _shares(self, store: "_Store") -> bool:
        """Whether each rank reads only its share; not of blocks, where whoever needs one image has read the others."""
        blocks = isinstance(_clean(store.source), TinyImages) and self._order == "blocks"
        return self._team.size > 1 and not blocks

    def _by_blocks(self, source: TinyImages, parts: "Sequence[_Draw]", epoch: int) -> Iterator[Pixels]:
        """The images of consecutive parts of the outlier stream, read in long stretches."""
        at = epoch * self.steps_per_epoch * self._config.outlier_batch_size
        size, number, reader = len(source), -1, None
        for part in parts:
            stop, pieces = at + len(part.host_index), []
            while at < stop:
                if reader is None or at // size != number:
                    number = at // size
                    reader = BlockReader(source, block_shuffle(self._config.seed, number, size))
                end = min(stop, (number + 1) * size)
                pieces.append(reader.images(at - number * size, end - number * size))
                at = end
            yield np.concatenate(pieces) if len(pieces) != 1 else pieces[0]

    def _id_draw(self, epoch: int) -> "_Draw":
        return self._draw(id_order(self._config.seed, epoch, len(self._id.source)), Stream.ID_VARIANTS, epoch)

    def _outlier_draw(self, epoch: int) -> "_Draw":
        if self._outliers is None:
            return self._draw(np.empty(0, dtype=np.int64), Stream.OUTLIER_VARIANTS, epoch)
        share, size = self.steps_per_epoch * self._config.outlier_batch_size, len(self._outliers.source)
        seed = self._config.seed
        if self._order == "sequential-offset":
            offset = int(keyed_rng(seed, Stream.OUTLIERS, epoch).integers(size))
            order = SequentialOffset(size, offset).order(0, share)
        else:
            blocks = self._order == "blocks"
            order = outlier_order(seed, epoch * share, (epoch + 1) * share, size, blocks=blocks)
        return self._draw(order, Stream.OUTLIER_VARIANTS, epoch)

    def _draw(self, order: Index, stream: Stream, epoch: int) -> "_Draw":
        """`order` with a variant for each image; moved to the device once an epoch, so that no step has to wait."""
        variant = np.full(len(order), IDENTITY, dtype=np.int64)
        if self._config.augment:
            variant = draw_variants(len(order), self._config.flip, keyed_rng(self._config.seed, stream, epoch))
        on_device = (torch.from_numpy(array).to(self._device) for array in (order, variant))
        return _Draw(order, *on_device)

    def _images(self, store: "_AnyStore | None", draw: "_Draw") -> Tensor:
        """(n, 3, 32, 32) float32, normalised; points (n, 2) as they are."""
        if store is None:
            shape = self._id.data.shape[1:] if isinstance(self._id, _Tensors) else (3, 32, 32)
            return torch.empty((0, *shape), device=self._device)
        if isinstance(store, _Tensors):
            return store.data[draw.index]
        planes, rows = store.planes(draw)
        return self._normalise(gather(planes, rows, draw.variant, self._table))


def _order_of(config: RunConfig, sets: TrainingSets) -> Order:
    """The order of outliers, `auto` decided."""
    if config.outliers.order != "auto":
        return config.outliers.order
    huge = sets.outliers is not None and isinstance(_clean(sets.outliers.source), TinyImages)
    return "blocks" if huge else "shuffled"


def _clean(source: ImageSet) -> ImageSet:
    """A set without its contamination."""
    return source.clean if isinstance(source, Contaminated) else source


@dataclass(frozen=True, slots=True, eq=False)
class _Draw:
    """Which images to take in which variants."""

    host_index: Index
    index: Tensor
    """The same on the device."""
    variant: Tensor

    def part(self, start: int, stop: int) -> "_Draw":
        return _Draw(self.host_index[start:stop], self.index[start:stop], self.variant[start:stop])


@dataclass(frozen=True, slots=True, eq=False)
class _Store:
    """Where a source's padded images are: all on the device, or fetched for each batch."""

    source: Source
    device: torch.device
    resident: Tensor | None
    """(N, 1600, 3) uint8"""

    def planes(self, draw: _Draw) -> tuple[Tensor, Tensor]:
        """Padded images, and the rows among them of the images drawn."""
        if self.resident is not None:
            return self.resident, draw.index
        return _load_planes(self.source, draw.host_index, self.device), torch.arange(
            len(draw.index), device=self.device
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Tensors:
    """A set that is the network's input already, on the device."""

    source: TensorSet
    data: Tensor
    """(N, ...) float32"""


_AnyStore: TypeAlias = _Store | _Tensors


def _store(source: ImageSet, device: torch.device, resident_bytes: int | None, team: Team = ALONE) -> _AnyStore:
    if isinstance(source, TensorSet):
        return _Tensors(source, torch.from_numpy(source.data).to(device))
    limit = _resident_limit(device, team) if resident_bytes is None else resident_bytes
    size = len(source)
    if size * PLANE * PLANE * 3 > limit:
        return _Store(source, device, resident=None)
    planes = torch.empty((size, PLANE * PLANE, 3), dtype=torch.uint8, device=device)
    for start in range(0, size, _BLOCK):
        block = np.arange(start, min(start + _BLOCK, size))
        planes[start : start + _BLOCK] = _load_planes(source, block, device)
    return _Store(source, device, planes)


def _resident_limit(device: torch.device, team: Team = ALONE) -> int:
    text = os.environ.get("GOE_RESIDENT", "")
    try:
        share = float(text) if text else _RESIDENT[device.type]
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise DataError(f'GOE_RESIDENT: "{text}" is no share of the memory; give a number from 0 to 1, for example 0.1')
    on_gpu = device.type == "cuda"
    available = torch.cuda.mem_get_info(device)[0] if on_gpu else psutil.virtual_memory().total // team.size
    return team.least(int(available * share))


def _load_planes(source: Source, index: Index, device: torch.device) -> Tensor:
    return to_planes(torch.from_numpy(source.images(index)).to(device))


def eval_batches(
    images: ImageSet, benchmark: Benchmark, batch_size: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """(x, y) over a whole set in its own order, without augmentation: (B, 3, H, W) float32 and (B,) int64 labels.

    The last batch may be smaller. A `TensorSet` is passed on as it is; everything else is normalised.
    """
    normalise = Normalise(benchmark.mean, benchmark.std, device)
    labels = images.labels()
    for start in range(0, len(images), batch_size):
        index = np.arange(start, min(start + batch_size, len(images)))
        yield _network_input(images, index, normalise, device), torch.from_numpy(labels[index]).to(device)


def _network_input(images: ImageSet, index: NDArray[np.int64], normalise: Normalise, device: torch.device) -> Tensor:
    if isinstance(images, TensorSet):
        return torch.from_numpy(images.data[index]).to(device)
    return normalise(torch.from_numpy(images.images(index)).to(device).permute(0, 3, 1, 2))
