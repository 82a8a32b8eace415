"""Whether a set on the disk is what was published, as far as anybody can tell."""

from dataclasses import dataclass
from pathlib import Path

from goe.core.errors import DataError
from goe.data.bundles import bundle_lists
from goe.data.download import verify_file
from goe.data.imagelist import read_list
from goe.data.registry import DataSet
from goe.data.store import manifest, missing

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comparing gave."""

    faults: tuple[str, ...] = ()
    """What is wrong, a line each, the last of them with what to do."""
    said: str = "right"
    """What was compared, where nothing is wrong."""


def verify(entry: DataSet, root: Path) -> Verdict:
    """Compare a set with its checksums: those that are published, else those of what goe unpacked.

    Without any, its size if that is known, and of a bundle that every image its lists name is there.
    """
    if not entry.place:
        return Verdict(said="built in")
    path = root / entry.place
    if not path.exists():
        return Verdict((missing(entry, root),))
    if entry.reader == "bundle":
        return _verify_lists(entry, root)
    expected = _expected(entry, root)
    found = {name: _compare(root / name, size, md5) for name, (size, md5) in expected.items()}
    faults = [f"{root / name}: {finding}" for name, finding in found.items() if finding]
    if not faults:
        return Verdict(said=_said(entry, expected))
    if entry.download is None:
        return Verdict((*faults, f"{entry.name}: {entry.how}"))
    what = "file" if path.is_file() else "folder"
    return Verdict((*faults, f"{path}: delete the {what} and fetch it again with `goe data fetch {entry.name}`"))


def _expected(entry: DataSet, root: Path) -> dict[str, tuple[int | None, str | None]]:
    """Each file of a set under `root` with its bytes and md5, each where known."""
    if entry.sums:
        return {f"{entry.place}/{name}": (None, md5) for name, md5 in entry.sums}
    if entry.download is not None and not entry.unpack:
        return {entry.place: (entry.download.size, entry.download.md5)}
    if entry.size is not None:
        return {entry.place: (entry.size, None)}
    unpacked = manifest(entry, root)
    return {} if unpacked is None else {**unpacked.files}


def _compare(path: Path, size: int | None, md5: str | None) -> str | None:
    return verify_file(path, size=size, md5=md5) if path.exists() else "missing"


def _said(entry: DataSet, expected: dict[str, tuple[int | None, str | None]]) -> str:
    if not expected:
        return "unchecked (no published checksums)"
    return "right" if entry.size is None else "of the right size (no published checksums)"


def _verify_lists(entry: DataSet, root: Path) -> Verdict:
    """Reads every list of a bundle that is there, and looks for its images."""
    faults: list[str] = []
    lists = images = 0
    for path, folder in bundle_lists(entry.name):
        if not (root / path).is_file():
            faults.append(f"{root / path}: missing")
            continue
        try:
            listed = read_list(root / path, root / folder)
        except DataError as error:
            faults.append(str(error))
            continue
        lists, images = lists + 1, images + len(listed.files)
        absent = [file for file in listed.files if not (listed.root / file).is_file()]
        if absent:
            more = ", …" if len(absent) > _SHOWN else ""
            which = f"{', '.join(absent[:_SHOWN])}{more}"
            faults.append(f"{root / path}: {len(absent):,} of {len(listed.files):,} images are missing: {which}")
    if faults:
        return Verdict((*faults, f"{entry.name}: {entry.how}"))
    return Verdict(said=f"{lists} lists, their {images:,} images are all there (no published checksums)")
