"""Sides measured by turns in one process, and a report of them: as text while it goes on, as JSON in the end.

    with Report(__file__, options) as report:
        report.compare("loading", {"plain": plain, "goe": goe}, unit="images/s", baseline="plain")

Every side is called once uncounted, for caches and workers to be warm, then once a round. Medians are compared, since
other work on a machine only ever makes a round longer.
"""

import argparse
import importlib.metadata
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import psutil
from tables import Fact, Facts, Machine, Part, Record, Row, Table, fact_line, text

from goe.core.code import ROOT, identify_code
from goe.launch.gpu import read_gpus

__all__ = ["BROKEN_OFF", "ROOT", "Clock", "Report", "Side", "arguments", "finish", "machine", "measure", "rows"]

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "textual")
QUICK_ROUNDS = 2
SCALES = {"s": 1.0, "ms": 1e3, "µs": 1e6}
WIDE = 66
BROKEN_OFF = 130
"""Exit code after ctrl-c."""

Side = Callable[[], float | None]
"""Does its work once and returns how much that was, for a rate or a time for each; None for one."""
Clock = Callable[[], float]


def arguments(doc: str, *, rounds: int) -> argparse.ArgumentParser:
    """The options that every script has."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help=f"counted rounds (default: {rounds}, {QUICK_ROUNDS} with --quick)")
    parser.add_argument("--quick", action="store_true", help="small and few, to see that it works; no true figures")
    parser.add_argument("--json", type=Path, help="a file for what was found")
    parser.set_defaults(usual_rounds=rounds)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clear up then too
    return parser


def measure(sides: Mapping[str, Side], rounds: int, clock: Clock = time.perf_counter) -> dict[str, list[float]]:
    """Seconds for one unit of each side's work in each round, after one that isn't counted."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, side in sides.items():
            begin = clock()
            amount = side()
            seconds = clock() - begin
            if number:
                found[name].append(seconds / (1 if amount is None else amount))
    return found


def rows(found: Mapping[str, Sequence[float]], unit: str, notes: Mapping[str, str] | None = None) -> tuple[Row, ...]:
    """Seconds in `unit`: one of SCALES, or something a second."""
    if unit in SCALES:
        turned = {name: [seconds * SCALES[unit] for seconds in each] for name, each in found.items()}
    else:
        turned = {name: [1 / seconds for seconds in each] for name, each in found.items()}
    return tuple(Row(name, tuple(each), (notes or {}).get(name, "")) for name, each in turned.items())


class Report:
    """Prints what was found as it comes, and writes all of it at the end if `--json` says where."""

    def __init__(self, script: str, options: argparse.Namespace) -> None:
        self.rounds: int = options.rounds or (QUICK_ROUNDS if options.quick else options.usual_rounds)
        self.quick: bool = options.quick
        self.parts: list[Part] = []
        self._script, self._path = Path(script).stem, options.json
        self._machine = machine()
        self._cpu = psutil.cpu_times()

    def __enter__(self) -> Self:
        print(f"{self._machine}; load {self._machine.load:.1f}; {self.rounds} rounds", flush=True)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is KeyboardInterrupt:
            print("broken off", file=sys.stderr)
            sys.exit(BROKEN_OFF)
        if kind is not None:
            return
        stolen = stolen_share(self._cpu, psutil.cpu_times())
        print(f"\nload at the end {load():.1f}, {stolen:.0%} of the CPU time stolen by the host", flush=True)
        if self._path is not None:
            day = time.strftime("%Y-%m-%d")
            record = Record(
                script=self._script,
                day=day,
                quick=self.quick,
                rounds=self.rounds,
                machine=self._machine,
                parts=tuple(self.parts),
                stolen=round(stolen, 3),
            )
            self._path.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))

    def compare(
        self,
        title: str,
        sides: Mapping[str, Side],
        *,
        unit: str,
        baseline: str,
        clock: Clock = time.perf_counter,
        notes: Mapping[str, str] | None = None,
    ) -> Table:
        """Measure sides against each other."""
        found = measure(sides, self.rounds, clock)
        table = Table(title, unit, rows(found, unit, notes), baseline, more_is_better=unit not in SCALES)
        self.add(table)
        return table

    def add(self, part: Part) -> None:
        """Something measured otherwise."""
        self.parts.append(part)
        print(f"\n{text(part)}", flush=True)

    def title(self, title: str) -> None:
        """What the next facts are about."""
        self.parts.append(Facts(title, ()))
        print(f"\n{title}", flush=True)

    def say(self, what: str, said: str) -> None:
        """One fact."""
        last, fact = self.parts[-1], Fact(what, said)
        assert isinstance(last, Facts), "a fact needs a title"
        self.parts[-1] = Facts(last.title, (*last.facts, fact))
        print(fact_line(fact, WIDE), flush=True)


def machine() -> Machine:
    """What this machine is, with the packages that are installed."""
    found = {name: _version(name) for name in PACKAGES}
    torch = sys.modules.get("torch")  # whoever doesn't use it needn't load it
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        gpus=tuple(gpu.name for gpu in read_gpus()),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        packages={name: version for name, version in found.items() if version},
        threads=None if torch is None else torch.get_num_threads(),
        code=identify_code().label,
        load=load(),
    )


def load() -> float:
    """Processes that ran or waited, on average over the last minute; 0 where nobody counts them."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def stolen_share(before: Any, after: Any) -> float:
    """Of the CPU time that was wanted between two `psutil.cpu_times()`: what the host gave to other machines."""
    idle = {"idle", "iowait", "guest", "guest_nice"}
    names = [name for name in after._fields if name not in idle]
    spent: dict[str, float] = {name: getattr(after, name) - getattr(before, name) for name in names}
    return spent.get("steal", 0.0) / max(1e-9, sum(spent.values()))


def finish(device: Any) -> None:
    """Wait until a torch.device has done all it was given."""
    if device.type == "cuda":
        sys.modules["torch"].cuda.synchronize(device)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
