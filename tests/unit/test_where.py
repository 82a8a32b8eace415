"""Which results a table is made of, and words that choose a layout."""

import pytest
from evaluated import config, measured

from goe.core.errors import ConfigError
from goe.core.layout import Layout, check_sets, parse_layout
from goe.core.results import aggregate
from goe.core.where import Where, parse_where, refuse_mixed_protocols

ITEMS = [
    measured(config("base", method="baseline"), {"far": 0.5}),
    measured(config("goe-k0"), {"far": 0.6}),
    measured(config("goe-k6", model="resnet-18"), {"far": 0.7}, score="energy"),
    measured(config("on-cifar", dataset="cifar10", method="oe"), {"svhn": 0.8}, protocol="scood", checkpoint="last"),
]


def chosen(*conditions: str) -> list[str]:
    return [item.config.experiment for item in parse_where(conditions).choose(ITEMS)]


def test_conditions_of_one_key_are_alternatives_and_of_several_keys_go_together() -> None:
    assert chosen() == ["base", "goe-k0", "goe-k6", "on-cifar"]
    assert chosen("experiment=goe-*") == ["goe-k0", "goe-k6"]
    assert chosen("experiment=goe-k[0-5]", "experiment=base") == ["base", "goe-k0"]
    assert chosen("experiment=goe-*", "score=energy") == ["goe-k6"]
    assert chosen("method=goe") == ["goe-k0", "goe-k6"]
    assert chosen("dataset=cifar10") == chosen("protocol=scood") == chosen("checkpoint=last") == ["on-cifar"]
    assert chosen("model=res18") == chosen("model=resnet-18") == ["goe-k6"]  # the authors' spelling too


def test_conditions_that_exclude_each_other_leave_nothing() -> None:
    assert chosen("dataset=cifar10", "score=energy") == []


def test_runs_without_results_are_chosen_by_what_is_known_of_them() -> None:
    runs = [item.config for item in ITEMS]
    where = parse_where(["method=goe", "score=energy"])
    assert [run.experiment for run in where.choose_runs(runs)] == ["goe-k0", "goe-k6"]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("metod=goe", '--where: unknown key "metod" (did you mean "method"?); known: experiment, method, model, '),
        ("goe", '--where: "goe" is not KEY=VALUE, for example --where method=goe'),
        ("method=", '--where: "method=" is not KEY=VALUE'),
        ("method=geo", '--where: no result has method "geo" (did you mean "goe"?); there are: baseline, goe, oe'),
        ("score=msp*x", '--where: no result has score "msp*x" (did you mean "msp"?); there are: msp, energy'),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(condition: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_where([condition]).choose(ITEMS)
    assert str(refused.value).startswith(message)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_where(["a=b", "c"])
    assert len(refused.value.problems) == 2


def test_nothing_measured_is_no_ones_mistake() -> None:
    assert parse_where(["method=goe"]).choose([]) == []


def test_protocols_of_one_data_set_do_not_mix() -> None:
    run = config("a", dataset="cifar10")
    other = measured(config("b", dataset="cifar100"), {"svhn": 0.5}, protocol="openood")
    one = measured(run, {"svhn": 0.5}, protocol="scood")
    refuse_mixed_protocols([one, other])  # each its own data set
    with pytest.raises(ConfigError) as refused:
        refuse_mixed_protocols([one, other, measured(run, {"svhn": 0.5}, protocol="goe2024")])
    assert str(refused.value) == (
        "cifar10: results of 2 protocols, scood, goe2024, which don't compare; "
        "choose one with --where protocol=NAME, or print a block for each with --mixed"
    )


def test_a_layout_from_words() -> None:
    assert parse_layout() == Layout()
    layout = parse_layout(rows="dataset, model,method", columns="sets", metrics="ece,auroc", sets="svhn,average")
    assert (layout.rows, layout.separate) == (("dataset", "model", "method"), ("score", "protocol", "checkpoint"))
    assert (layout.columns, layout.metrics, layout.sets) == ("sets", ("ece", "auroc"), ("svhn", "average"))
    assert parse_layout(metrics="all").metrics == ()
    assert (layout.conventions.positive, layout.conventions.ties) == ("id", "mid-rank")


def test_unknown_words_of_a_layout_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_layout(rows="metod", columns="set", metrics="auroc,arc", positive="odd", ties="mid")
    told = "\n".join(refused.value.problems)
    assert len(refused.value.problems) == 5
    assert '--rows: "metod" is unknown (did you mean "method"?); known: experiment, method, model, ' in told
    assert '--metrics: "arc" is unknown (did you mean "aurc"?); known: accuracy, ' in told
    assert '--positive: "odd" is unknown (did you mean "ood"?); known: id, ood' in told
    assert '--columns: "set" is unknown (did you mean "sets"?)' in told
    assert '--ties: "mid" is unknown' in told


def test_unknown_test_sets_are_known_once_there_are_results() -> None:
    rows = aggregate(ITEMS, [])
    check_sets(parse_layout(sets="far,svhn,average"), rows)
    with pytest.raises(
        ConfigError, match=r'--sets: "svnh" is unknown \(did you mean "svhn"\?\); known: far, svhn, average'
    ):
        check_sets(parse_layout(sets="svnh"), rows)


def test_no_condition_fits_all() -> None:
    assert Where().fits("method", "anything")
