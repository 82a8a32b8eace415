"""KEY=VALUE as written on the command line."""

from typing import Any

import pytest

from goe.core.errors import ConfigError
from goe.core.setting import Setting, parse_key, parse_setting


@pytest.mark.parametrize(
    ("text", "key", "toml", "value"),
    [
        ("lr=5e-2", ("lr",), "5e-2", 0.05),
        ("method.filter.k = 3", ("method", "filter", "k"), "3", 3),
        ("method=energy-oe", ("method",), '"energy-oe"', "energy-oe"),
        ("method='oe'", ("method",), "'oe'", "oe"),
        ('sweep."method.filter.k"=[0, 6]', ("sweep", "method.filter.k"), "[0, 6]", [0, 6]),
        ('method={ name = "oe" }', ("method",), '{ name = "oe" }', {"name": "oe"}),
        ("seeds=[1] # two", ("seeds",), "[1]", [1]),
        ("data=", ("data",), '""', ""),
        ("data=a=b", ("data",), '"a=b"', "a=b"),
        ("data=1\nx=2", ("data",), '"1\\nx=2"', "1\nx=2"),
        ('data=say "no" \\ more', ("data",), '"say \\"no\\" \\\\ more"', 'say "no" \\ more'),
    ],
)  # fmt: skip
def test_a_setting(text: str, key: tuple[str, ...], toml: str, value: Any) -> None:
    found = parse_setting(text)
    assert found == Setting(key, toml)
    assert found.value == value


def test_a_dotted_key_is_nested_tables() -> None:
    assert parse_setting("method.filter.k=3").table == {"method": {"filter": {"k": 3}}}


@pytest.mark.parametrize("text", ["lr", "=3", "a b=1", "[x]=1", "[x]\na=1", "a..b=1"])
def test_no_setting(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is not KEY=VALUE, for example lr=0\.05"):
        parse_setting(text)


def test_keys() -> None:
    assert parse_key("a.'b.c'.d-e") == ("a", "b.c", "d-e")
    assert parse_key("a = 1\nb") is None
    assert parse_key("") is None
