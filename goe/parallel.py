"""One run by several processes, each with its own GPU or cores: what they have to say to each other.

Every process, a rank, has the whole batch and draws the same chance, so what is mixed, filtered and lost is the same in
all. Shared out is what costs, the network: of any rows that go through it, rank r takes rows r, r + size, … and the
features of all of them are gathered. Each rank so has the loss of the whole batch, and its gradient by the rows of
others is none; `gather`'s backward multiplies by the number of ranks what DistributedDataParallel then averages.
"""

import contextlib
import ctypes
import datetime as dt
import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from goe.core.errors import GoeError
from goe.methods.base import Batch, Method, StepOutput
from goe.models.base import Net
from goe.syncnorm import SyncNorm

EXIT_LOST = 10
"""Exit code of a rank that lost the others: never the run's, whose cause lies elsewhere."""
TERMINATED = "GOE_TERMINATED"
"""Names the file whose existence tells rank 0 that its worker got a SIGTERM."""
LOST_S = 3.0
"""A rank that lost the others waits so long before it ends, that whoever ended first is seen to have."""
_ERROR_FILE = "TORCHELASTIC_ERROR_FILE"
"""Where torch's agent looks for a rank's last words."""
_FOR_EVER = dt.timedelta(days=365)
"""Whoever waits for a rank that ended is told at once; one that is paused may be waited for for long."""
_PR_SET_PDEATHSIG = 1


class LostRankError(GoeError):
    """Another rank ended or can't be reached; why, it says itself."""

    exit_code = EXIT_LOST


@dataclass(frozen=True, slots=True)
class Team:
    """The ranks of one run, as one of them sees them. One alone says nothing to anybody."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the rank that writes, prints and evaluates."""
        return self.rank == 0

    def share(self, size: int) -> slice:
        """The rank's own among `size` rows: of what a batch is put together from, each rank gets the same mixture."""
        return slice(self.rank, size, self.size)

    def gather(self, mine: Tensor, size: int) -> Tensor:
        """All `size` rows, (size, …), in order, of which each rank has its `share` (n, …). Can be differentiated."""
        gathered: Tensor = _Gather.apply(mine, size, self)
        return gathered

    def least(self, value: int) -> int:
        """The least of the ranks' values."""
        if self.size == 1:
            return value
        found = torch.tensor(value, device=_device())
        dist.all_reduce(found, dist.ReduceOp.MIN)
        return int(found)

    @torch.no_grad()
    def agree(self, *modules: nn.Module) -> None:
        """Give every rank the parameters and buffers that the first one has."""
        if self.size == 1:
            return
        for module in modules:
            for tensor in (*module.parameters(), *module.buffers()):
                dense = tensor.contiguous()
                dist.broadcast(dense, 0)
                tensor.copy_(dense)

    @contextlib.contextmanager
    def first(self) -> Iterator[None]:
        """The block is done by the first rank before the others, who then find on the disk what it left there."""
        if not self.leads:
            dist.barrier()
        yield
        if self.leads and self.size > 1:
            dist.barrier()


ALONE = Team()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mine: Tensor, size: int, team: Team) -> Tensor:
        ctx.share, ctx.ranks = team.share(size), team.size
        most = -(-size // team.size)
        sent = mine.new_zeros((most, *mine.shape[1:]))
        sent[: len(mine)] = mine
        every = mine.new_empty((team.size, *sent.shape))
        dist.all_gather(list(every.unbind()), sent)
        return every.transpose(0, 1).flatten(0, 1)[:size]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0][ctx.share] * ctx.ranks, None, None


def share_out(net: Net, team: Team, *, sync: bool) -> None:
    """Let the ranks of `team` share the rows that go through `net`; with `sync` batch norm is over all ranks' rows.

    Without it each rank normalises its own rows; where these are too few for that, every rank takes all of them.
    """
    if sync:
        SyncNorm.convert(net)
    features = net.features

    def shared(x: Tensor) -> Tensor:
        if net.training and not sync and len(x) < 2 * team.size:
            return features(x)
        return team.gather(features(x[team.share(len(x))]), len(x))

    net.features = shared  # type: ignore[method-assign]


class Stepper(nn.Module):
    """A method's step as a module of all that it trains."""

    def __init__(self, net: Net, method: Method) -> None:
        super().__init__()
        self.net, self.method = net, method

    def forward(self, batch: Batch, rng: np.random.Generator) -> StepOutput:
        """`Method.step`."""
        return self.method.step(self.net, batch, rng)


Step: TypeAlias = Callable[[Batch, np.random.Generator], StepOutput]


def averaged(net: Net, method: Method) -> Step:
    """`method.step` for `net`, after whose backward every rank has the mean of all gradients."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of a new name for `broadcast_buffers` that older ones lack
        # Buffers are the same or made so once an epoch; UDG's clusters would be sent anew each step.
        return DistributedDataParallel(Stepper(net, method), broadcast_buffers=False, gradient_as_bucket_view=True)


def join(device: str) -> Team:
    """Become the rank that torchrun's variables say, on the GPU of that number where `device` is not the CPU.

    On Linux the process ends with its parent, so that nobody's death leaves ranks behind.
    """
    _end_with_parent()
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=_FOR_EVER)
    return Team(rank, size)


def leave() -> None:
    """End the group; what comes after is each rank's own."""
    if dist.is_initialized():
        dist.destroy_process_group()


@contextlib.contextmanager
def company() -> Iterator[None]:
    """Turns what torch raises when another rank is gone into LostRankError."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or any(word in str(error) for word in _LOST_WORDS):
            raise LostRankError(f"lost another rank: {str(error).splitlines()[0]}") from None
        raise


_LOST_WORDS = ("gloo/transport", "Connection closed by peer", "Connection reset by peer", "NCCL")


def last_words(message: str | None) -> None:
    """Tell the agent why this rank ends."""
    file = os.environ.get(_ERROR_FILE)
    if file and message is not None:
        with contextlib.suppress(OSError):
            Path(file).write_text(json.dumps({"message": message, "timestamp": int(time.time())}), encoding="utf-8")


def _device() -> torch.device:
    """Where the group's tensors have to be."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def _end_with_parent() -> None:
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent or parent == 1:  # it ended before it was asked for
            os.kill(os.getpid(), signal.SIGKILL)
