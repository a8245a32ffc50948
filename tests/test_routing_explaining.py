"""What is said of a decision: compared whole."""

import json

import msgspec

from aether_deploy.routing.decision.deciding import decide_route
from aether_deploy.routing.decision.explaining import explain_route
from aether_deploy.routing.policy import (
    DampingPolicy,
    FailbackPolicy,
    LatencyExpansion,
    LatencyPolicy,
    LoadPolicy,
    ResidencyRule,
    RoutingPolicy,
    StickyPolicy,
)
from aether_deploy.routing.request import Measurement, PartyMember, RouteRequest
from aether_deploy.routing.view import Position, RegionView, RoutingView

POLICY = RoutingPolicy(
    latency=LatencyPolicy(max_ms=150, expansions=(LatencyExpansion(after_secs=10, max_ms=155),)),
    damping=DampingPolicy(),
    failback=FailbackPolicy(),
    load=LoadPolicy(),
    sticky=StickyPolicy(),
    residency=(ResidencyRule(name="law", regions=("dublin", "paris")),),
)
VIEW = RoutingView(
    regions=(
        RegionView(code="us-east-1", latency_ms=10.0, position=Position(39.0, -77.5), load=0.97),
        RegionView(code="dublin", latency_ms=80.0, load=0.9, healthy_secs=10.0, ramp=0.2),
        RegionView(code="paris", position=Position(48.9, 2.4), health="unknown"),
        RegionView(code="tokyo", latency_ms=170.0, builds=frozenset({"1.4", "1.3"}), suppressed=True),
        RegionView(code="sydney", latency_ms=120.0, drain="soft", health="unhealthy"),
        RegionView(code="nairobi", latency_ms=110.0, drain="hard"),
    ),
)


def lines(request: RouteRequest) -> list[str]:
    return explain_route(POLICY, VIEW, request).text().splitlines()


def test_every_region_is_told_with_what_speaks_against_it() -> None:
    assert lines(RouteRequest(player="ann", preferred="us-east-1", build="1.5", waited_secs=10.0)) == [
        "failover dublin preferred_full: the closest that may take the player, 80.0 ms",
        "preferred: us-east-1 (by choice)",
        "gave way, because no region satisfies all: ramp, soft_load",
        "-> dublin     80.0 ms (static)        ramp: healthy again for 10 s: takes 0.20 of new players, and this one "
        "stands at 0.9764 (gave way); soft_load: load 0.9 >= soft 0.85: takes 0.50 of new players, and this one "
        "stands at 0.8956 (gave way)",
        "   us-east-1  0.0 ms (great_circle)   hard_load: load 0.97 >= hard 0.95",
        "   paris      92.9 ms (great_circle)  health: no probe has answered yet",
        "   nairobi    110.0 ms (static)       hard_drain: hard drain: takes nobody",
        "   sydney     120.0 ms (static)       drain: soft drain: takes no new players; health: unhealthy",
        "   tokyo      170.0 ms (static)       damping: rests, because it fell too often (gave way); latency: 170 ms > "
        "cap 155 ms after 10 s (gave way); build: speaks 1.3, 1.4; the client speaks 1.5",
    ]


def test_measurements_that_are_not_believed_are_told() -> None:
    measured = {"us-east-1": Measurement(rtt_ms=9.0), "dublin": Measurement(rtt_ms=30.0)}

    said = lines(RouteRequest(player="kim", position=Position(48.9, 2.4), measured=measured))

    assert said == [
        "failover dublin preferred_unhealthy: no probe has answered yet: the closest that may take the player, 30.0 ms",
        "preferred: paris (by latency)",
        "-> dublin     30.0 ms (measured)      ok",
        "   tokyo      170.0 ms (static)       damping: rests, because it fell too often; latency: 170 ms > cap 150 ms",
        "   paris      0.0 ms (great_circle)   health: no probe has answered yet",
        "   us-east-1  92.9 ms (great_circle)  hard_load: load 0.97 >= hard 0.95; measured 9 ms not believed: 9 ms is "
        "sooner than light could answer over 6191 km",
        "   nairobi    110.0 ms (static)       hard_drain: hard drain: takes nobody",
        "   sydney     120.0 ms (static)       drain: soft drain: takes no new players; health: unhealthy",
    ]


def test_where_no_region_may_it_tells_so_and_does_not_raise() -> None:
    told = explain_route(POLICY, replace_all(health="unhealthy"), RouteRequest(preferred="dublin", residency="law"))

    assert told.routed is None
    assert told.error == ("NoHealthyRegionError", told.why)
    assert told.why == "none of 2 regions may take the player: us-east-1 is not where he may be, dublin is unhealthy"
    assert told.text().splitlines()[2:] == [
        "   us-east-1  10.0 ms (static)        health: unhealthy; residency: residency law allows dublin, paris",
        "   dublin     80.0 ms (static)        health: unhealthy",
    ]
    assert told.to_values()["decision"] is None
    assert told.to_values()["error"]["name"] == "NoHealthyRegionError"


def test_failing_open_is_told() -> None:
    told = explain_route(RoutingPolicy(on_none_healthy="fail_open"), replace_all(health="unhealthy"), RouteRequest())

    assert told.text().splitlines() == [
        "failover us-east-1 fail_open: no region is healthy; sent all the same, 10.0 ms",
        "preferred: us-east-1 (by latency)",
        "-> us-east-1  10.0 ms (static)        health: unhealthy",
        "   dublin     80.0 ms (static)        health: unhealthy",
    ]


def replace_all(**fields: object) -> RoutingView:
    regions = (("us-east-1", 10.0), ("dublin", 80.0))
    return RoutingView(regions=tuple(RegionView(code=c, latency_ms=ms, **fields) for c, ms in regions))  # type: ignore[arg-type]


def test_names_that_nobody_knows_are_told_and_not_raised() -> None:
    told = explain_route(POLICY, VIEW, RouteRequest(residency="lore"))

    assert told.text() == "no residency rule is named 'lore'; known are law"
    assert (told.error, told.candidates) == (("UnknownResidencyError", told.why), ())


def test_ties_returns_and_parties_are_told() -> None:
    policy = RoutingPolicy(latency=LatencyPolicy(tie_ms=20), sticky=StickyPolicy())
    regions = (
        RegionView(code="a", latency_ms=5.0, health="unhealthy"),
        RegionView(code="b", latency_ms=40.0, load=0.8),
        RegionView(code="c", latency_ms=60.0, load=0.1),
        RegionView(code="d", latency_ms=79.0),
    )
    view = RoutingView(regions=regions)
    requests = (
        RouteRequest(preferred="a"),
        RouteRequest(preferred="a", sticky="d"),
        RouteRequest(preferred="b"),
        RouteRequest(sticky="b"),
        RouteRequest(measured={"b": Measurement(rtt_ms=90.0)}, party=(PartyMember(),)),
    )

    told = [explain_route(policy, view, request) for request in requests]

    assert [f"{each.why} [{each.preferred_by}]" for each in told] == [
        "failover c preferred_unhealthy: the least loaded of those within 20 ms of the closest, 60.0 ms [choice]",
        "failover d preferred_unhealthy: the player was there before, 79.0 ms [choice]",
        "primary b: it is preferred, and may take the player; 40.0 ms [choice]",
        "primary b: it is preferred, and may take the player; 40.0 ms [token]",
        "failover c preferred_unhealthy: the closest that may take the player, 60.0 ms [party]",
    ]


def test_an_explanation_tells_latencies_in_tenths_like_every_answer() -> None:
    request = RouteRequest(measured={"tokyo": Measurement(rtt_ms=5.123456789)})

    values = explain_route(RoutingPolicy(), VIEW, request).to_values()
    told = {each["code"]: each["latency_ms"] for each in values["candidates"]}

    assert (told["tokyo"], told["paris"], values["latency_ms"]) == (5.1, None, 5.1)


def test_an_explanation_is_plain_values_and_json() -> None:
    request = RouteRequest(player="ann", preferred="us-east-1")
    values = explain_route(POLICY, VIEW, request).to_values()
    routed = decide_route(POLICY, VIEW, request)

    assert json.loads(msgspec.json.encode(values)) == values
    assert (values["decision"], values["region"]) == ("failover", routed.decision.region)
    assert (values["reason"], values["preferred"]) == ("preferred_full", "us-east-1")
    assert tuple(each["region"] for each in values["alternates"]) == routed.alternates
    assert tuple(values["relaxed"]) == routed.relaxed
    assert values["candidates"][0]["code"] == routed.decision.region
    full = next(each for each in values["candidates"] if each["code"] == "us-east-1")
    assert full["obstacles"] == [{"rule": "hard_load", "text": "load 0.97 >= hard 0.95", "gave_way": False}]
