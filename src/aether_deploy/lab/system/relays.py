"""What passes bytes on between processes of a lab while its gate is open: connections, and datagrams."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, cast

HOST = "127.0.0.1"
Transport = Literal["TCP", "UDP"]
_BACKLOG = 512
_SESSIONS_MAX = 200
_IDLE_SECS = 10.0
"""How long a sender of datagrams may be silent and still be the same: each that is remembered holds a socket."""


class Address(NamedTuple):
    """A host of the loopback network and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


Targets = Callable[[], Sequence[Address]]
"""Where to go on to, best first; asked for each new connection."""
Asks = Callable[[], Awaitable[Sequence[Address]]]


def asking(targets: Targets, *, blocking: bool) -> Asks:
    """Return what asks for targets in a loop: in a thread of its own where the answer may take its time."""

    async def ask() -> Sequence[Address]:
        return await asyncio.to_thread(targets) if blocking else targets()

    return ask


class Relay(Protocol):
    """One address that leads to others."""

    address: Address

    async def listen(self, at: Address) -> None:
        """Take connections, or datagrams; port 0 is any that is free.

        Raises:
            OSError: The address cannot be had.
        """

    def set(self, *, is_open: bool) -> None:
        """Let everything through, or nothing."""

    def close(self) -> None:
        """End it and everything that goes through it."""


def relay_of(transport: Transport, targets: Targets, *, is_open: bool, blocking: bool = False) -> Relay:
    """Return a relay that does not listen yet; made in the loop that runs it.

    Args:
        transport: What goes through it.
        targets: Where to.
        is_open: Whether anything does now.
        blocking: Whether asking for targets may take its time.
    """
    kind = ConnectionRelay if transport == "TCP" else DatagramRelay
    return kind(asking(targets, blocking=blocking), is_open=is_open)


class ConnectionRelay:
    """Passes on connections. While it is shut they stay open and nobody answers, as when packets are lost."""

    def __init__(self, targets: Asks, *, is_open: bool) -> None:
        self.address = Address(HOST, 0)
        self.ends: set[_End] = set()
        self._targets = targets
        self._gate = asyncio.Event()
        self._connecting: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.set(is_open=is_open)

    async def listen(self, at: Address) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _End(self, None), at.host, at.port, backlog=_BACKLOG, start_serving=False
        )
        self.address = Address(at.host, int(self._server.sockets[0].getsockname()[1]))
        await self._server.start_serving()  # who cancels us here knows what to close

    @property
    def is_open(self) -> bool:
        """Whether anything goes through."""
        return self._gate.is_set()

    def set(self, *, is_open: bool) -> None:
        (self._gate.set if is_open else self._gate.clear)()
        for end in self.ends:
            end.read_if_it_may()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._connecting):
            task.cancel()
        for end in tuple(self.ends):
            end.abort()

    def lead_on(self, near: "_End") -> None:
        """Connect one who came to the first target that takes it; where none does, his connection ends."""
        task = asyncio.get_running_loop().create_task(self._lead_on(near))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _lead_on(self, near: "_End") -> None:
        await self._gate.wait()
        loop = asyncio.get_running_loop()
        for each in await self._targets():
            with contextlib.suppress(OSError):
                await loop.create_connection(lambda: _End(self, near), *each)
                return
        near.abort()


class _End(asyncio.Protocol):
    """One end of a connection that is passed on: what it reads, the other end writes."""

    def __init__(self, relay: ConnectionRelay, other: "_End | None") -> None:
        self._relay, self._other = relay, other
        self._transport: asyncio.Transport | None = None
        self._is_full = False
        self._is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._relay.ends.add(self)
        if self._other is None:
            self._transport.pause_reading()  # nobody is there yet to write it
            self._relay.lead_on(self)
            return
        self._other._other = self
        for end in (self, self._other):
            end.read_if_it_may()
        if self._other._transport is None or self._other._transport.is_closing():
            self.abort()  # who came has gone meanwhile

    def read_if_it_may(self) -> None:
        """Read on where the relay is open and the other end takes what is read, else wait."""
        if self._transport is None or self._other is None or self._transport.is_closing():
            return
        if self._relay.is_open and not self._other._is_full:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.write(data)

    def eof_received(self) -> bool:
        self._is_over = True
        other = self._other
        if other is None or other._transport is None or other._is_over:
            return False
        with contextlib.suppress(OSError, RuntimeError):
            other._transport.write_eof()
        return True  # the other end may still have something to say

    def pause_writing(self) -> None:
        self._is_full = True
        if self._other is not None:
            self._other.read_if_it_may()

    def resume_writing(self) -> None:
        self._is_full = False
        if self._other is not None:
            self._other.read_if_it_may()

    def connection_lost(self, exc: Exception | None) -> None:
        self._relay.ends.discard(self)
        if self._other is not None and self._other._transport is not None:
            (self._other._transport.abort if exc is not None else self._other._transport.close)()

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()


class DatagramRelay(asyncio.DatagramProtocol):
    """Passes on datagrams, and answers back to who asked. What comes while it is shut is lost."""

    def __init__(self, targets: Asks, *, is_open: bool) -> None:
        self.address = Address(HOST, 0)
        self._targets = targets
        self._open = is_open
        self._transport: asyncio.DatagramTransport | None = None
        self._sessions: dict[Any, asyncio.Task[_Session]] = {}
        self._heard: dict[Any, float] = {}

    async def listen(self, at: Address) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=at)
        self.address = Address(at.host, int(self._transport.get_extra_info("sockname")[1]))

    def set(self, *, is_open: bool) -> None:
        self._open = is_open

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        for client in tuple(self._sessions):
            self.forget(client)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self._open:
            return
        loop = asyncio.get_running_loop()
        if addr not in self._sessions:
            self._forget_the_silent(loop.time())
            self._sessions[addr] = loop.create_task(self._begin(addr))
        self._heard[addr] = loop.time()
        self._sessions[addr].add_done_callback(lambda begun: self._pass_on(begun, addr, data))

    def _forget_the_silent(self, now: float) -> None:
        """End the sessions of who has said nothing for long, and of as many others as there is no room for."""
        by_age = sorted(self._sessions, key=lambda client: self._heard[client])
        for place, client in enumerate(by_age):
            if now - self._heard[client] > _IDLE_SECS or len(by_age) - place >= _SESSIONS_MAX:
                self.forget(client)

    async def _begin(self, client: Any) -> "_Session":
        """Open the session of a client.

        Raises:
            OSError: Nobody is there.
        """
        found = await self._targets()
        if not found:
            raise ConnectionRefusedError("nobody listens there")
        loop = asyncio.get_running_loop()
        _, session = await loop.create_datagram_endpoint(lambda: _Session(self, client), remote_addr=found[0])
        return session

    def _pass_on(self, begun: "asyncio.Task[_Session]", client: Any, data: bytes) -> None:
        if begun.cancelled() or begun.exception() is not None:
            self.forget(client)
        elif (transport := begun.result().transport) is not None:
            transport.sendto(data)

    def answer(self, client: Any, data: bytes) -> None:
        """Send back what a target said."""
        if self._open and self._transport is not None:
            self._transport.sendto(data, client)

    def forget(self, client: Any) -> None:
        """End the session of a client; his next datagram begins another."""
        self._heard.pop(client, None)
        begun = self._sessions.pop(client, None)
        if begun is None:
            return
        if begun.done() and not begun.cancelled() and begun.exception() is None:
            if (transport := begun.result().transport) is not None:
                transport.close()
        else:
            begun.cancel()


class _Session(asyncio.DatagramProtocol):
    """What one client says to one target."""

    def __init__(self, relay: DatagramRelay, client: Any) -> None:
        self.transport: asyncio.DatagramTransport | None = None
        self._relay, self._client = relay, client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)  # no Python 3.11 says so itself

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._relay.answer(self._client, data)

    def error_received(self, exc: Exception) -> None:
        self._relay.forget(self._client)  # nobody listens there any more
