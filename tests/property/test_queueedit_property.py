"""Edits of queue files in every style a person may write: what is not named stays byte for byte."""

import random
from pathlib import Path
from typing import Any

import tomli
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from goe.core.config import spell_out
from goe.core.errors import ConfigError
from goe.core.jobs import Job
from goe.core.queueedit import add, check_edit, duplicate, hold, move, release, remove, set_values, unset
from goe.core.queuefile import Queue, parse_queue
from goe.core.setting import parse_setting

FILE = Path("experiments.toml")
NAMES = ("a", "b-2", "c.d", "e_f")
RNG = st.randoms(use_true_random=False)
METHODS = {
    "none": [],
    "word": ['method = "goe"'],
    "inline": ['method = { name = "goe", filter = { k = 3, strategy = "topk" } }'],
    "flat": ["method={name='goe',filter.k=3}"],
    "dotted": ['method.name = "goe"', "method . filter.k = 3", "method.'filter'.estimation = 'msp'"],
    "wide": ["method = {", '  name = "goe", # = {', "  filter = { k = 3 }, # k = 3", "}"],
    "tight": ["method = {}"],
}
TABLES = {
    "none": [],
    "method": ["[experiment.method]", 'name = "goe"', "filter.k = 3"],
    "filter": ["[ experiment . method.filter ]", "k = 3"],
    "both": ["[experiment.method]", 'name = "goe"', "[experiment.method.filter]", "k=3"],
}
OUTLIERS = {
    "none": [],
    "word": ["outliers = 'china'"],
    "inline": ['outliers = { source = "china", size = 64 }'],
    "dotted": ["outliers.size = 64"],
}
EXTRAS = ["lr = 0.1", "epochs=3", "seeds = [\n  1, # [[experiment]]\n  2,\n]", '"augment"= false', "scores = ['msp']"]
QUEUES = [[], ["[queue]", "slots = 2"], ["queue = { slots = 2 }"], ["queue.slots = 2"]]
DEFAULTS = [
    ["[defaults]", "epochs = 5", "method.filter.k = 2"],
    ["[defaults]", "model = 'wrn-10-1'", "[defaults.method]", 'name = "oe"'],
    ['defaults = { epochs = 5, method = "oe" }'],
    [],
]
SETTINGS = [
    "lr=0.025",
    "epochs=7",
    "priority=-3",
    "hold=true",
    "method.filter.k=1",
    "method.filter.quantile=0.5",
    "method.forward=separate",
    "outliers.size=32",
    "outliers.contamination=0.25",
    "retry.nccl=9",
]


class Writer:
    """Writes a file in pieces, so that a test knows on its own account which text is whose."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.loose = rng.random() < 0.7  # blank lines between tables, comments below them
        self.pieces: list[tuple[str, str]] = []

    def write(self) -> None:
        if self.rng.random() < 0.3:
            self.put("", "#:schema ./x.json\n")
        queue, defaults = self.rng.choice(QUEUES), self.rng.choice(DEFAULTS)
        tables = [lines for lines in (queue, defaults) if lines]
        for lines in sorted(tables, key=lambda lines: lines[0].startswith("[")):  # keys before all headers
            self.put("", self.lines(lines))
            self.gap()
        last = self.rng.random() < 0.2 and not defaults
        for place, name in enumerate(NAMES[: self.rng.randint(1, 4)]):
            if place == 1 and last:
                self.put("", self.lines(["[defaults]", "epochs = 4"]))
                self.gap()
            self.experiment(name)
            self.gap()
        self.put("", self.rng.choice(["", "\n\n", "\n# the end\n", "\n# no line end"]) if self.loose else "")
        owner, text = self.pieces[-1]
        if self.rng.random() < 0.2:
            self.pieces[-1] = owner, text.rstrip("\n")

    def put(self, owner: str, text: str) -> None:
        self.pieces.append((owner, text))

    def gap(self) -> None:
        self.put("", self.rng.choice(["\n", "\n\n\n", "\n# of nobody\n\n", " \t\n"]) if self.loose else "")

    def experiment(self, name: str) -> None:
        method = self.rng.choice([*METHODS])
        table = self.rng.choice([*TABLES]) if method == "none" else "none"
        lines = [f'name = "{name}"', *self.rng.choice([*OUTLIERS.values()])]
        lines += self.rng.sample(EXTRAS, self.rng.randint(0, 3))
        self.rng.shuffle(lines)
        above = "# about it\n" * self.rng.randint(0, 2)
        below = self.rng.choice(["", "# lr = 9\n"]) if self.loose else ""
        body = self.lines([self.rng.choice(["[[experiment]]", "  [[ experiment ]]"]), *lines])
        self.put(name, above + body + self.lines(METHODS[method], whole=True) + self.lines(TABLES[table]) + below)

    def lines(self, lines: list[str], *, whole: bool = False) -> str:
        text = ""
        for line in lines:
            if text and not whole:
                text += self.rng.choice(["", "", "", "\n", "# among\n", "  # [x]\n\n"])
            text += line + ("" if whole else self.rng.choice(["", "", "  # beside", "\t#"])) + "\n"
        return text

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.pieces)

    @property
    def names(self) -> list[str]:
        return [owner for owner, _ in self.pieces if owner]

    def around(self, name: str) -> tuple[str, str]:
        """All that is written before and after an experiment."""
        at = [owner for owner, _ in self.pieces].index(name)
        return "".join(text for _, text in self.pieces[:at]), "".join(text for _, text in self.pieces[at + 1 :])


@st.composite
def files(draw: st.DrawFn) -> Writer:
    writer = Writer(draw(RNG))
    writer.write()
    parse_queue(writer.text, FILE)  # else it is the writer that is wrong
    return writer


def jobs(text: str, name: str) -> list[Job]:
    found: Queue = parse_queue(text, FILE)
    return [job for job in found.jobs if job.config.experiment == name]


def entry(text: str, name: str) -> dict[str, Any]:
    found = [spell_out(table) for table in tomli.loads(text)["experiment"] if table["name"] == name]
    assert len(found) == 1
    return found[0]


@settings(deadline=None, max_examples=200)
@given(writer=files(), data=st.data())
def test_what_is_set_is_read_back_and_nothing_else_changes(writer: Writer, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(writer.names))
    setting = parse_setting(data.draw(st.sampled_from(SETTINGS)))
    old = writer.text
    new = set_values(old, ("experiment", name), [setting])
    found: Any = entry(new, name)
    for part in setting.key:
        found = found[part]
    assert found == setting.value

    before, after = writer.around(name)
    assert new.startswith(before)
    assert new.endswith(after)
    rows, changed = old.split("\n"), new.split("\n")
    at = next(at for at, row in enumerate(changed) if at >= len(rows) or row != rows[at])
    if len(changed) == len(rows):
        assert rows[:at] + rows[at + 1 :] == changed[:at] + changed[at + 1 :]
        assert changed[at].endswith(("  # beside", "\t#")) == rows[at].endswith(("  # beside", "\t#"))
    else:
        assert changed[:at] + changed[at + 1 :] == rows
        assert changed[at].strip() == f"{'.'.join(setting.key)} = {setting.toml}" or changed[at].strip() in {
            f"{'.'.join(setting.key[start:])} = {setting.toml}" for start in range(1, len(setting.key))
        }
    try:
        check_edit(old, new, FILE)
    except ConfigError:
        return  # does not go together, as a quantile with a method that filters nothing
    assert [job.config.seed for job in jobs(new, name)] == [job.config.seed for job in jobs(old, name)]


@settings(deadline=None, max_examples=100)
@given(writer=files(), setting=st.sampled_from(SETTINGS), data=st.data())
def test_a_new_key_taken_out_again_leaves_the_original(writer: Writer, setting: str, data: st.DataObject) -> None:
    name, chosen = data.draw(st.sampled_from(writer.names)), parse_setting(setting)
    assume(chosen.key[0] not in entry(writer.text, name))
    new = set_values(writer.text, ("experiment", name), [chosen])
    assert unset(new, ("experiment", name), [chosen.key]) == writer.text


@settings(deadline=None, max_examples=100)
@given(writer=files(), data=st.data())
def test_taken_out_keys_are_gone_and_nothing_else(writer: Writer, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(writer.names))
    key = data.draw(st.sampled_from(sorted(set(entry(writer.text, name)) - {"name"}) or ["name"]))
    new = unset(writer.text, ("experiment", name), [(key,)])
    before, after = writer.around(name)
    assert new.startswith(before)
    assert new.endswith(after)
    table = tomli.loads(writer.text)
    for each in table["experiment"]:
        if each["name"] == name:
            del each[key]
    assert tomli.loads(new) == table


@settings(deadline=None, max_examples=100)
@given(writer=files(), data=st.data())
def test_hold_and_release_give_the_original(writer: Writer, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(writer.names), unique=True, min_size=1))
    held = hold(writer.text, names)
    assert {job.config.experiment for job in parse_queue(held, FILE).jobs if job.options.hold} == set(names)
    assert release(held, names) == writer.text


@settings(deadline=None, max_examples=150)
@given(writer=files(), data=st.data())
def test_move_there_and_back_gives_the_original(writer: Writer, data: st.DataObject) -> None:
    names = writer.names
    name = data.draw(st.sampled_from(names))
    where = data.draw(st.sampled_from(["up", "down", "first", "last", "before", "after"]))
    other = data.draw(st.sampled_from(names)) if where in {"before", "after"} else ""
    moved = move(writer.text, name, where, other)
    table = tomli.loads(writer.text)
    entries = {each["name"]: each for each in table["experiment"]}
    order = [each["name"] for each in tomli.loads(moved)["experiment"]]
    assert tomli.loads(moved) == {**table, "experiment": [entries[each] for each in order]}
    assert [each for each in order if each != name] == [each for each in names if each != name]
    at = names.index(name)
    assert move(moved, name, *(("first", "") if not at else ("after", names[at - 1]))) == writer.text
    texts = dict(writer.pieces)
    assert all(texts[each].rstrip("\n") in moved for each in names)


@settings(deadline=None, max_examples=150)
@given(writer=files(), data=st.data())
def test_add_and_rm_give_the_original(writer: Writer, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(writer.names))
    side = data.draw(st.sampled_from(["end", "before", "after", "copy"]))
    place = {side: name} if side in {"before", "after"} else {}
    new = (
        duplicate(writer.text, name, "new")
        if side == "copy"
        else add(writer.text, "new", [parse_setting("lr=0.5")], **place)
    )
    expected = list(writer.names)
    index = {"end": len(expected), "before": expected.index(name)}.get(side, expected.index(name) + 1)
    expected.insert(index, "new")
    assert [each["name"] for each in tomli.loads(new)["experiment"]] == expected
    check_edit(writer.text, new, FILE)
    if side == "copy":
        assert entry(new, "new") == {**entry(writer.text, name), "name": "new"}
    else:
        assert entry(new, "new") == {"name": "new", "lr": 0.5}
    assert remove(new, ["new"]) == writer.text


@settings(deadline=None, max_examples=100)
@given(writer=files(), data=st.data())
def test_rm_takes_out_the_experiment_and_nothing_else(writer: Writer, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(writer.names))
    new = remove(writer.text, [name])
    before, after = writer.around(name)
    assert new.split() == (before + "\n" + after).split()  # all but blank lines
    table = tomli.loads(writer.text)
    table["experiment"] = [each for each in table["experiment"] if each["name"] != name]
    assert tomli.loads(new) == {key: value for key, value in table.items() if value or key != "experiment"}


@settings(deadline=None, max_examples=100)
@given(writer=files(), data=st.data())
def test_windows_line_ends_stay(writer: Writer, data: st.DataObject) -> None:
    text, name = writer.text, data.draw(st.sampled_from(writer.names))
    assume("\n" in text)
    edits = [
        lambda text: set_values(text, ("experiment", name), [parse_setting("method.filter.k=1")]),
        lambda text: set_values(text, ("queue",), [parse_setting("grace=5")]),
        lambda text: set_values(text, ("defaults",), [parse_setting("seeds=[4]")]),
        lambda text: add(text, "new", [parse_setting("lr=0.5")]),
        lambda text: duplicate(text, name, "new"),
        lambda text: move(text, name, "first"),
        lambda text: remove(text, [name]),
        lambda text: release(hold(text, [name]), [name]),
    ]
    edit = data.draw(st.sampled_from(edits))
    windows = edit(text.replace("\n", "\r\n"))
    assert windows == edit(text).replace("\n", "\r\n")
