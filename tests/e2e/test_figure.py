"""`goe figure spiral`: ordinary runs, the figure, and the bands in which each method's confidence must lie."""

import pytest
from lab import Lab

from goe.core.rundir import find_runs
from goe.figures.spiral import read_summary


@pytest.mark.timeout(900)  # four whole trainings, half a minute each on an idle core
def test_the_spiral_figure(lab: Lab) -> None:
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
