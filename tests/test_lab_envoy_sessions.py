"""What happens to players of a region that turns unhealthy while they are there, and to those who are one too many."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from aether_deploy.routing.policy import HealthPolicy
from tests.envoy_cases import HTTPS, RTP, WEB, envoy
from tests.envoy_edges import edges
from tests.envoy_regions import HTTP as HTTP_PORT
from tests.envoy_regions import HTTPS as HTTPS_PORT
from tests.envoy_regions import UDP, ask_http

pytestmark = pytest.mark.real
DOWN = {"us": False, "eu": True, "ap": True}
UP = dict.fromkeys(DOWN, True)
PATIENCE_SECS = 90.0


@contextmanager
def player(address: str, source: str | None = None) -> Iterator[socket.socket]:
    """A player who keeps his socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
        each.settimeout(PATIENCE_SECS)
        each.bind((source or f"{address.rpartition('.')[0]}.250", 0))
        each.connect((address, UDP))
        yield each


def says(each: socket.socket) -> str:
    each.send(b"hello")
    return each.recv(512).partition(b" ")[0].decode()


def test_a_drained_region_loses_no_datagram_and_a_session_that_moved_stays(tmp_path: Path) -> None:
    with edges(tmp_path, ["us"]) as running, player(running.edges["us"].address) as voice:
        before = [says(voice) for _ in range(20)]
        running.land.become("us", "not_ready")
        during: list[str] = []
        deadline = time.monotonic() + PATIENCE_SECS
        while during.count("eu") < 20 and time.monotonic() < deadline:
            during.append(says(voice))
            time.sleep(0.01)
        running.become(UP)
        after = [says(voice) for _ in range(20)]
        with player(running.edges["us"].address) as other:
            new = says(other)

    assert set(before) == {"us"}
    assert during == sorted(during, key=("us", "eu").index)
    assert during[-1] == "eu"
    assert set(after) == {"eu"}, "a session goes back while its region is healthy"
    assert new == "us"


@contextmanager
def stream(address: str) -> Iterator[ssl.SSLSocket]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((address, HTTPS_PORT), PATIENCE_SECS) as raw, context.wrap_socket(raw) as each:
        yield each


def asked(each: ssl.SSLSocket) -> str:
    """Return the region that answers on an open connection; ``closed`` where it is closed."""
    try:
        each.sendall(b"GET / HTTP/1.1\r\nhost: play\r\n\r\n")
        return each.recv(4096).partition(b"\r\n\r\n")[2].decode() or "closed"
    except (OSError, ssl.SSLError):
        return "closed"


@pytest.mark.parametrize(("wish", "expected"), [("close", "closed"), ("keep", "us")])
def test_connections_to_an_unhealthy_region_are_closed_or_kept_as_wished(
    tmp_path: Path, wish: str, expected: str
) -> None:
    config = envoy({**HTTPS, "on_unhealthy": wish}, WEB, RTP)
    with edges(tmp_path, ["us"], config=config) as running, stream(running.edges["us"].address) as each:
        before = asked(each)
        running.become(DOWN, "not_ready")
        after = asked(each)

    assert (before, after) == ("us", expected)


def test_a_request_that_no_server_has_seen_goes_to_the_next_region_before_any_check_tells(tmp_path: Path) -> None:
    slow = HealthPolicy(interval_ms=20_000, timeout_ms=15_000, fall=3, rise=1)
    with edges(tmp_path, ["us"], health=slow) as running:
        address = running.edges["us"].address
        before = ask_http(address)
        running.land.become("us", "refusing")
        after = {ask_http(address) for _ in range(30)}

    assert before == "us"
    assert after == {"eu"}


def test_a_websocket_lasts_longer_than_an_answer_may_and_ends_when_it_is_idle(tmp_path: Path) -> None:
    config = envoy(HTTPS, {**WEB, "response_secs": 3, "idle_secs": 10}, RTP)
    with (
        edges(tmp_path, ["us"], config=config) as running,
        socket.create_connection((running.edges["us"].address, HTTP_PORT), PATIENCE_SECS) as each,
    ):
        each.sendall(b"GET / HTTP/1.1\r\nhost: play\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        head = each.recv(4096)
        began, echoes = time.monotonic(), []
        while time.monotonic() < began + 6:  # twice as long as an answer may take
            each.sendall(b"ping")
            echoes.append(each.recv(16))
            time.sleep(0.2)
        last = each.recv(16)

    assert head.startswith(b"HTTP/1.1 101 ")
    assert set(echoes) == {b"ping"}
    assert last == b"", "closed, since nothing was sent"


def test_more_players_than_envoys_own_limit_have_sessions_and_ours_is_kept(tmp_path: Path) -> None:
    config = envoy(HTTPS, WEB, {**RTP, "sessions": 1100, "idle_secs": 600})  # none ends before the last one asks
    with edges(tmp_path, ["us"], config=config) as running, ExitStack() as stack:
        address = running.edges["us"].address
        players = [stack.enter_context(player(address)) for _ in range(1100)]
        answers = {says(each) for each in players}
        one_more = stack.enter_context(player(address))
        one_more.settimeout(0.5)
        with pytest.raises(TimeoutError):
            says(one_more)

    assert answers == {"us"}


def test_a_name_that_changes_its_addresses_is_followed(tmp_path: Path) -> None:
    with edges(tmp_path, ["ap"]) as running:
        edge, (first, second) = running.edges["ap"], running.land.hosts["eu"]
        before = _addresses(edge.hosts(), 1)
        running.land.rename("eu", [first])
        running.wait_for(lambda: _addresses(edge.hosts(), 1) != before, "the change of a name to be seen")
        after = _addresses(edge.hosts(), 1)

    assert before == {first.address, second.address}
    assert after == {first.address}, "an address that DNS has lost is forgotten though it answers"


def _addresses(hosts: dict[tuple[str, int, str], bool], priority: int) -> set[str]:
    return {address for (cluster, at, address) in hosts if cluster == "web" and at == priority}
