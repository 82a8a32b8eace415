"""The JSON Schema of the queue file: accepts what goe accepts, refuses typos, and is the one that is shipped."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli
from jsonschema import Draft202012Validator

from goe.core.jobs import JobOptions
from goe.core.queuefile import EXPERIMENT_KEYS, QueueOptions, parse_queue
from goe.core.queueschema import field_docs, queue_schema
from goe.core.specs import Filter

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "docs" / "experiments.schema.json"
FILES = [
    ROOT / "experiments.toml",
    ROOT / "goe" / "figures" / "spiral.toml",
    *sorted((ROOT / "examples").glob("*.toml")),
]
VALIDATOR = Draft202012Validator(queue_schema())


def accepts(text: str) -> bool:
    return bool(VALIDATOR.is_valid(tomli.loads(text)))


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(queue_schema())


def test_the_shipped_one_is_the_generated_one() -> None:
    assert json.loads(SHIPPED.read_text(encoding="utf-8")) == queue_schema(), (
        "goe queue schema > docs/experiments.schema.json"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_shipped_files_fit(path: Path) -> None:
    assert list(VALIDATOR.iter_errors(tomli.loads(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name != "figures"], ids=lambda path: path.name)
def test_shipped_files_name_it(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(("#:schema ./", "#:schema ../"))
    assert (path.parent / first.removeprefix("#:schema ")).resolve() == SHIPPED


EXPERIMENT = '[[experiment]]\nname = "a"\n'
GOOD = [
    'method = "energy-oe"',
    'method = { name = "mixoe", mix = { strategy = "cutmix" }, filter = { k = 1 } }',
    "method.filter.k = 0",
    'method.name = "udg"\nmethod.clusters = 100',
    'model = "res34"',
    'model = "wrn-28-10"',
    'outliers = "china"',
    "outliers.size = 64",
    'init-from = "base"',
    'init-from = { file = "./runs/x", checkpoint = "last" }',
    'ood = ["svhn", "my/images", "list.txt"]',
    'dataset = "pets"\nid = { train = "a", test = "b" }',
    "seeds = [1, 2]",
    "lr = 1",
    'priority = -1\nhold = true\nafter = ["b"]\ngpu-share = 0.5\nretry = { nccl = 9 }',
    "sweep = { method.filter.k = [0, 6], lr = [0.1] }",
    'sweep = { "method.filter.k" = [0, 6] }',
    'sweep = { method = ["oe", { name = "goe", mix-weight = 0.0 }] }',
    'sweep = { model = ["wrn", "resnet-34"], outliers.contamination = [0.0, 0.1], milestones = [[1], [2]] }',
]


@pytest.mark.parametrize("text", GOOD)
def test_what_goe_accepts_is_accepted(text: str) -> None:
    whole = EXPERIMENT + text
    others = '\n[[experiment]]\nname = "b"\n[[experiment]]\nname = "base"\n'
    parse_queue(whole + others, Path("e.toml"))
    assert accepts(whole + others)


BAD = [
    "epoch = 3",
    "epochs = 0",
    'epochs = "3"',
    "lr = 0.0",
    'method = "goo"',
    'method = { name = "oe", mix-weight = 0.5 }',
    'method = { name = "goe", filtr = { k = 3 } }',
    'method.filter.strategy = "top-k"',
    'model = "wrn40-2"',
    'outliers = "chine"',
    "outliers.contaminaton = 0.1",
    'ood = ["svnh"]',
    'scores = ["mps"]',
    "scores = []",
    "seeds = [1, 1]",
    "seeds = []",
    "gpu-share = 1.5",
    "retry = { ncl = 1 }",
    "sweep = {}",
    "sweep = { lr = 0.1 }",
    "sweep = { lr = [] }",
    "sweep = { lr = [-1.0] }",
    "sweep = { epoch = [1] }",
    "sweep = { method.filter.kk = [1] }",
    'sweep = { "method.filter.kk" = [1] }',
    'name = "a b"',
]


@pytest.mark.parametrize("text", BAD)
def test_typos_are_refused(text: str) -> None:
    whole = EXPERIMENT.replace('name = "a"\n', "") + (text if text.startswith("name") else f'name = "a"\n{text}')
    assert not accepts(whole)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[experiment]]\n",
        f"[[experimnt]]\n{EXPERIMENT}",
        f"[queue]\nslot = 2\n{EXPERIMENT}",
        f"[queue]\nslots = 0\n{EXPERIMENT}",
        f"[queue]\nnotify-on = ['sometimes']\n{EXPERIMENT}",
        f"[defaults]\nepoch = 3\n{EXPERIMENT}",
        f"[defaults]\nname = 'a'\n{EXPERIMENT}",
        "[experiment]\nname = 'a'\n",
    ],
)
def test_wrong_files_are_refused(text: str) -> None:
    assert not accepts(text)


def keys_of(schema: dict[str, Any]) -> set[str]:
    return set(schema["properties"])


def test_every_key_is_there() -> None:
    schema = queue_schema()
    assert keys_of(schema["$defs"]["Experiment"]) == EXPERIMENT_KEYS
    assert keys_of(schema["properties"]["defaults"]) == EXPERIMENT_KEYS - {"name", "sweep"}
    assert keys_of(schema["$defs"]["QueueOptions"]) == {
        field.encode_name for field in msgspec.structs.fields(QueueOptions)
    }


def test_docstrings_describe_keys() -> None:
    assert field_docs(JobOptions)["gpu-share"] == "Share of a GPU that a run takes: 0.5 lets two share one."
    assert field_docs(Filter)["k"].startswith("`topk`: outliers dropped per batch; `static`: rank in the ID batch.")
    described = queue_schema()["$defs"]["Experiment"]["properties"]["hold"]
    assert described["description"] == "Not started until it is released."
