"""A real edge from our file, before two real stores from ours: what is kept, what is not, and what stays closed."""

import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from aether_deploy.infrastructure.edge.nginx import NginxPlace, nginx_text, stages_needed
from aether_deploy.infrastructure.edge.policy import EdgePage
from aether_deploy.lab.edge.edge import Edge, syntax_fault
from aether_deploy.lab.edge.programs import find_nginx
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.seaweedfs.programs import find_weed
from aether_deploy.lab.seaweedfs.store import ObjectStore
from tests.edge_cases import BUCKET, CLASSES, PAGE, PLACES, edge, policy
from tests.lab_workload_cases import answers
from tests.object_store_cases import FOLLOWED, store
from tests.real import miss

pytestmark = pytest.mark.real

BLOB = bytes(range(256)) * 4096
PAGES = (EdgePage(PAGE), EdgePage("*"), EdgePage("https://*.example.com"))


def need_programs() -> None:
    try:
        find_nginx()
        find_weed()
    except MissingProgramsError as error:
        miss(str(error))


@contextmanager
def edge_before(stores: ObjectStore, region: str = "us") -> Iterator[Edge]:
    with Edge(policy(region), named_places(stores)) as running:
        yield running


def named_places(stores: ObjectStore) -> dict[str, str]:
    """Return where each store stands, by a name: in a cluster it is a name that nginx has to look up, too."""
    return {code: f"localhost:{place.url.rpartition(':')[2]}" for code, place in stores.places.items()}


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[ObjectStore, ObjectStore]]:
    """Two stores in two regions each, which boot at a time: they wait on timers, not on the processor."""
    need_programs()
    with (
        ObjectStore(store(dict(BUCKET), **FOLLOWED), PLACES) as kept,
        ObjectStore(store(dict(BUCKET), **FOLLOWED), PLACES) as doomed,
    ):
        for stores in (kept, doomed):
            stores.wait_ready()
            for region in ("us", "eu"):
                done = stores.set_up_buckets(region)
                assert done.returncode == 0, done.stdout + done.stderr
        yield kept, doomed


@pytest.fixture(scope="module")
def stores(both: tuple[ObjectStore, ObjectStore]) -> ObjectStore:
    """A store in two regions; for tests that end nobody."""
    return both[0]


@pytest.fixture(scope="module")
def doomed(both: tuple[ObjectStore, ObjectStore]) -> ObjectStore:
    """A store in two regions; for the one test that ends it."""
    return both[1]


@pytest.fixture(scope="module")
def cdn(stores: ObjectStore) -> Iterator[Edge]:
    """An edge before ``stores``; each test asks for objects of its own."""
    with edge_before(stores) as running:
        yield running


def put(stores: ObjectStore, key: str, body: bytes, region: str = "us") -> None:
    answer = stores.client(region).ask("PUT", f"/game-assets/{key}", body=body)
    assert answer.status == 200, answer.said


def test_nginx_takes_the_file_of_every_region(tmp_path: Path) -> None:
    need_programs()
    for region in ("us", "eu", "ap"):
        found = msgspec.structs.replace(policy(region, shield="us"), pages=PAGES)
        stages = [f"127.0.0.1:{9001 + at}" for at in range(stages_needed(found))]
        (tmp_path / "resolver.conf").write_text("resolver 127.0.0.1;\n")
        place = NginxPlace(
            listens={"http": "127.0.0.1:9100", "status": "127.0.0.1:9101"},
            stages=stages,
            cache=str(tmp_path / "cache"),
            cache_mb=64,
            run=str(tmp_path),
            resolver=str(tmp_path / "resolver.conf"),
        )
        file = tmp_path / f"{region}.conf"
        file.write_text(nginx_text(found, place))
        inside = file.read_text().replace("assets.aether-prod-data.svc", "localhost")
        file.write_text(inside.replace("assets-repl.aether-prod-data.svc", "localhost"))

        assert syntax_fault(find_nginx(), file, tmp_path) is None


def test_an_object_is_fetched_once_and_then_answered_by_the_edge(stores: ObjectStore, cdn: Edge) -> None:
    put(stores, "public/build/a.js", b"let a")

    first, second = cdn.ask("/public/build/a.js"), cdn.ask("/public/build/a.js")

    assert (first.status, first.body, first.cache) == (200, b"let a", "MISS")
    assert (second.status, second.body, second.cache) == (200, b"let a", "HIT")
    assert second.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert [name for name in second.headers if name.startswith("x-amz")] == []


def test_a_part_is_answered_whether_it_was_kept_or_not(stores: ObjectStore, cdn: Edge) -> None:
    put(stores, "public/build/blob", BLOB)
    part = {"Range": "bytes=1000-1999"}

    cold, warm = cdn.ask("/public/build/blob", headers=part), cdn.ask("/public/build/blob", headers=part)

    assert [cold.status, warm.status] == [206, 206]
    assert cold.body == warm.body == BLOB[1000:2000]
    assert [cold.cache, warm.cache] == ["MISS", "HIT"]


def test_a_hundred_who_ask_at_once_cost_one_fetch(stores: ObjectStore, cdn: Edge) -> None:
    put(stores, "public/build/crowd", BLOB)

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: cdn.ask("/public/build/crowd"), range(100)))

    assert {answer.body for answer in answers} == {BLOB}
    assert sorted(answer.cache for answer in answers) == ["HIT"] * 99 + ["MISS"]


def test_an_index_is_answered_stale_while_it_is_fetched_and_then_new(stores: ObjectStore) -> None:
    (index,) = [dict(each) for each in CLASSES if each["name"] == "index"]
    index["stale_while_revalidate_secs"] = 90  # so long may anybody stand still
    put(stores, "public/index/list", b"old")
    answers: list[tuple[bytes, str]] = []
    with Edge(policy(cache_classes=[index]), named_places(stores)) as cdn:
        cdn.ask("/public/index/list")
        put(stores, "public/index/list", b"new")
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and (not answers or answers[-1][0] != b"new"):
            answers.append(((found := cdn.ask("/public/index/list")).body, found.cache))
            time.sleep(0.05)

    assert {cache for _, cache in answers} <= {"HIT", "STALE", "UPDATING"}
    assert (b"old", "STALE") in answers
    assert answers[-1][0] == b"new"


def test_an_object_that_one_region_lacks_comes_from_the_other(stores: ObjectStore, cdn: Edge) -> None:
    put(stores, "public/build/eu-only", b"there", region="eu")

    assert cdn.ask("/public/build/eu-only").body == b"there"


def test_what_is_not_there_is_remembered_for_a_moment_and_named_by_nobody(stores: ObjectStore, cdn: Edge) -> None:
    first, second = cdn.ask("/public/build/none"), cdn.ask("/public/build/none")

    assert [first.status, second.status, second.cache] == [404, 404, "HIT"]
    assert b"game-assets" not in first.body
    assert "cache-control" not in first.headers


CLOSED = [
    "/private/a",
    "/public/../private/a",
    "/public/%2e%2e/private/a",
    "/public/..%2fprivate/a",
    "/public/%2e%2e%2fprivate%2fa",
    "/public/%252e%252e/private/a",
    "/public//../private/a",
    "/public/build/../../private/a",
    "/public/..;/private/a",
    "/public\\..\\private/a",
    "/public%2f..%2fprivate%2fa",
    "/Public/../private/a",
    "/game-assets/private/a",
    "/",
    "/public",
    "/public/",
    "/?list-type=2",
]


def test_who_asks_for_an_object_that_is_not_kept_waits_for_nobody_else(stores: ObjectStore, cdn: Edge) -> None:
    names = [f"/public/plain/{number}" for number in range(12)]
    for name in names:
        put(stores, name[1:], b"plain")

    def secs(paths: list[str]) -> float:
        with ThreadPoolExecutor(len(paths)) as pool:
            begun = time.monotonic()
            answers = list(pool.map(cdn.ask, paths))
            took = time.monotonic() - begun
        assert {(each.status, each.body) for each in answers} == {(200, b"plain")}
        return took

    apart = secs(names)

    # With a lock each looks every half second whether the one before it is done: 4 s for twelve, measured, each time.
    assert min(secs([names[0]] * len(names)) for _ in range(3)) < apart + 2


@pytest.mark.parametrize("path", CLOSED)
def test_what_is_private_stays_closed_however_it_is_asked_for(stores: ObjectStore, cdn: Edge, path: str) -> None:
    put(stores, "private/a", b"secret")

    answer = cdn.ask(path)

    assert answer.status in (400, 404)
    assert b"secret" not in answer.body
    assert b"private" not in answer.body


@pytest.mark.parametrize("query", ["versions", "acl", "policy", "versionId=null", "list-type=2", "X-Amz-Date=x"])
def test_a_query_asks_the_store_nothing(stores: ObjectStore, cdn: Edge, query: str) -> None:
    put(stores, "public/build/q", b"plain")

    assert cdn.ask(f"/public/build/q?{query}").body == b"plain"
    assert cdn.ask("/public/build/q").cache == "HIT"


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_nothing_but_reading_is_passed_on(cdn: Edge, method: str) -> None:
    assert cdn.ask("/public/build/a.js", method=method, headers={"Content-Length": "0"}).status == 405


def test_a_head_is_answered_and_fills_the_cache(stores: ObjectStore, cdn: Edge) -> None:
    put(stores, "public/build/head", b"12345")

    head, whole = cdn.ask("/public/build/head", method="HEAD"), cdn.ask("/public/build/head")

    assert (head.status, head.headers["content-length"], head.body) == (200, "5", b"")
    assert (whole.body, whole.cache) == (b"12345", "HIT")


def test_pages_that_may_read_are_told_so_and_others_are_not(stores: ObjectStore, cdn: Edge) -> None:
    put(stores, "public/build/cors", b"x")

    plain = cdn.ask("/public/build/cors")
    page = cdn.ask("/public/build/cors", headers={"Origin": PAGE})
    stranger = cdn.ask("/public/build/cors", headers={"Origin": "https://evil.example.com"})

    allowed = "access-control-allow-origin"
    assert page.headers[allowed] == PAGE
    assert allowed not in plain.headers
    assert allowed not in stranger.headers
    assert stranger.cache == "HIT"


def test_logins_and_cookies_of_players_reach_no_origin(stores: ObjectStore, cdn: Edge) -> None:
    put(stores, "public/build/login", b"x")
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=x", "Cookie": "session=1", "x-amz-date": "x"}

    assert cdn.ask("/public/build/login", headers=headers).status == 200


def test_what_belongs_to_no_class_is_passed_on_and_not_kept(stores: ObjectStore, cdn: Edge) -> None:
    put(stores, "public/other", b"x")

    assert [cdn.ask("/public/other").cache for _ in range(2)] == ["BYPASS", "BYPASS"]


def test_keys_with_spaces_and_signs_are_found(stores: ObjectStore, cdn: Edge) -> None:
    put(stores, "public/build/a b+c%é", b"odd")

    assert cdn.ask("/public/build/a%20b+c%25%C3%A9").body == b"odd"


def test_lost_origins_are_replaced_and_what_is_kept_outlives_them_all(doomed: ObjectStore) -> None:
    stores = doomed
    with edge_before(stores) as cdn:
        put(stores, "public/build/kept", b"kept")
        put(stores, "public/index/list", b"list")
        put(stores, "public/strict/a", b"strict")
        put(stores, "public/build/later", b"later")
        stores.wait_until(lambda: stores.has_copied("eu", "game-assets", "public/build/later"), 180, "it is copied")
        for path in ("/public/build/kept", "/public/index/list", "/public/strict/a"):
            assert cdn.ask(path).cache == "MISS"

        stores.kill("us")
        later = cdn.ask("/public/build/later")
        stores.kill("eu")
        time.sleep(2.5)  # past the second and the second in which an index is answered stale anyway
        kept, index = cdn.ask("/public/build/kept"), cdn.ask("/public/index/list")
        strict, unknown = cdn.ask("/public/strict/a"), cdn.ask("/public/build/unknown")

        assert (later.status, later.body) == (200, b"later")
        assert (kept.body, kept.cache) == (b"kept", "HIT")
        assert (index.body, index.cache) == (b"list", "STALE")
        assert strict.status == 502
        assert unknown.status == 502


def test_an_edge_that_is_shielded_fetches_from_the_other_edge_and_from_the_store_without_it(
    stores: ObjectStore,
) -> None:
    put(stores, "public/build/shielded", b"1")
    put(stores, "public/build/unshielded", b"2")
    with edge_before(stores) as shield:
        outer = policy("ap", shield="us")
        with Edge(outer, {**named_places(stores), "shield": f"127.0.0.1:{shield.port}"}) as far:
            through = far.ask("/public/build/shielded")
            seen = shield.ask("/public/build/shielded")
            shield.close()
            without = far.ask("/public/build/unshielded")

    assert outer.origins[0].name == "shield"
    assert (through.body, seen.cache) == (b"1", "HIT")
    assert without.body == b"2"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no port can be kept for somebody else")
def test_nobody_is_given_the_port_of_an_edge_that_is_down() -> None:
    need_programs()
    with Edge(policy(), dict.fromkeys(("us", "eu"), "127.0.0.1:9")) as cdn, socket.socket() as other:
        cdn.daemon.kill()
        cdn.daemon.reap()

        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", cdn.port))
        cdn.daemon.start()
        cdn.daemon.wait_until(lambda: answers(lambda: cdn.ask("/")), 90)


def test_the_edge_of_our_example_has_the_bucket_of_the_store() -> None:
    assert edge().store == "assets"
    assert [each.path for each in policy("us").origins] == ["/game-assets", "/game-assets"]
