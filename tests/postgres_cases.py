"""PostgreSQL clusters for tests: an estate of three regions, places in it, and what is rendered there."""

from collections.abc import Mapping
from typing import Any

from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.estate import Datacenter, Estate, EstateRegion
from aether_deploy.infrastructure.kinds.postgres import PostgresConfig
from aether_deploy.pods.surroundings import Peer, Surroundings
from aether_deploy.problems import ConfigError

SPILO = "ghcr.io/zalando/spilo-18:4.1-p2@sha256:adc4111479ba5d510804ead7c262ad177e874ce029dff552aa4db9f5a22ae29b"
PATRONI = f"registry.example.com/patroni:18.6@sha256:{'0' * 64}"
VALUES: Mapping[str, Any] = {"name": "accounts", "image": SPILO, "regions": ["us-east-1"], "pvc": {"size": "20Gi"}}
STANDBY: Mapping[str, Any] = {
    "standby": {"region": "eu-west-1", "members": 2},
    "expose": {},
    "endpoint": "accounts.{region}.example.com",
}
SHARDED: Mapping[str, Any] = {
    "name": "inventory",
    "image": PATRONI,
    "sharding": {"database": "game", "workers": 2, "members_per_worker": 2},
}
ZALANDO: Mapping[str, Any] = {"name": "acid-ledger", "backend": "zalando", "team": "acid"}
CODES = ("us-east-1", "eu-west-1", "ap-south-1")

Body = dict[str, Any]
Objects = dict[tuple[str, str], Body]


def estate(zones: int = 3, disabled: frozenset[str] = frozenset()) -> Estate:
    """Return three regions, each a cluster of its own but for Europe's, whose is called dublin."""
    clusters = {code: "dublin" if code == "eu-west-1" else code for code in CODES}
    regions = tuple(
        EstateRegion(
            code,
            clusters[code],
            tuple(Datacenter(f"{code}{zone}", f"{code}{zone}", code, clusters[code]) for zone in "abc"[:zones]),
            "aws",
            "ssd",
        )
        for code in CODES
        if code not in disabled
    )
    return Estate(system="aether", environment="prod", regions=regions, disabled=disabled)


def config(**settings: Any) -> PostgresConfig:
    """Return a cluster as a file with ``settings`` has it."""
    return PostgresConfig.from_values({**VALUES, **settings})


def place(code: str = "us-east-1", **surroundings: Any) -> Place:
    """Return a place; a workload named gateway calls what is there."""
    around = estate()
    region = around.region(code)
    assert region is not None
    users = (Peer(name="gateway", namespace="aether-prod"),)
    return Place(
        estate=around,
        region=region,
        cluster=region.cluster,
        datacenters=region.datacenters,
        surroundings=Surroundings(**{"system": "aether", "provider": "aws", "used_by": users, **surroundings}),
    )


def rendered(component: PostgresConfig, code: str = "us-east-1", **surroundings: Any) -> Objects:
    """Return the objects of a component in a region, by kind and name."""
    bodies = component.render(place(code, **surroundings))
    found = {(body["kind"], body["metadata"]["name"]): body for body in bodies}
    assert len(found) == len(bodies)
    return found


def pod_of(objects: Objects, part: str = "accounts-us-east-1") -> Body:
    pod: Body = objects["StatefulSet", part]["spec"]["template"]
    return pod


def container_of(objects: Objects, part: str = "accounts-us-east-1") -> Body:
    (container,) = pod_of(objects, part)["spec"]["containers"]
    found: Body = container
    return found


def file_of(objects: Objects, name: str = "accounts", file: str = "patroni.yml") -> Body:
    """Return a configuration file as Patroni reads it."""
    import yaml

    found: Body = yaml.safe_load(objects["ConfigMap", f"{name}-config"]["data"][file])
    return found


def said(**settings: Any) -> list[str]:
    """Return everything that is said of a cluster with ``settings`` in the estate, warnings too."""
    try:
        component = config(**settings)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    found = [str(problem) for problem in component.problems()]
    found += [f"{fault.severity}: {path(fault.at)}: {fault.reason}" for fault in component.faults(estate())]
    return found


def path(steps: tuple[str | int, ...]) -> str:
    return ".".join(map(str, steps))
