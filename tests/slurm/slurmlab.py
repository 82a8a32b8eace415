"""A real Slurm that is brought up for tests, and a folder with the real `goe` on it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e.lab import Lab

SCRIPT = Path(__file__).with_name("cluster.sh")
QUICK = Path(__file__).with_name("quick.py")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
ACCOUNTS = (*PROGRAMS, "slurmdbd", "mariadbd")
PORTS = 200
"""From one cluster's first port to another's: each has 111."""
_PLACES = 60  # below 32,000: from there on the kernel gives ports to whoever asks


class Cluster(Lab):
    """A lab on a Slurm."""

    def quick(self, *args: str, worker: str = "") -> "subprocess.Popen[str]":
        """Start `goe` as quick.py does."""
        return self.start(str(QUICK), str(self.folder), worker, *args, program=sys.executable)

    def begun(self) -> int:
        """How many runs have an attempt that goes on."""
        return sum(view.launch is not None and view.exit is None for view in self.views())


def first_port(environment: Mapping[str, str], session: int, *, accounts: bool) -> int:
    """The first port of a cluster: another for each worker of pytest-xdist, and most likely for another session."""
    worker = int(environment.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return 20000 + PORTS * ((session + 2 * worker + accounts) % _PLACES)


def obstacle(programs: tuple[str, ...], **env: str) -> str:
    """Why there can be no Slurm here; empty if there can."""
    if os.getuid() != 0:
        return "a private Slurm needs root"
    missing = [name for name in programs if shutil.which(name) is None]
    if missing and os.environ.get("CI") == "true" and shutil.which("apt-get"):
        environment = {**os.environ, **env}
        done = subprocess.run([SCRIPT, "install"], capture_output=True, text=True, timeout=250, env=environment)
        if done.returncode:
            return f"Slurm can't be installed: {(done.stderr.strip() or 'no reason given').splitlines()[-1]}"
        missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        return (
            f"{', '.join(missing)}: not installed; `tests/slurm/cluster.sh install` does, and so do tests with CI=true"
        )
    return ""


@contextmanager
def brought_up(programs: tuple[str, ...], **env: str) -> Iterator[Path]:
    """The folder of a Slurm. Not under pytest's own: its sockets' paths have to be short.

    One that is installed and does not come up fails with CI=true, where else nobody would ever see it.
    """
    reason = obstacle(programs, **env)
    if reason:
        pytest.skip(reason)
    session = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    port = first_port(os.environ, session, accounts=programs == ACCOUNTS)
    folder = Path(tempfile.mkdtemp(prefix="goe-slurm-"))
    environment = {**os.environ, **env, "PORT": str(port)}
    before = os.environ.get("SLURM_CONF")
    try:
        folder.chmod(0o755)
        done = subprocess.run([SCRIPT, "up", folder], capture_output=True, text=True, timeout=60, env=environment)
        if done.returncode:
            end = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            end(f"Slurm does not come up here: {done.stderr.strip()[-2000:]}")
        os.environ["SLURM_CONF"] = f"{folder}/etc/slurm.conf"
        yield folder
    finally:
        os.environ.pop("SLURM_CONF", None)
        if before is not None:
            os.environ["SLURM_CONF"] = before
        subprocess.run([SCRIPT, "down", folder], capture_output=True, timeout=60, env=environment)
        shutil.rmtree(folder, ignore_errors=True)
