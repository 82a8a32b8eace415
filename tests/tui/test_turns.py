"""Whose turn it is, of names that come and go."""

import pytest
from runfolder import Lab

import tui.reading.evaluations
from goe.core.rundir import RunDir
from tui.reading.evaluations import Evaluations
from tui.reading.turns import Turns


def test_each_has_its_turn_before_any_has_its_second() -> None:
    names, turns = dict.fromkeys("abcde"), Turns()
    taken = [turns.take(names, 2) for _ in range(5)]
    assert sorted(name for each in taken for name in each) == sorted("abcde" * 2)
    assert not set(taken[0]) & set(taken[1])


def test_a_few_names_are_taken_all_and_once() -> None:
    turns = Turns()
    assert [sorted(turns.take(dict.fromkeys("ab"), 5)) for _ in range(3)] == [["a", "b"]] * 3
    assert turns.take({}, 5) == []


def test_names_that_went_have_no_turn_and_new_ones_have() -> None:
    turns = Turns()
    turns.take(dict.fromkeys("abcd"), 2)
    later = [name for _ in range(5) for name in turns.take(dict.fromkeys("bdx"), 1)]
    assert "x" in later
    assert not {"a", "c"} & set(later)


@pytest.fixture
def some(lab: Lab) -> list[RunDir]:
    runs = [lab.done("goe", seed) for seed in (1, 2, 3)]
    for run in runs:
        lab.result(run, 0.5)
    return runs


def test_a_new_result_is_found_by_turns_or_at_once_when_asked(
    lab: Lab, some: list[RunDir], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tui.reading.evaluations, "FOLDERS", 1)
    monkeypatch.setattr(tui.reading.evaluations, "FILES", 0)
    found = Evaluations(lab.runs, lab.queue)
    found.poll()
    for run in some:
        lab.result(run, 0.75)
    assert [found.poll() for _ in range(4)] == [True, True, True, False]
    assert found.reads == 6
    for run in some:
        lab.result(run, 0.875)
    found.hurry()
    assert found.poll()
    assert found.reads == 9


def test_a_result_altered_in_place_is_found_in_its_turn(
    lab: Lab, some: list[RunDir], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tui.reading.evaluations, "FOLDERS", 0)
    monkeypatch.setattr(tui.reading.evaluations, "FILES", 1)
    found = Evaluations(lab.runs, lab.queue)
    found.poll()
    (file,) = some[1].eval.glob("*.json")
    file.write_bytes(file.read_bytes().replace(b"0.5", b"0.625"))
    polls = [found.poll() for _ in range(3)]
    assert polls.count(True) == 1
    assert found.reads == 4
