"""Which code a run is computed by: the files of the package, and what git says of the checkout they are in."""

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from msgspec import Struct

PACKAGE = Path(__file__).resolve().parent.parent
ROOT = PACKAGE.parent
PARTS = ("goe", "tui", "cli.py", "pyproject.toml")
"""Of a checkout, what a patch is made of: all that runs, and no queue file or notes."""
_DIFF = ("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
_HEX = 12
_GIT_S = 20


class CodeIdentity(Struct, frozen=True, kw_only=True):
    """The code at one moment. Two are the same code where `digest` is the same."""

    version: str
    """Of the package."""
    commit: str | None = None
    """Of git; None for an installed package."""
    diff_sha256: str | None = None
    """Of the uncommitted changes, new files among them; None without any."""
    files: dict[str, str] = {}
    """Beginning of the SHA-256 of each file of the package `goe`."""

    @property
    def digest(self) -> str:
        """12 hex digits of all files."""
        return hashlib.sha256(repr(sorted(self.files.items())).encode()).hexdigest()[:_HEX]

    @property
    def label(self) -> str:
        """`6ff7014`, `6ff7014+1a2b3c4` with uncommitted changes, `0.1.0 (1a2b3c4)` without git."""
        if self.commit is None:
            return f"{self.version} ({self.digest[:7]})"
        return self.commit[:7] + (f"+{self.diff_sha256[:7]}" if self.diff_sha256 else "")


class Queued(Struct, frozen=True, kw_only=True):
    """`queued.json`: written with the run's directory, by the queue or `goe train`."""

    queued: float
    """Unix time."""
    code: CodeIdentity


def identify_code(package: Path = PACKAGE) -> CodeIdentity:
    """The code as it lies on the disk now, which is what a process started now runs."""
    stamps = tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in _files(package))
    return _identity(package, stamps)


@functools.lru_cache(maxsize=4)
def _identity(package: Path, stamps: tuple[tuple[Path, int, int], ...]) -> CodeIdentity:
    root = package.parent
    patch = code_patch(root)
    return CodeIdentity(
        version=installed_version(),
        commit=_commit(root),
        diff_sha256=hashlib.sha256(patch).hexdigest() if patch else None,
        files={
            path.relative_to(package).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:_HEX]
            for path, _, _ in stamps
        },
    )


def change(before: CodeIdentity, now: CodeIdentity) -> str | None:
    """What a user is told when a run is not started by the code it was queued with; None if it is."""
    names = sorted(
        name for name in before.files.keys() | now.files.keys() if before.files.get(name) != now.files.get(name)
    )
    if not names:
        return None
    some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    count = f"{len(names)} file{'s' if len(names) > 1 else ''}"
    return f"code changed between queueing and start: {before.label} -> {now.label}, {count} ({some})"


def code_patch(root: Path = ROOT) -> bytes:
    """The checkout's uncommitted changes of PARTS as a patch for `git apply`; empty without any, or without git.

    New files are in it. The index stays as it is: git is given a copy of it.
    """
    if _commit(root) is None:
        return b""
    parts = [part for part in PARTS if (root / part).exists()]
    place = _git(root, "rev-parse", "--git-path", "index")
    with tempfile.TemporaryDirectory(prefix="goe-index-") as folder:
        index = Path(folder) / "index"
        if place is not None and (root / place.decode().strip()).exists():
            shutil.copy(root / place.decode().strip(), index)
        _git(root, "add", "--intent-to-add", "--", *parts, index=index)
        return _git(root, "diff", *_DIFF, "HEAD", "--", *parts, index=index) or b""


def _commit(root: Path) -> str | None:
    """The checkout's commit; None if `root` is none itself: a package may lie in somebody else's checkout."""
    found = _git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    return found.decode().strip() if found else None


def _git(root: Path, *arguments: str, index: Path | None = None) -> bytes | None:
    env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"} | ({"GIT_INDEX_FILE": str(index)} if index else {})
    try:
        return subprocess.run(
            ["git", "-C", root, *arguments], capture_output=True, check=True, timeout=_GIT_S, env=env
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def _files(package: Path) -> list[Path]:
    return sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def installed_version() -> str:
    """Of the package `goe` as it is installed now; `unknown` where nobody installed it."""
    import importlib.metadata  # 20 ms that only whoever makes a run should wait for

    try:
        return importlib.metadata.version("goe")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
