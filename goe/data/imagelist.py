"""Image lists: SC-OOD's and OpenOOD's text files, and folders with a folder for each class."""

import ast
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from goe.core.errors import DataError
from goe.data.source import OOD_LABEL

Labels = NDArray[np.int64]
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".tif", ".tiff"})
_LINE = re.compile(r"(?P<file>\S.*?)\s+(?P<label>-?\d+|\{.*\})\s*")
_SHOWN = 5
"""Problems of one file that are spelled out; the others are counted."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageList:
    """Files under one folder, with what is known of each. Labels are -1 for OOD."""

    path: Path
    """The list, or the folder itself."""
    root: Path
    files: tuple[str, ...]
    """Relative to `root`."""
    labels: Labels
    """(N,) ID class by data set."""
    sc_labels: Labels
    """(N,) ID class by meaning (SC-OOD): also of images from other data sets that show an ID class."""
    full_labels: Labels
    """(N,) class among all of its own data set."""
    semantic: NDArray[np.bool_]
    """(N,) True where a dictionary said `sc_label`; else it is taken from `label`."""

    def select(self, keep: NDArray[np.bool_]) -> "ImageList":
        """The images where `keep` (N,) is True."""
        files = tuple(file for file, kept in zip(self.files, keep, strict=True) if kept)
        names = ("labels", "sc_labels", "full_labels", "semantic")
        return replace(self, files=files, **{name: getattr(self, name)[keep] for name in names})


def read_list(path: Path, root: Path) -> ImageList:
    """The list in `path` of images under `root`: a line is a relative path and a label.

    The label is an integer, or a dictionary of `label`, `sc_label` and `full_label` (SC-OOD), of which the latter two
    default to the first. Blank lines are skipped. Raises DataError naming the lines that are neither, and paths that
    leave `root`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: can't be read as a list of images: {error}") from None
    files: list[str] = []
    labels: list[tuple[int, int, int, bool]] = []
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        found = _labels(match["label"]) if match else None
        if match is None or found is None:
            problems.append(f"line {number}: {line[:80]!r} is not a path and a label")
        elif PurePosixPath(match["file"]).is_absolute() or ".." in PurePosixPath(match["file"]).parts:
            problems.append(f"line {number}: {match['file']} leaves {root}")
        else:
            files.append(match["file"])
            labels.append(found)
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise DataError(f"{path}: {'; '.join(problems[:_SHOWN])}{more}")
    if not files:
        raise DataError(f"{path}: lists no image")
    label, sc_label, full_label, semantic = np.array(labels, dtype=np.int64).T
    return ImageList(path, root, tuple(files), label, sc_label, full_label, semantic.astype(np.bool_))


def _labels(text: str) -> tuple[int, int, int, bool] | None:
    """label, sc_label, full_label, and whether sc_label is given; None if the text is no label."""
    if not text.startswith("{"):
        return (int(text), int(text), int(text), False) if -1 <= int(text) < 2**31 else None
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        try:
            found = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    if not isinstance(found, dict):
        return None
    label = found.get("label")
    values = [found.get(key, label) for key in ("label", "sc_label", "full_label")]
    whole = [value for value in values if type(value) is int and -1 <= value < 2**31]
    return (whole[0], whole[1], whole[2], "sc_label" in found) if len(whole) == len(values) else None


def list_folder(root: Path) -> tuple[ImageList, tuple[str, ...]]:
    """The images in a folder, in order of their names, and the classes' names.

    Folders in it are classes 0, 1, … by name, images in them, however deep, theirs. Where there is none, images lie in
    the folder itself and have the label -1. Raises DataError where there is no image.
    """
    classes = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(str(path.relative_to(root)) for path in (root / name).rglob("*") if is_image(path))
        files += found
        labels += [label] * len(found)
    if not classes:
        files = sorted(path.name for path in root.iterdir() if is_image(path))
        labels = [OOD_LABEL] * len(files)
    if not files:
        raise DataError(f"{root}: holds no image; known are {', '.join(sorted(SUFFIXES))}")
    array = np.array(labels, dtype=np.int64)
    semantic = np.zeros(len(files), dtype=np.bool_)
    return ImageList(root, root, tuple(files), array, array, array, semantic), tuple(classes)


def is_image(path: Path) -> bool:
    """Whether a path is an image file, by its suffix."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
