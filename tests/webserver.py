"""A server on the loopback that misbehaves as it is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread


@dataclass
class Behaviour:
    """What the server does; each request takes its first entry of `drops` and `statuses`."""

    content: bytes = b""
    etag: str = '"one"'
    ranges: bool = True
    drops: list[int] = field(default_factory=list)
    """Bytes of the body after which the connection is closed; 0 for not."""
    statuses: list[int] = field(default_factory=list)
    shift: int = 0
    """Added to the first byte of a range."""
    asked: list[str | None] = field(default_factory=list)
    """The Range header of each request."""
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every answer to a POST."""
    posts: list["Post"] = field(default_factory=list)
    """What was posted. Status 0 in `statuses` closes the connection without an answer."""
    gate: Event | None = None
    """Until it is set, POSTs get no answer."""


@dataclass(frozen=True, slots=True)
class Post:
    """A request with a body."""

    path: str
    headers: dict[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour

    def do_GET(self) -> None:
        does = self.behaviour
        does.asked.append(self.headers.get("Range"))
        status = does.statuses.pop(0) if does.statuses else 200
        if status != 200:
            self.send_error(status)
            return
        start = 0
        fresh = self.headers.get("If-Range") == does.etag
        if does.ranges and fresh and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(does.content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start + does.shift}-{len(does.content) - 1}/{len(does.content)}")
        else:
            self.send_response(200)
        body = does.content[start:]
        self.send_header("ETag", does.etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        drop = does.drops.pop(0) if does.drops else 0
        self.wfile.write(body[:drop] if drop else body)
        self.close_connection = True

    def do_POST(self) -> None:
        does = self.behaviour
        body = self.rfile.read(int(self.headers["Content-Length"]))
        does.posts.append(Post(self.path, dict(self.headers), body))
        status = does.statuses.pop(0) if does.statuses else 200
        if does.gate is not None:
            assert does.gate.wait(30)
        self.close_connection = True
        if status:
            self.send_response(status)
            for name, value in {"Content-Length": "0", **does.headers}.items():
                self.send_header(name, value)
            self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """The address of a file that is served as `behaviour` says."""
    kind = type("Bound", (Handler,), {"behaviour": behaviour})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as http:
        thread = Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}/file.bin"
        finally:
            http.shutdown()
            thread.join()
