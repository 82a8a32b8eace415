"""Telling people what a queue did, without ever keeping it waiting.

One thread of its own sends messages; a target that doesn't answer is tried again later while the others are told.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from goe.core.targets import Target, TargetError, parse_target
from goe.launch.delivery import HTTP_TIMEOUT_S, Answer, Message, deliver

NotifyKind: TypeAlias = Literal["done", "failed", "empty"]

WAITS_S = (1.0, 4.0, 16.0)
"""Before the second try and each one after it."""
MOST_WAITING = 256
"""Messages kept for targets that don't answer; further ones are counted among those nobody was told."""
LONGEST_WAIT_S = 300.0
"""However long a Retry-After asks for."""


@dataclass(frozen=True, slots=True)
class _Letter:
    """One message to one target."""

    target: Target
    message: Message
    due: float
    """Monotonic time of its next try."""
    tries: int = 0

    def lost(self, answer: str) -> str:
        return f"{self.target.label}: {self.message.title}: {answer}"


class Notifier:
    """Tells targets of events. An entry of `urls` that can't be read is among what `close` returns."""

    def __init__(
        self,
        urls: Sequence[str],
        events: Collection[str],
        *,
        say: Callable[[str], None] = lambda _: None,
        waits: Sequence[float] = WAITS_S,
        http_timeout: float = HTTP_TIMEOUT_S,
    ) -> None:
        """`say` takes a line for each message that was given up, from the sending thread; it must not raise."""
        self._events = frozenset(events)
        self._say, self._waits, self._http_timeout = say, tuple(waits), http_timeout
        self._changed = threading.Condition()
        self._letters: list[_Letter] = []
        self._lost: list[str] = []
        self._closed = False
        self._thread: threading.Thread | None = None
        self._targets: list[Target] = []
        for url in urls:
            try:
                self._targets.append(parse_target(url))
            except TargetError as error:
                self._lost.append(f"notify: {error}")

    def tell(self, kind: NotifyKind, title: str, text: str, run_id: str = "") -> None:
        """Tell every target, later and elsewhere. Returns at once and raises nothing; nothing is told after `close`."""
        if kind not in self._events or not self._targets:
            return
        message = Message(kind, title.replace("\0", ""), text.replace("\0", ""), run_id, time.time())
        with self._changed:
            if self._closed:
                return
            for target in self._targets:
                letter = _Letter(target, message, due=time.monotonic())
                if len(self._letters) < MOST_WAITING:
                    self._letters.append(letter)
                else:
                    self._lose(letter, f"too many messages wait ({MOST_WAITING})")
            self._start()
            self._changed.notify_all()

    def close(self, timeout: float) -> list[str]:
        """Wait for what is under way, at most `timeout` seconds; what could not be told, a line each, newest last."""
        with self._changed:
            self._changed.wait_for(lambda: not self._letters, timeout)
            self._closed = True
            left = [letter.lost("not told in time") for letter in self._letters]
            self._letters = []
            self._changed.notify_all()
            return self._lost + left

    def _start(self) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._work, name="notify", daemon=True)
        with contextlib.suppress(RuntimeError):  # no thread to be had now; the next message tries again
            thread.start()
            self._thread = thread

    def _work(self) -> None:
        while (letter := self._next()) is not None:
            answer = deliver(letter.target, letter.message, http_timeout=self._http_timeout)
            again = answer.again and letter.tries < len(self._waits)
            if not again and not answer.told:
                self._say(letter.lost(answer.text))
            with self._changed:
                if self._closed:
                    return
                self._letters.remove(letter)
                if again:
                    self._letters.append(self._later(letter, answer))
                elif not answer.told:
                    self._lose(letter, answer.text)
                self._changed.notify_all()

    def _next(self) -> _Letter | None:
        """The letter that is due, once one is; None when it is all over."""
        with self._changed:
            while not self._closed:
                first = min(self._letters, key=lambda letter: letter.due, default=None)
                wait = None if first is None else first.due - time.monotonic()
                if first is not None and wait is not None and wait <= 0:
                    return first
                self._changed.wait(wait)
            return None

    def _later(self, letter: _Letter, answer: Answer) -> _Letter:
        wait = max(self._waits[letter.tries], min(answer.wait, LONGEST_WAIT_S))
        return replace(letter, due=time.monotonic() + wait, tries=letter.tries + 1)

    def _lose(self, letter: _Letter, answer: str) -> None:
        self._lost = [*self._lost, letter.lost(answer)][-MOST_WAITING:]
