"""A real Slurm for the tests marked `slurm`: brought up once, or all of them skipped with the reason."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from slurmlab import SCRIPT, Cluster

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
ACCOUNTS = (*PROGRAMS, "slurmdbd", "mariadbd")


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
def brought_up(programs: tuple[str, ...], port: int, **env: str) -> Iterator[Path]:
    """The folder of a Slurm. Not under pytest's own: its sockets' paths have to be short."""
    reason = obstacle(programs, **env)
    if reason:
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="goe-slurm-"))
    environment = {**os.environ, **env, "PORT": str(port)}
    before = os.environ.get("SLURM_CONF")
    try:
        folder.chmod(0o755)
        done = subprocess.run([SCRIPT, "up", folder], capture_output=True, text=True, timeout=60, env=environment)
        if done.returncode:
            pytest.skip(f"Slurm does not come up here: {done.stderr.strip()[-2000:]}")
        os.environ["SLURM_CONF"] = f"{folder}/etc/slurm.conf"
        yield folder
    finally:
        os.environ.pop("SLURM_CONF", None)
        if before is not None:
            os.environ["SLURM_CONF"] = before
        subprocess.run([SCRIPT, "down", folder], capture_output=True, timeout=60, env=environment)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def slurm() -> Iterator[Path]:
    """One that is up for all tests, and keeps no accounts."""
    with brought_up(PROGRAMS, 20000 + os.getpid() % 20000) as folder:
        yield folder


@contextmanager
def lab_on(slurm: Path, folder: Path) -> Iterator[Cluster]:
    found = Cluster(folder)
    found.env["SLURM_CONF"] = f"{slurm}/etc/slurm.conf"
    try:
        yield found
    finally:
        subprocess.run(["scancel", f"--user={os.getuid()}"], capture_output=True, timeout=30)
        found.close()


@pytest.fixture
def lab(tmp_path: Path, slurm: Path) -> Iterator[Cluster]:
    """A folder with the real `goe` in it, and that Slurm."""
    with lab_on(slurm, tmp_path) as found:
        yield found


@pytest.fixture
def accounted(tmp_path: Path) -> Iterator[tuple[Cluster, Path]]:
    """The same on a Slurm that keeps accounts, and its folder."""
    with (
        brought_up(ACCOUNTS, 20000 + (os.getpid() + 200) % 20000, ACCOUNTS="1") as slurm,
        lab_on(slurm, tmp_path) as lab,
    ):
        yield lab, slurm
