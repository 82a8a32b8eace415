"""Whom a queue tells of what happens: entries of `notify`, each a URL or a command.

URLs are secrets (who has a webhook's may write to its channel): no message shows more of one than its host.
"""

import re
import shlex
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import unquote, urlsplit, urlunsplit

from msgspec import Struct

from goe.core.errors import UserError, did_you_mean

Kind: TypeAlias = Literal["slack", "discord", "ntfy", "webhook", "command"]

SCHEMES = ("https", "http", "ntfy", "ntfy+https", "ntfy+http")
HOSTS: dict[str, Kind] = {
    "hooks.slack.com": "slack",
    "discord.com": "discord",
    "discordapp.com": "discord",
    "ntfy.sh": "ntfy",
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?")


class TargetError(UserError):
    """An entry of `notify` that can be neither asked nor run."""


class Target(Struct, frozen=True):
    """One who is told."""

    kind: Kind
    url: str = ""
    """http or https, without user and password; empty for a command."""
    login: tuple[str, str] | None = None
    """User and password that stood in the URL."""
    argv: tuple[str, ...] = ()
    """A command, as it is run without a shell."""

    @property
    def label(self) -> str:
        """What messages call it: the kind, and the host or program."""
        return f"{self.kind} {Path(self.argv[0]).name if self.argv else urlsplit(self.url).hostname}"


def parse_target(entry: str) -> Target:
    """What an entry of `notify` means. Raises TargetError with the finding, which shows no secret."""
    scheme = _SCHEME.match(entry.strip())
    if scheme is not None:
        return _address(entry.strip(), scheme)
    try:
        argv = tuple(shlex.split(entry))
    except ValueError as error:
        raise TargetError(f"a command can't be taken apart ({error}); close its quotes") from None
    if not argv or not argv[0]:
        raise TargetError("an empty command; write a URL (https://…) or a program with its arguments")
    host = argv[0].partition("/")[0].lower()
    if host in HOSTS:
        raise TargetError(f'"{host}…" has no scheme (did you mean "https://{host}…"?)')
    return Target("command", argv=argv)


def _address(text: str, written: re.Match[str]) -> Target:
    scheme = written[1].lower()
    if scheme not in SCHEMES or not written[2]:
        near = did_you_mean(f"{scheme}://", [f"{known}://" for known in SCHEMES])
        known = ", ".join(f"{known}://" for known in SCHEMES)
        raise TargetError(f'"{written[0]}" begins no address that can be told{near}; known: {known}, or a command')
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TargetError(f"{scheme}: not a URL: {error}") from None
    if not host or any(char.isspace() for char in text):
        raise TargetError(f"{scheme}: not a URL: {'white space in it' if host else 'it names no host'}")
    kind: Kind = "ntfy" if scheme.startswith("ntfy") else _kind(host, parts.path)
    if kind == "ntfy" and not parts.path.strip("/"):
        raise TargetError(f"{host}: ntfy needs a topic: ntfy://{host}/my-topic")
    plain = {"ntfy": "https"}.get(scheme, scheme.removeprefix("ntfy+"))
    netloc = f"[{host}]" if ":" in host else host
    netloc += f":{port}" if port is not None else ""
    login = (unquote(parts.username or ""), unquote(parts.password or "")) if "@" in parts.netloc else None
    return Target(kind, urlunsplit((plain, netloc, parts.path, parts.query, "")), login)


def _kind(host: str, path: str) -> Kind:
    kind = HOSTS.get(host, "webhook")
    if kind == "discord" and not path.startswith("/api/webhooks/"):
        raise TargetError(f"{host}: not a webhook's address, which is https://discord.com/api/webhooks/…")
    if kind == "slack" and not path.strip("/"):
        raise TargetError(f"{host}: not a webhook's address, which is https://hooks.slack.com/services/…")
    return kind
