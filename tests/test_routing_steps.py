"""Time that never runs backwards, and steps that come when they say so."""

import math
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from aether_deploy.routing.policy import FailbackPolicy
from aether_deploy.routing.tracking.gradual import step_at, steps_done
from aether_deploy.routing.tracking.ramp import next_share_at, ramp_share
from aether_deploy.routing.tracking.steady_clock import SteadyClock

times = st.floats(-1e9, 1e9)


@given(st.lists(times, min_size=2, max_size=20))
def test_a_steady_clock_never_runs_backwards_and_counts_every_second_forwards(moments: list[float]) -> None:
    clock = SteadyClock(moments[0])
    steady = [clock.advance(moment) for moment in moments]

    assert steady == sorted(steady)
    forwards = sum(max(0.0, after - before) for before, after in pairwise(moments))
    assert math.isclose(steady[-1] - steady[0], forwards, rel_tol=1e-9, abs_tol=1e-3)


@given(st.lists(times, min_size=1, max_size=10), st.floats(0, 1e6))
def test_who_wakes_at_the_time_that_he_is_told_is_not_too_early(moments: list[float], later: float) -> None:
    clock = SteadyClock(moments[0])
    for moment in moments:
        clock.advance(moment)
    due = clock.at + later

    told = clock.for_caller(due)

    assert clock.advance(told) >= due
    assert clock.at - due < 1e-5  # nor late


@given(times, st.floats(0, 1e6), st.integers(1, 1000), st.floats(-10, 2e6))
@example(since=1e9, length=5e-5, count=1000, later=0.0)  # a step shorter than the clock can tell
def test_a_step_is_done_exactly_from_its_time_on(since: float, length: float, count: int, later: float) -> None:
    now = since + later
    done = steps_done(since, length, count, now)

    assert 0 <= done <= count
    assert done == 0 or step_at(since, length, count, done) <= now
    assert done == count or step_at(since, length, count, done + 1) > now


@given(st.integers(0, 86_400), times, st.floats(0, 1e5))
def test_a_ramp_is_a_tenth_and_then_a_straight_line_in_percents(ramp_secs: int, since: float, later: float) -> None:
    policy, now = FailbackPolicy(ramp_secs=ramp_secs), since + later
    share, due = ramp_share(policy, since, now), next_share_at(policy, since, now)

    straight = max(0.1, min(1.0, (now - since) / ramp_secs)) if ramp_secs else 1.0
    assert straight - 0.01 - 1e-4 <= share <= straight + 1e-4
    assert (due is None) == (share == 1.0)
    assert due is None or (due > now and ramp_share(policy, since, due) > share)


def test_without_a_rule_there_is_no_ramp() -> None:
    assert ramp_share(None, 0.0, 0.0) == 1.0
    assert next_share_at(None, 0.0, 0.0) is None
