"""What a front end asks of the worker that evaluates and scores, and the lines it hears from it."""

from msgspec import Struct

from goe.core.config import Tests


class EvalProgress(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of what an evaluation says of itself, for whoever shows it."""

    run_id: str = ""
    part: str = ""
    """The data set at work, or score and data set."""
    done: int = 0
    """Images of `part`."""
    total: int = 0
    note: str = ""
    """Something to read, and no progress."""
    result: str = ""
    """The name, without suffix, of a result that is there now."""


class EvalRequest(Struct, frozen=True, kw_only=True):
    """What `goe eval` asks its worker for. Empty is as configured."""

    checkpoint: str = ""
    scores: tuple[str, ...] = ()
    tests: Tests = Tests()
    force: bool = False
    keep_outputs: bool = True


class ScoreRequest(Struct, frozen=True, kw_only=True):
    """What `goe score` asks its worker for. Empty is as configured."""

    checkpoint: str = ""
    score: str = ""
    paths: tuple[str, ...]
    """Image files, and folders of them."""


class ScoredImage(Struct, frozen=True, kw_only=True):
    """What a trained detector says of one image file: a line of `goe score --json`."""

    version: int = 1
    run_id: str
    checkpoint: str
    path: str
    problem: str | None = None
    """Why the file can't be read; nothing below is known then."""
    label: int | None = None
    """The ID class it would be, from 0."""
    class_name: str | None = None
    probability: float | None = None
    """Softmax probability of that class."""
    score: str
    value: float | None = None
    """The image's score; higher is more ID."""
    threshold: float | None = None
    """At or above which an image is accepted: 95 % of the ID validation images are."""
    accepted: bool | None = None
    """Whether the image is taken for ID."""
