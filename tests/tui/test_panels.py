"""Which curves share a chart, and how one is shaped."""

import numpy as np
import pytest

from tui.curves.columns import Columns, RunCurves
from tui.widgets.panels import CurveLook, Member, Source, letter, overlay_panels, reach, run_panels, shaped


def columns(length: int = 0, **values: list[float]) -> Columns:
    step = np.arange(1.0, length + 1)
    named = {name.replace("__", "/"): np.array(each) for name, each in values.items()}
    return Columns(step, step / 10, 1000 + 2 * step, named)


def run(run_id: str = "a", **values: list[float]) -> RunCurves:
    length = max((len(each) for each in values.values()), default=0)
    return RunCurves(run_id, columns(length, **values), columns())


def member(name: str, curves: RunCurves | None, group: str = "g", colour: int = 0) -> Member:
    return Member(name, name[0], group, colour, curves)


def test_a_runs_charts() -> None:
    one = [1.0]
    found = RunCurves(
        "a",
        columns(
            1, loss=one, loss__new=one, loss__ce=one, filter__rate=one, filter__precision=one, filter__threshold=one,
            train__accuracy=one, lr=one, images_per_s=one, custom=one,
        ),
        columns(1, val__loss=one, val__accuracy=one, eta_s=one),
    )  # fmt: skip
    assert [(panel.title, [source.name for source in panel.sources]) for panel in run_panels(found)] == [
        ("loss", ["total", "ce", "val", "new"]),
        ("filter", ["rate", "precision"]),
        ("accuracy", ["train", "val"]),
        ("filter/threshold", ["filter"]),
        ("images/s", ["images_per_s"]),
        ("learning rate", ["lr"]),
        ("custom", ["custom"]),
    ]
    assert run_panels(run()) == ()


def test_more_curves_than_colours_get_letters() -> None:
    few, many = (run(**{f"loss__{n}": [1.0] for n in range(count)}) for count in (6, 7))
    assert [run_panels(each)[0].signed for each in (few, many)] == [False, True]


def test_an_overlay_has_a_chart_a_metric_and_a_curve_a_run() -> None:
    members = [
        member("a1", run(loss=[1], filter__rate=[0.1])),
        member("b1", run(loss=[2]), "h", 1),
        member("c1", None, "i", 2),
    ]
    panels = overlay_panels(members, seeds=False)
    assert [(panel.title, [source.name for source in panel.sources]) for panel in panels] == [
        ("loss", ["a1", "b1"]),
        ("filter/rate", ["a1"]),
    ]
    assert [source.place for source in panels[0].sources] == [0, 1]
    assert not panels[0].signed


def test_seeds_of_one_configuration_share_a_curve() -> None:
    members = [member("a1", run(loss=[1])), member("b1", run(loss=[5]), "h", 1), member("a2", run(loss=[2]))]
    (alone,) = overlay_panels(members, seeds=False)
    assert alone.signed  # two of one colour
    (panel,) = overlay_panels(members, seeds=True)
    assert [(source.name, len(source.runs), source.of) for source in panel.sources] == [("a", 2, 2), ("b", 1, 1)]
    assert not panel.signed
    (panel,) = overlay_panels([*members, member("a3", run(lr=[1]))], seeds=True)[:1]
    assert [(len(source.runs), source.of) for source in panel.sources] == [(2, 3), (1, 1)]
    assert shaped(panel.sources[0], CurveLook(), "", signed=False).of == 3


def test_two_configurations_of_one_experiment_are_told_apart() -> None:
    members = [member("a1", run(loss=[1]), "one"), member("a2", run(loss=[2]), "two")]
    (panel,) = overlay_panels(members, seeds=True)
    assert [source.name for source in panel.sources] == ["a (one)", "a (two)"]


def test_the_mean_over_seeds_has_their_std_as_band() -> None:
    source = Source("a", "loss", (run(loss=[1, 2, 4]), run(loss=[3, 4, 4])), 0, 0)
    curve = shaped(source, CurveLook(), "red", signed=True)
    assert list(curve.line.y) == [2, 3, 4]
    assert curve.band is not None
    assert list(curve.band[1].y) == pytest.approx([2 + 2**0.5, 3 + 2**0.5, 4])
    assert list(curve.counts.y) == [2, 2, 2]
    assert curve.sign == "a"


def test_a_seed_that_has_just_begun_does_not_coarsen_the_mean() -> None:
    whole = list(range(90))
    source = Source("a", "loss", (run(loss=whole), run(loss=whole), run(loss=[0, 1])), 0, 0, 3)
    assert list(shaped(source, CurveLook(), "", signed=False).line.y[[0, -1]]) == [0, 89]


def test_smoothing_keeps_the_raw_curve() -> None:
    source = Source("a", "loss", (run(loss=[1, 3]),), 0, 0)
    curve = shaped(source, CurveLook(smoothing=0.5), "", signed=False)
    assert list(curve.raw.y) == [1, 3]
    assert list(curve.line.y) == pytest.approx([1, (0.5 * 1 + 3) / 1.5])
    assert shaped(source, CurveLook(), "", signed=False).raw is None


def test_x_is_what_was_chosen() -> None:
    source = Source("a", "loss", (run(loss=[1, 3, 5]),), 0, 0)
    assert list(shaped(source, CurveLook(x="step"), "", signed=False).line.x) == [1, 2, 3]
    assert list(shaped(source, CurveLook(x="time"), "", signed=False).line.x) == [0, 2, 4]


def test_the_whole_x_axis_is_that_of_every_kind_of_record() -> None:
    epochs = Columns(np.array([10.0, 20.0]), np.array([1.0, 2.0]), np.array([1020.0, 1060.0]), {"val/loss": np.ones(2)})
    found = RunCurves("a", columns(3, loss=[1, 2, 3]), epochs)
    assert reach(run_panels(found), "step") == (1, 20)
    assert reach(run_panels(found), "time") == (0, 58)
    assert reach((), "step") is None


def test_letters() -> None:
    assert [letter(place) for place in (0, 25, 26, 51, 52)] == ["a", "z", "A", "Z", "a"]


def test_seeds_of_one_experiment_have_colours_of_their_own() -> None:
    seeds = [Member(f"a-s{seed}", "a", "g", 5, run(loss=[1]), seed) for seed in (1, 2, 3)]
    (panel,) = overlay_panels(seeds, seeds=False)
    assert [source.colour for source in panel.sources] == [1, 2, 3]
    assert not panel.signed
    (panel,) = overlay_panels(seeds, seeds=True)
    assert [source.colour for source in panel.sources] == [5]
    other = Member("b-s1", "b", "h", 2, run(loss=[1]), 1)
    (panel,) = overlay_panels([*seeds, other], seeds=False)
    assert [source.colour for source in panel.sources] == [5, 5, 5, 2]
    assert panel.signed
