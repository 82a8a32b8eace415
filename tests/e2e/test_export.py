"""`goe export` and `goe schema` as a user meets them."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest
from lab import Lab, metrics
from PIL import Image

from goe.core.errors import ConfigError
from goe.core.records import CheckpointIndex
from goe.core.rundir import RunDir, read_json
from goe.core.schemas import SCHEMAS, schema
from goe.core.slurm import SlurmJob
from goe.core.thresholds import Threshold, threshold_file, write_threshold


def best(run: RunDir) -> CheckpointIndex:
    found = read_json(run.checkpoints / "best.json", CheckpointIndex)
    assert found is not None
    return found


def with_threshold(lab: Lab) -> RunDir:
    run = lab.views()[0].run
    write_threshold(run, best(run), "msp", Threshold(value=0.125, images=150))
    return run


def test_onnx_without_a_word_too_much(finished: Lab) -> None:
    run = with_threshold(finished)
    done = finished.goe("export", "base-s1", "--format", "onnx")
    file = f"{run.run_id}-best.onnx"
    assert (done.returncode, done.stdout) == (0, f"{file}\n"), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{file}: checkpoint best of {run.run_id} accepts from msp 0.125 on; differs from torch by ")
    session = onnxruntime.InferenceSession(finished.folder / file, providers=["CPUExecutionProvider"])
    logits, score, accepted = session.run(None, {"images": np.zeros((3, 3, 32, 32), np.float32)})
    assert (logits.shape, score.shape, accepted.shape) == ((3, 8), (3,), (3,))
    assert session.get_modelmeta().custom_metadata_map["run_id"] == run.run_id
    assert {entry.name for entry in finished.folder.iterdir()} >= {file, "runs"}
    assert not [entry for entry in finished.folder.iterdir() if entry.name.startswith(".")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "--format, --to: neither is given; use --format onnx|safetensors|torch for the classifier, --to "),
        ("--format onnx --to csv", "--format, --to: exclude each other; use --format onnx|safetensors|torch "),
        ("--format onx", '--format: "onx" is unknown (did you mean "onnx"?); known: onnx, safetensors, torch'),
        ("--to jsn", '--to: "jsn" is unknown (did you mean "json"?); known: tensorboard, csv, json'),
        ("--format torch --score vim", '--score: "vim" is a detector of pytorch-ood, '),
        ("--to csv --out nowhere/x", "nowhere/x: there is no folder nowhere; make it, or pass --out elsewhere"),
    ],
)
def test_what_is_refused_at_once(options: str, said: str, finished: Lab) -> None:
    done = finished.goe("export", "base-s1", *options.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {said}")
    assert len(done.stderr.splitlines()) == 1


def test_what_the_worker_refuses(finished: Lab) -> None:
    run = with_threshold(finished)
    before = sorted(finished.folder.iterdir())
    done = finished.goe("export", "base-s1", "--format", "torch", "--checkpoint", "epoch-007")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {run.path / 'checkpoints/epoch-007.json'}: there is no such checkpoint; "
        f"`goe checkpoints {run.run_id}` lists them\n"
    )
    threshold_file(run, best(run)).unlink()
    done = finished.goe("export", "base-s1", "--format", "torch")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {run.run_id}: no threshold of score msp for checkpoint best; "
        f"`goe eval {run.run_id} --checkpoint best --scores msp` finds it\n"
    )
    done = finished.goe("export", "base-s1", "--format", "torch", "--out", "nowhere/x.pt2")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: nowhere/x.pt2: there is no folder nowhere; ")
    assert sorted(finished.folder.iterdir()) == before


def test_metrics_leave_as_csv_json_and_event_files(finished: Lab) -> None:
    run = finished.views()[0].run
    records = metrics(run)
    done = finished.goe("export", "base-s1", "--to", "csv")
    assert (done.returncode, done.stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    listed = json.loads(finished.goe("export", "base-s1", "--to", "json").stdout)
    assert [(row["kind"], int(row["step"])) for row in rows] == [(each.kind, each.step) for each in records]
    for row, item, record in zip(rows, listed, records, strict=True):
        assert row == {key: "" if value is None else str(value) for key, value in item.items()}
        assert {key: item[key] for key in record.values} == record.values
    saved = finished.goe("export", "base-s1", "--to", "csv", "--out", "m.csv")
    assert (saved.returncode, saved.stdout) == (0, "m.csv\n")
    assert saved.stderr == f"m.csv: {len(records)} records of {run.run_id}\n"
    assert (finished.folder / "m.csv").read_text() == done.stdout
    folder = Path("tensorboard", run.run_id)
    assert finished.goe("export", "base-s1", "--to", "tensorboard").stdout == f"{folder}\n"
    (file,) = (finished.folder / folder).iterdir()
    before = file.read_bytes()
    again = finished.goe("export", "base-s1", "--to", "tensorboard")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == f"error: {folder}: exists and is not empty; remove it, or pass --out FOLDER\n"
    assert file.read_bytes() == before


def test_damaged_metrics_are_counted(finished: Lab) -> None:
    run = finished.views()[0].run
    run.metrics_file.write_bytes(run.metrics_file.read_bytes() + b'{"kind": 1}\n')
    done = finished.goe("export", "base-s1", "--to", "json")
    assert done.returncode == 0
    assert done.stderr == f"warning: runs/{run.run_id}/metrics.jsonl: 1 damaged records left out\n"
    run.metrics_file.unlink()
    done = finished.goe("export", "base-s1", "--to", "json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: runs/{run.run_id}/metrics.jsonl: no metrics; ")


def conforms(value: Any, rule: dict[str, Any], defs: dict[str, Any]) -> bool:
    """Whether a JSON value is as a schema says, and an object has no member that is not in it.

    Only what these schemas say of types, members and words; bounds and patterns are msgspec's to check.
    """
    if "$ref" in rule:
        return conforms(value, defs[rule["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in rule:
        return any(conforms(value, each, defs) for each in rule["anyOf"])
    if "enum" in rule:
        return value in rule["enum"]
    match rule["type"]:
        case "object":
            known, rest = rule.get("properties", {}), rule.get("additionalProperties")
            return (
                isinstance(value, dict)
                and value.keys() >= set(rule.get("required", ()))
                and all(
                    conforms(each, known[key], defs) if key in known else bool(rest) and conforms(each, rest, defs)
                    for key, each in value.items()
                )
            )
        case "array":
            return isinstance(value, list) and all(conforms(each, rule["items"], defs) for each in value)
        case kind:
            types = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}
            return isinstance(value, types[kind]) and (kind == "boolean" or not isinstance(value, bool))


def files(run: RunDir) -> dict[str, list[bytes]]:
    """What there is of each kind of file."""
    attempt = run.attempt()
    assert attempt is not None
    lines = [line[: line.index(b',"crc"')] + b"}" for line in run.metrics_file.read_bytes().splitlines()]
    return {
        "config": [run.config_file.read_bytes()],
        "queued": [(run.path / "queued.json").read_bytes()],
        "environment": [run.env_file.read_bytes()],
        "metrics": lines,
        "checkpoint": [(run.checkpoints / name).read_bytes() for name in ("best.json", "last.json")],
        "thresholds": [threshold_file(run, best(run)).read_bytes()],
        "eval": [path.read_bytes() for path in run.eval.glob("*.json")],
        "launch": [attempt.launch_file.read_bytes()],
        "status": [attempt.status_file.read_bytes()],
        "exit": [attempt.exit_file.read_bytes()],
    }


def test_a_run_is_what_the_schemas_say(finished: Lab) -> None:
    found = files(with_threshold(finished))
    Image.new("RGB", (32, 32)).save(finished.folder / "black.png")
    found["score"] = [finished.goe("score", "base-s1", "black.png", "--json").stdout.encode()]
    # What a queue writes of a job; tests/slurm has real ones.
    found["slurm"] = [msgspec.json.encode(SlurmJob(job="7", attempt=1, submitted=1.5, seen=2.5))]
    assert found.keys() == SCHEMAS.keys()
    for name, contents in found.items():
        printed = finished.goe("schema", name)
        assert (printed.returncode, printed.stderr) == (0, "")
        rule = json.loads(printed.stdout)
        assert rule == json.loads(json.dumps(schema(name)))
        assert rule["$id"] == f"urn:goe:{name}:{SCHEMAS[name].version}"
        assert contents
        for content in contents:
            value = json.loads(content)
            assert conforms(value, rule, rule["$defs"]), (name, value)
            assert not conforms({**value, "more": 1}, rule, rule["$defs"])
            needed = rule["$defs"][rule["$ref"].rpartition("/")[2]]["required"][0]
            assert not conforms({key: value[key] for key in value if key != needed}, rule, rule["$defs"])
            assert not conforms([value], rule, rule["$defs"])


def test_schemas_are_listed_and_documented(lab: Lab) -> None:
    listed = lab.goe("schema").stdout.splitlines()
    assert [line.split()[:2] for line in listed] == [
        ["schema", "version"],
        *([name, str(each.version)] for name, each in SCHEMAS.items()),
    ]
    wrong = lab.goe("schema", "evl")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == f'error: schema: "evl" is unknown (did you mean "eval"?); known: {", ".join(SCHEMAS)}\n'
    with pytest.raises(ConfigError):
        schema("")
    page = (Path(__file__).parents[2] / "docs/schemas.md").read_text(encoding="utf-8")
    for name, each in SCHEMAS.items():
        assert f"`goe schema {name}`, version {each.version}" in page
        for kind, rule in schema(name)["$defs"].items():
            if name != "config":  # its keys are in the README
                assert not [key for key in rule["properties"] if f"`{key}`" not in page], kind
