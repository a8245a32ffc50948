"""Routers under test: one in this process on a clock that the test moves, and the real one as a process."""

import asyncio
import contextlib
import http.client
import json
import os
import queue
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from aether_deploy.lab.processes import free_ports
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.service.http.messages import Request, Response
from aether_deploy.service.router.application import RouterApplication
from aether_deploy.service.router.deciding_log import DecisionLog
from aether_deploy.service.router.journal import Journal
from aether_deploy.service.router.live import LiveRouter
from aether_deploy.service.router.probing import Outcome, Probed
from aether_deploy.service.router.rights import AdminToken
from aether_deploy.service.router.signing import SigningKeys, read_signing_keys
from aether_deploy.service.router.writing import LineWriter, Sheet
from tests.cli_cases import PROGRAM

T = TypeVar("T")
TOKEN = "an-admin-token-of-32-characters!"
PATIENCE_SECS = 90.0
REGIONS: list[dict[str, Any]] = [
    {"code": "us-east-1", "location": {"lat": 38.95, "lon": -77.45}, "address": "us-east-1.play.example.com"},
    {"code": "eu-west-1", "location": {"lat": 53.35, "lon": -6.26}, "address": "eu-west-1.play.example.com"},
    {"code": "ap-south-1", "location": {"lat": 19.08, "lon": 72.88}, "address": "ap-south-1.play.example.com"},
]
LINKS = [
    {"between": ["us-east-1", "eu-west-1"], "latency_ms": 76},
    {"between": ["us-east-1", "ap-south-1"], "latency_ms": 198},
    {"between": ["eu-west-1", "ap-south-1"], "latency_ms": 122},
]
QUICK = {"health": {"interval_ms": 100, "timeout_ms": 10_000}}
IMPATIENT = {"health": {"interval_ms": 100, "timeout_ms": 700, "fall": 2}}
"""For regions that fall silent; patient enough for those that answer on a busy machine."""
_HELD: list[socket.socket] = []
"""What keeps ports for these tests until their process ends."""
FULL_POLICY: dict[str, Any] = {
    "latency": {"max_ms": 180},
    "damping": {},
    "failback": {"ramp_secs": 60, "hold_secs": 60},
    "load": {},
    "sticky": {},
    "residency": [{"name": "eu-players", "regions": ["eu-west-1"]}],
}


def config_values(*, probes: Mapping[str, str] | None = None, **policy: Any) -> dict[str, Any]:
    """Return a configuration of three regions; where ``probes`` are given only they are asked."""
    told = (
        probes if probes is not None else {one["code"]: f"http://{one['code']}.example.com/readyz" for one in REGIONS}
    )
    regions = [{**one, **({"probe": told[one["code"]]} if one["code"] in told else {})} for one in REGIONS]
    return {"regions": regions, "links": LINKS, **policy}


def new_keys(number: int = 1) -> tuple[bytes, SigningKeys]:
    """Return new keys, as a PEM file and read."""
    made = [Ed25519PrivateKey.generate() for _ in range(number)]
    pem = b"".join(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) for key in made)
    return pem, read_signing_keys(pem, file="keys.pem")


class Memory(Sheet):
    """A file that only the test reads."""

    def __init__(self) -> None:
        self.lines = b""

    def append(self, lines: bytes) -> None:
        self.lines += lines


class Bench:
    """A router in this process, without sockets. The test says what time it is and what probes bring."""

    def __init__(
        self, *, keys: SigningKeys | None = None, token: str | None = TOKEN, log: Path | None = None, **policy: Any
    ) -> None:
        self.now, self.wall = 1000.0, 1_764_000_000.0
        self.config = RouterConfig.from_values(config_values(**policy))
        self.log = None if log is None else DecisionLog(log, wall=lambda: self.wall)
        self.said = Memory()
        self.journal = Journal(LineWriter(self.said, name="journal"), wall=lambda: self.wall)
        self.live = LiveRouter(
            self.config,
            keys,
            clock=lambda: self.now,
            wall=lambda: self.wall,
            journal=self.journal,
            decisions=self.log,
            life="t-",
        )
        self.application = RouterApplication(self.live, None if token is None else AdminToken(token.encode()))

    def probe(self, outcome: Outcome, *codes: str, times: int = 1) -> Self:
        """Let probes of these regions, or of all, bring something."""
        for code in codes or [region.code for region in self.live.config.regions]:
            for _ in range(times):
                self.live.observe(code, Probed(outcome, 0.01, f"said to be {outcome}"))
        return self

    def self_check(self, *outcomes: Outcome, url: str = "https://status.example.com/") -> Self:
        """Let what the router checks itself by bring something, once for each outcome."""
        for outcome in outcomes:
            self.live.self_check(url, Probed(outcome, 0.01, f"said to be {outcome}"))
        return self

    def reload(self, values: Mapping[str, Any], keys: SigningKeys | None = None) -> None:
        """Let the router be told something else."""
        self.live.go_on_by(self.live.prepare(RouterConfig.from_values(values), keys))

    def ask(
        self,
        target: str,
        body: object = None,
        *,
        method: str | None = None,
        token: str | None = None,
        peer: str = "198.51.100.7",
        headers: Mapping[str, str] | None = None,
    ) -> "Answer":
        """Ask as a client would; a body makes it a POST."""
        path, _, query = target.partition("?")
        given = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        said = {**(headers or {}), **({"authorization": f"Bearer {token}"} if token is not None else {})}
        request = Request(method or ("GET" if body is None else "POST"), path, given, said, sent, peer)
        answer = self.application.answer(request)
        assert isinstance(answer, Response)
        return Answer(answer.status, dict(answer.headers), answer.content_type, answer.body)

    def order(self, method: str, target: str, body: object = None) -> "Answer":
        """Give an order, with the token."""
        return self.ask(target, body, method=method, token=TOKEN)


class Answer(NamedTuple):
    """What a client got."""

    status: int
    headers: Mapping[str, str]
    content_type: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class FakeRegion:
    """The entry of a region: answers probes as the test says. ``silent`` takes connections and says nothing."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.asked: list[tuple[str, str]] = []
        region = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                region.asked.append((self.path, self.headers.get("Host", "")))
                while region.status is None and not region.over.wait(0.05):
                    pass
                with contextlib.suppress(OSError):
                    self.send_response(region.status or 500)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/readyz"

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def fake_regions() -> Iterator[dict[str, FakeRegion]]:
    """Give three regions that answer."""
    regions = {one["code"]: FakeRegion() for one in REGIONS}
    try:
        yield regions
    finally:
        for region in regions.values():
            region.close()


class RouterProcess:
    """The installed program, serving; what it says is read line by line."""

    def __init__(self, *arguments: str, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.lines: list[dict[str, Any]] = []
        self._new: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.process = subprocess.Popen(
            [PROGRAM, "router", "serve", "--listen", "127.0.0.1:0", *arguments],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.port: int = self.heard("listening")["port"]

    def heard(self, event: str, **fields: Any) -> dict[str, Any]:
        """Wait until the router says something."""
        deadline = time.monotonic() + PATIENCE_SECS
        while True:
            line = self._new.get(timeout=max(0.01, deadline - time.monotonic()))
            if line is None:
                raise AssertionError(f"ended without saying {event}: {self.lines}")
            if line.get("event") == event and fields.items() <= line.items():
                return line

    def ask(self, method: str, target: str, body: object = None, *, token: str | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECS)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.headers.get("Content-Type", ""), answer.read())
        finally:
            connection.close()

    def until(self, target: str, status: int) -> Answer:
        """Ask until the answer has that status."""
        deadline = time.monotonic() + PATIENCE_SECS
        while (answer := self.ask("GET", target)).status != status:
            assert time.monotonic() < deadline, answer
            time.sleep(0.05)
        return answer

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                told = json.loads(line)
            except ValueError:
                told = {"event": "text", "text": line.decode(errors="replace")}
            self.lines.append(told)
            self._new.put(told)
        self._new.put(None)


def write_config(folder: Path, values: Mapping[str, Any], name: str = "router.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(values))
    return path


def run_async(what: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop of its own; it must end in time."""
    return asyncio.run(asyncio.wait_for(what, PATIENCE_SECS))


def dead_port() -> int:
    """Return a port where nobody listens, until a router of the test does: no other program gets it by chance."""
    (port,), held = free_ports(1)
    _HELD.extend(held)
    return port


def write(folder: Path, regions: Mapping[str, FakeRegion], **policy: Any) -> Path:
    """Write a configuration that probes these regions, quickly unless ``policy`` says otherwise."""
    probes = {code: region.url for code, region in regions.items()}
    return write_config(folder, config_values(probes=probes, **{**QUICK, **policy}))


def serve(folder: Path, config: Path, *more: str) -> RouterProcess:
    """Start a router that is quick to leave."""
    return RouterProcess("--config", str(config), "--drain-secs", "0.2", *more, folder=folder)


def region_for(router: RouterProcess, preferred: str) -> str | None:
    """Return where a player goes; None where nowhere."""
    region: str | None = router.ask("GET", f"/v1/route?preferred={preferred}").json.get("region")
    return region


def healths(router: RouterProcess) -> dict[str, str]:
    """Return how regions are, by code."""
    return {each["code"]: each["health"] for each in router.ask("GET", "/v1/regions").json["regions"]}


def until(what: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_SECS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)
