"""The queue on a machine with scripted GPUs, and what it tells people of. Training itself is on the CPU."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fake_nvml
import pytest
from lab import TINY, Lab, wait_until
from webserver import Behaviour, serving

from goe.core.rundir import RunDir
from goe.core.state import RunState

GPU: dict[str, Any] = {"uuid": "GPU-aa", "name": "Fake", "bus": 1, "total": 80, "used": 0}
OTHER: dict[str, Any] = {**GPU, "uuid": "GPU-bb", "bus": 2}


@pytest.fixture
def gpus(lab: Lab) -> Lab:
    """A lab with a driver; no GPU yet."""
    path = lab.folder / "gpus.json"
    lab.env |= fake_nvml.install(lab.folder / "driver", path)
    del lab.env["CUDA_VISIBLE_DEVICES"]
    fake_nvml.script(path, [])
    return lab


def show(lab: Lab, *gpus: Mapping[str, Any]) -> None:
    fake_nvml.script(lab.folder / "gpus.json", gpus)


def environment(run: RunDir) -> dict[str, str]:
    """What the live worker was started with."""
    launch = run.attempt()
    assert launch is not None
    worker = launch.launch().worker
    assert worker is not None
    text = Path(f"/proc/{worker.pid}/environ").read_text(encoding="utf-8")
    return dict(entry.partition("=")[::2] for entry in text.split("\0"))


def test_a_queue_shares_gpus_and_waits_for_other_people(gpus: Lab) -> None:
    long = TINY.replace("epochs = 1", "epochs = 1000")
    gpus.queue(f'{long}gpu-share = 0.5\ngpu-memory = 20\n[[experiment]]\nname = "x"\nseeds = [1, 2, 3]\n')
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as neighbour:
        theirs = {"used": 70, "processes": [{"pid": neighbour.pid, "memory": 70}]}
        show(gpus, GPU | theirs, OTHER)
        gpus.start("queue", "run")
        wait_until(lambda: [view.state for view in gpus.views()].count(RunState.RUNNING) == 2)
        running = [view for view in gpus.views() if view.state is RunState.RUNNING]
        launches = [view.launch for view in running if view.launch]
        assert [(one.gpus, one.gpu_uuids, one.gpu_share, one.gpu_memory) for one in launches] == [
            ((1,), ("GPU-bb",), 0.5, 20.0)
        ] * 2
        told = environment(running[0].run)
        assert (told["CUDA_VISIBLE_DEVICES"], told["CUDA_DEVICE_ORDER"]) == ("GPU-bb", "PCI_BUS_ID")
        assert told["OMP_NUM_THREADS"] == str(max(1, len(os.sched_getaffinity(0)) // 4))
        neighbour.communicate(b"\n", timeout=30)
    show(gpus, GPU, OTHER)
    wait_until(lambda: [view.state for view in gpus.views()].count(RunState.RUNNING) == 3)
    third = next(view.launch for view in gpus.views() if view.launch and view.run_id not in {v.run_id for v in running})
    assert third.gpu_uuids == ("GPU-aa",)


def test_a_job_that_fits_no_machine_is_reported_and_the_rest_goes_on(gpus: Lab) -> None:
    show(gpus, GPU)
    gpus.queue(f'{TINY}[[experiment]]\nname = "wide"\ngpu-count = 2\n[[experiment]]\nname = "one"\n')
    done = gpus.goe("queue", "run", "--gpus", "GPU-a")
    assert done.returncode == 1
    assert "not started: gpu-count: it needs 2 GPUs, and 1 may be used" in done.stderr
    assert {view.run_id[:4]: view.state for view in gpus.views()} == {"one-": RunState.DONE, "wide": RunState.QUEUED}


def test_status_tells_a_job_that_fits_no_machine_from_the_next(gpus: Lab) -> None:
    show(gpus, GPU)
    gpus.queue(f'{TINY}[[experiment]]\nname = "wide"\ngpu-count = 2\n[[experiment]]\nname = "one"\nhold = true\n')
    gpus.start("queue", "run", "--stay", "--gpus", "GPU-a")
    why = "not started: gpu-count: it needs 2 GPUs, and 1 may be used\n"
    wait_until(lambda: why in gpus.goe("queue", "status").stdout)
    (line,) = (line for line in gpus.goe("queue", "status").stdout.splitlines(True) if why in line)
    assert line.startswith("over       wide-s1-")


def test_unknown_gpus_are_refused_before_anything_starts(gpus: Lab) -> None:
    show(gpus, GPU)
    gpus.queue(f'{TINY}[[experiment]]\nname = "one"\n')
    done = gpus.goe("queue", "run", "--gpus", "0,GPU-zz")
    assert (done.returncode, done.stderr) == (
        2,
        'error: --gpus: no GPU GPU-zz here (did you mean "GPU-aa"?); there are 0 (GPU-aa, Fake)\n',
    )
    assert gpus.views() == []


def test_no_gpu_is_named_by_nothing(gpus: Lab) -> None:
    gpus.queue(f'{TINY}[[experiment]]\nname = "one"\n')
    for given in ("", "0,"):
        done = gpus.goe("queue", "service", "--gpus", given)
        assert (done.returncode, done.stdout) == (2, "")
        assert "names no GPU" in done.stderr
    assert " --gpus 0,2 " in gpus.goe("queue", "service", "--gpus", "0, 2").stdout


def test_one_run_takes_no_gpu_from_other_people_unless_told_to(gpus: Lab) -> None:
    show(gpus, {**GPU, "used": 70})
    options = ["train", "--method", "baseline", "--detach", "--epochs", "1"]
    refused = gpus.goe(*options)
    assert refused.returncode == 2
    assert "no GPU is free: GPU 0: 70.0 GiB used by programs that can't be seen from here; wait" in refused.stderr
    told = gpus.goe(*options, "--gpu-id", "0")
    assert told.returncode == 0, told.stderr
    assert "warning: --gpu-id 0 is in use: GPU 0: 70.0 GiB used by" in told.stderr
    launch = gpus.view().launch
    assert launch is not None
    assert (launch.gpus, launch.gpu_uuids, launch.threads) == ((0,), ("GPU-aa",), None)


def test_queue_notify_tests_every_target(lab: Lab) -> None:
    server = Behaviour(statuses=[200, 403])
    with serving(server) as address:
        notify = [address, address.replace("http://", "ntfy+http://me:pw@"), "sh -c 'cat >told'"]
        lab.queue(f'[queue]\nnotify = {json.dumps(notify)}\n{TINY}[[experiment]]\nname = "one"\n')
        listed = lab.goe("queue", "notify")
        assert server.posts == []
        tested = lab.goe("queue", "notify", "--test")
    assert listed.stdout == (
        "webhook 127.0.0.1  done, failed, empty\nntfy 127.0.0.1     done, failed, empty\n"
        "command sh         done, failed, empty\n"
    )
    assert tested.returncode == 1
    assert tested.stdout == (
        "webhook 127.0.0.1  told      HTTP 200\nntfy 127.0.0.1     NOT told  HTTP 403 Forbidden\n"
        "command sh         told      exit code 0\n"
    )
    told = "goe: a test\nexperiments.toml tells you of: done, failed, empty.\n"
    assert (lab.folder / "told").read_text(encoding="utf-8") == told
    assert json.loads(server.posts[0].body)["event"] == "test"


def test_queue_notify_without_targets(lab: Lab) -> None:
    lab.queue('[[experiment]]\nname = "one"\n')
    done = lab.goe("queue", "notify", "--test")
    assert done.returncode == 2
    assert "experiments.toml: nobody to tell; add notify = " in done.stderr
