"""The form of an experiment without a screen: what it shows of the file, and what its answers write."""

from pathlib import Path

import pytest

from goe.core.errors import ConfigError
from goe.core.queueentries import entries_of, lines_of
from goe.core.queuehistory import History
from goe.core.queuekeys import experiment_keys
from tui.screens.entryform import EntryForm, free_name

TEXT = """[defaults]
outliers.source = "china"

[[experiment]]
name = "a"
seeds = [
  1,  # the first
  2,
]
dataset = 'digits'
model = "wrn-10-1"
sweep = { lr = [0.1] }

[experiment.method]
name = "oe"
weight = 0.5

[[experiment]]
name = "b"
"""


@pytest.fixture
def history(tmp_path: Path) -> History:
    path = tmp_path / "e.toml"
    path.write_text(TEXT)
    return History(path)


def shown(form: EntryForm) -> dict[str, str]:
    return {field.name: field.value for field in form.form().fields}


def test_values_are_shown_on_one_line_and_written_back_only_if_changed(history: History) -> None:
    form = EntryForm(history, TEXT, "a")
    values = shown(form)
    assert values == {
        "name": "a",
        "dataset": "'digits'",  # the bare word would be written with other quotes
        "model": "wrn-10-1",
        "seeds": "[1, 2]",
        "epochs": "",
        "sweep": "{ lr = [0.1] }",
        "method.name": "oe",
        "method.weight": "0.5",
    }
    assert form.edit(values)(TEXT) == TEXT
    assert form.edit({**values, "method.weight": "0.7"})(TEXT) == TEXT.replace("0.5", "0.7")
    assert form.edit({**values, "seeds": "[3]"})(TEXT).count("# the first") == 0


def test_findings_stand_at_their_fields(history: History) -> None:
    form = EntryForm(history, TEXT, "a").form()
    values = {field.name: field.value for field in form.fields}
    assert form.check(values) == {}
    assert form.check({**values, "seeds": "[1, 1]"}).keys() == {"seeds"}
    assert form.check({**values, "method.weight": "-1", "epochs": "no"}).keys() == {"method.weight", "epochs"}
    assert form.check({**values, "name": "a b"}).keys() == {"name"}
    assert form.check({**values, "name": "b"}).keys() <= {"name", ""}
    assert form.check({**values, "name": ""})
    assert form.check({**values, "not a key": "3"}).keys() == {""}
    assert form.apply({**values, "epochs": "0"}).keys() == {"epochs"}
    assert history.path.read_text() == TEXT
    new = EntryForm(history, TEXT).form()
    assert "called so already" in new.check({"name": "b"})[""]


def test_what_somebody_else_wrote_meanwhile_is_written_over_only_once_that_was_said(history: History) -> None:
    form = EntryForm(history, TEXT, "a").form()
    values = {field.name: field.value for field in form.fields}
    mine = {**values, "method.weight": "0.7", "sweep": "", "model": "wrn-40-2"}
    theirs = (
        TEXT.replace("0.5", "0.6")
        .replace("sweep = { lr = [0.1] }\n", "")
        .replace("'digits'", "'cifar10'")
        .replace('model = "wrn-10-1"\n', "")
    )
    history.path.write_text(theirs)
    assert form.apply(mine) == {
        "method.weight": "saved meanwhile as 0.6; enter again writes over it",
        "model": "taken out of the file meanwhile; enter again writes it",
    }
    assert history.path.read_text() == theirs
    assert form.check(mine) == {}
    assert form.apply(mine) == {}
    (entry, _) = entries_of(history.path.read_text())
    assert entry.written("method.weight") == "0.7"
    assert entry.written("model") == '"wrn-40-2"'
    assert entry.written("dataset") == "'cifar10'"


def test_an_experiment_that_was_taken_out_meanwhile_is_not_edited(history: History) -> None:
    form = EntryForm(history, TEXT, "b").form()
    history.path.write_text(TEXT.replace('[[experiment]]\nname = "b"\n', ""))
    assert "b" in form.apply({"name": "b", "epochs": "3"})[""]
    assert "epochs" not in history.path.read_text()


def test_every_key_can_be_completed() -> None:
    keys = experiment_keys()
    assert keys["method"].words == ("baseline", "oe", "energy-oe", "mixoe", "udg", "goe")
    assert keys["hold"].words == ("true", "false")
    assert "topk" in keys["method.filter.strategy"].words
    assert keys["priority"].about
    assert "sweep" in keys


def test_entries_and_their_lines() -> None:
    assert [(each.name, each.line) for each in entries_of(TEXT)] == [("a", 4), ("b", 18)]
    lines = lines_of(TEXT, "a")
    assert [lines[number] for number in (4, 5, 6, 7, 9, 10)] == ["name", "name", "seeds", "seeds", "seeds", "dataset"]
    assert lines[16] == "method.weight"
    with pytest.raises(ConfigError, match="line 1: not valid TOML"):
        entries_of("[[")
    assert entries_of("experiment = [3]")[0].name == ""
    assert free_name('[[experiment]]\nname = "a"\n[[experiment]]\nname = "a-2"\n', "a") == "a-3"


def test_edits_are_taken_back_in_their_order(history: History) -> None:
    history.apply(lambda text: text + "# one\n", "one")
    history.apply(lambda text: text + "# two\n", "two")
    assert history.apply(lambda text: text, "nothing") is False
    assert (history.undo(), history.undo()) == ("two", "one")
    assert history.path.read_text() == TEXT
    with pytest.raises(ConfigError, match="nothing to undo"):
        history.undo()
    history.apply(lambda text: text + "# three\n", "three")
    history.path.write_text("# mine\n")
    with pytest.raises(ConfigError, match="saved by somebody else since «three»"):
        history.undo()
    assert history.path.read_text() == "# mine\n"
