"""Full disks, read-only disks, and files that belong to somebody else."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import GOE, TIMEOUT_S, TINY, Lab, wait_until, worker_pid

from goe.core.records import CheckpointIndex, Metric, MetricsTail
from goe.core.rundir import Attempt, RunDir, read_json
from goe.core.state import RunState

NOBODY = 65534
SMALL = f"""{TINY.replace("epochs = 1", "epochs = 2")}
[queue]
slots = 2
min-free = 0

[[experiment]]
name = "small"
"""


def mount(folder: Path, options: str) -> None:
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"tmpfs can't be mounted: {done.stderr.strip()}")


@pytest.fixture
def disk(lab: Lab) -> Iterator[Lab]:
    """A lab whose runs lie on a disk of 8 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    lab.runs.mkdir()
    mount(lab.runs, "size=8m")
    try:
        yield lab
    finally:
        lab.close()
        subprocess.run(["umount", "-l", lab.runs], check=True)


def last(run: RunDir) -> CheckpointIndex | None:
    return read_json(run.checkpoints / "last.json", CheckpointIndex)


def fill(path: Path) -> None:
    """Take every byte that is left."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def test_a_disk_that_fills_up_costs_no_checkpoint_and_training_goes_on_when_there_is_room(disk: Lab) -> None:
    disk.queue(SMALL)
    queue = disk.start("queue", "run")
    view = disk.wait_for_start()
    wait_until(lambda: last(view.run) is not None)
    worker = worker_pid(view)
    os.kill(worker, signal.SIGSTOP)
    index = last(view.run)
    assert index is not None
    assert index.epoch == 1
    fill(disk.runs / "ballast")
    os.kill(worker, signal.SIGCONT)
    wait_until(lambda: not Path(f"/proc/{worker}").exists())
    assert disk.view().state.is_live, "its end can't be written down yet, and is known to its supervisor alone"
    assert last(view.run) == index
    assert sorted(path.name for path in view.run.checkpoints.iterdir()) == [
        "best.json",
        "epoch-001.safetensors",
        "epoch-001.state.safetensors",
        "last.json",
    ]
    (disk.runs / "ballast").unlink()
    assert queue.wait(120) == 0, "the queue itself starts it again, as there is room"
    failed = Attempt(view.run.attempts_dir / "1").exit()
    assert failed is not None
    assert (failed.code, failed.cause) == (5, "disk-full")
    done = disk.view()
    assert (done.state, done.attempt) == (RunState.DONE, 2)
    assert [record.epoch for record in read_records(done.run) if record.kind == "epoch"] == [1, 2]
    calm = Lab(disk.folder / "calm")
    calm.folder.mkdir()
    calm.queue(SMALL)
    assert calm.goe("queue", "run").returncode == 0
    mine, other = last(done.run), last(calm.view().run)
    assert mine is not None
    assert other is not None
    assert (mine.weights_sha256, mine.state_sha256) == (other.weights_sha256, other.state_sha256)


def read_records(run: RunDir) -> list[Metric]:
    tail = MetricsTail(run.metrics_file)
    tail.poll()
    assert tail.bad <= 1  # the record that the full disk cut
    return tail.records


def test_a_read_only_disk_is_read_and_what_would_write_says_so(disk: Lab, finished: Lab) -> None:
    for run in finished.views():
        shutil.copytree(run.run.path, disk.runs / run.run_id)
    shutil.copy(finished.folder / "experiments.toml", disk.folder)
    text = (
        (disk.folder / "experiments.toml").read_text(encoding="utf-8").replace("slots = 2", "slots = 2\nmin-free = 0")
    )
    disk.queue(text + '\n[[experiment]]\nname = "new"\nlr = 0.05\n')
    subprocess.run(["mount", "-o", "remount,ro", disk.runs], check=True)
    before = {path: path.read_bytes() for path in disk.runs.rglob("*") if path.is_file()}
    run_id = finished.views()[0].run_id
    for command in (("runs",), ("show", run_id), ("table",), ("checkpoints",), ("queue", "list")):
        done = disk.goe(*command)
        assert done.returncode == 0, done.stderr
    for command in (("queue", "run"), ("train", "--epochs", "1"), ("eval", run_id, "--force")):
        done = disk.goe(*command)
        assert done.returncode in {1, 2}
        assert "Read-only file system" in done.stderr
        assert "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in disk.runs.rglob("*") if path.is_file()} == before


@pytest.fixture
def guest(finished: Lab) -> Iterator[Lab]:
    """The finished lab with a first run, and a folder that is none, of somebody else who lets nobody look into them."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root passes over owners and modes, and there is no setpriv")
    (finished.runs / "lost+found").mkdir()
    closed = [finished.views()[0].run.path, finished.runs / "lost+found"]
    for path in closed:
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        path.chmod(0o700 if os.geteuid() == 0 else 0)
    yield finished
    for path in closed:
        path.chmod(0o755)


def as_guest(lab: Lab, *args: str) -> subprocess.CompletedProcess[str]:
    """`goe` without root's right to pass over owners and modes."""
    rights = "-dac_override,-dac_read_search"
    drop = ["setpriv", "--bounding-set", rights, "--inh-caps", rights] if os.geteuid() == 0 else []
    command = [*drop, str(GOE), *args]
    return subprocess.run(command, cwd=lab.folder, env=lab.env, text=True, capture_output=True, timeout=TIMEOUT_S)


def test_a_run_that_may_not_be_read_is_broken_and_no_other(guest: Lab) -> None:
    closed, open_ = sorted(path.name for path in guest.runs.glob("base-*"))
    listed = as_guest(guest, "runs", "--json")
    assert listed.returncode == 0, listed.stderr
    views = {item["run_id"]: item for item in json.loads(listed.stdout)}
    assert views.keys() == {closed, open_}
    assert (views[open_]["state"], views[open_]["problem"]) == ("done", None)
    assert views[closed]["state"] == "broken"
    assert views[closed]["problem"].endswith(
        "config.json: can't be read: Permission denied; check its owner and permissions"
    )
    for command in (("table",), ("show", closed), ("checkpoints",), ("queue", "run")):
        done = as_guest(guest, *command)
        assert "Traceback" not in done.stderr, done.stderr
        assert command != ("queue", "run") or (done.returncode == 1 and "Permission denied" in done.stderr)
