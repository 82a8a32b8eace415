"""What every key does."""

from tui.screens.confirm import MessageScreen

KEYS = (
    ("Everywhere", ""),
    ("q", "leave; runs and queue keep running"),
    ("esc", "one layer out"),
    ("arrows hjkl", "move"),
    ("g G", "first, last line"),
    ("S", "start the queue; it outlives this view"),
    ("t", "results"),
    ("Q", "the queue's page"),
    ("u", "the machine: GPUs, cores, memory, disks, processes"),
    ("r", "read everything now"),
    (":", "commands and themes"),
    ("? F1", "this help"),
    ("Runs", ""),
    ("enter", "open the run"),
    ("x", "stop the run, after a question; again: by force"),
    ("One run", ""),
    ("x", "stop it, as above"),
    ("tab", "next pane"),
    ("1 2 3", "curves, log or checkpoints alone"),
    ("4 5 6", "attempts, configuration or environment"),
    ("7", "the surface alone, of a run on the spirals"),
    ("0", "all panes, where they fit"),
)


def help_text() -> str:
    """The keys in groups."""
    lines = []
    for key, meaning in KEYS:
        lines += [f"  {key:<12} {meaning}"] if meaning else ["", key]
    return "\n".join(lines[1:])


class HelpScreen(MessageScreen):
    """The keys."""

    def __init__(self) -> None:
        super().__init__("Keys", help_text())
