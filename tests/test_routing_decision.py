"""The routing decision, rule by rule: each case is a sentence."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import pytest

from aether_deploy.problems import (
    DecisionError,
    NoAvailableRegionError,
    NoCapacityError,
    NoHealthyRegionError,
    UnknownRegionError,
    UnknownResidencyError,
)
from aether_deploy.routing.decision.candidates import spill_share
from aether_deploy.routing.decision.deciding import decide_route
from aether_deploy.routing.policy import ResidencyRule, RoutingPolicy
from aether_deploy.routing.request import Measurement, PartyMember, RouteRequest
from aether_deploy.routing.routed import Failover, Primary, Routed
from aether_deploy.routing.view import Position, RegionView, RoutingView
from tests.routing_rule_cases import CASES, DOWN, FAR, POLICIES, SOFT


def view(regions: Mapping[str, Mapping[str, Any]], **fields: Any) -> RoutingView:
    """Return three regions, us, eu and ap, but for what is said of them."""
    parts = [RegionView(**{"code": code, "latency_ms": ms, **regions.get(code, {})}) for code, ms in FAR.items()]
    return RoutingView(regions=tuple(parts), **fields)


def said(policy: str, regions: Mapping[str, Mapping[str, Any]], **request: Any) -> str:
    """Return a decision in a line: kind, region, reason, what gave way."""
    try:
        routed = decide_route(POLICIES[policy], view(regions), RouteRequest(**{"player": "ann", **request}))
    except DecisionError as error:
        return f"{type(error).__name__}: {error}"
    return line_of(routed)


def line_of(routed: Routed) -> str:
    gave_way = f" ({', '.join(routed.relaxed)} gave way)" if routed.relaxed else ""
    match routed.decision:
        case Primary(region=region):
            return f"primary {region}{gave_way}"
        case Failover(region=region, reason=reason):
            return f"failover {region} {reason}{gave_way}"


@pytest.mark.parametrize("case", CASES)
def test_routing(case: str) -> None:
    policy, regions, request, expected = CASES[case]

    assert said(policy, regions, **request) == expected


# --- R14

A, B = "us", "eu"


def measured(**latencies: float) -> dict[str, Measurement]:
    return {code: Measurement(rtt_ms=float(ms)) for code, ms in latencies.items()}


def party(*members: dict[str, Measurement], **request: Any) -> RouteRequest:
    first, *others = members
    return RouteRequest(measured=first, party=tuple(PartyMember(measured=each) for each in others), **request)


NOWHERE = {"us": {"latency_ms": None}, "eu": {"latency_ms": None}, "ap": {"latency_ms": None}}
PARTIES: dict[str, tuple[str, RouteRequest, str]] = {
    "the one who has it worst decides": (
        "neutral",
        party(measured(us=20, eu=60), measured(us=80, eu=60), measured(us=20, eu=60)),
        "primary eu 60",
    ),
    "then the mean": (
        "neutral",
        party(measured(us=60, eu=60), measured(us=50, eu=20)),
        "primary eu 60",
    ),
    "then the file": ("neutral", party(measured(us=60, eu=20), measured(us=20, eu=60)), "primary us 60"),
    "the cap is for every member": (
        "cap",
        party(measured(us=20, eu=90), measured(us=101, eu=90)),
        "primary eu 90",
    ),
    "a cap that no region keeps gives way": (
        "cap",
        party(measured(us=20, eu=130, ap=140), measured(us=120, eu=110, ap=90)),
        "primary us 120 latency",
    ),
    "and widens with the wait of all": (
        "widening",
        party(measured(us=20, eu=90), measured(us=90, eu=95), waited_secs=10.0),
        "primary us 90",
    ),
    "who knows nothing has no say": ("neutral", party({}, measured(us=60, eu=20)), "primary eu 20"),
    "a region that a member does not know comes last": (
        "neutral",
        party(measured(us=20, eu=60), measured(eu=60)),
        "primary eu 60",
    ),
    "what all prefer is preferred": (
        "neutral",
        RouteRequest(
            preferred="ap", measured=measured(us=1), party=(PartyMember(preferred="ap", measured=measured(us=1)),)
        ),
        "primary ap None",
    ),
    "where nobody knows anything the first choice is": (
        "neutral",
        RouteRequest(party=(PartyMember(preferred="ap"), PartyMember(preferred="eu"))),
        "primary ap None",
    ),
}


@pytest.mark.parametrize("case", PARTIES)
def test_of_a_party(case: str) -> None:
    policy, request, expected = PARTIES[case]

    routed = decide_route(POLICIES[policy], view(NOWHERE), request)

    latency = None if routed.latency_ms is None else round(routed.latency_ms)
    assert " ".join([line_of(routed).partition(" (")[0], str(latency), *routed.relaxed]) == expected


def test_a_party_whose_best_region_is_down_fails_over_to_the_next_best() -> None:
    members = party(measured(us=20, eu=60, ap=90), measured(us=80, eu=60, ap=70))

    routed = decide_route(POLICIES["neutral"], view({**NOWHERE, "eu": {"latency_ms": None, **DOWN}}), members)

    assert line_of(routed) == "failover us preferred_unhealthy"
    assert (routed.preferred, routed.latency_ms, routed.source) == ("eu", 80.0, "measured")


def test_the_order_of_a_partys_members_changes_nothing() -> None:
    members = [measured(us=20.1, eu=60.7), measured(us=80.3, eu=10.9), measured(us=33.3, eu=80.3)]
    asked = [decide_route(POLICIES["all"], view(NOWHERE), party(*members[n:], *members[:n])) for n in range(3)]

    assert asked[0] == asked[1] == asked[2]


def test_a_party_goes_only_where_the_builds_and_residencies_of_all_its_members_let_them() -> None:
    rules = [
        ResidencyRule(name="eu-players", regions=["eu", "ap"]),
        ResidencyRule(name="no-asia", regions=["us", "eu"]),
    ]
    policy = RoutingPolicy(residency=rules)
    spoken = view({"us": {"builds": frozenset({"1", "2"})}, "ap": {"builds": frozenset({"1"})}})

    def told(*members: PartyMember, **request: Any) -> str:
        try:
            return line_of(decide_route(policy, spoken, RouteRequest(party=members, **request)))
        except DecisionError as error:
            return str(error)

    resident, elsewhere = PartyMember(residency="eu-players"), PartyMember(residency="no-asia")
    assert told(resident, residency="eu-players").endswith("eu preferred_not_allowed")
    assert told(elsewhere, residency="eu-players").endswith("eu preferred_not_allowed")
    assert told(resident, elsewhere).endswith("eu preferred_not_allowed")
    assert told(PartyMember(build="2"), build="1") == "primary us"
    assert told(PartyMember(build="2"), build="3").endswith("eu preferred_wrong_build")
    assert told(PartyMember(residency="nowhere")).startswith("no residency rule is named 'nowhere'")


# --- what comes with a decision


def test_alternates_are_where_he_would_go_next_and_at_most_three() -> None:
    regions = tuple(RegionView(code=f"r{place}", latency_ms=float(place)) for place in range(6))

    routed = decide_route(RoutingPolicy(), RoutingView(regions=regions), RouteRequest(preferred="r5"))

    assert routed.alternates == ("r0", "r1", "r2")


def test_alternates_reach_down_the_ladder() -> None:
    regions = {"us": {"suppressed": True}, "ap": SOFT}

    routed = decide_route(POLICIES["damping"], view(regions), RouteRequest(preferred="us"))

    assert (routed.decision.region, routed.relaxed, routed.alternates) == ("eu", (), ("us", "ap"))


def test_an_error_knows_which_region_was_preferred() -> None:
    with pytest.raises(NoHealthyRegionError) as raised:
        decide_route(RoutingPolicy(), view(dict.fromkeys(FAR, DOWN)), RouteRequest(preferred="eu"))

    assert raised.value.preferred == "eu"


def test_a_router_without_regions_has_no_healthy_one() -> None:
    with pytest.raises(NoHealthyRegionError, match="none of 0 regions is healthy"):
        decide_route(RoutingPolicy(on_none_healthy="fail_open"), RoutingView(regions=()), RouteRequest())


def test_errors_are_kinds_of_each_other_as_callers_catch_them() -> None:
    assert NoAvailableRegionError is NoHealthyRegionError
    assert issubclass(NoCapacityError, NoHealthyRegionError)
    assert all(issubclass(each, DecisionError) for each in (NoHealthyRegionError, UnknownRegionError))
    assert issubclass(UnknownResidencyError, DecisionError)


# --- shares

PLAYERS = [f"player-{number}" for number in range(4000)]


def taken(policy: str, **us: Any) -> set[str]:
    seen = view({"us": us})
    chosen = {player: decide_route(POLICIES[policy], seen, RouteRequest(player=player)) for player in PLAYERS}
    return {player for player, routed in chosen.items() if routed.decision.region == "us"}


@pytest.mark.parametrize(
    "policy, fields, share",
    [
        ("failback", {"ramp": 0.1}, 0.1),
        ("failback", {"ramp": 0.6}, 0.6),
        ("load", {"load": 0.90}, 0.5),
        ("load", {"load": 0.93}, 0.2),
        ("neutral", {"drain": "soft", "drain_share": 0.3}, 0.3),
    ],
)
def test_a_share_of_players_is_that_share(policy: str, fields: dict[str, Any], share: float) -> None:
    deviation = math.sqrt(share * (1 - share) / len(PLAYERS))

    assert abs(len(taken(policy, **fields)) / len(PLAYERS) - share) < 4 * deviation


def test_a_growing_share_keeps_whom_it_has() -> None:
    shares = [taken("failback", ramp=ramp) for ramp in (0.1, 0.2, 0.5, 0.9, 1.0)]

    assert all(less < more for less, more in itertools.pairwise(shares))
    assert shares[-1] == set(PLAYERS)


def test_a_growing_load_spills_more_and_moves_nobody_back() -> None:
    shares = [taken("load", load=load) for load in (0.84, 0.85, 0.87, 0.9, 0.94, 0.95)]

    assert shares[0] == shares[1] == set(PLAYERS)
    assert all(less < more for more, less in itertools.pairwise(shares[1:]))
    assert shares[-1] == set()


def test_shares_of_two_rules_are_of_different_players() -> None:
    warm, drained = taken("failback", ramp=0.5), taken("neutral", drain="soft", drain_share=0.5)

    assert 0.4 < len(warm & drained) / len(warm) < 0.6


@pytest.mark.parametrize("load, spilled", [(0.0, 0.0), (0.85, 0.0), (0.9, 0.5), (0.95, 1.0), (2.0, 1.0)])
def test_the_spill_grows_from_the_soft_limit_to_the_hard_one(load: float, spilled: float) -> None:
    assert spill_share(load, 0.85, 0.95) == pytest.approx(spilled)


def test_equal_limits_are_one_step() -> None:
    assert [spill_share(load, 0.9, 0.9) for load in (0.899, 0.9, 0.91)] == [0.0, 1.0, 1.0]


def test_names_that_are_no_text_are_names_all_the_same() -> None:
    seen = view({"us": {"ramp": 0.5}})

    assert decide_route(POLICIES["failback"], seen, RouteRequest(player="\ud800")).preferred == "us"


# --- latency of a whole decision


def test_the_answer_says_how_far_and_who_says_so() -> None:
    seen = view({}, matrix={"us": {"eu": 75.0}, "eu": {"us": 75.0}})

    routes = {code: decide_route(RoutingPolicy(), seen, RouteRequest(preferred=code)) for code in FAR}

    assert [(r.latency_ms, r.source) for r in routes.values()] == [(0.0, "matrix"), (0.0, "matrix"), (150.0, "static")]


def test_a_position_prefers_what_is_near() -> None:
    places = {"us": Position(39.0, -77.5), "eu": Position(53.3, -6.3), "ap": Position(19.1, 72.9)}
    seen = view({code: {"position": at} for code, at in places.items()})

    routed = decide_route(RoutingPolicy(), seen, RouteRequest(position=Position(52.5, 13.4)))

    assert (routed.decision, routed.source) == (Primary(region="eu"), "great_circle")
    assert routed.latency_ms == pytest.approx(0.015 * 1312, rel=0.02)


def test_links_count_from_the_closest_region_where_a_player_chose_none() -> None:
    parts = tuple(RegionView(code=code, health="unhealthy" if code == "ap" else "healthy") for code in FAR)
    seen = RoutingView(regions=parts, matrix={"ap": {"us": 198.0, "eu": 122.0}})
    measured = {"ap": Measurement(rtt_ms=12.0)}

    routes = [
        decide_route(RoutingPolicy(), seen, request)
        for request in (
            RouteRequest(measured=measured),
            RouteRequest(measured=measured, preferred="mars"),
            RouteRequest(measured=measured, party=(PartyMember(measured=measured),)),
        )
    ]

    assert [(each.decision.region, each.preferred, each.latency_ms) for each in routes] == [
        ("eu", "ap", 122.0),
        ("eu", "mars", 122.0),
        ("eu", "ap", 122.0),
    ]


def test_no_link_makes_a_region_closer_than_the_closest() -> None:
    seen = RoutingView(regions=tuple(RegionView(code=code) for code in FAR), matrix={"ap": {"us": 1.0, "eu": 2.0}})

    routed = decide_route(RoutingPolicy(), seen, RouteRequest(measured={"ap": Measurement(rtt_ms=100.0)}))

    assert (routed.decision, routed.alternates) == (Primary(region="ap"), ("us", "eu"))


def test_links_count_from_a_home_where_no_region_takes_players() -> None:
    parts = tuple(RegionView(code=code) for code in ("us", "eu"))
    seen = RoutingView(regions=parts, matrix={"ap": {"us": 198.0, "eu": 122.0}})

    routed = decide_route(RoutingPolicy(), seen, RouteRequest(preferred="ap"))

    assert (routed.decision, routed.latency_ms) == (Failover(region="eu", reason="preferred_unknown"), 122.0)
