"""The queue file as text: read with what is needed to write it back, and never written over somebody else's change."""

import codecs
import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from goe.core.errors import ConfigError
from goe.core.rundir import write_atomic


class QueueText(Struct, frozen=True):
    """A queue file as it was read."""

    path: Path
    text: str
    """Line ends as in the file, without a byte-order mark."""
    marked: bool
    """Whether the file begins with a byte-order mark, as some editors write it."""
    digest: str
    """SHA-256 of the file's bytes."""


def read_queue(path: Path) -> QueueText:
    """The text of `path`. Raises ConfigError if it is missing, can't be read or is not UTF-8."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            [f"{path}: no such file; pass --queue FILE, or write one (README.md, section «experiments.toml»)"]
        ) from None
    except OSError as error:
        raise ConfigError([f"{path}: can't be read: {error.strerror}; check its owner and permissions"]) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"]) from None
    return QueueText(path, text, data.startswith(codecs.BOM_UTF8), _digest(data))


def no_queue(path: Path) -> QueueText:
    """What stands for a file that is not there yet: `write_queue` makes it."""
    return QueueText(path, "", marked=False, digest="")


def write_queue(old: QueueText, new: str) -> QueueText:
    """Replace the text of `old` by `new`: whole or not at all, with owner and permissions kept, through symbolic links.

    Raises ConfigError if the file is no longer the one that was read, or can't be written. Of any number of goe's own
    writers at once one wins. A text editor takes no locks: what it saves in the instant between the last look and the
    renaming is lost.
    """
    if not old.digest:
        return _create(old.path, new)
    place = old.path.resolve()
    data = (codecs.BOM_UTF8 if old.marked else b"") + new.encode()
    try:
        with _locked(place) as mine:
            if not mine or _digest(place.read_bytes()) != old.digest:
                raise ConfigError([f"{old.path}: changed under us: somebody saved it; nothing written; do it again"])
            write_atomic(place, data, like=place)
    except FileNotFoundError:
        raise ConfigError([f"{old.path}: changed under us: it is gone; nothing written"]) from None
    except OSError as error:
        raise ConfigError([f"{old.path}: can't be written: {error.strerror}; nothing written"]) from None
    return QueueText(old.path, new, old.marked, _digest(data))


def _create(path: Path, text: str) -> QueueText:
    try:
        with path.open("xb") as file:
            file.write(text.encode())
    except FileExistsError:
        raise ConfigError([f"{path}: changed under us: somebody made it; nothing written; do it again"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: can't be written: {error.strerror}; nothing written"]) from None
    return QueueText(path, text, marked=False, digest=_digest(text.encode()))


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[bool]:
    """Keep goe's other writers of `place` waiting; False if one of them replaced the file before the lock was got."""
    with place.open("r+b") as file:  # for writing: a file that its owner made read-only is not replaced
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in {errno.ENOLCK, errno.ENOTSUP}:  # some network disks have no locks
                raise
        yield os.path.samestat(os.fstat(file.fileno()), place.stat())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
