"""Orders to a router: who may give them, what they do, and that nobody else changes anything."""

from typing import Any

import pytest

from aether_deploy import ConfigError
from aether_deploy.service.router import journal, live
from aether_deploy.service.router.endpoints import ENDPOINTS
from aether_deploy.service.router.rights import AdminToken, read_admin_token
from tests.router_cases import FULL_POLICY, TOKEN, Answer, Bench, config_values, new_keys

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-south-1"
ORDERS: dict[str, tuple[str, str, Any]] = {
    "load": ("PUT", f"/v1/regions/{EAST}/load", {"players": 99, "capacity": 100}),
    "drain": ("POST", f"/v1/regions/{EAST}/drain", {"mode": "hard"}),
    "undrain": ("DELETE", f"/v1/regions/{WEST}/drain", None),
    "reserve": ("POST", "/v1/reservations", {"region": EAST, "players": 90}),
    "release": ("DELETE", "/v1/reservations/t-1", None),
    "joined": ("POST", "/v1/reservations/t-1/joined", None),
}
WRONG = {
    "none": {},
    "another": {"authorization": "Bearer an-admin-token-of-32-characters?"},
    "a part": {"authorization": f"Bearer {TOKEN[:-1]}"},
    "more": {"authorization": f"Bearer {TOKEN}x"},
    "empty": {"authorization": "Bearer "},
    "no scheme": {"authorization": TOKEN},
    "another scheme": {"authorization": f"Basic {TOKEN}"},
    "upper case": {"authorization": f"Bearer {TOKEN.upper()}"},
    "beyond ASCII": {"authorization": "Bearer ünïcödé-tökén-öf-32-chäräctérs"},
    "two": {"authorization": f"Bearer x, Bearer {TOKEN}"},
}


@pytest.fixture
def bench() -> Bench:
    """A router of three healthy regions, one of which drains, with a place kept in another."""
    bench = Bench(**FULL_POLICY).probe("ready")
    bench.order("PUT", f"/v1/regions/{EAST}/load", {"players": 10, "capacity": 100})
    bench.order("POST", f"/v1/regions/{WEST}/drain", {"mode": "soft"})
    bench.order("POST", "/v1/reservations", {"region": EAST, "players": 3})
    return bench


def region(bench: Bench, code: str) -> dict[str, Any]:
    told: dict[str, Any] = next(each for each in bench.ask("/v1/regions").json["regions"] if each["code"] == code)
    return told


# --- who may


def test_the_orders_here_are_all_that_there_are() -> None:
    assert len(ORDERS) == sum(endpoint.is_order for endpoint in ENDPOINTS)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("case", WRONG)
def test_without_the_right_token_nothing_changes(case: str, order: str, bench: Bench) -> None:
    method, target, body = ORDERS[order]
    view, before = bench.live.view, bench.ask("/v1/regions").json

    answer = bench.ask(target, body, method=method, headers=WRONG[case])

    assert (answer.status, answer.json["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="router"'
    assert bench.ask("/v1/regions").json == before
    assert bench.live.view is view
    assert bench.live.counts.refused_admin == 1


@pytest.mark.parametrize("order", ORDERS)
def test_with_the_right_token_something_changes(order: str, bench: Bench) -> None:
    method, target, body = ORDERS[order]
    view = bench.live.view

    answer = bench.order(method, target, body)

    assert answer.status < 300
    if order == "joined":  # nothing that decisions see: the place is kept until the region counts him
        assert (bench.live.view, bench.order(method, target).status) == (view, 404)
    else:
        assert bench.live.view.epoch == view.epoch + 1


@pytest.mark.parametrize("order", ORDERS)
def test_without_a_token_file_orders_are_off(order: str) -> None:
    bench = Bench(token=None).probe("ready")
    method, target, body = ORDERS[order]
    view = bench.live.view

    answer = bench.ask(target, body, method=method, token=TOKEN)

    assert (answer.status, answer.json["code"]) == (403, "admin_off")
    assert "--admin-token-file" in answer.json["detail"]
    assert bench.live.view is view


def test_who_lacks_the_token_does_not_even_learn_what_is_wrong_with_the_order(bench: Bench) -> None:
    faulty = bench.ask(f"/v1/regions/{EAST}/load", b"nonsense", method="PUT")
    nowhere = bench.ask("/v1/regions/mars-1/drain", {}, method="POST")

    assert (faulty.status, nowhere.status) == (401, 401)


TOKEN_FILES = {
    "empty": (b"\n \n", "is empty"),
    "short": (b"secret\n", "holds a token of 6 characters; fewer than 16 can be guessed"),
    "two words": (b"two words of a token", "holds something else than one word of printable ASCII"),
    "two lines": (
        b"an-admin-token-line-1\nan-admin-token-line-2\n",
        "holds something else than one word of printable ASCII",
    ),
    "beyond ASCII": ("ein-schlüssel-mit-umlaut".encode(), "holds something else than one word of printable ASCII"),
    "long": (b"x" * 1025, "holds a token of 1025 characters; more than 1024 do not fit into a header"),
}


@pytest.mark.parametrize("case", TOKEN_FILES)
def test_a_token_file_that_protects_nothing_is_refused(case: str) -> None:
    content, reason = TOKEN_FILES[case]

    with pytest.raises(ConfigError) as caught:
        read_admin_token(content, file="token")

    assert (
        str(caught.value) == f"token: $: {reason}\n  fix: name the file of the token; to make one: openssl rand -hex 32"
    )


def test_the_spaces_around_a_token_do_not_count() -> None:
    token = read_admin_token(f"  {TOKEN}\r\n".encode(), file="token")

    assert vars(token) == vars(AdminToken(TOKEN.encode()))


# --- what they do


def test_a_load_report_is_what_decisions_go_by_at_once(bench: Bench) -> None:
    answer = bench.order("PUT", f"/v1/regions/{EAST}/load", {"players": 960, "capacity": 1000, "builds": ["2", "1"]})

    assert (answer.status, answer.json["load"], answer.json["builds"]) == (200, 0.963, ["1", "2"])
    assert bench.ask(f"/v1/route?preferred={EAST}").json["reason"] == "preferred_full"


def test_a_report_grows_old_and_then_limits_nothing(bench: Bench) -> None:
    bench.order("PUT", f"/v1/regions/{EAST}/load", {"players": 99, "capacity": 100})
    told = []
    for secs in (0, 15.5, 45):
        bench.now += secs
        east = region(bench, EAST)
        told.append(
            (east["load_stale"], east["load"] is not None, bench.ask(f"/v1/route?preferred={EAST}").json["region"])
        )

    assert told == [(False, True, SOUTH), (True, True, SOUTH), (True, False, EAST)]


def test_a_hard_drain_takes_everybody_away_and_ends_with_the_order(bench: Bench) -> None:
    drained = bench.order("POST", f"/v1/regions/{EAST}/drain", {"mode": "hard"})
    away = bench.ask(f"/v1/route?preferred={EAST}&sticky={EAST}").json
    back = bench.order("DELETE", f"/v1/regions/{EAST}/drain")

    assert drained.json["drain"]["mode"] == "hard"
    assert (away["region"], away["reason"]) == (SOUTH, "preferred_drained")
    assert back.json["drain"] is None
    assert bench.ask(f"/v1/route?preferred={EAST}").json["decision"] == "primary"


def test_an_empty_order_is_a_soft_drain(bench: Bench) -> None:
    answer = bench.order("POST", f"/v1/regions/{EAST}/drain")

    assert (answer.status, answer.json["drain"]["mode"], answer.json["takes_players"]) == (200, "soft", False)


def test_a_drain_that_bleeds_takes_fewer_and_fewer_and_is_hard_from_its_deadline_on(bench: Bench) -> None:
    bench.order("POST", f"/v1/regions/{EAST}/drain", {"bleed_secs": 100, "deadline_secs": 300})
    told = []
    for secs in (0, 50, 50, 200):
        bench.now += secs
        drain = region(bench, EAST)["drain"]
        told.append((drain["mode"], drain["share"], drain["deadline_in_secs"]))

    assert told == [("soft", 1.0, 300.0), ("soft", 0.5, 250.0), ("soft", 0.0, 200.0), ("hard", 0.0, 0.0)]
    drain = region(bench, EAST)["drain"]
    assert (drain["done"], drain["empty"]) == (True, False)  # nobody said that all are gone


def test_a_drain_says_how_long_it_will_take(bench: Bench) -> None:
    bench.order("POST", f"/v1/regions/{EAST}/drain", {})
    for players in (100, 80):
        bench.order("PUT", f"/v1/regions/{EAST}/load", {"players": players})
        bench.now += 10

    assert region(bench, EAST)["drain"]["remaining_secs"] == 30.0


def test_a_drain_is_empty_once_a_report_since_its_begin_has_nobody(bench: Bench) -> None:
    def says(players: int) -> None:
        bench.order("PUT", f"/v1/regions/{EAST}/load", {"players": players})
        bench.now += 31

    def goes() -> tuple[bool, bool]:
        drain = region(bench, EAST)["drain"]
        return drain["done"], drain["empty"]

    says(0)
    bench.order("POST", f"/v1/regions/{EAST}/drain", {"deadline_secs": 60})
    begun = goes()
    says(600)
    says(600)
    overdue = goes()
    says(0)

    assert (begun, overdue, goes()) == ((False, False), (True, False), (True, True))


def test_a_lease_is_a_day_at_most(bench: Bench) -> None:
    answer = bench.order("POST", "/v1/reservations", {"region": EAST, "lease_secs": 86_401})

    assert (answer.status, answer.json["errors"][0]["at"]) == (400, "$.lease_secs")


def test_a_place_is_kept_until_it_is_given_back_or_its_lease_ends(bench: Bench) -> None:
    kept = bench.order("POST", "/v1/reservations", {"region": EAST, "players": 5, "lease_secs": 20})
    with_it = region(bench, EAST)["reserved"]
    given_back = bench.order("DELETE", f"/v1/reservations/{kept.json['id']}")
    without = region(bench, EAST)["reserved"]
    bench.now += 31
    bench.order("PUT", f"/v1/regions/{EAST}/load", {"players": 10, "capacity": 100})

    assert (kept.status, kept.json) == (201, {"id": "t-2", "region": EAST, "players": 5, "lease_secs": 20.0})
    assert (given_back.status, given_back.body) == (204, b"")
    assert (with_it, without, region(bench, EAST)["reserved"]) == (8, 3, 0)


def test_the_place_of_a_player_who_joined_is_given_away_no_second_time_before_a_report_counts_him(bench: Bench) -> None:
    told = []
    bench.order("PUT", f"/v1/regions/{EAST}/load", {"players": 94 - 3, "capacity": 100})
    kept = bench.order("POST", "/v1/reservations", {"region": EAST})
    told.append(region(bench, EAST)["load"])
    joined = bench.order("POST", f"/v1/reservations/{kept.json['id']}/joined")
    told.append(region(bench, EAST)["load"])
    bench.order("PUT", f"/v1/regions/{EAST}/load", {"players": 94 - 2, "capacity": 100})
    told.append(region(bench, EAST)["load"])

    assert (joined.status, joined.body) == (204, b"")
    assert told == [0.95, 0.95, 0.95]


def test_a_reload_that_fails_half_way_replaces_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before = vars(bench.live).copy()

    def fail(*_: object) -> None:
        raise RuntimeError("no answer could be made")

    monkeypatch.setattr(live, "ready_answers", fail)
    with pytest.raises(RuntimeError):
        bench.reload(config_values(drain={WEST: "hard"}), new_keys()[1])

    assert vars(bench.live) == before
    assert bench.ask(f"/v1/route?preferred={EAST}").json["region"] == EAST


def test_a_drain_of_the_description_holds_whatever_is_ordered() -> None:
    bench = Bench(**FULL_POLICY, drain={WEST: "hard"}).probe("ready")
    away = bench.ask(f"/v1/route?preferred={WEST}").json
    ended = bench.order("DELETE", f"/v1/regions/{WEST}/drain").json
    ordered = bench.order("POST", f"/v1/regions/{WEST}/drain", {"mode": "soft"}).json
    bench.reload(config_values(**FULL_POLICY))

    assert (away["decision"], away["reason"]) == ("failover", "preferred_drained")
    assert [(each["drain"]["by"], each["drain"]["mode"]) for each in (ended, ordered, region(bench, WEST))] == [
        ("description", "hard"),
        ("both", "hard"),
        ("order", "soft"),
    ]


def test_a_place_that_is_not_kept_cannot_be_given_back(bench: Bench) -> None:
    answer = bench.order("DELETE", "/v1/reservations/t-99")

    assert (answer.status, answer.json["code"]) == (404, "unknown_reservation")


FAULTY: dict[str, tuple[str, str, Any, int, str]] = {
    "a load of nothing": ("PUT", f"/v1/regions/{EAST}/load", {}, 400, "$"),
    "less than nobody": ("PUT", f"/v1/regions/{EAST}/load", {"players": -1}, 400, "$.players"),
    "half a player": ("PUT", f"/v1/regions/{EAST}/load", {"players": 1.5}, 400, "$.players"),
    "a drain of another kind": ("POST", f"/v1/regions/{EAST}/drain", {"mode": "medium"}, 400, "$.mode"),
    "a drain into the past": ("POST", f"/v1/regions/{EAST}/drain", {"deadline_secs": -5}, 400, "$.deadline_secs"),
    "a hard drain that waits": (
        *("POST", f"/v1/regions/{EAST}/drain", {"mode": "hard", "bleed_secs": 10}, 400, "$.bleed_secs"),
    ),
    "a hard drain that ends": (
        *("POST", f"/v1/regions/{EAST}/drain", {"mode": "hard", "deadline_secs": 10}, 400, "$.deadline_secs"),
    ),
    "a drain that ends before it is over": (
        *("POST", f"/v1/regions/{EAST}/drain", {"bleed_secs": 600, "deadline_secs": 30}, 400, "$.bleed_secs"),
    ),
    "a query beside a body": ("POST", f"/v1/regions/{EAST}/drain?mode=hard", {}, 400, "?mode"),
    "a query instead of a body": ("DELETE", f"/v1/regions/{WEST}/drain?at=noon", None, 400, "?at"),
    "two things at once": (
        *("PUT", f"/v1/regions/{EAST}/load", b'{"players": 1, "capacity": 9, "players": 9}', 400, "$"),
    ),
    "a place nowhere": ("POST", "/v1/reservations", {"region": "us-east-2"}, 400, "$.region"),
    "a place for nobody": ("POST", "/v1/reservations", {"region": EAST, "players": 0}, 400, "$.players"),
}


@pytest.mark.parametrize("case", FAULTY)
def test_a_faulty_order_says_where_and_changes_nothing(case: str, bench: Bench) -> None:
    method, target, body, status, at = FAULTY[case]
    view = bench.live.view

    answer = bench.order(method, target, body)

    assert (answer.status, [each["at"] for each in answer.json["errors"]]) == (status, [at])
    assert bench.live.view is view


@pytest.mark.parametrize(
    "method, path, body", [("PUT", "load", {"players": 1}), ("POST", "drain", {}), ("DELETE", "drain", None)]
)
def test_an_order_for_an_unknown_region_lists_the_known_ones(method: str, path: str, body: Any, bench: Bench) -> None:
    answer: Answer = bench.order(method, f"/v1/regions/mars-1/{path}", body)

    assert (answer.status, answer.json["code"], answer.json["known"]) == (404, "unknown_region", [EAST, WEST, SOUTH])


def test_more_players_than_a_region_takes_get_no_places_there(bench: Bench) -> None:
    view = bench.live.view

    answer = bench.order("POST", "/v1/reservations", {"region": EAST, "players": 101})

    assert (answer.status, answer.json["code"]) == (409, "never_fits")
    assert answer.json["detail"] == "us-east-1 takes 100 players, and never 101 at once"
    assert bench.live.view is view
    assert region(bench, EAST)["reserved"] == 3


def test_a_full_region_is_told_as_one_that_takes_nobody(bench: Bench) -> None:
    bench.order("PUT", f"/v1/regions/{EAST}/load", {"players": 1950, "capacity": 2000})

    assert region(bench, EAST)["takes_players"] is False
    assert 'aether_router_region_takes_players{region="us-east-1"} 0\n' in bench.ask("/metrics").body.decode()
    assert bench.ask(f"/v1/route?preferred={EAST}").json["reason"] == "preferred_full"


def test_places_fill_a_region_that_never_reported() -> None:
    values = config_values(**FULL_POLICY)
    values["regions"][0]["capacity_players"] = 1000
    bench = Bench(**FULL_POLICY)
    bench.reload(values)
    bench.probe("ready")
    bench.order("POST", "/v1/reservations", {"region": EAST, "players": 950})

    assert (region(bench, EAST)["load"], region(bench, EAST)["load_at_least"]) == (0.95, True)
    assert bench.ask(f"/v1/route?preferred={EAST}").json["reason"] == "preferred_full"


def test_what_is_ordered_is_noted_but_for_the_token(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "CLOSE_SECS", 90.0)
    bench.order("POST", f"/v1/regions/{SOUTH}/drain", {"mode": "hard"})
    bench.journal.close()

    assert b'"event":"drain","region":"ap-south-1","peer":"198.51.100.7","mode":"hard"' in bench.said.lines
    assert TOKEN.encode() not in bench.said.lines
