"""Edges of a few lines, before a store in two regions."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from aether_deploy.infrastructure.edge.policy import EdgePolicy, policy_of
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.kinds.edge import EdgeConfig
from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig
from tests.nats_cases import estate, region
from tests.object_store_cases import FOLLOWED, store
from tests.rule_case import DIGEST

NGINX = f"nginx:1.31.3@{DIGEST}"
PAGE = "https://play.example.com"
BUCKET: Mapping[str, Any] = {
    "name": "game-assets",
    "public_prefixes": ["public/"],
    "cors": [{"name": "web", "origins": [PAGE]}],
}
CLASSES: Sequence[Mapping[str, Any]] = (
    {"name": "hashed", "match": "/public/build/", "ttl_secs": 31536000, "immutable": True},
    {
        "name": "index", "match": "/public/index/", "ttl_secs": 1,
        "stale_while_revalidate_secs": 1, "stale_if_error_secs": 86400,
    },
    {"name": "strict", "match": "/public/strict/", "ttl_secs": 1},
)  # fmt: skip
PLACES = estate(region("us"), region("eu"), region("ap"))


def edge(**settings: Any) -> EdgeConfig:
    """Return an edge before bucket ``game-assets`` of the store ``assets``."""
    values = {"name": "cdn", "image": NGINX, "origin": "assets/game-assets", "hostname": "cdn.example.com"}
    return EdgeConfig.from_values({"cache_classes": [dict(each) for each in CLASSES], **values, **settings})


def around(config: EdgeConfig, origin: ObjectStoreConfig | None = None, where: Estate = PLACES) -> Estate:
    """Return an estate with the edge and its store in it; a store in regions ``us`` and ``eu`` where none is given."""
    return msgspec.structs.replace(where, components=(origin or store(dict(BUCKET), **FOLLOWED), config))


def policy(region: str = "us", **settings: Any) -> EdgePolicy:
    """Return the policy of the edge in ``region``."""
    config = edge(**settings)
    return policy_of(config, around(config), region)


def said(config: EdgeConfig, where: Estate) -> list[str]:
    """Return what is wrong with an edge where it runs, each as ``steps: reason``."""
    return [f"{'.'.join(map(str, fault.at))}: {fault.reason}" for fault in config.faults(where)]
