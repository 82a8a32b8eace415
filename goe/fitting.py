"""What to do when a training step doesn't fit into the device's memory."""

import gc
from collections.abc import Callable, Iterator

import torch

from goe.core.config import RunConfig
from goe.core.errors import MemoryLackError
from goe.methods.base import Batch


def lack_of_memory(error: torch.OutOfMemoryError, batch: Batch, step: Callable[[Batch], object]) -> MemoryLackError:
    """What to raise when `step` of a whole `batch` ended with `error`: it names the next smaller sizes that fit.

    They are found by halving and trying, so network and optimiser are spoilt afterwards.
    """
    needed, said = _sizes(batch), str(error).splitlines()[0].rstrip(".")
    fitting = next((_sizes(part) for part in _halves(batch) if _fits(part, step)), None)
    remedy = (
        f"{fitting} would fit" if fitting else "nor does any smaller batch fit: use a smaller model, or another GPU"
    )
    return MemoryLackError(
        f"out of memory with {needed}: {said}; {remedy}; the last checkpoint stands, and what else is on the GPU counts"
    )


def shared_lack(error: torch.OutOfMemoryError, config: RunConfig, ranks: int) -> MemoryLackError:
    """What to raise when a step shared by several ranks doesn't fit on one of them."""
    return MemoryLackError(
        f"out of memory with batch-size = {config.batch_size}, outlier-batch-size = {config.outlier_batch_size} shared "
        f"by {ranks}: {str(error).splitlines()[0].rstrip('.')}; use smaller batches, or more GPUs; the last checkpoint "
        "stands"
    )


def _sizes(batch: Batch) -> str:
    outliers = f", outlier-batch-size = {len(batch.x_out)}" if len(batch.x_out) else ""
    return f"batch-size = {len(batch.x)}{outliers}"


def _halves(batch: Batch) -> Iterator[Batch]:
    """Half the batch, a quarter, and so on, as long as there are two ID images to normalise over."""
    size, outliers = len(batch.x) // 2, len(batch.x_out) // 2
    while size >= 2 and (outliers or not len(batch.x_out)):
        yield Batch(
            x=batch.x[:size],
            y=batch.y[:size],
            index=batch.index[:size],
            x_out=batch.x_out[:outliers],
            index_out=batch.index_out[:outliers],
        )
        size, outliers = size // 2, outliers // 2


def _fits(batch: Batch, step: Callable[[Batch], object]) -> bool:
    gc.collect()  # what failed last is held by its traceback
    torch.cuda.empty_cache()
    try:
        step(batch)
    except torch.OutOfMemoryError:
        return False
    return True
