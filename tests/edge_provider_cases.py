"""Edges of providers, before buckets of Amazon's and before a store that runs here; and their documents."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.kinds.edge import EdgeConfig
from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig
from tests.edge_cases import BUCKET, CLASSES, around
from tests.nats_cases import estate, region
from tests.object_store_cases import provided, store

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
AMAZON = estate(region("us-east-1"), region("eu-west-1"), region("ap-south-1"))
BLOCKS: Mapping[str, Mapping[str, Any]] = {
    "cloudfront": {"certificate_arn": CERTIFICATE},
    "cloudflare": {"zone": "example.com"},
}
CLOSED = (
    "/private/a",
    "/public/../private/a",
    "/public/%2e%2e/private/a",
    "/public/%2E%2E/private/a",
    "/public/.%2e/private/a",
    "/public/..%2fprivate/a",
    "/public/%2e%2e%2fprivate%2fa",
    "/public/%252e%252e/private/a",
    "/public/%252e%252e%252fprivate/a",
    "/public//../private/a",
    "/public/./../private/a",
    "/public/build/../../private/a",
    "/public/..;/private/a",
    "/public\\..\\private/a",
    "/public/..\\private/a",
    "/public/%5c..%5cprivate/a",
    "/public%2f..%2fprivate%2fa",
    "/public/private%2fa",
    "/public/private%5ca",
    "/public/%25252e%25252e/private/a",
    "/public/a%00",
    "/Public/../private/a",
    "/%70ublic/../private/a",
    "//public/build/a",
    "/game-assets/private/a",
    "/game-assets/public/a",
    "/publicity/a",
    "/public",
    "/public/",
    "/public/build/",
    "/",
)
"""Ways to ask for what is not public, or is no object: all of them are as if it were not there."""

OPEN = (
    "/public/a",
    "/public/build/a.js",
    "/public/build/a%20b+c%25%C3%A9",
    "/public/build/a.b-c_d~e!f",
    "/public/build/100%2541",
    "/public/index/list@2x.png",
)


def provider_edge(backend: str, **settings: Any) -> EdgeConfig:
    """Return an edge of a provider before bucket ``game-assets`` of the store ``assets``."""
    values = {"name": "cdn", "backend": backend, "origin": "assets/game-assets", "hostname": "cdn.example.com"}
    classes = [dict(each) for each in CLASSES]
    return EdgeConfig.from_values({backend: BLOCKS[backend], "cache_classes": classes, **values, **settings})


def on_amazon(config: EdgeConfig, **bucket: Any) -> Estate:
    """Return an estate with the edge before a bucket of Amazon's in two regions."""
    role = "arn:aws:iam::123456789012:role/copy"
    settings = {"regions": ["us-east-1", "eu-west-1"], "replication_role": role}
    own = {"versioning": True, "lifecycle": {"noncurrent_days": 30}}
    return around(config, provided("aws", {**BUCKET, **own, **bucket}, **settings), AMAZON)


def before_own(config: EdgeConfig, **settings: Any) -> Estate:
    """Return an estate with the edge before a store that runs in one region, which the internet reaches."""
    return around(config, own_store(**settings), AMAZON)


def own_store(**settings: Any) -> ObjectStoreConfig:
    shown = {"expose": {"type": "LoadBalancer"}, "endpoint": "assets.{region}.example.com"}
    return store(dict(BUCKET), **{"regions": ["us-east-1"], **shown, **settings})


def documents(config: EdgeConfig, where: Estate) -> dict[str, Any]:
    """Return its documents by what their names end with, parsed."""
    found = {}
    for name, text in config.runbooks(where).items():
        if name.endswith(".json"):
            found[name.removesuffix(".json").rpartition("-")[2]] = json.loads(text)
    return found


def find_node() -> str | None:
    """Return where a JavaScript engine is: on PATH, or the one that drives browsers in tests."""
    if (found := shutil.which("node")) is not None:
        return found
    try:
        from playwright._impl._driver import compute_driver_executable
    except ImportError:
        return None
    path = Path(compute_driver_executable()[0])
    return str(path) if path.is_file() else None
