"""The data root: which sets of the registry are there, whether they are whole, and fetching them.

No torch and no NumPy, so that `goe data list` is instant.
"""

import errno
import hashlib
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from filelock import FileLock
from msgspec import Struct

from goe.core.errors import DataError, did_you_mean
from goe.core.rundir import write_json
from goe.data.download import download
from goe.data.registry import BY_NAME, DataSet

MANIFESTS = ".goe"
"""Folder in the data root with what was unpacked, a file a set."""

Progress = Callable[[int, int | None], None]
"""Bytes so far and in all, the latter None where the server doesn't say."""


class Manifest(Struct, frozen=True):
    """Every file of a set as it was unpacked."""

    files: dict[str, tuple[int, str]]
    """Path under the data root to bytes and md5."""


@dataclass(frozen=True, slots=True)
class Found:
    """What of a set is on the disk."""

    entry: DataSet
    path: Path | None
    """None for built-in sets."""
    present: bool
    size: int | None = None
    """Bytes, as unpacked where goe unpacked it; None where it is not there or built in."""
    partial: int = 0
    """Bytes of a download that was broken off."""

    @property
    def state(self) -> str:
        """One or two words."""
        if self.path is None:
            return "built in"
        return "present" if self.present else "broken off" if self.partial else "absent"


def data_root() -> Path:
    """The folder with the data sets: GOE_DATA, or `data` in the current folder."""
    return Path(os.environ.get("GOE_DATA", "data"))


def find(name: str) -> DataSet:
    """The entry called `name`. Raises DataError for an unknown name."""
    if name not in BY_NAME:
        raise DataError(f'unknown data set "{name}"{did_you_mean(name, BY_NAME)}; `goe data list` shows the known ones')
    return BY_NAME[name]


def look(entry: DataSet, root: Path) -> Found:
    """What of a set is under `root`."""
    if not entry.place:
        return Found(entry, None, present=True)
    path = root / entry.place
    if path.exists():
        unpacked = manifest(entry, root)
        size = _size(path) if unpacked is None else sum(size for size, _ in unpacked.files.values())
        return Found(entry, path, present=True, size=size)
    part = root / f"{entry.download.file}.part" if entry.download else None
    return Found(entry, path, present=False, partial=part.stat().st_size if part and part.exists() else 0)


def missing(entry: DataSet, root: Path) -> str:
    """What to do about a set that is not there, for an error message."""
    if entry.download is not None:
        return f"{entry.name}: {root / entry.place} not found; fetch it with `goe data fetch {entry.name}`"
    return f"{entry.name}: {root / entry.place} not found; {entry.how}"


def describe(found: Found) -> list[str]:
    """A set's page as lines of text."""
    entry = found.entry
    facts = [("used for", ", ".join(entry.roles)), ("images", entry.images), ("state", found.state)]
    if found.path is not None:
        facts += [("place", str(found.path)), ("size", "–" if found.size is None else f"{found.size:,} bytes")]
    if entry.download is not None:
        size = "" if entry.download.size is None else f", {entry.download.size:,} bytes"
        facts += [("download", f"{entry.download.url}{size}"), ("md5", entry.download.md5)]
    get = f"goe data fetch {entry.name}" if entry.download else entry.how or "nothing to do"
    facts += [("to get it", get), ("licence", entry.licence), ("source", entry.source), ("note", entry.warning)]
    return [f"{entry.name}  {entry.title}", *(f"  {key:<10} {value}" for key, value in facts if value)]


def fetch(entry: DataSet, root: Path, progress: Progress = lambda *_: None) -> Path | None:
    """Download and unpack a set unless it is there; its place, or None for a built-in one.

    A download that was broken off goes on. An archive is unpacked beside and its `place` renamed, so a set that is
    there is whole; the archive is removed then, and what else it holds is not kept. Raises DataError for what can't be
    fetched.
    """
    if not entry.place:
        return None
    path = root / entry.place
    if path.exists():  # before anything is written: the root may be read-only
        return path
    if entry.download is None:
        raise DataError(f"{entry.name}: can't be downloaded: {entry.how}")
    _check_way(entry, path, root)
    try:
        archive = root / entry.download.file
        archive.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{entry.name}.fetch.lock"):
            if not path.exists():
                wanted = entry.download
                download(wanted.url, archive, size=wanted.size, md5=wanted.md5, progress=progress)
                if entry.unpack:
                    _unpack(entry, archive, root)
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        remedy = "free some space, the next fetch goes on" if full else "use --data for a folder that may be written"
        raise DataError(f"{entry.name}: {error.filename or root}: {error.strerror}; {remedy}") from error
    return path


def _check_way(entry: DataSet, path: Path, root: Path) -> None:
    """Raises DataError where something lies in the way of `path`: before the download, which may take hours."""
    for place in (path, *path.parents):
        if place == root:
            return
        if place.is_symlink() and not place.exists():
            found = f"{place} is a link to {place.readlink()}, which is not there"
            raise DataError(f"{entry.name}: {found}; mount or mend that, or remove the link, and fetch again")
        if place.exists() and not place.is_dir():
            raise DataError(f"{entry.name}: {place} is a file, where a folder is needed; move it away and fetch again")


def manifest(entry: DataSet, root: Path) -> Manifest | None:
    """What was unpacked of a set; None where it was put there by hand."""
    try:
        return msgspec.json.decode((root / MANIFESTS / f"{entry.name}.json").read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None


def _unpack(entry: DataSet, archive: Path, root: Path) -> None:
    beside = root / f".{entry.name}.unpacking"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir()
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(beside)  # noqa: S202 - zipfile itself keeps members inside
        else:
            with tarfile.open(archive) as packed:
                packed.extractall(beside, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        shutil.rmtree(beside, ignore_errors=True)
        why = str(error).splitlines()[0].rstrip(":")
        raise DataError(f"{entry.name}: {archive} can't be unpacked: {why}; delete it and fetch it again") from error
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)  # a full disk should not stay full
        raise
    if not (beside / entry.place).exists():
        found = ", ".join(sorted(part.name for part in beside.iterdir())) or "nothing"
        shutil.rmtree(beside, ignore_errors=True)
        raise DataError(f"{entry.name}: {archive} holds {found}, not {entry.place}; its publisher changed it")
    files = {str(file.relative_to(beside)): (file.stat().st_size, _md5(file)) for file in _files(beside / entry.place)}
    (root / entry.place).parent.mkdir(parents=True, exist_ok=True)  # a folder of that name may be there already
    (beside / entry.place).rename(root / entry.place)
    (root / MANIFESTS).mkdir(exist_ok=True)
    write_json(root / MANIFESTS / f"{entry.name}.json", Manifest(files))
    shutil.rmtree(beside, ignore_errors=True)
    archive.unlink()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            yield Path(folder) / name


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    # Plain strings: a Path for each of 100,000 files takes twice as long.
    return sum(os.lstat(f"{folder}/{name}").st_size for folder, _, names in os.walk(path) for name in names)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
