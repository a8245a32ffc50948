"""Session caches of a few lines, in regions of one to four zones."""

from typing import Any

from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.kinds.valkey import ValkeyConfig
from tests import nats_cases
from tests.nats_cases import estate, region
from tests.rule_case import DIGEST

ONE = estate(region("us"))
TWO_REGIONS = estate(region("us"), region("eu"))


def zoned(zones: int) -> Estate:
    """Return one region with so many zones."""
    return estate(region("us", zones))


def valkey(**settings: Any) -> ValkeyConfig:
    """Return a component of three shards with a replica each."""
    base = {"name": "sessions", "kind": "valkey", "image": f"valkey/valkey:9.1.2@{DIGEST}", "maxmemory": "512Mi"}
    return ValkeyConfig.from_values({**base, **settings})


def place(where: Estate = ONE, code: str = "us") -> Place:
    return nats_cases.place(where, code)


def objects(config: ValkeyConfig, at: Place) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the objects of ``config`` at a place, by kind and name."""
    return {(each["kind"], each["metadata"]["name"]): each for each in config.render(at)}


def told(config: ValkeyConfig, where: Estate = ONE) -> list[str]:
    """Return what is wrong with ``config``, each as ``steps: severity: reason / fix``."""
    return [
        f"{'.'.join(map(str, each.at)) or '$'}: {each.severity}: {each.reason} / {each.fix}"
        for each in config.faults(where)
    ]
