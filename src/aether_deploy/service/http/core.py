"""What all connections of one server share: its application, limits, clock, date and counts."""

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate

import msgspec

from aether_deploy.service.http.connection import LOG, Connection, Phase
from aether_deploy.service.http.grammar import plain_get
from aether_deploy.service.http.limits import Limits
from aether_deploy.service.http.messages import Application, Response, problem
from aether_deploy.service.http.peers import Peers
from aether_deploy.service.http.writing import with_lines

_PLAIN_FIELDS = 61  # the short cut is for short heads; longer ones are read line by line
_PLAIN_BYTES = 4096
_KNOWN = 1024
_KNOWN_BYTES = 1024
_SPARE_CONNECTIONS = 64
_SOON, _LATER = (("Retry-After", "1"),), (("Retry-After", "5"),)


class Counts(msgspec.Struct):
    """What happened since the start.

    Attributes:
        connections: Connections that were accepted.
        refused_connections: Of these told 503 or 429, or cut, because too many were open, or too many of one client.
        answered: Answers given, but for the ready ones, which the application counts.
        refused_requests: Requests that broke a rule or a limit of HTTP.
        failed: Answers and subscriptions that raised.
        timed_out: Requests that did not come in time.
        dropped: Clients that did not read.
    """

    connections: int = 0
    refused_connections: int = 0
    answered: int = 0
    refused_requests: int = 0
    failed: int = 0
    timed_out: int = 0
    dropped: int = 0


class ServerCore:
    """The shared state of a server's connections. One clock tick serves them all: no request sets a timer.

    Attributes:
        now: Time of the last tick, seconds of the event loop's clock, which no change of the wall clock moves.
        open: The open connections.
        streams: How many of these are streams.
        draining: Whether the server ends; then every answer closes its connection.
    """

    def __init__(self, application: Application, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self.limits = limits
        self.idle_secs = limits.idle_secs
        self.answer = application.answer
        self.counted = application.counted
        self.counts = Counts()
        self.plain_get = plain_get(min(limits.headers, _PLAIN_FIELDS)).match
        self.plain_bytes = min(limits.head_bytes, limits.request_line_bytes, _PLAIN_BYTES)
        self.open: set[Connection] = set()
        self.streams = 0
        self._peers, self._streaming = Peers(), Peers()
        self.draining = False
        self.secs = {
            Phase.IDLE: limits.idle_secs,
            Phase.HEAD: limits.head_secs,
            Phase.BODY: limits.body_secs,
            Phase.STREAM: limits.heartbeat_secs,
            Phase.LINGER: limits.linger_secs,
        }
        self._application = application
        self._source = application.ready
        self._stamped: dict[bytes, bytes] = {}
        self._known: dict[bytes, tuple[bytes, bytes]] = {}
        self.soon: Callable[[Callable[[], None]], object] = loop.call_soon
        self._loop = loop
        self._second = -1
        self.date_line = b""
        self.tick()

    def tick(self) -> None:
        """Read the clock, renew the date, and deal with the connections whose time has come."""
        self.now = now = self._loop.time()
        second = int(time.time())
        if second != self._second:
            self._second = second
            self.date_line = f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
            self._renew()
        for connection in [each for each in self.open if each.deadline <= now]:
            try:
                connection.expire()
            except Exception:
                LOG.exception("a connection did not end well")
                connection.abort()

    def known(self) -> dict[bytes, tuple[bytes, bytes]]:
        """Return target and answer of plain requests by all their bytes: one that was judged needs no second look."""
        if self._application.ready is not self._source:
            self._renew()
        return self._known

    def stamped(self, target: bytes) -> bytes | None:
        """Return the ready answer to ``target`` with the date in it; None where there is none, or none may be kept.

        It is the one that the application has now, even where its answers changed while this request waited behind
        another one.
        """
        if self._application.ready is not self._source:
            self._renew()
        answer = self._stamped.get(target)
        if answer is None and not self.draining:
            answer = self._source.get(target)
            if answer is not None:
                answer = self._stamped[target] = with_lines(answer, self.date_line)
        return answer

    def keep(self, request: bytes, target: bytes, answer: bytes) -> None:
        """Remember that these bytes ask for ``target``; what does not fit any more is judged each time."""
        if len(self._known) < _KNOWN and len(request) <= _KNOWN_BYTES:
            self._known[request] = (target, answer)

    def _renew(self) -> None:
        self._source = self._application.ready
        self._stamped = {}
        self._known = {}

    def ready_answer(self, target: bytes) -> bytes | None:
        """Return the ready answer to ``target`` as the application has it."""
        return self._application.ready.get(target)

    def drain(self) -> None:
        """From now on close every connection with its next answer."""
        self.draining = True
        self._renew()

    def admit(self, connection: Connection) -> None:
        """Count a new connection in; one too many is told so, and far too many are cut."""
        self.open.add(connection)
        self.counts.connections += 1
        beyond = len(self.open) - self.limits.connections
        of_a_peer = self._peers.take(connection.peer) - self.limits.peer_connections
        if beyond > 0 or of_a_peer > 0:
            self.counts.refused_connections += 1
        if max(beyond, of_a_peer) > _SPARE_CONNECTIONS:
            connection.abort()
        elif beyond > 0:
            connection.refuse(problem(503, "too many connections are open", _SOON))
        elif of_a_peer > 0:
            connection.refuse(problem(429, "too many connections are open from this address", _SOON))

    def forget(self, connection: Connection) -> None:
        """Count a connection out."""
        if connection in self.open:
            self.open.discard(connection)
            self._peers.give_back(connection.peer)

    def no_stream_for(self, peer: str) -> Response | None:
        """Return why a client gets no stream; None where it does."""
        if self.streams >= self.limits.streams:
            return problem(503, f"{self.limits.streams} streams are open already", _LATER)
        if self._streaming.held(peer) >= self.limits.peer_streams:
            said = f"{self.limits.peer_streams} streams are open already from this address"
            return problem(429, said, _LATER)
        return None

    def begin_stream(self, peer: str) -> None:
        """Count a stream in."""
        self.streams += 1
        self._streaming.take(peer)

    def end_stream(self, peer: str) -> None:
        """Count a stream out."""
        self.streams -= 1
        self._streaming.give_back(peer)
