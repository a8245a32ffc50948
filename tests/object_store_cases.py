"""Object stores of a few lines: of one's own in one region and in two, and of providers."""

from collections.abc import Mapping
from typing import Any

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig
from tests.nats_cases import estate, region
from tests.rule_case import DIGEST

WEED = f"chrislusf/seaweedfs:4.48@{DIGEST}"
ONE = estate(region("us"))
TWO = estate(region("us"), region("eu"))
FOLLOWED: Mapping[str, Any] = {
    "regions": ["us", "eu"],
    "expose": {"type": "LoadBalancer", "internal": True},
    "endpoint": "assets.{region}.example.com",
    "network": {"allow_from": ["10.0.0.0/8"]},
}
PUBLIC: Mapping[str, Any] = {
    "name": "game-assets",
    "versioning": True,
    "public_prefixes": ["public/"],
    "lifecycle": {
        "noncurrent_days": 30,
        "abort_upload_days": 7,
        "expiries": [{"name": "tmp", "prefix": "tmp/", "days": 3}],
    },
    "cors": [{"name": "web", "origins": ["https://play.example.com"]}],
}


def store(*buckets: Mapping[str, Any], **settings: Any) -> ObjectStoreConfig:
    """Return a store that runs in region ``us``, with ``buckets``."""
    values = {"name": "assets", "image": WEED, "regions": ["us"], "pvc": {"size": "10Gi"}, "buckets": list(buckets)}
    return ObjectStoreConfig.from_values({**values, **settings})


def provided(provider: str, *buckets: Mapping[str, Any], **settings: Any) -> ObjectStoreConfig:
    """Return a store of a provider, with ``buckets``."""
    url = {} if provider in ("aws", "gcs") else {"url": f"https://{provider.replace('_', '-')}.example.com"}
    values = {"name": "assets", "provider": provider, "regions": ["us-east-1"], "buckets": list(buckets), **url}
    return ObjectStoreConfig.from_values({**values, **settings})


def said(config: ObjectStoreConfig, where: Estate) -> list[str]:
    """Return what is wrong with a store where it runs, each as ``steps: reason``."""
    return [f"{'.'.join(map(str, fault.at))}: {fault.reason}" for fault in config.faults(where)]
