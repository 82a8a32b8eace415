"""Line numbers of keys in TOML text."""

import pytest
import tomli

from goe.core.tomlpos import KeyPath, key_lines, layout, line_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# a = 1\n\na = 1", {("a",): 3}),
        ("a.b.c = 1\n", {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 1}),
        ("a . b = 1\n", {("a",): 1, ("a", "b"): 1}),
        ("[a.b]\nc = 1\n", {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 2}),
        ("\n[ a . 'b.c' ] # [x]\n", {("a",): 2, ("a", "b.c"): 2}),
        ("[a.b]\n[a]\nc = 1\n", {("a",): 1, ("a", "b"): 1, ("a", "c"): 3}),
        ('"a.b" = 1\n"=" = 2\n\'#\' = 3\n', {("a.b",): 1, ("=",): 2, ("#",): 3}),
        ('"" = 1\n', {("",): 1}),
        (r'"a\"b\u00e9" = 1', {('a"bé',): 1}),
        ('a = \'x # y\'\nb = "\\"]"\nc = 1', {("a",): 1, ("b",): 2, ("c",): 3}),
        ('a = """\n[b]\nc = 1 # \\"""\n"""""\nd = 1', {("a",): 1, ("d",): 5}),
        ("a = '''\nb = 1\\'''\nd = 1", {("a",): 1, ("d",): 3}),
        ('a = [""]\nb = """"""\nc = 1', {("a",): 1, ("a", 0): 1, ("b",): 2, ("c",): 3}),
        (
            "a = [ # ]\n  1,\n  [2,\n 3],\n]\nb = 1\n",
            {("a",): 1, ("a", 0): 2, ("a", 1): 3, ("a", 1, 0): 3, ("a", 1, 1): 4, ("b",): 6},
        ),
        (
            "a = [{b = 1},\n {c.d = 2}]",
            {("a",): 1, ("a", 0): 1, ("a", 0, "b"): 1, ("a", 1): 2, ("a", 1, "c"): 2, ("a", 1, "c", "d"): 2},
        ),
        ("a = 1979-05-27 07:32:00 # x\r\nb = +inf\r\n", {("a",): 1, ("b",): 2}),
        (
            "[[e]]\nn = 1\n[e.s]\nx = 1\n[[e]]\nn = 2\n[[e.t]]\n[[e.t]]\ny = 3\n",
            {
                ("e",): 1,
                ("e", 0): 1,
                ("e", 0, "n"): 2,
                ("e", 0, "s"): 3,
                ("e", 0, "s", "x"): 4,
                ("e", 1): 5,
                ("e", 1, "n"): 6,
                ("e", 1, "t"): 7,
                ("e", 1, "t", 0): 7,
                ("e", 1, "t", 1): 8,
                ("e", 1, "t", 1, "y"): 9,
            },
        ),
    ],
)
def test_lines(text: str, expected: dict[KeyPath, int]) -> None:
    tomli.loads(text)
    assert key_lines(text) == expected


def test_line_of_falls_back_to_the_table_around() -> None:
    lines = key_lines("a = 1\n[b]\nc = 1\n")
    assert line_of(lines, ("b", "c")) == 3
    assert line_of(lines, ("b", "d", "e")) == 2
    assert line_of(lines, ("x",)) is None
    assert line_of(lines, ()) is None


def test_headers_and_pairs_have_their_places() -> None:
    text = 'a . b = 1  # c\n[[e]]\n m = { n = [1], "o.p"= \'x\' }\n[ e.t ]\nq = """\n]"""\n'
    found = layout(text)
    assert [(header.path, text[header.start : header.end]) for header in found.headers] == [
        (("e", 0), "[[e]]"),
        (("e", 0, "t"), "[ e.t ]"),
    ]
    assert [
        (pair.path, pair.table, pair.inline, text[pair.start : pair.value], text[pair.value : pair.end])
        for pair in found.pairs
    ] == [
        (("a", "b"), (), False, "a . b = ", "1"),
        (("e", 0, "m"), ("e", 0), False, "m = ", "{ n = [1], \"o.p\"= 'x' }"),
        (("e", 0, "m", "n"), ("e", 0, "m"), True, "n = ", "[1]"),
        (("e", 0, "m", "o.p"), ("e", 0, "m"), True, '"o.p"= ', "'x'"),
        (("e", 0, "t", "q"), ("e", 0, "t"), False, "q = ", '"""\n]"""'),
    ]
