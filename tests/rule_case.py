"""What one example of a rule is, and the sound descriptions that the examples differ from."""

from typing import Any, NamedTuple

DIGEST = "sha256:" + "0" * 64
IMAGE = f"aether/gateway:v1@{DIGEST}"

US_EAST = {"code": "us-east-1", "zones": ["us-east-1a", "us-east-1b"], "location": {"lat": 38.95, "lon": -77.45}}
EU_WEST = {"code": "eu-west-1", "zones": ["eu-west-1a", "eu-west-1b"], "location": {"lat": 53.35, "lon": -6.26}}
GATEWAY = {"name": "gateway", "image": IMAGE}
MATCHMAKING = {"name": "matchmaking", "image": IMAGE}
WORLD = {"name": "world", "image": IMAGE, "pvc": {"size": "1Gi"}}
EXPOSED = {"type": "LoadBalancer", "ports": ["http"]}

SOUND: dict[str, dict[str, Any]] = {
    "ConfigFile": {"name": "world.toml", "path": "/etc/world.toml"},
    "CacheClass": {"name": "hashed", "match": "/public/build/", "ttl_secs": 60},
    "CorsRule": {"name": "web", "origins": ["https://play.example.com"]},
    "DeploymentConfig": {**GATEWAY, "namespace": "aether-prod"},
    "EdgeConfig": {
        "name": "cdn",
        "image": f"nginx:1.31.3@{DIGEST}",
        "origin": "assets/game-assets",
        "hostname": "cdn.example.com",
        "cache_classes": [{"name": "hashed", "match": "/public/build/", "ttl_secs": 60}],
    },
    "FailoverPolicy": {},
    "LinkConfig": {"between": ["us-east-1", "eu-west-1"], "latency_ms": 76},
    "NatsConfig": {"name": "events", "image": f"nats:2.15.1@{DIGEST}", "pvc": {"size": "10Gi"}},
    "NatsStream": {"name": "MATCHES", "subjects": ["matches.>"], "max_bytes": "1Gi"},
    "ObjectBucket": {"name": "game-assets"},
    "ObjectStoreConfig": {"name": "assets", "image": f"chrislusf/seaweedfs:4.48@{DIGEST}", "pvc": {"size": "10Gi"}},
    "PatchConfig": {"name": "dns"},
    "Platform": {"name": "aether", "kubernetes": "v1.37", "regions": [US_EAST], "services": [GATEWAY]},
    "PostgresConfig": {
        "name": "accounts",
        "image": f"ghcr.io/zalando/spilo-18:4.1-p2@{DIGEST}",
        "regions": ["us-east-1"],
        "pvc": {"size": "10Gi"},
    },
    "ProbeConfig": {"liveness": {"path": "/healthz", "port": 8080}, "readiness": {"path": "/readyz", "port": 8080}},
    "RegionConfig": {"code": "eu-west-1", "zones": ["eu-west-1a"]},
    "ValkeyConfig": {"name": "sessions", "image": f"valkey/valkey:9.1.2@{DIGEST}", "maxmemory": "512Mi"},
    "VolumeConfig": {"name": "cache", "path": "/cache"},
}
"""By class: values that need no others, beneath the values of an example."""


class RuleCase(NamedTuple):
    """One example.

    Attributes:
        rule: The rule, as ``Class.method``.
        bad: Values that break it.
        good: The nearest values that break nothing.
        says: Everything that is said of ``bad``, whole.
        of: The class that is built, where the rule's own is only a base.
    """

    rule: str
    bad: dict[str, Any]
    good: dict[str, Any]
    says: list[str]
    of: str | None = None

    @property
    def class_name(self) -> str:
        return self.of or self.rule.partition(".")[0]

    @property
    def method(self) -> str:
        return self.rule.partition(".")[2]
