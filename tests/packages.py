"""Programs that some tests need, installed where nobody minds: by root with CI=true, on Debian and its kin."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

ENV = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
APT = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def programs(names: tuple[str, ...], packages: tuple[str, ...]) -> tuple[list[str], str]:
    """Where the programs are; or why one of them is not, which is what a test is skipped for."""
    if _missing(names) and os.environ.get("CI") == "true" and os.getuid() == 0 and shutil.which("apt-get"):
        with (Path(tempfile.gettempdir()) / "goe-packages.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # test processes come at the same time
            if _missing(names):
                subprocess.run(["apt-get", "update", "-qq"], env=ENV, capture_output=True, timeout=200, check=False)
                done = subprocess.run([*APT, *packages], env=ENV, capture_output=True, text=True, timeout=200)
                if done.returncode:
                    return [], f"{', '.join(packages)} can't be installed: {done.stderr.strip().splitlines()[-1:]}"
    missing = _missing(names)
    if missing:
        return [], f"{', '.join(missing)}: not installed; tests with CI=true install {', '.join(packages)}"
    return [str(shutil.which(name, path=PATH)) for name in names], ""


def _missing(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if shutil.which(name, path=PATH) is None]
