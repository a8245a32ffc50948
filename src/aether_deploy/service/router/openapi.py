"""The OpenAPI document of a router: every path, what goes in and what comes out.

What goes in is described by the types that read it. The document is the same for every router.
"""

from functools import cache
from typing import Any

import msgspec

from aether_deploy.config.base import Config
from aether_deploy.config.schema import json_schema
from aether_deploy.service.http.limits import Limits
from aether_deploy.service.router.endpoints import ENDPOINTS, Endpoint
from aether_deploy.service.router.openapi_answers import ANSWERS, SUMMARIES
from aether_deploy.service.router.questions import (
    PARTY_MAX,
    QUERY,
    DrainOrder,
    LoadReport,
    ReservationOrder,
    RouteQuestion,
)

VERSION = "1.0.0"
_REF, _DEFS = "#/components/schemas/", "#/$defs/"
_BODIES: dict[str, type[Config]] = {
    "route_question": RouteQuestion,
    "explain_question": RouteQuestion,
    "report_load": LoadReport,
    "drain": DrainOrder,
    "reserve": ReservationOrder,
}
_BODY_MAY_LACK = ("drain", "route_question", "explain_question")
_NUMBERS = {"lat": ("position", "lat"), "lon": ("position", "lon")}


@cache
def openapi_document() -> bytes:
    """Return the document as JSON; every router gives the same bytes."""
    return msgspec.json.encode(openapi_values())


def openapi_values() -> dict[str, Any]:
    """Return the document as plain values.

    Rule:
        OpenAPI Specification 3.1.0.
    """
    schemas = _question_schemas()
    paths: dict[str, Any] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "aether-deploy router",
            "version": VERSION,
            "description": "Sends players to the closest healthy region.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, **ANSWERS},
            "securitySchemes": {"admin": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    told = SUMMARIES[endpoint.name]
    operation: dict[str, Any] = {"operationId": endpoint.name, "summary": told.summary}
    parameters = _path_parameters(endpoint)
    if endpoint.name in ("route", "explain"):
        parameters += _query_parameters(schemas)
    if parameters:
        operation["parameters"] = parameters
    body = _BODIES.get(endpoint.name)
    if body is not None:
        content = {"application/json": {"schema": {"$ref": _REF + body.__name__}}}
        operation["requestBody"] = {
            "description": f"At most {Limits().body_bytes} bytes, with Content-Length: no transfer coding is read.",
            "required": endpoint.name not in _BODY_MAY_LACK,
            "content": content,
        }
    problems = {
        *told.problems,
        *((401, 403) if endpoint.is_order else ()),
        *((413, 415, 501) if body is not None else ()),
    }
    answers = {str(told.status): _answer(told.words, told.content_type, told.schema)}
    for status in sorted(problems):
        answers[str(status)] = _answer(_PROBLEMS[status], "application/problem+json", "Problem")
    answers["default"] = _answer(_OTHERWISE, "application/problem+json", "Problem")
    operation["responses"] = answers
    if endpoint.is_order:
        operation["security"] = [{"admin": []}]
    return operation


_PROBLEMS = {
    400: "The request has faults; all of them are listed.",
    401: "The bearer token is missing or wrong; nothing has changed.",
    403: "This router takes no orders.",
    404: "No region, or no reservation, has that name; known regions are listed.",
    409: "The region takes fewer players than that at all.",
    413: f"The body is longer than {Limits().body_bytes} bytes.",
    415: "The body is no JSON.",
    501: "The body comes in a transfer coding, such as chunked.",
    503: "No region may take the player, or the router is not ready.",
}


_OTHERWISE = (
    "What every path may answer: 400 to what is no sound request, 405 to other methods than those of the path, 408, "
    "413, 414, 417, 429 and 431 beyond the server's limits, 500 after a mistake of the router's, 501 and 505 to what "
    "it does not speak, 503 while it has too many clients."
)


def _answer(words: str, content_type: str | None, schema: str | None) -> dict[str, Any]:
    if content_type is None:
        return {"description": words}
    held = {"schema": {"type": "string"} if schema is None else {"$ref": _REF + schema}}
    return {"description": words, "content": {content_type: held}}


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in endpoint.path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(schemas: dict[str, Any]) -> list[dict[str, Any]]:
    fields, position = schemas["RouteQuestion"]["properties"], schemas["RouterPosition"]["properties"]
    held = {**fields, **position}
    parameters = []
    for name in QUERY:
        schema = {key: each for key, each in held[name].items() if key != "description"}
        words = held[name].get("description", "")
        parameters.append({"name": name, "in": "query", "required": False, "description": words, "schema": schema})
    return parameters


def _question_schemas() -> dict[str, Any]:
    """Return the schemas of all bodies, by name, where OpenAPI looks for them. ``null`` is as left out."""
    made: dict[str, Any] = {}
    for cls in dict.fromkeys(_BODIES.values()):
        document = json_schema(cls, title=cls.__name__)
        made |= {name: _moved(schema) for name, schema in document["$defs"].items()}
    made["RouteQuestion"]["properties"]["party"]["maxItems"] = PARTY_MAX
    return dict(sorted(made.items()))


def _moved(value: Any) -> Any:
    if isinstance(value, list):
        return [_moved(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value == {"const": "none"}:
        return {"type": "null"}
    return {
        key: _REF + each.removeprefix(_DEFS)
        if key == "$ref"
        else None
        if (key, each) == ("default", "none")
        else _moved(each)
        for key, each in value.items()
    }
