"""`goe tui --web`: the page is served to browsers of this machine that know its address, and to nobody else."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import psutil
import pytest
from runfolder import Lab, newest

from tui.goecommand import GOE

Wait = Callable[[Callable[[], object]], Awaitable[None]]


class Served:
    """`goe tui --web` on any free port, at work."""

    def __init__(self, lab: Lab, *flags: str) -> None:
        place = ["--runs", str(lab.runs), "--queue", str(lab.queue)]
        command = [*GOE, "tui", "--web", "--port", "0", *place, *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/[\w-]{22}/", self.url)
        assert found, self.url
        self.port = int(found[1])
        self.words = self.process.stdout.readline()

    def end(self) -> tuple[int, str]:
        """Ctrl-C: its exit code, and what it said meanwhile."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, err + out.partition("jobs run on.\n")[2]


@pytest.fixture
def served(lab: Lab) -> Iterator[Callable[..., Served]]:
    opened: list[Served] = []

    def serve(*flags: str) -> Served:
        opened.append(Served(lab, *flags))
        return opened[-1]

    yield serve
    for each in opened:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate(timeout=30)


async def frame_with(words: str, socket: aiohttp.ClientWebSocketResponse) -> None:
    """Wait until the dashboard has drawn these words."""
    drawn = b""
    async with asyncio.timeout(30):
        while words.encode() not in drawn:
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.BINARY, message
            drawn += message.data


async def send(socket: aiohttp.ClientWebSocketResponse, keys: str) -> None:
    await socket.send_json(["stdin", keys])


async def test_a_browser_is_served_and_drives(lab: Lab, served: Callable[..., Served], wait_until: Wait) -> None:
    run = lab.running()
    found = served()
    assert f"ssh -L {found.port}:127.0.0.1:{found.port}" in found.words
    async with aiohttp.ClientSession() as client:
        async with client.get(found.url) as page:
            text = await page.text()
            assert page.status == 200
            assert "default-src 'self'" in page.headers["Content-Security-Policy"]  # no font from elsewhere
            assert page.headers["Referrer-Policy"] == "no-referrer"
        assert f'data-session-websocket-url="{found.url.replace("http:", "ws:")}ws"' in text
        script = re.search(r'src="([^"]+textual\.js)"', text)
        assert script
        async with client.get(script[1]) as loaded:
            assert loaded.status == 200
        async with client.ws_connect(f"{found.url}ws?width=120&height=30") as ws:
            await frame_with("running", ws)
            await send(ws, "x")
            await frame_with("Stop goe-s1", ws)
            await send(ws, "y")
            await wait_until(lambda: newest(run).stop_requested)
            dashboards = psutil.Process(found.process.pid).children(recursive=True)
            assert dashboards
            # A browser answers that the server takes its leave.
            ending = asyncio.create_task(asyncio.to_thread(found.end))
            while (await ws.receive()).type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                pass
            code, said = await ending
    assert (code, said) == (0, "")
    assert not any(each.is_running() for each in dashboards)


async def test_readonly_goes_through_and_a_closed_page_ends_its_dashboard(
    lab: Lab, served: Callable[..., Served], wait_until: Wait
) -> None:
    run = lab.running()
    found = served("--readonly")
    async with aiohttp.ClientSession() as client, client.ws_connect(f"{found.url}ws?width=120&height=30") as ws:
        await frame_with("running", ws)
        await send(ws, "xy?")
        await frame_with("Keys", ws)
        assert not newest(run).stop_requested
    await wait_until(lambda: not psutil.Process(found.process.pid).children())


async def test_strangers_are_refused(lab: Lab, served: Callable[..., Served]) -> None:
    found = served()
    root = f"http://127.0.0.1:{found.port}"
    evil = {"Origin": "http://evil.example"}
    async with aiohttp.ClientSession() as client:
        for url, headers, status in (
            (found.url, {"Host": f"evil.example:{found.port}"}, 403),  # DNS rebinding
            (found.url, {"Host": "127.0.0.1.evil.example"}, 403),
            (f"{found.url}ws", evil, 403),  # another page's websocket
            (f"{found.url}ws", {"Origin": "http://127.0.0.1:9"}, 403),  # another program's page on this machine
            (f"{found.url}ws", {"Origin": "null"}, 403),
            (f"{root}/", {}, 404),  # who doesn't know the word
            (f"{root}/ws", {}, 404),
            (f"{root}/static/js/textual.js", {}, 404),
            (found.url, {"Host": "localhost:1"}, 200),  # through `ssh -L 1:…`
        ):
            async with client.get(url, headers=headers) as answer:
                assert answer.status == status, (url, headers)
        async with client.get(found.url, headers={"Host": "localhost:1"}) as page:
            assert 'websocket-url="ws://localhost:1/' in await page.text()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.ws_connect(f"{found.url}ws", headers=evil)
    assert not psutil.Process(found.process.pid).children()


def test_it_listens_on_the_loopback_alone(lab: Lab, served: Callable[..., Served]) -> None:
    found = served()
    listening = [each.laddr for each in psutil.Process(found.process.pid).net_connections() if each.status == "LISTEN"]
    assert listening == [("127.0.0.1", found.port)]


def test_a_taken_port_is_named(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run([*GOE, "tui", "--web", "--port", str(port)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == f"error: --port {port}: Address already in use; choose another, or 0 for any that is free\n"


def test_without_the_package_its_name_is_said(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['textual_serve'] = None; sys.argv[1:] = ['tui', '--web']; from cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 2
    assert "--web: textual_serve is not installed; `pip install 'goe[web]'` adds it" in done.stderr
