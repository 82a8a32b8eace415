"""Which GPUs runs get, by shares, memory and other people's processes, on scripted GPUs and with real processes."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from fake_nvml import Script

from goe.core.errors import ConfigError
from goe.core.jobs import JobOptions
from goe.core.overview import RunView
from goe.core.process import ProcessId
from goe.core.queuefile import QueueOptions
from goe.core.records import Launch
from goe.core.rundir import RunDir
from goe.core.state import RunState
from goe.launch import slots as slots_module
from goe.launch.base import Slot
from goe.launch.gpu import Gpu
from goe.launch.slots import Slots, gpu_slot

WHOLE = JobOptions()
HALF = JobOptions(gpu_share=0.5)
QUEUE = QueueOptions()
OTHER = os.getppid()
"""A process that runs, and is none of ours."""


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "_cores", lambda: 16)


@pytest.fixture
def child() -> Iterator[int]:
    """A process in a session of its own, as workers are."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as process:
        yield process.pid
        process.communicate(b"\n", timeout=30)


def gpu(number: int, **told: Any) -> dict[str, Any]:
    return {"uuid": f"GPU-{number}", "name": "Fake", "bus": number, "total": 80, "used": 0, **told}


def live(run_id: str, slot: Slot | None, *, worker: int = 0, host: str = "", attempt: int = 1) -> RunView:
    """A live run that was given `slot`; `worker` is its pid (0: none that can be seen)."""
    assert slot is not None
    mine = host or platform.node()
    who = ProcessId(pid=worker, start="", boot="", host=mine) if worker else None
    nobody = ProcessId(pid=2**30, start="", boot="", host=mine)
    launch = Launch(
        attempt=attempt,
        launcher="local",
        supervisor=nobody,
        worker=who,
        gpus=slot.gpus,
        gpu_share=slot.gpu_share,
        gpu_memory=slot.gpu_memory,
        gpu_uuids=slot.gpu_uuids,
        threads=slot.threads,
        started=0.0,
    )
    return RunView(RunDir(Path(run_id)), RunState.RUNNING, launch=launch)


def fill(slots: Slots, *wanted: JobOptions) -> list[tuple[int, ...] | None]:
    """The GPUs that jobs get one after another, all of them staying."""
    running: list[RunView] = []
    given: list[tuple[int, ...] | None] = []
    for number, options in enumerate(wanted):
        slot = slots.take(options, running)
        given.append(None if slot is None else slot.gpus)
        if slot is not None:
            running.append(live(f"run-{number}", slot))
    return given


def test_without_gpus_slots_share_the_cores(driver: Script) -> None:
    slots = Slots(QueueOptions(slots=3))
    first = slots.take(WHOLE, [])
    assert first == Slot(threads=5)
    three = [live(f"r{number}", first) for number in range(3)]
    assert slots.take(JobOptions(gpu_count=4, gpu_memory=99), three[:2]) == first
    assert slots.take(WHOLE, three) is None
    assert slots.why(WHOLE, three) == "at most 3 at once; at work: r0, r1, r2"
    assert slots.why(WHOLE, three[:2]) == ""
    assert Slots(QueueOptions(slots=3), count=32).take(WHOLE, three) == Slot(threads=1)


def test_runs_of_other_machines_take_nothing_here(driver: Script) -> None:
    assert Slots(QUEUE).take(WHOLE, [live("far", Slot(threads=1), host="elsewhere")]) == Slot(threads=16)
    driver(gpu(0))
    slots = Slots(QUEUE)
    assert slots.take(WHOLE, [live("far", slots.take(WHOLE, []), host="elsewhere")]) is not None


def test_an_empty_list_of_gpus_means_the_cpu(driver: Script) -> None:
    driver(gpu(0))
    assert Slots(QueueOptions(gpus=())).take(WHOLE, []) == Slot(threads=16)


def test_whole_gpus_one_after_another(driver: Script) -> None:
    driver(gpu(0), gpu(1))
    slots = Slots(QUEUE)
    assert slots.take(WHOLE, []) == Slot(gpus=(0,), threads=8, gpu_uuids=("GPU-0",))
    assert fill(slots, WHOLE, WHOLE, WHOLE) == [(0,), (1,), None]


def test_a_run_alone_on_the_machine_has_all_threads(driver: Script) -> None:
    driver(gpu(0))
    slot = Slots(QUEUE).take(WHOLE, [])
    assert slot is not None
    assert slot.threads is None


def test_shared_runs_are_packed_and_split_the_cores(driver: Script) -> None:
    driver(gpu(0), gpu(1))
    slots = Slots(QUEUE)
    slot = slots.take(HALF, [])
    assert slot == Slot(gpus=(0,), threads=4, gpu_share=0.5, gpu_uuids=("GPU-0",))
    assert fill(slots, HALF, WHOLE, HALF, HALF) == [(0,), (1,), (0,), None]
    quarter = JobOptions(gpu_share=0.25)
    assert fill(slots, quarter, HALF, WHOLE, HALF, quarter, quarter) == [(0,), (0,), (1,), None, (0,), None]


def test_thirds_fill_a_gpu(driver: Script) -> None:
    driver(gpu(0))
    third = JobOptions(gpu_share=1 / 3)
    assert fill(Slots(QUEUE), third, third, third, JobOptions(gpu_share=0.01)) == [(0,), (0,), (0,), None]


def test_several_gpus_for_one_run(driver: Script) -> None:
    driver(gpu(0), gpu(1), gpu(2))
    slots = Slots(QUEUE)
    two = JobOptions(gpu_count=2)
    assert slots.take(two, []) == Slot(gpus=(0, 1), threads=10, gpu_uuids=("GPU-0", "GPU-1"), processes=2)
    assert fill(slots, two, two, WHOLE) == [(0, 1), None, (2,)]
    taken = [live("a", slots.take(two, []))]
    assert slots.why(two, taken) == "2 GPUs needed, 1 free: GPU 0: taken by a; GPU 1: taken by a"
    assert slots.problem(JobOptions(gpu_count=4)) == "gpu-count: it needs 4 GPUs, and 3 may be used"
    assert slots.take(JobOptions(gpu_count=4), []) is None
    assert slots.problem(two) is None


def test_a_number_of_runs_over_the_gpus(driver: Script) -> None:
    driver(gpu(0), gpu(1))
    slots = Slots(QUEUE, count=3)
    assert slots.take(WHOLE, []) == Slot(gpus=(0,), threads=5, gpu_share=0.5, gpu_uuids=("GPU-0",))
    assert fill(slots, *[WHOLE] * 4) == [(0,), (1,), (0,), None]
    assert fill(Slots(QUEUE, count=1), WHOLE, WHOLE) == [(0,), None]
    taken = [live("a", Slot(gpus=(1,), gpu_uuids=("GPU-1",)))]
    assert Slots(QUEUE, count=1).why(WHOLE, taken) == "at most 1 at once; at work: a"


def test_chosen_gpus(driver: Script) -> None:
    driver(gpu(0), gpu(1), gpu(2))
    assert fill(Slots(QueueOptions(gpus=(0, 2))), WHOLE, WHOLE, WHOLE) == [(0,), (2,), None]
    assert fill(Slots(QueueOptions(gpus=("GPU-2",))), WHOLE, WHOLE) == [(2,), None]
    assert fill(Slots(QueueOptions(gpus=(0,)), ["1"]), WHOLE, WHOLE) == [(1,), None]
    with pytest.raises(ConfigError, match=r"^--gpus: no GPU 5 here; there are 0 \(GPU-0, Fake\), "):
        Slots(QUEUE, [5])
    with pytest.raises(ConfigError, match=r"^gpus: no GPU GPU-9 here"):
        Slots(QueueOptions(gpus=("GPU-9",)))


def test_runs_recorded_without_uuids_count_by_number(driver: Script) -> None:
    driver(gpu(0), gpu(1))
    assert Slots(QUEUE).take(WHOLE, [live("old", Slot(gpus=(0,)))]) == Slot(gpus=(1,), threads=8, gpu_uuids=("GPU-1",))


def test_gpus_without_uuids_are_known_by_number(driver: Script) -> None:
    driver(gpu(0, refuses=["nvmlDeviceGetUUID"]))
    slot = Slots(QUEUE).take(WHOLE, [])
    assert slot == Slot(gpus=(0,))
    assert Slots(QUEUE).take(WHOLE, [live("a", slot)]) is None


def test_other_peoples_programs_are_respected(driver: Script) -> None:
    driver(gpu(0, used=62, processes=[{"pid": OTHER, "memory": 62}]), gpu(1))
    slots = Slots(QUEUE)
    assert fill(slots, WHOLE, WHOLE) == [(1,), None]
    other = psutil.Process(OTHER)
    whose = f"62.0 GiB used by pid {OTHER} ({other.name()}, {other.username()})"
    taken = [live("a", Slot(gpus=(1,), gpu_uuids=("GPU-1",)))]
    assert slots.why(WHOLE, taken) == f"GPU 0: {whose}; GPU 1: taken by a"
    # Who shares GPUs and says how much memory is needed may join, where it fits.
    assert slots.take(JobOptions(gpu_share=0.5, gpu_memory=18), taken) is not None
    assert slots.take(JobOptions(gpu_share=0.5, gpu_memory=19), taken) is None
    assert slots.why(JobOptions(gpu_share=0.5, gpu_memory=19), taken) == (
        f"GPU 0: 18.0 GiB free, 19 needed; {whose}; GPU 1: taken by a"
    )
    assert slots.why(HALF, taken).startswith(f"GPU 0: {whose}; with gpu-memory, a run that shares GPUs may join")


@pytest.mark.parametrize(
    "process",
    [
        {"pid": OTHER, "memory": 0.1},  # a monitor
        {"pid": OTHER, "memory": 3, "screen": True},  # a desktop
    ],
)
def test_programs_that_keep_nobody_away(driver: Script, process: dict[str, Any]) -> None:
    driver(gpu(0, used=process["memory"], processes=[process]))
    assert Slots(QUEUE).take(WHOLE, []) is not None


def test_a_program_of_unknown_size_keeps_others_away(driver: Script) -> None:
    driver(gpu(0, processes=[{"pid": OTHER, "memory": None}]))
    slots = Slots(QUEUE)
    assert slots.take(WHOLE, []) is None
    assert slots.why(WHOLE, []).startswith(f"GPU 0: memory used by pid {OTHER} (")


def test_what_a_container_hides_is_other_peoples_unless_a_run_of_ours_is_there(driver: Script) -> None:
    driver(gpu(0, used=5))
    slots = Slots(QUEUE)
    assert slots.why(WHOLE, []) == "GPU 0: 5.0 GiB used by programs that can't be seen from here"
    ours = [live("a", Slot(gpus=(0,), gpu_share=0.5, gpu_uuids=("GPU-0",)))]
    assert slots.take(HALF, ours) is not None
    unseen = 2**22 + 1  # no pid is as large
    driver(gpu(0, used=5, processes=[{"pid": unseen, "memory": 5}]))
    assert Slots(QUEUE).take(WHOLE, []) is None
    assert Slots(QUEUE).take(HALF, ours) is not None
    driver(gpu(0, used=0.2))
    assert Slots(QUEUE).take(WHOLE, []) is not None


def test_our_own_processes_are_told_from_others(driver: Script, child: int) -> None:
    """By their worker's session, and by descent."""
    ours = [live("a", Slot(gpus=(0,), gpu_share=0.5, gpu_uuids=("GPU-0",)), worker=os.getpid())]
    join = JobOptions(gpu_share=0.5)
    driver(gpu(0, used=9, processes=[{"pid": os.getpid(), "memory": 4}, {"pid": child, "memory": 5}]))
    assert Slots(QUEUE).take(join, ours) is not None
    driver(gpu(0, used=9, processes=[{"pid": os.getpid(), "memory": 4}, {"pid": OTHER, "memory": 5}]))
    assert Slots(QUEUE).take(join, ours) is None
    # With all of our own seen, what nobody seen accounts for is somebody else's.
    driver(gpu(0, used=9, processes=[{"pid": os.getpid(), "memory": 4}]))
    assert Slots(QUEUE).why(join, ours).startswith("GPU 0: 5.0 GiB used by programs that can't be seen from here")


@pytest.mark.parametrize(
    ("allocated", "free", "fits"),
    [
        (None, 80, 40.0),  # it declared 40 and has nothing yet: 80 - 40
        (10.0, 70, 40.0),  # 30 to come: 70 - 30
        (40.0, 40, 40.0),
        (50.0, 30, 30.0),  # more than it said
    ],
)
def test_memory_that_runs_asked_for_and_have_not_filled(
    driver: Script, allocated: float | None, free: float, fits: float
) -> None:
    """Of 80 GiB, with a live run that asked for 40."""
    processes = [] if allocated is None else [{"pid": os.getpid(), "memory": allocated}]
    driver(gpu(0, used=80 - free, processes=processes))
    held = Slot(gpus=(0,), gpu_share=0.5, gpu_memory=40, gpu_uuids=("GPU-0",))
    slots, ours = Slots(QUEUE), [live("a", held, worker=os.getpid())]
    slot = slots.take(JobOptions(gpu_share=0.5, gpu_memory=fits), ours)
    assert slot is not None
    assert slot.gpu_memory == fits
    assert slots.take(JobOptions(gpu_share=0.5, gpu_memory=fits + 0.01), ours) is None


def test_hidden_memory_counts_as_filled_by_our_runs(driver: Script) -> None:
    """In a container: two runs asked for 20 each, 30 are in use, so 10 of the 50 free ones are spoken for."""
    driver(gpu(0, used=30))
    held = Slot(gpus=(0,), gpu_share=0.25, gpu_memory=20, gpu_uuids=("GPU-0",))
    slots, ours = Slots(QUEUE), [live("a", held), live("b", held)]
    assert slots.take(JobOptions(gpu_share=0.25, gpu_memory=40), ours) is not None
    assert slots.take(JobOptions(gpu_share=0.25, gpu_memory=40.01), ours) is None


def test_memory_that_no_gpu_has(driver: Script) -> None:
    driver(gpu(0), gpu(1, total=24))
    slots = Slots(QUEUE)
    assert slots.problem(JobOptions(gpu_memory=80)) is None
    assert slots.problem(JobOptions(gpu_memory=81)) == (
        "gpu-memory: it needs 81 GiB on each of 1 GPUs; they have 80.0, 24.0 GiB"
    )
    assert slots.problem(JobOptions(gpu_memory=40, gpu_count=2)) == (
        "gpu-memory: it needs 40 GiB on each of 2 GPUs; they have 80.0, 24.0 GiB"
    )
    assert fill(slots, JobOptions(gpu_memory=40), JobOptions(gpu_memory=40)) == [(0,), None]


SILENT = ["nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetComputeRunningProcesses"]


def test_a_gpu_that_tells_nothing_is_used_only_by_name(driver: Script) -> None:
    driver(gpu(0, refuses=SILENT))
    slots = Slots(QUEUE)
    assert slots.take(WHOLE, []) is None
    assert slots.why(WHOLE, []) == (
        "GPU 0: NVML doesn't tell who uses it; name it (`gpus`, `--gpus`) to use it all the same"
    )
    assert Slots(QUEUE, [0]).take(WHOLE, []) is not None
    assert Slots(QUEUE, [0]).problem(JobOptions(gpu_memory=1)) == (
        "gpu-memory: NVML doesn't tell how much memory these GPUs have; leave it out"
    )


def test_a_gpu_that_fell_off_the_bus(driver: Script) -> None:
    driver(gpu(0), gpu(1))
    clock = iter(range(0, 1000, 10)).__next__
    slots = Slots(QUEUE, clock=clock)
    driver(gpu(1))
    slot = slots.take(WHOLE, [])
    assert slot is not None
    assert slot.gpu_uuids == ("GPU-1",)
    driver()
    assert slots.why(WHOLE, []) == "GPU 0: NVML doesn't show it any more; GPU 1: NVML doesn't show it any more"


class Watch:
    """A clock that stands until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_how_often_nvml_is_asked() -> None:
    watch = Watch()
    gpus = [Gpu(0, "GPU-0", "Fake", 80 * 2**30, 0, 80 * 2**30, 0.0, ())]
    readings: list[float] = []

    def read() -> list[Gpu]:
        readings.append(watch.now)
        return gpus

    def look(options: JobOptions, run: RunView, *times: float) -> list[float]:
        readings.clear()
        for watch.now in times:
            slots.take(options, [run])
        return list(readings)

    slots = Slots(QUEUE, read=read, clock=watch)
    half = live("a", gpu_slot(gpus, share=0.5))
    # For 3 s after the live runs changed at each look, then once the reading is more than 2 s old.
    assert look(HALF, half, 100.0, 101.0, 103.0, 103.5, 104.0, 105.0, 105.1) == [100.0, 101.0, 103.0, 105.1]
    # Where shares alone say no, never.
    assert look(WHOLE, live("b", gpu_slot(gpus)), 200.0, 210.0) == []


def test_processes_share_a_run_only_without_gpus(driver: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goe.launch.slots._cores", lambda: 4)
    three = JobOptions(processes=3, restarts=1)
    driver(gpu(0))
    found = Slots(QUEUE).take(three, [])
    assert found is not None
    assert (found.processes, found.restarts) == (1, 1)
    driver()
    slots = Slots(QUEUE)
    found = slots.take(three, [])
    assert found is not None
    assert (found.processes, found.restarts) == (3, 1)
    many = JobOptions(processes=5)
    assert slots.problem(many) == slots.why(many, []) == "processes: 5 for 4 CPU cores; use at most as many"
    assert slots.take(many, []) is None
