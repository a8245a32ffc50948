"""Answers that are known before anybody asks: the same as those that are made, and never those of another view."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from aether_deploy.service.router.bundle import verify_bundle
from tests.router_cases import FULL_POLICY, Bench, new_keys

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-south-1"


@pytest.fixture
def bench() -> Bench:
    """A router of three healthy regions with every rule on."""
    return Bench(**FULL_POLICY).probe("ready")


def ready_json(bench: Bench, code: str) -> tuple[list[bytes], Any]:
    """Return the head, line by line, and the body of a ready answer."""
    head, _, body = bench.application.ready[f"/v1/route?preferred={code}".encode()].partition(b"\r\n\r\n")
    return head.split(b"\r\n"), json.loads(body)


def test_a_ready_answer_is_the_one_that_would_be_made(bench: Bench) -> None:
    for change in ("nothing", "not_ready", "drain"):
        if change == "not_ready":
            bench.probe("not_ready", EAST)
        if change == "drain":
            bench.order("POST", f"/v1/regions/{WEST}/drain", {})
        for code in (EAST, WEST, SOUTH):
            head, body = ready_json(bench, code)

            assert body == bench.ask(f"/v1/route?preferred={code}").json
            assert head[0] == b"HTTP/1.1 200 OK"
            assert set(head[1:]) >= {b"Content-Type: application/json", b"Cache-Control: no-store"}


def test_ready_answers_are_replaced_with_the_view_and_never_changed(bench: Bench) -> None:
    before = bench.application.ready
    kept = dict(before)

    bench.probe("not_ready", EAST)

    assert bench.application.ready is not before
    assert before == kept
    assert ready_json(bench, EAST)[1]["region"] == WEST


def test_where_who_asks_decides_nothing_is_ready(bench: Bench) -> None:
    bench.probe("not_ready", EAST).probe("ready", EAST, times=2)
    warming = bench.application.ready
    told = {bench.ask(f"/v1/route?preferred={EAST}&player=p{number}").json["region"] for number in range(100)}

    bench.now += 61
    bench.live.refresh()

    assert list(warming) == [f"/v1/route?preferred={SOUTH}".encode()]  # to which the one that warms up is the last
    assert told == {EAST, WEST}
    assert len(bench.application.ready) == 3


def test_ready_answers_exist_exactly_where_all_players_are_told_the_same(bench: Bench) -> None:
    states: list[Callable[[], object]] = [
        lambda: bench.order("PUT", f"/v1/regions/{EAST}/load", {"players": 84, "capacity": 100}),
        lambda: bench.order("PUT", f"/v1/regions/{EAST}/load", {"players": 90, "capacity": 100}),
        lambda: bench.order("PUT", f"/v1/regions/{EAST}/load", {"players": 95, "capacity": 100}),
        lambda: bench.order("POST", f"/v1/regions/{WEST}/drain", {"bleed_secs": 100}),
        lambda: setattr(bench, "now", bench.now + 50),
        lambda: setattr(bench, "now", bench.now + 51),
    ]
    for state in states:
        state()
        bench.live.refresh()
        answers: set[str] = set()
        for number in range(400):
            told = bench.ask(f"/v1/route?preferred={EAST}&player=player-{number}").json
            answers.add(json.dumps(told))

        assert (f"/v1/route?preferred={EAST}".encode() in bench.application.ready) == (len(answers) == 1)


def test_a_player_without_a_name_is_counted_where_his_address_may_decide(bench: Bench) -> None:
    for named in ("", "&player=ann"):
        bench.ask(f"/v1/route?preferred={EAST}{named}")
    calm = bench.live.counts.shared_by_address
    bench.probe("not_ready", EAST).probe("ready", EAST, times=2)
    for named in ("", "&player=ann", ""):
        bench.ask(f"/v1/route?preferred={EAST}{named}")

    assert (calm, bench.live.counts.shared_by_address) == (0, 2)
    assert b"\naether_router_decisions_by_address_total 2\n" in bench.ask("/metrics").body


def test_an_anonymous_player_under_a_share_is_his_address(bench: Bench) -> None:
    bench.probe("not_ready", EAST).probe("ready", EAST, times=2)
    addresses = [f"198.51.100.{number}" for number in range(60)]

    told = [[bench.ask(f"/v1/route?preferred={EAST}", peer=each).json["region"] for each in addresses] for _ in "ab"]

    assert told[0] == told[1]
    assert set(told[0]) == {EAST, WEST}


def test_ready_answers_are_counted_under_the_view_that_they_came_from(bench: Bench) -> None:
    target = f"/v1/route?preferred={EAST}".encode()
    for _ in range(3):
        bench.application.counted(target)
    bench.probe("not_ready", EAST)
    bench.application.counted(target)

    bench.live.tick()

    counts = bench.live.counts.decisions
    assert (counts["primary", EAST, ""], counts["failover", WEST, "preferred_unhealthy"]) == (3, 1)


def test_a_bundle_is_signed_anew_within_the_hour_while_nothing_else_changes() -> None:
    keys = new_keys()[1]
    bench = Bench(keys=keys).probe("ready")
    first = ready_json(bench, EAST)[1]["bundle"]
    bench.wall += 3600

    bench.live.tick()

    second = verify_bundle(ready_json(bench, EAST)[1]["bundle"], keys.public, bench.wall)
    assert verify_bundle(first, keys.public, bench.wall).epoch == second.epoch
    assert second.issued == int(bench.wall)
