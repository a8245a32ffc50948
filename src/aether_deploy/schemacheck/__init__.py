"""Hold finished manifests against the strict schemas of Kubernetes, offline.

The schemas (``schemas/kubernetes.json``, made by ``tools/make_schemas.py``) say more than the API server does: it
drops an unknown field in silence, here that is a fault.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from aether_deploy.config.sink import path_text
from aether_deploy.problems import EffectError, Problem, did_you_mean, shown, suggestion
from aether_deploy.quantities import QuantityError, parse_quantity

if TYPE_CHECKING:
    import jsonschema_rs

Step = str | int

_FORMATS = {
    "byte": ("not base64", "encode it as base64"),
    "date-time": ("no time", "write a time such as 2026-01-31T12:00:00Z"),
}
_COMPARISONS = {
    "minimum": "less than the minimum",
    "maximum": "greater than the maximum",
    "minLength": "shorter than",
    "maxLength": "longer than",
    "minItems": "fewer items than",
    "maxItems": "more items than",
}


def check_manifests(bodies: Iterable[Mapping[str, Any]]) -> list[Problem]:
    """Return every fault of ``bodies``, object by object and in the order of each text.

    A kind without a schema is a fault too: what cannot be judged is never passed.

    Args:
        bodies: Kubernetes objects as plain maps, lists and scalars.

    Returns:
        Problems whose path starts with the object: ``Deployment aether-prod/gateway $.spec.replicas``.

    Raises:
        EffectError: When the extra ``[check]`` is not installed.
    """
    _engine()
    return [problem for body in bodies for problem in _check(body)]


def _check(body: Mapping[str, Any]) -> Iterator[Problem]:
    name = _object_name(body)
    key = f"{body.get('apiVersion')} {body.get('kind')}"
    if key not in _schemas()["kinds"]:
        yield _without_schema(name, body)
        return
    value = _as_applied(body)
    errors = sorted(_validator(key).iter_errors(value), key=lambda error: _place(value, error.instance_path))
    for error in errors:
        yield from _problems(name, _root(key), error)


def _as_applied(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a server gets: of a Secret that sops encrypted its engine takes the block ``sops`` away.

    What its values are then, nobody can tell here.
    """
    encrypted = ("sops", "data", "stringData") if body.get("kind") == "Secret" and "sops" in body else ()
    return {name: each for name, each in body.items() if name not in encrypted}


def _object_name(body: Mapping[str, Any]) -> str:
    """Return ``Deployment aether-prod/gateway``, as far as the object says so."""
    metadata = body.get("metadata")
    names = [metadata.get(key) for key in ("namespace", "name")] if isinstance(metadata, Mapping) else []
    return f"{body.get('kind') or 'object'} {'/'.join(str(name) for name in names if name) or '(no name)'}"


def _without_schema(name: str, body: Mapping[str, Any]) -> Problem:
    version, kind = body.get("apiVersion"), body.get("kind")
    kinds = [key.split(" ") for key in _schemas()["kinds"]]
    versions = [known for known, each in kinds if each == kind]
    if versions:
        reason, fix = f"has no schema for {kind}, so it cannot be judged", f"write {' or '.join(versions)}"
        return Problem(path=f"{name} $.apiVersion", reason=reason, fix=fix, value=shown(version))
    close = did_you_mean(str(kind), (each for _, each in kinds))
    fix = f"did you mean '{close}'?" if close else "leave such objects to a check that knows them"
    return Problem(
        path=f"{name} $.kind", reason="a kind without a schema, so it cannot be judged", fix=fix, value=shown(kind)
    )


def _problems(name: str, root: Mapping[str, Any], error: "jsonschema_rs.ValidationError") -> Iterator[Problem]:
    path = f"{name} {path_text(error.instance_path)}"
    keyword, limit, value = error.kind.name, error.kind.value, error.instance
    match keyword:
        case "additionalProperties":
            known = list(_at(root, error.schema_path[:-1])["properties"])
            for key in limit:
                fix = suggestion(key, known, f"remove it; known are {', '.join(known)}")
                yield Problem(path=path, reason=f"has unknown key {shown(key)}", fix=fix, key=key)
        case "required":
            yield Problem(path=path, reason=f"has no {limit}", fix=f"add {limit}")
        case _:
            reason, fix = _reason_and_fix(keyword, limit, value) or (error.message, "write what the schema allows")
            yield Problem(path=path, reason=reason, fix=fix, value=shown(value))


def _reason_and_fix(keyword: str, limit: Any, value: object) -> tuple[str, str] | None:
    match keyword:
        case "type":
            expected = " or ".join([limit] if isinstance(limit, str) else limit)
            return f"not of type {expected}", f"write a value of type {expected}"
        case "enum":
            allowed = [shown(each) for each in limit]
            return "none of the values that Kubernetes knows", suggestion(
                str(value), limit, f"use {', '.join(allowed)}"
            )
        case "format" if limit == "quantity":
            return _quantity_fault(str(value)), "write a quantity such as 500m or 1.5Gi"
        case "format":
            return _FORMATS[limit]
        case "pattern":
            return f"does not match {limit}", "write a value that matches"
        case _ if keyword in _COMPARISONS:
            return f"{_COMPARISONS[keyword]} {limit}", "write a value within the limits"
    return None


def _quantity_fault(text: str) -> str:
    try:
        parse_quantity(text)
    except QuantityError as error:
        return str(error)
    return ""


def _is_base64(text: str) -> bool:
    from base64 import b64decode

    try:
        b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _at(value: Any, path: Iterable[Step]) -> Any:
    for step in path:
        value = value[step]
    return value


def _place(value: Any, path: Iterable[Step]) -> tuple[int, ...]:
    """Return where ``path`` stands in the text of ``value``: comparable, the first place first."""
    place: list[int] = []
    for step in path:
        place.append(list(value).index(step) if isinstance(value, Mapping) else int(step))
        value = value[step]
    return tuple(place)


def _engine() -> Any:
    try:
        import jsonschema_rs
    except ImportError as error:
        reason = "the strict schema check needs jsonschema-rs\n  fix: pip install 'aether-deploy[check]'"
        raise EffectError(reason) from error
    return jsonschema_rs


@cache
def _schemas() -> dict[str, dict[str, Any]]:
    import json
    from importlib.resources import files

    text = files("aether_deploy").joinpath("schemas", "kubernetes.json").read_text("utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


def _root(key: str) -> dict[str, Any]:
    schemas = _schemas()
    return {**schemas["kinds"][key], "$defs": schemas["$defs"]}


@cache
def _validator(key: str) -> "jsonschema_rs.Draft202012Validator":
    formats = {"quantity": lambda text: not _quantity_fault(text), "byte": _is_base64}
    return _engine().Draft202012Validator(  # type: ignore[no-any-return]
        _root(key), formats=formats, validate_formats=True
    )
