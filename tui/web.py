"""The dashboard in a browser of this machine: textual-serve behind a loopback address that only its user knows.

Whoever can send keys to the dashboard can start programs, so three doors are shut: the address is the loopback's alone;
it holds a random word, against other users of this machine; and requests that come under a foreign name (DNS rebinding)
or from another page are refused. The page loads nothing from elsewhere.
"""

import asyncio
import os
import secrets
import shlex
import socket
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

from goe.core.errors import UserError

LOOPBACK = "127.0.0.1"
_NAMES = {LOOPBACK, "localhost"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self' data: blob: 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""The page of textual-serve asks Google for a font; this keeps it from that."""
_END_S = 2.0
"""How long browsers have to take their leave, and then dashboards to end."""
_HEARTBEAT_S = 15.0
"""Between questions whether a browser is still there."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Pages(Server):
    """A dashboard of its own, a child process, for every page that is opened."""

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__(f"exec {shlex.join(command)}", title="goe")
        self._open: set[Dashboard] = set()

    def application(self, word: str) -> web.Application:
        """What textual-serve serves, under `/word/`; 404 elsewhere."""
        inner = web.Application()
        set_up_templates(inner, self)
        inner.add_routes(
            [
                web.get("/", self.handle_index, name="index"),
                web.get("/ws", self.handle_websocket, name="websocket"),
                web.get("/download/{key}", self.handle_download, name="download"),
                web.static("/static", self.statics_path, name="static"),
            ]
        )
        outer = web.Application(middlewares=[refuse_strangers])
        outer.add_subapp(f"/{word}", inner)
        outer.on_response_prepare.append(add_headers)
        outer.on_shutdown.append(self._end_all)
        return outer

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page, under the name that it was asked by: through `ssh -L` the port may be another."""
        self.public_url = f"http://{request.host}"
        return await super().handle_index(request)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """The dashboard of a page, until either leaves."""
        browser = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, timeout=_END_S)
        await browser.prepare(request)

        async def leave() -> None:
            await browser.close()

        dashboard = Dashboard(
            self.command,
            write_bytes=browser.send_bytes,
            write_str=browser.send_str,
            close=leave,
            download_manager=self.download_manager,
        )
        self._open.add(dashboard)
        try:
            await dashboard.start(
                to_int(request.query.get("width", ""), 80), to_int(request.query.get("height", ""), 24)
            )
            await self._process_messages(browser, dashboard)
        finally:
            await dashboard.stop()
            self._open.discard(dashboard)
        return browser

    async def _end_all(self, _: web.Application) -> None:
        await asyncio.gather(*(dashboard.stop() for dashboard in self._open))


class Dashboard(AppService):
    """The child process of a page."""

    async def stop(self) -> None:
        """Ask it to end; return once it has."""
        await super().stop()
        if self._process is not None:
            try:
                await asyncio.wait_for(self._process.wait(), _END_S)
            except TimeoutError:
                self._process.kill()


def set_up_templates(app: web.Application, server: Server) -> None:
    """The page of textual-serve."""
    import aiohttp_jinja2
    import jinja2

    aiohttp_jinja2.setup(app, loader=jinja2.FileSystemLoader(server.templates_path))


@web.middleware
async def refuse_strangers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Only what was asked of the loopback by its own name, and not by another site's page."""
    origin = request.headers.get("Origin")
    if request.url.host not in _NAMES or origin not in {None, f"http://{request.host}"}:
        raise web.HTTPForbidden(text="Only pages of this address may ask here.")
    return await handler(request)


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """What the page may load, and whom it may tell its address."""
    response.headers.update(_HEADERS)


def serve(command: Sequence[str], port: int) -> None:
    """Show the dashboard that `command` starts to browsers of this machine, until Ctrl-C. Port 0: any free one.

    Raises UserError if the port is taken.
    """
    try:
        listening = socket.create_server((LOOPBACK, port))
    except OSError as error:
        raise UserError(
            f"--port {port}: {os.strerror(error.errno or 0)}; choose another, or 0 for any that is free"
        ) from None
    port, word = listening.getsockname()[1], secrets.token_urlsafe(16)
    print(_words(port, word), flush=True)  # noqa: T201
    web.run_app(Pages(command).application(word), sock=listening, print=None, shutdown_timeout=_END_S)


def _words(port: int, word: str) -> str:
    return (
        f"http://{LOOPBACK}:{port}/{word}/\n"
        f"From another machine: ssh -L {port}:{LOOPBACK}:{port} {socket.gethostname()}, then the same address there.\n"
        "Whoever has the address has the dashboard. Ctrl-C ends it; jobs run on."
    )
