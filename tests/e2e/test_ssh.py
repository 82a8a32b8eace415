"""Training outlives the SSH session it was started in: a real sshd on the loopback."""

import os
import signal
import subprocess

import pytest
from lab import GOE, TINY_OPTIONS, Lab, wait_until, worker_pid
from sshd import Server, typed

from goe.core.overview import RunView
from goe.core.process import identify
from goe.core.state import RunState

TRAIN = [str(GOE), "train", "--method", "baseline", "--epochs", "1", *TINY_OPTIONS]


@pytest.mark.parametrize("end", ["dropped", "logout"])
def test_training_outlives_its_session(lab: Lab, server: Server, end: str) -> None:
    remote = [typed(lab, TRAIN)] if end == "dropped" else []
    pipe = subprocess.PIPE
    with subprocess.Popen(server.client(*remote), stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT) as client:
        try:
            view = begin(lab, client, "" if remote else typed(lab, TRAIN, " &"))
            front = identify(int((lab.folder / "front").read_text()))
            assert front is not None
            if end == "dropped":
                client.kill()
                wait_until(lambda: identify(front.pid) != front)  # the terminal is gone, and what ran in it
            else:
                client.communicate(b"exit\n", timeout=60)
        finally:
            client.kill()
    worker = worker_pid(lab.view())
    assert worker == worker_pid(view)
    os.kill(worker, signal.SIGCONT)
    done = lab.wait_for_end()
    assert done.exit is not None
    assert (done.state, done.attempt, done.exit.code, done.exit.cause) == (RunState.DONE, 1, 0, "")


def begin(lab: Lab, client: "subprocess.Popen[bytes]", line: str) -> RunView:
    """Type `line`, if any, and halt the worker once it is at work."""
    assert client.stdin is not None
    if line:
        client.stdin.write(f"{line}\n".encode())
        client.stdin.flush()
    view = lab.wait_for_start()
    os.kill(worker_pid(view), signal.SIGSTOP)
    return view
