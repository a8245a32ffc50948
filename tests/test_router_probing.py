"""Asking regions: what each way to answer means, and that a slow one holds up nobody."""

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from aether_deploy.routing.tracking.health import Scheme, probe_round_trips
from aether_deploy.service.router import resolving
from aether_deploy.service.router.probing import Probed, Prober, Target, target_of
from aether_deploy.service.router.resolving import Resolver
from tests.router_cases import dead_port, run_async

ELSEWHERE = "127.1.0.2"
"""An address of this machine at which no other test has a port, so that each one that is free at 127.0.0.1 is here."""
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(talk: Talk, **settings: Any) -> AsyncIterator[int]:
    """Serve connections by ``talk``; give the port."""
    over: set[asyncio.StreamWriter] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        over.add(writer)
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(take, "127.0.0.1", 0, **settings)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in over:
            writer.transport.abort()


def saying(*pieces: bytes, pause: float = 0.0, close: bool = True) -> Talk:
    """Return a server's side that says this, whatever it is asked."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        if not close:
            await asyncio.sleep(30)

    return talk


async def asked(talk: Talk, *, within_secs: float = 60.0, url: str = "http://127.0.0.1:{port}/readyz") -> Probed:
    async with served(talk) as port:
        return await Prober(Resolver()).probe(target_of(url.format(port=port)), within_secs=within_secs)


ANSWERS: dict[str, tuple[tuple[bytes, ...], str, str]] = {
    "200": ((b"HTTP/1.1 200 OK\r\n\r\n",), "ready", "answers 200"),
    "204 without a phrase": ((b"HTTP/1.1 204 \r\n\r\n",), "ready", "answers 204"),
    "no phrase and no space": ((b"HTTP/1.0 200\r\n\r\n",), "ready", "answers 200"),
    "nothing but the status line": ((b"HTTP/1.1 299 Fine\r\n",), "ready", "answers 299"),
    "in pieces": ((b"HTT", b"P/1.1 2", b"00 OK\r", b"\n"), "ready", "answers 200"),
    "after early hints": ((b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n"), "ready", "answers 200"),
    "302": ((b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n",), "ready", "answers 302"),
    "399": ((b"HTTP/1.1 399 Almost\r\n\r\n",), "ready", "answers 399"),
    "400": ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), "not_ready", "answers 400"),
    "404": ((b"HTTP/1.1 404 Not Found\r\n\r\n",), "not_ready", "answers 404"),
    "503": ((b"HTTP/1.1 503 Service Unavailable\r\n\r\n",), "not_ready", "answers 503"),
    "nothing": ((), "refused", "closes the connection without an answer"),
    "half a status line": ((b"HTTP/1.1 2",), "refused", "answers something else than HTTP/1.1"),
    "another protocol": ((b"SSH-2.0-OpenSSH_9.2\r\n",), "refused", "answers something else than HTTP/1.1"),
    "HTTP/2": ((b"HTTP/2 200\r\n\r\n",), "refused", "answers something else than HTTP/1.1"),
    "a status of two digits": ((b"HTTP/1.1 20 OK\r\n\r\n",), "refused", "answers something else than HTTP/1.1"),
    "hints without end": ((b"HTTP/1.1 103 Early\r\n\r\n" * 300,), "refused", "announces an answer without end"),
    "a line without end": (
        (b"HTTP/1.1 200 " + b"x" * 100_000,),
        "refused",
        "answers with a line of more than 8192 bytes",
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_means(case: str) -> None:
    pieces, outcome, detail = ANSWERS[case]

    probed = run_async(asked(saying(*pieces)))

    assert (probed.outcome, probed.detail) == (outcome, detail)


def test_silence_is_a_timeout_that_is_kept_whatever_the_server_does() -> None:
    for talk in (
        saying(close=False),
        saying(*[b"H"] * 1000, pause=0.02),
        saying(*[b"HTTP/1.1 100 C\r\n"] * 999, pause=0.01),
    ):
        began = time.monotonic()
        probed = run_async(asked(talk, within_secs=0.2))

        assert (probed.outcome, probed.detail) == ("timeout", "no answer within 0.2 s")
        assert 0.2 <= probed.secs <= time.monotonic() - began


def test_nobody_there_is_refused() -> None:
    probed = run_async(Prober(Resolver()).probe(target_of(f"http://127.0.0.1:{dead_port()}/"), within_secs=60))

    assert (probed.outcome, probed.detail) == ("refused", "connection refused")


def test_a_name_that_is_none_is_refused() -> None:
    for name in ("no-such-host.invalid", f"{'x' * 64}.example.com"):
        probed = run_async(Prober(Resolver()).probe(target_of(f"http://{name}:80/"), within_secs=60))

        assert probed.outcome == "refused"
        assert probed.detail


def test_tcp_is_content_with_a_connection() -> None:
    talk = saying(close=False)

    assert run_async(asked(talk, url="tcp://127.0.0.1:{port}")).outcome == "ready"
    assert (
        run_async(Prober(Resolver()).probe(target_of(f"tcp://127.0.0.1:{dead_port()}"), within_secs=60)).outcome
        == "refused"
    )


def test_the_question_names_who_is_asked() -> None:
    heard: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))

    async def ask() -> int:
        async with served(talk) as port:
            target = target_of(f"http://127.0.0.1:{port}/readyz?x=1", "play.example.com")
            await Prober(Resolver()).probe(target, within_secs=60)
            return port

    port = run_async(ask())

    assert heard[0].startswith(f"GET /readyz?x=1 HTTP/1.1\r\nHost: play.example.com:{port}\r\n".encode())


TARGETS = {
    "http://a.example.com": (Target("http", "a.example.com", 80, "/", "a.example.com"), "a.example.com"),
    "https://a.example.com/x?y": (Target("https", "a.example.com", 443, "/x?y", "a.example.com"), "a.example.com"),
    "https://[2001:db8::1]:8443/": (Target("https", "2001:db8::1", 8443, "/", "2001:db8::1"), "[2001:db8::1]:8443"),
}


@pytest.mark.parametrize("url", TARGETS)
def test_a_url_is_a_target(url: str) -> None:
    target, authority = TARGETS[url]

    assert (target_of(url), target_of(url).authority) == (target, authority)


@pytest.mark.parametrize("url", ["http://", "tcp://host", "http://host:99999/", "http://:80/"])
def test_a_url_without_host_or_port_is_none(url: str) -> None:
    with pytest.raises(ValueError, match=r"names no host|[Pp]ort"):
        target_of(url)


# --- TLS


@pytest.fixture
def certified(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for play.example.com and 127.0.0.1, of its own authority, and its key."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "play.example.com")])
    names = x509.SubjectAlternativeName([x509.DNSName("play.example.com"), x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    built = built.add_extension(names, critical=False).add_extension(x509.BasicConstraints(True, None), critical=True)
    certificate, private = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


def tls_answer(certified: tuple[Path, Path], server_name: str | None, names: list[str | None]) -> Probed:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certified)
    context.sni_callback = lambda _, name, __: names.append(name)

    async def ask() -> Probed:
        async with served(saying(b"HTTP/1.1 200 OK\r\n\r\n"), ssl=context) as port:
            return await Prober(Resolver()).probe(target_of(f"https://127.0.0.1:{port}/", server_name), within_secs=60)

    return run_async(ask())


def test_a_certificate_that_is_vouched_for_and_of_the_right_name_is_ready(
    certified: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certified[0]))
    names: list[str | None] = []

    told = [tls_answer(certified, name, names).outcome for name in ("play.example.com", None)]

    assert told == ["ready", "ready"]
    assert names[0] == "play.example.com"


def test_a_certificate_of_another_name_is_refused_in_words(
    certified: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certified[0]))

    probed = tls_answer(certified, "other.example.com", [])

    assert probed.outcome == "refused"
    assert "Hostname mismatch, certificate is not valid for 'other.example.com'" in probed.detail


def test_a_certificate_that_nobody_vouches_for_is_refused(certified: tuple[Path, Path]) -> None:
    probed = tls_answer(certified, "play.example.com", [])

    assert (probed.outcome, probed.detail) == ("refused", "TLS: self-signed certificate")


def test_https_to_a_port_that_speaks_http_is_refused() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    probed = run_async(asked(talk, url="https://127.0.0.1:{port}/", within_secs=60))

    assert probed.outcome == "refused"
    assert probed.detail.startswith("TLS: ")


# --- several addresses


class Known(Resolver):
    """A resolver of one name."""

    def __init__(self, *addresses: str) -> None:
        super().__init__()
        self._addresses = addresses

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        return self._addresses


@contextlib.contextmanager
def black_hole(address: str, port: int) -> Iterator[None]:
    """Take no connection at an address, and refuse none: whoever connects waits."""
    held = []
    with socket.socket() as listening:
        listening.bind((address, port))
        listening.listen(0)
        try:
            for _ in range(4):
                held.append(socket.socket())
                held[-1].setblocking(False)
                held[-1].connect_ex((address, port))
            yield
        finally:
            for each in held:
                each.close()


def test_one_address_that_swallows_everything_does_not_make_a_region_silent() -> None:
    async def ask() -> list[Probed]:
        async with served(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
            with black_hole(ELSEWHERE, port):
                target = target_of(f"http://region.example.com:{port}/")
                both = [(ELSEWHERE, "127.0.0.1"), ("127.0.0.1", ELSEWHERE)]
                probes = [Prober(Known(*each)).probe(target, within_secs=60) for each in both]
                alone = Prober(Known(ELSEWHERE)).probe(target, within_secs=1)
                return await asyncio.gather(*probes, alone)

    assert [each.outcome for each in run_async(ask())] == ["ready", "ready", "timeout"]


def test_where_every_address_refuses_the_first_says_why() -> None:
    prober = Prober(Known("127.0.0.3", "127.0.0.4"))

    probed = run_async(prober.probe(target_of(f"tcp://region.example.com:{dead_port()}"), within_secs=60))

    assert (probed.outcome, probed.detail) == ("refused", "connection refused")


def test_a_name_without_an_address_is_refused() -> None:
    probed = run_async(Prober(Known()).probe(target_of("tcp://region.example.com:1"), within_secs=60))

    assert (probed.outcome, probed.detail) == ("refused", "region.example.com has no address")


def test_of_several_addresses_the_connections_that_lost_are_closed() -> None:
    began, ended = [], []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        began.append(writer)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        ended.append(writer)
        writer.close()

    async def ask() -> Probed:
        servers = [await asyncio.start_server(talk, "127.0.0.1", 0)]
        port = servers[0].sockets[0].getsockname()[1]
        servers.append(await asyncio.start_server(talk, ELSEWHERE, port))
        probed = await Prober(Known("127.0.0.1", ELSEWHERE)).probe(target_of(f"tcp://r:{port}"), within_secs=60)
        async with asyncio.timeout(60):
            while not began or len(ended) < len(began):
                await asyncio.sleep(0.01)
        for each in servers:
            each.close()
        assert not [task for task in asyncio.all_tasks() if "_connect_to" in str(task)]
        return probed

    assert run_async(ask()).outcome == "ready"


# --- names


def test_a_name_server_that_hangs_holds_up_no_other_name(monkeypatch: pytest.MonkeyPatch) -> None:
    over, asked_for = threading.Event(), []

    def look_up(host: str, port: int) -> tuple[str, ...]:
        asked_for.append(host)
        if host == "slow.example.com":
            over.wait(60)
        return ("127.0.0.1",)

    monkeypatch.setattr(resolving, "_look_up", look_up)

    async def ask() -> list[str]:
        prober = Prober(Resolver())
        async with served(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
            slow = [prober.probe(target_of(f"http://slow.example.com:{port}/"), within_secs=0.3) for _ in range(40)]
            fast = [prober.probe(target_of(f"http://fast-{n}.example.com:{port}/"), within_secs=60) for n in range(20)]
            return [each.outcome for each in await asyncio.gather(*slow, *fast)]

    try:
        outcomes = run_async(ask())
    finally:
        over.set()

    assert outcomes == ["timeout"] * 40 + ["ready"] * 20
    assert asked_for.count("slow.example.com") == 1


def test_what_was_known_of_a_name_is_used_while_nobody_can_say_more(monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[tuple[str, ...] | OSError] = [("127.0.0.1",)]

    def look_up(host: str, port: int) -> tuple[str, ...]:
        if isinstance(known[0], OSError):
            raise known[0]
        return known[0]

    monkeypatch.setattr(resolving, "_look_up", look_up)
    monkeypatch.setattr(resolving, "FRESH_SECS", 0.0)

    async def ask() -> list[tuple[str, ...]]:
        resolver = Resolver()
        found = [await resolver.addresses("a.example.com", 80)]
        for answer in (OSError("no answer"), ("127.0.0.2",)):
            known[0] = answer
            for _ in range(2):
                found.append(await resolver.addresses("a.example.com", 80))
                while resolver._asking:
                    await asyncio.sleep(0.01)
        return found

    assert run_async(ask()) == [("127.0.0.1",)] * 4 + [("127.0.0.2",)]


def test_of_several_addresses_the_first_that_takes_the_connection_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "_look_up", lambda host, port: ("127.0.0.3", "127.0.0.1"))

    assert run_async(asked(saying(b"HTTP/1.1 200 OK\r\n\r\n"), url="http://a.example.com:{port}/")).outcome == "ready"


def test_a_port_that_takes_connections_and_never_accepts_is_a_timeout() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        probed = run_async(
            Prober(Resolver()).probe(target_of(f"http://127.0.0.1:{full.getsockname()[1]}/"), within_secs=0.2)
        )

    assert probed.outcome == "timeout"


# --- over a long way


@asynccontextmanager
async def far_away(port: int, one_way_secs: float, flights: list[bytes]) -> AsyncIterator[int]:
    """Give a port that leads to another one over a long way; each time that something new goes there is a flight."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection("127.0.0.1", port)
        heard = ["nothing"]

        async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter, whose: str) -> None:
            while piece := await source.read(65_536):
                if whose == "client" and heard[0] != "client":
                    flights.append(piece)
                heard[0] = whose
                asyncio.get_running_loop().call_later(one_way_secs, sink.write, piece)

        await asyncio.gather(pipe(reader, here, "client"), pipe(there, writer, "server"), return_exceptions=True)

    async with served(carry) as open_port:
        yield open_port


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_probe_takes_the_round_trips_that_its_timeout_is_held_against(
    scheme: Scheme, certified: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certified[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certified)
    one_way_secs, flights = 0.05, list[bytes]()
    trips = probe_round_trips(scheme)

    async def ask() -> tuple[Probed, Probed]:
        tls = {"ssl": context} if scheme == "https" else {}
        async with (
            served(saying(b"HTTP/1.1 200 OK\r\n\r\n"), **tls) as port,
            far_away(port, one_way_secs, flights) as far,
        ):
            target = target_of(f"{scheme}://127.0.0.1:{far}/readyz")
            patient = await Prober(Resolver()).probe(target, within_secs=60)
            counted.append(len(flights))
            # The way through this machine has no handshake of TCP that takes its time.
            hasty = await Prober(Resolver()).probe(target, within_secs=2 * one_way_secs * (trips - 1) * 0.9)
            return patient, hasty

    counted: list[int] = []
    patient, hasty = run_async(ask())

    assert counted == [trips - 1], "and one for TCP"
    assert (patient.outcome, hasty.outcome) == ("ready", "timeout")
    assert patient.secs >= 2 * one_way_secs * (trips - 1)
