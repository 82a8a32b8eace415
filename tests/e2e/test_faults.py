"""The fault campaign of benchmarks/faults.py, small."""

import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parents[2] / "benchmarks/faults.py"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="it looks for processes in /proc")
def test_random_kills_lose_nothing_and_falsify_nothing() -> None:
    done = subprocess.run(
        [sys.executable, CAMPAIGN, "--jobs", "2", "--kills", "6", "--seed", "3"],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 jobs done; 0 faults\n" in done.stdout
    assert "\n6 kills: " in done.stdout
