"""The JSON Schema: sound itself, true to the loader, and enough for an editor to complete and explain by."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from aether_deploy import ConfigError, platform_schema
from aether_deploy.manifest.yaml_source import read_document
from aether_deploy.platform.layers import Document, Source
from tests.cli_cases import ONE_REGION, ROOT, SMALL
from tests.mutations import mutations_of
from tests.rule_case import DIGEST

EXAMPLES = sorted((ROOT / "examples").glob("*/*.yaml"))
SCHEMA = platform_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
DEFINITIONS: dict[str, Any] = SCHEMA["$defs"]


def loads(values: Any) -> bool:
    """Whether the loader finds no error in any environment of a description."""
    document = Document((Source("aether.yaml", values),))
    try:
        found = [document.evaluate(name if "environments" in values else None) for name in document.environments()]
    except ConfigError:
        return False
    return all(evaluation.platform is not None for evaluation in found)


def validates(values: Any) -> bool:
    return next(VALIDATOR.iter_errors(values), None) is None


def fields(definition: str) -> dict[str, Any]:
    found: dict[str, Any] = DEFINITIONS[definition]["properties"]
    return found


# --- the schema itself


def test_the_schema_is_sound_by_its_own_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "aether.yaml"


def test_every_reference_leads_to_a_definition_and_every_definition_is_used() -> None:
    referred = {value.removeprefix("#/$defs/") for key, value in _pairs(SCHEMA) if key == "$ref"}

    assert referred == set(DEFINITIONS)


def _pairs(schema: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(schema, dict):
        yield from schema.items()
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _pairs(each)


def test_every_definition_and_every_property_is_described() -> None:
    assert [name for name, definition in DEFINITIONS.items() if not definition["description"].strip()] == []
    assert [
        (name, field) for name in DEFINITIONS for field, said in fields(name).items() if not said["description"]
    ] == []


def test_nothing_unknown_is_allowed_anywhere() -> None:
    assert {definition["additionalProperties"] for definition in DEFINITIONS.values()} == {False}


def test_what_only_python_may_set_is_not_in_it() -> None:
    assert "environment" not in fields("Platform")
    assert not {"namespace", "workload_class"} & fields("WorkloadEntry").keys()


# --- defaults


DEFAULTS = {
    "a count": ("ScalingConfigEntry", "min_replicas", 2),
    "seconds": ("ObservabilityConfig", "scrape_interval_secs", 15),
    "a word": ("PortConfigEntry", "protocol", "TCP"),
    "a flag": ("TopologyConfigEntry", "strict", False),
    "a path": ("PvcConfigEntry", "mount_path", "/data/wal"),
    "a list": ("WorkloadEntry", "uses", []),
    "all regions": ("WorkloadEntry", "regions", "all"),
    "what is off": ("ObservabilityConfig", "prometheus", "none"),
}


@pytest.mark.parametrize("kind", DEFAULTS)
def test_a_default_is_in_the_schema(kind: str) -> None:
    definition, field, default = DEFAULTS[kind]

    assert fields(definition)[field]["default"] == default


def test_a_default_is_valid_where_it_stands() -> None:
    for name in DEFINITIONS:
        for field, said in fields(name).items():
            if "default" in said:
                errors = VALIDATOR.evolve(schema={**said, "$defs": DEFINITIONS}).iter_errors(said["default"])

                assert [error.message for error in errors] == [], f"{name}.{field}"


def test_what_depends_on_the_class_of_a_workload_shows_no_default() -> None:
    for definition, field in (
        ("WorkloadEntry", "replicas"), ("WorkloadEntry", "scaling"), ("ResourceRequirementsEntry", "cpu_limit"),
        ("ProbeEntry", "period_secs"), ("DrainConfigEntry", "grace_period_secs"),
    ):  # fmt: skip
        assert "default" not in fields(definition)[field], f"{definition}.{field}"


def test_an_overlay_shows_no_defaults_because_what_it_leaves_out_stays() -> None:
    overlays = [name for name in DEFINITIONS if name.endswith("Overlay")]

    assert len(overlays) > 20
    assert [(name, field) for name in overlays for field, said in fields(name).items() if "default" in said] == []


# --- descriptions that are sound


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_is_valid(path: Path) -> None:
    errors = VALIDATOR.iter_errors(yaml.safe_load(path.read_text("utf-8")))

    assert [f"{error.json_path}: {error.message}" for error in errors] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_names_the_schema_that_init_writes(path: Path) -> None:
    assert path.read_text("utf-8").startswith("# yaml-language-server: $schema=aether.schema.json\n")


WORLD = {"name": "w", "image": f"w:v1@{DIGEST}"}
SOUND: dict[str, dict[str, Any]] = {
    "none switches off": {"worlds": [{**WORLD, "scaling": "none", "metrics": "none", "replicas": 2}]},
    "none lifts a limit": {"worlds": [{**WORLD, "resources": {"cpu_limit": "none"}}]},
    "null in an overlay removes": {"environments": {"dev": {"worlds": [{"name": "w", "drain": None, "uses": None}]}}},
    "null in an overlay removes from a mapping": {
        "environments": {"dev": {"worlds": [{"name": "w", "env": {"A": None}}]}}
    },
    "null in an overlay removes what a region says": {
        "environments": {"dev": {"worlds": [{"name": "w", "per_region": {"us-east-1": None}}]}}
    },
    "null removes for a region": {"worlds": [{**WORLD, "per_region": {"us-east-1": {"drain": None}}}]},
    "an overlay says only what differs": {"environments": {"dev": {"worlds": [{"name": "w", "pvc": {"size": "1Gi"}}]}}},
    "seconds as a duration": {"worlds": [{**WORLD, "drain": {"grace_period_secs": "5m"}}]},
    "a quantity as a number": {"worlds": [{**WORLD, "resources": {"cpu_request": 1, "cpu_limit": 2}}]},
    "a port by default": {"worlds": [{**WORLD, "ports": [{"name": "game", "port": 7777}]}]},
}  # fmt: skip


@pytest.mark.parametrize("case", SOUND)
def test_the_schema_and_the_loader_accept(case: str) -> None:
    values = {**_small(), "worlds": [{**WORLD, "pvc": {"size": "2Gi"}}], **SOUND[case]}

    assert (validates(values), loads(values)) == (True, True)


# --- descriptions that are not


BROKEN: dict[str, dict[str, Any]] = {
    "an unknown section": {"gitopz": {}},
    "an unknown key": {"worlds": [{**WORLD, "replica": 2}]},
    "an unknown key deep inside": {"worlds": [{**WORLD, "pvc": {"size": "1Gi", "sise": "1Gi"}}]},
    "an unknown key in an overlay": {"environments": {"dev": {"worlds": [{"name": "w", "replica": 2}]}}},
    "an unknown key for a region": {"worlds": [{**WORLD, "per_region": {"us-east-1": {"replica": 2}}}]},
    "a number where text belongs": {"kubernetes": 1.37},
    "text where a number belongs": {"worlds": [{**WORLD, "ports": [{"name": "game", "port": "7777"}]}]},
    "text where a flag belongs": {"worlds": [{**WORLD, "enabled": "true"}]},
    "a mapping where a list belongs": {"worlds": {"w": WORLD}},
    "a list where a mapping belongs": {"worlds": [{**WORLD, "env": ["A=1"]}]},
    "a word that is none of those": {"worlds": [{**WORLD, "ports": [{"name": "game", "port": 1, "protocol": "QUIC"}]}]},
    "a word in small letters": {"worlds": [{**WORLD, "kind": "statefulset"}]},
    "a name with capitals": {"name": "Aether"},
    "a name that is too long": {"name": "a" * 41},
    "an image with a space": {"worlds": [{**WORLD, "image": "my image"}]},
    "a size that is none": {"worlds": [{**WORLD, "pvc": {"size": "large"}}]},
    "a relative path": {"worlds": [{**WORLD, "pvc": {"size": "1Gi", "mount_path": "data"}}]},
    "a version that is none": {"kubernetes": "1.37"},
    "a port out of range": {"worlds": [{**WORLD, "ports": [{"name": "game", "port": 65536}]}]},
    "a count below zero": {"worlds": [{**WORLD, "replicas": -1}]},
    "a fraction of a pod": {"worlds": [{**WORLD, "replicas": 1.5}]},
    "a true count": {"worlds": [{**WORLD, "replicas": True}]},
    "a world without a name": {"worlds": [{"image": "w:v1"}]},
    "a region without a code": {"regions": [{"zones": ["a"]}]},
    "an item of an overlay without a name": {"environments": {"dev": {"worlds": [{"replicas": 2}]}}},
    "an environment that is no mapping": {"environments": {"dev": ["w"]}},
    "an environment with capitals": {"environments": {"Dev": {}}},
    "a latitude beyond the pole": {"regions": [{"code": "r", "zones": ["a"], "location": {"lat": 91, "lon": 0}}]},
    "none where nothing can be off": {"worlds": [{**WORLD, "image": "none", "resources": "none"}]},
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_the_schema_and_the_loader_refuse(case: str) -> None:
    values = {**_small(), "worlds": [WORLD], **BROKEN[case]}

    assert (validates(values), loads(values)) == (False, False)


@pytest.mark.parametrize("section", ["name", "kubernetes", "regions"])
def test_the_schema_and_the_loader_refuse_a_description_without(section: str) -> None:
    values = _small()
    del values[section]

    assert (validates(values), loads(values)) == (False, False)


def _small() -> dict[str, Any]:
    return read_document(SMALL, "aether.yaml")


def _holds_null(values: Any) -> bool:
    inner = values.values() if isinstance(values, dict) else values if isinstance(values, list) else ()
    return values is None or any(map(_holds_null, inner))


def test_what_the_schema_refuses_the_loader_refuses() -> None:
    """But for null: the loader lets it remove something wherever it stands, an editor only in an overlay."""
    refused = 0
    for mutation in mutations_of(ONE_REGION, seed=7, numbers=range(800)):
        try:
            values = read_document(mutation.data.decode(), "aether.yaml")
        except (ConfigError, UnicodeDecodeError):
            continue
        if not _holds_null(values) and not validates(values):
            refused += 1

            assert not loads(values), f"mutation {mutation.number}: {mutation.name}"
    assert refused > 150


# --- the verb


def test_the_verb_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    from aether_deploy.cli.main import run

    assert run(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA
    assert run(["schema", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["result"] == SCHEMA
