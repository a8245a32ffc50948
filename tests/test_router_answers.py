"""What a router answers to players: decisions in full, faults all at once, and answers that are known beforehand."""

import itertools
import json
from typing import Any

import pytest

from aether_deploy.routing.decision_log import ERROR_CODES
from aether_deploy.routing.request import Measurement, RouteRequest
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.viewing import view_of
from aether_deploy.service.http.messages import Request, Response
from aether_deploy.service.router.answers import KEPT, TITLES, RouteAnswers
from aether_deploy.service.router.bundle import verify_bundle
from tests.router_cases import FULL_POLICY, Bench, new_keys

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-south-1"


@pytest.fixture
def bench() -> Bench:
    """A router of three healthy regions with every rule on."""
    return Bench(**FULL_POLICY).probe("ready")


# --- decisions


def test_a_healthy_preferred_region_is_primary_with_everything_that_a_client_needs(bench: Bench) -> None:
    answer = bench.ask(f"/v1/route?preferred={EAST}")

    assert (answer.status, answer.content_type, answer.headers["Cache-Control"]) == (
        200,
        "application/json",
        "no-store",
    )
    assert answer.json == {
        "decision": "primary",
        "region": EAST,
        "preferred": EAST,
        "address": "us-east-1.play.example.com",
        "latency_ms": 0.0,
        "source": "matrix",
        "alternates": [
            {"region": WEST, "address": "eu-west-1.play.example.com"},
            {"region": SOUTH, "address": "ap-south-1.play.example.com"},
        ],
        "epoch": bench.live.view.epoch,
        "stale": False,
        "ttl_secs": 30,
        "sticky": EAST,
    }


def test_a_region_that_says_it_is_not_ready_is_left_at_once_for_the_closest(bench: Bench) -> None:
    bench.probe("not_ready", EAST)

    told = bench.ask(f"/v1/route?preferred={EAST}").json

    assert (told["decision"], told["region"], told["reason"]) == ("failover", WEST, "preferred_unhealthy")


def test_a_silent_region_is_left_after_the_third_silence_and_not_before(bench: Bench) -> None:
    told = []
    for _ in range(3):
        bench.probe("timeout", EAST)
        told.append(bench.ask(f"/v1/route?preferred={EAST}").json["region"])

    assert told == [EAST, EAST, WEST]


def test_a_player_without_a_preference_goes_where_he_measured_least(bench: Bench) -> None:
    measured = {WEST: {"rtt_ms": 20}, EAST: {"rtt_ms": 90}, "mars-1": {"rtt_ms": 1}}

    told = bench.ask("/v1/route", {"player": "anna", "measured": measured}).json

    assert (told["decision"], told["region"], told["latency_ms"], told["source"]) == ("primary", WEST, 20.0, "measured")


def test_a_position_in_the_query_is_enough(bench: Bench) -> None:
    told = bench.ask("/v1/route?lat=48.85&lon=2.35").json

    assert (told["region"], told["source"]) == (WEST, "great_circle")


def test_a_party_is_sent_where_the_one_who_has_it_worst_has_it_best(bench: Bench) -> None:
    far = {EAST: {"rtt_ms": 60}, WEST: {"rtt_ms": 20}}
    near = {EAST: {"rtt_ms": 60}, WEST: {"rtt_ms": 80}}

    told = bench.ask("/v1/route", {"measured": far, "party": [{"measured": near}]}).json

    assert (told["region"], told["latency_ms"]) == (EAST, 60.0)


def test_residency_sends_no_player_anywhere_else(bench: Bench) -> None:
    asked = f"/v1/route?preferred={EAST}&residency=eu-players"

    there, gone = bench.ask(asked), bench.probe("not_ready", WEST).ask(asked)

    assert (there.json["region"], there.json["reason"]) == (WEST, "preferred_not_allowed")
    assert (gone.status, gone.json["code"]) == (503, "no_healthy_region")


def test_an_unknown_region_is_no_fault_of_the_player(bench: Bench) -> None:
    told = bench.ask("/v1/route?preferred=mars-1").json

    assert (told["decision"], told["reason"], told["region"]) == ("failover", "preferred_unknown", EAST)


def test_where_unknown_regions_are_refused_the_known_ones_are_listed() -> None:
    bench = Bench(on_unknown="error").probe("ready")

    answer = bench.ask("/v1/route?preferred=mars-1")

    assert (answer.status, answer.json["code"], answer.json["known"]) == (404, "unknown_region", [EAST, WEST, SOUTH])


def test_every_error_of_a_decision_can_be_told() -> None:
    assert set(ERROR_CODES) <= set(TITLES)
    bench = Bench(**FULL_POLICY).probe("ready")

    answer = bench.live.route(RouteRequest(preferred=EAST, residency="nowhere"))  # a rule that a reload took away

    assert (answer.status, json.loads(answer.body)["code"]) == (400, "unknown_residency")


def test_a_partys_members_bring_their_builds_and_residencies() -> None:
    bench = Bench(**FULL_POLICY).probe("ready")
    bench.order("PUT", f"/v1/regions/{SOUTH}/load", {"players": 1, "capacity": 100, "builds": ["2"]})

    at_home = bench.ask("/v1/route", {"preferred": EAST, "party": [{"preferred": EAST}]}).json
    kept = bench.ask("/v1/route", {"preferred": EAST, "party": [{"preferred": EAST, "residency": "eu-players"}]}).json
    old = bench.ask("/v1/explain", {"preferred": SOUTH, "build": "2", "party": [{"preferred": SOUTH, "build": "1"}]})
    unknown = bench.ask("/v1/route", {"party": [{}, {"residency": "eu-playes"}]})

    assert at_home["region"] == EAST
    assert (kept["region"], kept["reason"]) == (WEST, "preferred_not_allowed")
    assert old.json["reason"] == "preferred_wrong_build"
    assert "speaks 2; the party speaks 1, 2" in old.body.decode()
    assert [each["at"] for each in unknown.json["errors"]] == ["$.party[1].residency"]


def test_what_players_ask_fills_no_memory() -> None:
    codes = [f"r{number:02}" for number in range(12)]
    config = RouterConfig.from_values({"regions": [{"code": code, "latency_ms": 10} for code in codes]})
    answers = RouteAnswers(config, new_keys()[1], wall=lambda: 1_764_000_000.0)
    view = view_of(config)
    for order in itertools.islice(itertools.permutations(codes, 4), KEPT + 200):
        measured = {code: Measurement(rtt_ms=10.0 + order.index(code) if code in order else 100.0) for code in codes}
        routed = answers.decide(view, RouteRequest(measured=measured))
        answers.response(view, routed)

    assert len(answers._signed) == KEPT
    assert len(answers._worded) == 0  # what one player measured is nobody else's answer


def test_an_answer_that_is_kept_is_that_of_its_view_and_hour() -> None:
    bench = Bench(keys=new_keys()[1], **FULL_POLICY).probe("ready")
    target = f"/v1/route?preferred={EAST}&player=ann"
    told = [bench.ask(target), bench.ask(target)]
    bench.order("PUT", f"/v1/regions/{SOUTH}/load", {"players": 1, "capacity": 100})
    told.append(bench.ask(target))
    bench.wall += 3600
    told.append(bench.ask(target))

    assert told[0] == told[1]
    assert [each.json["epoch"] - told[0].json["epoch"] for each in told] == [0, 0, 1, 1]
    assert told[2].json["bundle"] != told[3].json["bundle"]


def test_before_the_first_probe_nobody_is_sent_anywhere_and_told_when_to_come_back() -> None:
    answer = Bench().ask(f"/v1/route?preferred={EAST}")

    assert (answer.status, answer.content_type) == (503, "application/problem+json")
    assert (answer.json["code"], answer.headers["Retry-After"]) == ("no_healthy_region", "3")


def test_full_regions_are_told_from_dead_ones(bench: Bench) -> None:
    for code in (EAST, WEST, SOUTH):
        bench.order("PUT", f"/v1/regions/{code}/load", {"players": 99, "capacity": 100})

    assert bench.ask(f"/v1/route?preferred={EAST}").json["code"] == "no_capacity"


def test_a_region_that_nobody_probes_takes_players_from_the_begin() -> None:
    assert Bench(probes={}).ask(f"/v1/route?preferred={SOUTH}").json["region"] == SOUTH


# --- faults


def test_every_fault_of_a_query_is_told_at_once(bench: Bench) -> None:
    answer = bench.ask("/v1/route?prefered=x&lat=91&joining=maybe&waited_secs=-1&player=a b")

    assert (answer.status, answer.json["code"]) == (400, "bad_request")
    assert [(each["at"], each["reason"]) for each in answer.json["errors"]] == [
        ("?prefered", "is no parameter"),
        ("?joining", "is 'maybe'; expected true or false"),
        ("?waited_secs", "is -1; not between 0 and 86400"),
        ("?player", "is 'a b'; not a player's name"),
        ("?lon", "lacks 'lon'"),
        ("?lat", "is 91; not between -90 and 90"),
    ]
    assert answer.json["errors"][0]["fix"] == "did you mean 'preferred'?"
    assert all(each["fix"] for each in answer.json["errors"])


def test_every_fault_of_a_body_is_told_at_once_with_its_place(bench: Bench) -> None:
    body = {
        "measured": {EAST: {"rtt_ms": -1, "jiter_ms": 2}, WEST: 3},
        "party": [{"preferred": 7}],
        "residency": "moon",
    }

    told = bench.ask("/v1/route", body).json["errors"]

    assert [each["at"] for each in told] == [
        f"$.measured.{EAST}",
        f"$.measured.{EAST}.rtt_ms",
        f"$.measured.{WEST}",
        "$.party[0].preferred",
    ]
    assert told[0]["fix"] == "did you mean 'jitter_ms'?"


NONSENSE = {
    "no JSON": b'{"preferred": ',
    "two documents": b"{} {}",
    "a list": b"[]",
    "text": b'"us-east-1"',
    "bad UTF-8": b'{"player": "\xff"}',
    "a number that no float holds": b'{"waited_secs": 1e999}',
    "not a number": b'{"waited_secs": NaN}',
    "nested beyond reason": b"[" * 60_000,
    "a truth for a number": b'{"waited_secs": true}',
    "a control character": b'{"player": "a\\u0007"}',
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_is_a_bad_request(case: str, bench: Bench) -> None:
    answer = bench.ask("/v1/route", NONSENSE[case])

    assert (answer.status, answer.json["code"]) == (400, "bad_request")
    assert answer.json["errors"]


def test_null_is_as_left_out(bench: Bench) -> None:
    body = {"preferred": EAST, "position": None, "sticky": None, "measured": {WEST: None}, "waited_secs": None}

    assert bench.ask("/v1/route", body).json["region"] == EAST


def test_an_unknown_residency_is_a_fault_and_no_wish(bench: Bench) -> None:
    told = bench.ask("/v1/route?residency=eu-player").json["errors"]

    assert told == [
        {
            "at": "?residency",
            "reason": "is 'eu-player'; no rule has that name",
            "fix": "did you mean 'eu-players'?",
        }
    ]


def test_a_party_of_a_hundred_is_the_largest(bench: Bench) -> None:
    most, more = ({"preferred": EAST, "party": [{}] * size} for size in (99, 100))

    assert bench.ask("/v1/route", most).status == 200
    assert bench.ask("/v1/route", more).json["errors"][0]["at"] == "$.party"


def test_a_body_that_is_said_to_be_something_else_is_refused(bench: Bench) -> None:
    form = bench.ask("/v1/route", b"preferred=x", headers={"content-type": "application/x-www-form-urlencoded"})
    json_ = bench.ask("/v1/route", {"preferred": EAST}, headers={"content-type": "Application/JSON; charset=utf-8"})

    assert (form.status, form.json["code"], json_.status) == (415, "unsupported_media_type", 200)


def test_a_wrong_path_and_a_wrong_method_are_told_apart(bench: Bench) -> None:
    nowhere, wrong = bench.ask("/v2/route"), bench.ask("/v1/route", method="DELETE")

    assert (nowhere.status, nowhere.json["code"]) == (404, "not_found")
    assert (wrong.status, wrong.json["code"], wrong.headers["Allow"]) == (405, "method_not_allowed", "GET, POST")


# --- tokens and bundles


def test_a_token_keeps_a_player_while_it_is_little_further(bench: Bench) -> None:
    measured = {EAST: {"rtt_ms": 30}, WEST: {"rtt_ms": 60}, SOUTH: {"rtt_ms": 90}}
    token = bench.ask(f"/v1/route?preferred={WEST}").json["sticky"]

    back = bench.ask("/v1/route", {"measured": measured, "sticky": token}).json
    far = bench.ask("/v1/route", {"measured": measured, "sticky": SOUTH}).json

    assert (back["region"], far["region"]) == (WEST, EAST)


def test_a_signed_token_counts_and_a_forged_one_is_as_none() -> None:
    bench = Bench(keys=new_keys()[1], **FULL_POLICY).probe("ready")
    measured = {EAST: {"rtt_ms": 30}, WEST: {"rtt_ms": 60}}
    token = bench.ask(f"/v1/route?preferred={WEST}").json["sticky"]
    other = Bench(keys=new_keys()[1], **FULL_POLICY).probe("ready").ask(f"/v1/route?preferred={WEST}").json["sticky"]
    body, _, signature = token.partition(".")
    forged = [WEST, other, f"{body}.{signature[::-1]}", f"{body}.", f"{body[:-1]}.{signature}", "a.b.c", "x" * 400]

    kept = bench.ask("/v1/route", {"measured": measured, "sticky": token}).json["region"]
    lost = [bench.ask("/v1/route", {"measured": measured, "sticky": each}) for each in forged]

    assert kept == WEST
    assert [(each.status, each.json["region"]) for each in lost] == [(200, EAST)] * len(forged)
    assert bench.live.counts.refused_tokens == len(forged)


def test_a_forged_token_opens_no_region_that_is_closed_to_all() -> None:
    bench = Bench(**FULL_POLICY).probe("ready").probe("not_ready", SOUTH)
    bench.order("POST", f"/v1/regions/{WEST}/drain", {"mode": "hard"})

    told = [bench.ask(f"/v1/route?preferred={EAST}&sticky={code}").json["region"] for code in (WEST, SOUTH)]

    assert told == [EAST, EAST]


def test_a_bundle_holds_the_answer_and_its_alternates_in_order() -> None:
    keys = new_keys()[1]
    bench = Bench(keys=keys, **FULL_POLICY).probe("ready")
    told = bench.ask(f"/v1/route?preferred={WEST}").json
    public = bench.ask("/v1/keys").json

    bundle = verify_bundle(told["bundle"], public["keys"], bench.wall + 60)

    assert [each.region for each in bundle.regions] == [
        told["region"],
        *(each["region"] for each in told["alternates"]),
    ]
    assert [each.address for each in bundle.regions] == [f"{each.region}.play.example.com" for each in bundle.regions]
    assert (bundle.epoch, bundle.issued, bundle.key) == (told["epoch"], int(bench.wall), public["signs"])
    assert bundle.expires - bundle.issued == 86_400


def test_without_a_key_there_is_no_bundle_and_no_key(bench: Bench) -> None:
    assert "bundle" not in bench.ask(f"/v1/route?preferred={EAST}").json
    assert bench.ask("/v1/keys").json == {"signs": None, "keys": {}}


# --- explanations and documents for people


def test_an_explanation_is_of_the_decision_that_is_made_and_sends_nobody(bench: Bench) -> None:
    bench.probe("not_ready", EAST)

    told = bench.ask(f"/v1/explain?preferred={EAST}").json
    posted = bench.ask("/v1/explain", {"preferred": EAST, "player": "198.51.100.7"}).json
    decided = bench.ask(f"/v1/route?preferred={EAST}").json

    assert {name: told[name] for name in ("decision", "region", "reason")} == {
        name: decided[name] for name in ("decision", "region", "reason")
    }
    assert posted == told
    assert [each["code"] for each in told["candidates"] if each["chosen"]] == [WEST]
    assert sum(bench.live.counts.decisions.values()) == 1


def test_an_explanation_tells_why_nobody_is_sent_anywhere(bench: Bench) -> None:
    bench.probe("not_ready")

    told = bench.ask(f"/v1/explain?preferred={EAST}")

    assert (told.status, told.json["decision"], told.json["error"]["name"]) == (200, None, "NoHealthyRegionError")


def test_regions_are_told_with_what_probes_brought(bench: Bench) -> None:
    bench.now += 1.5
    bench.probe("not_ready", EAST)

    told = bench.ask("/v1/regions").json
    east = told["regions"][0]

    assert (told["epoch"], told["stale"], told["snapshot_age_secs"]) == (bench.live.view.epoch, False, 1.5)
    assert (east["code"], east["health"], east["takes_players"], east["penalty"]) == (EAST, "unhealthy", False, 1000.0)
    assert east["probe"] == {"outcome": "not_ready", "detail": "said to be not_ready", "took_ms": 10.0, "age_secs": 0.0}


def test_the_self_check_is_told_with_the_regions_and_noted_as_it_turns(bench: Bench) -> None:
    none = bench.ask("/v1/regions").json["self_check"]
    bench.self_check("refused", "refused", "ready", "not_ready", "timeout")
    bench.now += 1.5
    told = bench.ask("/v1/regions").json["self_check"]
    bench.live.forget_self_check()
    bench.self_check("timeout", url="tcp://1.1.1.1:53")
    bench.journal.close()
    noted = [line for line in map(json.loads, bench.said.lines.splitlines()) if line["event"] == "self_check"]

    assert none is None
    assert told == {"outcome": "timeout", "detail": "said to be timeout", "took_ms": 10.0, "age_secs": 1.5}
    assert [(line["url"][:5], line["level"], line["answers"], line.get("means", "")[:16]) for line in noted] == [
        ("https", "warning", False, "it never answere"),
        ("https", "info", True, ""),
        ("https", "warning", False, "if two regions o"),
        ("tcp:/", "warning", False, "it never answere"),
    ]


def test_a_router_is_ready_once_every_region_was_probed_and_while_probes_are_young() -> None:
    bench = Bench()
    none = bench.ask("/readyz")
    some = bench.probe("ready", EAST, WEST).ask("/readyz")
    bench.probe("timeout", SOUTH)
    every = bench.ask("/readyz")
    bench.now += 3.1
    old = bench.ask("/readyz")

    assert [each.status for each in (none, some, every, old)] == [503, 503, 200, 503]
    assert (some.json["code"], some.json["detail"]) == ("not_ready", f"not probed yet: {SOUTH}")
    assert old.json["detail"] == "the oldest probe is 3.1 s old"
    assert bench.ask("/healthz").status == 200


def test_what_the_wall_clock_says_changes_no_decision() -> None:
    bench = Bench(keys=new_keys()[1], **FULL_POLICY).probe("ready")
    bench.order("PUT", f"/v1/regions/{EAST}/load", {"players": 90, "capacity": 100})
    token = bench.ask(f"/v1/route?preferred={WEST}").json["sticky"]
    asked = [{"preferred": EAST, "player": f"p{number}", "sticky": token} for number in range(50)]
    before = [_decided(bench.ask("/v1/route", each).json) for each in asked]

    for jump in (-10 * 365 * 86_400, 20 * 365 * 86_400):
        bench.wall += jump
        bench.live.tick()

        assert [_decided(bench.ask("/v1/route", each).json) for each in asked] == before
        assert bench.ask("/readyz").status == 200


def _decided(told: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in told.items() if name != "bundle"}


def test_the_application_answers_what_the_server_hands_over() -> None:
    answer = Bench().probe("ready").application.answer(Request("GET", "/v1/route", {"preferred": EAST}))

    assert isinstance(answer, Response)
    assert answer.status == 200


# --- what is said twice, or where nobody reads it


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'{"preferred": "eu-west-1", "preferred": "us-east-1"}', ["preferred"]),
        (
            b'{"measured": {"eu-west-1": {"rtt_ms": 1, "rtt_ms": 2}, "eu-west-1": {"rtt_ms": 3}}}',
            ["rtt_ms", "eu-west-1"],
        ),
        (b'{"party": [{"preferred": null, "preferred": null}], "player": "a:b"}', ["preferred"]),
        (b'{"preferred": "eu-west-1", "\\u0070referred": "us-east-1"}', ["preferred"]),
    ],
)
def test_a_key_that_an_object_has_twice_is_refused(body: bytes, names: list[str], bench: Bench) -> None:
    answer = bench.ask("/v1/route", body)

    assert answer.status == 400
    assert [each["reason"] for each in answer.json["errors"]] == [
        f"says '{name}' twice in one object" for name in names
    ]


@pytest.mark.parametrize(
    "body",
    [
        b'{"player": ":::", "build": "a:b", "party": [{"preferred": "eu-west-1"}, {"preferred": "eu-west-1"}]}',
        b'{"player": "\\u003a", "measured": {"eu-west-1": {"rtt_ms": 1}, "us-east-1": {"rtt_ms": 1}}}',
    ],
)
def test_a_colon_in_a_text_and_equal_keys_of_several_objects_are_sound(body: bytes, bench: Bench) -> None:
    assert bench.ask("/v1/route", body).status == 200


@pytest.mark.parametrize("depth", [10, 100, 300, 900, 5000])
@pytest.mark.parametrize("pair", [(b"[", b"]"), (b'{"a":', b"}"), (b'{"a:":', b"}")])
def test_no_depth_of_a_body_is_a_mistake_of_ours(depth: int, pair: tuple[bytes, bytes], bench: Bench) -> None:
    body = b'{"party": ' + pair[0] * depth + b"1" + pair[1] * depth + b"}"

    assert bench.ask("/v1/route", body).status == 400


def test_a_query_beside_a_body_is_refused(bench: Bench) -> None:
    answer = bench.ask(f"/v1/route?preferred={EAST}&lat=1", {"preferred": WEST})

    assert (answer.status, [each["at"] for each in answer.json["errors"]]) == (400, ["?preferred", "?lat"])
