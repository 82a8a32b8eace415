"""What every key does on the screen that is open, read off the bindings: of the focused widget, the screen, the app."""

from dataclasses import replace

from msgspec import Struct
from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen


class Deed(Struct, frozen=True):
    """One thing that can be done, and the keys that do it."""

    keys: tuple[str, ...]
    words: str
    action: str
    node: DOMNode
    """Whose action it is."""
    shown: bool
    """Whether it belongs in the screen's last line."""


class DeedGroup(Struct, frozen=True):
    """Everything that can be done with one part of the screen."""

    title: str
    deeds: tuple[Deed, ...]


def deed_groups(screen: Screen[object]) -> tuple[DeedGroup, ...]:
    """What can be done now: the screen's own first, then nearest to the focus first; what is refused is left out."""
    found: dict[DOMNode, dict[str, Deed]] = {}
    for node, binding, enabled, _ in screen.active_bindings.values():
        if not enabled or binding.system or not binding.description:
            continue
        deeds, key = found.setdefault(node, {}), _key_name(screen.app, binding)
        before = deeds.get(binding.action)
        keys = (*before.keys, key) if before and key not in before.keys else before.keys if before else (key,)
        deeds[binding.action] = Deed(keys, _plain(binding.description), binding.action, node, binding.show)
    usual = {binding.action for binding in Screen.BINDINGS if isinstance(binding, Binding)}
    for node, deeds in found.items():
        found[node] = dict(sorted(deeds.items(), key=lambda deed: deed[0] in usual))  # textual's own last
    nodes = sorted(found, key=lambda node: not isinstance(node, Screen))
    return tuple(DeedGroup(_title(node), tuple(found[node].values())) for node in nodes)


def _key_name(app: App[object], binding: Binding) -> str:
    return app.get_key_display(replace(binding, key_display=None))


def _title(node: DOMNode) -> str:
    if node.BINDING_GROUP_TITLE:
        return node.BINDING_GROUP_TITLE
    if isinstance(node, App):
        return "Everywhere"
    return "This screen" if isinstance(node, Screen) else "Under the cursor"


def _plain(words: str) -> str:
    """Textual's own bindings say `Scroll Up`, ours `scroll up`."""
    return words if words[:2].isupper() else words.lower() if words.istitle() else words[0].lower() + words[1:]
