"""The controller's syncs: several metrics, windows, rates, memory, zero, and why it does what it does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy.scaling.controller.normalizing import ChangeLog, down_limit, limit, stabilize, stabilize_legacy
from aether_deploy.scaling.controller.policy import MetricTarget, RatePolicy
from aether_deploy.scaling.controller.proposals import Proposal
from aether_deploy.scaling.controller.reasons import (
    InvalidMetrics,
    MetricRecommendation,
    PolicyLimited,
    RecommendationFailed,
    ReplicaLimit,
    ScalingDisabled,
    Stabilized,
    WithinTolerance,
)
from aether_deploy.scaling.controller.reconcile import HpaController
from aether_deploy.scaling.controller.seen import PodTotals, Reading, Seen
from tests.hpa_policies import EXTERNAL, PLAYERS, QUEUE, direction, policy_of, totals

# --- several metrics, and ones that fail


@pytest.mark.parametrize(
    ("players", "queue", "count", "reason"),
    [
        (200, 3000, 4, "MetricRecommendation"),
        (200, 9000, 9, "MetricRecommendation"),
        (200, None, 4, "MetricRecommendation"),
        (10, None, 3, "RecommendationFailed"),
        (None, 9000, 9, "MetricRecommendation"),
        (None, None, 3, "RecommendationFailed"),
        (100, None, 3, "WithinTolerance"),
    ],
)
def test_the_largest_proposal_wins_and_a_failure_only_ever_blocks_a_scale_down(
    players: int | None, queue: int | None, count: int, reason: str
) -> None:
    values: dict[str, Reading] = {
        "players": None if players is None else PodTotals(counted=3, sum_milli=players * 1000),
        "queue": None if queue is None else [queue],
    }
    policy = policy_of(PLAYERS, EXTERNAL, windows=(0, 0))

    sync = HpaController(policy, history=[]).sync(0, Seen(spec_replicas=3, values=values))

    assert (sync.replicas, sync.reason) == (count, reason)
    if None in (players, queue) and count != 3:
        assert isinstance(sync.steps[0], InvalidMetrics)


def test_a_failure_says_which_metric_and_keeps_what_was_known() -> None:
    policy = policy_of(PLAYERS, EXTERNAL)
    controller = HpaController(policy, history=[])
    controller.sync(0, Seen(spec_replicas=3, values={"players": PodTotals(counted=3, sum_milli=1), "queue": [3000]}))

    sync = controller.sync(15, Seen(spec_replicas=3, values={"players": PodTotals(counted=3, sum_milli=1)}))

    assert sync.steps == (RecommendationFailed(replicas=3, metrics=("queue",), wanted=0),)
    assert sync.condition_reasons == {
        "AbleToScale": "SucceededGetScale",
        "ScalingActive": "FailedGetExternalMetric",
        "ScalingLimited": "DesiredWithinRange",
    }


# --- windows


def test_a_recommendation_counts_while_it_is_younger_than_the_window() -> None:
    none = direction(0)

    def down(age: float) -> int:
        return stabilize([(-age, 9)], 0, desired=3, replicas=9, up=none, down=direction(300)).replicas

    assert (down(299.999), down(300)) == (9, 3)
    assert [stabilize_legacy([(-age, 9)], 0, desired=3).replicas for age in (300, 300.001)] == [9, 3]


@given(
    st.lists(st.tuples(st.integers(-400, 0), st.integers(0, 30)), max_size=8),
    st.integers(0, 30),
    st.integers(0, 30),
    st.sampled_from([0, 60, 300]),
    st.sampled_from([0, 60, 300]),
)
def test_windows_only_ever_hold_a_count_back(
    history: list[tuple[int, int]], desired: int, replicas: int, up_secs: int, down_secs: int
) -> None:
    found = stabilize(history, 0, desired=desired, replicas=replicas, up=direction(up_secs), down=direction(down_secs))

    assert found.lowest <= desired <= found.highest
    if desired != replicas:
        assert min(desired, replicas) <= found.replicas <= max(desired, replicas)


# --- rates


def test_a_rate_counts_the_changes_of_both_directions() -> None:
    rate = RatePolicy(type="Percent", value=300, period_secs=60)
    both = {"ups": ChangeLog([(-10, 4)]), "downs": ChangeLog([(-20, 2)])}

    found = limit(100, 0, replicas=6, least=1, most=1000, up=direction(0, rate), down=direction(0, rate), **both)

    assert (found.replicas, found.reason, found.limit) == (16, "ScaleUpLimit", 16)


def test_a_change_gives_way_only_to_one_of_its_own_direction() -> None:
    down = direction(0, RatePolicy(type="Pods", value=1, period_secs=60))
    ups = ChangeLog()
    ups.store(0, 3, 15)
    ups.store(10, 3, 15)
    kept = down_limit(10, 20, down, ups, ChangeLog())
    ups.store(20, 1, 15)

    assert kept == 10 - 6 - 1
    # The first one was outdated for scaling up, so the period of scaling down lost it.
    assert down_limit(11, 20, down, ups, ChangeLog()) == 11 - 4 - 1
    assert list(ups) == [(20, 1), (10, 3)]


def test_a_disabled_direction_does_not_move() -> None:
    disabled = direction(0, RatePolicy(type="Pods", value=9, period_secs=15), select="Disabled")
    log = {"ups": ChangeLog(), "downs": ChangeLog()}

    found = [limit(desired, 0, replicas=5, least=1, most=9, up=disabled, down=disabled, **log) for desired in (8, 2, 5)]

    assert [each.replicas for each in found] == [5, 5, 5]
    assert [each.reason for each in found] == ["ScaleUpLimit", "ScaleDownLimit", "DesiredWithinRange"]


def test_every_change_counts_for_the_rates_also_one_back_into_the_bounds() -> None:
    rate = RatePolicy(type="Pods", value=1, period_secs=60)
    policy = policy_of(windows=(0, 0), down=direction(0, rate))
    controller = HpaController(policy, history=[])

    assert controller.sync(0, totals(25, 0)).replicas == 20
    assert controller.sync(15, totals(20, 0)).replicas == 20
    assert controller.sync(60, totals(20, 0)).replicas == 19


# --- memory


def test_a_start_of_the_controller_delays_a_scale_down_by_a_whole_window() -> None:
    controller = HpaController(policy_of())
    for now in range(0, 300, 15):
        assert controller.sync(now, totals(10, 100)).replicas == 10, now
    controller.restart()

    changed = [now for now in range(300, 900, 15) if controller.sync(now, totals(10, 100)).replicas != 10]

    assert changed[0] == 600


def test_a_restart_forgets_what_the_rates_allowed() -> None:
    policy = policy_of(windows=(0, 0), up=direction(0, RatePolicy(type="Pods", value=2, period_secs=600)))
    controller = HpaController(policy)

    assert [controller.sync(now, totals(2, 1000)).replicas for now in (0,)] == [4]
    assert controller.sync(15, totals(4, 1000)).replicas == 4
    controller.restart()
    assert controller.sync(30, totals(4, 1000)).replicas == 6


def test_history_does_not_grow() -> None:
    controller = HpaController(policy_of())
    for now in range(0, 100_000, 15):
        controller.sync(now, totals(10, 400))

    assert controller._history is not None
    assert len(controller._history) <= 22


# --- zero


def zero(from_zero: Any, *, least: int = 0, metric: MetricTarget = QUEUE, own: bool = False) -> tuple[int, str]:
    policy = policy_of(metric, least=least, from_zero=from_zero)
    sync = HpaController(policy, scaled_to_zero=own).sync(
        0, Seen(spec_replicas=0, ready_pods=0, values={metric.key: [3000]})
    )
    return sync.replicas, sync.reason


def test_up_to_1_35_zero_is_left_where_the_minimum_is_zero() -> None:
    assert zero("min-zero") == (3, "MetricRecommendation")
    assert zero("min-zero", least=1) == (0, "ScalingDisabled")


def test_1_36_does_not_leave_zero() -> None:
    assert zero("never") == zero("never", own=True) == (0, "ScalingDisabled")


def test_since_1_37_a_zero_of_its_own_is_left() -> None:
    assert zero("own-zero") == (0, "ScalingDisabled")
    assert zero("own-zero", own=True) == (3, "MetricRecommendation")
    assert zero("own-zero", own=True, least=5) == (5, "ReplicaLimit")
    assert zero("own-zero", own=True, metric=PLAYERS) == (0, "ScalingDisabled")


def test_a_way_to_zero_and_back_is_remembered_by_the_object_and_not_by_the_controller() -> None:
    controller = HpaController(policy_of(QUEUE, least=0, windows=(0, 0)))
    seen = [Seen(spec_replicas=spec, ready_pods=spec, values={"queue": [value]}) for spec, value in ((3, 0), (0, 5000))]

    down = controller.sync(0, seen[0])
    controller.restart()
    up = controller.sync(15, seen[1])

    assert (down.replicas, down.condition_reasons["ScaledToZero"]) == (0, "ScaledToZero")
    assert (up.replicas, up.condition_reasons["ScaledToZero"]) == (5, "NotScaledToZero")


# --- reasons


def test_a_sync_tells_its_steps_with_their_numbers() -> None:
    rate = RatePolicy(type="Pods", value=3, period_secs=60)
    policy = policy_of(up=direction(60, rate), most=12, tolerances=(0.5, 0.0))
    controller = HpaController(policy, history=[(-30, 8)])

    sync = controller.sync(0, totals(4, 1000))

    assert (sync.before, sync.replicas) == (4, 7)
    assert sync.steps == (
        MetricRecommendation(replicas=20, metric="players"),
        Stabilized(replicas=8, wanted=20, lowest=8, highest=20),
        PolicyLimited(replicas=7, move="up", wanted=8, limit=7),
    )
    assert sync.proposals == (Proposal(metric="players", replicas=20, ratio=5.0, usage_milli=250_000),)
    assert sync.condition_reasons == {
        "AbleToScale": "SucceededRescale",
        "ScalingActive": "ValidMetricFound",
        "ScalingLimited": "ScaleUpLimit",
        "ScaledToZero": "NotScaledToZero",
    }


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        (totals(25, 1000), ReplicaLimit(replicas=20, wanted=25, bound="maxReplicas", bypass=True)),
        (totals(1, 30), ReplicaLimit(replicas=2, wanted=1, bound="minReplicas", bypass=True)),
        (totals(0, 30), ScalingDisabled(replicas=0)),
        (totals(4, 150), WithinTolerance(replicas=4, metric="players", ratio=0.75)),
        (totals(4, 200, missing=1), WithinTolerance(replicas=4, metric="players", ratio=1.0)),
        (totals(4, 2000), ReplicaLimit(replicas=20, wanted=40, bound="maxReplicas")),
        (totals(4, 0), ReplicaLimit(replicas=2, wanted=0, bound="minReplicas")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_last_step_is_the_reason(seen: Seen, step: Any) -> None:
    sync = HpaController(policy_of(), history=[]).sync(0, seen)

    assert sync.steps[-1] == step
    assert sync.replicas == step.replicas
