"""A real Slurm for the tests marked `slurm`: brought up once, or all of them skipped with the reason."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from slurmlab import ACCOUNTS, PROGRAMS, Cluster, brought_up


@pytest.fixture(scope="session")
def slurm() -> Iterator[Path]:
    """One that is up for all tests, and keeps no accounts."""
    with brought_up(PROGRAMS) as folder:
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
    with brought_up(ACCOUNTS, ACCOUNTS="1") as slurm, lab_on(slurm, tmp_path) as lab:
        yield lab, slurm
