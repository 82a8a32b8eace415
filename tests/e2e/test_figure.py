"""`goe figure`: of finished runs as file and as text; the spiral's runs, and where each method's confidence lies."""

import subprocess
import sys
from pathlib import Path

import pytest
from lab import Lab

from goe.core.rundir import find_runs
from goe.figures.spiral import read_summary


@pytest.mark.timeout(900)  # four whole trainings, half a minute each on an idle core
def test_the_spiral_figure(lab: Lab) -> None:
    # The bands for one seed; docs/results.md, "Two spirals", has the means of three, which hold to them too.
    done = lab.goe("figure", "spiral", "--out", "figure.svg", "--terminal", timeout=800)
    assert done.returncode == 0, done.stderr
    assert "4 runs: 4 done" in done.stderr
    assert all(f">{title}</text>" in (lab.folder / "figure.svg").read_text() for title in ("Baseline", "OE+filter"))
    assert done.stdout.count("confidence 0.5") == 1
    assert "AUROC far %" in done.stdout

    found = {run.config().experiment: read_summary(run) for run in find_runs(lab.runs)}
    baseline, oe, filtered, goe = (found[name] for name in ("Baseline", "OE", "OE+filter", "G-OE"))
    assert all(summary.accuracy > 0.99 for summary in found.values())
    assert baseline.far > 0.95
    assert max(oe.far, filtered.far, goe.far) < 0.55
    assert filtered.on_id > oe.on_id
    assert goe.gaps < min(baseline.gaps, oe.gaps, filtered.gaps)

    again = lab.goe("figure", "spiral")
    assert again.returncode == 0, again.stderr
    assert (lab.folder / "spiral.png").read_bytes().startswith(b"\x89PNG")
    assert "started" not in again.stderr


def test_nothing_is_trained_for_a_figure_that_cannot_be_drawn(lab: Lab) -> None:
    done = lab.goe("figure", "spiral", "--out", "figure.gif")
    assert done.returncode == 2
    assert done.stderr == "error: figure.gif: can't draw .gif; use .png, .svg, .pdf\n"
    assert not lab.runs.exists()


@pytest.mark.parametrize("figure", ["roc", "hist", "risk-coverage", "reliability", "training"])
def test_a_figure_of_finished_runs(figure: str, finished: Lab, tmp_path: Path) -> None:
    out = tmp_path / "figure.svg"
    done = finished.goe("figure", figure, "base", "--out", str(out), "--terminal")
    assert (done.returncode, done.stderr) == (0, f"{out}: drawn\n")
    heading, *rows = done.stdout.splitlines()
    assert f">{heading.rstrip()}</text>" in out.read_text()
    assert any("┤" in row for row in rows)
    assert "\x1b" not in done.stdout


WITHOUT = """
import sys
sys.modules["matplotlib"] = sys.modules["torch"] = None  # as if they were not installed
sys.argv = ["goe", *sys.argv[1:]]
from cli import main
main()
"""


def test_the_terminal_needs_neither_matplotlib_nor_torch(finished: Lab) -> None:
    for figure in ("roc", "hist", "risk-coverage", "reliability", "training"):
        done = subprocess.run(
            [sys.executable, "-P", "-c", WITHOUT, "figure", figure, "base-s1", "--terminal"],
            cwd=finished.folder,
            env={**finished.env, "COLUMNS": "80"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_figure_of_what_is_not_there(finished: Lab) -> None:
    done = finished.goe("figure", "filter", "base", "--terminal")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: base: nothing recorded of a filter;")
    done = finished.goe("figure", "roc", "bse", "--terminal")
    assert done.returncode == 2
    assert 'error: bse: no such run or experiment in runs (did you mean "base"?)' in done.stderr
    done = finished.goe("figure", "reliability", "base", "--score", "energy", "--terminal")
    assert done.returncode == 2
    assert "no result of checkpoint best, score energy; there is only best-msp-digits" in done.stderr
