"""One queue at a time on a folder of runs: a second one refuses, whoever is first."""

import fake_nvml
import pytest
from lab import Lab, wait_until
from test_queue_live import HEAD, A, B, Queue, reaches, view

from goe.core.state import RunState
from goe.launch.detached import queue_mark

GPU = {"uuid": "GPU-aa", "name": "Fake", "bus": 1, "total": 80, "used": 0}


def test_a_second_queue_refuses_until_the_first_is_gone(lab: Lab) -> None:
    lab.queue(f"{HEAD}{A}hold = true\n")
    queue = Queue(lab, "exec true", "--stay")
    wait_until(lambda: queue_mark(lab.runs) is not None)
    lab.queue(f"{HEAD}{A}hold = true\n{B}hold = true\n")
    refused = lab.goe("queue", "run")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"a queue works here already: process {queue.process.pid} on " in refused.stderr
    assert refused.stderr.endswith("`goe queue status` says what it does, `goe queue stop` ends it\n")
    queue.process.kill()
    queue.ends()
    assert lab.goe("queue", "run").returncode == 1, "held: not every run is done"


def test_one_stop_ends_every_queue(lab: Lab) -> None:
    lab.queue(f"{HEAD}{A}hold = true\n")
    queues = [lab.start("queue", "run", "--stay") for _ in range(2)]
    wait_until(lambda: any(queue.poll() is not None for queue in queues))
    refused, works = sorted(queues, key=lambda queue: queue.returncode is None)
    wait_until(lambda: queue_mark(lab.runs) is not None)
    assert refused.returncode == 2
    assert "a queue works here already" in lab.said(queues.index(refused))
    assert lab.goe("queue", "stop").returncode == 0
    assert works.wait(60) == 130
    assert queue_mark(lab.runs) is None


def test_a_service_is_tried_again_while_another_queue_works(lab: Lab) -> None:
    lab.queue(f"{HEAD}{A}hold = true\n")
    first = Queue(lab, "exec true", "--stay")
    wait_until(lambda: queue_mark(lab.runs) is not None)
    (command,) = (line for line in lab.goe("queue", "service").stdout.splitlines() if line.startswith("ExecStart="))
    assert command.endswith(" --stay --not-again --alone")
    options = ("--stay", "--not-again", "--alone")
    service = Queue(lab, "exec true", *options)
    assert service.ends() == 2, "a failure, after which systemd tries again"
    assert f"a queue works here already: process {first.process.pid} on " in service.said()
    first.process.terminate()
    first.ends()
    lab.queue(HEAD + A)
    Queue(lab, "exec true", *options)
    assert reaches(lab, "a", RunState.DONE).attempt == 1


@pytest.mark.parametrize("command", ["start", "run"])
@pytest.mark.parametrize("place", ["option", "file"])
def test_a_gpu_that_is_not_there_is_its_users_mistake(lab: Lab, command: str, place: str) -> None:
    path = lab.folder / "gpus.json"
    lab.env |= fake_nvml.install(lab.folder / "driver", path)
    fake_nvml.script(path, [GPU])
    del lab.env["CUDA_VISIBLE_DEVICES"]
    named = "[queue]\ngpus = [9]\n" if place == "file" else ""
    lab.queue(named + HEAD + A)
    done = lab.goe("queue", command, *(["--gpus", "9"] if place == "option" else []))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {'--gpus' if place == 'option' else 'gpus'}: ")
    assert "9" in line
    assert view(lab, "a") is None
    assert queue_mark(lab.runs) is None


def test_status_says_what_fits_no_gpu_also_when_no_queue_works(lab: Lab) -> None:
    path = lab.folder / "gpus.json"
    lab.env |= fake_nvml.install(lab.folder / "driver", path)
    fake_nvml.script(path, [GPU])
    del lab.env["CUDA_VISIBLE_DEVICES"]
    lab.queue(f"{HEAD}{A}gpu-count = 2\n{B}after = ['a']\n[[experiment]]\nname = \"c\"\n")
    lines = lab.goe("queue", "status").stdout.splitlines()
    (over, chained), (next_,) = ([line for line in lines if line.startswith(word)] for word in ("over ", "next "))
    assert "  a-s1-" in over
    assert over.endswith(": not started: gpu-count: it needs 2 GPUs, and 1 may be used")
    assert "  b-s1-" in chained
    assert ": not started: it comes after a-s1-" in chained
    assert "  c-s1-" in next_
