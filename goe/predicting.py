"""A trained detector at work: ID class, score and verdict for image files."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from goe.core.errors import UserError
from goe.core.evaljob import ScoredImage, ScoreRequest
from goe.core.rundir import RunDir
from goe.data.files import SIDE
from goe.data.imagecache import decode
from goe.data.imagelist import SUFFIXES, is_image
from goe.data.loader import eval_batches
from goe.data.source import ArraySource, Pixels
from goe.outputs import channels_last, collect
from goe.scores import Outputs, msp
from goe.trained import Progress, Trained

AT_ONCE = 500
"""Images in hand at a time."""


def score_images(run: RunDir, request: ScoreRequest, root: Path, progress: Progress) -> Iterator[ScoredImage]:
    """A record for each image file of `request.paths`, in their order, folders by name.

    Images are resized and normalised as test images are. Files that can't be read get a record with their problem.
    Raises CheckpointError, DataError, ScoreError, and UserError for runs that take no images.
    """
    config = run.config()
    if config.dataset == "spiral":
        raise UserError(f"{run.run_id}: its network takes points of the plane, no images")
    checkpoint, score = request.checkpoint or config.evaluate, request.score or config.scores[0]
    trained = Trained(run, config, checkpoint, root, keep_outputs=True, progress=progress)
    threshold = trained.threshold(score).value
    names = trained.ids.benchmark.class_names
    files = list(_files(request.paths))
    if not files:
        raise UserError(f"{', '.join(request.paths)}: holds no image; known are {', '.join(sorted(SUFFIXES))}")
    for start in range(0, len(files), AT_ONCE):
        part = files[start : start + AT_ONCE]
        with ThreadPoolExecutor() as pool:
            images = list(pool.map(lambda path: decode(path, SIDE), part))
        good = [image for image in images if not isinstance(image, str)]
        answers = iter(_answers(trained, score, good) if good else ())
        for path, image in zip(part, images, strict=True):
            about = ScoredImage(run_id=run.run_id, checkpoint=checkpoint, path=str(path), score=score)
            if isinstance(image, str):
                yield replace(about, problem=image)
                continue
            label, probability, value = next(answers)
            yield replace(
                about,
                label=label,
                class_name=names[label],
                probability=probability,
                value=value,
                threshold=threshold,
                accepted=value >= threshold,
            )


def _answers(trained: Trained, score: str, images: Sequence[Pixels]) -> Iterator[tuple[int, float, float]]:
    """Class, its probability, and the score of each image."""
    source = ArraySource.ood("images", np.stack(images))
    batches = [(channels_last(x), y) for x, y in eval_batches(source, trained.ids.benchmark, AT_ONCE, trained.device)]
    found = collect(trained.net, batches).outputs
    outputs = Outputs(found.logits, found.features, lambda: (x for x, _ in batches))
    columns = (outputs.logits.argmax(1), msp(outputs), trained.score(score)(outputs))
    return zip(*(column.tolist() for column in columns), strict=True)


def _files(paths: Sequence[str]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if is_image(each))
        else:
            yield path
