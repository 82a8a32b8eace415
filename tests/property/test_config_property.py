"""RunConfig: nothing is lost on its way through JSON and TOML's types, and its id depends on the choices alone."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goe.core.config import InitFrom, Outliers, RunConfig, complete
from goe.core.scorespecs import SCORE_NAMES
from goe.core.specs import GOE, OE, UDG, Baseline, EnergyOE, Filter, Mix, MixOE

NONNEGATIVE = st.floats(0, 1e300)
POSITIVE = st.floats(0, 1e300, exclude_min=True)
FILTERS = st.builds(
    Filter,
    strategy=st.sampled_from(["topk", "static", "adaptive", "quantile", "none"]),
    estimation=st.sampled_from(["msp", "margin", "entropy"]),
    k=st.integers(0, 31),
    quantile=st.floats(0, 1, exclude_min=True, exclude_max=True),
    warmup_epochs=st.integers(0, 2**63 - 1),
)
MIXES = st.builds(
    Mix,
    strategy=st.sampled_from(["mixup", "cutmix"]),
    alpha=POSITIVE,
    beta=POSITIVE,
    lam=st.sampled_from(["batch", "sample"]),
)
SHARED = {
    "forward": st.sampled_from(["joint", "separate"]),
    "normalise": st.sampled_from(["batch", "kept"]),
    "filter": FILTERS,
}
METHODS = (
    st.builds(Baseline)
    | st.builds(OE, weight=NONNEGATIVE, **SHARED)
    | st.builds(EnergyOE, weight=NONNEGATIVE, m_in=st.floats(-1e9, -8), m_out=st.floats(-7, 1e9), **SHARED)
    | st.builds(MixOE, weight=NONNEGATIVE, mix=MIXES, **SHARED)
    | st.builds(UDG, clusters=st.integers(2, 500), purity=st.floats(0, 1), iterations=st.integers(1, 99))
    | st.builds(GOE, mix_weight=NONNEGATIVE, oe_weight=NONNEGATIVE, mix=MIXES, **SHARED)
)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,20}", fullmatch=True)
SEEDS = st.integers(0, 2**63 - 1)


@st.composite
def configs(draw: st.DrawFn) -> RunConfig:
    epochs = draw(st.integers(1, 2**63 - 1))
    model = draw(st.sampled_from(["wrn-10-1", "wrn-40-2", "wrn-28-10", "resnet-18", "resnet-34"]))
    return RunConfig(
        experiment=draw(NAMES),
        seed=draw(SEEDS),
        preset=draw(st.sampled_from(["corrected", "paper"])),
        init_from=draw(
            st.none() | st.builds(InitFrom, file=NAMES) | st.builds(InitFrom, experiment=NAMES, group=NAMES)
        ),
        dataset=draw(st.sampled_from(["digits", "cifar10", "cifar100"])),
        method=draw(METHODS),
        model=model,
        dropout=draw(st.floats(0, 1, exclude_max=True)) if model.startswith("wrn-") else 0.0,
        outliers=draw(
            st.builds(
                Outliers,
                source=st.sampled_from(["china", "random-300k"]),
                contamination=st.floats(0, 1),
                size=st.integers(1, 2**63 - 1),
            )
        ),
        epochs=epochs,
        batch_size=draw(st.integers(32, 4096)),
        outlier_batch_size=draw(st.integers(32, 4096)),
        optimiser=draw(st.sampled_from(["sgd", "adam"])),
        lr=draw(POSITIVE),
        momentum=draw(st.floats(0, 1, exclude_min=True, exclude_max=True)),
        nesterov=draw(st.booleans()),
        weight_decay=draw(NONNEGATIVE),
        schedule=draw(st.sampled_from(["multistep", "cosine"])),
        milestones=tuple(sorted(draw(st.sets(st.integers(0, epochs), max_size=4)))),
        lr_decay=draw(POSITIVE),
        augment=draw(st.booleans()),
        flip=draw(st.floats(0, 1)),
        augment_validation=draw(st.booleans()),
        precision=draw(st.sampled_from(["auto", "float32", "bfloat16"])),
        device=draw(st.sampled_from(["auto", "cpu", "cuda"])),
        sync_batch_norm=draw(st.booleans()),
        keep_every=draw(st.integers(0, 2**63 - 1)),
        evaluate=draw(st.sampled_from(["best", "last"])),
        scores=tuple(draw(st.lists(st.sampled_from(SCORE_NAMES), min_size=1, max_size=6))),
    )


@settings(deadline=None)
@given(config=configs())
def test_json_keeps_everything(config: RunConfig) -> None:
    again = msgspec.json.decode(msgspec.json.encode(config), type=RunConfig)
    assert again == config
    assert again.run_id == config.run_id


@settings(deadline=None)
@given(config=configs())
def test_a_config_written_out_in_full_completes_to_itself(config: RunConfig) -> None:
    raw = msgspec.json.decode(msgspec.json.encode(config))  # with TOML's types: lists, no tuples
    again = complete(raw, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert again == config
    assert again is not None
    assert again.run_id == config.run_id


@settings(deadline=None)
@given(config=configs(), name=NAMES, seed=SEEDS)
def test_the_group_knows_neither_name_nor_seed(config: RunConfig, name: str, seed: int) -> None:
    other = msgspec.structs.replace(config, experiment=name, seed=seed)
    assert other.group == config.group
    assert other.run_id == f"{name}-s{seed}-{config.group}"
    assert (other.run_id == config.run_id) == (other == config)


@settings(deadline=None)
@given(one=configs(), two=configs(), field=st.sampled_from(msgspec.structs.fields(RunConfig)))
def test_the_group_tells_each_choice_apart(one: RunConfig, two: RunConfig, field: msgspec.structs.FieldInfo) -> None:
    other = msgspec.structs.replace(one, **{field.name: getattr(two, field.name)})
    alike = other == one or field.name in {"experiment", "seed"}
    assert (one.group == other.group) == alike
    assert (one.run_id == other.run_id) == (one == other)
