"""Rows that are worked out again and again: as if from nothing each time, but only what changed is."""

from evaluated import config, measured

from goe.core.results import Aggregation, aggregate


def test_each_time_as_if_from_nothing() -> None:
    runs = [config(name, seed) for name in ("goe", "oe") for seed in (1, 2, 3)]
    items = [measured(run, {"far": 0.5 + place / 20}) for place, run in enumerate(runs)]
    versions = [
        (items, runs),
        ([*items[:2], measured(runs[2], {"far": 0.1}), *items[3:]], runs),  # another result
        (items[1:], runs),  # one fewer
        (items, [*runs, config("goe", 4)]),  # a seed more is planned
        ([*items[:5], measured(runs[5], {"far": 0.75, "near": 0.5})], runs),  # the average is over two sets now
        (items[3:], runs[3:]),
        ([], []),
        (items, runs),
    ]
    again = Aggregation()
    for found, expected in versions:
        assert again.rows(found, expected) == aggregate(found, expected)


def test_what_hangs_on_unchanged_results_stays() -> None:
    runs = [config(name, seed) for name in ("goe", "oe") for seed in (1, 2)]
    items = [measured(run, {"far": 0.5}) for run in runs]
    again = Aggregation()
    before = again.rows(items, runs)
    after = again.rows([*items[:3], measured(runs[3], {"far": 0.75})], runs)
    kept = {id(row) for row in before} & {id(row) for row in after}
    assert {row.experiment for row in before if id(row) in kept} == {"goe"}
    assert [id(row) in kept for row in after] == [row.experiment == "goe" for row in after]
