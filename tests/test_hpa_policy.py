"""Autoscalers from manifests, as the API server keeps them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy import CustomMetric, ScalingConfig
from aether_deploy.scaling.controller.keda import policy_of_scaled_object
from aether_deploy.scaling.controller.policy import HpaPolicy, MetricTarget
from aether_deploy.scaling.hpa import autoscaler
from tests.hpa_policies import policy_of, proposed

# --- from manifests


@given(st.integers(0, 50), st.sampled_from(["v1.35", "v1.37"]))
def test_what_we_render_holds_from_half_to_full_load(headroom: int, kubernetes: str) -> None:
    scaling = ScalingConfig(headroom_percent=headroom, min_replicas=1, max_replicas=200)
    body = autoscaler(
        scaling,
        (CustomMetric(name="players"),),
        metadata={"name": "world"},
        target_kind="StatefulSet",
        target_name="world",
        kubernetes=kubernetes,
    )
    policy = HpaPolicy.from_manifest(body, kubernetes=kubernetes)

    counts = {players: proposed(policy, 10, players) for players in (249, 250, 251, 499, 500, 501)}

    assert {counts[players] for players in (250, 251, 499, 500)} == {10}
    for players in (249, 501):
        rule = scaling.sizing.needed(players)
        # One more where the ratio is no double.
        assert counts[players] in (rule, rule + 1)


def test_before_1_35_tolerances_are_gone() -> None:
    up = {"tolerance": "0", "stabilizationWindowSeconds": 30}
    body = {"spec": {"maxReplicas": 9, "metrics": [], "behavior": {"scaleUp": up}}}

    old, new = (HpaPolicy.from_manifest(body, kubernetes=version) for version in ("v1.34", "v1.35"))

    assert (old.up.tolerance, new.up.tolerance, new.down.tolerance) == (0.1, 0.0, 0.1)
    assert (old.up.window_secs, old.down.window_secs) == (30, 300)


def test_defaults_are_those_of_the_api_server() -> None:
    bare = HpaPolicy.from_manifest({"spec": {"maxReplicas": 9}}, kubernetes="v1.37")
    empty = HpaPolicy.from_manifest({"spec": {"maxReplicas": 9, "behavior": {}}}, kubernetes="v1.36")

    assert (bare.min_replicas, bare.has_behavior, bare.from_zero) == (1, False, "own-zero")
    assert (empty.has_behavior, empty.from_zero) == (True, "never")
    assert bare.metrics == (MetricTarget(source="Resource", name="cpu", kind="Utilization", target=80),)
    assert [(each.type, each.value) for each in empty.up.policies] == [("Pods", 4), ("Percent", 100)]
    assert HpaPolicy.from_manifest({"spec": {"maxReplicas": 9}}, kubernetes="v1.35").from_zero == "min-zero"


def target_of(metric: dict[str, Any]) -> tuple[str, str, int]:
    body = {"spec": {"maxReplicas": 9, "metrics": [metric]}}
    [found] = HpaPolicy.from_manifest(body, kubernetes="v1.37").metrics
    return found.key, found.kind, found.target


def test_targets_are_read_as_the_controller_reads_them() -> None:
    metric = {"name": "qps"}
    both = {"type": "Value", "value": "3", "averageValue": "1500m"}
    container = {"name": "cpu", "container": "world", "target": {"type": "Utilization", "averageUtilization": 70}}

    assert target_of({"type": "Pods", "pods": {"metric": metric, "target": both}}) == ("qps", "AverageValue", 1500)
    assert target_of({"type": "External", "external": {"metric": metric, "target": both}}) == (
        "qps", "AverageValue", 1500,
    )  # fmt: skip
    assert target_of({"type": "Object", "object": {"metric": metric, "target": both}}) == ("qps", "Value", 3000)
    assert target_of({"type": "ContainerResource", "containerResource": container}) == (
        "world/cpu", "Utilization", 70,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "number"),
    [("500m", 500 * 1e-3), ("0.075", 75 * 1e-3), ("0", 0.0), ("2", 2.0), ("1e-1", 100 * 1e-3), ("1500u", 1500 * 1e-6)],
)
def test_a_tolerance_is_the_double_that_the_controller_makes_of_it(text: str, number: float) -> None:
    body = {"spec": {"maxReplicas": 9, "behavior": {"scaleUp": {"tolerance": text}}}}

    assert HpaPolicy.from_manifest(body, kubernetes="v1.37").up.tolerance == number


def test_an_autoscaler_without_a_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one metric"):
        policy_of(metrics=())


def test_keda_makes_an_autoscaler_of_external_metrics() -> None:
    triggers = [
        {"type": "prometheus", "name": "desired", "metricType": "AverageValue", "metadata": {"threshold": "1"}},
        {"type": "prometheus", "metricType": "Value", "metadata": {"threshold": "2.5"}},
        {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "60"}},
        {"type": "memory", "metricType": "AverageValue", "metadata": {"value": "1Gi"}},
    ]
    config = {"behavior": {"scaleDown": {"tolerance": "0", "stabilizationWindowSeconds": 30}}}
    spec = {"minReplicaCount": 0, "triggers": triggers, "advanced": {"horizontalPodAutoscalerConfig": config}}

    policy = policy_of_scaled_object({"spec": spec}, kubernetes="v1.37")

    assert (policy.min_replicas, policy.max_replicas, policy.has_behavior) == (1, 100, True)
    assert (policy.down.window_secs, policy.down.tolerance) == (30, 0.0)
    assert [(each.source, each.name, each.kind, each.target) for each in policy.metrics] == [
        ("External", "desired", "AverageValue", 1000),
        ("External", "s1-prometheus", "Value", 2500),
        ("Resource", "cpu", "Utilization", 60),
        ("Resource", "memory", "AverageValue", 2**30 * 1000),
    ]
    assert not policy_of_scaled_object({"spec": {"triggers": triggers[:1]}}, kubernetes="v1.37").has_behavior
