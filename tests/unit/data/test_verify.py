"""What `goe data verify` says of bundles; of single sets and archives it is tested where they are fetched."""

import json
from pathlib import Path

import pytest

from goe.data.bundles import bundle_lists
from goe.data.store import find
from goe.data.verify import verify


def write_bundle(root: Path, name: str) -> None:
    """Every list of a bundle, of two images each."""
    for path, images in bundle_lists(name):
        lines = []
        for number in range(2):
            file = f"{Path(path).stem}/{number}.png"
            (root / images / file).parent.mkdir(parents=True, exist_ok=True)
            (root / images / file).touch()
            lines.append(f"{file} {json.dumps({'label': -1})}")
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("\n".join(lines))


@pytest.mark.parametrize(("name", "lists"), [("scood", 12), ("openood", 14)])
def test_a_bundles_lists_and_their_images(tmp_path: Path, name: str, lists: int) -> None:
    entry = find(name)
    assert verify(entry, tmp_path).faults[0].startswith(f"{name}: {tmp_path / name} not found; ")
    write_bundle(tmp_path, name)
    found = verify(entry, tmp_path)
    assert found.faults == ()
    assert found.said == f"{lists} lists, their {2 * lists} images are all there (no published checksums)"
    (first, images), (second, _), (third, _) = bundle_lists(name)[:3]
    (tmp_path / images / Path(first).stem / "1.png").unlink()
    (tmp_path / second).unlink()
    (tmp_path / third).write_text("no label\n")
    (absent, missing, bad, *rest, remedy) = verify(entry, tmp_path).faults
    assert absent == f"{tmp_path / first}: 1 of 2 images are missing: {Path(first).stem}/1.png"
    assert missing == f"{tmp_path / second}: missing"
    assert bad == f"{tmp_path / third}: line 1: 'no label' is not a path and a label"
    assert remedy == f"{name}: {entry.how}"
    assert len(rest) == sum(Path(path).stem == Path(first).stem for path, _ in bundle_lists(name)[3:])
