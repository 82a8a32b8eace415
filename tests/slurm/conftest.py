"""A real Slurm for the tests marked `slurm`: brought up once, or all of them skipped with the reason."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.lab import Lab

SCRIPT = Path(__file__).with_name("cluster.sh")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")


def obstacle() -> str:
    """Why there can be no Slurm here; empty if there can."""
    if os.getuid() != 0:
        return "a private Slurm needs root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing and os.environ.get("CI") == "true" and shutil.which("apt-get"):
        done = subprocess.run([SCRIPT, "install"], capture_output=True, text=True, timeout=200)
        if done.returncode:
            return f"Slurm can't be installed: {(done.stderr.strip() or 'no reason given').splitlines()[-1]}"
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return (
            f"{', '.join(missing)}: not installed; `tests/slurm/cluster.sh install` does, and so do tests with CI=true"
        )
    return ""


@pytest.fixture(scope="session")
def slurm() -> Iterator[Path]:
    """The folder of a Slurm that is up. Not under pytest's own: its sockets' paths have to be short."""
    reason = obstacle()
    if reason:
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="goe-slurm-"))
    port = str(20000 + os.getpid() % 20000)
    environment = {**os.environ, "PORT": port}
    try:
        folder.chmod(0o755)
        done = subprocess.run([SCRIPT, "up", folder], capture_output=True, text=True, timeout=60, env=environment)
        if done.returncode:
            pytest.skip(f"Slurm does not come up here: {done.stderr.strip()[-2000:]}")
        os.environ["SLURM_CONF"] = f"{folder}/etc/slurm.conf"
        yield folder
    finally:
        os.environ.pop("SLURM_CONF", None)
        subprocess.run([SCRIPT, "down", folder], capture_output=True, timeout=60, env=environment)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def lab(tmp_path: Path, slurm: Path) -> Iterator[Lab]:
    """A folder with the real `goe` in it, and that Slurm."""
    found = Lab(tmp_path)
    found.env["SLURM_CONF"] = f"{slurm}/etc/slurm.conf"
    try:
        yield found
    finally:
        subprocess.run(["scancel", f"--user={os.getuid()}"], capture_output=True, timeout=30)
        found.close()
