"""Whether an object has the shape of its kind: known keys, right types, what is required and what is allowed.

The strict schemas of Kubernetes lie in the package; here is the little of JSON Schema that they use, so that a patch
with a misspelt key is noticed without the extra ``[check]``, whose engine judges all manifests in a fraction of the
time. Tests hold the two against each other.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from aether_deploy.manifest.patch_fault import Steps
from aether_deploy.patterns import Pattern
from aether_deploy.problems import shown, suggestion
from aether_deploy.quantities import QuantityError, parse_quantity

_BASE64 = Pattern("(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_TIME = Pattern(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}


class Misshapen(msgspec.Struct, frozen=True):
    """One value that the schema of its object does not allow.

    Attributes:
        at: Steps to the value; for an unknown key to the key.
        reason: What is wrong with it, the value included.
        fix: What to do about it.
    """

    at: Steps
    reason: str
    fix: str


def has_schema(body: Mapping[str, Any]) -> bool:
    """Return whether the shape of this kind of object is known."""
    return _kind(body) in _schemas()["kinds"]


def misshapen(body: Mapping[str, Any]) -> list[Misshapen]:
    """Return everything in ``body`` that its schema does not allow, in document order; empty without a schema."""
    schema = _schemas()["kinds"].get(_kind(body))
    return [] if schema is None else list(_faults(body, schema, ()))


def _kind(body: Mapping[str, Any]) -> str:
    return f"{body.get('apiVersion')} {body.get('kind')}"


@cache
def _schemas() -> dict[str, dict[str, Any]]:
    from importlib.resources import files

    text = files("aether_deploy").joinpath("schemas", "kubernetes.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, dict[str, Any]])


def _faults(value: object, schema: Mapping[str, Any], at: Steps) -> Iterator[Misshapen]:
    if "$ref" in schema:
        schema = _schemas()["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    if "type" in schema and not _has_type(value, schema["type"]):
        kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        wanted = " or ".join(kinds)
        yield Misshapen(at, f"is {shown(value)}; not of type {wanted}", f"write a value of type {wanted}")
    elif "const" in schema and value != schema["const"]:
        yield Misshapen(at, f"is {shown(value)}; not {shown(schema['const'])}", f"write {shown(schema['const'])}")
    elif "enum" in schema and value not in schema["enum"]:
        words = ", ".join(shown(each) for each in schema["enum"])
        fix = suggestion(str(value), [str(each) for each in schema["enum"]], f"use {words}")
        yield Misshapen(at, f"is {shown(value)}; none of the values that Kubernetes knows", fix)
    elif isinstance(value, dict):
        yield from _faults_of_map(value, schema, at)
    elif isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield Misshapen(at, f"has {len(value)} items", f"write at least {schema['minItems']}")
        for place, each in enumerate(value):
            yield from _faults(each, schema.get("items", {}), (*at, place))
    elif reason := _scalar_fault(value, schema):
        yield Misshapen(at, f"is {shown(value)}; {reason}", "write a value that it allows")


def _has_type(value: object, wanted: str | list[str]) -> bool:
    kinds = [wanted] if isinstance(wanted, str) else wanted
    if isinstance(value, bool):
        return "boolean" in kinds
    return any(isinstance(value, _TYPES[kind]) for kind in kinds if kind != "boolean")


def _faults_of_map(value: Mapping[str, Any], schema: Mapping[str, Any], at: Steps) -> Iterator[Misshapen]:
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    for key, each in value.items():
        if key in known:
            yield from _faults(each, known[key], (*at, key))
        elif others is False:
            few = f"; known are {', '.join(known)}" if 0 < len(known) <= 12 else ""
            fix = suggestion(str(key), known, f"remove it{few}")
            yield Misshapen((*at, key), "is no field of Kubernetes", fix)
        elif isinstance(others, dict):
            yield from _faults(each, others, (*at, key))
    for key in schema.get("required", ()):
        if key not in value:
            yield Misshapen(at, f"has no {key}", f"add {key}")


def _scalar_fault(value: Any, schema: Mapping[str, Any]) -> str | None:
    if isinstance(value, str):
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            return f"has {len(value)} characters"
        if "pattern" in schema and not _compiled(schema["pattern"]).search(value):
            return f"does not match {schema['pattern']}"
        return _format_fault(value, schema.get("format"))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        least, most = schema.get("minimum", value), schema.get("maximum", value)
        return None if least <= value <= most else f"not between {least} and {most}"
    return None


@cache
def _compiled(pattern: str) -> Pattern:
    return Pattern(pattern)


def _format_fault(text: str, name: str | None) -> str | None:
    if name == "quantity":
        try:
            parse_quantity(text)
        except QuantityError as error:
            return str(error)
    if name == "byte" and not _BASE64.fullmatch(text):
        return "not base64"
    if name == "date-time" and not _TIME.fullmatch(text):
        return "no time"
    return None
