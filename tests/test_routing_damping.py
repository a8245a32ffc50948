"""Regions that fall too often rest, and no longer than they must."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy.routing.policy import DampingPolicy
from aether_deploy.routing.tracking.damping import Damping

POLICY = DampingPolicy()
falls = st.lists(st.floats(0, 400), min_size=1, max_size=40)  # pauses between falls, seconds


@st.composite
def policies(draw: st.DrawFn) -> DampingPolicy:
    reuse = draw(st.integers(1, 3000))
    half_life = draw(st.integers(1, 1000))
    longest = draw(st.integers(half_life, 20 * half_life))
    ceiling = reuse * 2.0 ** (longest / half_life)
    suppress = draw(st.integers(reuse + 1, max(reuse + 1, min(1_000_000, math.ceil(ceiling) - 1))))
    if ceiling <= suppress:
        return POLICY
    return DampingPolicy(suppress=suppress, reuse=reuse, half_life_secs=half_life, max_suppress_secs=longest)


def flapped(every_secs: float, times: int, policy: DampingPolicy = POLICY) -> list[Damping]:
    damping, history = Damping(policy), []
    for number in range(times):
        damping = damping.fall(number * every_secs)
        history.append(damping)
    return history


def test_three_quick_falls_rest_for_two_minutes() -> None:
    damping = flapped(0, 3)[-1]

    assert damping.value(0) == 3000
    assert damping.released_at() == 120
    assert damping.suppressed(math.nextafter(120, 0))
    assert not damping.suppressed(120)
    assert damping.value(120) == 750


def test_one_fall_a_minute_never_rests() -> None:
    history = flapped(60, 100)

    assert history[-1].penalty == pytest.approx(2000)
    assert all(each.released_at() is None for each in history)


def test_a_fall_every_half_minute_rests_at_the_fourth() -> None:
    history = flapped(30, 4)

    assert [round(each.penalty) for each in history] == [1000, 1707, 2207, 2561]
    assert [each.suppressed(each.at) for each in history] == [False, False, False, True]


def test_only_falls_closer_than_44_seconds_can_rest() -> None:
    assert any(each.released_at() for each in flapped(44, 200))
    assert not any(each.released_at() for each in flapped(45, 200))


def test_a_region_that_falls_while_it_rests_goes_on_to_rest_though_its_penalty_is_low() -> None:
    damping = flapped(0, 3)[-1].fall(119)  # down to 759, so 1759: less than 2500, more than 750

    assert damping.penalty < POLICY.suppress
    assert damping.suppressed(119)
    assert damping.released_at() == pytest.approx(119 + 60 * math.log2(damping.penalty / 750))


def test_a_released_region_begins_anew() -> None:
    damping = flapped(0, 3)[-1].fall(120)

    assert damping.penalty == 1750
    assert not damping.suppressed(120)


def test_a_fall_does_not_change_the_value_it_came_from() -> None:
    calm = Damping(POLICY)

    calm.fall(5)

    assert calm == Damping(POLICY)


@given(policies(), falls)
def test_no_rest_is_longer_than_the_policy_says(policy: DampingPolicy, pauses: list[float]) -> None:
    damping, now = Damping(policy), 0.0
    for pause in pauses:
        now += pause
        damping = damping.fall(now)

    assert damping.penalty <= policy.ceiling
    released = damping.released_at()
    assert released is None or now < released <= now + policy.max_suppress_secs * (1 + 1e-9)


@given(policies(), falls)
def test_it_rests_exactly_while_a_slow_reckoning_says_so(policy: DampingPolicy, pauses: list[float]) -> None:
    damping, now, penalty, rests = Damping(policy), 0.0, 0.0, False
    for pause in pauses:
        penalty, now = penalty * math.exp(-math.log(2) * pause / policy.half_life_secs), now + pause
        near = abs(penalty - policy.reuse) < 1e-6 * policy.reuse
        rests = rests and penalty > policy.reuse
        assert near or damping.suppressed(now) is rests
        if near:
            return  # either is right, to the last digit
        penalty = min(penalty + 1000, policy.ceiling)
        if abs(penalty - policy.suppress) < 1e-6 * policy.suppress:
            return
        rests = rests or penalty >= policy.suppress
        damping = damping.fall(now)

        assert damping.penalty == pytest.approx(penalty)


@given(policies(), policies(), falls)
def test_another_rule_takes_the_penalty_over(old: DampingPolicy, new: DampingPolicy, pauses: list[float]) -> None:
    damping, now = Damping(old), 0.0
    for pause in pauses:
        now += pause
        damping = damping.fall(now)

    other = damping.under(new, now)

    assert other.penalty == min(damping.penalty, new.ceiling)
    assert other.suppressed(now) == (
        other.penalty > new.reuse and (damping.suppressed(now) or other.penalty >= new.suppress)
    )
    released = other.released_at()
    assert released is None or released <= now + new.max_suppress_secs * (1 + 1e-9)
