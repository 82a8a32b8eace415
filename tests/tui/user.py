"""Somebody before the dashboard, as its tests have one: what is on the screen, and waiting for it."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from textual._context import visible_screen_stack
from textual.pilot import Pilot
from textual.strip import Strip

from tui.app import GoeApp

Wait: TypeAlias = Callable[[Callable[[], object]], Awaitable[None]]

EDGES = "▌▐"
"""Of dialogs."""


class User:
    """Whoever presses the keys."""

    def __init__(self, app: GoeApp, pilot: Pilot[None], wait: Wait) -> None:
        self.app = app
        self.pilot = pilot
        self.wait = wait

    def screen(self) -> str:
        """Everything on the screen as text."""
        return "\n".join(strip.text.rstrip() for strip in self.strips())

    def strips(self) -> list[Strip]:
        """Its lines. Who draws a dialog names what lies below it; else that is blank, and kept so for the app too."""
        visible_screen_stack.set(self.app._background_screens)
        return self.app.screen._compositor.render_strips()

    def words(self) -> str:
        """What the screen says, wherever its lines break, also in a dialog with edges."""
        return " ".join(self.screen().translate(dict.fromkeys(map(ord, EDGES), " ")).split())

    async def sees(self, text: str) -> None:
        """Wait for a text, wherever its lines break."""
        await self.wait(lambda: text in self.screen() or text in self.words())

    async def follow(self, *steps: str) -> None:
        """Do these, each after the other: words are keys, `?text` waits for a text, `'text` writes it."""
        for step in steps:
            match step[0]:
                case "?":
                    await self.sees(step[1:])
                case "'":
                    await self.pilot.press(*("space" if letter == " " else letter for letter in step[1:]))
                case _:
                    await self.pilot.press(*step.split())
            await self.pilot.pause()

    async def at(self, screen: type) -> None:
        """Wait for a screen."""
        await self.wait(lambda: isinstance(self.app.screen, screen))
