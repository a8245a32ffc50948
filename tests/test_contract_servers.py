"""The contract check among servers that do anything, addresses that name nothing, and on the command line."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from aether_deploy.contract.asking import BODY_BYTES_MAX, NoReply, Reply, Target, ask
from aether_deploy.contract.checking import UnreachableError, check_contract
from aether_deploy.contract.observing import Waits
from aether_deploy.problems import ConfigError
from tests.cli_cases import CommandLine
from tests.fake_world import FakeWorld, FloorMissing, UnreadyByAnotherStatus, serving

# --- servers that do anything


@contextmanager
def listening(act: Callable[[socket.socket], None]) -> Iterator[Target]:
    """Serve each connection by ``act``."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=_act, args=(act, connection), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Target("127.0.0.1", server.getsockname()[1])
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def _act(act: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with connection, suppress(OSError):
        act(connection)


def saying(text: bytes, *, hold: bool = False) -> Callable[[socket.socket], None]:
    def act(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(text)
        if hold:
            connection.recv(65536)

    return act


def resetting(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def dripping(connection: socket.socket) -> None:
    connection.recv(65536)
    while True:
        connection.sendall(b"H")
        time.sleep(0.01)


def flooding(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
ANSWERS: dict[str, tuple[Callable[[socket.socket], None], str]] = {
    "hangs": (lambda connection: time.sleep(30), "no whole answer within 0.3 s"),
    "drips": (dripping, "no whole answer within 0.3 s"),
    "closes": (saying(b""), "the connection was closed without an answer"),
    "resets": (resetting, "Connection reset by peer"),
    "says garbage": (saying(b"\0\xff hello\n\n"), "an answer that is not HTTP: '\\x00ÿ hello\\n\\n'"),
    "says a banner": (saying(b"SSH-2.0-OpenSSH_9.9\r\n"), "an answer that is not HTTP: 'SSH-2.0-OpenSSH_9.9\\r\\n'"),
    "says a status that is none": (
        saying(b"HTTP/1.1 two OK\r\n\r\n"), "an answer that is not HTTP: 'HTTP/1.1 two OK\\r\\n\\r\\n'",
    ),
    "stops in the middle": (saying(OK + b"Content-Length: 9\r\n\r\nabc"), "the answer ends too early"),
    "stops in a chunk": (saying(OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc"), "the answer ends too early"),
    "says too much before": (
        saying(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 99999), "an answer that is not HTTP: 'HTTP/1.1 200 OK\\r\\nX: "
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'",
    ),
    "promises a body and holds on": (
        saying(OK + b"Content-Length: 9\r\n\r\n", hold=True), "no whole answer within 0.3 s",
    ),
    "redirects": (saying(b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n"), "302 to 'http://x/'"),
    "answers and holds on": (saying(OK + b"Content-Length: 2\r\n\r\nok", hold=True), "200"),
    "answers in chunks and holds on": (
        saying(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", hold=True), "200",
    ),
    "answers as of old": (saying(b"HTTP/1.0 200 OK\r\n\r\nok"), "200"),
    "has nothing to say": (saying(b"HTTP/1.1 204 No Content\r\n\r\n", hold=True), "204"),
    "errs": (saying(b"HTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n"), "500"),
}  # fmt: skip


@pytest.mark.parametrize("case", ANSWERS)
def test_whatever_a_server_does_is_a_verdict(case: str) -> None:
    act, says = ANSWERS[case]
    secs = 0.3 if "within" in says else 60.0
    with listening(act) as target:
        report = check_contract(f"http://{target}", waits=Waits(probe_secs=secs, scrape_secs=secs))

    (health,) = (verdict for verdict in report.verdicts if verdict.rule == "healthz")
    expected = says if says[:3].isdigit() else f"{says}, 3 times in a row"
    assert (health.outcome, health.seen) == ("ok" if says == "200" else "fail", expected)
    assert "metrics" in [verdict.rule for verdict in report.verdicts if verdict.outcome == "fail"]


def test_a_flood_is_cut_off() -> None:
    with listening(flooding) as target:
        reply = ask(target, "/metrics", within_secs=60)

    assert reply == NoReply(f"an answer of more than {BODY_BYTES_MAX // 2**20} MiB")


def test_slow_answers_are_forgiven_as_the_kubelet_forgives_them() -> None:
    asked: list[None] = []

    def act(connection: socket.socket) -> None:
        connection.recv(65536)
        asked.append(None)
        if len(asked) >= 3:
            connection.sendall(OK + b"Content-Length: 0\r\n\r\n")
        else:
            connection.recv(65536)

    with listening(act) as target:
        report = check_contract(f"http://{target}", waits=Waits(probe_secs=3.0))

    assert report.verdicts[0].outcome == "ok"


# --- where nobody is, and what is no address


@contextmanager
def nobody() -> Iterator[int]:
    """Return a port on which nobody listens, and that nobody else gets."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_an_address_where_nobody_is_cannot_be_judged() -> None:
    with nobody() as port, pytest.raises(UnreachableError) as raised:
        check_contract(f"http://127.0.0.1:{port}")

    fix = "fix: start the server, or name another one"
    assert str(raised.value) == f"127.0.0.1:{port}: Connection refused\n  {fix}"


URLS = {
    "127.0.0.1:8080": "lacks 'http://'",
    "": "lacks 'http://'",
    "https://a": "asks for another protocol than http, which is what kubelets and Prometheus speak",
    "http://": "names no host",
    "http:///x": "names no host",
    "http://a b": "names no host",
    "http://a\x00": "names no host",
    "http://a:x": "no URL: Port could not be cast to integer value as 'x'",
    "http://a:99999": "no URL: Port out of range 0-65535",
    "http://[::1": "no URL: Invalid IPv6 URL",
    "http://me@a": "has a user name, and probes have none",
    "http://a/healthz": "goes on after host and port; the paths that are asked are fixed",
    "http://a?x": "goes on after host and port; the paths that are asked are fixed",
}


@pytest.mark.parametrize("url", URLS)
def test_an_url_that_names_no_server_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_contract(url)

    (problem,) = raised.value.problems
    assert (problem.path, problem.reason) == ("URL", URLS[url])


@pytest.mark.parametrize("udp", ["", "7777", "a:", "a:0", "a:65536", "a:b", ":7777", "::1:7777", "[a:1", "a b:1"])
def test_all_faults_of_the_addresses_are_told_at_once(udp: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_contract("nowhere", udp=udp)

    assert [problem.path for problem in raised.value.problems] == ["URL", "--udp"]
    assert raised.value.problems[1].reason == "not HOST:PORT"


def test_the_newer_internet_protocol_is_spoken() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        thread = threading.Thread(target=lambda: _act(saying(OK + b"\r\n"), server.accept()[0]))
        thread.start()
        reply = ask(Target("::1", server.getsockname()[1]), "/", within_secs=30)
        thread.join()

    assert isinstance(reply, Reply)


# --- the command line


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


PATIENT = ("--timeout", "60")

KEPT = """\
ok    healthz        200
ok    readyz         200
skip  loading        no replay was seen; run this while the server starts
ok    own-paths      404 for /aether-contract-check-no-such-path
ok    metrics        200, 2 series
ok    metrics-type   'text/plain; version=0.0.4'
ok    player-count   0
ok    ordinal-floor  0
7 rules kept, 1 not tried
"""
BROKEN = """\
FAIL  readyz  404
        fix: answer /readyz with 503 or 200 at once, by whether the world is loaded and nothing else
        for: readiness probe: Services and kube-proxy send players to ready pods only
6 rules kept, 1 broken, 1 not tried
"""


def test_a_server_that_keeps_the_contract_is_0(cli: CommandLine) -> None:
    with serving(FakeWorld()) as world:
        assert cli("contract", "check", world.url, *PATIENT) == (0, KEPT, "")
        assert cli("contract", "check", world.url, "-q", *PATIENT) == (0, "", "")


def test_a_broken_rule_is_1_with_what_to_do_and_for_whom(cli: CommandLine) -> None:
    with serving(UnreadyByAnotherStatus()) as world:
        assert cli("contract", "check", world.url, "-q", *PATIENT) == (1, BROKEN, "")
        assert cli("contract", "check", world.url, *PATIENT).code == 1


def test_a_server_that_cannot_be_reached_is_3(cli: CommandLine) -> None:
    with nobody() as port:
        said = f"error: 127.0.0.1:{port}: Connection refused\n  fix: start the server, or name another one\n"

        assert cli("contract", "check", f"http://127.0.0.1:{port}") == (3, "", said)
        answer = cli("contract", "check", f"http://127.0.0.1:{port}", "--json").answer
    assert (answer["verb"], answer["ok"], answer["result"]) == ("contract check", False, None)


@pytest.mark.parametrize(
    ("udp", "reason"),
    [
        ("nowhere.invalid:7777", "the name is not known: "),
        ("255.255.255.255:7777", "Permission denied"),
        (f"{'x' * 70}.y:7777", "that is no name of a host"),
    ],
    ids=["a name", "everybody", "no name"],
)
def test_a_players_port_to_which_there_is_no_way_is_3(udp: str, reason: str, cli: CommandLine) -> None:
    with serving(FakeWorld()) as world:
        ended = cli("contract", "check", world.url, "--udp", udp)

    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith(f"error: {udp}: {reason}")
    assert ended.err.endswith("\n  fix: name another one with --udp\n")


def test_bad_addresses_are_2_and_told_together(cli: CommandLine) -> None:
    assert cli("contract", "check", "localhost:8080", "--udp", "7777") == (
        2,
        "",
        "URL: is 'localhost:8080'; lacks 'http://'\n  fix: write it like http://127.0.0.1:8080\n"
        "--udp: is '7777'; not HOST:PORT\n  fix: write it like 127.0.0.1:7777, or [::1]:7777\n"
        "2 problems\n",
    )


@pytest.mark.parametrize("option", ["--timeout", "--grace"])
@pytest.mark.parametrize("secs", ["0", "-1", "x", "nan", "inf", "1e9"])
def test_times_that_cannot_be_waited_are_2(option: str, secs: str, cli: CommandLine) -> None:
    ended = cli("contract", "check", "http://127.0.0.1:1", option, secs)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: Invalid value for '{option}': ")
    assert ended.err.endswith("\n  fix: see aether-deploy contract check --help\n")


def test_machines_get_every_verdict(cli: CommandLine) -> None:
    with serving(FloorMissing()) as world:
        ended = cli("contract", "check", world.url, "--json", *PATIENT)

    answer = ended.answer
    assert (ended.code, ended.err) == (1, "")
    assert (answer["format"], answer["verb"], answer["ok"], answer["problems"]) == (1, "contract check", False, [])
    assert answer["result"]["url"] == world.url
    assert answer["result"]["verdicts"][-1] == {
        "rule": "ordinal-floor",
        "outcome": "fail",
        "seen": "there is no aether_world_ordinal_floor",
        "fix": "give aether_world_ordinal_floor one series of type gauge: ordinal + 1 while anything would be lost "
        "with this pod, else 0",
        "source": "replica floor: a StatefulSet is trimmed from the top, and this keeps it from trimming an occupied "
        "world",
    }
    json.dumps(answer)
