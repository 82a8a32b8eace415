"""What the machine's page is told: GPUs, cores, memory, disks, and whose processes are on them."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import fake_nvml
import msgspec
import psutil
import pytest
from msgspec.structs import replace
from runfolder import Lab, newest

from goe.core.overview import view_run
from goe.core.process import identify
from goe.core.rundir import RunDir
from goe.launch.family import MARK, mark_of
from goe.launch.gpu import Gpu, read_gpus
from goe.launch.machine import MachineSampler, disk_room
from tui.messages import Holder, SystemFacts
from tui.reading.system import GpuWatch, PulseReader, SystemReader, SystemSampler

GIB = 2**30
A = {"uuid": "GPU-aa", "name": "Big", "bus": 1, "total": 80, "used": 10, "utilisation": 42}
Spawn = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says which GPUs there are from now on; none yet."""
    path = tmp_path / "gpus.json"
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml)
    monkeypatch.setenv("FAKE_NVML", str(path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def say(*gpus: Mapping[str, Any], **more: Any) -> None:
        fake_nvml.script(path, gpus, **more)

    say()
    return say


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Starts a process, of a run if one is named."""
    started: list[subprocess.Popen[bytes]] = []

    def start(run: RunDir | None = None) -> subprocess.Popen[bytes]:
        env = {} if run is None else {MARK: mark_of(newest(run))}
        process = subprocess.Popen(["sleep", "600"], env=env)
        started.append(process)
        while "sleep" not in psutil.Process(process.pid).name():  # it has its own environment from then on
            pass
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def reader(lab: Lab) -> SystemReader:
    return SystemReader(SystemSampler(), lab.runs, lambda: 1.0)


def by_pid(facts: SystemFacts) -> dict[int, Holder]:
    return {each.process.pid: each for each in facts.holders if each.process is not None}


def test_whose_processes(lab: Lab, driver: Callable[..., None], spawn: Spawn, tmp_path: Path) -> None:
    run, elsewhere = lab.running(), Lab(tmp_path / "other").running()
    mine, other, stranger = spawn(run), spawn(elsewhere), spawn()
    shown = [{"pid": mine.pid, "memory": 4}, {"pid": stranger.pid, "memory": 2}, {"pid": 2**22 + 7, "memory": 1}]
    driver({**A, "used": 9, "processes": shown})
    found = reader(lab)
    facts = found.read()
    holders = by_pid(facts)
    assert holders[mine.pid].run_id == run.run_id
    assert holders[mine.pid].gpus == ((0, 4 * GIB),)
    assert holders[other.pid].run_id == str(elsewhere.path.resolve())
    assert holders[other.pid].gpus == ()
    theirs = holders[stranger.pid]
    assert theirs.process is not None
    assert (theirs.run_id, theirs.process.command, theirs.gpus) == ("", "sleep 600", ((0, 2 * GIB),))
    assert theirs.process.user == psutil.Process().username()
    assert holders[2**22 + 7].process is not None
    assert holders[2**22 + 7].process.command == ""  # nobody visible
    hidden = facts.holders[-1]
    assert hidden.process is None
    assert hidden.gpus == ((0, 3 * GIB),)  # of the one that isn't visible, 1; and 2 of nobody
    assert facts.holders[0].run_id == run.run_id, "runs of this folder first"
    first, again = holders[mine.pid].process, by_pid(found.read())[mine.pid].process
    assert first is not None
    assert again is not None
    assert (first.cpu, again.cpu) == (None, 0.0)
    assert again.memory


def test_a_worker_that_a_container_hides_from_the_driver(lab: Lab, driver: Callable[..., None], spawn: Spawn) -> None:
    driver({**A, "processes": []})
    worker = spawn()
    run = lab.started(worker=identify(worker.pid))
    launch = newest(run).launch()
    found = reader(lab)
    found.live = (replace(view_run(run), launch=msgspec.structs.replace(launch, gpus=(0,))),)
    holder = by_pid(found.read())[worker.pid]
    assert (holder.run_id, holder.gpus) == (run.run_id, ((0, None),))


def test_what_the_driver_tells_and_refuses(lab: Lab, driver: Callable[..., None]) -> None:
    driver({**A, "temperature": 61, "power": 412.5, "limit": 700}, {"uuid": "GPU-bb", "bus": 2})
    first, second = (each.gpu for each in reader(lab).read().gpus)
    assert (first.temperature, first.power, first.power_limit) == (61, 412.5, 700)
    assert (second.temperature, second.power, second.power_limit) == (None, None, None)


def test_a_driver_that_fails_in_mid_flight(lab: Lab, driver: Callable[..., None]) -> None:
    driver(A)
    watch = GpuWatch(read_gpus)
    assert watch.read()[1] == ""
    driver(A, refuses=["nvmlDeviceGetCount"])
    assert watch.read() == ((), "the driver fails: Not Supported")
    driver(driver=False)
    assert watch.read() == ((), "the driver showed 1 before, and shows none now")
    driver(A)
    assert watch.read()[1] == ""


def test_a_driver_that_hangs_holds_up_nothing() -> None:
    go = threading.Event()
    gpus = (Gpu(0),)
    watch = GpuWatch(lambda: gpus if go.wait(60) else ())
    assert watch.read()[1].startswith("the driver hasn't answered for")
    threads = threading.active_count()
    assert watch.read()[0] == ()
    assert threading.active_count() == threads, "it is asked once"
    go.set()
    deadline = time.monotonic() + 10
    while watch.read() != (gpus, ""):
        assert time.monotonic() < deadline


def test_no_gpu(lab: Lab, driver: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    driver(driver=False)
    facts = reader(lab).read()
    assert (facts.gpus, facts.no_gpu, facts.pulse.problem) == ((), "none that NVML shows", "")
    assert facts.pulse.machine.memory is not None
    driver(A)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert reader(lab).read().no_gpu == "none that NVML shows within CUDA_VISIBLE_DEVICES="


def test_one_look_a_second_and_the_last_minutes(driver: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    driver(A)
    sampler, now = SystemSampler(), 1000.0
    monkeypatch.setattr("tui.reading.system.time.monotonic", lambda: now)
    first = sampler.pulse()
    now += 0.9
    assert sampler.pulse() is first
    now += 0.1
    driver({**A, "utilisation": 82})
    assert sampler.pulse() is not first
    assert sampler.trace("busy GPU-aa")[-2:] == (None, pytest.approx(0.62))
    now += 10
    assert sampler.trace("busy GPU-aa")[-3:] == (pytest.approx(0.62), None, None)
    now += 600
    assert set(sampler.trace("busy GPU-aa")) == {None}


def test_the_first_glimpse_comes_late(lab: Lab, driver: Callable[..., None]) -> None:
    found = PulseReader(SystemSampler(), lab.runs)
    assert found.read() is None
    assert found.period == 1.0
    glimpse = found.read()
    assert glimpse is not None
    assert glimpse.room is not None, "the folder isn't there yet; its disk is"
    assert found.period == 5.0


def test_a_machine_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    sampler = MachineSampler()
    sampler.read()
    machine = sampler.read()
    assert (machine.cores, machine.memory, machine.busy) == (None, None, None)


def test_cores_from_the_second_look_on() -> None:
    sampler = MachineSampler()
    assert sampler.read().cores is None
    machine = sampler.read()
    assert machine.cores
    assert machine.busy is not None
    assert all(0 <= share <= 1 for share in machine.cores)


def test_a_disk_that_cannot_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError

    assert disk_room(tmp_path / "not" / "yet") is not None
    monkeypatch.setattr("goe.launch.machine.shutil.disk_usage", refuse)
    assert disk_room(tmp_path) is None
