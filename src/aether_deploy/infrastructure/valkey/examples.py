"""Session caches: as little as can be said, and much."""

from collections.abc import Mapping
from typing import Any

_IMAGE = "valkey/valkey:9.1.2@sha256:2c40725df8f9948122f94cee2e60e28a95dc5b56eec0d149d5c2a49d00c57558"

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "session-cache": {
        "name": "sessions",
        "image": _IMAGE,
        "shards": 3,
        "maxmemory": "2Gi",
        "node_timeout_ms": 5000,
    },
    "two-replicas": {
        "name": "sessions",
        "image": _IMAGE,
        "regions": "all",
        "shards": 5,
        "replicas": 2,
        "maxmemory": "700Mi",
        "resources": {"cpu_limit": "2", "memory_limit": "1Gi"},
        "eviction": "volatile-ttl",
        "node_timeout_ms": 3000,
        "pvc": {"size": "2Gi"},
    },
}
