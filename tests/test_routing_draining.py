"""Taking a region out of service without ending a session."""

import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy.routing.router_config import RouterConfig, RouterRegion
from aether_deploy.routing.tracking.draining import Drain, predict_empty
from aether_deploy.routing.tracking.tracker import RegionTracker
from aether_deploy.routing.view import DrainMode


def tracker() -> RegionTracker:
    return RegionTracker(RouterConfig(regions=[RouterRegion(code="us", capacity_players=100)]), now=0.0)


def seen(tracked: RegionTracker, now: float) -> tuple[DrainMode, float]:
    region = tracked.view(now).by_code["us"]
    return region.drain, region.drain_share


def test_a_soft_drain_takes_no_new_players_at_once() -> None:
    tracked = tracker()
    tracked.drain("us", "soft", now=10.0)

    assert seen(tracked, 10.0) == ("soft", 0.0)


def test_a_drain_that_bleeds_takes_fewer_and_fewer() -> None:
    tracked = tracker()
    tracked.drain("us", "soft", bleed_secs=100, now=10.0)

    assert [seen(tracked, now)[1] for now in (10.0, 10.5, 11.0, 60.0, 109.5, 110.0, 500.0)] == [
        1.0,
        1.0,
        0.99,
        0.5,
        0.01,
        0.0,
        0.0,
    ]


def test_a_soft_drain_is_hard_after_its_deadline() -> None:
    tracked = tracker()
    tracked.drain("us", "soft", bleed_secs=100, deadline_secs=50, now=10.0)

    assert seen(tracked, 59.9) == ("soft", 0.51)
    assert seen(tracked, 60.0) == ("hard", 0.0)


def test_a_hard_drain_takes_nobody() -> None:
    tracked = tracker()
    tracked.drain("us", "hard", bleed_secs=100, now=10.0)

    assert seen(tracked, 10.0) == ("hard", 0.0)


def test_an_undrained_region_is_as_before() -> None:
    tracked = tracker()
    before = tracked.view(0.0).regions
    tracked.drain("us", "soft", now=10.0)

    assert tracked.undrain("us", 20.0)
    assert not tracked.undrain("us", 20.0)
    assert tracked.view(20.0).regions == before


def test_a_drain_is_done_when_a_report_since_its_begin_has_nobody() -> None:
    tracked = tracker()
    tracked.report_load("us", players=0, now=9.0)  # somebody may have joined since
    tracked.drain("us", "soft", now=10.0)
    begun = tracked.drain_done("us", 10.0)
    tracked.report_load("us", players=1, now=11.0)
    one_left = tracked.drain_done("us", 11.0)
    tracked.report_load("us", players=0, now=12.0)

    assert (begun, one_left, tracked.drain_done("us", 12.0)) == (False, False, True)


def test_a_drain_is_not_done_while_somebody_is_on_his_way() -> None:
    tracked = tracker()
    tracked.drain("us", "soft", now=0.0)
    tracked.reserve("us", lease_secs=10, now=0.0)
    tracked.report_load("us", players=0, now=1.0)

    assert [tracked.drain_done("us", now) for now in (1.0, 9.9, 10.0)] == [False, False, True]


def test_a_drain_is_done_at_its_deadline_whoever_is_left() -> None:
    tracked = tracker()
    tracked.report_load("us", players=50, now=0.0)
    tracked.drain("us", "soft", deadline_secs=5, now=0.0)

    assert [tracked.drain_done("us", now) for now in (4.9, 5.0)] == [False, True]


def test_a_region_that_is_not_drained_is_not_done() -> None:
    tracked = tracker()
    tracked.report_load("us", players=0, now=0.0)

    assert not tracked.drain_done("us", 0.0)
    assert tracked.drain_remaining_secs("us", 0.0) is None


def test_the_end_is_predicted_from_how_fast_players_leave() -> None:
    tracked = tracker()
    tracked.drain("us", "soft", now=0.0)
    unknown = tracked.drain_remaining_secs("us", 0.0)
    for now in range(0, 40, 10):
        tracked.report_load("us", players=90 - now, now=now)

    assert unknown is None
    assert tracked.drain_remaining_secs("us", 30.0) == pytest.approx(60)
    assert tracked.drain_remaining_secs("us", 50.0) == pytest.approx(40)
    assert tracked.drain_remaining_secs("us", 500.0) == 0


def test_a_deadline_comes_before_a_slow_end() -> None:
    tracked = tracker()
    tracked.drain("us", "soft", deadline_secs=50, now=0.0)
    tracked.report_load("us", players=90, now=0.0)
    tracked.report_load("us", players=89, now=10.0)

    assert tracked.drain_remaining_secs("us", 20.0) == 30


def test_nobody_who_leaves_says_nothing_of_the_end() -> None:
    assert predict_empty([]) is None
    assert predict_empty([(0, 5)]) is None
    assert predict_empty([(0, 5), (10, 5)]) is None
    assert predict_empty([(0, 5), (10, 6)]) is None
    assert predict_empty([(10, 6), (10, 5)]) is None
    assert predict_empty([(0, 5), (10, 0)]) == 10


def test_negative_times_are_refused() -> None:
    tracked = tracker()
    view = tracked.view(0.0)

    with pytest.raises(ValueError, match="give times from 0 on"):
        tracked.drain("us", "soft", bleed_secs=-1, now=0.0)
    with pytest.raises(ValueError, match="give times from 0 on"):
        tracked.drain("us", "soft", deadline_secs=-1, now=0.0)
    assert tracked.view(0.0) is view


@given(st.floats(0, 1e6), st.just(0.0) | st.floats(0.01, 1e5), st.none() | st.floats(0, 1e5), st.floats(0, 2e5))
def test_steps_of_a_drain_come_when_it_says_so(
    since: float, bleed: float, deadline: float | None, later: float
) -> None:
    drain, now = Drain(mode="soft", since=since, bleed_secs=bleed, deadline_secs=deadline), since + later

    share, due = drain.share(now), drain.next_change(now)

    straight = 1 - min(1.0, later / bleed) if bleed else 0.0
    assert drain.mode_at(now) == "hard" or straight - 1e-6 <= share <= straight + 0.01 + 1e-6
    if due is not None:
        assert due > now
        assert (drain.mode_at(due), drain.share(due)) != (drain.mode_at(now), share)
        just_before = math.nextafter(due, -math.inf)
        assert (drain.mode_at(just_before), drain.share(just_before)) == (drain.mode_at(now), share)


# --- drains of the description


def described(mode: Literal["soft", "hard"] | None) -> RouterConfig:
    drain = {} if mode is None else {"us": mode}
    return RouterConfig(regions=[RouterRegion(code="us", capacity_players=100)], drain=drain)


MODES: tuple[Literal["soft", "hard"] | None, ...] = (None, "soft", "hard")


@pytest.mark.parametrize("said", MODES)
@pytest.mark.parametrize("ordered", MODES)
def test_of_a_drain_by_description_and_one_by_order_the_stricter_counts(
    said: Literal["soft", "hard"] | None, ordered: Literal["soft", "hard"] | None
) -> None:
    tracked = RegionTracker(described(said), now=0.0)
    if ordered is not None:
        tracked.drain("us", ordered, now=1.0)

    assert seen(tracked, 1.0)[0] == max(said or "none", ordered or "none", key=("none", "soft", "hard").index)


def test_no_order_ends_a_drain_of_the_description_or_lets_players_in() -> None:
    tracked = RegionTracker(described("soft"), now=0.0)
    tracked.drain("us", "soft", bleed_secs=100, deadline_secs=50, now=0.0)

    assert seen(tracked, 10.0) == ("soft", 0.0)
    assert seen(tracked, 50.0) == ("hard", 0.0)
    assert [tracked.undrain("us", 60.0), tracked.undrain("us", 60.0)] == [True, False]
    assert seen(tracked, 60.0) == ("soft", 0.0)


def test_a_drain_of_the_description_comes_and_goes_with_it_and_an_order_stays() -> None:
    tracked = RegionTracker(described(None), now=0.0)
    tracked.drain("us", "soft", now=1.0)

    tracked = tracked.reconfigured(described("hard"), 10.0)

    assert seen(tracked, 10.0) == ("hard", 0.0)
    tracked = tracked.reconfigured(described("hard"), 20.0).reconfigured(described(None), 30.0)
    assert seen(tracked, 30.0) == ("soft", 0.0)


def test_the_status_of_a_drain_says_whose_it_is_and_since_when() -> None:
    tracked = RegionTracker(described("hard"), now=0.0)
    tracked.report_load("us", players=4, now=5.0)
    told = [tracked.status("us", 10.0).drain]
    tracked = tracked.reconfigured(described("hard"), 20.0)
    tracked.drain("us", "soft", deadline_secs=60, now=20.0)
    told.append(tracked.status("us", 30.0).drain)
    tracked = tracked.reconfigured(described(None), 40.0)
    told.append(tracked.status("us", 40.0).drain)
    tracked.report_load("us", players=0, now=41.0)
    told.append(tracked.status("us", 41.0).drain)

    assert [each and (each.by, each.mode, each.since_secs, each.deadline_in_secs, each.done) for each in told] == [
        ("description", "hard", 10.0, None, False),
        ("both", "hard", 30.0, 50.0, False),
        ("order", "soft", 20.0, 40.0, False),
        ("order", "soft", 21.0, 39.0, True),
    ]
