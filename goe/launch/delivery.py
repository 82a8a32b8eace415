"""One message to one target, once: by HTTP, or as a command. What comes back is an answer, never an exception."""

import base64
import contextlib
import email.header
import email.utils
import http.client
import os
import platform
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from goe.core.targets import Target

HTTP_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 30.0
LONGEST = 2000
"""Characters that Discord takes; ntfy makes a file of more than 4,096 bytes."""
_LONGEST_VARIABLE = 30_000
"""Characters; Linux takes no variable above 128 KiB."""
_PASSING = {408, 429}
"""HTTP's answers to a wrong request that may be better the next time; so may all from 500."""


@dataclass(frozen=True, slots=True)
class Message:
    """Something that happened."""

    event: str
    title: str
    text: str
    run_id: str = ""
    time: float = 0.0
    """Unix time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one try."""

    text: str
    """In words, without secrets."""
    told: bool = False
    again: bool = False
    """Whether another try may do better."""
    wait: float = 0.0
    """Seconds that the target asks to be left alone."""


def deliver(
    target: Target,
    message: Message,
    *,
    http_timeout: float = HTTP_TIMEOUT_S,
    command_timeout: float = COMMAND_TIMEOUT_S,
) -> Answer:
    """Tell `target`, waiting for its answer, or for the command's end, so many seconds."""
    try:
        if target.kind == "command":
            return _run(target, message, command_timeout)
        return _post(_request(target, message), http_timeout)
    except ValueError as error:  # an address that only looks like one, a NUL in a command
        return Answer(f"can't be told: {type(error).__name__}")


def _request(target: Target, message: Message) -> urllib.request.Request:
    both = f"{message.title}\n{message.text}".strip()[:LONGEST]
    headers = {"User-Agent": "goe", "Content-Type": "application/json"}  # Discord refuses urllib's own name
    content: dict[str, Any] = {}
    match target.kind:
        case "slack":
            content = {"text": both.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
        case "discord":
            content = {"content": both}
        case "webhook":
            content = {
                "event": message.event,
                "title": message.title,
                "text": message.text,
                "run_id": message.run_id,
                "host": platform.node(),
                "time": message.time,
            }
    body = msgspec.json.encode(content)
    if target.kind == "ntfy":
        title = " ".join(message.title.split())
        headers["Content-Type"] = "text/plain; charset=utf-8"
        headers["Title"] = title if title.isascii() else email.header.Header(title, "utf-8", maxlinelen=10**6).encode()
        body = (message.text or message.title)[:LONGEST].encode()
    if target.login is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(':'.join(target.login).encode()).decode()}"
    return urllib.request.Request(target.url, data=body, headers=headers, method="POST")  # noqa: S310 - parse_target


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Following would turn the message into a GET without it, and may lead anywhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(request: urllib.request.Request, timeout: float) -> Answer:
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout) as answer:
            return Answer(f"HTTP {answer.status}", told=True)
    except urllib.error.HTTPError as error:
        with error:
            again = error.code >= 500 or error.code in _PASSING
            moved = "; it has moved" if 300 <= error.code < 400 else ""
            text = f"HTTP {error.code} {error.reason}{moved}"
            return Answer(text, again=again, wait=_retry_after(error.headers.get("Retry-After")))
    except urllib.error.URLError as error:
        return Answer(f"no answer: {_reason(error.reason)}", again=True)
    except (OSError, http.client.HTTPException) as error:
        return Answer(f"no answer: {_reason(error)}", again=True)


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


def _retry_after(value: str | None) -> float:
    """Seconds from now that a Retry-After header names, as a number or a date; 0 without one."""
    if not value:
        return 0.0
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def _run(target: Target, message: Message, timeout: float) -> Answer:
    program = os.path.expanduser(target.argv[0])  # noqa: PTH111 - a Path would lose a leading ./
    told = {"EVENT": message.event, "TITLE": message.title, "TEXT": message.text, "RUN": message.run_id}
    variables = {f"GOE_{key}": value[:_LONGEST_VARIABLE] for key, value in told.items()}
    name = Path(program).name
    # Files and no pipes: what the command leaves running would keep a pipe open, and us waiting.
    with tempfile.TemporaryFile() as text, tempfile.TemporaryFile() as errors:
        # Who gets it by mail sees nothing but this.
        text.write(f"{message.title}\n{message.text}".strip().encode() + b"\n")
        text.seek(0)
        try:
            process = subprocess.Popen(
                [program, *target.argv[1:]],
                stdin=text,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, **variables},
                start_new_session=True,
            )
        except OSError as error:
            return Answer(f"{name}: {error.strerror}")
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return Answer(f"{name}: not done after {timeout:g} s", again=True)
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
    if code == 0:
        return Answer("exit code 0", told=True)
    how = f"exit code {code}" if code > 0 else f"signal {-code}"
    return Answer(f"{name}: {how}{': ' + said[-1] if said else ''}", again=True)
