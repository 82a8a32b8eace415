"""Edits of several experiments at once: as if each was done alone, in the order that keeps them beside each other."""

from pathlib import Path

import pytest

from goe.core.errors import ConfigError
from goe.core.queueedit import add, edit_queue, names_of
from goe.core.queuehistory import History
from goe.core.queuemany import Way, move_together, step_priority, turn_hold

TEXT = "".join(f'# of {name}\n[[experiment]]\nname = "{name}"\n\n' for name in "abcde")


@pytest.mark.parametrize(
    ("names", "way", "order"),
    [
        ("b", "up", "bacde"),
        ("bc", "up", "bcade"),
        ("abd", "up", "abdce"),
        ("ab", "up", "abcde"),
        ("bd", "down", "acbed"),
        ("bde", "down", "acbde"),
        ("de", "down", "abcde"),
        ("ce", "first", "ceabd"),
        ("ac", "last", "bdeac"),
    ],
)
def test_move_together(names: str, way: Way, order: str) -> None:
    moved = move_together(TEXT, names, way)
    assert "".join(names_of(moved)) == order
    assert sorted(moved) == sorted(TEXT)
    assert all(f'# of {name}\n[[experiment]]\nname = "{name}"\n' in moved for name in "abcde")


def test_hold_turns_for_all_alike() -> None:
    held = turn_hold(TEXT, ["a"])
    both = turn_hold(held, ["a", "b"])
    assert (held.count("hold"), both.count("hold = true")) == (1, 2)
    assert turn_hold(both, ["a", "b"]) == TEXT


def test_priority_steps_from_what_each_has() -> None:
    text = "[defaults]\npriority = 2\n\n" + TEXT.replace('name = "b"\n', 'name = "b"\npriority = -1\n')
    assert step_priority(text, ["a", "b"], 1).count("priority = 3") == 1
    assert "priority = 0\n" in step_priority(text, ["a", "b"], 1)


def test_a_first_experiment_makes_the_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    history = History(path)
    assert history.text() == ""
    history.apply(lambda text: add(text, "a"), "add a")
    assert path.read_text() == '[[experiment]]\nname = "a"\n'
    path.unlink()

    def late(text: str) -> str:
        path.write_text("# by hand\n")
        return add(text, "a")

    with pytest.raises(ConfigError, match="changed under us"):
        history.apply(late, "add a")
    assert path.read_text() == "# by hand\n"
    with pytest.raises(ConfigError, match="no such file"):
        edit_queue(tmp_path / "none.toml", lambda text: add(text, "a"))
    with pytest.raises(ConfigError, match="can't be written"):
        History(tmp_path / "no" / "folder.toml").apply(lambda text: add(text, "a"), "add a")
