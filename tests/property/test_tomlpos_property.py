"""Every key that tomli finds has its line, in TOML written in every style the format allows."""

import json
import random
from datetime import date
from typing import Any

import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from goe.core.tomlpos import KeyPath, key_lines, layout

# Characters that could lead a scanner astray, and some that could not.
TEXT = st.text(st.sampled_from("ab=#[]{}.,'\" \\\n\tné"), max_size=8)
KEYS = TEXT | st.sampled_from(["a", "b", "lr", "a-b", "1", "true", "method.filter.k"])
SCALARS = st.one_of(
    TEXT,
    st.booleans(),
    st.integers(-1000, 1000),
    st.floats(allow_nan=False),
    st.dates(date(1, 1, 1)),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=5)


class Writer:
    """Writes a document in random styles and notes, on its own account, the line of each key."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def note(self, path: KeyPath) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def maybe(self, *choices: str) -> None:
        self.text += self.rng.choice(["", *choices])

    def blank(self) -> None:
        self.maybe("\n", "# [a] = \"x\" '''\n", "  \t", "\n\n# ]}\n")

    def key(self, name: str) -> str:
        styles = [json.dumps(name, ensure_ascii=self.rng.random() < 0.5)]
        if name and all(char.isascii() and (char.isalnum() or char in "-_") for char in name):
            styles.append(name)
        if not set(name) & set("'\n"):
            styles.append(f"'{name}'")
        return self.rng.choice(styles)

    def keys(self, table: KeyPath, names: tuple[str, ...]) -> None:
        for end in range(1, len(names) + 1):
            self.note((*table, *names[:end]))
        self.text += self.rng.choice([".", " . "]).join(self.key(name) for name in names)

    def table(self, path: KeyPath, table: dict[str, Any], header: str) -> None:
        """Pairs first, then what gets a header of its own."""
        later: list[tuple[str, Any]] = []
        for name, value in table.items():
            tables = [value] if isinstance(value, dict) else value if isinstance(value, list) else []
            if tables and all(isinstance(entry, dict) for entry in tables) and self.rng.random() < 0.6:
                later.append((name, value))
            else:
                self.blank()
                self.pair(path, (name,), value)
                self.maybe("  # = [", "\t", "#", ' # """\'')
                self.text += "\n"
        for name, value in later:
            for place, entry in enumerate(value if isinstance(value, list) else [value]):
                self.blank()
                inner = (*path, name, place) if isinstance(value, list) else (*path, name)
                # A header may begin a line only, and tells all its tables.
                full = f"{header}{self.rng.choice([' . ', '.']) if header else ''}{self.key(name)}"
                self.note((*path, name))
                self.note(inner)
                self.text += f"[[ {full}]]" if isinstance(value, list) else f"[{full} ]"
                self.maybe(" # [", " ")
                self.text += "\n"
                self.table(inner, entry, full)

    def pair(self, table: KeyPath, names: tuple[str, ...], value: Any) -> None:
        if isinstance(value, dict) and len(value) == 1 and self.rng.random() < 0.5:  # a dotted key
            ((name, inner),) = value.items()
            self.pair(table, (*names, name), inner)
            return
        self.keys(table, names)
        self.text += self.rng.choice(["=", " = ", "\t= "])
        self.value((*table, *names), value)

    def value(self, path: KeyPath, value: Any) -> None:
        if isinstance(value, dict):
            self.text += "{"
            for place, (name, inner) in enumerate(value.items()):
                self.text += "," if place else ""
                self.maybe(" ")
                self.pair(path, (name,), inner)
            self.text += "}"
        elif isinstance(value, list):
            self.text += "["
            for place, inner in enumerate(value):
                self.text += "," if place else ""
                self.blank()
                self.note((*path, place))
                self.value((*path, place), inner)
            if value:
                self.maybe(",", "\n", ", # ]\n")
            self.text += "]"
        else:
            self.text += self.string(value) if isinstance(value, str) else self.plain(value)

    def plain(self, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        return value.isoformat() if isinstance(value, date) else repr(value)

    def string(self, text: str) -> str:
        lines = "\n".join(json.dumps(line)[1:-1] for line in text.split("\n"))
        styles = [json.dumps(text), f'"""\n{lines}"""']
        if not text.endswith('"') and '"""' not in text:
            styles.append('"""\\\n\n' + text.lstrip(" \n\t").replace("\\", "\\\\") + '"""')
            styles = styles if text == text.lstrip(" \n\t") else styles[:2]
        if not set(text) & set("'\n"):
            styles.append(f"'{text}'")
        if "'''" not in text:
            styles.append(f"'''\n{text}'''")
        return self.rng.choice(styles)


@settings(deadline=None, max_examples=150)
@given(document=DOCUMENTS, rng=st.randoms(use_true_random=False))
def test_every_key_has_the_line_it_was_written_on(document: dict[str, Any], rng: random.Random) -> None:
    writer = Writer(rng)
    writer.table((), document, "")
    assert tomli.loads(writer.text) == document  # else it is the writer that is wrong
    assert key_lines(writer.text) == writer.lines
    rows = writer.text.split("\n")
    for path in paths(document):
        row = rows[writer.lines[path] - 1]
        key = str(path[-1])
        assert isinstance(path[-1], int) or any(
            form in row for form in (key, json.dumps(key)[1:-1], json.dumps(key, ensure_ascii=False)[1:-1])
        )


@settings(deadline=None, max_examples=50)
@given(document=DOCUMENTS, rng=st.randoms(use_true_random=False))
def test_windows_line_ends_change_nothing(document: dict[str, Any], rng: random.Random) -> None:
    writer = Writer(rng)
    writer.table((), document, "")
    assert key_lines(writer.text.replace("\n", "\r\n")) == writer.lines


@settings(deadline=None, max_examples=150)
@given(document=DOCUMENTS, rng=st.randoms(use_true_random=False))
def test_every_pair_is_cut_out_as_toml_of_its_own(document: dict[str, Any], rng: random.Random) -> None:
    writer = Writer(rng)
    writer.table((), document, "")
    found = layout(writer.text)
    for pair in found.pairs:
        value: Any = document
        for part in pair.path:
            value = value[part]
        alone: Any = tomli.loads(writer.text[pair.start : pair.end])
        for part in pair.path[len(pair.table) :]:
            alone = alone[part]
        assert alone == value
        assert tomli.loads(f"x = {writer.text[pair.value : pair.end]}") == {"x": value}
    assert len({pair.path for pair in found.pairs}) == len(found.pairs)
    assert {header.path for header in found.headers} | {pair.path for pair in found.pairs} <= set(paths(document))


def paths(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    """The path of everything inside `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [inner for key, item in items for inner in ((*path, key), *paths(item, (*path, key)))]
