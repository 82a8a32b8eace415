"""What the list of runs says of several at once: the order of folded seeds, and when the queue will be done."""

import time

import pytest
from runfolder import Lab

from goe.core.overview import view_runs
from goe.core.runquery import EVERYTHING
from goe.core.state import RunState
from tui.runlist import Look, lines, shown_runs
from tui.widgets.runcells import queue_eta


@pytest.mark.parametrize("descending", [False, True])
def test_folds_stand_in_the_order_of_the_means_they_show(lab: Lab, descending: bool) -> None:
    reached = {"uneven": (0.90, 0.10), "even": (0.60, 0.65), "best": (0.70, 0.95)}
    for name, values in reached.items():
        for seed, value in enumerate(values):
            lab.running(name, seed, val__accuracy=value)
    lab.queued("nothing", 1)
    lab.queued("nothing", 2)
    look = Look(sort="acc", descending=descending, folded=True)
    shown = shown_runs(view_runs(lab.runs), look, EVERYTHING, ())
    by_mean = ["uneven", "even", "best"]  # 0.5, 0.625, 0.825
    assert [line.experiment for line in lines(shown, look)] == [*by_mean[:: -1 if descending else 1], "nothing"]


def test_a_run_that_begins_lasts_as_long_as_its_kind_and_held_ones_are_not_waited_for(lab: Lab) -> None:
    lab.done("a", 1)  # took 90 s
    lab.started("a", 2)  # 60 s ago, and no word of it yet
    lab.queued("a", 3)
    lab.queued("a", 4).held_file.touch()
    views = view_runs(lab.runs)
    assert sorted(view.state for view in views) == [RunState.DONE, RunState.QUEUED, RunState.QUEUED, RunState.STARTING]
    assert queue_eta(views, time.time()) == pytest.approx(30 + 90, abs=2)
