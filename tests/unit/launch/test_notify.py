"""Messages against a server on the loopback that fails, drops, waits and asks to be left alone."""

import json
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from email.utils import format_datetime
from pathlib import Path
from threading import Event

import pytest
from webserver import Behaviour, serving

from goe.core.targets import Target, parse_target
from goe.launch import notify
from goe.launch.delivery import Answer, Message, deliver
from goe.launch.notify import Notifier

DONE = Message("done", "oe-s1 is done", "AUROC 95.1 < 96 & rising", run_id="oe-s1-ab", time=12.5)
AT_ONCE = (0.0, 0.0, 0.0)
EVENTS = ("done", "failed", "empty")


@pytest.fixture
def server() -> Behaviour:
    return Behaviour()


@pytest.fixture
def address(server: Behaviour) -> Iterator[str]:
    with serving(server) as url:
        yield url


def test_slack_and_discord_get_their_forms(server: Behaviour, address: str) -> None:
    assert deliver(Target("slack", address), DONE) == Answer("HTTP 200", told=True)
    assert deliver(Target("discord", address), DONE).told
    slack, discord = server.posts
    assert json.loads(slack.body) == {"text": "oe-s1 is done\nAUROC 95.1 &lt; 96 &amp; rising"}
    assert json.loads(discord.body) == {"content": "oe-s1 is done\nAUROC 95.1 < 96 & rising"}
    assert {post.headers["Content-Type"] for post in server.posts} == {"application/json"}
    assert {post.headers["User-Agent"] for post in server.posts} == {"goe"}


def test_a_webhook_gets_everything(server: Behaviour, address: str) -> None:
    assert deliver(parse_target(address.replace("http://", "http://me:pw@")), DONE).told
    (post,) = server.posts
    assert json.loads(post.body) == {
        "event": "done",
        "title": DONE.title,
        "text": DONE.text,
        "run_id": "oe-s1-ab",
        "host": platform.node(),
        "time": 12.5,
    }
    assert post.headers["Authorization"] == "Basic bWU6cHc="  # me:pw
    assert post.path == "/file.bin"


def test_ntfy_gets_a_title_and_a_body(server: Behaviour, address: str) -> None:
    target = parse_target(address.replace("http://", "ntfy+http://"))
    assert deliver(target, DONE).told
    assert deliver(target, Message("failed", "größer\r\nX-Evil: 1", "")).told
    plain, other = server.posts
    assert (plain.headers["Title"], plain.body) == (DONE.title, DONE.text.encode())
    assert str(make_header(decode_header(other.headers["Title"]))) == "größer X-Evil: 1"
    assert "X-Evil" not in other.headers
    assert other.body == "größer\r\nX-Evil: 1".encode()


def test_long_texts_fit_discord(server: Behaviour, address: str) -> None:
    assert deliver(Target("discord", address), Message("done", "t", "x" * 5000)).told
    assert json.loads(server.posts[0].body)["content"] == "t\n" + "x" * 1998


@pytest.mark.parametrize(
    ("status", "again"), [(400, False), (404, False), (408, True), (429, True), (500, True), (503, True), (302, False)]
)
def test_which_answers_are_worth_another_try(server: Behaviour, address: str, status: int, again: bool) -> None:
    server.statuses = [status]
    server.headers = {"Location": "file:///etc/passwd"}
    answer = deliver(Target("webhook", address), DONE)
    assert (answer.told, answer.again) == (False, again)
    assert answer.text.startswith(f"HTTP {status} ")


def test_retry_after_is_a_number_or_a_date(server: Behaviour, address: str) -> None:
    later = datetime.now(UTC) + timedelta(seconds=100)
    waits = []
    for value in ("7", format_datetime(later, usegmt=True), "soon", ""):
        server.statuses, server.headers = [429], {"Retry-After": value}
        waits.append(deliver(Target("webhook", address), DONE).wait)
    assert waits[0] == 7
    assert 90 < waits[1] <= 100
    assert waits[2:] == [0, 0]


def test_no_answer_and_no_server(server: Behaviour, address: str) -> None:
    server.statuses = [0]
    assert deliver(Target("webhook", address), DONE) == Answer("no answer: RemoteDisconnected", again=True)
    server.gate = Event()
    assert deliver(Target("webhook", address), DONE, http_timeout=0.05) == Answer("no answer: timed out", again=True)
    server.gate.set()
    assert deliver(Target("webhook", "http://127.0.0.1:1/x"), DONE) == Answer(
        "no answer: Connection refused", again=True
    )
    assert not deliver(Target("webhook", "http://a\x7fb/"), DONE).told


def command(*code: str) -> Target:
    return Target("command", argv=(sys.executable, "-c", "\n".join(code)))


def test_a_command_is_told_by_variables_and_stdin(tmp_path: Path) -> None:
    target = command(
        "import os, sys, json",
        "told = {key: value for key, value in os.environ.items() if key.startswith('GOE_')}",
        f"json.dump([told, sys.stdin.read()], open({str(tmp_path / 'told')!r}, 'w'))",
    )
    assert deliver(target, DONE) == Answer("exit code 0", told=True)
    variables, text = json.loads((tmp_path / "told").read_text(encoding="utf-8"))
    assert variables.items() >= {
        ("GOE_EVENT", "done"),
        ("GOE_TITLE", DONE.title),
        ("GOE_TEXT", DONE.text),
        ("GOE_RUN", "oe-s1-ab"),
    }
    assert text == f"{DONE.title}\n{DONE.text}\n"


def test_a_command_that_fails() -> None:
    failing = deliver(command("import sys", "sys.exit('no mailbox')"), DONE)
    assert failing == Answer(f"{Path(sys.executable).name}: exit code 1: no mailbox", again=True)
    assert deliver(Target("command", argv=("/no/such/program",)), DONE) == Answer("program: No such file or directory")


def test_a_command_that_hangs_is_ended_with_its_children() -> None:
    hanging = command("import subprocess, sys", "subprocess.run([sys.executable, '-c', 'import time; time.sleep(99)'])")
    answer = deliver(hanging, DONE, command_timeout=0.3)
    assert answer == Answer(f"{Path(sys.executable).name}: not done after 0.3 s", again=True)


def test_a_message_is_tried_four_times(server: Behaviour, address: str) -> None:
    server.statuses = [503, 0, 429, 200]
    told = Notifier([address], EVENTS, waits=AT_ONCE)
    told.tell("done", "a", "b", run_id="c")
    assert told.close(30) == []
    assert [json.loads(post.body)["run_id"] for post in server.posts] == ["c"] * 4


def test_after_the_fourth_try_it_is_given_up(server: Behaviour, address: str) -> None:
    server.statuses = [500] * 4
    said: list[str] = []
    told = Notifier([address], EVENTS, waits=AT_ONCE, say=said.append)
    told.tell("failed", "a", "b")
    lost = ["webhook 127.0.0.1: a: HTTP 500 Internal Server Error"]
    assert told.close(30) == lost
    assert said == lost
    assert len(server.posts) == 4


def test_a_refusal_is_not_tried_again(server: Behaviour, address: str) -> None:
    server.statuses = [404]
    told = Notifier([address], EVENTS, waits=AT_ONCE)
    told.tell("done", "a", "b")
    assert told.close(30) == ["webhook 127.0.0.1: a: HTTP 404 Not Found"]
    assert len(server.posts) == 1


def test_only_events_that_are_wanted(server: Behaviour, address: str) -> None:
    told = Notifier([address], ["failed"], waits=AT_ONCE)
    told.tell("done", "a", "b")
    told.tell("empty", "a", "b")
    told.tell("failed", "c", "d")
    assert told.close(30) == []
    assert [json.loads(post.body)["event"] for post in server.posts] == ["failed"]


def test_a_target_that_waits_keeps_no_other_waiting(server: Behaviour, address: str) -> None:
    server.statuses, server.headers = [503], {"Retry-After": "9999"}
    other = Behaviour()
    with serving(other) as healthy:
        told = Notifier([address, healthy], EVENTS, waits=AT_ONCE)
        told.tell("done", "a", "b")
        told.tell("done", "c", "d")
        # The second message to the first server is answered well: only the first waits.
        with told._changed:
            assert told._changed.wait_for(lambda: [letter.tries for letter in told._letters] == [1], 30)
        assert told.close(0) == ["webhook 127.0.0.1: a: not told in time"]
        assert [json.loads(post.body)["title"] for post in other.posts] == ["a", "c"]
    assert [json.loads(post.body)["title"] for post in server.posts] == ["a", "c"]


def test_telling_waits_for_nobody(server: Behaviour, address: str) -> None:
    server.gate = Event()
    told = Notifier([address], EVENTS, waits=AT_ONCE)
    for number in range(notify.MOST_WAITING + 2):
        told.tell("done", str(number), "")
    assert len(server.posts) <= 1  # no answer has come yet
    lost = told.close(0)
    assert lost[0] == "webhook 127.0.0.1: 256: too many messages wait (256)"
    assert lost[2] == "webhook 127.0.0.1: 0: not told in time"
    assert len(lost) == notify.MOST_WAITING + 2
    server.gate.set()


def test_after_the_end_nothing_is_told(server: Behaviour, address: str) -> None:
    told = Notifier([address], EVENTS)
    assert told.close(0) == []
    told.tell("done", "a", "b")
    assert told.close(0) == []
    assert server.posts == []


def test_a_wrong_entry_is_among_what_was_not_told() -> None:
    told = Notifier(["htps://example.org/secret"], EVENTS)
    told.tell("done", "a", "b")
    (lost,) = told.close(0)
    assert lost.startswith('notify: "htps://" begins no address')
