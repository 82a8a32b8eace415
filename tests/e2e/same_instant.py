"""Two queues let loose on one folder at the same instant, again and again. Prints what went wrong."""

import os
import sys
from pathlib import Path

from noop import use_stub

from goe.core.overview import view_runs
from goe.core.queuefile import load_queue
from goe.launch.events import Event
from goe.launch.queueloop import Runner


def work(runs: Path, queue: Path, barrier: int, words: Path) -> None:
    """A queue that begins when the pipe `barrier` is closed at its other end."""
    runner = Runner(load_queue(queue), runs, report=lambda event: say(words, event))
    os.read(barrier, 1)
    runner.run()


def say(words: Path, event: Event) -> None:
    """Note down what a queue started."""
    if event.kind == "started" and event.view is not None:
        with words.open("a", encoding="utf-8") as file:
            file.write(f"{event.view.run_id}\n")


def one_try(folder: Path, queue: Path) -> list[str]:
    """What is wrong after two queues have worked."""
    runs, words = folder / "runs", folder / "words"
    folder.mkdir()
    barrier, opened = os.pipe()
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            os.close(opened)
            code = 1
            try:
                work(runs, queue, barrier, words)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    os.close(barrier)
    os.close(opened)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    found = [] if codes == [0, 0] else [f"exit codes {codes}"]
    for view in view_runs(runs):
        attempts = [path.name for path in view.run.attempts_dir.iterdir()]
        if (str(view.state), attempts) != ("done", ["1"]):
            found.append(f"{view.run_id}: {view.state}, attempts {attempts}")
    started = sorted(words.read_text(encoding="utf-8").split())
    wanted = sorted(job.run_id for job in load_queue(queue).jobs)
    return found if started == wanted else [*found, f"started {started}"]


def main(folder: Path, tries: int) -> None:
    """Try, and say what went wrong."""
    use_stub(folder)
    wrong = [text for number in range(tries) for text in one_try(folder / str(number), folder / "experiments.toml")]
    print(*wrong, f"{tries} tries, {len(wrong)} wrong", sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
