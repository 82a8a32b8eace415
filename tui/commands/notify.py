"""`goe queue notify`: whom the queue tells, and whether they hear it."""

from typing import Annotated

import typer

from tui.commands.options import DEFAULT_QUEUE, QueueFile
from tui.commands.output import print_columns


def queue_notify(
    queue: QueueFile = DEFAULT_QUEUE,
    test: Annotated[bool, typer.Option("--test", help="Send each a test message, and say what it answered.")] = False,
) -> None:
    """List whom the queue tells of what (`notify`, `notify-on`); with --test, tell them something now."""
    import time

    from goe.core.errors import ConfigError
    from goe.core.queuefile import load_queue
    from goe.core.targets import parse_target
    from goe.launch.delivery import Message, deliver

    options = load_queue(queue).options
    if not options.notify:
        raise ConfigError([f'{queue}: nobody to tell; add notify = ["https://…", "a command"] to [queue]'])
    targets = [parse_target(entry) for entry in options.notify]
    if not test:
        print_columns([(target.label, ", ".join(options.notify_on)) for target in targets])
        return
    message = Message("test", "goe: a test", f"{queue} tells you of: {', '.join(options.notify_on)}.", time=time.time())
    answers = [deliver(target, message) for target in targets]
    rows = zip(targets, answers, strict=True)
    print_columns([(target.label, "told" if answer.told else "NOT told", answer.text) for target, answer in rows])
    raise typer.Exit(0 if all(answer.told for answer in answers) else 1)
