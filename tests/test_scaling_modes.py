"""Which mode carries the rule out, and what each of the rule's settings becomes in it."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_deploy import (
    Autoscaler,
    ConfigError,
    CustomMetric,
    Hold,
    Replay,
    ScaleDown,
    ScaleUp,
    ScalingConfig,
    backend_of,
)
from aether_deploy.pods.surroundings import Surroundings
from aether_deploy.scaling.controller.aggregate import AggregateController
from aether_deploy.scaling.controller.policy import HpaPolicy
from aether_deploy.scaling.hpa import autoscaler
from aether_deploy.scaling.modes import budget_policy, drain_secs, mode_of
from tests.lab_cases import workload

PLAYERS = (CustomMetric(name="aether_world_player_count"),)
MODES = {
    ("auto", "hpa", False, "v1.37"): "pods",
    ("auto", "hpa", False, "v1.35"): "pods",
    ("auto", "hpa", False, "v1.34"): "legacy",
    ("auto", "hpa", True, "v1.37"): "desired",
    ("auto", "keda", False, "v1.37"): "desired",
    ("legacy", "hpa", False, "v1.37"): "legacy",
    ("desired", "hpa", False, "v1.37"): "desired",
}


def body_of(scaling: ScalingConfig, kubernetes: str = "v1.37") -> dict[str, Any]:
    return autoscaler(
        scaling,
        PLAYERS,
        metadata={"name": "world"},
        target_kind="StatefulSet",
        target_name="world",
        kubernetes=kubernetes,
    )


@pytest.mark.parametrize("mode, backend, protect, kubernetes", MODES)
def test_the_mode_follows_from_the_version_and_from_what_is_asked(
    mode: Any, backend: Any, protect: bool, kubernetes: str
) -> None:
    scaling = ScalingConfig(mode=mode, backend=backend, protect_occupied=protect)

    assert mode_of(scaling, kubernetes) == MODES[mode, backend, protect, kubernetes]


@pytest.mark.parametrize("mode", ["pods", "desired", "legacy"])
def test_an_autoscaler_says_its_mode(mode: Any) -> None:
    assert body_of(ScalingConfig(mode=mode))["metadata"]["annotations"] == {"aether.io/scaling-mode": mode}


# --- mode pods


def first_count(scaling: ScalingConfig, players: int, pods: int) -> int:
    """Return what a controller makes of players on so many pods, at its first sync with windows that hold nothing."""
    body = body_of(scaling)
    policy = HpaPolicy.from_manifest(body, kubernetes="v1.37")
    return AggregateController(policy).sync_pods(0, pods, pods, players * 1000)


BAND_SCALINGS = st.builds(
    ScalingConfig,
    target_players_per_pod=st.integers(1, 1000),
    headroom_percent=st.integers(0, 50),
    min_replicas=st.just(1),
    max_replicas=st.just(2000),
    scale_down_cooldown_secs=st.just(0),
    scale_up_cooldown_secs=st.just(0),
)


@settings(max_examples=1500)
@given(BAND_SCALINGS, st.integers(2, 300), st.sampled_from([-1, 0, 1]), st.booleans())
def test_the_ends_of_the_band_are_those_of_the_rule(
    scaling: ScalingConfig, pods: int, beyond: int, at_the_top: bool
) -> None:
    full = scaling.target_players_per_pod * pods
    players = max((full if at_the_top else -(-full // 2)) + beyond, 0)
    decision = scaling.compute_desired_replicas(players, pods)
    wanted = pods if isinstance(decision, Hold) else decision.target_replicas

    count = first_count(scaling, players, pods)

    # A controller cuts averages to thousandths and reckons sizes in floats: one pod more or less is its own.
    assert (count == pods) == (wanted == pods)
    assert abs(count - wanted) <= 1


def down_policies(**settings_: Any) -> tuple[str, list[dict[str, Any]]]:
    down = body_of(ScalingConfig(**settings_))["spec"]["behavior"]["scaleDown"]
    return down["selectPolicy"], down["policies"]


def test_steps_become_rates_over_their_cooldown() -> None:
    up = body_of(ScalingConfig(max_step_up=3, scale_up_cooldown_secs=90))["spec"]["behavior"]["scaleUp"]

    assert up["policies"] == [{"type": "Pods", "value": 3, "periodSeconds": 90}]
    assert down_policies(max_step_down=2) == ("Max", [{"type": "Pods", "value": 2, "periodSeconds": 300}])
    assert down_policies(max_step_down=2, scale_down_cooldown_secs=0, scale_up_cooldown_secs=0) == (
        "Max",
        [{"type": "Pods", "value": 2, "periodSeconds": 15}],
    )


def test_the_smaller_of_step_and_budget_counts() -> None:
    assert down_policies(max_step_down=2, max_players_displaced_per_hour=500) == (
        "Min",
        [
            {"type": "Pods", "value": 2, "periodSeconds": 300},
            {"type": "Pods", "value": 1, "periodSeconds": 360},
        ],
    )


# --- the budget


@given(st.integers(1, 500), st.integers(2, 20_000))
def test_no_hour_displaces_more_than_the_budget(target: int, pods: int) -> None:
    scaling = ScalingConfig(target_players_per_pod=target, max_players_displaced_per_hour=target * pods)
    rate = budget_policy(scaling)
    assert rate is not None
    count, period = rate

    assert 15 <= period <= 1800
    assert count >= 1
    # Removals age out one period later, so an hour sees at most so many full periods.
    assert -(-3600 // period) * count <= pods


@given(
    st.integers(2, 40),
    st.lists(st.integers(0, 2000), min_size=200, max_size=500),
)
def test_the_rule_keeps_its_own_budget(pods_per_hour: int, crowd: list[int]) -> None:
    scaling = ScalingConfig(
        max_replicas=60,
        max_players_displaced_per_hour=50 * pods_per_hour,
        scale_up_cooldown_secs=0,
        scale_down_cooldown_secs=15,
    )
    scaler, count = Autoscaler(scaling), 30
    removed: list[tuple[int, int]] = []
    for place, players in enumerate(crowd):
        now = place * 15
        decision = scaler.step(now, players, count)
        if isinstance(decision, ScaleDown):
            removed.append((now, count - decision.target_replicas))
        count = count if isinstance(decision, Hold) else decision.target_replicas
        assert sum(each for at, each in removed if now - at < 3600) <= pods_per_hour


@settings(max_examples=100, deadline=None)
@given(
    st.integers(2, 12),
    st.sampled_from(["pods", "desired", "legacy"]),
    st.lists(st.tuples(st.integers(1, 90), st.integers(0, 1500)), min_size=5, max_size=25),
)
def test_an_autoscaler_keeps_the_budget_whatever_the_crowd_does(
    pods_per_hour: int, mode: Any, crowd: list[tuple[int, int]]
) -> None:
    scaling = ScalingConfig(max_replicas=30, mode=mode, max_players_displaced_per_hour=50 * pods_per_hour)
    replay = Replay(backend_of(scaling, "hpa", kubernetes="v1.37"), target=50, start_replicas=5)
    walk = [players for long, players in crowd for _ in range(long)]
    removed: list[tuple[int, int]] = []
    before = 5
    for step in replay.steps((place * 15, players) for place, players in enumerate(walk)):
        if step.wanted < before:
            removed.append((step.secs, before - step.wanted))
        before = step.wanted
        assert sum(each for at, each in removed if step.secs - at < 3600) <= pods_per_hour


def test_a_pod_drains_at_the_pace_of_the_budget() -> None:
    scaling = ScalingConfig(max_players_displaced_per_hour=120)
    config = workload("world", "worlds", pvc={"size": "1Gi"}, scaling=scaling, custom_metrics=PLAYERS)

    bodies = {body["kind"]: body for body in yaml.safe_load_all(config.render_bundle())}

    assert drain_secs(scaling) == 1500
    assert bodies["StatefulSet"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 1500


# --- the rule itself


def test_headroom_sizes_a_change_and_leaves_the_band() -> None:
    scaling = ScalingConfig(headroom_percent=20)

    assert scaling.compute_desired_replicas(500, 10) == Hold(reason="in-band")
    assert scaling.compute_desired_replicas(501, 10) == ScaleUp(target_replicas=13)
    assert scaling.compute_desired_replicas(249, 10) == ScaleDown(target_replicas=7)


def test_steps_bound_a_change() -> None:
    scaling = ScalingConfig(max_step_up=2, max_step_down=3)

    assert scaling.compute_desired_replicas(1000, 4) == ScaleUp(target_replicas=6)
    assert scaling.compute_desired_replicas(0, 10) == ScaleDown(target_replicas=7)


def test_an_occupied_ordinal_stays() -> None:
    kept, gone = ScalingConfig(protect_occupied=True), ScalingConfig()

    assert kept.compute_desired_replicas(10, 10, occupied_floor=8) == ScaleDown(target_replicas=8)
    assert kept.compute_desired_replicas(10, 10, occupied_floor=10) == Hold(reason="occupied")
    assert kept.compute_desired_replicas(10, 10, occupied_floor=12) == Hold(reason="occupied")
    assert gone.compute_desired_replicas(10, 10, occupied_floor=8) == ScaleDown(target_replicas=2)


def test_a_spent_budget_holds() -> None:
    scaling = ScalingConfig(max_players_displaced_per_hour=150)

    assert scaling.compute_desired_replicas(0, 10) == ScaleDown(target_replicas=7)
    assert scaling.compute_desired_replicas(0, 7, pods_removed_last_hour=3) == Hold(reason="budget")


def test_a_corrected_bound_ignores_all_of_that() -> None:
    scaling = ScalingConfig(protect_occupied=True, max_step_down=1, max_players_displaced_per_hour=100, max_replicas=5)

    found = scaling.compute_desired_replicas(400, 9, occupied_floor=9, secs_since_scale_down=0)

    assert found == ScaleDown(target_replicas=5)


def test_time_does_not_run_backwards() -> None:
    scaler = Autoscaler(ScalingConfig())
    scaler.step(10, 100, 2)

    with pytest.raises(ValueError, match="time runs backwards: 9 after 10"):
        scaler.step(9, 100, 2)
    with pytest.raises(ValueError, match="time runs backwards: nan"):
        scaler.step(float("nan"), 100, 2)


# --- KEDA


def test_keda_does_not_take_silence_for_nobody() -> None:
    config = workload("gateway", "worlds", scaling={"backend": "keda"}, custom_metrics=PLAYERS)
    around = Surroundings(prometheus_url="http://prometheus:9090", rule_interval_secs=30)

    bodies = {body["kind"]: body for body in yaml.safe_load_all(config.render_bundle(around))}

    assert "HorizontalPodAutoscaler" not in bodies
    spec = bodies["ScaledObject"]["spec"]
    assert [each["metadata"]["ignoreNullValues"] for each in spec["triggers"]] == ["false"]
    assert spec["fallback"] == {"failureThreshold": 3, "replicas": 2, "behavior": "currentReplicasIfHigher"}
    assert {each["tolerance"] for each in spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"].values()} == {
        "0"
    }
    assert bodies["PrometheusRule"]["spec"]["groups"][0]["interval"] == "30s"


@pytest.mark.parametrize("asked", [{"backend": "keda"}, {"mode": "desired"}])
def test_a_rule_needs_a_prometheus(asked: dict[str, Any]) -> None:
    config = workload("gateway", "worlds", scaling=asked, custom_metrics=PLAYERS)

    with pytest.raises(ConfigError, match="no Prometheus that evaluates it is known here"):
        config.render_bundle()


def test_the_annotations_still_name_the_specifications_settings() -> None:
    config = workload("world", "worlds", scaling={"headroom_percent": 10}, custom_metrics=PLAYERS)
    annotations = yaml.safe_load(config.render_yaml())["metadata"]["annotations"]

    assert json.loads(annotations["aether.io/scaling-metrics"]) == [
        {"name": "aether_world_player_count", "target_value": 50, "metric_type": "Pods"}
    ]
