"""What a router knows over time, as decisions see it."""

import math
import random
from typing import Any

import pytest

from aether_deploy.problems import UnknownRegionError
from aether_deploy.routing.policy import DampingPolicy, FailbackPolicy, LoadPolicy
from aether_deploy.routing.router_config import RouterConfig, RouterLink, RouterPosition, RouterRegion
from aether_deploy.routing.tracking.health import ProbeOutcome
from aether_deploy.routing.tracking.tracker import RegionTracker
from aether_deploy.routing.view import Position, RegionView

OUTCOMES: tuple[ProbeOutcome, ...] = ("ready", "ready", "ready", "not_ready", "timeout", "refused")


def config(codes: str = "abc", **changes: Any) -> RouterConfig:
    rules: dict[str, Any] = {"damping": DampingPolicy(), "failback": FailbackPolicy(), "load": LoadPolicy()}
    regions = [RouterRegion(code=code, probe=f"http://{code}.example/", capacity_players=100) for code in codes]
    return RouterConfig(**{"regions": regions, **rules, **changes})


def tracker(codes: str = "abc", **changes: Any) -> RegionTracker:
    tracked = RegionTracker(config(codes, **changes), now=0.0)
    for code in codes:
        tracked.observe(code, "ready", 0.0)
    return tracked


def bounce(tracked: RegionTracker, code: str, now: float) -> None:
    """Let a region fall and recover at one moment."""
    tracked.observe(code, "not_ready", now)
    tracked.observe(code, "ready", now)
    tracked.observe(code, "ready", now)


def seen(tracked: RegionTracker, code: str, now: float) -> RegionView:
    return tracked.view(now).by_code[code]


# --- the view


def test_regions_are_seen_in_file_order_with_what_is_configured_of_them() -> None:
    regions = [
        RouterRegion(code="us", latency_ms=20, location=RouterPosition(lat=38, lon=-77)),
        RouterRegion(code="eu", probe="tcp://eu.example:9"),
    ]
    links = [RouterLink(between=["eu", "us"], latency_ms=90)]
    view = RegionTracker(RouterConfig(regions=regions, links=links), now=0.0).view(0.0)

    assert view.regions == (
        RegionView(code="us", latency_ms=20, position=Position(38, -77)),
        RegionView(code="eu", health="unknown"),
    )
    assert view.matrix == {"us": {"eu": 90}, "eu": {"us": 90}}
    assert not view.stale


def test_a_region_that_nobody_probes_is_healthy_whatever_is_said_of_it() -> None:
    tracked = RegionTracker(RouterConfig(regions=[RouterRegion(code="us")]), now=0.0)

    assert not tracked.observe("us", "not_ready", 1.0)
    assert seen(tracked, "us", 1.0).health == "healthy"


def test_the_view_is_the_same_object_until_a_decision_can_see_a_change() -> None:
    tracked = tracker()
    first = tracked.view(0.0)
    tracked.observe("a", "ready", 1.0)
    tracked.observe("a", "timeout", 2.0)
    tracked.self_check(True, 3.0)
    tracked.undrain("a", 3.0)
    same = tracked.view(1000.0)
    tracked.drain("a", "soft", now=1000.0)
    drained = tracked.view(1000.0)

    assert same is first
    assert drained.epoch == first.epoch + 1


def test_an_observation_tells_whether_the_health_changed() -> None:
    tracked = RegionTracker(config(), now=0.0)
    outcomes: list[ProbeOutcome] = ["ready", "ready", "timeout", "timeout", "timeout", "timeout", "ready", "ready"]

    changed = [tracked.observe("a", outcome, float(now)) for now, outcome in enumerate(outcomes)]

    assert changed == [True, False, False, False, True, False, False, True]


def test_a_new_region_takes_players_without_a_ramp() -> None:
    tracked = tracker()

    assert (seen(tracked, "a", 0.0).ramp, seen(tracked, "a", 0.0).healthy_secs) == (1.0, math.inf)


def test_a_recovered_region_takes_players_by_share() -> None:
    tracked = tracker(failback=FailbackPolicy(ramp_secs=60, hold_secs=30))
    bounce(tracked, "a", 100.0)

    ramps = [(now, seen(tracked, "a", 100.0 + now).ramp) for now in (0, 6, 6.6, 30, 59.9, 60, 1000)]

    assert ramps == [(0, 0.1), (6, 0.1), (6.6, 0.11), (30, 0.5), (59.9, 0.99), (60, 1.0), (1000, 1.0)]
    assert [seen(tracked, "a", 2000.0).healthy_secs, tracked.healthy_secs("a", 2000.0)] == [30, 1900]


def test_the_hold_is_told_by_whole_seconds() -> None:
    tracked = tracker(failback=FailbackPolicy(ramp_secs=0, hold_secs=3))
    bounce(tracked, "a", 100.0)

    assert [seen(tracked, "a", 100.0 + now).healthy_secs for now in (0, 0.9, 1, 2.5, 3, 50)] == [0, 0, 1, 2, 3, 3]


def test_without_rules_of_failback_and_damping_a_region_is_back_at_once() -> None:
    tracked = tracker(failback=None, damping=None)
    for _ in range(10):
        bounce(tracked, "a", 100.0)

    assert seen(tracked, "a", 100.0) == RegionView(code="a", healthy_secs=0.0)
    assert tracked.next_change(100.0) is None


def test_a_region_that_fell_three_times_rests_and_then_warms_up() -> None:
    tracked = tracker()
    for _ in range(3):
        bounce(tracked, "a", 100.0)

    told = [(seen(tracked, "a", now).suppressed, seen(tracked, "a", now).ramp) for now in (100, 219.9, 220, 250, 280)]

    assert told == [(True, 0.1), (True, 0.1), (False, 0.1), (False, 0.5), (False, 1.0)]


def test_a_region_that_was_never_healthy_has_no_fall_to_be_damped() -> None:
    tracked = RegionTracker(config(), now=0.0)
    for now in range(10):
        tracked.observe("a", "not_ready", float(now))

    assert not seen(tracked, "a", 10.0).suppressed


@pytest.mark.parametrize(
    "call",
    [
        lambda tracked: tracked.observe("mars", "ready", 0.0),
        lambda tracked: tracked.report_load("mars", players=1, now=0.0),
        lambda tracked: tracked.drain("mars", "soft", now=0.0),
        lambda tracked: tracked.undrain("mars", 0.0),
        lambda tracked: tracked.drain_done("mars", 0.0),
        lambda tracked: tracked.drain_remaining_secs("mars", 0.0),
        lambda tracked: tracked.healthy_secs("mars", 0.0),
    ],
)
def test_a_region_that_is_not_configured_is_named_with_those_that_are(call: Any) -> None:
    with pytest.raises(UnknownRegionError) as caught:
        call(tracker())

    assert str(caught.value) == "no region is named 'mars'; known are a, b, c"


# --- random lives


def _happen(chance: random.Random, tracked: RegionTracker, now: float, kept: list[str]) -> None:
    code = chance.choice("abc")
    match chance.randrange(9):
        case 0:
            tracked.report_load(code, players=chance.randrange(120), now=now)
        case 1:
            kept.append(tracked.reserve(code, players=chance.randrange(1, 9), now=now).id)
        case 2 if kept:
            tracked.release(kept.pop(chance.randrange(len(kept))), now)
        case 3:
            deadline = chance.choice((None, chance.uniform(0, 90)))
            tracked.drain(code, "soft", bleed_secs=chance.choice((0.0, 33.3)), deadline_secs=deadline, now=now)
        case 4:
            tracked.undrain(code, now)
        case 5:
            tracked.self_check(chance.random() < 0.7, now)
        case _:
            tracked.observe(code, chance.choice(OUTCOMES), now)


def _look(tracked: RegionTracker, now: float) -> tuple[tuple[RegionView, ...], bool]:
    """Look without the tracker's memory of its last view."""
    view = tracked.reconfigured(tracked.config, now).view(now)
    return view.regions, view.stale


@pytest.mark.parametrize("seed", range(12))
def test_a_view_holds_exactly_until_the_next_change(seed: int) -> None:
    chance, kept = random.Random(seed), list[str]()
    tracked, now = tracker(failback=FailbackPolicy(ramp_secs=chance.choice((0, 7, 60)), hold_secs=9)), 1e9 * (seed % 2)
    for _ in range(300):
        _happen(chance, tracked, now, kept)
        view, due = tracked.view(now), tracked.next_change(now)
        assert (view.regions, view.stale) == _look(tracked, now), f"seed {seed}"
        pause = chance.expovariate(1 / 3)
        soonest = now + pause if due is None else min(now + pause, math.nextafter(due, -math.inf))
        assert due is None or due > now, f"seed {seed}"
        for at in (now + (soonest - now) * chance.random(), soonest):
            assert (view.regions, view.stale) == _look(tracked, at), f"seed {seed}, {at}"
            assert tracked.view(at) is view, f"seed {seed}, {at}"
        now = max(now, soonest if chance.random() < 0.5 or due is None else due)
        assert (tracked.view(now).regions, tracked.view(now).stale) == _look(tracked, now), f"seed {seed}"
        assert tracked.view(now).epoch >= view.epoch


@pytest.mark.parametrize("seed", range(6))
def test_who_waits_for_every_change_needs_no_more_wakings_than_there_are_causes(seed: int) -> None:
    chance, tracked, now = random.Random(seed), tracker(), 0.0
    for _ in range(60):
        _happen(chance, tracked, now, [])
        now += 0.1
    wakings = 0
    while (due := tracked.next_change(now)) is not None:
        now, wakings = due, wakings + 1
        tracked.view(now)
        assert wakings < 1000, f"seed {seed}"  # 90 steps of a ramp, 60 of a hold, 100 of a drain, for three regions


@pytest.mark.parametrize("seed", range(6))
def test_a_clock_that_jumps_back_changes_nothing(seed: int) -> None:
    smooth, jumping, back = tracker(), tracker(), 0.0
    chance, same_chance, now = random.Random(seed), random.Random(seed), 0.0
    kept, also_kept = list[str](), list[str]()
    for step in range(400):
        now += step % 3 / 2
        _happen(chance, smooth, now, kept)
        _happen(same_chance, jumping, now - back, also_kept)
        assert smooth.view(now).regions == jumping.view(now - back).regions, f"seed {seed}, step {step}"
        if step % 50 == 49:
            back += 512.0 * (1 + step)
            jumping.view(now - back)
        due, other = smooth.next_change(now), jumping.next_change(now - back)
        assert (due is None) == (other is None)
        if due is not None and other is not None:
            assert other == pytest.approx(due - back, abs=1e-6)
            assert other > now - back


def test_a_clock_that_jumps_back_leaves_no_age_behind() -> None:
    tracked = tracker()
    tracked.report_load("a", players=50, now=5000.0)
    bounce(tracked, "a", 5000.0)
    tracked.view(5030.0)

    assert tracked.healthy_secs("a", 0.0) == 30
    assert seen(tracked, "a", 0.0).ramp == 0.5
    assert seen(tracked, "a", 30.0).ramp == 1.0
    assert seen(tracked, "a", 30.1).load is None


# --- another configuration


def test_another_configuration_keeps_what_is_known_of_regions_that_remain() -> None:
    tracked = tracker("abc")
    for _ in range(3):
        bounce(tracked, "b", 10.0)
    tracked.report_load("b", players=50, builds=("7",), now=10.0)
    kept = tracked.reserve("b", players=10, now=10.0)
    tracked.drain("b", "soft", bleed_secs=100, now=10.0)
    before = tracked.view(20.0)

    other = tracked.reconfigured(config("dcb"), 20.0)
    after = other.view(20.0)

    assert [region.code for region in after.regions] == ["d", "c", "b"]
    assert after.by_code["b"] == before.by_code["b"]
    assert after.by_code["c"] == before.by_code["c"]
    assert after.by_code["d"].health == "unknown"
    assert after.epoch > before.epoch
    assert other.release(kept.id, 20.0)
    assert (seen(other, "b", 20.0).load, seen(tracked, "b", 20.0).load) == (0.5, 0.6)
    assert other.reserve("b", now=20.0).id == "2"


def test_a_region_that_warms_up_goes_on_under_another_configuration() -> None:
    tracked = tracker()
    for _ in range(3):
        bounce(tracked, "a", 100.0)
    tracked.view(250.0)  # it rests until 220

    assert seen(tracked.reconfigured(config("a"), 250.0), "a", 250.0).ramp == 0.5


def test_the_tracker_before_stays_as_it_is() -> None:
    tracked = tracker("abc")
    before = tracked.view(20.0)

    other = tracked.reconfigured(config("ab"), 20.0)
    other.observe("a", "not_ready", 21.0)
    other.report_load("b", players=1, now=21.0)
    other.drain("b", "hard", now=21.0)

    assert tracked.view(21.0) is before


def test_other_rules_hold_from_then_on() -> None:
    tracked = tracker("ab")
    for _ in range(3):
        bounce(tracked, "a", 10.0)
    tracked.report_load("a", players=50, now=10.0)

    calm = tracked.reconfigured(config("ab", damping=None, failback=None), 10.0)
    strict = calm.reconfigured(config("ab", load=LoadPolicy(report_max_age_secs=1)), 12.0)

    assert (seen(calm, "a", 10.0).suppressed, seen(calm, "a", 10.0).ramp) == (False, 1.0)
    assert (seen(strict, "a", 12.0).suppressed, seen(strict, "a", 12.0).load_stale) == (False, True)


def test_a_region_that_is_probed_from_now_on_is_healthy_until_a_probe_says_otherwise() -> None:
    unprobed = RouterConfig(regions=[RouterRegion(code="a")])
    tracked = RegionTracker(unprobed, now=0.0).reconfigured(config("a"), 1.0)

    assert seen(tracked, "a", 1.0).health == "healthy"
    assert tracked.observe("a", "not_ready", 2.0)


def test_a_region_that_nobody_probes_any_more_is_healthy() -> None:
    tracked = tracker("a")
    tracked.observe("a", "not_ready", 1.0)
    other = tracked.reconfigured(RouterConfig(regions=[RouterRegion(code="a")]), 2.0)

    assert seen(other, "a", 2.0).health == "healthy"
