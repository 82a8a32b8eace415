"""An ssh server on the loopback, and what is typed into its sessions."""

import contextlib
import os
import shlex
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lab import Lab, wait_until
from packages import programs


@dataclass
class Server:
    """An sshd for this user alone, and how to log in there."""

    folder: Path
    port: int
    ssh: str

    def client(self, *command: str) -> list[str]:
        """The command line of an ssh client with a terminal."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"]
        flags = [word for option in options for word in ("-o", option)]
        place = ["-i", str(self.folder / "user"), "-p", str(self.port), "127.0.0.1"]
        return [self.ssh, "-F", "/dev/null", *flags, "-tt", *place, *command]


@contextlib.contextmanager
def sshd(folder: Path) -> Iterator[Server]:
    """One at work, its files in `folder`; skips the test where none can be had."""
    found, reason = programs(("sshd", "ssh", "ssh-keygen"), ("openssh-server", "openssh-client"))
    if reason:
        pytest.skip(reason)
    server, client, keygen = found
    for name in ("host", "user"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "user.pub",
        "PidFile": "none",
        "ListenAddress": "127.0.0.1",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
    }
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    flags = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen([server, "-D", "-e", "-f", "/dev/null", "-p", str(port), *flags], stderr=log)
    try:
        there = Server(folder, port, client)
        wait_until(lambda: process.poll() is not None or "listening" in (folder / "sshd.log").read_text(), 30)
        tried = subprocess.run(there.client("true"), stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        if tried.returncode != 0:
            pytest.skip(f"no login over the loopback: {(folder / 'sshd.log').read_text().strip().splitlines()[-1:]}")
        yield there
    finally:
        process.kill()
        process.wait(30)


def typed(lab: Lab, command: list[str], background: str = "") -> str:
    """A line for a remote shell: `command` in the lab's folder and environment; its pid goes to the file `front`."""
    names = ("PATH", "PYTHONPATH", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "XDG_STATE_HOME")
    kept = {name: lab.env[name] for name in names if name in lab.env}
    words = ["env", *(f"{key}={value}" for key, value in kept.items()), *command]
    inner = f"cd {shlex.quote(str(lab.folder))} && echo $$ > front && exec {shlex.join(words)}"
    return f"sh -c {shlex.quote(inner)}{background}"
