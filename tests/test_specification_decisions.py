"""Where the specification is silent or contradicts itself: what was decided, as tests."""

import json
from typing import Any, assert_never

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy import (
    AffinityRule,
    ConfigError,
    CustomMetric,
    DecisionError,
    DeploymentConfig,
    Failover,
    Hold,
    NoHealthyRegionError,
    Primary,
    Probe,
    ProbeConfig,
    PvcConfig,
    Region,
    RegionRoutingConfig,
    RoutingDecision,
    ScaleDown,
    ScaleUp,
    ScalingConfig,
    ScalingDecision,
    TopologyConfig,
    UnknownRegionError,
    WorkloadKind,
)
from tests.rule_case import IMAGE

PVC = PvcConfig(size="10Gi")
UP_OR_DOWN = ScalingConfig(target_players_per_pod=50, min_replicas=2, max_replicas=20)


def documents_of(config: DeploymentConfig) -> dict[str, dict[str, Any]]:
    return {document["kind"]: document for document in yaml.safe_load_all(config.render_bundle())}


# --- the manifest


def test_a_kind_that_disagrees_with_the_volume_is_a_warning_and_the_volume_decides() -> None:
    config = DeploymentConfig(name="world", namespace="aether-prod", image=IMAGE, pvc=PVC, kind=WorkloadKind.Deployment)

    assert config.target_kind == "StatefulSet"
    assert [str(problem) for problem in config.problems()] == [
        "$.kind: warning: is 'Deployment'; a pvc is given, so a StatefulSet is rendered\n"
        "  fix: leave kind out, or remove the pvc"
    ]


def test_the_yaml_is_one_document_and_the_bundle_holds_every_object() -> None:
    config = DeploymentConfig(name="world", image=IMAGE, pvc=PVC)

    assert len(list(yaml.safe_load_all(config.render_yaml()))) == 1
    assert set(documents_of(config)) == {
        "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount", "StatefulSet"
    }  # fmt: skip


def test_the_bundle_leaves_the_count_to_the_autoscaler() -> None:
    config = DeploymentConfig(name="world", image=IMAGE, pvc=PVC, replicas=3)

    assert yaml.safe_load(config.render_yaml())["spec"]["replicas"] == 3
    assert "replicas" not in documents_of(config)["StatefulSet"]["spec"]


def test_without_an_autoscaler_the_bundle_has_the_count() -> None:
    config = DeploymentConfig(name="gateway", image=IMAGE, replicas=3)

    assert documents_of(config)["Deployment"]["spec"]["replicas"] == 3
    assert "HorizontalPodAutoscaler" not in documents_of(config)


def test_a_world_without_a_metric_scales_by_its_players() -> None:
    config = DeploymentConfig(name="world", image=IMAGE, pvc=PVC, scaling=ScalingConfig(target_players_per_pod=80))

    assert config.custom_metrics == (CustomMetric(name="aether_world_player_count"),)
    assert documents_of(config)["HorizontalPodAutoscaler"]["spec"]["metrics"] == [
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "aether_world_player_count"},
                "target": {"type": "AverageValue", "averageValue": "80"},
            },
        }
    ]


def test_the_metrics_annotation_is_compact_json_of_the_custom_metrics() -> None:
    metrics = (CustomMetric(name="players"), CustomMetric(name="queue", target_value=7, metric_type="External"))
    config = DeploymentConfig(name="gateway", image=IMAGE, scaling=UP_OR_DOWN, custom_metrics=metrics)

    annotation = documents_of(config)["Deployment"]["metadata"]["annotations"]["aether.io/scaling-metrics"]

    assert annotation == (
        '[{"name":"players","target_value":50,"metric_type":"Pods"},'
        '{"name":"queue","target_value":7,"metric_type":"External"}]'
    )
    assert json.loads(annotation)[1]["target_value"] == 7


def test_a_pods_metric_with_a_target_of_its_own_is_a_problem() -> None:
    with pytest.raises(ConfigError) as raised:
        DeploymentConfig(
            name="world", image=IMAGE, pvc=PVC, custom_metrics=(CustomMetric(name="players", target_value=60),)
        )

    assert str(raised.value) == (
        "$.custom_metrics[0].target_value: is 60; differs from scaling.target_players_per_pod, which is 50\n"
        "  fix: leave target_value out: it follows target_players_per_pod"
    )


def test_what_is_built_in_python_is_a_world_with_a_volume_and_a_service_without() -> None:
    world = DeploymentConfig(name="world", image=IMAGE, pvc=PVC)
    service = DeploymentConfig(name="gateway", image=IMAGE)

    assert (world.workload_class, world.drain.grace_period_secs) == ("worlds", 300)
    assert world.scaling == ScalingConfig()
    assert (service.workload_class, service.drain.grace_period_secs) == ("services", 30)
    assert service.scaling is None


def test_scaling_of_a_world_can_be_switched_off() -> None:
    config = DeploymentConfig(name="world", image=IMAGE, pvc=PVC, scaling=None)

    assert (config.scaling, config.replicas, config.custom_metrics) == (None, 2, ())
    assert "HorizontalPodAutoscaler" not in documents_of(config)


# --- scaling

DECISIONS: dict[str, tuple[tuple[int, int, float | None, float | None, bool], ScalingDecision]] = {
    "hold says that the load is in the band": ((400, 10, None, None, False), Hold(reason="in-band")),
    "hold says that the cooldown runs": ((501, 10, 59, None, False), Hold(reason="cooldown")),
    "hold says that the bound is reached": ((5000, 20, None, None, False), Hold(reason="at-target")),
    "a result equal to the count is hold": ((0, 2, None, None, False), Hold(reason="at-target")),
    "no pods count as one in the load ratio": ((100, 0, None, None, False), ScaleUp(target_replicas=2)),
    "no pods and few players: the fewest": ((30, 0, None, None, False), ScaleUp(target_replicas=2)),
    "below the fewest is corrected in a cooldown": ((30, 1, 0, 0, False), ScaleUp(target_replicas=2)),
    "above the most is corrected in a cooldown": ((1500, 25, 0, 0, False), ScaleDown(target_replicas=20)),
    "a shared clock: a scale-down holds a scale-up back": ((501, 10, None, 59, False), Hold(reason="cooldown")),
    "a shared clock: a scale-up holds a scale-down back": ((0, 10, 299, None, False), Hold(reason="cooldown")),
    "a shared clock: the later of both events counts": ((501, 10, 1000, 5, False), Hold(reason="cooldown")),
    "separate clocks: a scale-down does not": ((501, 10, None, 0, True), ScaleUp(target_replicas=11)),
    "separate clocks: a scale-up does not": ((0, 10, 0, None, True), ScaleDown(target_replicas=2)),
    "no time is long ago": ((501, 10, None, None, True), ScaleUp(target_replicas=11)),
}


@pytest.mark.parametrize("decision", DECISIONS)
def test_scaling_decides_as_agreed(decision: str) -> None:
    (players, replicas, since_up, since_down, separate), expected = DECISIONS[decision]

    found = UP_OR_DOWN.compute_desired_replicas(
        players, replicas, secs_since_scale_up=since_up, secs_since_scale_down=since_down, separate_clocks=separate
    )

    assert found == expected


NEGATIVE: list[dict[str, Any]] = [
    {"current_players": -1, "current_replicas": 2},
    {"current_players": 0, "current_replicas": -1},
    {"current_players": 0, "current_replicas": 2, "secs_since_scale_up": -0.1},
    {"current_players": 0, "current_replicas": 2, "secs_since_scale_down": -1},
    {"current_players": 0, "current_replicas": 2, "secs_since_scale_down": float("nan")},
]


@pytest.mark.parametrize("arguments", NEGATIVE)
def test_counts_and_times_that_cannot_be_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="players, replicas and times since a change cannot be negative"):
        UP_OR_DOWN.compute_desired_replicas(**arguments)


def test_shrinking_faster_than_growing_is_a_warning() -> None:
    scaling = ScalingConfig(scale_up_cooldown_secs=60, scale_down_cooldown_secs=30)

    assert [problem.severity for problem in scaling.problems()] == ["warning"]


def test_the_variants_have_short_names_and_take_an_exhaustive_match() -> None:
    def word(decision: ScaleUp | ScaleDown | Hold) -> str:
        match decision:
            case ScaleUp():
                return "up"
            case ScaleDown():
                return "down"
            case Hold():
                return "hold"
            case _:
                assert_never(decision)

    assert (ScalingDecision.ScaleUp, ScalingDecision.ScaleDown, ScalingDecision.Hold) == (ScaleUp, ScaleDown, Hold)
    assert (RoutingDecision.Primary, RoutingDecision.Failover) == (Primary, Failover)
    assert word(UP_OR_DOWN.compute_desired_replicas(400, 10)) == "hold"


# --- routing


def routing(*healthy: bool, **options: Any) -> RegionRoutingConfig:
    places = (("us-east-1", 20), ("eu-west-1", 90), ("ap-south-1", 20))
    regions = (Region(code=code, latency_ms=ms, healthy=up) for (code, ms), up in zip(places, healthy, strict=True))
    return RegionRoutingConfig(regions=tuple(regions), **options)


ROUTES: dict[str, tuple[RegionRoutingConfig, str, RoutingDecision]] = {
    "an unknown region is a failover to the closest": (
        routing(False, True, True), "mars", Failover(region="ap-south-1", reason="preferred_unknown")
    ),
    "ties go by configuration order": (
        routing(True, True, True), "mars", Failover(region="us-east-1", reason="preferred_unknown")
    ),
    "an unhealthy region says so": (
        routing(False, True, False), "ap-south-1", Failover(region="eu-west-1", reason="preferred_unhealthy")
    ),
    "open failure keeps the preferred region": (
        routing(False, False, False, on_none_healthy="fail_open"),
        "eu-west-1",
        Failover(region="eu-west-1", reason="fail_open: no region is healthy"),
    ),
    "open failure of an unknown region is the closest": (
        routing(False, False, False, on_none_healthy="fail_open"),
        "mars",
        Failover(region="us-east-1", reason="fail_open: no region is healthy"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ROUTES)
def test_routing_decides_as_agreed(case: str) -> None:
    config, preferred, expected = ROUTES[case]

    assert config.route_player(preferred) == expected


def test_an_unknown_region_can_be_refused() -> None:
    config = routing(True, True, True, on_unknown="error")

    with pytest.raises(UnknownRegionError) as raised:
        config.route_player("mars")

    assert str(raised.value) == "no region is named 'mars'; known are us-east-1, eu-west-1, ap-south-1"
    assert isinstance(raised.value, DecisionError)


def test_no_healthy_region_is_no_decision() -> None:
    with pytest.raises(NoHealthyRegionError) as raised:
        routing(False, False, False).route_player("us-east-1")

    assert str(raised.value) == "none of 3 regions is healthy"
    assert isinstance(raised.value, DecisionError)


# --- every box of the diagram has a YAML form

CODES = st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
COUNTS = st.integers(1, 10_000)
SCALINGS = st.builds(
    lambda fewest, more, **rest: ScalingConfig(min_replicas=fewest, max_replicas=fewest + more, **rest),
    COUNTS,
    COUNTS,
    target_players_per_pod=COUNTS,
    scale_up_cooldown_secs=st.integers(0, 3600),
    scale_down_cooldown_secs=st.integers(0, 3600),
)
TOPOLOGIES = st.builds(
    TopologyConfig,
    spread_across_zones=st.booleans(),
    topology_key=st.sampled_from(["topology.kubernetes.io/zone", "rack"]),
    preferred_colocation=st.lists(
        st.builds(AffinityRule, service=CODES, weight=st.integers(1, 100)),
        max_size=3,
        unique_by=lambda near: near.service,
    ).map(tuple),
    strict=st.booleans(),
)
QUESTIONS = st.builds(
    Probe,
    path=st.sampled_from(["/healthz", "/a b".replace(" ", "%20"), "/y"]),
    port=st.integers(1, 65535),
    initial_delay_secs=st.integers(0, 600),
    period_secs=st.integers(1, 600),
    failure_threshold=COUNTS,
) | st.builds(Probe, type=st.just("exec"), command=st.just(("alive", "yes", "1e3")))
READINESS = st.builds(Probe, path=st.just("/readyz"), port=st.integers(1, 65535))
PROBES = st.builds(ProbeConfig, liveness=QUESTIONS, readiness=READINESS) | st.builds(
    ProbeConfig, liveness=QUESTIONS, readiness=READINESS, startup=QUESTIONS | st.none()
)
ROUTINGS = st.builds(
    RegionRoutingConfig,
    regions=st.lists(
        st.builds(Region, code=CODES, latency_ms=st.integers(0, 1000), healthy=st.booleans()),
        min_size=1, max_size=5, unique_by=lambda region: region.code,
    ).map(tuple),
    on_unknown=st.sampled_from(["failover", "error"]),
    on_none_healthy=st.sampled_from(["error", "fail_open"]),
)  # fmt: skip


@given(SCALINGS | TOPOLOGIES | PROBES | ROUTINGS)
def test_the_yaml_of_a_box_gives_an_equal_value_back(
    box: ScalingConfig | TopologyConfig | ProbeConfig | RegionRoutingConfig,
) -> None:
    assert type(box).parse_yaml(box.render_yaml()) == box


BOXES: dict[str, tuple[ScalingConfig | TopologyConfig | ProbeConfig | RegionRoutingConfig, str]] = {
    "scaling rules": (
        ScalingConfig(scale_down_cooldown_secs=600),
        "target_players_per_pod: 50\n"
        "min_replicas: 2\n"
        "max_replicas: 20\n"
        "scale_up_cooldown_secs: 60\n"
        "scale_down_cooldown_secs: 600\n"
        "backend: hpa\n"
        "mode: auto\n"
        "headroom_percent: 0\n"
        "protect_occupied: false\n",
    ),
    "topology rules": (
        TopologyConfig(preferred_colocation=(AffinityRule(service="voice-relay", weight=80),)),
        "spread_across_zones: true\n"
        "topology_key: topology.kubernetes.io/zone\n"
        "preferred_colocation:\n"
        "- service: voice-relay\n"
        "  weight: 80\n"
        "strict: false\n",
    ),
    "probes": (
        ProbeConfig(
            liveness=Probe(path="/healthz", port=8080),
            readiness=Probe(type="exec", command=("ready",)),
            startup=None,
        ),
        "liveness:\n"
        "  path: /healthz\n"
        "  port: 8080\n"
        "  initial_delay_secs: 0\n"
        "  period_secs: 10\n"
        "  failure_threshold: 3\n"
        "  timeout_secs: 1\n"
        "  type: http\n"
        "readiness:\n"
        "  initial_delay_secs: 0\n"
        "  period_secs: 10\n"
        "  failure_threshold: 3\n"
        "  timeout_secs: 1\n"
        "  type: exec\n"
        "  command:\n"
        "  - ready\n"
        'startup: "none"\n',
    ),
    "region routing": (
        RegionRoutingConfig(regions=(Region(code="us-east-1", latency_ms=20),)),
        "regions:\n"
        "- code: us-east-1\n"
        "  latency_ms: 20\n"
        "  healthy: true\n"
        "on_unknown: failover\n"
        "on_none_healthy: error\n",
    ),
}


@pytest.mark.parametrize("name", BOXES)
def test_the_yaml_of_a_box_says_everything_that_holds_defaults_included(name: str) -> None:
    box, text = BOXES[name]

    assert box.render_yaml() == text


def test_a_box_reports_every_fault_of_its_yaml() -> None:
    with pytest.raises(ConfigError) as raised:
        ScalingConfig.parse_yaml("min_replicas: 0\nmax_replica: 5\n")

    assert [str(problem) for problem in raised.value.problems] == [
        "$: has unknown key 'max_replica'\n  fix: did you mean 'max_replicas'?",
        "$.min_replicas: is 0; less than 1\n  fix: set it to 1 or more",
    ]
