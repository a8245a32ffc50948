"""The scaling decision: its laws, and the autoscaler that carries it out."""

import math
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aether_deploy import CustomMetric, DeploymentConfig, Hold, PvcConfig, ScaleDown, ScaleUp, ScalingConfig
from aether_deploy.scaling.hpa import autoscaler
from tests.rule_case import IMAGE

Decision = ScaleUp | ScaleDown | Hold


class Seen(NamedTuple):
    """What a decision looks at."""

    players: int
    replicas: int
    since_up: float | None
    since_down: float | None


SCALINGS = st.builds(
    lambda fewest, more, **rest: ScalingConfig(min_replicas=fewest, max_replicas=fewest + more, **rest),
    st.integers(1, 50),
    st.integers(0, 50),
    target_players_per_pod=st.integers(1, 300),
    scale_up_cooldown_secs=st.integers(0, 3600),
    scale_down_cooldown_secs=st.integers(0, 3600),
)
CLOCKS = st.none() | st.integers(0, 4000) | st.floats(0, 4000)
SEEN = st.builds(Seen, st.integers(0, 20_000), st.integers(0, 120), CLOCKS, CLOCKS)


def decide(scaling: ScalingConfig, seen: Seen, *, separate: bool = False) -> Decision:
    return scaling.compute_desired_replicas(
        seen.players,
        seen.replicas,
        secs_since_scale_up=seen.since_up,
        secs_since_scale_down=seen.since_down,
        separate_clocks=separate,
    )


def applied(decision: Decision, replicas: int) -> int:
    return replicas if isinstance(decision, Hold) else decision.target_replicas


def naive(scaling: ScalingConfig, seen: Seen, *, separate: bool) -> int:
    """The specification's five rules, word by word, in exact fractions; returns the count that they want."""
    times = [math.inf if each is None else each for each in (seen.since_up, seen.since_down)]
    up_elapsed = (times[0] if separate else min(times)) >= scaling.scale_up_cooldown_secs
    down_elapsed = (times[1] if separate else min(times)) >= scaling.scale_down_cooldown_secs
    target = scaling.target_players_per_pod
    load_ratio = Fraction(seen.players, seen.replicas or 1)
    if load_ratio > target and up_elapsed:
        wanted = math.ceil(Fraction(seen.players, target))
    elif load_ratio < Fraction(target) * Fraction(1, 2) and down_elapsed:
        wanted = max(math.ceil(Fraction(seen.players, target)), scaling.min_replicas)
    else:
        wanted = seen.replicas
    return sorted((scaling.min_replicas, wanted, scaling.max_replicas))[1]


@settings(max_examples=3000)
@given(SCALINGS, SEEN, st.booleans())
def test_the_decision_is_what_the_five_rules_say(scaling: ScalingConfig, seen: Seen, separate: bool) -> None:
    decision = decide(scaling, seen, separate=separate)

    assert applied(decision, seen.replicas) == naive(scaling, seen, separate=separate)


@given(SCALINGS, SEEN, st.booleans())
def test_the_count_is_always_within_its_bounds(scaling: ScalingConfig, seen: Seen, separate: bool) -> None:
    decision = decide(scaling, seen, separate=separate)

    assert scaling.min_replicas <= applied(decision, seen.replicas) <= scaling.max_replicas


@given(SCALINGS, SEEN)
def test_every_variant_does_what_its_name_says(scaling: ScalingConfig, seen: Seen) -> None:
    decision = decide(scaling, seen)

    match decision:
        case ScaleUp(target_replicas=target):
            assert target > seen.replicas
        case ScaleDown(target_replicas=target):
            assert target < seen.replicas
        case Hold(reason=reason):
            assert reason in ("in-band", "cooldown", "at-target")


@given(SCALINGS, SEEN)
@example(
    ScalingConfig(target_players_per_pod=50, min_replicas=1),
    Seen(players=1, replicas=9, since_up=None, since_down=None),
)
def test_a_decision_is_stable_once_applied(scaling: ScalingConfig, seen: Seen) -> None:
    first = decide(scaling, seen._replace(since_up=None, since_down=None))
    after = Seen(seen.players, applied(first, seen.replicas), None, None)

    assert isinstance(decide(scaling, after), Hold)


@given(SCALINGS, st.integers(0, 20_000), st.integers(0, 2000), st.integers(0, 120))
def test_more_players_never_mean_fewer_pods(scaling: ScalingConfig, players: int, more: int, replicas: int) -> None:
    few = decide(scaling, Seen(players, replicas, None, None))
    many = decide(scaling, Seen(players + more, replicas, None, None))

    assert applied(few, replicas) <= applied(many, replicas)


@given(SCALINGS, SEEN)
def test_a_cooldown_only_ever_delays(scaling: ScalingConfig, seen: Seen) -> None:
    now = decide(scaling, seen)
    later = decide(scaling, seen._replace(since_up=None, since_down=None))
    clamped = min(max(seen.replicas, scaling.min_replicas), scaling.max_replicas)

    assert applied(now, seen.replicas) in (applied(later, seen.replicas), clamped)


@given(SCALINGS, SEEN)
def test_a_shared_clock_is_the_later_of_both_events(scaling: ScalingConfig, seen: Seen) -> None:
    later = min(math.inf if each is None else each for each in (seen.since_up, seen.since_down))
    both = seen._replace(since_up=later, since_down=later)

    assert decide(scaling, seen) == decide(scaling, both)
    assert decide(scaling, both, separate=True) == decide(scaling, both)


@given(SCALINGS, SEEN, CLOCKS)
def test_with_separate_clocks_each_direction_looks_at_its_own(
    scaling: ScalingConfig, seen: Seen, other: float | None
) -> None:
    crowded = seen.players > scaling.target_players_per_pod * max(seen.replicas, 1)
    changed = seen._replace(since_down=other) if crowded else seen._replace(since_up=other)

    assert decide(scaling, changed, separate=True) == decide(scaling, seen, separate=True)


def test_a_crowd_is_followed_wave_by_wave() -> None:
    scaling = ScalingConfig()
    told = []
    replicas, changed_at = 2, -math.inf
    for now, players in ((0, 200), (30, 400), (45, 400), (60, 400), (75, 30), (359, 30), (360, 30)):
        decision = decide(scaling, Seen(players, replicas, now - changed_at, None))
        if not isinstance(decision, Hold):
            replicas, changed_at = decision.target_replicas, now
        told.append((now, replicas))

    assert told == [(0, 4), (30, 4), (45, 4), (60, 8), (75, 8), (359, 8), (360, 2)]


# --- the autoscaler


def spec_of(scaling: ScalingConfig, *metrics: CustomMetric, kubernetes: str = "v1.37") -> dict[str, Any]:
    body = autoscaler(
        scaling,
        metrics or (CustomMetric(name="aether_world_player_count"),),
        metadata={"name": "world"},
        target_kind="StatefulSet",
        target_name="world",
        kubernetes=kubernetes,
    )
    assert (body["apiVersion"], body["kind"]) == ("autoscaling/v2", "HorizontalPodAutoscaler")
    spec: dict[str, Any] = body["spec"]
    return spec


def test_the_autoscaler_has_the_bounds_and_the_target_of_the_settings() -> None:
    spec = spec_of(ScalingConfig(min_replicas=6, max_replicas=40))

    assert (spec["minReplicas"], spec["maxReplicas"]) == (6, 40)
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "world"}


def test_from_v1_35_on_the_band_of_the_specification_is_exact() -> None:
    behavior = spec_of(ScalingConfig(min_replicas=6, max_replicas=40), kubernetes="v1.35")["behavior"]

    assert behavior == {
        "scaleUp": {
            "tolerance": "0",
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [{"type": "Pods", "value": 34, "periodSeconds": 15}],
        },
        "scaleDown": {
            "tolerance": "500m",
            "stabilizationWindowSeconds": 300,
            "selectPolicy": "Max",
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
        },
    }


def test_below_v1_35_no_tolerance_is_written_because_it_would_be_dropped() -> None:
    exact, legacy = (spec_of(ScalingConfig(), kubernetes=version)["behavior"] for version in ("v1.35", "v1.34"))

    for direction in ("scaleUp", "scaleDown"):
        assert "tolerance" not in legacy[direction]
        assert legacy[direction].items() <= exact[direction].items()


@given(SCALINGS)
def test_the_behaviour_is_one_that_the_api_server_takes(scaling: ScalingConfig) -> None:
    behavior = spec_of(scaling)["behavior"]

    for direction in ("scaleUp", "scaleDown"):
        assert 0 <= behavior[direction]["stabilizationWindowSeconds"] <= 3600
        for policy in behavior[direction]["policies"]:
            assert policy["value"] >= 1
            assert 1 <= policy["periodSeconds"] <= 1800


@given(SCALINGS)
def test_one_period_is_enough_for_any_change_between_the_bounds(scaling: ScalingConfig) -> None:
    up = spec_of(scaling)["behavior"]["scaleUp"]["policies"][0]["value"]

    assert scaling.min_replicas + up >= scaling.max_replicas


METRICS: dict[str, tuple[CustomMetric, dict[str, Any]]] = {
    "of the pods, with the target of the settings": (
        CustomMetric(name="players"),
        {
            "type": "Pods",
            "pods": {"metric": {"name": "players"}, "target": {"type": "AverageValue", "averageValue": "50"}},
        },
    ),
    "of the workload": (
        CustomMetric(name="queue", target_value=7, metric_type="Object"),
        {
            "type": "Object",
            "object": {
                "describedObject": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "world"},
                "metric": {"name": "queue"},
                "target": {"type": "AverageValue", "averageValue": "7"},
            },
        },
    ),
    "of something outside": (
        CustomMetric(name="queue", target_value=7, metric_type="External"),
        {
            "type": "External",
            "external": {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "7"}},
        },
    ),
}


@pytest.mark.parametrize("kind", METRICS)
def test_a_metric_is_read(kind: str) -> None:
    metric, expected = METRICS[kind]

    assert spec_of(ScalingConfig(), metric)["metrics"] == [expected]


def test_metrics_keep_their_order() -> None:
    spec = spec_of(ScalingConfig(), CustomMetric(name="b"), CustomMetric(name="a"))

    assert [metric["pods"]["metric"]["name"] for metric in spec["metrics"]] == ["b", "a"]


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a name no metrics API takes": ({"name": "players-count"}, "$.name: is 'players-count'; not a metric name"),
    "a target of nothing": ({"name": "players", "target_value": 0}, "$.target_value: is 0; less than 1"),
    "a kind that is none": (
        {"name": "players", "metric_type": "pods"},
        "$.metric_type: is 'pods'; expected one of Pods, Object, External",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_metric_cannot_have(fault: str) -> None:
    values, says = FAULTS[fault]

    with pytest.raises(ValueError) as raised:  # noqa: PT011
        CustomMetric.from_values(values)

    assert str(raised.value).partition("\n")[0] == says


def test_what_an_autoscaler_may_bring_to_one_pod_says_that_it_is_meant() -> None:
    config = DeploymentConfig(
        name="world",
        image=IMAGE,
        pvc=PvcConfig(size="1Gi"),
        scaling=ScalingConfig(min_replicas=1),
        waivers={"single_replica": "a lobby"},
    )

    bodies = {body["kind"]: body for body in yaml.safe_load_all(config.render_bundle())}
    annotations = bodies["HorizontalPodAutoscaler"]["metadata"]["annotations"]

    assert "horizontalpodautoscaler-replicas" in annotations["kube-score/ignore"].split(",")
    assert "a lobby" in annotations.values()
