"""What can be asked of a router: every path, method and right, in one table that answers and documents come from."""

from collections.abc import Mapping
from typing import NamedTuple


class Endpoint(NamedTuple):
    """One thing that can be asked.

    Attributes:
        method: GET, POST, PUT or DELETE.
        path: Path; ``{name}`` stands for one segment.
        name: What answers it: the name of a method of the application, and the operation's id.
        is_order: It changes something, and needs the bearer token.
    """

    method: str
    path: str
    name: str
    is_order: bool = False


ENDPOINTS = (
    Endpoint("GET", "/", "page"),
    Endpoint("GET", "/v1/route", "route"),
    Endpoint("POST", "/v1/route", "route_question"),
    Endpoint("GET", "/v1/explain", "explain"),
    Endpoint("POST", "/v1/explain", "explain_question"),
    Endpoint("GET", "/v1/regions", "regions"),
    Endpoint("GET", "/v1/events", "events"),
    Endpoint("GET", "/v1/keys", "keys"),
    Endpoint("PUT", "/v1/regions/{code}/load", "report_load", is_order=True),
    Endpoint("POST", "/v1/regions/{code}/drain", "drain", is_order=True),
    Endpoint("DELETE", "/v1/regions/{code}/drain", "undrain", is_order=True),
    Endpoint("POST", "/v1/reservations", "reserve", is_order=True),
    Endpoint("DELETE", "/v1/reservations/{id}", "release", is_order=True),
    Endpoint("POST", "/v1/reservations/{id}/joined", "joined", is_order=True),
    Endpoint("GET", "/healthz", "healthz"),
    Endpoint("GET", "/readyz", "readyz"),
    Endpoint("GET", "/metrics", "metrics"),
    Endpoint("GET", "/openapi.json", "openapi"),
)


class Found(NamedTuple):
    """What a path leads to.

    Attributes:
        path: The path as the table has it.
        by_method: What can be done there.
        given: The segments that stand for something, by name.
    """

    path: str
    by_method: Mapping[str, Endpoint]
    given: Mapping[str, str]


def find(path: str) -> Found | None:
    """Return what a path leads to; None: nowhere."""
    exact = _BY_PATH.get(path)
    if exact is not None:
        return Found(path, exact, {})
    segments = path.split("/")
    for template in _TEMPLATES:
        names = template.split("/")
        if len(names) == len(segments) and all(map(_fits, names, segments)):
            given = {name[1:-1]: each for name, each in zip(names, segments, strict=True) if name.startswith("{")}
            return Found(template, _BY_PATH[template], given)
    return None


def _fits(name: str, segment: str) -> bool:
    return bool(segment) if name.startswith("{") else name == segment


_BY_PATH: dict[str, dict[str, Endpoint]] = {}
for _endpoint in ENDPOINTS:
    _BY_PATH.setdefault(_endpoint.path, {})[_endpoint.method] = _endpoint
_TEMPLATES = [path for path in _BY_PATH if "{" in path]
