"""Replays of decision logs: a log gives itself, a change gives exactly those who move, and damage is told."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_deploy.problems import Problem
from aether_deploy.routing.decision_log import config_line, loss_line, read_decisions, view_line
from aether_deploy.routing.policy import LoadPolicy, RoutingPolicy
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.viewing import view_of
from aether_deploy.simulation.routing.replay import replay_decisions, seen_by
from tests.decision_logs import AT, HOME, beginning, config_of, log_of, logged, replayed, told_otherwise
from tests.whatif_cases import router_of

SEED = 20261126
PLAIN = router_of()
FULL = view_of(PLAIN, loads={"us": 0.9})


# --- by its own rules


@given(st.lists(st.integers(0, 10**6), max_size=12))
@settings(max_examples=80, deadline=None)
def test_a_log_gives_itself(seeds: list[int]) -> None:
    told = replayed(log_of(seeds))

    assert told.is_exact
    assert told.decisions == told.configs == told.views == len(seeds)
    assert told.players == told.same_players == sum(1 + seed % 3 for seed in seeds)
    assert told.dropped == 5 * sum(place % 7 == 3 for place in range(len(seeds)))


def test_one_answer_that_no_rule_gives_is_found_among_many() -> None:
    lines = log_of([random.Random(SEED).randrange(10**6) for _ in range(50)])
    line = max(place for place, each in enumerate(lines[:100]) if each.startswith(b'{"kind":"route"'))
    lines[line] = told_otherwise(lines[line])

    told = replayed(lines)

    assert not told.is_exact, SEED
    assert [(shift.origin, shift.was, shift.examples[0].line) for shift in told.shifts] == [
        ("mars", "primary", line + 1)
    ]


def test_each_decision_is_made_from_what_was_known_before_it() -> None:
    down = view_of(PLAIN, down=["us"])
    lines = [
        *beginning(PLAIN, FULL),
        logged(PLAIN, FULL, HOME),
        view_line(down, at=AT),
        logged(PLAIN, down, HOME),
        config_line(router_of(on_none_healthy="fail_open"), at=AT),
        view_line(view_of(PLAIN, down=["us", "eu", "ap"]), at=AT),
        logged(router_of(on_none_healthy="fail_open"), view_of(PLAIN, down=["us", "eu", "ap"]), HOME),
    ]

    assert replayed(lines).is_exact
    assert replayed([*lines[:3], *lines[4:]]).players == 3
    assert not replayed([*lines[:3], *lines[4:]]).is_exact


def test_a_log_that_was_cut_off_anywhere_is_read_up_to_there() -> None:
    whole = b"".join([*beginning(PLAIN, FULL), logged(PLAIN, FULL, HOME), logged(PLAIN, FULL, HOME)])

    for end in range(len(whole)):
        lines = whole[:end].splitlines(keepends=True)
        faults: list[Problem] = []
        told = replay_decisions(read_decisions(lines, faults))

        assert faults == []
        assert told.is_exact
        complete = whole[:end].count(b"\n")
        assert told.decisions == max(0, complete - 2)
        assert told.cut_off_line == (None if whole[:end].endswith(b"\n") or not end else complete + 1)


@given(st.binary(max_size=200), st.integers(0, 4))
@settings(max_examples=200, deadline=None)
def test_nonsense_in_a_log_is_told_and_never_decided(nonsense: bytes, place: int) -> None:
    lines = [*beginning(PLAIN, FULL), logged(PLAIN, FULL, HOME), logged(PLAIN, FULL, HOME)]
    lines[place:place] = [each + b"\n" for each in nonsense.split(b"\n")]
    faults: list[Problem] = []

    told = replay_decisions(read_decisions(lines, faults, file="log"))

    assert faults
    assert all(fault.file == "log" and fault.line is not None for fault in faults)
    assert told.is_exact
    assert told.decisions <= 2


IMPOSSIBLE = {
    "less than nobody": (2, b"}\n", b',"count":-4}\n', "Expected `int` >= 1 - at `$.count`"),
    "nobody": (2, b"}\n", b',"count":0}\n', "Expected `int` >= 1 - at `$.count`"),
    "more than there are": (2, b"}\n", b',"count":1%b}\n' % (b"0" * 26), "Expected `int` <= 1000000000000"),
    "an empty region's place": (
        1,
        b'"load":0.9',
        b'"load":-3',
        "Expected `float` >= 0.0 - at `$.view.regions[0].load`",
    ),
    "more than all": (1, b'"load":0.9', b'"ramp":1.1', "Expected `float` <= 1.0 - at `$.view.regions[0].ramp`"),
    "before it left": (1, b'"eu":76', b'"eu":-76', "Expected `float` >= 0.0 - at `$.view.matrix"),
    "fewer losses than none": (3, b'"decisions":5', b'"decisions":-5', "Expected `int` >= 1 - at `$.decisions`"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_a_number_that_cannot_be_is_a_fault_with_its_line(case: str) -> None:
    place, sound, spoiled, says = IMPOSSIBLE[case]
    lines = [*beginning(PLAIN, FULL), logged(PLAIN, FULL, HOME), loss_line(5, at=AT)]
    assert sound in lines[place]
    lines[place] = spoiled.join(lines[place].rsplit(sound, 1))
    faults: list[Problem] = []

    told = replay_decisions(read_decisions(lines, faults, file="log"))

    assert [(fault.file, fault.line, says in fault.reason) for fault in faults] == [("log", place + 1, True)]
    assert told.decisions == (place == 3)


# --- by other rules


def test_those_who_move_are_counted_with_where_and_why() -> None:
    other = msgspec.structs.replace(PLAIN, load=LoadPolicy(soft_percent=90, hard_percent=90))
    lines = [
        *beginning(PLAIN, FULL),
        logged(PLAIN, FULL, HOME, count=7),
        logged(PLAIN, FULL, RouteRequest(player="ann", preferred="us")),
        logged(PLAIN, FULL, RouteRequest(preferred="eu"), count=5),
    ]

    told = replayed(lines, other)

    [shift] = [shift for shift in told.shifts if shift.moves]
    assert (shift.origin, shift.region, shift.was, shift.becomes) == ("us", "eu", "primary", "preferred_full")
    assert (shift.decisions, shift.players, told.moved_players, told.players) == (2, 8, 8, 13)
    assert [(example.line, example.player, example.preferred) for example in shift.examples] == [
        (3, "", "us"),
        (4, "ann", "us"),
    ]


def test_who_is_sent_to_the_same_region_for_another_reason_is_told_and_does_not_move() -> None:
    view = view_of(PLAIN, down=["us"])
    lines = [*beginning(PLAIN, view), logged(PLAIN, view, RouteRequest(preferred="mars"))]
    renamed = router_of({"eu": 9, "mars": 9, "us": 9}, {("eu", "mars"): 10, ("us", "mars"): 20})

    told = replayed(lines, renamed)

    assert [(shift.region, shift.becomes) for shift in told.shifts] == [("mars", "primary")]
    assert told.new_regions == ("mars",)


def test_regions_places_and_links_are_those_of_the_other_rules_and_the_rest_is_of_that_time() -> None:
    was = view_of(PLAIN, down=["us"], loads={"eu": 0.7}, drains={"ap": "hard"})
    other = router_of({"ap": 1, "eu": 2, "sa": 3}, {("eu", "ap"): 5})

    seen = seen_by(other, was)

    assert [region.code for region in seen.regions] == ["ap", "eu", "sa"]
    assert seen.matrix == {"eu": {"ap": 5.0}, "ap": {"eu": 5.0}}
    assert (seen.by_code["eu"].load, seen.by_code["ap"].drain) == (0.7, "hard")
    assert (seen.by_code["sa"].health, seen.by_code["sa"].load) == ("healthy", None)


def test_drains_of_the_description_are_those_of_the_other_rules_and_orders_stay() -> None:
    drained = router_of(drain={"us": "soft", "eu": "hard", "ap": "soft"})
    was = view_of(drained, drains={"us": "hard"})

    seen = [seen_by(other, was, told=drained) for other in (PLAIN, router_of(drain={"ap": "hard"}), drained)]

    assert [[each.by_code[code].drain for code in ("us", "eu", "ap")] for each in seen] == [
        ["hard", "none", "none"],
        ["hard", "none", "hard"],
        ["hard", "hard", "soft"],
    ]


def test_a_drain_that_was_described_is_lifted_by_a_description_without_it() -> None:
    drained = router_of(drain={"us": "hard"})
    view = view_of(drained)
    lines = [*beginning(drained, view), logged(drained, view, RouteRequest(preferred="us"), count=3)]

    told = replayed(lines, PLAIN)

    assert [(shift.origin, shift.region, shift.players) for shift in told.shifts] == [("eu", "us", 3)]


def test_a_player_under_a_rule_that_the_other_rules_lack_gets_an_error() -> None:
    resident = router_of(residency=[{"name": "eu-players", "regions": ["eu"]}])
    lines = [*beginning(resident, FULL), logged(resident, FULL, RouteRequest(preferred="eu", residency="eu-players"))]

    told = replayed(lines, PLAIN)

    assert [(shift.origin, shift.region, shift.becomes) for shift in told.shifts] == [("eu", None, "unknown_residency")]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=8), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_every_player_of_a_log_is_told_the_same_or_is_in_one_shift(seeds: list[int], seed: int) -> None:
    other: RouterConfig = config_of(RoutingPolicy(), ["us-east-1", "eu-west-1", f"region-{seed}"])

    told = replayed([*log_of(seeds), loss_line(2, at=AT)], other)

    assert told.players == told.same_players + sum(shift.players for shift in told.shifts)
    assert told.decisions >= sum(shift.decisions for shift in told.shifts)
    assert [shift.moves for shift in told.shifts] == sorted((shift.moves for shift in told.shifts), reverse=True)
    assert all(0 < len(shift.examples) <= 3 for shift in told.shifts)


@pytest.mark.parametrize("lines", [[], [loss_line(3, at=AT)]], ids=["empty", "only losses"])
def test_a_log_without_decisions_gives_itself(lines: list[bytes]) -> None:
    told = replayed(lines)

    assert told.is_exact
    assert told.decisions == 0
