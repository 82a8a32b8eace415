"""Keys of an experiment that its sweep sets: a value of its own would change nothing."""

import re
from pathlib import Path

import pytest

from goe.core.errors import ConfigError
from goe.core.queueedit import Place, add, check_edit, duplicate, set_values, unset
from goe.core.setting import parse_setting

SWEEPS = """\
[[experiment]]
name = "sw"
sweep = { lr = [0.1, 0.2], "method.filter.k" = [0, 6] }
method = "goe"
[[experiment]]
name = "methods"
[experiment.sweep]
method = ["oe", "goe"]
"""
SW: Place = ("experiment", "sw")


@pytest.mark.parametrize(
    ("name", "setting", "key"),
    [
        ("sw", "lr=0.3", "sweep.lr"),
        ("sw", "method.filter.k=3", 'sweep."method.filter.k"'),
        ("methods", "method=oe", "sweep"),
        ("methods", "method.name=oe", "sweep"),
    ],
)
def test_what_a_sweep_sets_is_refused(name: str, setting: str, key: str) -> None:
    said = (
        f"{name}: {setting.partition('=')[0]}: the sweep sets it, so another value would change nothing; change sweep"
    )
    with pytest.raises(ConfigError, match=re.escape(said)) as refusal:
        set_values(SWEEPS, ("experiment", name), [parse_setting("epochs=2"), parse_setting(setting)])
    assert str(refusal.value).endswith(f"`goe queue unset {name} {key}`")


def test_the_ways_out_that_are_named() -> None:
    assert "lr = [0.3]" in set_values(SWEEPS, SW, [parse_setting("sweep.lr=[0.3]")])
    ways: list[tuple[str, tuple[str, ...], str]] = [
        ("sw", ("sweep", "lr"), "lr=1"),
        ("methods", ("sweep",), "method=oe"),
    ]
    for name, key, setting in ways:
        text = unset(SWEEPS, ("experiment", name), [key])
        check_edit(SWEEPS, text, Path("experiments.toml"))
        text = set_values(text, ("experiment", name), [parse_setting(setting)])
        check_edit(SWEEPS, text, Path("experiments.toml"))


def test_other_keys_are_set_and_new_experiments_are_looked_at_too() -> None:
    assert "epochs = 2" in set_values(SWEEPS, SW, [parse_setting("epochs=2"), parse_setting("method.filter.start=1")])
    assert "lr = 1" in set_values(SWEEPS, ("defaults",), [parse_setting("lr=1")])
    settings = [parse_setting("lr=0.3"), parse_setting("sweep.lr=[0.1, 0.2]")]
    with pytest.raises(ConfigError, match="new: lr: the sweep sets it"):
        add(SWEEPS, "new", settings)
    with pytest.raises(ConfigError, match="copy: lr: the sweep sets it"):
        set_values(duplicate(SWEEPS, "sw", "copy"), ("experiment", "copy"), settings[:1])
