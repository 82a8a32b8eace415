"""Lists of images in each published form, and what is wrong with bad ones."""

from pathlib import Path

import numpy as np
import pytest

from goe.core.errors import DataError
from goe.data.imagelist import list_folder, read_list

SCOOD = """cifar10/train/truck/5000.png {"label": 9, "sc_label": 9, "full_label": 9}
tin/test/images/val_8.JPEG {"label": -1, "sc_label": 9, "full_label": 25}

lsun/acc9f0d1.jpg {'label': -1, 'sc_label': -1, 'full_label': 10}\r
texture/a name with spaces 3.jpg -1
places365/museum-indoor/Places365_val_00001633.jpg {"label": -1}
"""


def read(tmp_path: Path, text: str) -> object:
    (tmp_path / "list.txt").write_text(text, encoding="utf-8", newline="")
    return read_list(tmp_path / "list.txt", tmp_path)


def test_both_forms_of_label(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(SCOOD, encoding="utf-8", newline="")
    found = read_list(tmp_path / "list.txt", tmp_path / "images")
    assert found.root == tmp_path / "images"
    assert found.files[0] == "cifar10/train/truck/5000.png"
    assert found.files[3] == "texture/a name with spaces 3.jpg"
    assert found.labels.tolist() == [9, -1, -1, -1, -1]
    assert found.sc_labels.tolist() == [9, 9, -1, -1, -1]
    assert found.full_labels.tolist() == [9, 25, 10, -1, -1]
    assert found.semantic.tolist() == [True, True, True, False, False]
    kept = found.select(found.sc_labels < 0)
    assert kept.files == found.files[2:]
    assert kept.full_labels.tolist() == [10, -1, -1]
    assert kept.semantic.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("only-a-path.png", "line 1: 'only-a-path.png' is not a path and a label"),
        ("a.png 1.5", "is not a path and a label"),
        ("a.png {label: 1}", "is not a path and a label"),
        ('a.png {"sc_label": 1}', "is not a path and a label"),
        ('a.png {"label": "1"}', "is not a path and a label"),
        ('a.png {"label": true}', "is not a path and a label"),
        ("a.png -2", "is not a path and a label"),
        ("a.png [1]", "is not a path and a label"),
        ("/etc/passwd 1", "line 1: /etc/passwd leaves "),
        ("a/../../b.png 1", "line 1: a/../../b.png leaves "),
        ("", "lists no image"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, finding: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, line + "\n")
    assert finding in str(caught.value)
    assert str(tmp_path / "list.txt") in str(caught.value)


def test_many_bad_lines_are_counted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: .*line 6: 'e' is not a path and a label and 2 more$"):
        read(tmp_path, "good.png 1\na\nb\nc\nd\ne\nf\ng\n")


def test_a_list_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="can't be read as a list of images"):
        read_list(tmp_path / "list.txt", tmp_path)
    with pytest.raises(DataError, match="No such file"):
        read_list(tmp_path / "absent.txt", tmp_path)


def test_folders_are_classes(tmp_path: Path) -> None:
    for name in ("dog/2.png", "dog/10.JPG", "cat/deep/1.jpeg", "cat/notes.txt", ".hidden/1.png", "cat/.1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, names = list_folder(tmp_path)
    assert names == ("cat", "dog")
    assert found.files == ("cat/deep/1.jpeg", "dog/10.JPG", "dog/2.png")
    assert np.array_equal(found.labels, [0, 1, 1])


def test_a_folder_without_classes_is_ood(tmp_path: Path) -> None:
    (tmp_path / "b.png").touch()
    (tmp_path / "a.tif").touch()
    found, names = list_folder(tmp_path)
    assert (found.files, found.labels.tolist(), names) == (("a.tif", "b.png"), [-1, -1], ())


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no image; known are \.bmp, \.jpeg"):
        list_folder(tmp_path)
