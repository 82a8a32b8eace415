"""Edits of the queue file, by hand."""

from pathlib import Path

import pytest

from goe.core.errors import ConfigError
from goe.core.queueedit import (
    add,
    check_edit,
    duplicate,
    edit_queue,
    hold,
    move,
    names_of,
    release,
    remove,
    set_values,
    unset,
)
from goe.core.setting import Setting, parse_setting

FILE = """\
# What this is.

[queue]
slots = 2   # at home

[defaults]
epochs = 3

# The usual.
[[experiment]]
name = "base"   # plain
method = "baseline"
# lr = 1.0

# -- ours --

[[experiment]]
name = "goe"
method = { name = "goe", filter = { k = 3 } }  # as in the paper
sweep = { method.filter.k = [0, 6], lr = [0.1, 0.2] }

[[experiment]]
name = "oe"

# Weaker.
[experiment.method]
name = "oe"
weight = 0.3
"""

SCATTERED = """\
[[experiment]]
name = "a"
[[experiment]]
name = "b"
[queue]
[experiment.method]
name = "oe"
"""


def test_set_replaces_the_value_alone() -> None:
    text = FILE.replace("method.filter.k = [0, 6], ", "")
    new = set_values(text, ("experiment", "goe"), [parse_setting("method.filter.k=5")])
    assert new == text.replace("filter = { k = 3 }", "filter = { k = 5 }")


def test_set_a_new_key_of_an_inline_table() -> None:
    new = set_values(FILE, ("experiment", "goe"), [parse_setting("method.filter.strategy=static")])
    assert new == FILE.replace("{ k = 3 }", '{ k = 3, strategy = "static" }')


def test_set_in_a_sub_table() -> None:
    new = set_values(
        FILE, ("experiment", "oe"), [parse_setting("method.weight=0.5"), parse_setting("method.filter.k=2")]
    )
    assert new == FILE.replace("weight = 0.3\n", "weight = 0.5\nfilter.k = 2\n")


def test_set_a_new_key_beside_the_comments_of_a_sub_table() -> None:
    new = set_values(FILE, ("experiment", "oe"), [parse_setting("lr=5e-2")])
    assert new == FILE.replace('name = "oe"\n\n#', 'name = "oe"\nlr = 5e-2\n\n#')


def test_set_within_a_short_form_spells_it_out() -> None:
    new = set_values(FILE, ("experiment", "base"), [parse_setting("method.filter.k=1"), parse_setting("hold=true")])
    lines = 'method = { name = "baseline", filter.k = 1 }\nhold = true\n# lr'
    assert new == FILE.replace('method = "baseline"\n# lr', lines)


def test_set_puts_a_value_in_the_place_of_a_sub_table() -> None:
    new = set_values(FILE, ("experiment", "oe"), [parse_setting("method=goe")])
    assert new == FILE[: FILE.index("\n# Weaker.")] + 'method = "goe"\n'


def test_set_in_the_other_tables() -> None:
    new = set_values(FILE, ("queue",), [parse_setting("slots=4"), parse_setting("retry.nccl=5")])
    assert new == FILE.replace("slots = 2   # at home\n", "slots = 4   # at home\nretry.nccl = 5\n")
    new = set_values(FILE, ("defaults",), [parse_setting("seeds=[1, 2]")])
    assert new == FILE.replace("epochs = 3\n", "epochs = 3\nseeds = [1, 2]\n")


def test_tables_that_are_missing_are_made() -> None:
    text = '# top\n\n# about a\n[[experiment]]\nname = "a"\n'
    new = set_values(text, ("defaults",), [parse_setting("epochs=3")])
    assert new == '# top\n\n[defaults]\nepochs = 3\n\n# about a\n[[experiment]]\nname = "a"\n'
    new = set_values(new, ("queue",), [parse_setting("slots=3")])
    assert new.startswith("# top\n\n[queue]\nslots = 3\n\n[defaults]\nepochs = 3\n\n# about a\n")
    assert set_values('[[experiment]]\nname="a"', ("queue",), [parse_setting("grace=1")]) == (
        '[queue]\ngrace = 1\n\n[[experiment]]\nname="a"'
    )


@pytest.mark.parametrize("text", ["queue.slots = 2\n", "queue = { slots = 2 }\n"])
def test_tables_written_without_a_header(text: str) -> None:
    text += '[[experiment]]\nname = "a"\n'
    new = set_values(text, ("queue",), [parse_setting("grace=1")])
    expected = {
        "queue.slots = 2\n": "queue.slots = 2\nqueue.grace = 1\n",
        "queue = { slots = 2 }\n": "queue = { slots = 2, grace = 1 }\n",
    }
    assert new == expected[text.removesuffix('[[experiment]]\nname = "a"\n')] + '[[experiment]]\nname = "a"\n'
    assert unset(new, ("queue",), [("grace",)]) == text


def test_unset_leaves_no_comma_and_no_empty_table() -> None:
    place = ("experiment", "goe")
    assert unset(FILE, place, [("sweep", "method", "filter", "k")]) == FILE.replace("method.filter.k = [0, 6], ", "")
    assert unset(FILE, place, [("sweep", "lr")]) == FILE.replace(", lr = [0.1, 0.2]", "")
    gone = unset(FILE, place, [("sweep", "lr"), ("sweep", "method", "filter", "k")])
    assert gone == FILE.replace("sweep = { method.filter.k = [0, 6], lr = [0.1, 0.2] }\n", "")
    assert unset(FILE, ("experiment", "oe"), [("method",)]) == FILE[: FILE.index("\n# Weaker.")]


def test_unset_within_an_inline_table_of_several_lines() -> None:
    text = '[[experiment]]\nname = "a"\nmethod = {\n  name = "oe", # o\n  # w\n'
    text += '  weight = 1.0, # x\n  forward = "joint" # f\n}\n'
    place = ("experiment", "a")
    assert unset(text, place, [("method", "weight")]) == text.replace("  weight = 1.0, # x\n", "")
    assert unset(text, place, [("method", "forward")]) == text.replace('  forward = "joint" # f\n', "")
    assert unset(text, place, [("method", "name")]) == text.replace('  name = "oe", # o\n', "")


def test_add_at_the_end_and_beside_others() -> None:
    settings = [parse_setting("method=oe"), parse_setting("method.weight=0.2"), parse_setting("outliers.size=64")]
    block = '[[experiment]]\nname = "new"\nmethod = { name = "oe", weight = 0.2 }\noutliers.size = 64'
    assert add(FILE, "new", settings) == f"{FILE}\n{block}\n"
    assert add(FILE.removesuffix("\n"), "new", settings) == f"{FILE}\n{block}"
    assert add(FILE, "new", settings, before="base") == FILE.replace("# The usual.", f"{block}\n\n# The usual.")
    assert add(FILE, "new", settings, after="base") == FILE.replace("# lr = 1.0\n", f"# lr = 1.0\n\n{block}\n")
    assert add("", "new") == '[[experiment]]\nname = "new"\n'
    assert (
        add('[[experiment]]\nname="a"\n', "new", before="a")
        == '[[experiment]]\nname = "new"\n\n[[experiment]]\nname="a"\n'
    )


def test_rm_takes_the_comments_directly_above_and_below() -> None:
    expected = FILE[: FILE.index("# The usual.")] + FILE[FILE.index("# -- ours") :]
    assert remove(FILE, ["base"]) == expected
    assert remove(FILE, ["base", "oe"]) == expected[: expected.index('\n\n[[experiment]]\nname = "oe"')] + "\n"


def test_rm_makes_no_comment_one_of_the_next() -> None:
    text = '[[experiment]]\nname = "a"\n# lr = 1\n\n[[experiment]]\nname = "b"\n[[experiment]]\nname = "c"\n'
    assert remove(text, ["b"]) == '[[experiment]]\nname = "a"\n# lr = 1\n\n[[experiment]]\nname = "c"\n'


def test_move_exchanges_blocks_and_leaves_what_is_between() -> None:
    base = FILE[FILE.index("# The usual.") : FILE.index("\n\n# -- ours")]
    goe = FILE[FILE.index('[[experiment]]\nname = "goe"') : FILE.index('\n\n[[experiment]]\nname = "oe"')]
    swapped = FILE.replace(base, "@").replace(goe, base).replace("@", goe)
    assert move(FILE, "goe", "up") == swapped
    assert move(FILE, "base", "down") == swapped
    assert move(FILE, "goe", "first") == swapped
    assert move(FILE, "base", "after", "goe") == swapped
    assert move(FILE, "base", "before", "oe") == swapped
    assert names_of(move(FILE, "base", "last")) == ["goe", "oe", "base"]
    for where, other in [("up", ""), ("first", ""), ("before", "base"), ("after", "base"), ("before", "goe")]:
        assert move(FILE, "base", where, other) == FILE  # type: ignore[arg-type]
    assert move(FILE, "oe", "down") == FILE


def test_move_keeps_a_comment_below_from_the_next() -> None:
    text = '[[experiment]]\nname = "a"\n# lr = 1\n\n[[experiment]]\nname = "b"\n[[experiment]]\nname = "c"\n'
    a, b = '[[experiment]]\nname = "a"\n# lr = 1', '[[experiment]]\nname = "b"'
    assert move(text, "a", "down") == f'{b}\n\n{a}\n\n[[experiment]]\nname = "c"\n'


def test_duplicate_copies_all_but_the_comments_above() -> None:
    copy = '[[experiment]]\nname = "more"   # plain\nmethod = "baseline"\n# lr = 1.0\n'
    assert duplicate(FILE, "base", "more") == FILE.replace("# lr = 1.0\n", f"# lr = 1.0\n\n{copy}")


def test_hold_and_release() -> None:
    held = hold(FILE, ["base", "oe"])
    assert held == FILE.replace('"baseline"\n', '"baseline"\nhold = true\n').replace(
        '"oe"\n\n', '"oe"\nhold = true\n\n'
    )
    assert hold(held, ["base"]) == held
    assert release(held, ["oe", "base"]) == FILE
    assert release(FILE, ["base"]) == FILE


def test_release_where_the_defaults_hold() -> None:
    text = '[defaults]\nhold = true\n\n[[experiment]]\nname = "a"\n'
    released = release(text, ["a"])
    assert released == f"{text}hold = false\n"
    assert hold(text, ["a"]) == text
    assert hold(released, ["a"]) == f"{text}hold = true\n"


def test_windows_line_ends_and_a_missing_last_one() -> None:
    text = '[[experiment]]\r\nname = "a"\r\n\r\n[[experiment]]\r\nname = "b"'
    assert set_values(text, ("experiment", "b"), [parse_setting("lr=1.0")]) == f"{text}\r\nlr = 1.0"
    assert move(text, "b", "first") == '[[experiment]]\r\nname = "b"\r\n\r\n[[experiment]]\r\nname = "a"'
    assert remove(text, ["b"]) == '[[experiment]]\r\nname = "a"'


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda: remove(FILE, ["gooe"]), 'gooe: no experiment of the file is called so (did you mean "goe"?)'),
        (lambda: hold(FILE, ["x"]), "x: no experiment of the file is called so; there are base, goe, oe"),
        (lambda: hold(FILE, ["goe-k6-lr0.1"]), 'goe-k6-lr0.1: the sweep of "goe" makes it; edit "goe"'),
        (lambda: add(FILE, "goe"), "goe: an experiment of the file is called so already; take another name"),
        (lambda: add(FILE, "goe-k0-lr0.2"), "goe-k0-lr0.2: an experiment of the file is called so already"),
        (lambda: add(FILE, "x", before="bse"), 'bse: no experiment of the file is called so (did you mean "base"?)'),
        (lambda: duplicate(FILE, "goe", "oe"), "oe: an experiment of the file is called so already"),
        (lambda: unset(FILE, ("experiment", "goe"), [("methd",)]), 'methd is not set here (did you mean "method"?)'),
        (lambda: unset(FILE, ("defaults",), [("lr",)]), "defaults: lr is not set here; nothing to take out"),
        (
            lambda: set_values(FILE, ("experiment", "goe"), [parse_setting("method.filter.k.x=1")]),
            "k: it is 3 here, no table; x can't be set within it",
        ),
        (lambda: remove('[[experiment]]\nname = "a"\n' * 2, ["a"]), "a: 2 experiments are called so; rename one"),
        (lambda: remove('experiment = [{ name = "a" }]', ["a"]), "written as [[experiment]], with two brackets"),
        (lambda: remove("[queue\n", ["a"]), "line 1: not valid TOML"),
        (lambda: remove(SCATTERED, ["b"]), "its tables are scattered over the file"),
    ],
)  # fmt: skip
def test_what_can_not_be_edited(edit: object, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        edit()  # type: ignore[operator]
    assert message in str(error.value)


def test_a_sub_table_elsewhere_is_still_set() -> None:
    new = set_values(SCATTERED, ("experiment", "b"), [parse_setting("method.weight=1.0")])
    assert new == f"{SCATTERED}weight = 1.0\n"


def refusal(old: str, new: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        check_edit(old, new, Path("e.toml"))
    return list(error.value.problems)


def test_an_edit_with_a_new_problem_is_refused() -> None:
    wrong = set_values(FILE, ("experiment", "oe"), [parse_setting("lr=-1"), parse_setting("epoch=3")])
    assert refusal(FILE, wrong) == [
        'e.toml: not changed: "oe": lr: expected float > 0.0, got -1',
        'e.toml: not changed: "oe": unknown key "epoch" (did you mean "epochs"?)',
    ]
    assert refusal(FILE, set_values(FILE, ("queue",), [parse_setting("slots=0")])) == [
        "e.toml: not changed: slots: expected int >= 1, got 0"
    ]


def test_an_edit_of_a_wrong_file_is_refused_for_new_problems_only() -> None:
    wrong = FILE.replace('"oe"\n\n', '"oe"\nlr = -1\n\n').replace("slots = 2 ", "slots = 0 ")
    check_edit(wrong, set_values(wrong, ("experiment", "base"), [parse_setting("lr=0.5")]), Path("e.toml"))
    check_edit(wrong, set_values(wrong, ("experiment", "oe"), [parse_setting("lr=0.5")]), Path("e.toml"))
    assert refusal(wrong, set_values(wrong, ("experiment", "base"), [parse_setting("lr=-1")])) == [
        'e.toml: not changed: "oe": lr: expected float > 0.0, got -1'
    ]


def test_taking_out_what_another_waits_for_is_refused() -> None:
    text = set_values(FILE, ("experiment", "oe"), [parse_setting("after=['base']")])
    assert refusal(text, remove(text, ["base"])) == ['e.toml: not changed: "oe": after: no experiment is called "base"']


def test_the_last_experiment_can_not_go() -> None:
    text = '[[experiment]]\nname = "a"\n'
    assert refusal(text, remove(text, ["a"])) == [
        "e.toml: not changed: no experiment; add at least one [[experiment]] with a name"
    ]


def test_edit_queue_writes_what_is_right_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_text(FILE, encoding="utf-8")
    old, new = edit_queue(path, lambda text: hold(text, ["base"]))
    assert (old.text, path.read_text(encoding="utf-8")) == (FILE, new)
    with pytest.raises(ConfigError, match=r"e\.toml: x: no experiment"):
        edit_queue(path, lambda text: hold(text, ["x"]))
    with pytest.raises(ConfigError, match="not changed"):
        edit_queue(path, lambda text: set_values(text, ("experiment", "oe"), [Setting(("lr",), "0")]))
    assert path.read_text(encoding="utf-8") == new
