"""PostgreSQL clusters of every shape: of the pods' own back end, and of an operator."""

from collections.abc import Mapping
from typing import Any

_SPILO = "ghcr.io/zalando/spilo-18:4.1-p2@sha256:adc4111479ba5d510804ead7c262ad177e874ce029dff552aa4db9f5a22ae29b"
_PATRONI = "registry.example.com/patroni:18.6@sha256:4f1c6d0c3a2f2a2c6ad7a9a3cb4a4d2f8a8b3d2d9b6a8e2a1d7c5e3f1a9b7c5d"
_CITUS = (
    "registry.example.com/patroni-citus:18.1@sha256:175cce968fed5911168c89c9977c883e08195289784e31568030732df63b07db"
)
_INSIDE = {"allow_from": ["10.0.0.0/8"]}

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "single": {
        "name": "accounts",
        "image": _SPILO,
        "regions": ["us-east-1"],
        "pvc": {"size": "20Gi"},
        "expose": {"internal": True},
        "endpoint": "accounts.{region}.example.com",
        "network": _INSIDE,
    },
    "standby": {
        "name": "accounts",
        "image": _SPILO,
        "regions": ["us-east-1"],
        "members": 3,
        "pvc": {"size": "200Gi"},
        "failover": {"maximum_lag_on_failover": 1048576, "synchronous_mode": "quorum"},
        "standby": {"region": "eu-west-1", "members": 2},
        "expose": {"type": "LoadBalancer", "internal": True},
        "endpoint": "accounts.{region}.example.com",
        "network": {**_INSIDE, "allow_to": ["10.0.0.0/8"]},
    },
    "sharded": {
        "name": "inventory",
        "image": _CITUS,
        "regions": ["us-east-1"],
        "members": 3,
        "sharding": {"database": "game", "workers": 2, "members_per_worker": 2},
        "pvc": {"size": "100Gi"},
        "expose": {"type": "LoadBalancer", "internal": True},
        "endpoint": "inventory.{region}.example.com",
        "network": _INSIDE,
    },
    "encrypted": {
        "name": "ledger",
        "image": _PATRONI,
        "regions": ["eu-west-1"],
        "pvc": {"size": "50Gi", "storage_class": "ssd"},
        "failover": {"synchronous_mode": True, "failsafe_mode": True, "loop_wait": 5, "ttl": 20, "retry_timeout": 7},
        "postgresql": {
            "version": 17,
            "parameters": {"max_connections": 200, "work_mem": "32MB", "wal_level": "logical"},
        },
        "tls": {"secret": "ledger-tls"},
        "standby": {"region": "ap-south-1", "members": 1},
        "expose": {"type": "NodePort"},
        "endpoint": "ledger.{region}.example.com",
        "network": _INSIDE,
    },
    "operated": {
        "name": "acid-bank",
        "backend": "zalando",
        "team": "acid",
        "image": _SPILO,
        "regions": ["us-east-1"],
        "pvc": {"size": "20Gi"},
        "failover": {"synchronous_mode": True},
        "expose": {"type": "LoadBalancer", "internal": True},
        "endpoint": "acid-bank.{region}.example.com",
        "network": _INSIDE,
    },
}
