"""What the metrics of an autoscaler propose: numbers, the band, silent pods, values of the whole."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy.scaling.controller.go_numbers import (
    ceil_int32,
    ceil_int64,
    divide,
    ratio_of,
    truncate_int32,
    wrap_int32,
    wrap_int64,
)
from aether_deploy.scaling.controller.grouping import classify_pod
from aether_deploy.scaling.controller.policy import MetricTarget
from aether_deploy.scaling.controller.proposals import Failure, Proposal, propose, propose_from_totals
from aether_deploy.scaling.controller.seen import PodSample, PodSeen, PodTotals, Reading, Seen
from tests.hpa_policies import CPU, PLAYERS, policy_of, proposed

INT32_MIN = -(2**31)

# --- numbers


@pytest.mark.parametrize(
    ("number", "count"),
    [
        (7.000000000000001, 8),
        (-0.5, 0),
        (2147483647.0, 2147483647),
        (2147483646.5, 2147483647),
        (2147483647.5, INT32_MIN),
        (math.nan, INT32_MIN),
        (math.inf, INT32_MIN),
        (-math.inf, INT32_MIN),
    ],
)
def test_a_ceiling_that_does_not_fit_is_the_least_number(number: float, count: int) -> None:
    assert ceil_int32(number) == count


def test_numbers_convert_as_go_has_it_on_amd64() -> None:
    assert [truncate_int32(each) for each in (1.9999999999999996, -1.5, 2147483647.9, 2147483648.0)] == [
        1, -1, 2147483647, INT32_MIN,
    ]  # fmt: skip
    assert [ceil_int64(each) for each in (1.5, 9.3e18, math.nan)] == [2, -(2**63), -(2**63)]
    assert [divide(*each) for each in ((7, 2), (-7, 2), (7, -2), (-7, -2), (0, 5))] == [3, -3, -3, 3, 0]
    assert (wrap_int64(2**63), wrap_int32(2**31 + 5)) == (-(2**63), INT32_MIN + 5)
    assert (ratio_of(1, 0), ratio_of(-1, 0)) == (math.inf, -math.inf)
    assert math.isnan(ratio_of(0, 0))


def test_a_ratio_is_that_of_doubles_and_not_of_whole_numbers() -> None:
    assert ratio_of(2**53 + 1, 1) == 2.0**53


# --- the band


@pytest.mark.parametrize(
    ("players", "count"),
    [(50, 2), (49, 1), (100, 2), (101, 3), (200, 4)],
    ids=["half", "below half", "full", "above full", "double"],
)
def test_both_ends_of_the_band_belong_to_it(players: int, count: int) -> None:
    assert proposed(policy_of(least=1), 2, players) == count


@given(st.integers(1, 60), st.integers(0, 6000), st.integers(1, 300))
def test_outside_the_band_the_proposal_is_the_rules_count_or_one_more_by_doubles(
    replicas: int, players: int, target: int
) -> None:
    metric = MetricTarget(source="Pods", name="players", kind="AverageValue", target=target * 1000)
    count = proposed(policy_of(metric), replicas, players)

    if target * replicas < 2 * players <= 2 * target * replicas or 2 * players == target * replicas:
        assert count == replicas
    else:
        exact = -(-players // target)
        # The average is cut to thousandths, and the ratio rounds to a double.
        assert count in (exact, exact + 1) or count == -(-(players * 1000 // replicas * replicas) // (target * 1000))


@given(st.integers(1, 1000), st.integers(0, 100_000))
def test_cut_averages_never_leave_or_enter_the_band(replicas: int, players: int) -> None:
    average = players * 1000 // replicas
    exact_in_band = 25 * replicas <= players <= 50 * replicas

    assert (25_000 <= average <= 50_000) is exact_in_band


# --- missing and unready pods


def test_missing_pods_argue_against_every_change() -> None:
    policy = policy_of(tolerances=(0.1, 0.1))

    assert proposed(policy, 4, 60, missing=1) == 3
    assert proposed(policy, 4, 30, missing=2) == 3
    assert proposed(policy, 4, 200, missing=1) == 4
    assert proposed(policy, 4, 100, missing=2) == 4


def test_pending_pods_damp_a_scale_up_and_no_scale_down() -> None:
    policy = policy_of(tolerances=(0.1, 0.1))

    assert proposed(policy, 4, 150, unready=2) == 4
    assert proposed(policy, 4, 400, unready=2) == 8
    assert proposed(policy, 4, 20, unready=2) == 1


@given(st.integers(1, 30), st.integers(0, 3000), st.integers(0, 5), st.integers(0, 5))
def test_silence_never_turns_a_change(replicas: int, players: int, missing: int, unready: int) -> None:
    count = proposed(
        policy_of(least=1, most=1000), replicas + missing + unready, players, missing=missing, unready=unready
    )
    average = players / replicas

    if average > 50:
        assert count >= replicas + missing + unready or not missing + unready
    elif missing and average < 25:
        assert count <= replicas + missing + unready


@given(
    st.lists(
        st.tuples(st.sampled_from(["said", "missing", "pending", "ending", "failed"]), st.integers(0, 200)),
        min_size=1,
        max_size=12,
    )
)
def test_pods_by_name_and_their_totals_come_to_the_same(crowd: list[tuple[str, int]]) -> None:
    pods, readings = [], {}
    for number, (kind, players) in enumerate(crowd):
        phase: Any = {"pending": "Pending", "failed": "Failed"}.get(kind, "Running")
        pods.append(PodSeen(name=str(number), phase=phase, deleting=kind == "ending", ready=number % 2 == 0))
        if kind != "missing":
            readings[str(number)] = players * 1000
    kinds = [kind for kind, _ in crowd]
    summed = PodTotals(
        counted=kinds.count("said"),
        sum_milli=sum(players for kind, players in crowd if kind == "said") * 1000,
        missing=kinds.count("missing"),
        unready=kinds.count("pending"),
    )
    policy = policy_of(tolerances=(0.1, 0.1))
    seen = Seen(spec_replicas=len(crowd), pods=pods, values={"players": readings})

    by_name, by_totals = propose(policy, PLAYERS, seen, 0), propose_from_totals(policy, PLAYERS, len(crowd), summed)
    if isinstance(by_name, Failure):
        assert isinstance(by_totals, Failure)
    else:
        assert by_name == by_totals


def test_only_cpu_asks_whether_a_pod_is_ready() -> None:
    fresh = PodSeen(name="0", ready=True, started_secs=40, ready_changed_secs=50)
    sample = PodSample(milli=1, taken_secs=100, window_secs=60)

    assert classify_pod(fresh, sample, "cpu", 100) == "unready"
    assert classify_pod(fresh, sample, "memory", 100) == "counted"
    assert classify_pod(fresh, PodSample(milli=1, taken_secs=110, window_secs=60), "cpu", 110) == "counted"
    assert classify_pod(PodSeen(name="0", ready=False), 1, "cpu", 100) == "unready"
    assert classify_pod(PodSeen(name="0", ready=False), 1, "", 100) == "counted"


# --- values of the whole


def whole(source: Any, kind: Any, target: int) -> MetricTarget:
    return MetricTarget(source=source, name="whole", kind=kind, target=target)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_without_tolerance_a_transported_count_arrives_whatever_is_there(count: int, spec: int, status: int) -> None:
    metric = whole("Object", "AverageValue", 1000)
    seen = Seen(spec_replicas=spec, status_replicas=status, values={"whole": [count * 1000]})

    found = propose(policy_of(metric, tolerances=(0.0, 0.0)), metric, seen, 0)

    assert isinstance(found, Proposal)
    assert found.replicas == count


def test_a_value_target_goes_by_ready_pods_and_ending_ones_are_among_them() -> None:
    metric = whole("External", "Value", 4_400)
    pods = [PodSeen(name=str(number), ready=number == 1) for number in range(3)]
    seen = Seen(spec_replicas=3, pods=pods, values={"whole": [8_600]})
    ending = Seen(spec_replicas=3, pods=[PodSeen(name="a", deleting=True)], values={"whole": [8_600]})

    found = [propose(policy_of(metric), metric, each, 0) for each in (seen, ending)]

    assert [each.replicas for each in found if isinstance(each, Proposal)] == [2, 2]


@pytest.mark.parametrize(
    ("kind", "series", "usage"),
    [
        ("Value", [1, 2, 3], 6),
        ("Value", [-5, 3], -2),
        ("Value", [2**63 - 1, 1], 2**63 - 1),
        ("AverageValue", [1, 2, 3], 2),
        ("AverageValue", [-5, 3], 2**63 - 1),
    ],
)
def test_the_series_of_an_external_metric_are_summed(kind: Any, series: list[int], usage: int) -> None:
    metric = whole("External", kind, 1000)
    found = propose(policy_of(metric), metric, Seen(spec_replicas=3, ready_pods=3, values={"whole": series}), 0)

    assert isinstance(found, Proposal)
    assert found.usage_milli == usage


@pytest.mark.parametrize(
    ("metric", "reading", "condition"),
    [
        (PLAYERS, None, "FailedGetPodsMetric"),
        (PLAYERS, {}, "FailedGetPodsMetric"),
        (PLAYERS, PodTotals(counted=0, sum_milli=0, missing=3), "FailedGetPodsMetric"),
        (whole("External", "Value", 1), [], "FailedGetExternalMetric"),
        (whole("Object", "AverageValue", 1), None, "FailedGetObjectMetric"),
        (whole("Object", "Utilization", 1), [1], "FailedGetObjectMetric"),
        (CPU, {"0": 1}, "FailedGetResourceMetric"),
        (whole("Unknown", "Value", 1), [1], "InvalidMetricSourceType"),
    ],
    ids=str,
)  # fmt: skip
def test_a_metric_without_a_reading_fails(metric: MetricTarget, reading: Reading, condition: str) -> None:
    seen = Seen(spec_replicas=1, pods=[PodSeen(name="0")], values={metric.key: reading})

    found = propose(policy_of(metric), metric, seen, 0)

    assert isinstance(found, Failure)
    assert (found.metric, found.condition) == (metric.key, condition)
    assert found.why


@pytest.mark.parametrize(("metric", "reading"), [(PLAYERS, [1]), (whole("Object", "Value", 1), {"0": 1})])
def test_a_reading_of_another_form_is_a_mistake_of_the_caller(metric: MetricTarget, reading: Reading) -> None:
    with pytest.raises(TypeError, match=metric.key):
        propose(policy_of(metric), metric, Seen(spec_replicas=1, values={metric.key: reading}), 0)
