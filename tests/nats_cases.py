"""Superclusters of a few lines: three regions, two with and without a witness, one."""

from collections.abc import Mapping, Sequence
from typing import Any

from aether_deploy.config.base import Fault
from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.estate import Datacenter, Estate, EstateRegion
from aether_deploy.infrastructure.kinds.nats import NatsConfig
from aether_deploy.pods.surroundings import Surroundings
from tests.rule_case import DIGEST

TOOLS = f"aether/deploy-tools:v1@{DIGEST}"
GATEWAY: Mapping[str, Any] = {
    "gateway": {"endpoint": "{pod}.nats.example.com"},
    "expose": {"type": "LoadBalancer", "per_pod": True, "internal": True, "ports": ["gateway"]},
}
TLS: Mapping[str, Any] = {"tls": {"secret": "events-tls"}}
MATCHES: Mapping[str, Any] = {
    "name": "MATCHES",
    "subjects": ["matches.>"],
    "regions": ["us"],
    "max_bytes": "1Gi",
    "mirrors": ["eu"],
}
TELEMETRY: Mapping[str, Any] = {
    "name": "TELEMETRY",
    "subjects": ["telemetry.{region}.>"],
    "max_bytes": "512Mi",
    "aggregate_in": "us",
}


def region(code: str, zones: int = 3, *witnesses: str) -> EstateRegion:
    """Return a region whose zones are ``<code>-a``, ``<code>-b`` …, and which lists ``witnesses``."""
    names = [f"{code}-{letter}" for letter in "abcdefgh"[:zones]]
    full = [Datacenter(name, name, code, code) for name in names]
    voters = [Datacenter(name, f"{name}-zone", code, f"{name}-cluster", True) for name in witnesses]
    return EstateRegion(code, code, (*full, *voters), "aws")


def estate(*regions: EstateRegion, **more: Any) -> Estate:
    """Return an estate of ``regions``; of three with three zones each where none is given."""
    settings: dict[str, Any] = {
        "system": "aether",
        "environment": "prod",
        "regions": regions or (region("us"), region("eu"), region("ap")),
        "round_trips": {frozenset(("us", "eu")): 76.0, frozenset(("us", "ap")): 198.0},
        "tools_image": TOOLS,
    }
    return Estate(**{**settings, **more})


THREE = estate()
TWO = estate(region("us"), region("eu"))
WITNESS = estate(region("us"), region("eu", 3, "fra"))
ONE = estate(region("us"))


def nats(*streams: Mapping[str, Any], **settings: Any) -> NatsConfig:
    """Return a component with ``streams`` over several regions."""
    base: dict[str, Any] = {
        "name": "events",
        "kind": "nats",
        "image": f"nats:2.15.1@{DIGEST}",
        "pvc": {"size": "40Gi"},
        "streams": list(streams),
        **GATEWAY,
        **TLS,
    }
    return NatsConfig.from_values({**base, **settings})


def alone(*streams: Mapping[str, Any], **settings: Any) -> NatsConfig:
    """Return a component with ``streams`` in one region."""
    return nats(*streams, **{"gateway": "none", "expose": "none", "tls": "none", **settings})


def faults(config: NatsConfig, where: Estate = THREE) -> Sequence[Fault]:
    return list(config.faults(where))


def told(config: NatsConfig, where: Estate = THREE) -> list[str]:
    """Return what is wrong with ``config``, each as ``steps: reason / fix``."""
    return [f"{'.'.join(map(str, each.at)) or '$'}: {each.reason} / {each.fix}" for each in faults(config, where)]


def place(where: Estate = THREE, code: str = "us", cluster: str | None = None, **surroundings: Any) -> Place:
    """Return the cluster of a region as a place."""
    found = where.region(code)
    assert found is not None
    name = cluster or found.cluster
    datacenters = tuple(each for each in where.datacenters if each.cluster == name)
    return Place(
        estate=where, region=found, cluster=name, datacenters=datacenters, surroundings=Surroundings(**surroundings)
    )


def objects(config: NatsConfig, at: Place) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the objects of ``config`` at a place, by kind and name."""
    return {(each["kind"], each["metadata"]["name"]): each for each in config.render(at)}
