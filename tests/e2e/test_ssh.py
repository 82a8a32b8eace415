"""Training outlives the SSH session it was started in: a real sshd on the loopback."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lab import GOE, TINY_OPTIONS, Lab, wait_until, worker_pid

from goe.core.overview import RunView
from goe.core.process import identify
from goe.core.state import RunState

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
SSH, KEYGEN = shutil.which("ssh"), shutil.which("ssh-keygen")
TRAIN = [str(GOE), "train", "--method", "baseline", "--epochs", "1", *TINY_OPTIONS]


@dataclass
class Server:
    """An sshd for this user alone, and how to log in there."""

    folder: Path
    port: int

    def client(self, *command: str) -> list[str]:
        """The command line of an ssh client with a terminal."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"]
        flags = [word for option in options for word in ("-o", option)]
        place = ["-i", str(self.folder / "user"), "-p", str(self.port), "127.0.0.1"]
        return [str(SSH), "-F", "/dev/null", *flags, "-tt", *place, *command]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    if SSHD is None or SSH is None or KEYGEN is None:
        pytest.skip("sshd, ssh or ssh-keygen is not installed")
    for name in ("host", "user"):
        subprocess.run([KEYGEN, "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "user.pub",
        "PidFile": "none",
        "ListenAddress": "127.0.0.1",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
    }
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    flags = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    with (tmp_path / "sshd.log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", "/dev/null", "-p", str(port), *flags], stderr=log)
    try:
        found = Server(tmp_path, port)
        wait_until(lambda: process.poll() is not None or "listening" in (tmp_path / "sshd.log").read_text(), 30)
        tried = subprocess.run(found.client("true"), stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        if tried.returncode != 0:
            pytest.skip(f"no login over the loopback: {(tmp_path / 'sshd.log').read_text().strip().splitlines()[-1:]}")
        yield found
    finally:
        process.kill()
        process.wait(30)


def typed(lab: Lab, command: list[str], background: str = "") -> str:
    """A line for a remote shell: `command` in the lab's folder and environment; its pid goes to the file `front`."""
    kept = {
        key: lab.env[key] for key in ("PATH", "PYTHONPATH", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES") if key in lab.env
    }
    words = ["env", *(f"{key}={value}" for key, value in kept.items()), *command]
    inner = f"cd {shlex.quote(str(lab.folder))} && echo $$ > front && exec {shlex.join(words)}"
    return f"sh -c {shlex.quote(inner)}{background}"


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
