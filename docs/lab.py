"""A small lab for pictures of the dashboard: real runs, three methods with three seeds each, one that fails, one on the
spirals, and one that trains while its queue works.

    python docs/lab.py FOLDER         # makes it, or wakes it; about 100 s on two cores
    python docs/lab.py FOLDER --end   # ends what trains there

`cluster` is another, of jobs on a private Slurm; see tests/slurm/cluster.sh for what that needs.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from goe.core.overview import RunView, view_runs
from goe.core.state import RunState
from goe.launch.detached import queue_mark

ROOT = Path(__file__).resolve().parents[1]
QUEUE = """\
[queue]
slots = 2

[defaults]
dataset = "digits"
epochs = 5
batch-size = 64
outlier-batch-size = 16
scores = ["msp", "energy"]
seeds = [1, 2, 3]

# cross-entropy alone
[[experiment]]
name = "baseline"
method = "baseline"

[[experiment]]
name = "oe"
method = { name = "oe", weight = 0.5 }

# the paper's method, with a filter that knows the truth
[[experiment]]
name = "goe"
method = { name = "goe", filter = { strategy = "topk", k = 3 } }

[[experiment]]
name = "goe-hot"
seeds = [1]
lr = 1e9

[[experiment]]
name = "spiral"
dataset = "spiral"
seeds = [1]
epochs = 80
batch-size = 128
method = "goe"
outlier-batch-size = 128
"""
AT_WORK = """
[[experiment]]
name = "goe-long"
epochs = 400
seeds = [1, 2]
method = { name = "goe", filter = { strategy = "quantile", quantile = 0.15 } }

[[experiment]]
name = "goe-k6"
seeds = [1]
hold = true
method = { name = "goe", filter = { strategy = "topk", k = 6 } }
"""
ON_SLURM = """\
[queue]
launcher = "slurm"

[queue.slurm]
time = "02:00:00"

[defaults]
dataset = "digits"
epochs = 400
seeds = [1, 2, 3]

[[experiment]]
name = "goe"
method = { name = "goe", filter = { strategy = "topk", k = 3 } }

[[experiment]]
name = "energy-oe"
method = "energy-oe"
"""


def goe(folder: Path, *words: str, check: bool = True) -> None:
    """Run `goe` in the lab, one thread a run, on the CPU."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-m", "cli", *words], cwd=folder, env=env, check=check, stdout=sys.stderr)


def make(folder: Path) -> None:
    """Train what the pictures show, and let the queue go on with the last one."""
    folder.mkdir(parents=True, exist_ok=True)
    queue = folder / "experiments.toml"
    if not queue.exists():
        queue.write_text(QUEUE, encoding="utf-8")
        goe(folder, "queue", "run", check=False)  # one fails, as it should
        queue.write_text((QUEUE + AT_WORK).replace("slots = 2", "slots = 1"), encoding="utf-8")
    if queue_mark(folder / "runs") is None:
        goe(folder, "queue", "start")
    _wait_until_it_trains(folder / "runs")


@contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """Six runs on a Slurm of four pretend GPUs, so that two wait; all of it ends with the block."""
    script, slurm = ROOT / "tests" / "slurm" / "cluster.sh", Path(tempfile.mkdtemp(prefix="goe-slurm-"))
    slurm.chmod(0o755)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiments.toml").write_text(ON_SLURM, encoding="utf-8")
    try:
        subprocess.run([script, "up", slurm], check=True, stdout=sys.stderr)
        os.environ["SLURM_CONF"] = str(slurm / "etc" / "slurm.conf")
        goe(folder, "queue", "start")
        _wait_until_it_trains(folder / "runs", 4)
        yield
    finally:
        end(folder)
        subprocess.run(["scancel", f"--user={os.getuid()}"], check=False)
        subprocess.run([script, "down", slurm], check=False, stdout=sys.stderr)
        os.environ.pop("SLURM_CONF", None)
        shutil.rmtree(slurm, ignore_errors=True)


def _wait_until_it_trains(runs: Path, count: int = 1) -> None:
    deadline = time.monotonic() + 300
    while sum(_is_well_on(view) for view in view_runs(runs)) < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing trains in {runs}")
        time.sleep(0.2)


def _is_well_on(view: RunView) -> bool:
    return view.state is RunState.RUNNING and view.status is not None and view.status.epoch > 3


def end(folder: Path) -> None:
    """End the queue and what it trains."""
    goe(folder, "queue", "stop", check=False)
    live = [view.run_id for view in view_runs(folder / "runs") if view.is_live]
    if live:
        goe(folder, "stop", "--force", *live, check=False)


if __name__ == "__main__":
    (end if "--end" in sys.argv else make)(Path(sys.argv[1]).resolve())
