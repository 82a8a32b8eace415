"""OOD test sets by name, path and protocol, and ID images of one's own, on small files in the published forms."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from goe.core.config import RunConfig, Tests, with_tests
from goe.core.errors import DataError
from goe.core.process import myself
from goe.core.records import EvalResult, Launch
from goe.core.rundir import RunDir, read_json
from goe.data import catalog, ood
from goe.data.catalog import load_evaluation, load_training
from goe.evaluate import evaluate
from goe.journal import Journal
from goe.metrics import detection_metrics
from goe.train import train

MakeConfig = Callable[..., RunConfig]


@pytest.fixture(autouse=True)
def _few_synthetic_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "SYNTHETIC_IMAGES", 7)


@pytest.fixture
def root(cifar_root: Path, tmp_path: Path) -> Path:
    """A data root with both CIFARs and room for more."""
    for name in ("cifar-10-batches-py", "cifar-100-python"):
        (tmp_path / name).symlink_to(cifar_root / name)
    return tmp_path


def grey(path: Path, level: int, side: int = 32) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), (level, level, level)).save(path)


def levels(images: Any) -> list[int]:
    return [int(image[0, 0, 0]) for image in images.images(np.arange(len(images)))]


def test_sets_by_name_and_path(root: Path, make_config: MakeConfig) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(32, 32, 3, 5), dtype=np.uint8)
    savemat(root / "test_32x32.mat", {"X": pixels, "y": np.ones((5, 1))})
    for number in range(3):
        grey(root / f"dtd/images/class-{number}/x.jpg", number, side=50)
        grey(root / f"tiny-imagenet-200/val/images/{number}.png", 10 + number)
        grey(root / f"mine/odd/{number}.png", 20 + number)
    (root / "mine/list.txt").write_text("odd/2.png -1\nodd/0.png 3\n")
    names = ("svhn", "textures", "tiny-imagenet", "mine/odd", "mine/list.txt", "uniform-noise", "cifar100")
    found = load_evaluation(make_config(dataset="cifar10", ood=names), root)
    assert [(each.name, len(each.images), each.kind) for each in found.ood] == [
        ("svhn", 5, "far"),
        ("textures", 3, "far"),
        ("tiny-imagenet", 3, "far"),
        ("odd", 3, ""),
        ("list", 2, ""),
        ("uniform-noise", 7, "synthetic"),
        ("cifar100", 150, "near"),
    ]
    assert np.array_equal(found.ood[0].images.images(np.arange(5)), pixels.transpose(3, 0, 1, 2))
    assert levels(found.ood[2].images) == [10, 11, 12]
    assert levels(found.ood[4].images) == [22, 20]
    assert all((each.images.labels() == -1).all() for each in found.ood)
    assert re.fullmatch("own-[0-9a-f]{8}", found.benchmark.protocol)
    other = load_evaluation(make_config(dataset="cifar10", ood=["svhn"]), root)
    assert other.benchmark.protocol != found.benchmark.protocol


@pytest.fixture
def listed(root: Path) -> Path:
    """A list of SC-OOD's form, its images elsewhere; the last three lines say nothing of an ID class."""
    labels = ({"label": -1, "sc_label": 4}, {"label": -1, "sc_label": -1}, {"label": 3}, 7, -1)
    lines = []
    for number, label in enumerate(labels):
        grey(root / f"pictures/tin/{number}.png", number)
        lines.append(f"tin/{number}.png {json.dumps(label)}")
    (root / "lists").mkdir()
    (root / "lists/test_tin.txt").write_text("\n".join(lines))
    return root


@pytest.mark.parametrize(
    ("mode", "ood_levels", "said"),
    [
        ("drop", [1, 2, 3, 4], "1 of ID classes left out"),
        ("as-id", [1, 2, 3, 4], "1 of ID classes counted as ID"),
        ("dataset", [0, 1, 2, 3, 4], "1 of ID classes counted as OOD"),
    ],
)
def test_a_list_whose_images_are_elsewhere(
    listed: Path, make_config: MakeConfig, mode: str, ood_levels: list[int], said: str
) -> None:
    log: list[str] = []
    config = make_config(dataset="cifar10", ood=["lists/test_tin.txt@pictures"], ood_mode=mode)
    found = load_evaluation(config, listed, log.append)
    (tin,) = found.ood
    assert (tin.name, levels(tin.images), set(tin.images.labels())) == ("test_tin", ood_levels, {-1})
    assert f"test_tin: 5 images, 4 OOD, {said}" in log
    assert (tin.with_id is not None) == (mode == "as-id")
    if tin.with_id is not None:
        assert (levels(tin.with_id), tin.with_id.labels().tolist()) == ([0], [4])
    assert found.benchmark.protocol.endswith({"drop": found.benchmark.protocol[-8:], **MODES}[mode])
    again = Tests(ood=("lists/test_tin.txt@pictures",), ood_mode=mode)  # type: ignore[arg-type]
    assert with_tests(make_config(dataset="cifar10"), again).ood_mode == mode


MODES = {"as-id": "-as-id", "dataset": "-dataset"}


def test_a_list_at_the_top_of_the_data_root(listed: Path, make_config: MakeConfig) -> None:
    (listed / "flat.txt").write_text("pictures/tin/3.png -1\n")
    for name in ("flat.txt", "flat.txt@"):
        assert levels(load_evaluation(make_config(dataset="cifar10", ood=[name]), listed).ood[0].images) == [3]
    (listed / "flat.txt").write_text('pictures/tin/3.png {"label": -1, "sc_label": 0}\n')
    with pytest.raises(DataError, match=r"flat.txt: all 1 images have an sc_label of an ID class; none is OOD"):
        load_evaluation(make_config(dataset="cifar10", ood=["flat.txt"]), listed)
    with pytest.raises(DataError, match=r"\.\./x: leaves the data root"):
        load_evaluation(make_config(dataset="cifar10", ood=["flat.txt@../x"]), listed)


def write_idx(path: Path, images: np.ndarray) -> bytes:
    content = gzip.compress(np.array([0x803, *images.shape], ">u4").tobytes() + images.tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return content


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_mnist_is_enlarged(root: Path, make_config: MakeConfig, name: str, folder: str) -> None:
    grey_levels = np.array([0, 90, 255], np.uint8)
    images = np.broadcast_to(grey_levels[:, None, None], (3, 28, 28)).copy()
    images[1, :, 14:] = 200  # a vertical edge
    path = root / f"{folder}/raw/t10k-images-idx3-ubyte.gz"
    content = write_idx(path, images)
    config = make_config(dataset="cifar10", ood=[name])
    (found,) = load_evaluation(config, root).ood
    assert (found.name, found.kind, found.images.data.shape) == (name, "far", (3, 32, 32, 3))  # type: ignore[union-attr]
    assert levels(found.images) == [0, 90, 255]
    edge = found.images.images(np.array([1]))[0]  # type: ignore[union-attr]
    assert edge[:, :15].max() == 90
    assert edge[:, 17:].min() == 200
    whole = gzip.decompress(content)
    for bad, finding in (
        (b"no gzip", "can't be read"),
        (content[:-9], "can't be read"),
        (gzip.compress(whole[:-1]), "holds no images of MNIST's format; delete it and fetch it again"),
        (gzip.compress(whole[:7]), "holds no images"),
        (gzip.compress(b"\0\0\x08\x01" + whole[4:]), "holds no images"),  # the labels' file
    ):
        path.write_bytes(bad)
        with pytest.raises(DataError, match=finding):
            load_evaluation(config, root)


def test_a_named_set_that_is_missing_is_an_error(root: Path, make_config: MakeConfig) -> None:
    for name, remedy in (("svhn", "goe data fetch svhn"), ("inaturalist", "OpenOOD's scripts"), ("a/b", "not found")):
        with pytest.raises(DataError, match=remedy):
            load_evaluation(make_config(dataset="cifar10", ood=[name]), root)


def test_two_sets_of_one_name_are_refused(root: Path, make_config: MakeConfig) -> None:
    for folder in ("a", "b"):
        grey(root / folder / "val/x.png", 1)
    with pytest.raises(DataError, match="two test sets are called val; give their folders or lists other names"):
        load_evaluation(make_config(dataset="cifar10", ood=["a/val", "b/val"]), root)


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0 MAT-file", b"\x00" * 300])
def test_a_damaged_svhn(root: Path, make_config: MakeConfig, content: bytes) -> None:
    (root / "test_32x32.mat").write_bytes(content)
    with pytest.raises(DataError, match=r"test_32x32.mat: can't be read: .*delete it and fetch it again"):
        load_evaluation(make_config(dataset="cifar10", ood=["svhn"]), root)


def test_an_svhn_of_another_form(root: Path, make_config: MakeConfig) -> None:
    savemat(root / "test_32x32.mat", {"X": np.zeros((5, 32, 32, 3), np.uint8)})
    with pytest.raises(DataError, match=r"expected uint8 of shape \(32, 32, 3, N\)"):
        load_evaluation(make_config(dataset="cifar10", ood=["svhn"]), root)


SETS = ("texture", "svhn", "tin", "lsun", "places365")


@pytest.fixture
def scood(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four images a list; in CIFAR-10's lists the last is of an ID class, in CIFAR-100's the last two."""
    monkeypatch.setattr(ood, "SCOOD_COUNTS", dict.fromkeys(("cifar10", "cifar100", *SETS[:-1]), 4))
    monkeypatch.setattr(ood, "SCOOD_OOD_COUNTS", {("cifar10", "cifar100"): 3, ("cifar10", "tin"): 3})
    for benchmark, of_id in (("cifar10", 1), ("cifar100", 2)):
        folder = root / f"scood/imglist/benchmark_{benchmark}"
        folder.mkdir(parents=True)
        for place, name in enumerate((*SETS, "cifar10", "cifar100")):
            lines = []
            for number in range(4):
                grey(root / f"scood/images/{name}/{number}.png", 10 * place + number)
                sc_label = 5 if number >= 4 - of_id else -1
                labels = {"label": -1, "sc_label": sc_label, "full_label": number}
                lines.append(f"{name}/{number}.png {json.dumps(labels)}")
            (folder / f"test_{name}.txt").write_text("\n".join(lines))
    return root


@pytest.mark.parametrize(
    ("options", "kept", "with_id", "protocol"),
    [
        ({"protocol": "scood"}, 3, None, "scood"),
        ({"protocol": "goe2024"}, 2, None, "goe2024"),
        ({"protocol": "scood", "ood_mode": "dataset"}, 4, None, "scood-dataset"),
        ({"protocol": "scood", "ood_mode": "as-id"}, 3, [3], "scood-as-id"),
        ({"protocol": "goe2024", "ood_mode": "as-id"}, 2, [2, 3], "goe2024-as-id"),
    ],
)
def test_scoods_lists_and_what_becomes_of_id_classes(
    scood: Path, make_config: MakeConfig, options: Any, kept: int, with_id: list[int] | None, protocol: str
) -> None:
    said: list[str] = []
    found = load_evaluation(make_config(dataset="cifar10", **options), scood, said.append)
    assert [each.name for each in found.ood] == ["cifar100", *SETS, "blobs", "gaussian-noise"]
    assert found.benchmark.protocol == protocol
    assert levels(found.ood[0].images) == [60, 61, 62, 63]  # the other CIFAR is OOD whole
    for place, each in enumerate(found.ood[1:6]):
        assert levels(each.images) == [10 * place + number for number in range(kept)]
        assert (each.with_id is None) == (with_id is None)
        if each.with_id is not None:
            assert levels(each.with_id) == [10 * place + number for number in with_id or []]
            assert (each.with_id.labels() == 5).all()
    counts = f"{4 - (1 if options['protocol'] == 'scood' else 2)} OOD"
    assert any(line.startswith("tin: 4 images, ") and counts in line for line in said)


def test_a_cut_list_is_refused(scood: Path, make_config: MakeConfig) -> None:
    path = scood / "scood/imglist/benchmark_cifar10/test_tin.txt"
    path.write_text(path.read_text().rsplit("\n", 1)[0])
    with pytest.raises(DataError, match=r"test_tin.txt: 3 images, the published list has 4; is it cut"):
        load_evaluation(make_config(dataset="cifar10", protocol="scood"), scood)
    whole = path.read_text() + '\ntin/3.png {"label": -1, "sc_label": 0}'
    path.write_text(whole.replace('"sc_label": -1', '"sc_label": 1', 1))
    with pytest.raises(DataError, match=r"test_tin.txt: 2 OOD images, the published list has 3; is it cut, or of anot"):
        load_evaluation(make_config(dataset="cifar10", protocol="scood"), scood)
    path.unlink()
    with pytest.raises(DataError, match=r"test_tin.txt not found; download it by hand from https://drive"):
        load_evaluation(make_config(dataset="cifar10", protocol="scood"), scood)


def test_images_of_id_classes_that_the_network_does_not_have(scood: Path, make_config: MakeConfig) -> None:
    """As CIFAR-100's classes, which the authors' mix-up of lists gives a network of CIFAR-10."""
    path = scood / "scood/imglist/benchmark_cifar100/test_svhn.txt"
    path.write_text(path.read_text().replace('"sc_label": 5', '"sc_label": 10', 1))
    config = make_config(dataset="cifar10", protocol="goe2024", ood_mode="as-id")
    with pytest.raises(
        DataError, match=r"svhn: its list has an sc_label of 10, and cifar10 has the classes 0 to 9; is"
    ):
        load_evaluation(config, scood)
    assert len(load_evaluation(make_config(dataset="cifar10", protocol="goe2024"), scood).ood) == 8


def test_openoods_lists(root: Path, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ood, "OPENOOD_COUNTS", {"cifar100": {"cifar100": 2, "tin": 1}})
    names = ("cifar10", "tin", "mnist", "svhn", "texture", "places365")
    for place, name in enumerate(names):
        grey(root / f"openood/images_classic/{name}/x.png", place)
        folder = root / "openood/benchmark_imglist/cifar100"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"test_{name}.txt").write_text(f"{name}/x.png -1\n")
    for number in range(2):
        grey(root / f"openood/images_classic/cifar100/test/{number}.png", 70 + number)
    (folder / "test_cifar100.txt").write_text("cifar100/test/1.png 99\ncifar100/test/0.png 0\n")
    found = load_evaluation(make_config(dataset="cifar100", protocol="openood"), root)
    assert [(each.name, each.kind, levels(each.images)) for each in found.ood] == [
        (name, "near" if place < 2 else "far", [place]) for place, name in enumerate(names)
    ]
    # The ID test set is the list's too, not all of CIFAR's test images.
    assert (found.test.name, levels(found.test), found.test.labels().tolist()) == ("cifar100", [71, 70], [99, 0])
    (folder / "test_tin.txt").write_text("tin/x.png -1\n" * 2)
    with pytest.raises(DataError, match=r"test_tin.txt: 2 images, the published list has 1; is it cut"):
        load_evaluation(make_config(dataset="cifar100", protocol="openood"), root)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Ten images a class for training and two for testing."""
    for part, count in (("train", 10), ("test", 2)):
        for label, name in enumerate(("cat", "dog")):
            for number in range(count):
                grey(tmp_path / f"pets/{part}/{name}/{number:02}.png", 100 * label + number, side=48)
    return tmp_path


def test_folders_of_ones_own(pets: Path, make_config: MakeConfig) -> None:
    config = make_config(dataset="pets", id={"train": "pets/train", "test": "pets/test"}, outliers={"source": "china"})
    training, evaluation = load_training(config, pets), load_evaluation(config, pets)
    assert training.benchmark == evaluation.benchmark
    assert training.benchmark.class_names == ("cat", "dog")
    assert (len(training.train), len(training.validation)) == (18, 2)
    assert evaluation.test.labels().tolist() == [0, 0, 1, 1]
    assert evaluation.test.name == "pets"
    assert [each.name for each in evaluation.ood] == ["blobs", "gaussian-noise"]
    pixels = np.concatenate([np.arange(10), 100 + np.arange(10)]) / 255
    assert training.benchmark.mean == pytest.approx((pixels.mean(),) * 3, abs=1e-6)
    assert training.benchmark.std == pytest.approx((pixels.std(),) * 3, abs=1e-6)


def test_lists_of_ones_own(pets: Path, make_config: MakeConfig) -> None:
    lines = [f"{name}/{number:02}.png {label}" for label, name in enumerate(("cat", "dog")) for number in range(10)]
    (pets / "train.txt").write_text("\n".join(lines))
    (pets / "test.txt").write_text("dog/03.png 1\n")
    own = {"train": "train.txt", "test": "test.txt", "images": "pets/train"}
    config = make_config(dataset="pets", id=own, method="baseline")
    assert load_training(config, pets).benchmark.class_names == ("0", "1")
    assert load_evaluation(config, pets).test.labels().tolist() == [1]
    (pets / "test.txt").write_text("dog/03.png 2\n")
    with pytest.raises(DataError, match=r"test.txt: labels 2 to 2; .*train.txt has the classes 0, 1"):
        load_evaluation(config, pets)
    (pets / "train.txt").write_text("\n".join(lines).replace(" 0", " 4"))
    with pytest.raises(DataError, match="ID labels must be 0, 1, … without gaps; found 1, 4"):
        load_training(config, pets)


def test_a_path_that_leaves_the_data_root(pets: Path, make_config: MakeConfig) -> None:
    config = make_config(dataset="pets", id={"train": "../train", "test": "x"}, method="baseline")
    with pytest.raises(DataError, match=r"\.\./train: leaves the data root .*; give an absolute path if that is meant"):
        load_training(config, pets)


def test_validation_by_an_index_file(root: Path, make_config: MakeConfig) -> None:
    (root / "valid.txt").write_text("3\n0\n10499")  # the authors' files end without a newline
    sets = load_training(make_config(dataset="cifar10", method="baseline", val_index="valid.txt"), root)
    assert (len(sets.train), len(sets.validation)) == (10_497, 3)
    full, _ = catalog.cifar.training("cifar10", root)
    assert np.array_equal(sets.validation.images(np.arange(3)), full.data[[0, 3, 10_499]])
    for text, finding in (
        ("3\nx\n", "1 entries are no position below 10500: x; is it the index of another data set"),
        ("14616\n79297630\n", "2 entries are no position below 10500: 14616, 79297630"),
        ("3\n3\n", "1 positions come twice"),
        ("", "it is empty"),
    ):
        (root / "valid.txt").write_text(text)
        with pytest.raises(DataError, match=finding):
            load_training(make_config(dataset="cifar10", method="baseline", val_index="valid.txt"), root)


def test_outliers_from_folders_and_lists(root: Path, make_config: MakeConfig) -> None:
    for number in range(4):
        grey(root / f"wild/x/{number}.png", number)
        grey(root / f"tiny-imagenet-200/train/n01/images/{number}.JPEG", 50)
    (root / "wild.txt").write_text("x/3.png 0\nx/1.png 0\n")
    folder = make_config(dataset="cifar10", outliers={"source": "folder", "path": "wild"})
    listed = make_config(dataset="cifar10", outliers={"source": "list", "path": "wild.txt", "images": "wild"})
    for config, expected in ((folder, [0, 1, 2, 3]), (listed, [3, 1])):
        outliers = load_training(config, root).outliers
        assert outliers is not None
        assert outliers.is_id is None
        assert levels(outliers.source) == expected
        assert set(outliers.source.labels()) == {-1}
    said: list[str] = []
    tin = load_training(make_config(dataset="cifar10", outliers="tiny-imagenet"), root, said.append).outliers
    assert tin is not None
    assert len(tin.source) == 4
    assert any("its classes are those of SC-OOD's and OpenOOD's test set tin" in line for line in said)


def test_broken_outliers_are_left_out_where_allowed(root: Path, make_config: MakeConfig) -> None:
    for number in range(4):
        grey(root / f"wild/x/{number}.png", number)
    (root / "wild/x/2.png").write_bytes(b"cut")
    options: Any = {"dataset": "cifar10", "outliers": {"source": "folder", "path": "wild"}}
    with pytest.raises(DataError, match=r"1 images can't be read: x/2.png: .*skip-broken = true"):
        load_training(make_config(**options), root)
    said: list[str] = []
    outliers = load_training(make_config(**options, skip_broken=True), root, said.append).outliers
    assert outliers is not None
    assert levels(outliers.source) == [0, 1, 3]
    assert any("1 images left out: x/2.png" in line for line in said)


def test_images_of_id_classes_count_as_id_where_asked(scood: Path, make_config: MakeConfig, tmp_path: Path) -> None:
    """A trained run evaluated again: SC-OOD's mode adds each list's own ID images to the ID side of that list alone."""
    index = np.random.default_rng(0).permutation(10_500)[:10_400]
    (scood / "valid.txt").write_text("\n".join(map(str, index)))
    options: Any = {"dataset": "cifar10", "model": "wrn-10-1", "val_index": "valid.txt", "method": "baseline"}
    run = RunDir.create(tmp_path / "runs", make_config(**options, epochs=1, evaluate="last", experiment="x"))
    attempt = run.claim(Launch(attempt=1, launcher="test", supervisor=myself(), started=0.0))
    assert attempt is not None
    with Journal(run, attempt, epochs=1) as journal:
        train(run, journal, root=scood, should_stop=lambda: False)

    def results(tests: Tests) -> tuple[EvalResult, dict[str, np.ndarray]]:
        (path,) = evaluate(run, checkpoint_name="last", scores=["msp"], root=scood, tests=tests).paths
        result = read_json(path, EvalResult)
        assert result is not None
        with np.load(path.with_suffix(".npz")) as raw:
            return result, dict(raw)

    dropped, _ = results(Tests(protocol="scood"))
    as_id, raw = results(Tests(protocol="scood", ood_mode="as-id"))
    assert (dropped.protocol, as_id.protocol) == ("scood", "scood-as-id")
    assert dropped.classification == as_id.classification
    assert dropped.detection["cifar100"] == as_id.detection["cifar100"]
    for name in SETS:
        id_side = np.concatenate([raw["score/cifar10"], raw[f"score/{name}/id"]])
        expected = detection_metrics(id_side, raw[f"score/{name}"])
        assert len(id_side) == 151
        assert as_id.detection[name]["auroc"] == expected.auroc
        assert as_id.detection[name]["fpr95"] == expected.fpr95
