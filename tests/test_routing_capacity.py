"""How full a region is: reports, reservations, and their ages."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy.problems import NoCapacityError, UnknownRegionError
from aether_deploy.routing.decision.candidates import takes_new_players
from aether_deploy.routing.decision.deciding import decide_route
from aether_deploy.routing.policy import FailbackPolicy, LatencyPolicy, LoadPolicy
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.router_config import RouterConfig, RouterRegion
from aether_deploy.routing.tracking.tracker import RegionTracker
from aether_deploy.routing.view import RegionView, RoutingView


def tracker(capacity: int | None = 100, **load: int) -> RegionTracker:
    region = RouterRegion(code="us", capacity_players=capacity)
    return RegionTracker(RouterConfig(regions=[region], load=LoadPolicy(**load)), now=0.0)


def us(tracked: RegionTracker, now: float) -> RegionView:
    return tracked.view(now).by_code["us"]


def test_load_is_players_and_reservations_over_capacity() -> None:
    tracked = tracker()
    tracked.report_load("us", players=60, now=1.0)
    tracked.reserve("us", players=5, now=1.0)

    assert us(tracked, 1.0).load == 0.65


def test_a_reported_capacity_replaces_the_configured_one() -> None:
    tracked = tracker()
    tracked.report_load("us", players=60, capacity=80, now=1.0)

    assert us(tracked, 1.0).load == 0.75


def test_a_report_without_a_capacity_returns_to_the_configured_one() -> None:
    tracked = tracker()
    tracked.report_load("us", players=60, capacity=80, now=1.0)
    tracked.report_load("us", players=60, now=2.0)

    assert us(tracked, 2.0).load == 0.6


def test_a_region_that_never_reported_is_of_unknown_load() -> None:
    tracked = tracker()

    assert us(tracked, 0.0).load is None
    assert not us(tracked, 0.0).load_stale


def test_a_region_that_never_reported_is_at_least_as_full_as_the_places_kept_there() -> None:
    tracked = tracker()
    tracked.reserve("us", players=60, lease_secs=10, now=0.0)
    kept = tracked.reserve("us", players=35, lease_secs=20, now=0.0)
    seen = [us(tracked, now) for now in (0.0, 9.9, 10.0)]
    tracked.release(kept.id, 11.0)

    assert [(each.load, each.load_at_least, each.load_stale) for each in seen] == [
        (0.95, True, False),
        (0.95, True, False),
        (0.35, True, False),
    ]
    assert (us(tracked, 11.0).load, us(tracked, 11.0).load_at_least) == (None, False)


def test_places_count_when_a_report_is_too_old_to_count() -> None:
    tracked = tracker(report_max_age_secs=1)
    tracked.report_load("us", players=60, capacity=80, now=0.0)
    tracked.reserve("us", players=20, lease_secs=50, now=0.0)

    seen = [(us(tracked, now), tracked.status("us", now)) for now in (4.0, 4.1)]

    assert [(view.load, view.load_at_least, status.capacity) for view, status in seen] == [
        (1.0, False, 80),
        (0.2, True, 100),
    ]


def test_places_in_a_region_of_unknown_capacity_are_no_load() -> None:
    tracked = tracker(capacity=None)
    tracked.reserve("us", players=99, now=0.0)

    assert us(tracked, 0.0).load is None


def test_more_players_than_a_region_ever_takes_get_no_places() -> None:
    tracked = tracker(report_max_age_secs=1)
    with pytest.raises(NoCapacityError, match="us takes 100 players, and never 101 at once"):
        tracked.reserve("us", players=101, now=0.0)
    tracked.report_load("us", players=0, capacity=0, now=0.0)
    with pytest.raises(NoCapacityError, match="us takes 0 players, and never 1 at once"):
        tracked.reserve("us", now=4.0)

    assert tracked.status("us", 4.0).reserved == 0
    assert tracked.reserve("us", players=100, now=4.1).players == 100


def test_who_is_only_known_to_be_at_least_so_full_is_no_better_in_a_tie_than_who_reports() -> None:
    regions = [RouterRegion(code=code, latency_ms=10, capacity_players=1000) for code in ("us", "eu", "ap")]
    config = RouterConfig(regions=regions, load=LoadPolicy(), latency=LatencyPolicy(sources=["static"]))
    tracked = RegionTracker(config, now=0.0)
    tracked.reserve("us", now=0.0)
    tracked.report_load("eu", players=500, now=0.0)

    assert decide_route(config, tracked.view(0.0), RouteRequest(preferred="mars")).decision.region == "eu"


@pytest.mark.parametrize(
    ("players", "capacity", "takes"), [(949, 1000, True), (950, 1000, False), (1950, 2000, False), (0, 0, False)]
)
def test_a_full_region_takes_no_players(players: int, capacity: int, takes: bool) -> None:
    tracked = tracker()
    tracked.report_load("us", players=players, capacity=capacity, now=0.0)

    assert tracked.status("us", 0.0).takes_players is takes


def test_a_region_takes_players_exactly_where_a_decision_sends_some() -> None:
    for share, mode in ((0.0, "soft"), (0.5, "soft"), (0.0, "hard"), (0.0, "none")):
        for load in (None, 0.5, 0.9, 0.95):
            for ramp in (0.1, 1.0):
                for healthy in (True, False):
                    region = RegionView(
                        code="us", load=load, drain=mode, drain_share=share, ramp=ramp,  # type: ignore[arg-type]
                        health="healthy" if healthy else "unhealthy",
                    )  # fmt: skip
                    other = RegionView(code="eu", latency_ms=99)
                    view = RoutingView(regions=(region, other))
                    config = RouterConfig(
                        regions=[RouterRegion(code="us"), RouterRegion(code="eu")],
                        load=LoadPolicy(),
                        failback=FailbackPolicy(),
                    )
                    sent = [
                        decide_route(config, view, RouteRequest(player=f"p{number}", preferred="us")).decision.region
                        for number in range(200)
                    ]

                    assert takes_new_players(config, region) == ("us" in sent), region


def test_players_of_an_unknown_capacity_are_no_load() -> None:
    tracked = tracker(capacity=None)
    tracked.report_load("us", players=60, now=1.0)

    assert us(tracked, 1.0).load is None


def test_a_region_that_has_room_for_nobody_is_full() -> None:
    tracked = tracker()
    tracked.report_load("us", players=0, capacity=0, now=1.0)

    assert us(tracked, 1.0).load == 1.0


@given(st.integers(0, 5000), st.integers(1, 3000), st.integers(1, 100))
def test_a_whole_percent_is_reached_exactly_when_it_is(players: int, capacity: int, percent: int) -> None:
    tracked = tracker(capacity)
    tracked.report_load("us", players=players, now=0.0)

    load = us(tracked, 0.0).load

    assert load is not None
    assert (load >= percent / 100) == (100 * players >= percent * capacity)
    assert players / capacity - 0.001 < load <= players / capacity


def test_an_old_report_is_kept_and_flagged_and_a_very_old_one_says_nothing() -> None:
    tracked = tracker(report_max_age_secs=15)
    tracked.report_load("us", players=60, now=0.0)
    tracked.reserve("us", players=10, lease_secs=60.05, now=0.0)

    ages = (15.0, 15.1, 60.0, 60.1)

    assert [(us(tracked, age).load, us(tracked, age).load_stale) for age in ages] == [
        (0.7, False),
        (0.7, True),
        (0.7, True),
        (None, True),
    ]


def test_a_new_report_makes_an_unknown_load_known() -> None:
    tracked = tracker(report_max_age_secs=1)
    tracked.report_load("us", players=60, now=0.0)
    unknown = us(tracked, 100.0).load
    tracked.report_load("us", players=70, now=100.0)

    assert unknown is None
    assert us(tracked, 100.0) == us(tracked, 101.0)
    assert us(tracked, 101.0).load == 0.7


def test_a_reservation_ends_with_its_lease() -> None:
    tracked = tracker(reservation_secs=30)
    tracked.report_load("us", players=50, now=0.0)
    tracked.reserve("us", now=0.0)
    tracked.reserve("us", players=4, lease_secs=10, now=0.0)
    tracked.report_load("us", players=50, now=29.0)

    assert us(tracked, 29.9).load == 0.51
    assert us(tracked, 30.0).load == 0.5


def test_a_place_that_is_given_back_is_free_at_once() -> None:
    tracked = tracker()
    tracked.report_load("us", players=50, now=0.0)
    kept = tracked.reserve("us", now=0.0)

    assert tracked.release(kept.id, 1.0)
    assert us(tracked, 1.0).load == 0.5


def test_a_player_who_joined_is_counted_once() -> None:
    tracked = tracker()
    tracked.report_load("us", players=50, now=0.0)
    kept = tracked.reserve("us", now=0.0)
    told = tracked.release(kept.id, 1.0, joined=True), tracked.release(kept.id, 1.0, joined=True)
    not_reported_yet = us(tracked, 1.0).load
    tracked.report_load("us", players=51, now=5.0)

    assert told == (True, False)
    assert (not_reported_yet, us(tracked, 5.0).load) == (0.51, 0.51)


def test_a_player_who_joined_is_not_counted_twice_for_longer_than_his_lease() -> None:
    tracked = tracker(reservation_secs=30)
    kept = tracked.reserve("us", now=0.0)
    tracked.report_load("us", players=51, now=5.0)
    tracked.release(kept.id, 5.1, joined=True)  # later than the report that had him

    assert [us(tracked, now).load for now in (5.1, 19.9, 30.0)] == [0.52, 0.52, 0.51]


def test_a_place_is_given_back_once() -> None:
    tracked = tracker()
    tracked.report_load("us", players=50, now=0.0)
    kept, other = tracked.reserve("us", now=0.0), tracked.reserve("us", now=0.0)

    assert [tracked.release(kept.id, 1.0), tracked.release(kept.id, 1.0)] == [True, False]
    assert not tracked.release("of-nobody", 1.0)
    assert us(tracked, 1.0).load == 0.51
    assert not tracked.release(other.id, 30.0)  # its lease has ended


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(1, 9), st.floats(0.1, 60), st.booleans()), max_size=30))
def test_no_player_is_counted_twice_for_longer_than_his_lease(steps: list[tuple[float, int, float, bool]]) -> None:
    tracked, now, kept = tracker(capacity=1000), 0.0, list[tuple[float, int, str]]()
    for pause, players, lease, joins in steps:
        now += pause
        tracked.report_load("us", players=100, now=now)
        reservation = tracked.reserve("us", players=players, lease_secs=lease, now=now)
        if joins:
            tracked.release(reservation.id, now)
        else:
            kept.append((now + lease, players, reservation.id))
        waiting = sum(count for ends, count, _ in kept if ends > now)

        assert us(tracked, now).load == (100 + waiting) / 1000


def test_ids_count_up_and_begin_with_the_life_of_the_router() -> None:
    region = RouterRegion(code="us")
    tracked = RegionTracker(RouterConfig(regions=[region]), now=0.0, life="7f-")

    assert [tracked.reserve("us", now=0.0).id for _ in range(3)] == ["7f-1", "7f-2", "7f-3"]


def test_builds_are_those_of_the_last_report() -> None:
    tracked = tracker()
    tracked.report_load("us", players=1, builds=("1.2", "1.3"), now=0.0)

    assert us(tracked, 60.0).builds == {"1.2", "1.3"}
    tracked.report_load("us", players=1, now=60.0)
    assert us(tracked, 60.0).builds == frozenset()


def test_the_builds_of_a_reporter_that_died_exclude_nobody_for_ever() -> None:
    tracked = tracker(capacity=None, report_max_age_secs=1)
    tracked.report_load("us", players=1, builds=("1.2",), now=0.0)
    tracked.view(0.0)

    assert us(tracked, 4.0).builds == {"1.2"}
    assert tracked.next_change(4.0) == math.nextafter(4.0, math.inf)
    assert us(tracked, math.nextafter(4.0, math.inf)).builds == frozenset()
    assert tracked.status("us", 5.0).builds == ()


def test_places_that_were_given_back_are_forgotten_long_before_their_leases_end() -> None:
    tracked = tracker()
    waiting = [tracked.reserve("us", now=0.0, lease_secs=86_400.0) for _ in range(10)]
    for _ in range(1000):
        tracked.release(tracked.reserve("us", now=1.0, lease_secs=86_400.0).id, 1.0)
        tracked.release(tracked.reserve("us", now=1.0, lease_secs=86_400.0).id, 1.0, joined=True)
        tracked.report_load("us", players=1, now=1.0)

    assert len(tracked._tracks["us"].book._leases) < 50
    assert tracked.status("us", 1.0).reserved == 10
    assert all(tracked.release(each.id, 2.0) for each in waiting)


def test_a_status_counts_no_place_whose_lease_is_over() -> None:
    tracked = tracker()
    tracked.reserve("us", players=5, now=0.0, lease_secs=10.0)

    assert [tracked.status("us", now).reserved for now in (9.0, 10.0)] == [5, 0]


def test_what_is_no_load_and_no_reservation_is_refused_and_changes_nothing() -> None:
    tracked = tracker()
    tracked.report_load("us", players=50, now=0.0)
    view = tracked.view(0.0)

    with pytest.raises(ValueError, match="-1 players of None is no load"):
        tracked.report_load("us", players=-1, now=0.0)
    with pytest.raises(ValueError, match="5 players of -5 is no load"):
        tracked.report_load("us", players=5, capacity=-5, now=0.0)
    with pytest.raises(ValueError, match="0 players for 30 s is no reservation"):
        tracked.reserve("us", players=0, now=0.0)
    with pytest.raises(ValueError, match="1 players for nan s is no reservation"):
        tracked.reserve("us", lease_secs=math.nan, now=0.0)
    with pytest.raises(UnknownRegionError, match="no region is named 'mars'; known are us"):
        tracked.reserve("mars", now=0.0)
    assert tracked.view(0.0) is view
