"""A lab in which no time goes by, on a machine that never changes: what snapshots of screens are taken of."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import msgspec
import numpy as np
import pytest
import runfolder
from runfolder import Lab
from textual.widgets import Input

from goe.core.process import ProcessId, myself
from goe.core.provenance import Environment
from goe.core.records import Launch
from goe.core.rundir import RunDir, write_json
from goe.core.slurm import SlurmJob
from goe.launch.detached import QueueMark, queue_log
from goe.launch.gpu import Gpu
from goe.launch.machine import Machine, Room
from goe.launch.processes import Process
from goe.surface import grid, write_surface
from tui.app import GoeApp
from tui.messages import Disk, Glimpse, GpuFact, Holder, Pulse, SystemFacts
from tui.reading.system import PulseReader, SystemReader

NOW = 1_800_000_000.0
GIB = 2**30
HOST = "lab"
NODE = ProcessId(pid=1, start="1", boot="another", host="n7")
"""Of the cluster: nothing is known of its processes but what they write."""
FOLDER = Path("/srv/lab")
ROOM = Room(500 * GIB, 120 * GIB)
PULSE = Pulse(
    0.0,
    Machine((0.9, 0.4, 0.1, 0.7), (2.5, 1.25, 0.5), Room(64 * GIB, 48 * GIB), Room(0, 0)),
    (Gpu(0, "GPU-aa", "NVIDIA RTX A6000", 48 * GIB, 7 * GIB, 41 * GIB, 0.87, 71, 262.0, 300.0, ()),),
)
RISING = tuple(place / 60 for place in range(60))
FACTS = SystemFacts(
    HOST,
    PULSE,
    (GpuFact(PULSE.gpus[0], RISING, RISING[::-1]),),
    "",
    RISING,
    RISING,
    (Disk(FOLDER / "runs", ROOM), Disk(Path("/tmp"), ROOM)),
    1.0,
    (
        Holder(Process(4211, Path("r"), "me", "python -m goe.worker train", 1.5, 3 * GIB), "goe-s1", ((0, 6 * GIB),)),
        Holder(Process(77, None, "you", "python train.py --big", 0.5, 512 * 2**20)),
    ),
)
QUEUE = """
[queue]
slots = 2

[defaults]
seeds = [1, 2]
epochs = 10

[[experiment]]
name = "goe"
priority = 2

[[experiment]]
name = "baseline"
method = "baseline"

[[experiment]]
name = "next"
seeds = [1]
after = ["goe"]

[[experiment]]
name = "hot"
hold = true
"""
MISTAKEN = QUEUE.replace('method = "baseline"', 'method = "baselin"')


@contextmanager
def still(lab: Lab, patch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The lab, filled, in the present folder."""
    for name, value in (("TZ", "UTC"), ("VISUAL", "true")):
        patch.setenv(name, value)
    patch.delenv("NO_COLOR", raising=False)
    patch.setattr("textual.constants.COLOR_SYSTEM", "truecolor")
    time.tzset()
    patch.chdir(lab.runs.parent)
    patch.setattr(Path, "cwd", lambda *_: FOLDER)
    patch.setattr(time, "time", lambda: NOW)
    patch.setattr("platform.node", lambda: HOST)
    patch.setattr(runfolder, "DEAD", msgspec.structs.replace(runfolder.DEAD, host=HOST))
    patch.setattr(PulseReader, "read", lambda _: Glimpse(PULSE, ROOM))
    patch.setattr(SystemReader, "read", lambda _: FACTS)
    patch.setattr(Input, "cursor_blink", False)
    patch.setattr(GoeApp, "suspend", lambda _: nullcontext())  # for the editor: a test's screen has no terminal
    lab.runs, lab.queue = Path("runs"), Path("experiments.toml")
    fill(lab)
    yield lab
    patch.undo()
    time.tzset()


def fill(lab: Lab) -> None:
    """Runs in most states, a queue at work, and what the pages show of them."""
    first = lab.running(filter__rate=0.156)
    lab.metrics(first)
    lab.checkpoint(first, "best", 3)
    lab.checkpoint(first, "last", 4)
    first.log_file.write_text("".join(f"line {number}\n" for number in range(1, 100)))
    for name, seed, auroc in (("goe", 2, 0.99), ("baseline", 1, 0.9), ("baseline", 2, 0.85)):
        run = lab.done(name, seed, name)
        lab.metrics(run, filtering=name == "goe")
        lab.result(run, auroc)
        score(run, auroc)
    failed = lab.started("hot", 1)
    lab.status(failed, {"loss": None}, epoch=1)
    lab.ended(failed, code=1)
    killed = lab.started("hot", 1)
    lab.ended(killed, code=None, signal=9)
    lab.queued("next", 1)
    spiral = lab.spiral()
    assert spiral.claim(Launch(attempt=1, launcher="local", supervisor=runfolder.DEAD, started=NOW - 100))
    lab.ended(spiral)
    write_surface(spiral, "last", (np.linalg.norm(grid(), axis=1) < 12).astype(np.float32) / 2 + 0.5)
    write_json(first.env_file, environment())
    first.queued_file.unlink()  # it names the code of the day
    lab.queue.write_text(QUEUE)
    me = msgspec.structs.asdict(myself())
    write_json(lab.runs / ".queue.json", QueueMark(**me, queue=str(lab.queue.absolute()), since=NOW - 600))
    queue_log(lab.runs).write_text(
        "".join(f"07:{minute}:00  goe-s{minute % 2 + 1}: started\n" for minute in range(30, 60))
    )


def cluster(lab: Lab) -> None:
    """Jobs of Slurm beside the other runs: two that wait, one at work on another host."""
    queued = {"attempt": 1, "submitted": NOW - 600, "seen": NOW - 5}
    for seed, reason, start in ((1, "Resources", NOW + 5400), (2, "Priority", None)):
        job = SlurmJob(job=f"4711_{seed}", reason=reason, start=start, **queued)
        write_json(lab.queued("wide", seed).slurm_file, job)
    run = lab.queued("wide", 3)
    write_json(run.slurm_file, SlurmJob(job="4711_3", state="RUNNING", nodes=NODE.host, **queued))
    assert run.claim(
        Launch(attempt=1, launcher="slurm", supervisor=NODE, job="4711_3", gpus=(0, 1), processes=2, started=NOW - 300)
    )
    lab.status(run, {"loss": 0.75, "val/accuracy": 0.625, "images_per_s": 2345.0})


def environment() -> Environment:
    """Of the first run."""
    return Environment(
        goe="1.0",
        commit="0123456789abcdef0123456789abcdef01234567",
        dirty=False,
        diff_sha256=None,
        code="0123456789ab",
        python="3.11.2",
        platform="Linux-6.1-x86_64",
        host=HOST,
        command=("python", "-m", "goe.worker", "runs/goe-s1"),
        folder=str(FOLDER),
        data=str(FOLDER / "data"),
        seed=1,
        packages={"numpy": "2.4.0", "torch": "2.15.0"},
        cuda=None,
        gpus=(),
        threads=4,
    )


def score(run: RunDir, auroc: float) -> None:
    """Raw scores beside the result: the ID test set high, the OOD set lower."""
    bell = np.sin(np.linspace(0, np.pi, 100)) * 0.1
    scores = {"score/digits": 0.8 + bell, "score/noise": 0.8 - auroc / 2 + bell * 2}
    np.savez(run.eval / "best-msp-far-ood.npz", correct=np.ones(100, np.bool_), **scores)
