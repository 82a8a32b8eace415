"""One file from the web: goes on where it was broken off, and is in place only when it is whole and right."""

import errno
import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from goe.core.errors import DataError

Progress = Callable[[int, int | None], None]
"""Takes bytes so far and in all; the latter None where the server doesn't say."""

_BLOCK = 1 << 20
_TIMEOUT_S = 60.0
_LONGEST_PAUSE_S = 8.0
_RETRIED = {408, 425, 429, 500, 502, 503, 504}
"""HTTP's answers that may be better the next time."""


def verify_file(path: Path, *, size: int | None = None, md5: str | None = None) -> str | None:
    """What is wrong with a file, or None if size (bytes) and checksum are as they should be."""
    found = path.stat().st_size
    if size is not None and found != size:
        return f"{found:,} bytes, expected {size:,}"
    if md5 is not None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "md5").hexdigest()
        if digest != md5:
            return f"md5 {digest}, expected {md5}"
    return None


def download(
    url: str,
    path: Path,
    *,
    size: int | None = None,
    md5: str | None = None,
    progress: Progress = lambda *_: None,
    attempts: int = 5,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Fetch `url` to `path` unless it is there; a caller who may not be alone holds a lock.

    What has come lies in `path.part`, and the next call goes on from it, if the server's file is still the same. After
    `attempts` tries in a row that bring nothing new, or where the bytes are not those promised, DataError.
    """
    if path.exists():
        return path
    if urlsplit(url).scheme not in {"http", "https"}:
        raise DataError(f"{url}: only http and https addresses can be fetched")
    transfer = _Transfer(url, path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.etag"), size)
    transfer.check_space()
    failures = 0
    while True:
        before = transfer.done
        try:
            transfer.attempt(progress)
            break
        except _BrokenOffError as broken:
            failures = 1 if transfer.done > before else failures + 1
            if failures >= attempts:
                kept = f"; {transfer.done:,} bytes are kept, the next fetch goes on from there"
                raise DataError(f"{url}: {broken}, {attempts} times in a row{kept}") from None
            pause(min(_LONGEST_PAUSE_S, 0.5 * 2 ** (failures - 1)))
    finding = verify_file(transfer.part, size=size, md5=md5)
    if finding is not None:
        transfer.start_over()  # going on can't mend it
        raise DataError(f"{url}: {finding}; the server's file is damaged or was changed; try again later")
    transfer.part.replace(path)
    transfer.etag_file.unlink(missing_ok=True)
    return path


class _BrokenOffError(Exception):
    """A try that ended early, and may do better the next time."""


@dataclass(slots=True)
class _Transfer:
    """What of one file has come."""

    url: str
    part: Path
    etag_file: Path
    """Which version of the server's file the part is of."""
    size: int | None

    @property
    def done(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def start_over(self) -> None:
        self.part.unlink(missing_ok=True)
        self.etag_file.unlink(missing_ok=True)

    def check_space(self) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if self.size is not None and self.size - self.done > free:
            needed = f"{self.size - self.done:,} bytes are needed and {free:,} free"
            raise DataError(f"{self.part.parent}: no room for {self.url}: {needed}; free some space or use --data")

    def attempt(self, progress: Progress) -> None:
        """One request; returns when all has come. Raises _BrokenOffError or DataError."""
        request = urllib.request.Request(self.url, headers=self._range())  # noqa: S310 - the scheme was checked
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
                self._receive(answer, progress)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416:  # longer than the server's file: it is another one
                    self.start_over()
                    raise _BrokenOffError("the server has no more of it") from None
                if error.code in _RETRIED:
                    raise _BrokenOffError(f"HTTP {error.code} {error.reason}") from None
                raise DataError(f"{self.url}: HTTP {error.code} {error.reason}; has it moved?") from None
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                room = f"the disk is full; free some space: the next fetch goes on from {self.done:,} bytes"
                raise DataError(f"{self.part.parent}: {room}") from None
            if error.filename is not None:
                raise DataError(f"{error.filename}: {error.strerror}; use --data for a folder you may write") from None
            raise _BrokenOffError(str(getattr(error, "reason", error))) from None
        except http.client.HTTPException as error:
            raise _BrokenOffError(f"connection broken off: {error!r}") from None

    def _range(self) -> dict[str, str]:
        headers = {"User-Agent": "goe", "Accept-Encoding": "identity"}
        if self.done and self.etag_file.exists():
            headers |= {"Range": f"bytes={self.done}-", "If-Range": self.etag_file.read_text(encoding="ascii")}
        return headers

    def _receive(self, answer: http.client.HTTPResponse, progress: Progress) -> None:
        start = self._first_byte(answer)
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else self.size
        done = start
        with self.part.open("ab" if start else "wb") as file:
            progress(done, total)
            while block := self._read(answer):
                file.write(block)
                done += len(block)
                progress(done, total)
            _sync(file)
        if total is not None and done < total:
            raise _BrokenOffError(f"connection broken off after {done:,} of {total:,} bytes")

    def _first_byte(self, answer: http.client.HTTPResponse) -> int:
        """Where the answer begins; a server that ignores ranges, or whose file changed, sends all of it."""
        wanted = f"bytes {self.done}-"
        if answer.status == 206 and answer.headers.get("Content-Range", "").startswith(wanted):
            return self.done
        if answer.status == 206:
            self.start_over()
            raise _BrokenOffError("the server sent another range than asked for")
        version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        self.start_over()
        if version and not version.startswith("W/"):  # a weak tag doesn't promise the same bytes
            self.etag_file.write_text(version, encoding="ascii")
        return 0

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        try:
            return answer.read1(_BLOCK)
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            raise _BrokenOffError(f"connection broken off: {error!r}") from None


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
