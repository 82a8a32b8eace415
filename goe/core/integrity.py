"""Whether a run's checkpoints are what their indexes say."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from goe.core.errors import RunError
from goe.core.inventory import index_files
from goe.core.records import CheckpointIndex
from goe.core.rundir import RunDir, read_json
from goe.core.thresholds import SUFFIX, Thresholds

WEIGHTS = ".safetensors"


@dataclass(frozen=True, slots=True)
class Finding:
    """One file of `checkpoints/`."""

    run_id: str
    file: str
    text: str = "whole"
    bad: bool = False
    """Whether something is lost; a file that nobody needs is not."""


def verify(run: RunDir) -> list[Finding]:
    """Every file of the run's checkpoints against the indexes' digests; those no index names are named too."""
    indexes = {path: read_index(path) for path in index_files(run.checkpoints)}
    findings: dict[str, Finding] = {}
    named: dict[tuple[str, str], list[str]] = {}
    for path, index in indexes.items():
        text = index if isinstance(index, str) else "whole"
        findings[path.name] = Finding(run.run_id, path.name, text, bad=text != "whole")
        for pair in files_of(index).items() if not isinstance(index, str) else ():
            named.setdefault(pair, []).append(path.name)
    for (name, digest), namers in named.items():
        damage = _damage(run.checkpoints / name, digest)
        if damage and any(read_index(run.checkpoints / namer) != indexes[run.checkpoints / namer] for namer in namers):
            return verify(run)  # training went on meanwhile and replaced it
        if damage or name not in findings:
            text = f"{damage}; named by {', '.join(namers)}" if damage else "whole"
            findings[name] = Finding(run.run_id, name, text, bad=bool(damage))
    whole = {path: index for path, index in indexes.items() if not isinstance(index, str)}
    digests = {index.weights.removesuffix(WEIGHTS) + SUFFIX: index.weights_sha256 for index in whole.values()}
    for path in files_in(run.checkpoints):
        if path.name in digests:
            findings[path.name] = _thresholds(run, path, digests[path.name])
        elif path.name not in findings:
            known = "no index" if len(whole) == len(indexes) else "no index that can be read"
            findings[path.name] = Finding(run.run_id, path.name, f"named by {known}")
    return list(findings.values())


def _thresholds(run: RunDir, path: Path, digest: str) -> Finding:
    try:
        found = read_json(path, Thresholds)
    except RunError as error:
        return Finding(run.run_id, path.name, f"{error}; `goe eval` writes it anew", bad=True)
    if found is not None and found.weights_sha256 != digest:
        return Finding(run.run_id, path.name, "of other weights; `goe eval` writes it anew")
    return Finding(run.run_id, path.name)


def read_index(path: Path) -> CheckpointIndex | str:
    """The index, or why it can't be read."""
    try:
        return read_json(path, CheckpointIndex) or "removed just now"
    except RunError as error:
        return str(error)


def files_of(index: CheckpointIndex) -> dict[str, str]:
    """The data files an index names, with their SHA-256."""
    return {index.weights: index.weights_sha256, index.state: index.state_sha256}


def _damage(path: Path, digest: str) -> str:
    """What is wrong with a data file; empty if it is whole."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256")
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    return "" if found.hexdigest() == digest else "cut or altered: its SHA-256 is another"


def files_in(folder: Path) -> list[Path]:
    """Its files by name; none where there is no such folder."""
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
