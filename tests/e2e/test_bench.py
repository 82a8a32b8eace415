"""`goe bench` on the real machine, small."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec


def test_one_part_is_measured_and_kept(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "bench", "metrics", "--quick", "--out", tmp_path / "found.json"],
        capture_output=True,
        text=True,
        timeout=280,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "=== 1 of 1: metrics ===" in done.stdout
    (record,) = msgspec.json.decode((tmp_path / "found.json").read_bytes())["records"]
    assert (record["script"], record["quick"], record["rounds"]) == ("metrics", True, 2)
    tables = {part["title"]: part for part in record["parts"]}
    table = tables["All metrics of 10,000 ID and 26,032 OOD scores, CPU time"]
    assert [(row["name"], len(row["values"])) for row in table["rows"]][:2] == [("plain", 2), ("plain, no F1", 2)]


def test_an_unknown_part_is_told() -> None:
    done = subprocess.run([sys.executable, "-m", "cli", "bench", "steps"], capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert done.stderr.startswith('error: "steps" is no benchmark (did you mean "step"?); known: ')
    assert "Traceback" not in done.stderr
