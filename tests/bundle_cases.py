"""Workloads that together touch every optional part of what is rendered: for the golden files."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from aether_deploy import Peer, Surroundings
from tests.rule_case import IMAGE

WORLD: Mapping[str, Any] = {
    "name": "world-server",
    "namespace": "aether-prod",
    "image": IMAGE,
    "pvc": {"size": "10Gi"},
    "ports": [{"name": "game", "port": 7777, "protocol": "UDP"}],
}
GATEWAY: Mapping[str, Any] = {"name": "gateway", "namespace": "aether-prod", "image": IMAGE}
SCALING = {"target_players_per_pod": 500, "min_replicas": 3, "max_replicas": 12}
INTERNAL = {"ports": ["http"], "internal": True}


WATCHED = Surroundings(
    system="aether",
    monitoring_namespace="monitoring",
    scrape_interval_secs=15,
    rule_interval_secs=15,
    prometheus_url="http://prometheus.monitoring:9090",
)


class BundleCase(NamedTuple):
    """One workload and what is around it.

    Attributes:
        values: What its author says.
        around: The platform around it.
    """

    values: Mapping[str, Any]
    around: Surroundings = Surroundings()


CASES: Mapping[str, BundleCase] = {
    "world-alone": BundleCase({**WORLD, "ports": []}),
    "world-with-company": BundleCase(
        {
            **WORLD,
            "command": ["/world"],
            "args": ["--region", "us-east-1"],
            "env": {"WORLD_TICK_HZ": "30"},
            "uses": ["voice-relay", "matchmaking"],
            "init_containers": [
                {"name": "fetch", "image": IMAGE, "command": ["fetch"], "mounts": [{"volume": "tmp", "path": "/tmp"}]},
                {"name": "migrate", "image": IMAGE, "enabled": False},
            ],
            "sidecars": [
                {
                    "name": "wal-shipper",
                    "image": IMAGE,
                    "args": ["--from", "/wal"],
                    "env": {"BUCKET": "wal"},
                    "resources": {"memory_limit": "512Mi"},
                    "mounts": [{"volume": "wal", "path": "/wal", "read_only": True}],
                },
                {"name": "proxy", "image": IMAGE, "enabled": False},
            ],
            "config_files": [
                {"name": "world.toml", "path": "/etc/aether/world.toml", "text": "[world]\ntick_hz = 30\n"},
                {"name": "terrain.bin", "path": "/etc/aether/terrain.bin", "source": "config/terrain.bin"},
                {"name": "motd.txt", "path": "/etc/aether/motd.txt", "source": "config/motd.txt"},
                {"name": "old.toml", "path": "/etc/aether/old.toml", "text": "", "enabled": False},
            ],
            "secret_files": [
                {"name": "signing-key", "secret": "world-signing", "key": "key.pem", "path": "/run/secrets/key.pem"},
                {"name": "tls", "secret": "world-tls", "path": "/run/secrets/tls"},
                {"name": "old", "secret": "old", "path": "/run/secrets/old", "enabled": False},
            ],
            "volumes": [
                {"name": "cache", "path": "/cache", "size": "1024Mi"},
                {"name": "scratch", "path": "/scratch", "type": "memory", "size": "64Mi"},
                {"name": "spool", "path": "/spool"},
                {"name": "assets", "path": "/assets", "type": "claim", "claim": "assets", "read_only": True},
                {"name": "old", "path": "/old", "enabled": False},
            ],
        },
        Surroundings(
            system="aether",
            uses={
                "voice-relay": Peer(name="voice-relay", ports=(("http", 8080, "TCP"), ("rtp", 3478, "UDP"))),
                "matchmaking": Peer(name="matchmaking", namespace="lobby", ports=(("http", 8080, "TCP"),)),
            },
            files={"config/terrain.bin": b"\x00\x01\xff", "config/motd.txt": "Grüße: ${NAME}\n".encode()},
        ),
    ),
    "world-exposed-per-pod": BundleCase(
        {
            **WORLD,
            "scaling": {"min_replicas": 3, "max_replicas": 3},
            "expose": {"ports": ["game"], "per_pod": True, "external_traffic_policy": "Local"},
            "waivers": {"fixed_count": "one world for each realm"},
            "config_files": [{"name": "realm.toml", "path": "/etc/realm.toml", "text": "realms = 3"}],
            "labels": {"team": "worlds"},
            "annotations": {"example.com/contact": "worlds@example.com", "kube-score/ignore": "pod-probes"},
        },
        Surroundings(system="aether"),
    ),
    "world-updated-on-delete": BundleCase(
        {
            **WORLD,
            "pvc": {
                "storage_class": "ssd",
                "size": "10240Mi",
                "mount_path": "/wal",
                "access_mode": "ReadWriteOncePod",
                "retention": {"when_scaled": "Delete"},
            },
            "scaling": None,
            "replicas": 3,
            "update": {"strategy": "OnDelete", "min_ready_secs": 20},
            "disruption_budget": {"max_unavailable": 2},
            "ports": [{"name": "http", "port": 8080, "enabled": False}],
            "metrics": None,
        },
        Surroundings(storage_class="slow"),
    ),
    "world-on-kubernetes-1.34": BundleCase(
        {
            **WORLD,
            "update": {"max_unavailable": 2},
            "scaling": {"target_players_per_pod": 80, "min_replicas": 4, "max_replicas": 40},
            "custom_metrics": [
                {"name": "aether_world_player_count"},
                {"name": "aether_world_queue_depth", "metric_type": "Object", "target_value": 10},
                {"name": "aether_lobby_waiting", "metric_type": "External", "target_value": 200},
            ],
        },
        Surroundings(kubernetes="v1.34", storage_class="ssd"),
    ),
    "world-on-kubernetes-1.37": BundleCase(
        {**WORLD, "update": {"max_unavailable": 2, "partition": 1, "min_ready_secs": 10}},
        Surroundings(kubernetes="v1.37"),
    ),
    "service-alone": BundleCase(GATEWAY),
    "service-among-others": BundleCase(
        {
            **GATEWAY,
            "uses": ["world-server", "matchmaking", "mail"],
            "traffic": "prefer_zone",
            "formerly": "front-door",
            "update": {"max_surge": 3, "max_unavailable": 1, "min_ready_secs": 5},
            "topology": {
                "strict": True,
                "preferred_colocation": [{"service": "world-server", "weight": 80}, {"service": "far-away"}],
            },
            "network": {"allow_from": ["198.51.100.0/24"], "allow_to": ["203.0.113.0/24", "2001:db8::/32"]},
            "scaling": SCALING,
            "custom_metrics": [{"name": "aether_gateway_player_count"}],
        },
        Surroundings(
            system="aether",
            uses={
                "world-server": Peer(name="world-server", ports=(("game", 7777, "UDP"),)),
                "matchmaking": Peer(name="matchmaking", ports=(("http", 8080, "TCP"),), external=True),
            },
            used_by=(Peer(name="voice-relay"), Peer(name="probe", namespace="monitoring")),
            neighbours={"world-server": "aether-prod"},
            monitoring_namespace="monitoring",
            scrape_interval_secs=15,
        ),
    ),
    "service-calling-another-region": BundleCase(
        {**GATEWAY, "uses": ["matchmaking"], "topology": {"spread_across_zones": False}},
        Surroundings(uses={"matchmaking": Peer(name="matchmaking", ports=(("http", 8080, "TCP"),), external=True)}),
    ),
    "service-internal-on-aws": BundleCase({**GATEWAY, "expose": INTERNAL}, Surroundings(provider="aws")),
    "service-internal-on-gcp": BundleCase({**GATEWAY, "expose": INTERNAL}, Surroundings(provider="gcp")),
    "service-internal-on-azure": BundleCase({**GATEWAY, "expose": INTERNAL}, Surroundings(provider="azure")),
    "service-internal-elsewhere": BundleCase(
        {**GATEWAY, "expose": {**INTERNAL, "annotations": {"example.com/scheme": "internal"}}},
        Surroundings(provider="other"),
    ),
    "service-on-chosen-nodes": BundleCase(
        {
            **GATEWAY,
            "priority_class": "players",
            "pull_secrets": ["registry", "mirror"],
            "node_selector": {"node.example.com/pool": "edge", "kubernetes.io/arch": "arm64"},
            "tolerations": [
                {"key": "dedicated", "value": "edge", "effect": "NoSchedule"},
                {"key": "example.com/flaky", "operator": "Exists", "effect": "NoExecute", "toleration_secs": 60},
                {"operator": "Exists"},
            ],
            "topology": {"topology_key": "example.com/rack"},
            "expose": {"type": "NodePort", "ports": ["http"], "external_traffic_policy": "Cluster"},
        },
    ),
    "service-that-deviates": BundleCase(
        {
            **GATEWAY,
            "image": "aether/gateway:v1",
            "replicas": 1,
            "resources": {"cpu_request": "1000m", "cpu_limit": None, "memory_limit": "1024Mi"},
            "identity": {
                "run_as_user": 1000,
                "run_as_group": 1000,
                "fs_group": 2000,
                "service_account": "gateway-api",
                "automount_token": True,
            },
            "update": {"strategy": "Recreate"},
            "env": {"TOKEN": "public"},
            "waivers": {
                "cpu_limit": "bursts; a limit = jitter",
                "image_digest": "the registry refuses to move tags",
                "recreate": "it holds a licence for one instance",
                "secret_env": "a token of the demo, known to all",
                "service_account_token": "it reads Leases",
                "single_replica": "a demo",
                "user_id": "the image was built so",
            },
        },
    ),
    "service-asked-in-other-ways": BundleCase(
        {
            **GATEWAY,
            "probes": {
                "liveness": {"type": "grpc", "port": 9000, "timeout_secs": 3},
                "readiness": {"type": "exec", "command": ["/ready", "--quick"]},
                "startup": {"type": "tcp", "port": 9001},
            },
            "drain": {"grace_period_secs": 90, "pre_stop": {"command": ["/drain", "--wait"]}},
        },
    ),
    "service-without-ports": BundleCase(
        {
            **GATEWAY,
            "ports": [{"name": "http", "port": 8080, "enabled": False}],
            "probes": {
                "liveness": {"path": "/live", "port": 9000},
                "readiness": {"path": "/ready", "port": 9000},
                "startup": None,
            },
            "config_files": [{"name": "table.bin", "path": "/etc/table.bin", "source": "table.bin"}],
            "drain": {"pre_stop": None},
            "metrics": None,
        },
        Surroundings(scrape_interval_secs=30, files={"table.bin": b"\xff\xfe"}),
    ),
    "service-drained-over-http": BundleCase(
        {**GATEWAY, "drain": {"pre_stop": {"path": "/drain", "port": 8080}}, "metrics": {"path": "/stats"}},
        Surroundings(scrape_interval_secs=30),
    ),
    "world-whose-occupied-pods-stay": BundleCase(
        {
            **WORLD,
            "drain": {"pre_stop": {"path": "/drain", "port": 8080}},
            "scaling": {
                "protect_occupied": True,
                "headroom_percent": 20,
                "max_step_up": 4,
                "max_step_down": 2,
                "max_players_displaced_per_hour": 120,
            },
        },
        WATCHED,
    ),
    "world-with-room-and-a-budget": BundleCase(
        {
            **WORLD,
            "scaling": {"headroom_percent": 10, "max_step_down": 2, "max_players_displaced_per_hour": 400},
        },
        WATCHED,
    ),
    "gateway-scaled-by-keda": BundleCase(
        {
            **GATEWAY,
            "scaling": {**SCALING, "backend": "keda"},
            "custom_metrics": [
                {"name": "aether_gateway_player_count"},
                {
                    "name": "login_queue_length",
                    "metric_type": "External",
                    "target_value": 100,
                    "selector": {"queue": "eu"},
                },
            ],
        },
        WATCHED,
    ),
    "gateway-scaled-by-all-kinds-of-metrics": BundleCase(
        {
            **GATEWAY,
            "scaling": SCALING,
            "custom_metrics": [
                {"name": "aether_gateway_player_count"},
                {"name": "open_sessions", "metric_type": "Object", "target_value": 4000, "target_type": "Value"},
                {"name": "login_queue_length", "metric_type": "External", "selector": {"queue": "eu"}},
            ],
        },
        WATCHED,
    ),
}
