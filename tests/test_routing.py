"""The routing decision: its laws."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aether_deploy import (
    ConfigError,
    Failover,
    NoHealthyRegionError,
    Primary,
    Region,
    RegionRoutingConfig,
    RoutingDecision,
    UnknownRegionError,
)

CODES = ("us-east-1", "eu-west-1", "ap-south-1", "sa-east-1", "af-south-1")
REGIONS = st.lists(
    st.builds(
        Region, code=st.sampled_from(CODES), latency_ms=st.integers(0, 5) | st.integers(0, 400), healthy=st.booleans()
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda region: region.code,
)
CONFIGS = st.builds(
    RegionRoutingConfig,
    regions=REGIONS.map(tuple),
    on_unknown=st.sampled_from(["failover", "error"]),
    on_none_healthy=st.sampled_from(["error", "fail_open"]),
)
PREFERRED = st.sampled_from([*CODES, "mars"])


def route(config: RegionRoutingConfig, preferred: str) -> Primary | Failover | type[Exception]:
    try:
        return config.route_player(preferred)
    except (NoHealthyRegionError, UnknownRegionError) as error:
        return type(error)


def naive(config: RegionRoutingConfig, preferred: str) -> tuple[str | None, type]:
    """The specification's three rules and what was decided beside them, word by word: region and kind of answer."""
    known = {region.code: region for region in config.regions}
    if preferred in known and known[preferred].healthy:
        return preferred, Primary
    if preferred not in known and config.on_unknown == "error":
        return None, UnknownRegionError
    by_latency = sorted(config.regions, key=lambda region: region.latency_ms)  # stable: configuration order
    for region in by_latency:
        if region.healthy:
            return region.code, Failover
    if config.on_none_healthy == "fail_open":
        return (preferred if preferred in known else by_latency[0].code), Failover
    return None, NoHealthyRegionError


@settings(max_examples=3000)
@given(CONFIGS, PREFERRED)
def test_the_decision_is_what_the_rules_say(config: RegionRoutingConfig, preferred: str) -> None:
    decision = route(config, preferred)

    if isinstance(decision, (Primary, Failover)):
        assert (decision.region, type(decision)) == naive(config, preferred)
    else:
        assert (None, decision) == naive(config, preferred)


@given(CONFIGS, PREFERRED)
def test_a_route_is_primary_if_and_only_if_the_preferred_region_is_healthy(
    config: RegionRoutingConfig, preferred: str
) -> None:
    healthy = any(region.code == preferred and region.healthy for region in config.regions)

    assert (route(config, preferred) == Primary(region=preferred)) == healthy
    assert isinstance(route(config, preferred), Primary) == healthy


@given(CONFIGS, PREFERRED)
def test_a_route_leads_to_a_healthy_region_unless_it_fails_open(config: RegionRoutingConfig, preferred: str) -> None:
    decision = route(config, preferred)
    healthy = {region.code for region in config.regions if region.healthy}

    match decision:
        case Primary(region=region):
            assert region in healthy
        case Failover(region=region, reason="preferred_unhealthy" | "preferred_unknown"):
            assert region in healthy
        case Failover(region=region, reason=reason):
            assert reason == "fail_open: no region is healthy"
            assert not healthy
        case error:
            assert error is UnknownRegionError or not healthy


@given(CONFIGS, PREFERRED, st.integers(0, 4))
def test_losing_a_region_that_was_not_chosen_changes_nothing(
    config: RegionRoutingConfig, preferred: str, lost: int
) -> None:
    before = route(config, preferred)
    regions = list(config.regions)
    place = lost % len(regions)
    chosen = before.region if isinstance(before, (Primary, Failover)) else None
    if regions[place].code == chosen or regions[place].code == preferred:
        return
    regions[place] = replace(regions[place], healthy=False)

    assert route(replace(config, regions=tuple(regions)), preferred) == before


@given(CONFIGS, PREFERRED, st.randoms(use_true_random=False))
def test_the_order_of_regions_matters_only_for_ties(
    config: RegionRoutingConfig, preferred: str, chance: object
) -> None:
    latencies = {region.latency_ms for region in config.regions}
    if len(latencies) < len(config.regions):
        return
    shuffled = sorted(config.regions, key=lambda _: chance.random())  # type: ignore[attr-defined]

    assert route(replace(config, regions=tuple(shuffled)), preferred) == route(config, preferred)


@given(CONFIGS, PREFERRED)
def test_equal_views_give_equal_routes(config: RegionRoutingConfig, preferred: str) -> None:
    again = RegionRoutingConfig.from_values(config.to_values())

    assert route(again, preferred) == route(config, preferred)


TIES: dict[str, tuple[tuple[str, ...], RoutingDecision]] = {
    "the first of three": (("a", "b", "c"), Failover(region="a", reason="preferred_unknown")),
    "the first in another order": (("c", "b", "a"), Failover(region="c", reason="preferred_unknown")),
}


@pytest.mark.parametrize("case", TIES)
def test_ties_go_by_configuration_order(case: str) -> None:
    codes, expected = TIES[case]
    config = RegionRoutingConfig(regions=tuple(Region(code=code, latency_ms=10) for code in codes))

    assert config.route_player("mars") == expected


def test_a_region_is_healthy_unless_it_is_said_not_to_be() -> None:
    config = RegionRoutingConfig(regions=(Region(code="us-east-1", latency_ms=20),))

    assert config.route_player("us-east-1") == Primary(region="us-east-1")


FAULTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no regions": ({"regions": []}, ["$.regions: no region takes players\n  fix: list at least one region"]),
    "one region twice": (
        {"regions": [{"code": "us-east-1", "latency_ms": 20}, {"code": "us-east-1", "latency_ms": 90}]},
        [
            "$.regions[1].code: is 'us-east-1'; repeats item 0 of the same list\n"
            "  fix: give it another code, or merge both"
        ],
    ),
    "a latency below zero, and no code": (
        {"regions": [{"latency_ms": -1}]},
        [
            "$.regions[0]: lacks 'code'\n  fix: add code: a DNS-1123 label",
            "$.regions[0].latency_ms: is -1; less than 0\n  fix: set it to 0 or more",
        ],
    ),
    "policies that are none": (
        {"regions": [{"code": "a", "latency_ms": 1}], "on_unknown": "fail", "on_none_healthy": "fail-open"},
        [
            "$.on_unknown: is 'fail'; expected one of failover, error\n  fix: did you mean 'failover'?",
            "$.on_none_healthy: is 'fail-open'; expected one of error, fail_open\n  fix: did you mean 'fail_open'?",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_routing_cannot_have(fault: str) -> None:
    values, says = FAULTS[fault]

    with pytest.raises(ConfigError) as raised:
        RegionRoutingConfig.from_values(values)

    assert [str(problem) for problem in raised.value.problems] == says
