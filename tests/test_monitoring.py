"""What makes metrics readable for autoscalers: the adapter and what it serves, or its rules alone."""

from typing import Any

import pytest
import yaml

from aether_deploy import Platform
from aether_deploy.platform.rendering import render_cluster
from tests.rule_case import GATEWAY, US_EAST, WORLD

PROMETHEUS = {"url": "http://prometheus.monitoring:9090", "namespace": "monitoring"}
DRAINED = {**WORLD, "drain": {"pre_stop": {"path": "/drain", "port": 8080}}}
SCALED = {**GATEWAY, "scaling": {}, "custom_metrics": [{"name": "gateway_players"}]}


def monitoring(adapter: Any, *, worlds: Any = (DRAINED,), services: Any = ()) -> list[dict[str, Any]]:
    values: dict[str, Any] = {
        "regions": [US_EAST],
        "worlds": list(worlds),
        "services": list(services),
        "observability": {"prometheus": PROMETHEUS, "metrics_adapter": adapter},
    }
    platform = Platform(name="aether", kubernetes="v1.37", **values)
    return [manifest.body for manifest in render_cluster(platform, platform.sites[0], {}).monitoring]


def named(bodies: list[dict[str, Any]]) -> list[str]:
    return [f"{body['kind']} {body['metadata']['name']}" for body in bodies]


def config_in(bodies: list[dict[str, Any]]) -> Any:
    (config,) = (body for body in bodies if body["kind"] == "ConfigMap")
    return yaml.safe_load(config["data"]["config.yaml"])


def queries(config: Any, section: str = "rules") -> list[str]:
    return [rule["seriesQuery"] for rule in config.get(section, ())]


def test_the_adapter_comes_with_its_rights_and_the_registration_last() -> None:
    bodies = monitoring(True)

    assert named(bodies) == [
        "NetworkPolicy aether-prod-metrics-adapter",
        "PodDisruptionBudget aether-prod-metrics-adapter",
        "ServiceAccount aether-prod-metrics-adapter",
        "ConfigMap aether-prod-metrics-adapter-config",
        "ClusterRole aether-prod-metrics-adapter-reads",
        "ClusterRoleBinding aether-prod-metrics-adapter-delegates",
        "ClusterRoleBinding aether-prod-metrics-adapter-reads",
        "RoleBinding aether-prod-metrics-adapter",
        "Service aether-prod-metrics-adapter",
        "Deployment aether-prod-metrics-adapter",
        "APIService v1beta2.custom.metrics.k8s.io",
    ]
    assert {body["metadata"].get("namespace") for body in bodies} == {"monitoring", "kube-system", None}


def test_an_adapter_that_is_there_gets_the_rules_alone() -> None:
    assert named(monitoring("existing")) == ["ConfigMap aether-prod-adapter-rules"]
    assert config_in(monitoring("existing")) == config_in(monitoring(True))


def test_nothing_is_rendered_where_nothing_would_read_it() -> None:
    unscaled = {**GATEWAY, "replicas": 2}
    by_keda = {**SCALED, "scaling": {"backend": "keda"}}

    assert monitoring(True, worlds=(), services=[unscaled]) == []
    assert monitoring(True, worlds=(), services=[by_keda]) == []
    assert monitoring(False) == []


def test_each_metric_is_served_once_whoever_reads_it() -> None:
    twice = [SCALED, {**SCALED, "name": "lobby"}]

    assert queries(config_in(monitoring(True, services=twice))) == [
        'aether_world_player_count{namespace!="",pod!=""}',
        'gateway_players{namespace!="",pod!=""}',
    ]


def test_recorded_counts_are_served_of_their_workload_and_not_the_players() -> None:
    world = {**DRAINED, "scaling": {"protect_occupied": True}}

    assert queries(config_in(monitoring(True, worlds=[world]))) == [
        'aether_world_desired_replicas{namespace!="",statefulset!=""}',
        'aether_world_replica_floor{namespace!="",statefulset!=""}',
    ]


def test_a_metric_of_something_outside_has_an_api_of_its_own() -> None:
    metrics = [{"name": "queue", "metric_type": "External"}]
    bodies = monitoring(True, worlds=(), services=[{**SCALED, "custom_metrics": metrics}])

    assert named(bodies)[-1] == "APIService v1beta1.external.metrics.k8s.io"
    assert queries(config_in(bodies), "externalRules") == ['queue{namespace!=""}']


@pytest.mark.parametrize("metric_type", ["Pods", "Object"])
def test_a_name_is_matched_whole(metric_type: str) -> None:
    metrics = [{"name": "players", "metric_type": metric_type}]
    bodies = monitoring(True, worlds=(), services=[{**SCALED, "custom_metrics": metrics}])

    (rule,) = config_in(bodies)["rules"]
    assert rule["name"] == {"matches": "^players$", "as": "players"}
