"""Where the scaling rule and the autoscaler that carries it out differ, with the counts of both.

A workload with a target of 50 players, 2 to 20 pods, a sync every 15 seconds; each row names the divergence that
docs and lints speak of.
"""

from collections.abc import Callable, Mapping

import pytest

from aether_deploy import Hold, ScaleDown, ScaleUp, ScalingConfig
from aether_deploy.scaling.autoscaler import Autoscaler
from aether_deploy.scaling.controller.normalizing import ChangeLog, down_limit, up_limit
from aether_deploy.scaling.controller.policy import Direction, HpaPolicy, MetricTarget, RatePolicy
from aether_deploy.scaling.controller.reconcile import HpaController
from aether_deploy.scaling.controller.seen import PodSeen, PodTotals, Reading, Seen

SYNC_SECS = 15
ANY_RATE = (RatePolicy(type="Percent", value=100, period_secs=15),)
DEFAULT_UP = (
    RatePolicy(type="Pods", value=4, period_secs=15),
    RatePolicy(type="Percent", value=100, period_secs=15),
)
PLAYERS = MetricTarget(source="Pods", name="players", kind="AverageValue", target=50_000)
FLOOR = MetricTarget(source="External", name="floor", kind="AverageValue", target=1000)
SETTINGS = ScalingConfig()
Changes = dict[int, int]


def policy(
    *metrics: MetricTarget,
    up_secs: int = 0,
    down_secs: int = 300,
    tolerances: tuple[float, float] = (0.5, 0.0),
    up: tuple[RatePolicy, ...] = (RatePolicy(type="Pods", value=18, period_secs=15),),
    most: int = 20,
) -> HpaPolicy:
    return HpaPolicy(
        min_replicas=2,
        max_replicas=most,
        metrics=metrics or (PLAYERS,),
        up=Direction(window_secs=up_secs, tolerance=tolerances[1], select="Max", policies=up),
        down=Direction(window_secs=down_secs, tolerance=tolerances[0], select="Max", policies=ANY_RATE),
        has_behavior=True,
    )


def rule_changes(
    players: Callable[[int], int], replicas: int, until: int, scaling: ScalingConfig = SETTINGS
) -> Changes:
    """Return when the rule changes the count, and to what."""
    scaler = Autoscaler(scaling)
    changes = {}
    for now in range(0, until + 1, SYNC_SECS):
        decision = scaler.step(now, players(now), replicas)
        if not isinstance(decision, Hold):
            replicas = changes[now] = decision.target_replicas
    return changes


def hpa_changes(
    players: Callable[[int], int], replicas: int, until: int, hpa: HpaPolicy, *, quiet_before: bool = True
) -> Changes:
    """Return when the autoscaler changes the count; ``quiet_before``, it had recommended ``replicas`` before."""
    history = [(now, replicas) for now in range(-600, 0, SYNC_SECS)] if quiet_before else None
    controller = HpaController(hpa, history=history)
    changes = {}
    for now in range(0, until + 1, SYNC_SECS):
        totals = PodTotals(counted=replicas, sum_milli=players(now) * 1000)
        count = controller.sync(now, Seen(spec_replicas=replicas, values={"players": totals})).replicas
        if count != replicas:
            replicas = changes[now] = count
    return changes


def waves(*steps: tuple[int, int]) -> Callable[[int], int]:
    return lambda now: [players for since, players in steps if now >= since][-1]


def noisy(now: int) -> int:
    return 90 if now % 90 else 240


TRACES: dict[str, tuple[Callable[[int], int], int, int, HpaPolicy, Changes, Changes]] = {
    "D1: a first spike waits for the window": (waves((0, 200)), 2, 120, policy(up_secs=60), {0: 4}, {45: 4}),
    "D2: without one it does not": (waves((0, 200)), 2, 120, policy(), {0: 4}, {0: 4}),
    "D3: a second wave does not wait for the first": (
        waves((0, 200), (30, 400)), 2, 120, policy(), {0: 4, 60: 8}, {0: 4, 30: 8},
    ),
    "D4: with a window both waves are late": (
        waves((0, 200), (30, 400)), 2, 120, policy(up_secs=60), {0: 4, 60: 8}, {45: 4, 75: 8},
    ),
    "D5: one bad sample removes no pods": (
        waves((0, 30), (15, 400)), 10, 600, policy(), {0: 2, 60: 8}, {},
    ),
    "D6: a scale-down counts from the last high recommendation": (
        waves((0, 200), (60, 10)), 2, 600, policy(), {0: 4, 300: 2}, {0: 4, 345: 2},
    ),
    "D8: a noisy low does not flap": (
        noisy, 10, 1000, policy(), {0: 5, 300: 2, 360: 5, 660: 2, 720: 5, }, {285: 5},
    ),
    "D9: the default policies grow in steps": (
        waves((0, 1000)), 2, 120, policy(up=DEFAULT_UP), {0: 20}, {0: 6, 15: 12, 30: 20},
    ),
    "D10: within a tenth it scales down where the rule holds": (
        waves((0, 440)), 10, 600, policy(tolerances=(0.1, 0.1)), {}, {285: 9},
    ),
    "D11: within a tenth it holds where the rule scales up": (
        waves((0, 540)), 10, 600, policy(tolerances=(0.1, 0.1)), {0: 11}, {},
    ),
    "D15: above the maximum": (waves((0, 1000)), 25, 60, policy(), {0: 20}, {0: 20}),
    "D16: below the minimum": (waves((0, 30)), 1, 60, policy(), {0: 2}, {0: 2}),
    "D17: a workload of 0 pods is left alone": (waves((0, 120)), 0, 60, policy(), {0: 3}, {}),
    "D19: above the maximum, and overloaded": (waves((0, 2000)), 25, 60, policy(), {0: 20}, {0: 20}),
    "D24: both land without headroom": (
        waves((0, 100), (300, 101)), 5, 400, policy(), {0: 2, 300: 3}, {285: 2, 300: 3},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRACES)
def test_the_rule_and_the_autoscaler_go_their_ways(name: str) -> None:
    players, replicas, until, hpa, by_rule, by_hpa = TRACES[name]

    assert rule_changes(players, replicas, until) == by_rule
    assert hpa_changes(players, replicas, until, hpa) == by_hpa


def test_d7_directions_do_not_lock_each_other() -> None:
    players = waves((0, 10), (15, 400))

    assert rule_changes(players, 10, 120) == {0: 2, 60: 8}
    assert hpa_changes(players, 10, 120, policy(), quiet_before=False) == {}
    assert hpa_changes(players, 10, 120, policy(down_secs=0)) == {0: 2, 15: 8}


@pytest.mark.parametrize(
    ("target", "pods", "players", "by_rule", "by_hpa"),
    [(50, 25, 350, 7, 8), (100, 50, 1400, 14, 15)],
    ids=["D12", "D13"],
)
def test_a_ratio_that_is_no_double_makes_one_pod_more(
    target: int, pods: int, players: int, by_rule: int, by_hpa: int
) -> None:
    metric = MetricTarget(source="Pods", name="players", kind="AverageValue", target=target * 1000)
    hpa = policy(metric, most=100, down_secs=0)
    scaling = ScalingConfig(target_players_per_pod=target, max_replicas=100)

    assert rule_changes(waves((0, players)), pods, 0, scaling) == {0: by_rule}
    assert hpa_changes(waves((0, players)), pods, 0, hpa) == {0: by_hpa}


def sync(hpa: HpaPolicy, seen: Seen) -> int:
    return HpaController(hpa, history=[]).sync(0, seen).replicas


def decided(players: int, replicas: int) -> ScaleUp | ScaleDown | Hold:
    return SETTINGS.compute_desired_replicas(players, replicas)


def test_d14_a_pod_without_a_sample_argues_against_a_scale_down() -> None:
    pods = [PodSeen(name=f"world-{number}") for number in range(4)]
    readings = {f"world-{number}": 20_000 for number in range(3)}

    assert decided(60, 4) == ScaleDown(target_replicas=2)
    assert sync(policy(), Seen(spec_replicas=4, pods=pods, values={"players": readings})) == 4


def test_d18_players_on_ending_pods_do_not_count() -> None:
    pods = [PodSeen(name=f"world-{number}", deleting=number >= 3) for number in range(5)]
    readings = {pod.name: 40_000 for pod in pods}

    assert decided(200, 3) == ScaleUp(target_replicas=4)
    assert sync(policy(), Seen(spec_replicas=3, pods=pods, values={"players": readings})) == 3


@pytest.mark.parametrize(
    ("name", "spec", "status", "floor", "tolerances", "count"),
    [
        ("D20: in band a floor keeps every pod", 10, 10, 6, (0.5, 0.0), 10),
        ("D20: below the band it is the count", 10, 10, 4, (0.5, 0.0), 4),
        ("D21: an ending pod in band bounces back", 9, 10, 9, (0.1, 0.1), 10),
        ("D21: without tolerance it does not", 9, 10, 9, (0.0, 0.0), 9),
        ("D22: as many as are ending bounce back", 6, 10, 6, (0.5, 0.0), 10),
    ],
)
def test_a_floor_is_carried_out(
    name: str, spec: int, status: int, floor: int, tolerances: tuple[float, float], count: int
) -> None:
    values: Mapping[str, Reading] = {
        "floor": [floor * 1000],
        "players": PodTotals(counted=spec, sum_milli=70_000),
    }
    seen = Seen(spec_replicas=spec, status_replicas=status, values=values)

    assert sync(policy(FLOOR, PLAYERS, tolerances=tolerances), seen) == count


def test_d23_percent_policies_go_by_doubles() -> None:
    def percent(value: int) -> Direction:
        rate = RatePolicy(type="Percent", value=value, period_secs=60)
        return Direction(window_secs=0, tolerance=0.0, select="Max", policies=(rate,))

    assert down_limit(10, 0, percent(80), ChangeLog(), ChangeLog()) == 1
    assert down_limit(100, 0, percent(90), ChangeLog(), ChangeLog()) == 9
    assert up_limit(50, 0, percent(10), ChangeLog(), ChangeLog()) == 56
