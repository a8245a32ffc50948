"""What-ifs of lost regions: nobody is lost or made up, room is shared, and what is told follows from the rules."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_deploy.problems import ConfigError, NoHealthyRegionError
from aether_deploy.routing.decision.deciding import decide_route
from aether_deploy.routing.limits import RoutingLimits
from aether_deploy.routing.policy import LatencyPolicy, LoadPolicy
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.tracking.capacity import load_of
from aether_deploy.routing.view import Position
from aether_deploy.routing.viewing import view_of
from aether_deploy.routing.waits import Path, paths_of, router_path
from aether_deploy.simulation.routing.players import PlayerGroup, filled_players
from aether_deploy.simulation.routing.spreading import COHORTS_OF_A_GROUP, cohorts_of, spread
from aether_deploy.simulation.routing.whatif import losses_of, what_if
from aether_deploy.traffic.kinds.external_dns import ExternalDnsConfig
from tests.envoy_cases import LAND
from tests.whatif_cases import after, at_home, loss_of, moved, router_of, worlds

LOAD = {"soft_percent": 85, "hard_percent": 95}


# --- where players go


def test_players_of_a_lost_region_go_to_the_closest_one_and_all_others_stay() -> None:
    loss = loss_of(router_of(), at_home(us=100, eu=200, ap=300), "us")

    assert moved(loss) == {"eu": 100}
    assert after(loss) == {"us": 0, "eu": 300, "ap": 300}
    assert (loss.players, loss.moving_players, loss.deficit_players) == (600, 100, 0)
    assert [(region.code, region.lost) for region in loss.regions] == [("us", True), ("eu", False), ("ap", False)]


def test_two_regions_are_lost_at_once() -> None:
    loss = loss_of(router_of(), at_home(us=100, eu=200, ap=300), "eu", "us")

    assert loss.lost == ("us", "eu")
    assert [(move.origin, move.region, move.players) for move in loss.moves] == [("us", "ap", 100), ("eu", "ap", 200)]


def test_a_region_takes_players_up_to_its_hard_limit_and_the_next_closest_takes_the_rest() -> None:
    loss = loss_of(router_of(load={"soft_percent": 95, "hard_percent": 95}), at_home(us=1200, eu=1200, ap=600), "us")

    assert moved(loss) == {"eu": 700, "ap": 350, None: 150}
    assert [(each.region, each.limit) for each in loss.filled if each.limit == "hard"] == [
        ("eu", "hard"),
        ("ap", "hard"),
    ]
    assert loss.refused_players == loss.deficit_players == 150


def test_the_last_player_is_taken_below_the_hard_limit_and_refused_at_it() -> None:
    config = router_of({"us": 1000, "eu": 333}, {("us", "eu"): 10}, load={"soft_percent": 90, "hard_percent": 90})

    loss = loss_of(config, at_home(us=900), "us")

    assert after(loss)["eu"] == 300  # 299 of 333 are below 90 %, 300 are not: it took one while it had 299
    assert loss.deficit_players == 600


def test_between_the_limits_a_share_spills_to_the_next_region() -> None:
    config = router_of({"us": 1000, "eu": 1000, "ap": 1000}, load={"soft_percent": 50, "hard_percent": 100})

    found = spread(config, cohorts_of(at_home(us=800)), players={"eu": 400}, down=["us"])

    assert found.players["eu"] + found.players["ap"] == 1200
    # Until eu is half full nobody spills; from then on it takes the share that is free, and fills as
    # 1000 - 500 exp(-arrived / 500): to 877 when the 700 others have come.
    assert found.players["eu"] == pytest.approx(877, abs=60)


def test_a_region_gets_full_by_those_who_came_to_it_and_by_no_others() -> None:
    config = router_of({"us": 2000, "eu": 1000, "ap": 1000}, load={"soft_percent": 85, "hard_percent": 85})

    found = spread(config, cohorts_of(at_home(us=1200)), players={"eu": 500, "ap": 400}, down=["us"])

    assert [(each.region, each.limit) for each in found.filled] == [
        ("eu", "soft"),
        ("eu", "hard"),
        ("ap", "soft"),
        ("ap", "hard"),
    ]
    assert [each.arrived for each in found.filled] == [350, 350, 450, 450]


def test_regions_within_a_tie_share_players_by_their_loads() -> None:
    config = router_of(
        {"us": 1000, "eu": 1000, "ap": 1000}, {("us", "eu"): 40, ("us", "ap"): 42}, load=LOAD, latency={"tie_ms": 5}
    )

    loss = loss_of(config, at_home(us=800), "us")

    assert after(loss)["eu"] == pytest.approx(400, abs=15)
    assert after(loss)["eu"] + after(loss)["ap"] == 800


def test_groups_share_the_last_room_in_proportion_to_their_size() -> None:
    config = router_of({"us": 2000, "eu": 1000}, {("us", "eu"): 50}, load={"soft_percent": 100, "hard_percent": 100},
                       residency=[{"name": "both", "regions": ["us", "eu"]}])  # fmt: skip
    groups = [PlayerGroup(players=1500, region="us"), PlayerGroup(players=500, region="us", residency="both")]

    after_loss = loss_of(config, groups, "us")
    before = spread(config, cohorts_of(groups), players={})
    crowd = list(cohorts_of(groups))
    found = spread(config, crowd, players={}, down=["us"])

    assert moved(after_loss) == {"eu": 1000, None: 1000}
    assert before.players == {"us": 2000, "eu": 0}
    bound = sum(each.players for each in found.placed if each.region == "eu" and each.cohort.request.residency)
    assert bound == pytest.approx(250, abs=20)


def test_a_rule_of_residency_holds_even_where_it_leaves_no_place() -> None:
    config = router_of(residency=[{"name": "eu-players", "regions": ["eu"]}])
    groups = [PlayerGroup(players=50, region="eu", residency="eu-players"), PlayerGroup(players=70, region="eu")]

    loss = loss_of(config, groups, "eu")

    assert moved(loss) == {"us": 70, None: 50}


def test_players_are_where_they_are_not_where_they_once_chose() -> None:
    config = RouterConfig.from_values(
        {
            "regions": [
                {"code": "us", "location": {"lat": 38.95, "lon": -77.45}},
                {"code": "eu", "location": {"lat": 53.35, "lon": -6.26}},
            ]
        }
    )
    dublin = PlayerGroup(players=10, position=Position(53.3, -6.2))

    told = what_if(config, [dublin], losses=[["eu"]])

    assert [(region.code, region.after) for region in told.baseline.regions] == [("us", 0), ("eu", 10)]
    assert moved(told.losses[0]) == {"us": 10}
    assert told.losses[0].after.p50 == pytest.approx(82, abs=5)


def test_without_a_rule_of_load_a_region_takes_all_and_those_beyond_its_capacity_have_no_place() -> None:
    loss = loss_of(router_of(), at_home(us=1500, eu=1500), "us")

    assert moved(loss) == {"eu": 1500}
    assert (loss.refused_players, loss.deficit_players, loss.held_players) == (0, 1000, 2000)


def test_a_region_whose_capacity_nobody_knows_holds_everybody() -> None:
    loss = loss_of(router_of({"us": 100, "eu": None}, {("us", "eu"): 9}, load={}), at_home(us=90, eu=10**9), "us")

    assert (loss.deficit_players, after(loss)["eu"]) == (0, 10**9 + 90)
    assert loss.fullest is None


def test_sending_a_player_somewhere_because_nothing_is_healthy_is_no_place() -> None:
    loss = loss_of(router_of(on_none_healthy="fail_open"), at_home(us=10, eu=20), "us", "eu", "ap")

    assert (loss.refused_players, loss.deficit_players) == (30, 30)


def test_players_who_find_no_place_before_a_loss_find_none_after_it() -> None:
    told = what_if(
        router_of({"us": 100, "eu": 100}, {("us", "eu"): 9}, load={}), at_home(us=300), losses=[["eu"], ["us"]]
    )

    assert told.baseline.deficit_players == 110
    assert [loss.deficit_players for loss in told.losses] == [205, 205]
    assert [loss.players for loss in told.losses] == [300, 300]


def test_an_unknown_region_cannot_be_lost() -> None:
    with pytest.raises(KeyError, match="mars"):
        what_if(router_of(), at_home(us=1), losses=[["us", "mars"]])


# --- latency


def test_latencies_are_nearest_ranks_over_all_players() -> None:
    loss = loss_of(router_of(), at_home(us=50, eu=949, ap=1), "us")

    assert (loss.before.p50, loss.before.p95, loss.before.most) == (0, 0, 0)
    assert (loss.after.p50, loss.after.p95, loss.after.most) == (0, 0, 76)
    assert (loss.moved.p50, loss.moved.most) == (76, 76)
    assert loss_of(router_of(), at_home(us=51, eu=948, ap=1), "us").after.p95 == 76


def test_players_of_whom_nobody_knows_how_far_they_are_count_in_no_latency() -> None:
    loss = loss_of(router_of({"us": 9, "eu": 9, "ap": 9}, {("us", "eu"): 30}), at_home(us=1, ap=2), "ap")

    assert (loss.moved.p50, loss.moved.unknown_players) == (None, 2)


# --- limits and times

LIMITS = {
    "within": (RoutingLimits(p95_ms=76, deficit_players=150), ()),
    "too far": (RoutingLimits(p95_ms=75, deficit_players=150), ("p95 is 76 ms, more than 75 ms",)),
    "too few places": (RoutingLimits(deficit_players=149), ("150 players find no place, more than 149",)),
}


@pytest.mark.parametrize("case", LIMITS)
def test_a_loss_is_held_against_the_limits(case: str) -> None:
    limits, beyond = LIMITS[case]
    config = router_of({"us": 1000, "eu": 1000}, {("us", "eu"): 76}, load={"soft_percent": 95, "hard_percent": 95})

    told = what_if(config, at_home(us=600, eu=500), losses=[["us"]], limits=limits)

    assert told.losses[0].beyond == beyond
    assert told.holds is not bool(beyond)


def test_the_state_before_any_loss_is_held_against_the_limits_too() -> None:
    told = what_if(router_of(load={}), at_home(us=9000), losses=[], limits=RoutingLimits())

    assert told.baseline.beyond
    assert not told.holds


def test_every_set_of_regions_up_to_the_promised_number_is_lost() -> None:
    assert losses_of("abc", 0) == ()
    assert losses_of("abc", 1) == (("a",), ("b",), ("c",))
    assert losses_of("abc", 2) == (("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"))


def test_each_part_of_the_time_until_players_arrive_is_told() -> None:
    config = router_of()
    (record,) = (
        ExternalDnsConfig.from_values(example)
        for name, example in ExternalDnsConfig.EXAMPLES.items()
        if name == "alias"
    )
    ways = [router_path(config.health), Path(name="player-dns", waits=record.waits(LAND)), Path(name="idle", waits=())]

    router, dns = paths_of(ways, reconnect_secs=7)

    assert (router.name, [wait.secs for wait in router.waits]) == ("router", [3.8, 7.0])
    assert (dns.name, [wait.secs for wait in dns.waits], dns.secs) == ("player-dns", [90.0, 60.0, 7.0], 157.0)


@pytest.mark.parametrize("value", [-1, 4, "two"])
def test_a_number_of_lost_regions_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="lost_regions"):
        RoutingLimits.from_values({"lost_regions": value})


# --- laws

lost_sets = st.sets(st.sampled_from("abcde"), max_size=3)


@given(worlds(), lost_sets)
@settings(max_examples=70, deadline=None)
def test_nobody_is_lost_and_nobody_made_up(world: tuple[RouterConfig, list[PlayerGroup]], lost: set[str]) -> None:
    config, groups = world
    codes = {region.code for region in config.regions}

    told = what_if(config, groups, losses=[lost & codes])

    total = sum(group.players for group in groups)
    for loss in (told.baseline, *told.losses):
        assert loss.players == total
        assert loss.held_players + loss.deficit_players == total
        assert sum(region.after for region in loss.regions) + loss.refused_players == total
        assert sum(move.players for move in loss.moves) == loss.moving_players
        assert [region.after for region in loss.regions if region.lost] == [0] * len(loss.lost)
        assert all(region.after >= region.before for region in loss.regions if not region.lost)
    assert sum(region.before for region in told.losses[0].regions if region.lost) == told.losses[0].moving_players


@given(worlds(load=True), lost_sets)
@settings(max_examples=70, deadline=None)
def test_no_region_gets_beyond_its_hard_limit(world: tuple[RouterConfig, list[PlayerGroup]], lost: set[str]) -> None:
    config, groups = world
    assert config.load is not None

    loss = loss_of(config, groups, *lost & {region.code for region in config.regions})

    for region in loss.regions:
        if region.capacity is not None:
            assert region.after <= -(-region.capacity * config.load.hard_percent // 100)
    if loss.refused_players and not config.residency:
        full = [region for region in loss.regions if not region.lost]
        assert all((region.load_after or 0) >= config.load.hard_percent / 100 for region in full)


@given(worlds())
@settings(max_examples=60, deadline=None)
def test_equal_input_gives_equal_answers(world: tuple[RouterConfig, list[PlayerGroup]]) -> None:
    config, groups = world
    losses = losses_of([region.code for region in config.regions], 2)

    first = what_if(config, groups, losses=losses)
    again = what_if(RouterConfig.from_values(config.to_values()), list(groups), losses=losses)

    assert msgspec.json.encode(first) == msgspec.json.encode(again)


@given(worlds(), lost_sets)
@settings(max_examples=60, deadline=None)
def test_losing_regions_without_players_changes_nothing(
    world: tuple[RouterConfig, list[PlayerGroup]], lost: set[str]
) -> None:
    config, groups = world
    baseline = what_if(config, groups, losses=[]).baseline
    empty = [region.code for region in baseline.regions if not region.after and region.code in lost]

    loss = loss_of(config, groups, *empty)

    assert after(loss) == after(baseline)
    assert (loss.moves, loss.deficit_players, loss.after) == ((), baseline.deficit_players, baseline.after)


@given(worlds(load=True), lost_sets, st.integers(0, 4), st.integers(1, 200))
@settings(max_examples=70, deadline=None)
def test_more_capacity_never_leaves_more_players_without_a_place(
    world: tuple[RouterConfig, list[PlayerGroup]], lost: set[str], place: int, more: int
) -> None:
    config, groups = world
    lost &= {region.code for region in config.regions}
    regions = list(config.regions)
    region = regions[place % len(regions)]
    if region.capacity_players is not None:
        regions[place % len(regions)] = msgspec.structs.replace(region, capacity_players=region.capacity_players + more)
    larger = msgspec.structs.replace(config, regions=tuple(regions))

    assert loss_of(larger, groups, *lost).deficit_players <= loss_of(config, groups, *lost).deficit_players


@given(worlds(), lost_sets, st.integers(1, 100))
@settings(max_examples=60, deadline=None)
def test_a_constant_on_all_latencies_moves_nobody(
    world: tuple[RouterConfig, list[PlayerGroup]], lost: set[str], more: int
) -> None:
    config, groups = world
    values = config.to_values()
    values["latency"] = {"sources": ["static"], "tie_ms": (values.get("latency") or {}).get("tie_ms", 0)}
    near = RouterConfig.from_values(values)
    for region in values["regions"]:
        region["latency_ms"] += more
    far = RouterConfig.from_values(values)
    codes = lost & {region.code for region in config.regions}

    assert after(loss_of(near, groups, *codes)) == after(loss_of(far, groups, *codes))


# --- cohorts


@given(st.lists(st.integers(0, 10**9), max_size=400))
@settings(max_examples=50, deadline=None)
def test_cohorts_hold_all_players_of_their_groups(numbers: list[int]) -> None:
    cohorts = cohorts_of([PlayerGroup(players=number, region="a") for number in numbers])

    assert sum(cohort.players for cohort in cohorts) == sum(numbers)
    assert all(cohort.players > 0 for cohort in cohorts)


def test_filling_regions_rounds_down_and_leaves_out_those_of_no_capacity() -> None:
    config = router_of({"us": 1001, "eu": None, "ap": 10})

    assert filled_players(config, 60) == at_home(us=600, ap=6)


# --- the same, player by player


def one_by_one(config: RouterConfig, group: PlayerGroup, down: set[str]) -> dict[str, int]:
    """Send players one after the other, each at the loads that those before him made."""
    capacities = {region.code: region.capacity_players for region in config.regions}
    players = dict.fromkeys(capacities, 0)
    for number in range(group.players):
        loads = {code: load for code, most in capacities.items() if (load := load_of(players[code], most)) is not None}
        try:
            routed = decide_route(config, view_of(config, down=down, loads=loads), group.request(f"player {number}"))
        except NoHealthyRegionError:
            break
        players[routed.decision.region] += 1
    return players


@given(worlds(load=True), lost_sets, st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_a_group_lands_where_its_players_would_one_by_one(
    world: tuple[RouterConfig, list[PlayerGroup]], lost: set[str], tie_ms: int
) -> None:
    config, groups = world
    assert config.load is not None
    hard = config.load.hard_percent
    # With nobody who spills by the hash of his name, all players of a group are alike.
    rules = {"load": LoadPolicy(soft_percent=hard, hard_percent=hard), "latency": LatencyPolicy(tie_ms=tie_ms)}
    config = msgspec.structs.replace(config, **rules)
    down = lost & {region.code for region in config.regions}

    for group in groups[:2]:
        few = msgspec.structs.replace(group, players=min(group.players, 150))
        found = spread(config, cohorts_of([few]), players={}, down=down).players
        expected = one_by_one(config, few, down)
        assert sum(found.values()) == sum(expected.values())
        slack = COHORTS_OF_A_GROUP if tie_ms else 0  # ties go to and fro; a step is one player of each cohort
        assert all(abs(found[code] - expected[code]) <= slack for code in found)


def test_nobody_goes_to_a_region_that_the_description_drains() -> None:
    config = msgspec.structs.replace(router_of(), drain={"eu": "hard"})

    told = what_if(config, at_home(us=100, eu=200, ap=300), losses=[["us"]])

    players = [{region.code: region.after for region in loss.regions} for loss in (told.baseline, *told.losses)]
    assert [each["eu"] for each in players] == [0, 0]
    assert [sum(each.values()) for each in players] == [600, 600]
