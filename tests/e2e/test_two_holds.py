"""Runs held twice, in the queue file and by hand: whoever lets go of the one is told of the other."""

from lab import Lab
from test_queue_live import HEAD, A

SWEPT = '[[experiment]]\nname = "sw"\nsweep = { lr = [0.1, 0.2] }\n'


def made(lab: Lab) -> list[str]:
    """Run ids of the file's runs, which wait, after one turn of a queue that starts none."""
    lab.queue(f"[queue]\nmin-free = 0\n{HEAD}hold = true\n{A}{SWEPT}")
    assert lab.goe("queue", "run").returncode == 1
    return sorted(view.run_id for view in lab.views())


def test_each_hold_is_named_by_who_lets_go_of_the_other(lab: Lab) -> None:
    a, first, _ = made(lab)
    still = "; but experiments.toml holds it: `goe queue release {}` lets it start\n"
    retried = lab.goe("retry", a, first)
    assert f"{a}: may be started again, its retries counted anew{still.format('a')}" in retried.stderr
    assert f"{first}: may be started again, its retries counted anew{still.format('sw')}" in retried.stderr
    assert lab.goe("cancel", a, first).returncode == 0
    resumed = lab.goe("resume", first)
    assert resumed.stderr == f"{first}: released{still.format('sw')}"
    by_hand = f"{a}: held by hand: `goe resume {a}` or `goe retry {a}` lets it go\n"
    released = lab.goe("queue", "release", "a", "sw")
    assert released.returncode == 0
    assert released.stderr == by_hand
    again = lab.goe("queue", "release", "a")
    assert again.stderr == f"experiments.toml: so it is already; nothing changed\n{by_hand}"
    assert lab.goe("resume", a).stderr == f"{a}: released\n"
    assert lab.goe("queue", "release", "a").stderr == "experiments.toml: so it is already; nothing changed\n"


def test_without_a_readable_file_nothing_is_said_of_it(lab: Lab) -> None:
    a, *_ = made(lab)
    lab.queue("nonsense")
    assert lab.goe("retry", a).stderr.startswith(f"{a}: may be started again, its retries counted anew\n")
