"""The specification: every snippet, transcribed to keyword arguments, runs and does what the text says."""

import json
from typing import Any

import pytest
import yaml

from aether_deploy import (
    AffinityRule,
    CustomMetric,
    DeploymentConfig,
    Probe,
    ProbeConfig,
    PvcConfig,
    Region,
    RegionRoutingConfig,
    ResourceRequirements,
    RoutingDecision,
    ScalingConfig,
    ScalingDecision,
    TopologyConfig,
    WorkloadKind,
)

RESOURCES = ResourceRequirements(cpu_request="500m", cpu_limit="2000m", memory_request="1Gi", memory_limit="4Gi")
SCALING = ScalingConfig(
    target_players_per_pod=50,
    min_replicas=2,
    max_replicas=20,
    scale_up_cooldown_secs=60,
    scale_down_cooldown_secs=300,
)
METRIC = CustomMetric(name="aether_world_player_count", target_value=50, metric_type="Pods")
TOPOLOGY = TopologyConfig(
    spread_across_zones=True,
    topology_key="topology.kubernetes.io/zone",
    preferred_colocation=[AffinityRule(service="voice-relay", weight=80)],
)
PROBES = ProbeConfig(
    liveness=Probe(path="/healthz", port=8080, initial_delay_secs=10, period_secs=15, failure_threshold=3),
    readiness=Probe(path="/readyz", port=8080, initial_delay_secs=5, period_secs=10, failure_threshold=2),
)
ROUTING = RegionRoutingConfig(
    regions=(
        Region(code="us-east-1", latency_ms=20, healthy=True),
        Region(code="eu-west-1", latency_ms=90, healthy=True),
        Region(code="ap-south-1", latency_ms=150, healthy=False),
    )
)
WORLD = DeploymentConfig(
    name="world-server",
    namespace="aether-prod",
    image="aether/world-server:v1.2.0",
    replicas=3,
    kind=WorkloadKind.StatefulSet,  # durable worlds with WAL
    resources=RESOURCES,
    pvc=PvcConfig(storage_class="ssd", size="10Gi", mount_path="/data/wal"),
    probes=PROBES,
    topology=TOPOLOGY,
    scaling=SCALING,
    custom_metrics=(METRIC,),
)
GATEWAY = DeploymentConfig(name="gateway", namespace="aether-prod", image="aether/gateway:v1.4.0", replicas=3)


def document_of(config: DeploymentConfig) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(config.render_yaml())
    return document


def container_of(config: DeploymentConfig) -> dict[str, Any]:
    (container,) = document_of(config)["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container
    return found


# --- Manifest Generation


def test_the_example_renders_one_complete_stateful_set() -> None:
    document = document_of(WORLD)

    assert (document["apiVersion"], document["kind"]) == ("apps/v1", "StatefulSet")
    assert (document["metadata"]["name"], document["metadata"]["namespace"]) == ("world-server", "aether-prod")
    assert document["spec"]["replicas"] == 3
    assert document["spec"]["serviceName"] == "world-server-headless"
    assert (
        document["spec"]["selector"]["matchLabels"].items()
        <= document["spec"]["template"]["metadata"]["labels"].items()
    )


def test_the_example_runs_its_image_with_its_resources() -> None:
    container = container_of(WORLD)

    assert (container["name"], container["image"]) == ("world-server", "aether/world-server:v1.2.0")
    assert container["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "64Mi"},
        "limits": {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "1Gi"},
    }


def test_the_write_ahead_log_is_a_claim_that_survives_its_pod() -> None:
    spec = document_of(WORLD)["spec"]

    assert spec["volumeClaimTemplates"] == [
        {
            "metadata": {"name": "wal"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "ssd",
                "resources": {"requests": {"storage": "10Gi"}},
            },
        }
    ]
    assert {"name": "wal", "mountPath": "/data/wal"} in container_of(WORLD)["volumeMounts"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_without_a_pvc_a_deployment_without_storage_is_rendered() -> None:
    document = document_of(GATEWAY)

    assert document["kind"] == "Deployment"
    assert "volumeClaimTemplates" not in document["spec"]
    assert document["spec"]["template"]["spec"]["volumes"] == [{"name": "tmp", "emptyDir": {}}]


def test_equal_settings_give_equal_bytes() -> None:
    again = DeploymentConfig(**{name: getattr(WORLD, name) for name in reversed(WORLD.__struct_fields__)})

    assert again.render_yaml() == WORLD.render_yaml()


# --- Player-Count Autoscaling


def move_of(decision: ScalingDecision) -> tuple[str, int | None]:
    match decision:
        case ScalingDecision.ScaleUp(target_replicas=target):
            return "up", target
        case ScalingDecision.ScaleDown(target_replicas=target):
            return "down", target
        case ScalingDecision.Hold():
            return "hold", None
    raise AssertionError(decision)


RULES = {
    "2: a load above the target scales up": ((501, 10), ("up", 11)),
    "2: to the players divided by the target, rounded up": ((101, 1), ("up", 3)),
    "3: a load below half the target scales down": ((249, 10), ("down", 5)),
    "3: never below the fewest replicas": ((0, 10), ("down", 2)),
    "4: a load at the target holds": ((500, 10), ("hold", None)),
    "4: a load at half the target holds": ((250, 10), ("hold", None)),
    "4: anything between holds": ((400, 10), ("hold", None)),
    "5: never above the most replicas": ((100_000, 10), ("up", 20)),
    "5: at the most replicas nothing is left to do": ((100_000, 20), ("hold", None)),
}


@pytest.mark.parametrize("rule", RULES)
def test_the_five_scaling_rules_hold(rule: str) -> None:
    (players, replicas), expected = RULES[rule]

    assert move_of(SCALING.compute_desired_replicas(players, replicas)) == expected


COOLDOWNS = {
    "up, a second too early": ((501, 59.0), ("hold", None)),
    "up, in time": ((501, 60.0), ("up", 11)),
    "down, a second too early": ((0, 299.0), ("hold", None)),
    "down, in time": ((0, 300.0), ("down", 2)),
}


@pytest.mark.parametrize("case", COOLDOWNS)
def test_a_change_waits_for_the_cooldown_of_its_direction(case: str) -> None:
    (players, since), expected = COOLDOWNS[case]

    decision = SCALING.compute_desired_replicas(players, 10, secs_since_scale_up=since, secs_since_scale_down=since)

    assert move_of(decision) == expected


def test_scaling_down_waits_five_minutes_by_default_and_scaling_up_one() -> None:
    scaling = ScalingConfig()

    assert (scaling.scale_up_cooldown_secs, scaling.scale_down_cooldown_secs) == (60, 300)


def test_the_scaling_settings_are_annotations_of_the_manifest() -> None:
    annotations = document_of(WORLD)["metadata"]["annotations"]

    assert {key: value for key, value in annotations.items() if key.startswith("aether.io/")} == {
        "aether.io/scaling-min-replicas": "2",
        "aether.io/scaling-max-replicas": "20",
        "aether.io/scaling-target-players-per-pod": "50",
        "aether.io/scaling-scale-up-cooldown-secs": "60",
        "aether.io/scaling-scale-down-cooldown-secs": "300",
        "aether.io/scaling-metrics": json.dumps(
            [{"name": "aether_world_player_count", "target_value": 50, "metric_type": "Pods"}], separators=(",", ":")
        ),
    }


# --- Zone-Aware Topology


def test_pods_keep_away_from_their_own_kind_in_every_zone() -> None:
    spec = document_of(WORLD)["spec"]["template"]["spec"]
    terms = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]

    assert terms[0] == {
        "weight": 100,
        "podAffinityTerm": {
            "labelSelector": document_of(WORLD)["spec"]["selector"],
            "topologyKey": "topology.kubernetes.io/zone",
        },
    }


def test_pods_prefer_the_zone_of_related_services() -> None:
    affinity = document_of(WORLD)["spec"]["template"]["spec"]["affinity"]

    assert affinity["podAffinity"] == {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {
                "weight": 80,
                "podAffinityTerm": {
                    "labelSelector": {"matchLabels": {"app.kubernetes.io/instance": "voice-relay"}},
                    "namespaces": ["aether-prod"],
                    "topologyKey": "topology.kubernetes.io/zone",
                },
            }
        ]
    }


# --- Health Probes


def test_liveness_and_readiness_ask_the_paths_of_the_example() -> None:
    container = container_of(WORLD)

    assert container["livenessProbe"] == {
        "httpGet": {"path": "/healthz", "port": "http"},
        "initialDelaySeconds": 10,
        "periodSeconds": 15,
        "timeoutSeconds": 1,
        "failureThreshold": 3,
    }
    assert container["readinessProbe"] == {
        "httpGet": {"path": "/readyz", "port": "http"},
        "initialDelaySeconds": 5,
        "periodSeconds": 10,
        "timeoutSeconds": 1,
        "failureThreshold": 2,
    }


def test_a_world_that_replays_its_log_has_ten_minutes_before_liveness_counts() -> None:
    probe = container_of(WORLD)["startupProbe"]

    assert probe["httpGet"] == {"path": "/healthz", "port": "http"}
    assert probe["periodSeconds"] * probe["failureThreshold"] == 600


# --- Multi-Region Routing


def route_of(decision: RoutingDecision) -> tuple[str, str]:
    match decision:
        case RoutingDecision.Primary(region=region):
            return "primary", region
        case RoutingDecision.Failover(region=region, reason=reason):
            assert reason
            return "failover", region
    raise AssertionError(decision)


ROUTES = {
    "2: a healthy preferred region takes its player": ("us-east-1", ("primary", "us-east-1")),
    "2: even where another is closer": ("eu-west-1", ("primary", "eu-west-1")),
    "3: an unhealthy one gives him to the closest healthy one": ("ap-south-1", ("failover", "us-east-1")),
}


@pytest.mark.parametrize("rule", ROUTES)
def test_the_routing_rules_hold(rule: str) -> None:
    preferred, expected = ROUTES[rule]

    assert route_of(ROUTING.route_player(preferred)) == expected


def test_the_next_closest_region_takes_over_where_the_closest_fails() -> None:
    config = RegionRoutingConfig(
        regions=(
            Region(code="us-east-1", latency_ms=20, healthy=False),
            Region(code="ap-south-1", latency_ms=150, healthy=True),
            Region(code="eu-west-1", latency_ms=90, healthy=True),
        )
    )

    assert route_of(config.route_player("us-east-1")) == ("failover", "eu-west-1")
