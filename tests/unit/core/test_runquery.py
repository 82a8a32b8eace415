"""Filters and orders of runs: against plain comparisons, for any values, and every mistake with its place."""

import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goe.core.config import RunConfig
from goe.core.errors import ConfigError
from goe.core.overview import RunView
from goe.core.queuefile import parse_queue
from goe.core.records import Status
from goe.core.rundir import RunDir
from goe.core.runfields import FIELDS, config_keys, field, metric_names, sort_views
from goe.core.runfolds import fold, mean
from goe.core.runquery import number_of, parse_query, understand
from goe.core.state import RunState

METRICS = ("val/accuracy", "val/loss", "loss")
values = st.none() | st.floats(0, 1, allow_nan=False) | st.just(math.nan)


def config(name: str = "a", seed: int = 1, method: str = "goe") -> RunConfig:
    text = f'[[experiment]]\nname = "{name}"\nseeds = [{seed}]\nmethod = "{method}"\nepochs = 10\nlr = 0.05\n'
    return parse_queue(text, Path("x.toml")).runs[0]


CONFIGS = {method: config(f"{method}-x", 1, method) for method in ("goe", "oe", "baseline")}


def view(
    method: str = "goe", seed: int = 1, state: RunState = RunState.DONE, epoch: int = 10, **found: float | None
) -> RunView:
    told = msgspec.structs.replace(CONFIGS[method], seed=seed)
    spelled = {name.replace("__", "/"): value for name, value in found.items()}
    status = Status(phase="training", epoch=epoch, epochs=10, values=spelled, updated=1.0)
    run_id = f"{told.experiment}-s{seed}-{method:0>8.8}"
    return RunView(RunDir(Path("runs") / run_id), state, told, status=status)


def shown(text: str, *views: RunView) -> list[RunView]:
    return list(filter(parse_query(text, METRICS), views))


@given(st.lists(values, max_size=8), st.floats(0, 1), st.sampled_from(["<", "<=", ">", ">="]))
def test_comparisons_are_the_plain_ones(found: list[float | None], bound: float, sign: str) -> None:
    views = [view(val__accuracy=value) for value in found]
    plain = {"<": float.__lt__, "<=": float.__le__, ">": float.__gt__, ">=": float.__ge__}[sign]
    expected = [value is not None and plain(value, bound) is True for value in found]
    for name in ("acc", "val/accuracy"):
        assert [parse_query(f"{name}{sign}{bound!r}", METRICS)(one) for one in views] == expected
        assert [parse_query(f"-{name}{sign}{bound!r}", METRICS)(one) for one in views] == [not one for one in expected]


@given(st.lists(values, max_size=12), st.booleans())
def test_what_is_missing_comes_last_in_either_order(found: list[float | None], descending: bool) -> None:
    views = [view(seed=place, val__accuracy=value) for place, value in enumerate(found)]
    ordered = sort_views(views, "acc", METRICS, descending=descending)
    known = [value for value in found if value is not None and not math.isnan(value)]
    assert [one.value("val/accuracy") for one in ordered][: len(known)] == sorted(known, reverse=descending)
    assert sorted(one.run_id for one in ordered) == sorted(one.run_id for one in views)
    left = [one for one in ordered[len(known) :] if one.config]
    assert [one.config.seed for one in left if one.config] == sorted(one.config.seed for one in left if one.config)


@given(st.text(max_size=40))
def test_any_text_is_a_filter_or_a_mistake_with_its_place(text: str) -> None:
    found: list[bool | str] = []
    try:
        found.append(parse_query(text, METRICS)(view()))
    except ConfigError as error:
        found += error.problems
    assert found in ([True], [False]) or str(found[0]).startswith("filter, character ")


@given(st.sampled_from(["goe", "oe", "baseline"]), st.sampled_from(list(RunState)), st.integers(0, 3))
def test_terms_are_and_unless_or_stands_between(method: str, state: RunState, seed: int) -> None:
    one = view(method, seed, state)
    query = parse_query("method:goe state:done,failed or -seed:1 method:oe", METRICS)
    expected = (method == "goe" and state in {RunState.DONE, RunState.FAILED}) or (seed != 1 and method == "oe")
    assert query(one) is expected


def test_values_of_every_kind() -> None:
    goe, oe = view("goe", 1, val__accuracy=0.95, loss=0.2), view("oe", 10, RunState.RUNNING, val__accuracy=0.9)
    for text, expected in {
        "": [goe, oe],
        "acc>=95%": [goe],
        "seed:1": [goe],
        "seed!=1": [oe],
        "method:oe": [oe],
        "method:*oe": [goe, oe],
        "method:GOE": [goe],
        "experiment:oe-": [goe, oe],
        "experiment=oe-x": [oe],
        "state:run*": [oe],
        "loss:none": [oe],
        "lr<0.1": [goe, oe],
        "method.filter.k:20": [oe],
        "method.k:20": [oe],
        "nesterov:true": [goe, oe],
        "epoch=10 data:digits": [goe, oe],
        "RUNNING": [oe],
        '"oe-x-s10"': [oe],
        "-running": [goe],
        "x or nothing": [goe, oe],
    }.items():
        assert shown(text, goe, oe) == expected, text


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("mehtod:goe", 'filter, character 1: unknown column "mehtod" (did you mean "method"?)'),
        ("acc>0.5  vall/loss<1", 'filter, character 10: unknown column "vall/loss" (did you mean "val/loss"?)'),
        ("-acc>high", 'filter, character 2: "high" is not a number such as 0.95, 95% or 2h'),
        ("state>3", 'filter, character 1: "state" holds words; write state:3'),
        ("seed:", 'filter, character 1: a value is missing after "seed:"'),
        ('a "b', "filter, character 3: a quote is not closed"),
        ("or a", 'filter, character 1: "or" stands between two terms'),
        ("a or", 'filter, character 3: "or" stands between two terms'),
        ("state:fial", 'filter, character 1: unknown state "fial" (did you mean "failed"?)'),
        ("k:20", 'filter, character 1: unknown column "k" (did you mean "method.filter.k"?)'),
    ],
)
def test_a_mistake_says_where_and_what_was_meant(text: str, finding: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_query(text, METRICS)
    assert caught.value.problems[0].startswith(finding)


@pytest.mark.parametrize(
    ("text", "in_force", "mistakes"),
    [
        ("state:done acc>x", "state:done", 1),
        ("acc>x sate:failed", "", 2),
        ("acc>x or seed:1", "seed:1", 1),
        ("method:oe or acc>x", "method:oe", 1),
        ("a or b acc>", "a or b", 1),
        ("a or", "a", 1),
        ("or or a", "a", 2),
        (' a  "b c" ', 'a "b c"', 0),
    ],
)
def test_what_is_understood_is_told_from_what_is_not(text: str, in_force: str, mistakes: int) -> None:
    query, found = understand(text, METRICS)
    assert (query.text, len(found)) == (in_force, mistakes)
    plain = parse_query(in_force, METRICS)
    views = [view("oe", seed=seed, state=state) for seed in (1, 2) for state in (RunState.DONE, RunState.FAILED)]
    assert list(map(query, views)) == list(map(plain, views))


def test_numbers_have_units() -> None:
    assert [number_of(text) for text in ("95%", "2h", "1e-4", ".5", "-3", "1d", "5m", "30s")] == [
        pytest.approx(0.95),
        7200,
        1e-4,
        0.5,
        -3,
        86400,
        300,
        30,
    ]
    assert [number_of(text) for text in ("", "x", "1x", "nan", "inf", "1 2")] == [None] * 6


def test_every_field_and_key_reads_any_run() -> None:
    broken = RunView(RunDir(Path("runs/broken")), RunState.BROKEN, problem="cut")
    for name in (*FIELDS, *config_keys(), *METRICS):
        for one in (broken, view()):
            assert isinstance(field(name, METRICS)(one), float | int | str | None)
    assert "init-from.experiment" in config_keys()
    assert metric_names([broken, view(loss=1.0, a=2.0)]) == ["a", "loss"]


def test_states_are_ordered_by_urgency() -> None:
    views = [view(state=state) for state in (RunState.DONE, RunState.FAILED, RunState.RUNNING, RunState.QUEUED)]
    ordered = sort_views(views, "state", METRICS, descending=False)
    assert [one.state for one in ordered] == [RunState.RUNNING, RunState.FAILED, RunState.QUEUED, RunState.DONE]


def test_seeds_fold_by_experiment_and_configuration() -> None:
    views = [view("goe", 1), view("oe", 1), view("goe", 2), RunView(RunDir(Path("runs/odd")), RunState.BROKEN)]
    assert [(one.name, len(one.views)) for one in fold(views)] == [("goe-x", 2), ("oe-x", 1), ("odd", 1)]


def test_means_are_over_runs_equally_far() -> None:
    acc = FIELDS["acc"]
    far, near = [view(epoch=10, val__accuracy=value) for value in (0.9, 0.94)], view(epoch=4, val__accuracy=0.1)
    found = mean([*far, near, view(epoch=10)], acc)
    assert found is not None
    assert (found.value, found.std) == (pytest.approx(0.92), pytest.approx(math.sqrt(0.0008)))
    assert (found.count, found.of) == (2, 4)
    alone = mean([near], acc)
    assert alone is not None
    assert (alone.value, alone.std) == (0.1, None)
    assert mean([view(), view(val__accuracy=math.nan)], acc) is None
