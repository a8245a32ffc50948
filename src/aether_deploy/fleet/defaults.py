"""What a workload gets when its author says nothing: the defaults of its class (worlds or services)."""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from aether_deploy.config.base import Config, spec_of

_EPHEMERAL = {"ephemeral_request": "64Mi", "ephemeral_limit": "1Gi"}
_RESOURCES = {
    "worlds": {"cpu_request": "500m", "cpu_limit": "2", "memory_request": "1Gi", "memory_limit": "4Gi", **_EPHEMERAL},
    "services": {
        "cpu_request": "250m", "cpu_limit": "1", "memory_request": "256Mi", "memory_limit": "1Gi", **_EPHEMERAL
    },
}  # fmt: skip
CONTAINER_RESOURCES = {
    "cpu_request": "50m", "cpu_limit": "500m", "memory_request": "64Mi", "memory_limit": "256Mi", **_EPHEMERAL
}  # fmt: skip
_TIMES = {
    "liveness": {"initial_delay_secs": 10, "period_secs": 15, "failure_threshold": 3},
    "readiness": {"initial_delay_secs": 5, "period_secs": 10, "failure_threshold": 2},
}
_STARTUP = {
    "worlds": {"period_secs": 5, "failure_threshold": 120},
    "services": {"period_secs": 2, "failure_threshold": 30},
}
_GRACE_SECS = {"worlds": 300, "services": 30}
_PATHS = {"liveness": "/healthz", "readiness": "/readyz"}
HTTP_PORT = 8080


def opened(value: object) -> Any:
    """Return a Config as a mapping of everything it says, so that defaults can stand beneath it; off is ``none``."""
    if isinstance(value, Config):
        fields = spec_of(type(value)).fields
        held = ((field.name, getattr(value, field.name)) for field in fields)
        return {name: "none" if each is None else opened(each) for name, each in held if each is not UNSET}
    return value


def class_defaults(workload_class: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults that stand beneath ``given``; some depend on what it says.

    Args:
        workload_class: ``worlds`` or ``services``.
        given: What the author says, as a mapping.
    """
    scaling = given.get("scaling", {} if workload_class == "worlds" else None)
    off = scaling is None or scaling == "none"
    defaults: dict[str, Any] = {
        "resources": _RESOURCES[workload_class],
        "ports": [{"name": "http", "port": HTTP_PORT}],
        "probes": _probes(workload_class, given.get("probes"), http_port(given.get("ports"))),
        "metrics": {},
        "drain": _drain(workload_class, given.get("drain")),
        "update": {},
        "identity": {},
        "disruption_budget": {},
        "network": {},
        "topology": {},
    }
    if not off:
        defaults["scaling"] = {}
        if workload_class == "worlds" and not given.get("custom_metrics"):
            defaults["custom_metrics"] = [{"name": "aether_world_player_count"}]
    if "replicas" not in given:
        least = scaling.get("min_replicas") if isinstance(scaling, Mapping) else None
        readable = type(least) is int and least > 0
        defaults["replicas"] = least if readable else 2
    return defaults


def http_port(ports: object) -> int:
    """Return the number of the port named ``http`` among what is said of ports; else the class's own."""
    for port in ports if isinstance(ports, (list, tuple)) else ():
        said = opened(port)
        if isinstance(said, Mapping) and said.get("name") == "http" and type(said.get("port")) is int:
            return int(said["port"])
    return HTTP_PORT


def _probes(workload_class: str, given: object, port: int) -> dict[str, Any]:
    """Return probe defaults. A path or port only joins a probe of a type that uses it."""
    said = given if isinstance(given, Mapping) else {}
    probes = {name: {**_question(said.get(name), _PATHS[name], port), **times} for name, times in _TIMES.items()}
    if said.get("startup", {}) not in (None, "none"):
        probes["startup"] = {**_startup_question(said, port), **_STARTUP[workload_class]}
    return probes


def _question(given: object, path: str, port: int) -> dict[str, Any]:
    said = given if isinstance(given, Mapping) else {}
    return {"http": {"path": path, "port": port}, "exec": {}}.get(said.get("type", "http"), {"port": port})


def _startup_question(probes: Mapping[str, Any], port: int) -> dict[str, Any]:
    """Startup asks what liveness asks, unless it says what to ask itself."""
    own = probes.get("startup")
    if isinstance(own, Mapping) and own.get("type") is not None:
        return _question(own, _PATHS["liveness"], port)
    liveness = probes.get("liveness")
    said = liveness if isinstance(liveness, Mapping) else {}
    asked = {name: said[name] for name in ("type", "path", "port", "command") if said.get(name) is not None}
    return {**_question(liveness, _PATHS["liveness"], port), **asked}


def _drain(workload_class: str, given: object) -> dict[str, Any]:
    said = given if isinstance(given, Mapping) else {}
    drain: dict[str, Any] = {"grace_period_secs": _GRACE_SECS[workload_class]}
    if said.get("pre_stop", UNSET) is UNSET:
        grace = said.get("grace_period_secs", drain["grace_period_secs"])
        if not isinstance(grace, int) or grace > 5:
            drain["pre_stop"] = {"sleep_secs": 5}
    return drain
