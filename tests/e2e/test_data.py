"""`goe data` and the data root, as a user meets them."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from lab import Lab
from PIL import Image

from goe.core.errors import EXIT_USER

FLAT = """
[queue]
data = "sets"

[defaults]
dataset = "pets"
id = { train = "pets/train", test = "pets/test" }
outliers = { source = "folder", path = "wild", contamination = 0.2 }
model = "wrn-10-1"
batch-size = 16
outlier-batch-size = 8
epochs = 1
ood = ["odd/round", "blobs"]

[[experiment]]
name = "own"
method = { name = "goe", filter = { k = 2 } }
"""


def test_what_there_is_and_what_it_is(lab: Lab) -> None:
    listed = lab.goe("data", "list")
    assert listed.returncode == 0
    lines = {line.split()[0]: line for line in listed.stdout.splitlines()}
    assert "built in" in lines["digits"]
    assert "absent" in lines["cifar10"]
    (lab.folder / "sets").mkdir()
    np.save(lab.folder / "sets/300K_random_images.npy", np.zeros((4, 32, 32, 3), np.uint8))
    found = json.loads(lab.goe("data", "list", "--json", "--data", "sets").stdout)
    (random,) = [entry for entry in found if entry["name"] == "random-300k"]
    assert (random["state"], random["bytes"]) == ("present", 4 * 3072 + 128)
    shown = lab.goe("data", "info", "tiny-images").stdout
    assert "29 June 2020" in shown
    assert lab.goe("data", "path", "--data", "sets").stdout == f"{lab.folder / 'sets'}\n"


def test_what_is_altered_is_told(lab: Lab) -> None:
    (lab.folder / "data").mkdir()
    path = lab.folder / "data/300K_random_images.npy"
    np.save(path, np.zeros((4, 32, 32, 3), np.uint8))
    done = lab.goe("data", "verify")
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    wanted = "64ca64357de98351f28454274a112dc3"
    assert done.returncode == EXIT_USER
    assert done.stdout.splitlines() == [
        f"data/300K_random_images.npy: md5 {md5}, expected {wanted}",
        "data/300K_random_images.npy: delete the file and fetch it again with `goe data fetch random-300k`",
    ]
    path.unlink()
    (lab.folder / "data/val_256").mkdir()
    done = lab.goe("data", "verify")
    assert (done.returncode, done.stdout) == (0, "places365: unchecked (no published checksums)\n")


def test_the_queue_file_says_where_data_sets_are(lab: Lab) -> None:
    def path(*options: str) -> str:
        done = lab.goe("data", "path", *options)
        assert done.returncode == 0, done.stderr
        return str(Path(done.stdout.rstrip("\n")).relative_to(lab.folder))

    assert path() == "data"
    lab.queue('[queue]\ndata = "sets"\n[[experiment]]\nmethod = "unknown"\n')  # its experiments are not read
    assert path() == "sets"
    assert path("--data", "given") == "given"
    lab.env["GOE_DATA"] = str(lab.folder / "set-outside")
    assert path() == "set-outside"
    del lab.env["GOE_DATA"]
    (lab.folder / "experiments.toml").rename(lab.folder / "other.toml")
    assert path() == "data"
    lab.env["GOE_QUEUE"] = "other.toml"
    assert path() == "sets"
    (lab.folder / "other.toml").write_text("[queue\n")
    done = lab.goe("data", "list")
    assert done.returncode == 0
    assert "cifar10" in done.stdout
    assert done.stderr.startswith("warning: other.toml:1:")
    assert done.stderr.endswith("; its [queue] is not read, so data sets are looked for in data\n")


def test_mistakes(lab: Lab) -> None:
    for options, said in (
        (("info", "cifar1"), 'error: unknown data set "cifar1" (did you mean "cifar10"?); `goe data list` shows'),
        (("fetch", "tiny-images"), "error: tiny-images: can't be downloaded: it was withdrawn by its authors"),
        (("verify", "svhn"), ""),
    ):
        done = lab.goe("data", *options)
        assert done.returncode == EXIT_USER
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert "fetch it with `goe data fetch svhn`" in lab.goe("data", "verify", "svhn").stdout


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys, cli\n"
        "sys.argv = ['goe', 'data', 'list']\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "sys.exit(str({'torch', 'numpy', 'torchvision'} & sys.modules.keys() or '') or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def picture(path: Path, rng: np.random.Generator, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(level, level + 60, size=(40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def test_images_of_ones_own_are_trained_on_and_tested_on(lab: Lab) -> None:
    rng = np.random.default_rng(0)
    for number in range(40):
        for label, name in enumerate(("cat", "dog")):
            picture(lab.folder / f"sets/pets/train/{name}/{number}.png", rng, 150 * label)
            if number < 5:
                picture(lab.folder / f"sets/pets/test/{name}/{number}.png", rng, 150 * label)
        picture(lab.folder / f"sets/wild/{number}.jpg", rng, 80)
        if number < 6:
            picture(lab.folder / f"sets/odd/round/{number}.jpg", rng, 80)
    lab.queue(FLAT)
    done = lab.goe("queue", "run")
    assert done.returncode == 0, done.stderr
    table = lab.goe("table").stdout
    assert "pets · wrn-10-1" in table
    assert "mean over round, blobs" in table
    assert "precision" in table  # the contamination's truth is known
    again = lab.goe("eval", "own", "--ood", "odd/round")  # the data folder is the queue file's
    assert again.returncode == 0, again.stderr
    assert "OOD: round" in again.stdout
    assert sorted(path.suffix for path in (lab.folder / "sets/.cache").iterdir() if path.suffix != ".lock") == [
        *[".json"] * 4,
        *[".npy"] * 4,
    ]
