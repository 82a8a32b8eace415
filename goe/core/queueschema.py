"""The JSON Schema of experiments.toml for editors, generated from the records that check it, so that it can't drift.

It knows keys, types, ranges and words; what does not go together only `goe queue check` knows. No key but the names of
experiments is required, because defaults may bring the rest.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, get_args

import msgspec

from goe.core.checks import EXPERIMENT_NAME
from goe.core.config import METHODS, MODEL_ALIASES, MODEL_FORMS, InitFrom, RunConfig
from goe.core.dataspecs import ALL, DATASETS, OOD_SETS, OutlierName, Outliers, OwnImages
from goe.core.jobs import JobOptions, Retry
from goe.core.queuefile import JOB_KEYS, RUN_KEYS, QueueOptions
from goe.core.schemas import DIALECT
from goe.core.slurm import SlurmRequest
from goe.core.specs import LARGEST, Filter, Mix

Schema: TypeAlias = dict[str, Any]

VERSION = 1
"""Counts changes after which an older file would be refused."""
_QUEUED: tuple[type[msgspec.Struct], ...] = (QueueOptions, JobOptions, Retry, SlurmRequest)
_RECORDS: tuple[type[msgspec.Struct], ...] = (
    *_QUEUED,
    RunConfig,
    InitFrom,
    OwnImages,
    Outliers,
    Filter,
    Mix,
    *METHODS.values(),
)
_TABLE = {"type": "object", "additionalProperties": False}
_NAME = f"^{EXPERIMENT_NAME.pattern}$"


def queue_schema() -> Schema:
    """The schema (2020-12) of a whole file, short forms, model aliases and sweeps included."""
    _, components = msgspec.json.schema_components(_RECORDS, ref_template="#/$defs/{name}")
    components = msgspec.json.decode(msgspec.json.encode(components))  # with lists for the tuples of defaults
    records = {kind.__name__: _record(kind, components[kind.__name__]) for kind in _RECORDS}
    configured, queued = records.pop("RunConfig")["properties"], records.pop("JobOptions")["properties"]
    run = {key: _with_short_forms(key, schema) for key, schema in configured.items() if key in RUN_KEYS}
    keys = run | {key: queued[key] for key in queued if key in JOB_KEYS} | {"seeds": _SEEDS}
    name = {"type": "string", "pattern": _NAME, "description": "Names the experiment's runs and their folders."}
    sweep = _TABLE | {"minProperties": 1, "properties": _sweep(run, records), "description": _SWEEP}
    return {
        "$schema": DIALECT,
        "$id": f"urn:goe:experiments:{VERSION}",
        "title": "experiments.toml",
        "description": "What goe trains: README.md, section experiments.toml.",
        **_TABLE,
        "required": ["experiment"],
        "properties": {
            "queue": {"$ref": "#/$defs/QueueOptions"},
            "defaults": _TABLE | {"description": "Keys for all experiments.", "properties": _again(keys)},
            "experiment": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Experiment"}},
        },
        "$defs": {
            "Experiment": _TABLE | {"required": ["name"], "properties": {"name": name, **keys, "sweep": sweep}},
            **records,
        },
    }


_SEEDS: Schema = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0, "maximum": LARGEST},
    "minItems": 1,
    "uniqueItems": True,
    "description": "Each is one run.",
}
_SWEEP = "Lists of values for keys, such as { method.filter.k = [0, 6] }: an experiment for each point of their grid."


def _record(kind: type[msgspec.Struct], found: Schema) -> Schema:
    """A record's schema with its fields' docstrings, nothing required and, since recipes change them, no defaults."""
    said = field_docs(kind)
    properties: Schema = {}
    for key, schema in found["properties"].items():
        schema = {name: value for name, value in schema.items() if name != "default" or kind in _QUEUED}
        if schema.get("default", "") is None:
            del schema["default"]
        if "anyOf" in schema:  # TOML has no null
            (*rest,) = (choice for choice in schema.pop("anyOf") if choice != {"type": "null"})
            schema |= rest[0] if len(rest) == 1 else {"anyOf": rest}
        schema.pop("discriminator", None)
        properties[key] = schema | ({"description": said[key]} if key in said else {})
    return {"title": kind.__name__, "description": found["description"], **_TABLE, "properties": properties}


def _with_short_forms(key: str, schema: Schema) -> Schema:
    """What a key takes beside what its record says."""
    string: Schema = {"type": "string"}
    patterns = [{"pattern": f"^{form.pattern}$"} for form in MODEL_FORMS]
    match key:
        case "method":
            return {"anyOf": [{"enum": list(METHODS)}, *schema["anyOf"]], **_described(schema)}
        case "outliers":
            return {"anyOf": [{"enum": list(get_args(OutlierName))}, schema]}
        case "init-from":
            return {"anyOf": [string, {"$ref": schema["$ref"]}], **_described(schema)}
        case "model":
            return string | {"anyOf": [{"enum": [*MODEL_ALIASES]}, *patterns], **_described(schema)}
        case "dataset":
            return string | {"anyOf": [{"enum": [*DATASETS]}, {"pattern": _NAME}], **_described(schema)}
        case "ood":
            paths = {"type": "string", "pattern": r"/|\.txt$"}
            return schema | {"items": {"anyOf": [{"enum": [*OOD_SETS, ALL]}, paths]}}
        case _:
            return schema


def _described(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key == "description"}


def _again(keys: Iterable[str]) -> Schema:
    """What these keys are in an experiment."""
    return {key: {"$ref": f"#/$defs/Experiment/properties/{key}"} for key in keys}


def _sweep(run: Schema, records: Mapping[str, Schema]) -> Schema:
    """The axes of an experiment's sweep."""
    values = {key: {"type": "array", "minItems": 1, "items": schema} for key, schema in _again(run).items()}
    axes = _axes(run, records)
    return axes | {key: {"anyOf": [values[key], *axes[key].get("anyOf", [])[1:]]} for key in run}


def _axes(properties: Schema, records: Mapping[str, Schema]) -> Schema:
    """A list of values for each key, or for those of its table, also with the dotted key as one quoted word."""
    axes: Schema = {}
    for key, schema in properties.items():
        values: Schema = {
            "type": "array",
            "minItems": 1,
            "items": {name: schema[name] for name in schema if name != "description"},
        }
        inner = _axes(_inner(schema, records), records)
        table = _TABLE | {"minProperties": 1, "properties": inner}
        axes[key] = {"anyOf": [values, table]} if inner else values
        axes |= {f"{key}.{rest}": axis for rest, axis in inner.items()}
    return axes


def _inner(schema: Schema, records: Mapping[str, Schema]) -> Schema:
    """The keys of all the tables that a value may be."""
    found: dict[str, list[Schema]] = {}
    for choice in _choices(schema, records):
        for key, inner in choice.get("properties", {}).items():
            found.setdefault(key, []).append(inner)
    distinct = {key: [each for at, each in enumerate(all_) if each not in all_[:at]] for key, all_ in found.items()}
    return {key: each[0] if len(each) == 1 else {"anyOf": each} for key, each in distinct.items()}


def _choices(schema: Schema, records: Mapping[str, Schema]) -> Iterable[Schema]:
    if "$ref" in schema:
        yield records[schema["$ref"].rpartition("/")[2]]
    for choice in schema.get("anyOf", ()):
        yield from _choices(choice, records)


def field_docs(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The string below each field in a record's source, on one line, by the field's name in TOML."""
    (body,) = (node for node in ast.parse(textwrap.dedent(inspect.getsource(kind))).body)
    names = {field.name: field.encode_name for field in msgspec.structs.fields(kind)}
    docs: dict[str, str] = {}
    field = ""
    for node in body.body if isinstance(body, ast.ClassDef) else ():
        match node:
            case ast.AnnAssign(target=ast.Name(id=field)):
                continue
            case ast.Expr(value=ast.Constant(value=str(text))) if field:
                docs[names[field]] = " ".join(text.split())
            case _:
                pass
        field = ""
    return docs
