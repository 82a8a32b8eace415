"""RunConfig: what is filled in, what is refused, and what makes a run's id."""

from typing import Any, Literal

import msgspec
import pytest

from goe.core.config import METHODS, InitFrom, Outliers, RunConfig, complete, merge
from goe.core.dataspecs import ID_IMAGES, OwnImages
from goe.core.errors import did_you_mean
from goe.core.recipes import RECIPES
from goe.core.specs import GOE, OE, UDG, Baseline, EnergyOE, Filter, MixOE

Problems = list[tuple[tuple[str, ...], str]]


def tried(raw: dict[str, Any]) -> tuple[RunConfig | None, Problems]:
    problems: Problems = []
    config = complete(raw, lambda path, finding: problems.append((path, finding)))
    return config, problems


def accepted(**raw: Any) -> RunConfig:
    config, problems = tried({"experiment": "x", "seed": 1, **{key.replace("_", "-"): raw[key] for key in raw}})
    assert problems == []
    assert config is not None
    return config


def refused(**raw: Any) -> Problems:
    config, problems = tried({"experiment": "x", "seed": 1, **{key.replace("_", "-"): raw[key] for key in raw}})
    assert config is None
    return problems


def test_nothing_given_is_goe_on_digits() -> None:
    config = accepted()
    assert (config.dataset, config.method_name, config.outliers.source, config.flip) == ("digits", "goe", "china", 0.0)
    plain = msgspec.to_builtins(config)
    assert merge(plain, RECIPES["digits"]) == plain


def test_cifar_follows_the_paper() -> None:
    config = accepted(dataset="cifar10")
    assert (config.model, config.dropout, config.epochs, config.batch_size) == ("wrn-40-2", 0.3, 200, 128)
    assert (config.outlier_batch_size, config.lr, config.momentum, config.weight_decay) == (256, 0.1, 0.9, 5e-4)
    assert config.milestones == (120, 160)
    assert config.outliers.source == "random-300k"
    assert config.method == GOE(filter=Filter(strategy="topk", estimation="msp", k=20))
    assert (config.flip, config.schedule, config.evaluate) == (0.5, "multistep", "best")


def test_the_paper_preset_holds_on_every_data_set() -> None:
    for dataset in ("digits", "spiral", "cifar10", "cifar100"):
        config = accepted(dataset=dataset, preset="paper")
        assert (config.epochs, config.batch_size, config.outlier_batch_size) == (200, 128, 256)
        assert (config.optimiser, config.lr, config.momentum, config.weight_decay) == ("sgd", 0.1, 0.9, 5e-4)
        assert (config.schedule, config.milestones, config.lr_decay) == ("multistep", (120, 160), 0.1)
        assert (config.evaluate, config.augment_validation, config.nesterov) == ("best", True, True)
        assert (config.outliers.order, config.outliers.exclude) == ("sequential-offset", ())
        assert config.precision == "float32"
        assert config.method == GOE(filter=Filter(strategy="topk", estimation="msp", k=20))
        energy = accepted(dataset=dataset, preset="paper", method="energy-oe").method
        assert energy == EnergyOE(m_in=-25.0, m_out=-7.0, weight=0.1)
    corrected = accepted(dataset="cifar10")
    assert not corrected.augment_validation
    assert (corrected.outliers, corrected.precision) == (Outliers(), "auto")
    assert (corrected.outliers.order, corrected.outliers.exclude) == ("auto", ("80mn_cifar_idxs.txt",))
    assert accepted(dataset="cifar10", preset="paper").group != accepted(dataset="cifar10").group


def test_the_paper_preset_keeps_the_outliers_that_were_asked_for() -> None:
    def outliers(**given: Any) -> Outliers:
        return accepted(preset="paper", **given).outliers

    theirs = Outliers(source="tiny-images", order="sequential-offset", exclude=())
    assert outliers(dataset="cifar10", outliers="tiny-images") == theirs
    assert outliers() == msgspec.structs.replace(theirs, source="china", contamination=0.1)
    assert outliers(dataset="spiral") == msgspec.structs.replace(theirs, source="square", size=2000)
    chosen = {"source": "tiny-images", "order": "blocks", "exclude": ["80mn_cifar_idxs.txt"]}
    asked = outliers(dataset="cifar10", outliers=chosen)
    assert (asked.order, asked.exclude) == ("blocks", ("80mn_cifar_idxs.txt",))


def test_as_many_clusters_as_images_are_accepted() -> None:
    at_most = {"china": 4896, "random-300k": 10**6}  # how many images a file holds is known when it is read
    for source, clusters in at_most.items():
        method = accepted(method={"name": "udg", "clusters": clusters}, outliers=source).method
        assert isinstance(method, UDG)
        assert method.clusters == clusters


def test_the_built_in_sets_have_the_sizes_that_are_checked() -> None:
    from goe.data.builtin import digit_splits
    from goe.data.spiral import splits

    assert {"digits": len(digit_splits().train), "spiral": len(splits().train)} == ID_IMAGES


def test_energy_margins_follow_the_data_set() -> None:
    assert accepted(dataset="cifar10", method="energy-oe").method == EnergyOE(m_in=-23.0, m_out=-5.0)
    assert accepted(dataset="cifar100", method="energy-oe").method == EnergyOE(m_in=-27.0, m_out=-5.0)
    assert accepted(dataset="digits", method="energy-oe").method == EnergyOE(weight=0.01)


def test_fine_tuning_has_a_recipe_of_its_own() -> None:
    config = accepted(dataset="cifar10", preset="paper", **{"init-from": "base"})
    assert config.init_from == InitFrom(experiment="base", checkpoint="best")
    assert (config.epochs, config.lr, config.schedule) == (10, 0.001, "cosine")
    assert accepted(**{"init-from": "base", "epochs": 3}).epochs == 3
    assert accepted(**{"init-from": "runs/base-s1-00000000"}).init_from == InitFrom(file="runs/base-s1-00000000")
    assert accepted(**{"init-from": "base.safetensors"}).init_from == InitFrom(file="base.safetensors")


def test_other_methods_filter_only_when_asked_to() -> None:
    oe = accepted(method="oe").method
    assert isinstance(oe, OE)
    assert oe.filter.strategy == "none"
    asked = accepted(method={"name": "oe", "filter": {"estimation": "margin"}}).method
    assert isinstance(asked, OE)
    assert asked.filter == Filter(strategy="topk", estimation="margin", k=3)


def test_what_is_given_wins_over_the_recipe() -> None:
    for recipe in RECIPES.values():
        for key, value in recipe.items():
            if type(value) in {int, float} and key not in {"dropout", "flip"}:
                given = accepted(**{key: value + 1})
                assert msgspec.to_builtins(given)[key] == value + 1


@pytest.mark.parametrize(("model", "dropout"), [("wrn-16-4", 0.3), ("resnet-18", 0.0), ("resnet-34", 0.0)])
def test_dropout_follows_the_model(model: str, dropout: float) -> None:
    assert accepted(dataset="cifar100", model=model).dropout == dropout


@pytest.mark.parametrize(
    ("epochs", "milestones"), [(1, ()), (2, (1,)), (3, (1, 2)), (4, (2, 3)), (10, (6, 8)), (100, (60, 80))]
)
def test_milestones_follow_the_epochs_however_few(epochs: int, milestones: tuple[int, ...]) -> None:
    assert accepted(epochs=epochs).milestones == milestones


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("wrn", "wrn-40-2"),
        ("res34", "resnet-34"),
        ("res18", "resnet-18"),
        ("res50", "resnet-50"),
        ("dense", "densenet-bc-100-12"),
    ],
)
def test_the_authors_model_names_make_the_same_run(short: str, full: str) -> None:
    assert accepted(model=short) == accepted(model=full)


def test_short_forms_make_the_same_run_as_tables() -> None:
    assert accepted(method="oe", outliers="random-300k") == accepted(
        method={"name": "oe"}, outliers={"source": "random-300k"}
    )


def test_a_method_without_a_name_is_goe() -> None:
    assert accepted(method={"filter": {"k": 3}}).method == GOE(filter=Filter(k=3))


def test_integers_stand_for_floats_and_make_the_same_run() -> None:
    assert accepted(weight_decay=0).run_id == accepted(weight_decay=0.0).run_id


WRONG: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({"epoch": 3}, ("epoch",), 'unknown key "epoch" (did you mean "epochs"?)'),
    ({"dataset": "cifar11"}, ("dataset",), '"cifar11" is not accepted (did you mean "cifar10"?)'),
    ({"dataset": 10}, ("dataset",), "expected str, got int"),
    ({"epochs": "ten"}, ("epochs",), "expected int, got str"),
    ({"epochs": 0}, ("epochs",), "expected int >= 1, got 0"),
    ({"epochs": 10**30}, ("epochs",), "expected int <= 9223372036854775807"),
    ({"epochs": True}, ("epochs",), "expected int, got bool"),
    ({"epochs": 2.5}, ("epochs",), "expected int, got float"),
    ({"lr": 0}, ("lr",), "expected float > 0.0, got 0"),
    ({"lr": "0.1"}, ("lr",), "expected float, got str"),
    ({"lr": float("inf")}, ("lr",), "inf is not a finite number"),
    ({"lr": float("nan")}, ("lr",), "nan is not a finite number"),
    ({"nesterov": 1}, ("nesterov",), "expected bool, got int"),
    ({"nesterov": True, "momentum": 0}, ("nesterov",), "Nesterov needs momentum above 0"),
    ({"dropout": 1.0}, ("dropout",), "expected float < 1.0, got 1.0"),
    ({"milestones": 5}, ("milestones",), "expected array, got int"),
    ({"milestones": [5, 5], "epochs": 10}, ("milestones",), "[5, 5] must rise"),
    ({"milestones": [5, 11], "epochs": 10}, ("milestones",), "11 lies beyond the last epoch, 10"),
    ({"scores": []}, ("scores",), "expected array of length >= 1, got []"),
    ({"scores": "msp"}, ("scores",), "expected array, got str"),
    ({"scores": ["msp", "energi"]}, ("scores",), '"energi" is not accepted (did you mean "energy"?)'),
    ({"model": "wrn-41-2"}, ("model",), "depth is 10, 16, 22"),
    ({"model": "wrn-4-2"}, ("model",), "depth is 10, 16, 22"),
    ({"model": "wrn-40-0"}, ("model",), 'unknown model "wrn-40-0"'),
    ({"model": "wrn-040-2"}, ("model",), 'unknown model "wrn-040-2"'),
    ({"model": "resnet34"}, ("model",), 'unknown model "resnet34" (did you mean "resnet-34"?)'),
    ({"model": "resnet-18", "dropout": 0.3}, ("dropout",), "resnet-18 has no dropout; leave it out, or use a WRN"),
    ({"model": 40}, ("model",), "expected str, got int"),
    (
        {"method": "go"},
        ("method",),
        'unknown method "go" (did you mean "goe"?); known: baseline, energy-oe, goe, mixoe, oe, udg',
    ),
    ({"method": 3}, ("method",), "a method needs a name; known: baseline, energy-oe, goe, mixoe, oe, udg"),
    ({"method": {"name": 3}}, ("method",), "a method needs a name; known: baseline, energy-oe, goe, mixoe, oe, udg"),
    ({"method": {"name": "oe", "wieght": 1}}, ("method", "wieght"), 'unknown key "wieght" (did you mean "weight"?)'),
    ({"method": {"name": "oe", "weight": -1}}, ("method", "weight"), "expected float >= 0.0, got -1"),
    ({"method": {"name": "baseline", "filter": {}}}, ("method", "filter"), 'unknown key "filter"'),
    ({"method": {"mix": {"alpha": 0}}}, ("method", "mix", "alpha"), "expected float > 0.0, got 0"),
    ({"method": {"mix": {"beta": -1.0}}}, ("method", "mix", "beta"), "expected float > 0.0, got -1.0"),
    ({"method": {"mix-weight": -0.5}}, ("method", "mix-weight"), "expected float >= 0.0, got -0.5"),
    ({"method": {"name": "energy-oe", "weight": -1}}, ("method", "weight"), "expected float >= 0.0, got -1"),
    ({"method": {"filter": {"strategy": "quantile", "quantile": 1.0}}}, ("method", "filter", "quantile"), "< 1.0"),
    (
        {"method": {"name": "energy-oe", "m-in": -5.0, "m-out": -23.0}},
        ("method", "m-in"),
        "m-in = -5 must be below m-out = -23",
    ),
    ({"method": {"name": "udg", "clusters": 1}}, ("method", "clusters"), "expected int >= 2, got 1"),
    (
        {"method": {"name": "mixoe", "filter": {"k": 32}}},
        ("method", "filter", "k"),
        "would drop the whole outlier batch of 32",
    ),
    ({"preset": "papre"}, ("preset",), '"papre" is not accepted (did you mean "paper"?)'),
    ({"init-from": {}}, ("init-from",), "give either an experiment of this file or a file with weights"),
    ({"init-from": {"experiment": "a", "file": "b"}}, ("init-from",), "give either an experiment"),
    ({"init-from": {"fil": "b"}}, ("init-from", "fil"), 'unknown key "fil" (did you mean "file"?)'),
    ({"init-from": 3}, ("init-from",), "expected a table, got an integer"),
    ({"model": "densenet-bc-101-12"}, ("model",), "a DenseNet-BC's depth is 10, 16, 22"),
    (
        {"dataset": "pets"},
        ("dataset",),
        '"pets" is not accepted; known: digits, spiral, cifar10, cifar100; for images of',
    ),
    ({"id": {"train": "a", "test": "b"}}, ("id",), '"digits" is goe\'s own; name your images otherwise'),
    ({"dataset": "a/b", "id": {"train": "a", "test": "b"}}, ("dataset",), '"a/b" can\'t name files'),
    ({"val-index": "x.txt"}, ("val-index",), "the validation images of digits are fixed; leave it out"),
    ({"outliers": "folder"}, ("outliers", "path"), '"folder" needs path'),
    ({"outliers": {"path": "x"}}, ("outliers", "path"), "only for folder and list"),
    (
        {"method": {"name": "udg", "clusters": 4897}},
        ("method", "clusters"),
        "4897 for 4896 images (800 ID, 4096 outliers); choose at most one for each image",
    ),
    (
        {"method": {"name": "udg", "clusters": 901}, "outliers": {"size": 100}},
        ("method", "clusters"),
        "901 for 900 images",
    ),
    ({"dataset": "spiral", "method": {"name": "udg", "clusters": 4001}}, ("method", "clusters"), "for 4000 images"),
    ({"outliers": "tiny-images", "method": "udg"}, ("outliers", "source"), "udg clusters all outliers every epoch"),
    ({"ood": ["svnh"]}, ("ood",), '"svnh" is not a known OOD test set (did you mean "svhn"?); known: cifar10'),
    ({"dataset": "cifar10", "ood": ["cifar10"]}, ("ood",), '"cifar10" is the ID set'),
    ({"dataset": "cifar10", "protocol": "scood", "ood": ["svhn"]}, ("ood",), 'protocol "scood" has its own test sets'),
    ({"protocol": "scood"}, ("protocol",), '"scood" is a protocol for cifar10 and cifar100'),
    ({"ood-mode": "as-id"}, ("ood-mode",), "only for the protocols scood and goe2024, and for image lists in ood"),
    ({"ood-mode": "as-id", "ood": ["mine/odd"]}, ("ood-mode",), "only for the protocols scood and goe2024, and"),
    ({"ood": ["mnist"]}, ("ood",), '"mnist" shows the ID classes of digits'),
    ({"model": "mlp"}, ("model",), "an mlp takes the points of spiral, no images"),
    ({"dataset": "spiral", "model": "wrn"}, ("model",), "spiral has points; use mlp"),
    ({"dataset": "spiral", "outliers": "china"}, ("outliers", "source"), 'does not go with outliers "china"'),
    ({"dataset": "spiral", "augment": True}, ("augment",), "points can't be augmented"),
    (
        {"dataset": "spiral", "method": {"mix": {"strategy": "cutmix"}}},
        ("method", "mix", "strategy"),
        "points can't be cut; use mixup",
    ),
    ({"method": {"filter": 3}}, ("method", "filter"), "expected a table, got an integer"),
    ({"method": {"filter": {"k": -1}}}, ("method", "filter", "k"), "expected int >= 0, got -1"),
    (
        {"method": {"filter": {"strategy": "top"}}},
        ("method", "filter", "strategy"),
        '"top" is not accepted (did you mean "topk"?)',
    ),
    (
        {"method": {"filter": {"k": 9}}, "outlier-batch-size": 9},
        ("method", "filter", "k"),
        "would drop the whole outlier batch of 9",
    ),
    (
        {"method": {"filter": {"strategy": "static", "k": 10}}, "batch-size": 9},
        ("method", "filter", "k"),
        "k = 10 is a rank in the ID batch of 9",
    ),
    ({"outliers": "chine"}, ("outliers", "source"), '"chine" is not accepted (did you mean "china"?)'),
    ({"outliers": {"contamination": 1.5}}, ("outliers", "contamination"), "expected float <= 1.0, got 1.5"),
    ({"seed": -1}, ("seed",), "expected int >= 0, got -1"),
    ({"experiment": "a/b"}, ("name",), '"a/b" can\'t name a folder'),
    ({"experiment": ".."}, ("name",), '".." can\'t name a folder'),
    ({"experiment": "x" * 201}, ("name",), "use up to 200 letters"),
]


@pytest.mark.parametrize(("raw", "path", "finding"), WRONG, ids=[str(raw)[:50] for raw, _, _ in WRONG])
def test_one_wrong_value_is_one_problem(raw: dict[str, Any], path: tuple[str, ...], finding: str) -> None:
    problems = refused(**raw)
    assert [where for where, _ in problems] == [path]
    assert finding in problems[0][1]


def test_all_problems_at_once() -> None:
    mix = {"alpha": -1}
    problems = refused(
        epochs="x", lr=-1, datset="digits", method={"name": "goe", "mix": mix, "filter": {"k": "y"}}, momentum=0
    )
    assert {path for path, _ in problems} == {
        ("epochs",),
        ("lr",),
        ("datset",),
        ("method", "mix", "alpha"),
        ("method", "filter", "k"),
        ("nesterov",),
    }
    assert len(problems) == 6


def test_a_missing_name_and_seed_are_reported() -> None:
    config, problems = tried({})
    assert config is None
    assert problems == [(("experiment",), '"experiment" is missing'), (("seed",), '"seed" is missing')]


@pytest.mark.parametrize(("strategy", "k"), [("topk", 0), ("topk", 8), ("static", 0), ("static", 9)])
def test_the_largest_and_smallest_filter_are_accepted(strategy: Literal["topk", "static"], k: int) -> None:
    config = accepted(method={"filter": {"strategy": strategy, "k": k}}, batch_size=9, outlier_batch_size=9)
    assert config.method == GOE(filter=Filter(strategy=strategy, k=k))


def test_run_id_tells_name_seed_and_group() -> None:
    config = accepted(experiment="goe", seed=7)
    assert config.run_id == f"goe-s7-{config.group}"
    assert len(config.group) == 8
    assert set(config.group) <= set("0123456789abcdef")


def test_every_choice_but_name_and_seed_changes_the_group() -> None:
    base = accepted(dataset="cifar10", epochs=10)
    other: dict[str, Any] = {
        "dataset": "cifar100",
        "method": OE(),
        "model": "wrn-16-1",
        "dropout": 0.1,
        "preset": "paper",
        "init_from": InitFrom(file="weights.safetensors"),
        "outliers": Outliers(source="china", contamination=0.2),
        "epochs": 11,
        "optimiser": "adam",
        "augment_validation": True,
        "batch_size": 65,
        "outlier_batch_size": 129,
        "lr": 0.2,
        "momentum": 0.8,
        "nesterov": False,
        "weight_decay": 1e-4,
        "schedule": "cosine",
        "milestones": (6, 9),
        "lr_decay": 0.2,
        "augment": False,
        "flip": 0.1,
        "precision": "float32",
        "device": "cpu",
        "compile": "off",
        "sync_batch_norm": False,
        "keep_every": 1,
        "evaluate": "last",
        "scores": ("energy",),
        "id": OwnImages(train="a", test="b"),
        "val_index": "valid_idx.txt",
        "protocol": "scood",
        "ood": ("svhn",),
        "ood_mode": "as-id",
        "skip_broken": True,
    }
    assert other.keys() == {field.name for field in msgspec.structs.fields(RunConfig)} - {"experiment", "seed"}
    groups = [msgspec.structs.replace(base, **{name: value}).group for name, value in other.items()]
    assert len({base.group, *groups}) == len(other) + 1
    assert msgspec.structs.replace(base, experiment="y", seed=2).group == base.group


def test_methods_are_known_by_the_names_in_a_queue_file() -> None:
    known = {"baseline": Baseline, "oe": OE, "energy-oe": EnergyOE, "mixoe": MixOE, "udg": UDG, "goe": GOE}
    assert known == METHODS
    assert accepted(method="baseline").method_name == "baseline"


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"t": {"a": 1, "b": 2}}, {"t": {"b": 3}}, {"t": {"a": 1, "b": 3}}),
        ({"t": {"name": "x", "a": 1}}, {"t": {"name": "y"}}, {"t": {"name": "y"}}),
        ({"t": {"name": "x", "a": 1}}, {"t": {"name": "x", "b": 2}}, {"t": {"name": "x", "a": 1, "b": 2}}),
        ({"t": {"a": 1}}, {"t": 2}, {"t": 2}),
        ({"t": 2}, {"t": {"a": 1}}, {"t": {"a": 1}}),
    ],
)
def test_merge(base: dict[str, Any], over: dict[str, Any], merged: dict[str, Any]) -> None:
    before = msgspec.json.encode([base, over])
    assert merge(base, over) == merged
    assert msgspec.json.encode([base, over]) == before


def test_did_you_mean_is_silent_when_nothing_is_near() -> None:
    assert did_you_mean("zzz", ["epochs", "lr"]) == ""
    assert did_you_mean("epoch", ["epochs", "lr"]) == ' (did you mean "epochs"?)'


def test_a_field_at_its_default_does_not_count_for_the_id() -> None:
    def made(**extra: Any) -> str:
        config = complete({"experiment": "x", "seed": 1, **extra}, lambda _, finding: pytest.fail(finding))
        assert config is not None
        return config.run_id

    plain = made()
    assert (
        made(momentum=0.9) == made(**{"lr-decay": 0.1}) == made(method={"name": "goe", "mix": {"alpha": 1.0}}) == plain
    )
    assert len({plain, made(momentum=0.8), made(method="oe"), made(method={"name": "goe", "mix": {"alpha": 2.0}})}) == 4
