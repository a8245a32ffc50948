"""A router that sees nothing keeps what it knew; one that sees a world go down believes it."""

from collections.abc import Iterable

from aether_deploy.routing.policy import DampingPolicy, FailbackPolicy
from aether_deploy.routing.router_config import RouterConfig, RouterRegion
from aether_deploy.routing.tracking.health import ProbeOutcome
from aether_deploy.routing.tracking.tracker import RegionTracker
from aether_deploy.routing.view import Health

FALL = 3


def tracker(
    codes: str = "abcd", healthy: str | None = None, unprobed: str = "", *, answered: bool = True
) -> RegionTracker:
    """Return a tracker of regions that answered once, as what it checks itself by did, unless told otherwise."""
    regions = [RouterRegion(code=code, probe=f"http://{code}.example/") for code in codes]
    regions += [RouterRegion(code=code) for code in unprobed]
    config = RouterConfig(regions=regions, damping=DampingPolicy(), failback=FailbackPolicy())
    tracked = RegionTracker(config, now=0.0)
    for code in codes if healthy is None else healthy:
        tracked.observe(code, "ready", 0.0)
    if answered:
        tracked.self_check(True, 0.0)
    return tracked


def probe(tracked: RegionTracker, codes: Iterable[str], now: float, outcome: ProbeOutcome = "timeout") -> None:
    for code in codes:
        tracked.observe(code, outcome, now)


def fall(tracked: RegionTracker, codes: Iterable[str], now: float) -> None:
    """Let ``fall`` silences pass, one a second, the last one at ``now``."""
    for before in range(FALL - 1, -1, -1):
        probe(tracked, codes, now - before)


def healths(tracked: RegionTracker, now: float) -> str:
    """Return H, U or ? for each region, and ! where the view is stale."""
    letters: dict[Health, str] = {"healthy": "H", "unhealthy": "U", "unknown": "?"}
    view = tracked.view(now)
    return "".join(letters[region.health] for region in view.regions) + "!" * view.stale


def test_a_world_that_is_down_is_believed_where_the_router_sees() -> None:
    tracked = tracker()
    tracked.self_check(True, 10.0)
    fall(tracked, "abcd", 10.0)

    assert healths(tracked, 10.0) == "UUUU"


def test_a_router_that_never_checks_itself_is_taken_to_see() -> None:
    tracked = tracker(answered=False)
    fall(tracked, "abcd", 10.0)

    assert healths(tracked, 10.0) == "UUUU"


def test_a_self_check_that_never_answered_proves_nothing() -> None:
    tracked = tracker(answered=False)
    counts = [tracked.self_check(False, float(now)) for now in range(10)]
    fall(tracked, "abcd", 10.0)

    assert (counts, healths(tracked, 10.0)) == ([False] * 10, "UUUU")


def test_another_self_check_has_to_answer_first_as_well() -> None:
    tracked = tracker()
    tracked.self_check(None, 8.0)
    counts = tracked.self_check(False, 9.0)
    fall(tracked, "abcd", 10.0)

    assert (counts, healths(tracked, 10.0)) == (False, "UUUU")


def test_a_self_check_that_answered_counts_under_another_configuration() -> None:
    tracked = tracker()
    other = tracked.reconfigured(tracked.config, 8.0)
    counts = other.self_check(False, 9.0)
    fall(other, "abcd", 10.0)

    assert (counts, healths(other, 10.0)) == (True, "HHHH!")


def test_a_blind_router_keeps_what_it_knew() -> None:
    tracked = tracker()
    before = tracked.view(0.0).regions
    tracked.self_check(False, 9.0)
    fall(tracked, "abcd", 10.0)

    assert healths(tracked, 10.0) == "HHHH!"
    assert tracked.view(10.0).regions == before  # no ramp, no penalty: nobody fell


def test_half_of_the_regions_are_enough() -> None:
    tracked = tracker()
    tracked.self_check(False, 9.0)
    fall(tracked, "ab", 10.0)

    assert healths(tracked, 10.0) == "HHHH!"


def test_fewer_than_half_are_not_enough() -> None:
    tracked = tracker("abcde")
    tracked.self_check(False, 9.0)
    fall(tracked, "ab", 10.0)

    assert healths(tracked, 10.0) == "UUHHH"


def test_one_region_is_not_enough_even_if_it_is_half_of_them() -> None:
    tracked = tracker("ab")
    tracked.self_check(False, 9.0)
    fall(tracked, "a", 10.0)

    assert healths(tracked, 10.0) == "UH"


def test_regions_that_nobody_probes_do_not_count() -> None:
    tracked = tracker("ab", unprobed="cdefgh")
    tracked.self_check(False, 9.0)
    fall(tracked, "ab", 10.0)

    assert healths(tracked, 10.0) == "HHHHHHHH!"


def test_the_self_check_may_fail_after_the_regions_fell() -> None:
    tracked = tracker()
    fall(tracked, "abc", 10.0)
    down = healths(tracked, 10.0)
    tracked.self_check(False, 13.7)

    assert down == "UUUH"
    assert healths(tracked, 13.7) == "HHHH!"


def test_a_self_check_that_fails_long_after_them_says_nothing_of_them() -> None:
    tracked = tracker()
    fall(tracked, "abc", 10.0)
    tracked.self_check(False, 13.9)

    assert healths(tracked, 13.9) == "UUUH"


def test_regions_that_fall_one_after_the_other_really_fall() -> None:
    tracked = tracker()
    tracked.self_check(False, 0.0)
    for number, code in enumerate("abc"):
        fall(tracked, code, 10.0 + 4 * number)

    assert healths(tracked, 18.0) == "UUUH"


def test_the_first_to_fall_is_taken_back_with_the_others() -> None:
    tracked = tracker()
    tracked.self_check(False, 9.0)
    fall(tracked, "a", 10.0)
    alone = healths(tracked, 10.0)
    fall(tracked, "b", 12.0)

    assert (alone, healths(tracked, 12.0)) == ("UHHH", "HHHH!")


def test_the_first_to_fall_is_kept_at_once_where_the_others_are_silent_too() -> None:
    tracked = tracker()
    tracked.self_check(False, 9.0)
    probe(tracked, "b", 9.5)
    fall(tracked, "a", 10.0)

    assert healths(tracked, 10.0) == "HHHH!"


def test_a_silence_that_ended_before_the_first_fell_does_not_count() -> None:
    tracked = tracker()
    tracked.self_check(False, 9.0)
    probe(tracked, "bcd", 9.0)
    probe(tracked, "bcd", 9.5, "ready")
    fall(tracked, "a", 10.0)

    assert healths(tracked, 10.0) == "UHHH"


def test_those_that_were_never_healthy_do_not_count_as_silent() -> None:
    tracked = tracker("abc", healthy="ab")
    fall(tracked, "c", 5.0)
    tracked.self_check(False, 9.0)
    fall(tracked, "a", 10.0)

    assert healths(tracked, 10.0) == "UHU"


def test_who_was_kept_for_a_silence_by_chance_falls_once_the_other_answers() -> None:
    tracked = tracker("ab")
    tracked.self_check(False, 9.0)
    probe(tracked, "b", 9.5)
    fall(tracked, "a", 10.0)
    kept = healths(tracked, 10.0)
    probe(tracked, "b", 10.5, "ready")
    afresh = healths(tracked, 10.5)
    fall(tracked, "a", 13.0)

    assert (kept, afresh, healths(tracked, 13.0)) == ("HH!", "HH", "UH")


def test_who_was_down_before_stays_down() -> None:
    tracked = tracker("abcd")
    fall(tracked, "a", 5.0)
    tracked.self_check(False, 19.0)
    fall(tracked, "bcd", 20.0)

    assert healths(tracked, 20.0) == "UHHH!"


def test_an_answer_that_says_no_is_believed_by_a_blind_router() -> None:
    tracked = tracker()
    tracked.self_check(False, 9.0)
    fall(tracked, "abcd", 10.0)
    probe(tracked, "c", 11.0, "not_ready")

    assert healths(tracked, 11.0) == "HHUH!"


def test_an_answer_that_says_no_before_it_is_not_taken_back() -> None:
    tracked = tracker()
    tracked.self_check(False, 9.0)
    probe(tracked, "d", 9.5, "not_ready")
    fall(tracked, "abc", 10.0)

    assert healths(tracked, 10.0) == "HHHU!"


def test_a_no_after_a_fall_by_silence_is_not_taken_back() -> None:
    tracked = tracker()
    tracked.self_check(False, 9.0)
    fall(tracked, "a", 10.0)
    probe(tracked, "a", 10.5, "not_ready")
    fall(tracked, "bc", 12.0)

    assert healths(tracked, 12.0) == "UHHH!"


def test_silences_do_not_count_while_the_router_is_blind() -> None:
    tracked = tracker()
    tracked.self_check(False, 9.0)
    fall(tracked, "abcd", 10.0)
    for now in range(11, 60):
        probe(tracked, "abcd", float(now))

    assert healths(tracked, 60.0) == "HHHH!"


def test_silences_are_counted_afresh_when_the_self_check_works_again() -> None:
    tracked = tracker()
    tracked.self_check(False, 9.0)
    fall(tracked, "abcd", 10.0)
    probe(tracked, "abcd", 11.0)
    tracked.self_check(True, 12.0)
    seeing = healths(tracked, 12.0)
    probe(tracked, "abcd", 12.5)
    probe(tracked, "abcd", 13.5)
    two_silences = healths(tracked, 13.5)
    probe(tracked, "abcd", 14.5)

    assert (seeing, two_silences, healths(tracked, 14.5)) == ("HHHH", "HHHH", "UUUU")


def test_a_router_that_hears_most_regions_again_is_not_blind_though_its_target_is_gone() -> None:
    tracked = tracker()
    tracked.self_check(False, 9.0)
    fall(tracked, "abcd", 10.0)
    probe(tracked, "ab", 11.0, "ready")
    half = healths(tracked, 11.0)
    probe(tracked, "c", 11.0, "ready")
    most = healths(tracked, 11.0)
    fall(tracked, "d", 14.0)

    assert (half, most, healths(tracked, 14.0)) == ("HHHH!", "HHHH", "HHHU")


def test_those_that_were_down_before_do_not_keep_a_router_blind() -> None:
    tracked = tracker()
    fall(tracked, "ab", 5.0)
    tracked.self_check(False, 9.0)
    fall(tracked, "abcd", 20.0)
    blind = healths(tracked, 20.0)
    probe(tracked, "c", 21.0, "ready")
    probe(tracked, "d", 21.0, "not_ready")
    seeing = healths(tracked, 21.0)
    fall(tracked, "c", 25.0)

    assert (blind, seeing, healths(tracked, 25.0)) == ("UUHH!", "UUHU", "UUUU")


def test_a_blind_router_stays_so_under_another_configuration() -> None:
    tracked = tracker()
    tracked.self_check(False, 9.0)
    fall(tracked, "abcd", 10.0)

    other = tracked.reconfigured(tracked.config, 11.0)
    probe(other, "abcd", 11.0)
    blind = healths(other, 11.0)
    other.self_check(True, 12.0)
    fall(other, "abcd", 15.0)

    assert (blind, healths(other, 15.0)) == ("HHHH!", "UUUU")
    assert healths(tracked, 15.0) == "HHHH!"
