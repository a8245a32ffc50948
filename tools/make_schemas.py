"""Make the strict schemas that ``aether-deploy check`` holds manifests against: ``python -m tools.make_schemas``.

The schemas come from the API server's own generator, ``pkg/generated/openapi/cmd/models-schema`` of the
Kubernetes that ``lab/modules/kubernetes-1.37/go.mod`` pins: the published swagger.json has the same definitions, but
without the enum values. Which definition belongs to which kind stands in swagger.json only. PodMonitor comes from
its CustomResourceDefinition, which ``lab/crds.py`` pins. Descriptions are dropped, and what the API server would drop
in silence is a fault here: unknown fields.

Prints the path of the file. Exit code 3 where Go or the pinned modules cannot be had.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from aether_deploy.lab.building import BuildError
from aether_deploy.lab.crds import CUSTOM_KINDS, CustomKind, bring_definition

ROOT = Path(__file__).resolve().parents[1]
MODULE = ROOT / "src" / "aether_deploy" / "lab" / "modules" / "kubernetes-1.37"
TARGET = ROOT / "src" / "aether_deploy" / "schemas" / "kubernetes.json"
COMMAND = "python -m tools.make_schemas"

KINDS = {
    "v1": ("Namespace", "ServiceAccount", "ConfigMap", "Secret", "Service", "PersistentVolumeClaim"),
    "apiregistration.k8s.io/v1": ("APIService",),
    "apps/v1": ("Deployment", "StatefulSet"),
    "autoscaling/v2": ("HorizontalPodAutoscaler",),
    "batch/v1": ("Job", "CronJob"),
    "networking.k8s.io/v1": ("NetworkPolicy", "Ingress"),
    "policy/v1": ("PodDisruptionBudget",),
    "rbac.authorization.k8s.io/v1": ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"),
    "scheduling.k8s.io/v1": ("PriorityClass",),
    "storage.k8s.io/v1": ("StorageClass",),
}

_INT32 = {"minimum": -(2**31), "maximum": 2**31 - 1}
_FORMATS: dict[str, dict[str, Any]] = {
    "": {},
    "byte": {"format": "byte"},
    "date-time": {"format": "date-time"},
    "double": {},
    "int32": _INT32,
    "int64": {"minimum": -(2**63), "maximum": 2**63 - 1},
}
_INT_OR_STRING = {"type": ["integer", "string"], **_INT32}
_SPECIAL: dict[str, dict[str, Any]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"], "format": "quantity"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _INT_OR_STRING,
}
_KEPT = {
    *("enum", "maxItems", "maxLength", "maxProperties", "maximum"),
    *("minItems", "minLength", "minProperties", "minimum", "pattern", "type"),
}
_DROPPED = {
    *("default", "description", "x-kubernetes-list-map-keys", "x-kubernetes-list-type", "x-kubernetes-map-type"),
    *("x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy", "x-kubernetes-unions"),
    "x-kubernetes-validations",  # expressions, which only an API server evaluates
    "nullable",  # what is null may be left out, and is here
}
_OPEN = "x-kubernetes-preserve-unknown-fields"
_CONVERTED = {"anyOf", "not", "$ref", "additionalProperties", "format", "items", "properties", "required", _OPEN}

Schema = dict[str, Any]


class SourceError(Exception):
    """The sources of the schemas say something new; the message says what."""


class MissingError(SourceError):
    """A source of the schemas cannot be had here; the message says why."""


class Converter:
    """Turns OpenAPI definitions into strict JSON schemas, each definition once.

    Attributes:
        done: The schemas so far, by short name.
    """

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self.done: dict[str, Schema] = {}
        self._definitions = definitions
        self._short: dict[str, str] = {}

    def take(self, name: str) -> str:
        """Convert the definition ``name`` with all that it reaches, and return its short name."""
        if name not in self._short:
            short = ".".join(name.split(".")[-3:])
            if short in self._short.values():
                raise SourceError(f"two definitions share the short name {short}")
            self._short[name] = short
            self.done[short] = {}
            self.done[short] = _SPECIAL.get(name) or self.convert(self._definitions[name])
        return self._short[name]

    def take_kind(self, api_version: str, kind: str, schema: Schema) -> Schema:
        """Return the strict schema of an object: its type is fixed, its metadata are needed."""
        metadata = {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
        strict = self.convert(schema | {"properties": schema["properties"] | {"metadata": metadata}})
        strict["properties"] |= {"apiVersion": {"const": api_version}, "kind": {"const": kind}}
        strict["required"] = sorted({*strict.get("required", ()), "apiVersion", "kind", "metadata"})
        return strict

    def convert(self, schema: Schema) -> Schema:
        """Return the strict form of ``schema``."""
        if schema.get("x-kubernetes-int-or-string"):
            return _INT_OR_STRING | {key: schema[key] for key in ("pattern",) if key in schema}
        unknown = schema.keys() - _KEPT - _DROPPED - _CONVERTED
        if unknown:
            raise SourceError(f"a schema has the unknown keywords {sorted(unknown)}")
        if "$ref" in schema:
            return {"$ref": f"#/$defs/{self.take(schema['$ref'].removeprefix('#/definitions/'))}"}
        strict = _FORMATS[schema.get("format", "")] | {key: schema[key] for key in schema.keys() & _KEPT}
        strict |= _which_fields(schema)
        if "items" in schema:
            strict["items"] = self.convert(schema["items"])
        if "additionalProperties" in schema:
            strict["additionalProperties"] = self.convert(schema["additionalProperties"])
        if "properties" in schema:
            strict |= self._convert_object(schema)
        if schema.get(_OPEN) and "additionalProperties" not in schema:
            strict.pop("additionalProperties", None)
        return strict

    def _convert_object(self, schema: Schema) -> Schema:
        properties: Schema = {}
        required = set(schema.get("required", ()))
        for name, each in schema["properties"].items():
            if name == "status" and each.get("$ref", "").endswith("Status"):
                properties[name] = {"type": "object"}  # written by controllers, and ignored in what is applied
                continue
            properties[name] = self.convert(each)
            if self._is_needed(each, properties[name]):
                required.add(name)
        strict: Schema = {"properties": properties, "additionalProperties": False}
        return strict | ({"required": sorted(required)} if required else {})

    def _is_needed(self, source: Schema, strict: Schema) -> bool:
        """Say whether a field must be written though no definition requires it.

        A Go struct that is held by value (the generator marks it by a default of ``{}``) is there even where it
        was not written; if it has required fields of its own, leaving it out leaves those out.
        """
        if source.get("default") != {} or "$ref" not in strict:
            return False
        return bool(self.done[strict["$ref"].removeprefix("#/$defs/")].get("required"))


def _which_fields(schema: Schema) -> Schema:
    """Return what a schema says of which fields stand together; such parts say nothing of values."""
    said: Schema = {key: schema[key] for key in ("anyOf", "not") if key in schema}
    if any(each.keys() != {"required"} for each in [*said.get("anyOf", ()), *([said["not"]] if "not" in said else [])]):
        raise SourceError("a schema has anyOf or not with more than required")
    return said


def make_schemas() -> str:
    """Return the text of the schema file; equal pins give equal text.

    Raises:
        MissingError: When Go or a pinned module cannot be had.
        SourceError: When a schema says something new.
    """
    folder = Path(run_go("list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").strip())
    version = run_go("list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes").strip()
    models = json.loads(run_go("run", "k8s.io/kubernetes/pkg/generated/openapi/cmd/models-schema"))["definitions"]
    names = _definition_names(json.loads((folder / "api/openapi-spec/swagger.json").read_text("utf-8")))
    converter = Converter(models)
    kinds: dict[str, Schema] = {}
    for api_version, kind in ((version, kind) for version, kinds in KINDS.items() for kind in kinds):
        kinds[f"{api_version} {kind}"] = converter.take_kind(api_version, kind, models[names[api_version, kind]])
    for api_version, kind, schema in _custom_kinds():
        kinds[f"{api_version} {kind}"] = converter.take_kind(api_version, kind, schema)
    sources = {"k8s.io/kubernetes": version, **{each.module: each.version for each in CUSTOM_KINDS}}
    return _to_text({"sources": sources, "kinds": kinds, "$defs": converter.done})


def _definition_names(swagger: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Return the name of each kind's definition, by API version and kind."""
    return {
        ("/".join(filter(None, (each["group"], each["version"]))), each["kind"]): name
        for name, schema in swagger["definitions"].items()
        for each in schema.get("x-kubernetes-group-version-kind", ())
    }


def _custom_kinds() -> list[tuple[str, str, Schema]]:
    """Return API version, kind and schema of each version that the custom resources' definitions serve."""
    specs = [yaml.safe_load(_definition(custom).read_text("utf-8"))["spec"] for custom in CUSTOM_KINDS]
    return [
        (f"{spec['group']}/{each['name']}", spec["names"]["kind"], each["schema"]["openAPIV3Schema"])
        for spec in specs
        for each in spec["versions"]
        if each["served"]
    ]


def _definition(custom: CustomKind) -> Path:
    try:
        return bring_definition(custom)
    except BuildError as error:
        raise MissingError(str(error)) from error


def run_go(*arguments: str) -> str:
    go = shutil.which("go")
    if go is None:
        raise MissingError("Go is missing\n  fix: install it from https://go.dev/dl/ so that `go` is on PATH")
    run = subprocess.run([go, *arguments], cwd=MODULE, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise MissingError(f"`go {' '.join(arguments)}` ended with exit code {run.returncode}: {run.stderr.strip()}")
    return run.stdout


def _to_text(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """Return JSON with one schema a line, so that a new version of Kubernetes reads as a diff."""
    return "{\n" + ",\n".join(f"{json.dumps(name)}: {_lines(part)}" for name, part in parts.items()) + "\n}\n"


def _lines(part: Mapping[str, Any]) -> str:
    def compact(value: object) -> str:
        return json.dumps(value, separators=(",", ":"), sort_keys=True)

    return "{\n" + ",\n".join(f"{json.dumps(name)}: {compact(part[name])}" for name in sorted(part)) + "\n}"


def main() -> int:
    """Write the schema file and print its path."""
    try:
        text = make_schemas()
    except SourceError as error:
        print(f"cannot make the schemas: {error}", file=sys.stderr)
        return 3
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(text, "utf-8", newline="\n")
    print(TARGET)
    return 0


if __name__ == "__main__":
    sys.exit(main())
