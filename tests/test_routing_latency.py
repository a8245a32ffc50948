"""How far regions are from a player: sources, measurements that are believed, and the great circle."""

import math
import random
from typing import Any

import pytest

from aether_deploy.routing.decision.latency import (
    LatencyTable,
    arc_km,
    disbelief,
    great_circle_km,
    great_circle_ms,
    score_ms,
    unit_vector,
)
from aether_deploy.routing.policy import LATENCY_SOURCES, LatencyPolicy
from aether_deploy.routing.request import Measurement
from aether_deploy.routing.view import Position, RegionView, RoutingView
from tests.routing_oracle import haversine_km

DUBLIN, VIRGINIA, MUMBAI, BERLIN = (
    Position(53.3, -6.3),
    Position(39.0, -77.5),
    Position(19.1, 72.9),
    Position(52.5, 13.4),
)
VIEW = RoutingView(
    regions=(
        RegionView(code="us", latency_ms=30.0, position=VIRGINIA),
        RegionView(code="eu", latency_ms=90.0, position=DUBLIN),
        RegionView(code="ap", latency_ms=None, position=None),
    ),
    matrix={"us": {"eu": 75.0}, "eu": {"us": 75.0}},
)


def told(policy: LatencyPolicy | None = None, **player: Any) -> dict[str, tuple[float, str | None]]:
    table = LatencyTable(policy or LatencyPolicy(), VIEW)
    asked = (player.get("preferred"), player.get("position"), player.get("measured", {}))
    latencies, sources = table.of(*asked)
    return {code: (round(ms, 1), source) for code, ms, source in zip(table.index, latencies, sources, strict=True)}


NOBODY = (math.inf, None)
SOURCES: dict[str, tuple[dict[str, Any], dict[str, tuple[float, str | None]]]] = {
    "of a player who says nothing the static one is known": (
        {},
        {"us": (30.0, "static"), "eu": (90.0, "static"), "ap": NOBODY},
    ),
    "links count from the region of choice": (
        {"preferred": "us"},
        {"us": (0.0, "matrix"), "eu": (75.0, "matrix"), "ap": NOBODY},
    ),
    "a region without links leaves the static one": (
        {"preferred": "ap"},
        {"us": (30.0, "static"), "eu": (90.0, "static"), "ap": NOBODY},
    ),
    "a position tells of regions that have one": (
        {"position": BERLIN},
        {"us": (101.0, "great_circle"), "eu": (19.8, "great_circle"), "ap": NOBODY},
    ),
    "links say more than a position": (
        {"preferred": "us", "position": BERLIN},
        {"us": (0.0, "matrix"), "eu": (75.0, "matrix"), "ap": NOBODY},
    ),
    "a position on no globe is none": (
        {"position": Position(91.0, 0.0)},
        {"us": (30.0, "static"), "eu": (90.0, "static"), "ap": NOBODY},
    ),
    "nor is one that is no number": (
        {"position": Position(math.nan, 0.0)},
        {"us": (30.0, "static"), "eu": (90.0, "static"), "ap": NOBODY},
    ),
    "what is measured says most": (
        {"preferred": "us", "measured": {"eu": Measurement(rtt_ms=81.0), "ap": Measurement(rtt_ms=140.0)}},
        {"us": (0.0, "matrix"), "eu": (81.0, "measured"), "ap": (140.0, "measured")},
    ),
    "jitter and loss are felt as delay": (
        {"measured": {"ap": Measurement(rtt_ms=100.0, jitter_ms=8.0, loss_percent=2.0)}},
        {"us": (30.0, "static"), "eu": (90.0, "static"), "ap": (114.0, "measured")},
    ),
    "a region that is not ours is left alone": (
        {"measured": {"mars": Measurement(rtt_ms=1.0)}},
        {"us": (30.0, "static"), "eu": (90.0, "static"), "ap": NOBODY},
    ),
    "what is not believed leaves the next source": (
        {"position": BERLIN, "measured": {"us": Measurement(rtt_ms=5.0), "eu": Measurement(rtt_ms=15.0, samples=2)}},
        {"us": (101.0, "great_circle"), "eu": (19.8, "great_circle"), "ap": NOBODY},
    ),
}


@pytest.mark.parametrize("case", SOURCES)
def test_sources(case: str) -> None:
    player, expected = SOURCES[case]

    assert told(**player) == expected


def test_sources_count_in_the_order_of_the_policy() -> None:
    policy = LatencyPolicy(sources=("static", "measured"))
    player = {"preferred": "us", "measured": {code: Measurement(rtt_ms=1.0) for code in ("us", "ap")}}

    assert told(policy, **player) == {"us": (30.0, "static"), "eu": (90.0, "static"), "ap": (1.0, "measured")}


def test_what_the_policy_does_not_name_says_nothing() -> None:
    player = {"preferred": "us", "position": BERLIN, "measured": {"us": Measurement(rtt_ms=1.0)}}

    assert told(LatencyPolicy(sources=("static",)), **player) == told(LatencyPolicy(sources=("static",)))


def test_without_a_position_the_one_of_the_preferred_region_serves() -> None:
    policy = LatencyPolicy(sources=("great_circle",))

    assert told(policy, preferred="eu")["us"] == told(policy, position=DUBLIN)["us"]
    assert told(policy, preferred="eu")["eu"] == (0.0, "great_circle")


KM = great_circle_km(BERLIN, VIRGINIA)
BELIEFS: dict[str, tuple[Measurement, float | None, str | None]] = {
    "three samples of ten minutes ago": (Measurement(rtt_ms=90, samples=3, age_secs=600), None, None),
    "two samples": (Measurement(rtt_ms=90, samples=2), None, "2 samples < 3"),
    "more than ten minutes ago": (Measurement(rtt_ms=90, age_secs=600.5), None, "600.5 s old > 600 s"),
    "no number": (Measurement(rtt_ms=math.nan), None, "is no round trip, jitter and loss"),
    "an age that is no number": (Measurement(rtt_ms=9, age_secs=math.nan), None, "nan s old > 600 s"),
    "for ever": (Measurement(rtt_ms=math.inf), None, "is no round trip, jitter and loss"),
    "before it was sent": (Measurement(rtt_ms=-1), None, "is no round trip, jitter and loss"),
    "jitter below zero, to win": (Measurement(rtt_ms=90, jitter_ms=-170), None, "is no round trip, jitter and loss"),
    "loss below zero, to win": (Measurement(rtt_ms=90, loss_percent=-9), None, "is no round trip, jitter and loss"),
    "as soon as light and a fifth": (Measurement(rtt_ms=KM * 0.008), KM, None),
    "sooner": (
        Measurement(rtt_ms=KM * 0.00799),
        KM,
        f"{KM * 0.00799:g} ms is sooner than light could answer over {KM:.0f} km",
    ),
}


@pytest.mark.parametrize("case", BELIEFS)
def test_measured(case: str) -> None:
    measured, km, expected = BELIEFS[case]

    assert disbelief(measured, LatencyPolicy(), km) == expected


def test_a_decision_believes_exactly_what_an_explanation_does() -> None:
    chance = random.Random(5)
    table = LatencyTable(LatencyPolicy(sources=("measured",)), VIEW)
    odd = [-1.0, 0.0, 1.0, 20.0, 60.0, 100.0, math.inf, math.nan]
    for _ in range(20_000):
        measured = Measurement(
            rtt_ms=chance.choice(odd),
            jitter_ms=chance.choice(odd),
            loss_percent=chance.choice(odd),
            samples=chance.choice([2, 3]),
            age_secs=chance.choice([600.0, 601.0, math.nan]),
        )
        position = chance.choice([None, BERLIN, MUMBAI])
        km = None if position is None else great_circle_km(position, VIRGINIA)

        latencies, sources = table.of(None, position, {"us": measured})

        believed = disbelief(measured, table.policy, km) is None
        assert sources[0] == ("measured" if believed else None), measured
        assert latencies[0] == (score_ms(measured) if believed else math.inf), measured


def test_asking_twice_gives_the_same_and_spoils_nothing() -> None:
    table = LatencyTable(LatencyPolicy(), VIEW)
    before = [tuple(each) for each in table.of("us", None, {})]

    table.of("us", BERLIN, {"us": Measurement(rtt_ms=1.0), "ap": Measurement(rtt_ms=1.0)})

    assert [tuple(each) for each in table.of("us", None, {})] == before


def test_names_that_strangers_make_up_are_not_kept() -> None:
    table = LatencyTable(LatencyPolicy(), VIEW)
    for number in range(100):
        table.of(f"stranger-{number}", None, {})

    assert len(table._rows) == 0


# --- the great circle


def test_distances_are_those_of_another_formula() -> None:
    chance = random.Random(3)
    for _ in range(5000):
        near = chance.random() < 0.5
        a = Position(chance.uniform(-90, 90), chance.uniform(-180, 180))
        b = Position(chance.uniform(-90, 90), chance.uniform(-180, 180))
        b = Position(max(-90.0, a.lat - 1e-3), a.lon) if near else b

        assert great_circle_km(a, b) == pytest.approx(haversine_km(a, b), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    "a, b, km",
    [
        (BERLIN, BERLIN, 0.0),
        (Position(0.0, 0.0), Position(0.0, 180.0), math.pi * 6371.0),
        (Position(90.0, 0.0), Position(-90.0, 77.0), math.pi * 6371.0),
        (Position(0.0, -179.5), Position(0.0, 179.5), math.pi * 6371.0 / 180),
        (DUBLIN, VIRGINIA, 5464.0),
    ],
)
def test_distances_that_are_known(a: Position, b: Position, km: float) -> None:
    assert great_circle_km(a, b) == pytest.approx(km, rel=2e-3)
    assert great_circle_km(a, b) == great_circle_km(b, a)
    assert great_circle_ms(a, b) == great_circle_km(a, b) * 0.015


def test_a_prepared_place_is_as_far_as_the_place() -> None:
    assert arc_km(unit_vector(DUBLIN), unit_vector(MUMBAI)) == great_circle_km(DUBLIN, MUMBAI)


def test_every_source_has_a_rank() -> None:
    assert {*LatencyTable(LatencyPolicy(), VIEW).rank} == {*LATENCY_SOURCES, None}
