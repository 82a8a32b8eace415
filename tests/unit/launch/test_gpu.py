"""Readings of scripted GPUs, and of the machine's own where it has any."""

import os

import fake_nvml
import pytest
from fake_nvml import Script

from goe.core.errors import ConfigError
from goe.launch.gpu import Gpu, GpuProcess, read_gpus, select

GIB = 2**30
A = {"uuid": "GPU-aa11", "name": "Big", "bus": 1, "total": 80, "used": 10, "reserved": 1, "utilisation": 42}
B = {"uuid": "GPU-aa22", "name": "Small", "bus": 2, "total": 24, "used": 0}
C = {"uuid": "GPU-bb33", "name": "Small", "bus": 3, "total": 24, "used": 0}


def uuids(gpus: tuple[Gpu, ...]) -> list[str]:
    return [gpu.uuid for gpu in gpus]


def test_everything_nvml_tells(driver: Script) -> None:
    processes = [{"pid": 7, "memory": 9.5}, {"pid": 8, "memory": None}, {"pid": 9, "memory": 0.5, "screen": True}]
    driver({**A, "processes": processes})
    assert read_gpus() == (
        Gpu(
            index=0,
            uuid="GPU-aa11",
            name="Big",
            memory_total=80 * GIB,
            memory_used=10 * GIB,
            memory_free=69 * GIB,
            utilisation=0.42,
            processes=(
                GpuProcess(9, GIB // 2, screen=True),
                GpuProcess(7, 19 * GIB // 2),
                GpuProcess(8, None),
            ),
        ),
    )
    assert not fake_nvml._open


def test_pci_order(driver: Script) -> None:
    driver(C, A, B)
    assert [(gpu.index, gpu.uuid) for gpu in read_gpus()] == [(0, "GPU-aa11"), (1, "GPU-aa22"), (2, "GPU-bb33")]


@pytest.mark.parametrize(
    ("query", "missing"),
    [
        ("nvmlDeviceGetUUID", {"uuid": ""}),
        ("nvmlDeviceGetName", {"name": ""}),
        ("nvmlDeviceGetUtilizationRates", {"utilisation": None}),
        ("nvmlDeviceGetComputeRunningProcesses", {"processes": None}),
        ("nvmlDeviceGetMemoryInfo_v2", {"memory_used": 11 * GIB}),  # old drivers count in what they keep
        ("nvmlDeviceGetGraphicsRunningProcesses", {}),
        ("nvmlDeviceGetMigMode", {}),
        ("nvmlDeviceGetPciInfo", {}),
    ],
)
def test_a_refused_query_costs_only_its_own_answer(driver: Script, query: str, missing: dict[str, object]) -> None:
    driver({**A, "refuses": [query]})
    (gpu,) = read_gpus()
    whole = {
        "index": 0, "uuid": "GPU-aa11", "name": "Big", "memory_total": 80 * GIB, "memory_used": 10 * GIB,
        "memory_free": 69 * GIB, "utilisation": 0.42, "processes": (),
    }  # fmt: skip
    assert gpu == Gpu(**{**whole, **missing})  # type: ignore[arg-type]


def test_memory_that_is_not_told(driver: Script) -> None:
    driver({**A, "refuses": ["nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMemoryInfo_v2"]})
    (gpu,) = read_gpus()
    assert (gpu.memory_total, gpu.memory_used, gpu.memory_free) == (None, None, None)


def test_a_lost_gpu_leaves_the_others_their_numbers(driver: Script) -> None:
    driver({**A, "refuses": ["nvmlDeviceGetHandleByIndex"]}, B)
    assert [(gpu.index, gpu.uuid) for gpu in read_gpus()] == [(1, "GPU-aa22")]


def test_no_driver(driver: Script) -> None:
    driver(A, there=False)
    assert read_gpus() == ()


@pytest.mark.parametrize(
    ("allowed", "seen"),
    [
        ("", []),
        ("1", ["GPU-aa22"]),
        ("2,0", ["GPU-aa11", "GPU-bb33"]),
        ("GPU-bb", ["GPU-bb33"]),
        ("gpu-AA22, 0", ["GPU-aa11", "GPU-aa22"]),
        ("GPU-aa", []),  # begins two
        ("0,-1,1", ["GPU-aa11"]),
        ("0,7,1", ["GPU-aa11"]),
        ("GPU-aa22,NoDevFiles", ["GPU-aa22"]),
    ],
)
def test_cuda_visible_devices(driver: Script, monkeypatch: pytest.MonkeyPatch, allowed: str, seen: list[str]) -> None:
    driver(A, B, C)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    assert uuids(read_gpus()) == seen


def test_mig_devices_stand_for_their_gpu(driver: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    driver({**A, "mig": [{"uuid": "MIG-1", "total": 20}, {"uuid": "MIG-2", "total": 40}]}, B)
    found = read_gpus()
    assert [(gpu.index, gpu.uuid) for gpu in found] == [(0, "MIG-1"), (0, "MIG-2"), (1, "GPU-aa22")]
    assert found[1].memory_total == 40 * GIB
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-2")
    assert uuids(read_gpus()) == ["MIG-2"]


def test_select_by_number_and_uuid(driver: Script) -> None:
    driver(A, B, C)
    found = read_gpus()
    assert uuids(select(found, [2, "GPU-aa11"], "gpus")) == ["GPU-aa11", "GPU-bb33"]
    assert uuids(select(found, ["1"], "--gpus")) == ["GPU-aa22"]
    with pytest.raises(ConfigError) as caught:
        select(found, [3, "GPU-aa", "GPU-aa12", 0, "GPU-aa11"], "gpus")
    there = "there are 0 (GPU-aa11, Big), 1 (GPU-aa22, Small), 2 (GPU-bb33, Small)"
    assert caught.value.problems == (
        f"gpus: no GPU 3 here; {there}",
        f'gpus: no GPU GPU-aa here (did you mean "GPU-aa22"?); {there}',
        f'gpus: no GPU GPU-aa12 here (did you mean "GPU-aa22"?); {there}',
        "gpus: GPU GPU-aa11 is there twice; gpu-share lets several runs share a GPU",
    )
    with pytest.raises(ConfigError, match=r"^--gpus: no GPU 0 here: NVML shows none; leave it out"):
        select((), [0], "--gpus")


def test_the_real_gpus() -> None:
    """On a machine that has some: what NVML says of them fits together."""
    found = read_gpus()
    if not found:
        pytest.skip("no NVIDIA driver, or no GPU within CUDA_VISIBLE_DEVICES, on this machine")
    assert [gpu.index for gpu in found] == sorted(gpu.index for gpu in found)
    assert len({gpu.uuid for gpu in found}) == len(found)
    for gpu in found:
        assert gpu.uuid.startswith(("GPU-", "MIG-"))
        assert select(found, [gpu.uuid], "test") == (gpu,)
        if gpu.memory_total is not None:
            assert gpu.memory_used is not None
            assert gpu.memory_free is not None
            assert 0 < gpu.memory_used + gpu.memory_free <= gpu.memory_total
        assert os.getpid() not in {process.pid for process in gpu.processes or ()}
