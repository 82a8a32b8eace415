"""Which code: digests and patches of a small checkout made here, with git itself as the judge."""

import os
import subprocess
from pathlib import Path

import pytest

from goe.core.code import CodeIdentity, Queued, change, code_patch, identify_code
from goe.core.config import complete
from goe.core.process import myself
from goe.core.provenance import code_warning
from goe.core.records import Launch
from goe.core.rundir import RunDir, read_json, write_json

GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    return subprocess.run(
        ["git", *identity, "-C", root, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **GIT},
    ).stdout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with one commit: `goe/a.py`, `goe/b.py`, `notes.md`."""
    found = tmp_path / "checkout"
    (found / "goe").mkdir(parents=True)
    for name in ("goe/a.py", "goe/b.py", "notes.md"):
        (found / name).write_text(f"{name}\n")
    git(found, "init", "-q")
    git(found, "add", ".")
    git(found, "commit", "-q", "-m", "first")
    return found


def test_a_clean_checkout(root: Path) -> None:
    code = identify_code(root / "goe")
    assert code.commit == git(root, "rev-parse", "HEAD").strip()
    assert code.diff_sha256 is None
    assert list(code.files) == ["a.py", "b.py"]
    assert code.files["a.py"] == "3a3f295888c9"  # sha256sum of "goe/a.py\n"
    assert code.label == code.commit[:7]
    assert code_patch(root) == b""
    (root / "notes.md").write_text("other notes\n")
    (root / "goe" / "__pycache__").mkdir()
    (root / "goe" / "__pycache__" / "a.pyc").write_bytes(b"\0")
    assert change(code, identify_code(root / "goe")) is None


def test_what_changed_is_told(root: Path) -> None:
    before = identify_code(root / "goe")
    assert before.commit is not None
    (root / "goe" / "a.py").write_text("other\n")
    (root / "goe" / "c.py").write_text("new\n")
    (root / "goe" / "b.py").unlink()
    now = identify_code(root / "goe")
    short = before.commit[:7]
    assert now.diff_sha256 is not None
    assert change(before, now) == (
        f"code changed between queueing and start: {short} -> {short}+{now.diff_sha256[:7]}, 3 files (a.py, b.py, c.py)"
    )
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "second")
    committed = identify_code(root / "goe")
    assert change(now, committed) is None, "the same files, whatever git calls them"


def test_a_patch_makes_the_same_code_elsewhere(root: Path, tmp_path: Path) -> None:
    (root / "goe" / "a.py").write_text("changed\n")
    (root / "goe" / "b.py").unlink()
    (root / "goe" / "new.py").write_text("new\n")
    (root / "goe" / "table.bin").write_bytes(bytes(range(256)))
    (root / "notes.md").write_text("no code\n")
    index = (root / ".git" / "index").read_bytes()
    patch = code_patch(root)
    assert (root / ".git" / "index").read_bytes() == index
    assert git(root, "status", "--short").splitlines() == [
        " M goe/a.py", " D goe/b.py", " M notes.md", "?? goe/new.py", "?? goe/table.bin",
    ]  # fmt: skip
    (tmp_path / "code.patch").write_bytes(patch)
    other = tmp_path / "other"
    git(root, "worktree", "add", "--detach", str(other), "HEAD")
    git(other, "apply", str(tmp_path / "code.patch"))
    assert identify_code(other / "goe").files == identify_code(root / "goe").files
    assert (other / "notes.md").read_text() == "notes.md\n"


def test_without_git(tmp_path: Path) -> None:
    (tmp_path / "goe").mkdir()
    (tmp_path / "goe" / "a.py").write_text("a\n")
    code = identify_code(tmp_path / "goe")
    assert (code.commit, code.diff_sha256, code_patch(tmp_path)) == (None, None, b"")
    assert code.label == f"{code.version} ({code.digest[:7]})"


def test_the_digest_is_of_names_and_contents() -> None:
    base = CodeIdentity(version="1", files={"a": "1", "b": "2"})
    assert base.digest == CodeIdentity(version="2", commit="c", files={"b": "2", "a": "1"}).digest
    assert base.digest != CodeIdentity(version="1", files={"a": "2", "b": "1"}).digest
    assert len(base.digest) == 12
    one = CodeIdentity(version="1", files={"a": "1"})
    assert change(base, one) == (
        f"code changed between queueing and start: 1 ({base.digest[:7]}) -> 1 ({one.digest[:7]}), 1 file (b)"
    )


def test_a_run_remembers_the_code_it_was_queued_with(tmp_path: Path) -> None:
    config = complete({"experiment": "x", "seed": 1}, lambda path, finding: pytest.fail(f"{path}: {finding}"))
    assert config is not None
    run = RunDir.create(tmp_path, config)
    queued = read_json(run.queued_file, Queued)
    now = identify_code()
    assert queued is not None
    assert queued.code == now
    assert code_warning(run, now) is None
    RunDir.create(tmp_path, config)
    assert read_json(run.queued_file, Queued) == queued, "written once"
    write_json(run.queued_file, Queued(queued=1.0, code=CodeIdentity(version="0", files={**now.files, "gone.py": "1"})))
    assert str(code_warning(run, now)).endswith("1 file (gone.py)")
    run.queued_file.write_text("{")
    assert str(code_warning(run, now)).startswith(f"{run.queued_file}: cut or altered")
    run.queued_file.unlink()
    assert code_warning(run, now) is None, "made by an older version: nobody knows"
    assert run.claim(Launch(attempt=1, launcher="local", supervisor=myself(), started=1.0))
