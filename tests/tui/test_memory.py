"""What the dashboard remembers between two visits, and that damage costs no more than that."""

from pathlib import Path

import msgspec
import pytest

from tui.memory import Memory, memory_file


class Look(msgspec.Struct, kw_only=True):
    """A screen's."""

    sort: str = "name"
    columns: tuple[str, ...] = ()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "goe" / "lab.json"


def test_a_look_comes_back(file: Path) -> None:
    first = Memory(file)
    assert first.load("runs", Look) == Look()
    first.store("runs", Look(sort="loss", columns=("epoch",)))
    first.store("results", Look(sort="auroc"))
    again = Memory(file)
    assert again.load("runs", Look) == Look(sort="loss", columns=("epoch",))
    assert again.load("results", Look) == Look(sort="auroc")


@pytest.mark.parametrize("data", [b"", b"{ cut", b"[]", b'{"runs": 3}', b'{"runs": {"sort": 3}}', b"\xff"])
def test_damage_is_forgotten(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    memory = Memory(file)
    assert memory.load("runs", Look) == Look()
    memory.store("runs", Look(sort="loss"))
    assert Memory(file).load("runs", Look).sort == "loss"


def test_without_a_place_nothing_outlives_the_visit(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    for memory in (Memory(None), Memory(blocked / "lab.json")):
        memory.store("runs", Look(sort="loss"))
        assert memory.load("runs", Look).sort == "loss"


def test_each_folder_has_a_file_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    one, two = memory_file(Path("/a/lab/runs")), memory_file(Path("/b/lab/runs"))
    assert one.parent == two.parent == Path("/state/goe")
    assert one != two
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert memory_file(Path("/a/lab/runs")).parent == Path("/home/me/.local/state/goe")
