"""The fast controller: it does what the one does that explains itself."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_deploy.scaling.controller.aggregate import AggregateController
from aether_deploy.scaling.controller.policy import Direction, HpaPolicy, MetricTarget, RatePolicy
from aether_deploy.scaling.controller.reconcile import HpaController
from aether_deploy.scaling.controller.seen import PodTotals, Seen
from tests.hpa_policies import CPU, EXTERNAL, PLAYERS, QUEUE, policy_of

# --- the fast controller

RATES = st.builds(
    RatePolicy,
    type=st.sampled_from(["Pods", "Percent"]),
    value=st.integers(1, 120),
    period_secs=st.sampled_from([15, 30, 60, 240]),
)
DIRECTIONS = st.builds(
    Direction,
    window_secs=st.sampled_from([0, 15, 40, 60, 300]),
    tolerance=st.sampled_from([0.0, 0.05, 0.1, 0.5]),
    select=st.sampled_from(["Max", "Min", "Max", "Disabled"]),
    policies=st.lists(RATES, min_size=1, max_size=3).map(tuple),
)
AVERAGES = st.builds(
    MetricTarget,
    source=st.sampled_from(["Object", "External"]),
    name=st.uuids().map(str),
    kind=st.just("AverageValue"),
    target=st.sampled_from([1000, 1500, 7]),
)
POLICIES = st.builds(
    lambda least, more, **rest: HpaPolicy(min_replicas=least, max_replicas=least + more, **rest),
    st.integers(0, 4),
    st.integers(1, 30),
    metrics=st.just((PLAYERS,)) | st.lists(AVERAGES, min_size=1, max_size=2).map(tuple),
    up=DIRECTIONS,
    down=DIRECTIONS,
    has_behavior=st.booleans(),
    from_zero=st.sampled_from(["min-zero", "never", "own-zero"]),
)
LOADS = st.lists(
    st.tuples(
        st.sampled_from([1, 15, 15, 15, 60, 300]),
        st.integers(0, 2500) | st.integers(0, 40) | st.none(),
        st.integers(0, 3),
        st.integers(0, 3),
        st.sampled_from(["", "", "", "", "", "restart", "by hand"]),
    ),
    min_size=1,
    max_size=50,
)


@settings(max_examples=600, deadline=None)
@given(POLICIES, st.integers(0, 36), LOADS)
def test_the_fast_controller_does_the_same(
    policy: HpaPolicy, replicas: int, loads: Sequence[tuple[int, int | None, int, int, str]]
) -> None:
    whole, fast = HpaController(policy), AggregateController(policy)
    now = 0
    for passed, load, missing, unready, what in loads:
        now += passed
        if what == "restart":
            whole.restart()
            fast.restart()
        elif what:
            replicas = (replicas * 7 + 3) % (policy.max_replicas + 4)
        if policy.metrics == (PLAYERS,):
            found = PodTotals(
                counted=0 if load is None else max(replicas - missing - unready, 0),
                sum_milli=(load or 0) * 999,
                missing=missing,
                unready=unready,
            )
            sync = whole.sync(now, Seen(spec_replicas=replicas, values={"players": found}))
            got = fast.sync_pods(now, replicas, found.counted, found.sum_milli, missing, unready)
        else:
            values = [None if load is None else load * 10 * place for place in range(1, len(policy.metrics) + 1)]
            if missing == 1:
                values[0] = 9000
            readings = {
                metric.key: None if value is None else [value]
                for metric, value in zip(policy.metrics, values, strict=True)
            }
            status = replicas + unready
            sync = whole.sync(now, Seen(spec_replicas=replicas, status_replicas=status, values=readings))
            got = fast.sync_whole(now, replicas, status, values)

        assert (got, fast.reason) == (sync.replicas, sync.reason), now
        replicas = got


@pytest.mark.parametrize("metrics", [(PLAYERS, EXTERNAL), (QUEUE,), (CPU,)])
def test_the_fast_controller_refuses_what_it_cannot(metrics: tuple[MetricTarget, ...]) -> None:
    with pytest.raises(ValueError, match="only averages"):
        AggregateController(policy_of(*metrics))
