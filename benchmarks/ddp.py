"""One run by several processes: steps of G-OE with WRN-40-2 by one, by one under DDP, and by two or more.

    python benchmarks/ddp.py [--device cuda] [--ranks 2 4]

All take the same batch. On a CPU each process has one thread, and one more side is one process with as many threads as
two processes have; on GPUs each has its own. What DDP costs by itself is seen with a single process under it: gathering
features and averaging gradients with nobody, batch norm over all ranks. A run of one process has none of that.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from harness import ROOT, Report, arguments
from sharing import serve
from standin import fresh, random_batch
from step import CPU_SIZES, GPU_SIZES, TINY, Side, Way, ways
from tables import Table

from goe.methods import Batch
from goe.methods.base import StepOutput
from goe.models import Net
from goe.parallel import Team, averaged, share_out

MODEL = "wrn-40-2"
STEPS = {"cuda": 100, "cpu": 4}
"""In a round; one with --quick."""
ALONE, UNDER = "1 process", "1 process under DDP"
BAR = 1.03
"""Time of a step under DDP on one GPU, by one without."""


class Shared(Side):
    """Steps of one rank."""

    def __init__(self, way: Way, net: Net, batch: Batch) -> None:
        super().__init__(way, net, batch)
        self._step = averaged(self.net, self.method)

    def _forward(self, rng: np.random.Generator) -> StepOutput:
        with self.compute.autocast():
            return self._step(self.batch, rng)


class Ranks:
    """The processes of one side, which take steps when they are told to; without DDP for a `store` of None."""

    def __init__(self, count: int, store: Path | None, device: str, threads: int, sizes: tuple[int, int]) -> None:
        env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads)}
        self._processes = []
        for rank in range(count):
            argv = [sys.executable, __file__, "--rank", device, *map(str, (*sizes, rank, count, store or ""))]
            # In sessions of their own: ctrl-c ends them by `end`.
            self._processes.append(
                subprocess.Popen(
                    argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
                )
            )

    def wait(self) -> None:
        """Until all are ready, or have taken their steps."""
        for process in self._processes:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise SystemExit("a rank ended early; its error is above")

    def take(self, steps: int) -> int:
        """Take so many, together."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{steps}\n")
            process.stdin.flush()
        self.wait()
        return steps

    def end(self) -> None:
        """Let them end: there will be no more words for them."""
        for process in self._processes:
            process.communicate()


@contextmanager
def started(given: dict[str, tuple[int, bool, int]], device: str, sizes: tuple[int, int]) -> Iterator[dict[str, Ranks]]:
    """Sides by name, ready: how many processes, whether under DDP, threads of each."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sides = {}
        for place, (name, (count, under, threads)) in enumerate(given.items()):
            sides[name] = Ranks(count, folder / str(place) if under else None, device, threads, sizes)
            stack.callback(sides[name].end)
        for side in sides.values():
            side.wait()
        yield sides


def rank_work(device: str, sizes: tuple[int, int], team: Team, store: str) -> None:
    """What a process does."""
    place = torch.device(device)
    if place.type == "cuda":
        torch.cuda.set_device(team.rank)
    batch = random_batch(sizes, place)
    *_, way = ways(MODEL, place, compiled=False)
    net = fresh(MODEL, batch, dropout=True)
    if store:
        backend = "nccl" if place.type == "cuda" else "gloo"
        dist.init_process_group(backend, init_method=f"file://{store}", rank=team.rank, world_size=team.size)
        share_out(net, team, sync=True)
    side = Shared(way, net, batch) if store else Side(way, net, batch)
    serve(side)
    if store:
        dist.destroy_process_group()


def measure(report: Report, device: str, counts: Sequence[int]) -> None:
    """Steps by one process, and by `counts` of them."""
    sizes = GPU_SIZES if device == "cuda" else TINY if report.quick else CPU_SIZES[MODEL]
    steps = 1 if report.quick else STEPS[device]
    given = {ALONE: (1, False, 1), UNDER: (1, True, 1)}
    if device == "cpu":
        given |= {f"1 process, {count} threads": (1, False, count) for count in counts}
    given |= {f"{count} processes": (count, True, 1) for count in counts}

    def side(ranks: Ranks) -> Callable[[], int]:
        return lambda: ranks.take(steps)

    with started(given, device, sizes) as sides:
        title = f"One run by several processes on the {device.upper()}, {MODEL}, {sizes[0]} + {sizes[1]} images"
        measured = {name: side(ranks) for name, ranks in sides.items()}
        table = report.compare(title, measured, unit="ms", baseline=ALONE)
    report.title("What sharing a run brings")
    over = 1 / ratio(table, UNDER)
    verdict = f"; bar {BAR} on a GPU: {'met' if over <= BAR else 'MISSED'}" if device == "cuda" else ""
    report.say("time of a step under DDP by one process", f"{over:.3f} of that without{verdict}")
    for count in counts:
        faster = ratio(table, f"{count} processes")
        report.say(f"{count} processes", f"{faster:.2f} times as fast as one; efficiency {faster / count:.0%}")


def ratio(table: Table, name: str) -> float:
    """How many times as fast as one process."""
    return next(table.ratio(row) for row in table.rows if row.name == name) or float("nan")


def options() -> argparse.Namespace:
    parser = arguments(__doc__, rounds=5)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=STEPS, default=default)
    parser.add_argument(
        "--ranks", type=int, nargs="+", help="processes (default: 2, and all GPUs where there are more)"
    )
    parser.add_argument("--rank", nargs=6, help="a process, for the benchmark itself")
    return parser.parse_args()


def main() -> None:
    asked = options()
    if asked.rank:
        device, size, outliers, rank, count, store = asked.rank
        rank_work(device, (int(size), int(outliers)), Team(int(rank), int(count)), store)
        return
    there = torch.cuda.device_count() if asked.device == "cuda" else os.cpu_count() or 1
    usual = sorted({count for count in (2, there) if 2 <= count <= there}) if asked.device == "cuda" else [2]
    counts = asked.ranks or usual
    if max(counts, default=0) > there:
        raise SystemExit(f"--ranks: {max(counts)} processes; here are {there} for them")
    with Report(__file__, asked) as report:
        measure(report, asked.device, counts)


if __name__ == "__main__":
    main()
