"""`goe queue add`, `copy`, `rm`, `set`, `unset`, `move`, `hold`, `release`, `schema`: the real command on a file."""

import json

import pytest
from lab import Lab

FILE = """\
# Mine.
[queue]
slots = 2   # cores

[defaults]
epochs = 3

# Plain.
[[experiment]]
name = "base"
method = "baseline"

[[experiment]]
name = "goe"
sweep = { method.filter.k = [0, 6] }
"""


@pytest.fixture
def edited(lab: Lab) -> Lab:
    lab.queue(FILE)
    return lab


def text(lab: Lab) -> str:
    return (lab.folder / "experiments.toml").read_bytes().decode()


def edit(lab: Lab, *args: str) -> str:
    """What `goe queue …` printed, which must have done it."""
    done = lab.goe("queue", *args)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refuse(lab: Lab, *args: str) -> str:
    """What `goe queue …` said when it refused; the file must be as it was."""
    before = text(lab)
    done = lab.goe("queue", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert text(lab) == before
    return done.stderr


def test_edits_show_in_the_file_and_are_read_by_the_queue(edited: Lab) -> None:
    assert edit(edited, "add", "oe", "--set", "method=oe", "--set", "method.weight=0.3", "--after", "base") == (
        "experiments.toml:13: + [[experiment]]\n"
        'experiments.toml:14: + name = "oe"\n'
        'experiments.toml:15: + method = { name = "oe", weight = 0.3 }\n'
    )
    assert edit(edited, "set", "oe", "lr=0.05") == "experiments.toml:16: + lr = 0.05\n"
    assert edit(edited, "set", "--table", "queue", "slots=4") == (
        "experiments.toml:3: - slots = 2   # cores\nexperiments.toml:3: + slots = 4   # cores\n"
    )
    assert edit(edited, "move", "goe", "before", "oe") == "experiments.toml: goe is now 2 of 3: base, goe, oe\n"
    assert edit(edited, "hold", "base", "goe").count("+ hold = true") == 2
    assert edit(edited, "copy", "oe", "oe-2", "--set", "priority=1").count("\n") == 5
    assert edit(edited, "unset", "oe", "lr") == "experiments.toml:22: - lr = 0.05\n"
    added = '[[experiment]]\nname = "oe"\nmethod = { name = "oe", weight = 0.3 }\n'
    copied = '[[experiment]]\nname = "oe-2"\nmethod = { name = "oe", weight = 0.3 }\nlr = 0.05\npriority = 1\n'
    expected = FILE.replace("slots = 2", "slots = 4").replace('"baseline"\n', '"baseline"\nhold = true\n')
    assert text(edited) == f"{expected}hold = true\n\n{added}\n{copied}"

    listed = json.loads(edit(edited, "list", "--json"))
    assert [run["config"]["experiment"] for run in listed] == ["base", "goe-k0", "goe-k6", "oe", "oe-2"]
    for args in (("rm", "oe-2", "oe"), ("release", "goe", "base"), ("set", "--table=queue", "slots=2")):
        edit(edited, *args)
    assert text(edited) == FILE


def test_nothing_to_change_is_said(edited: Lab) -> None:
    for args in (("release", "base"), ("set", "base", "method=baseline"), ("move", "base", "up")):
        done = edited.goe("queue", *args)
        assert (done.returncode, done.stdout) == (0, "")
        assert "nothing changed" in done.stderr
    assert text(edited) == FILE


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("rm", "gooe"), 'error: experiments.toml: gooe: no experiment of the file is called so (did you mean "goe"?)'),
        (("hold", "goe-k0"), 'error: experiments.toml: goe-k0: the sweep of "goe" makes it; edit "goe"'),
        (("set", "base", "lr=-1"), 'error: experiments.toml: not changed: "base": lr: expected float > 0.0, got -1'),
        (("set", "base", "epoch=1"), 'not changed: "base": unknown key "epoch" (did you mean "epochs"?)'),
        (("set", "base"), "error: base: give an experiment and KEY=VALUE…, or --table"),
        (("set", "base", "lr"), "error: 'lr' is not KEY=VALUE"),
        (("set", "--table", "default", "lr=1"), "error: --table: 'default' is neither defaults nor queue"),
        (("add", "base"), "error: experiments.toml: base: an experiment of the file is called so already"),
        (("add", "x", "--before", "base", "--after", "goe"), "error: --before, --after: give one of the two"),
        (("add", "a b"), 'not changed: "a b": "a b" can\'t name a folder'),
        (("move", "goe", "upp"), 'error: upp: no such way (did you mean "up"?)'),
        (("move", "goe", "before"), "error: before: say which one, as in: before oe"),
        (("move", "goe", "up", "base"), "error: up: takes no other experiment"),
        (("unset", "base", "a b"), "error: 'a b' is not a key, for example method.filter.k"),
        (("rm", "base", "goe"), "not changed: no experiment; add at least one"),
        (("hold", "x", "--queue", "none.toml"), "error: none.toml: no such file"),
    ],
)
def test_refusals_write_nothing(edited: Lab, args: tuple[str, ...], message: str) -> None:
    assert message in refuse(edited, *args)


def test_two_editors_lose_no_edit(edited: Lab) -> None:
    """Each of two commands at once is either done or refused; what was said to be done is in the file."""
    for number in range(5):
        names = [f"a{number}", f"b{number}"]
        started = [edited.start("queue", "add", name) for name in names]
        codes = {name: process.wait() for name, process in zip(names, started, strict=True)}
        assert set(codes.values()) <= {0, 2}
        assert 0 in codes.values()
        for name, code in codes.items():
            assert (f'name = "{name}"' in text(edited)) == (code == 0)


def test_schema(edited: Lab) -> None:
    found = json.loads(edit(edited, "schema"))
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(found["properties"]) == {"queue", "defaults", "experiment"}
