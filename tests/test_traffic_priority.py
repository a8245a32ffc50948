"""Envoy's arithmetic of priorities: tables that the program was seen to follow, and the laws behind them."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy.traffic.envoy.bounds import failover_bound_ms, return_bound_ms
from aether_deploy.traffic.envoy.priority import locality_load, priority_load

LOADS = {
    "a priority keeps all at 72 percent": ([72, 100], (100, 0)),
    "and loses one in a hundred below": ([71, 100], (99, 1)),
    "half a priority keeps 70": ([50, 60], (70, 30)),
    "what is left over is spread by health": ([5, 65], (8, 92)),
    "of three, what rounding leaves goes to the first": ([25, 25, 20], (37, 35, 28)),
    "an empty first priority is skipped": ([0, 20, 100], (0, 28, 72)),
    "nobody is healthy: all to the first, which refuses": ([0, 0], (100, 0)),
}
PANICS = {
    "one in panic ignores health alone": (([5, 65], None), (8, 92), (True, False)),
    "none while the total is healthy": (([25, 100], None), (35, 65), (False, False)),
    "all in panic: by count of hosts": (([0, 0], [4, 4]), (50, 50), (True, True)),
    "all in panic with unequal counts": (([25, 25, 20], [4, 4, 5]), (32, 30, 38), (True, True, True)),
    "without counts the fewest hosts that fit": (([25, 25, 20], None), (32, 30, 38), (True, True, True)),
}
shares = st.lists(st.integers(0, 100), min_size=1, max_size=5)


@pytest.mark.parametrize(("healthy", "load"), LOADS.values(), ids=list(LOADS))
def test_load_follows_health_and_order(healthy: list[float], load: tuple[int, ...]) -> None:
    assert priority_load(healthy).load_percent == load


@pytest.mark.parametrize(("given_", "load", "panic"), PANICS.values(), ids=list(PANICS))
def test_below_the_threshold_a_priority_panics(
    given_: tuple[list[float], list[int] | None], load: tuple[int, ...], panic: tuple[bool, ...]
) -> None:
    found = priority_load(given_[0], hosts=given_[1], panic_threshold=50)

    assert (found.load_percent, found.panic) == (load, panic)


@given(shares, st.integers(100, 200_000), st.integers(0, 100))
def test_all_load_goes_somewhere_and_only_where_it_is_answered(healthy: list[int], factor: int, threshold: int) -> None:
    found = priority_load(healthy, overprovisioning_factor=factor, panic_threshold=threshold)

    assert sum(found.load_percent) == 100
    if found.answered and not all(found.panic):
        assert all(score or not load for score, load in zip(found.health_score, found.load_percent, strict=True))


@given(shares)
def test_with_a_large_factor_a_priority_is_all_or_nothing(healthy: list[int]) -> None:
    found = priority_load(healthy, overprovisioning_factor=100_000)
    first = next((at for at, each in enumerate(healthy) if each), 0)

    assert found.load_percent == tuple(100 if at == first else 0 for at in range(len(healthy)))
    assert found.answered == any(healthy)


@given(shares, st.integers(0, 4))
def test_a_priority_that_gets_healthier_never_loses_load(healthy: list[int], at: int) -> None:
    at %= len(healthy)
    better = [min(100, each + 10) if place == at else each for place, each in enumerate(healthy)]
    total = priority_load(healthy).normalized_total

    if total == 100:  # below, what rounding leaves may move
        assert priority_load(better).load_percent[at] >= priority_load(healthy).load_percent[at]


@pytest.mark.parametrize("healthy", [[], [101], [-1]])
def test_what_is_no_share_is_refused(healthy: list[float]) -> None:
    with pytest.raises(ValueError, match="healthy_percent"):
        priority_load(healthy)


def test_counts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="hosts must hold 2"):
        priority_load([50, 50], hosts=[1])


def test_localities_share_by_weight_and_health() -> None:
    weights = {"x": 1, "y": 2}

    assert locality_load(weights, {"x": 100, "y": 100}) == {"x": pytest.approx(100 / 3), "y": pytest.approx(200 / 3)}
    assert locality_load(weights, {"x": 25, "y": 100}) == {
        "x": pytest.approx(14.89, abs=0.01),
        "y": pytest.approx(85.1, abs=0.01),
    }
    assert locality_load(weights, {"x": 0, "y": 0}) == {"x": 0.0, "y": 0.0}


def test_the_bounds_are_those_of_the_checks() -> None:
    bound = partial(failover_bound_ms, interval_ms=1000, timeout_ms=500, fall=3)

    assert bound() == 4500
    assert bound(failure="refusal") == 3000
    assert bound(failure="refusal", round_trip_ms=100) == 3400
    assert bound(failure="not_ready") == 1000
    assert bound(failure="not_ready", dns_ttl_ms=60_000) == 61_000
    assert return_bound_ms(interval_ms=1000, timeout_ms=500, rise=2) == 2500


@given(st.integers(1, 60_000), st.integers(1, 60_000), st.integers(1, 10), st.floats(0, 600_000))
def test_no_failure_is_found_later_than_silence(interval: int, timeout: int, fall: int, ttl: float) -> None:
    bound = partial(failover_bound_ms, interval_ms=interval, timeout_ms=timeout, fall=fall, dns_ttl_ms=ttl)

    assert bound(failure="not_ready") <= bound(failure="refusal") <= bound(failure="silence")
