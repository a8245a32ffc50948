"""A listening server, from its sockets to the end of its last connection."""

import asyncio
import contextlib
import resource
import socket

import msgspec

from aether_deploy.problems import EffectError
from aether_deploy.service.http.connection import Connection
from aether_deploy.service.http.core import Counts, ServerCore
from aether_deploy.service.http.limits import Limits
from aether_deploy.service.http.messages import Application

_BACKLOG = 1024
_OTHER_FILES = 64  # sockets of probes, files, the loop's own


class Server:
    """A server that listens; it ends by itself after ``stopping`` was set.

    Attributes:
        addresses: What it listens on, as host and port.
        connections_max: Connections that it holds; fewer than the limit where the process may open fewer files.
    """

    def __init__(self, core: ServerCore, sockets: list[socket.socket], stopping: asyncio.Event) -> None:
        self._core = core
        self._stopping = stopping
        self.addresses: tuple[tuple[str, int], ...] = tuple(each.getsockname()[:2] for each in sockets)
        self.connections_max = core.limits.connections
        self._listeners: list[asyncio.Server] = []
        self._life: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port, that which the system gave where 0 was asked for."""
        return self.addresses[0][1]

    @property
    def counts(self) -> Counts:
        """What happened since the start."""
        return self._core.counts

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._core.open)

    @property
    def listening(self) -> bool:
        """Whether new clients are let in; false from the moment it stops."""
        return any(listener.is_serving() for listener in self._listeners)

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return self._core.streams

    async def wait_closed(self) -> None:
        """Wait until ``stopping`` was set and every connection is over."""
        if self._life is not None:
            await self._life

    async def _start(self, sockets: list[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        for each in sockets:
            self._listeners.append(
                await loop.create_server(lambda: Connection(self._core), sock=each, backlog=_BACKLOG)
            )
        self._life = loop.create_task(self._live(), name="http server")

    async def _live(self) -> None:
        """Tick until told to stop; then answer what is on its way, and end."""
        limits = self._core.limits
        try:
            while not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), limits.tick_secs)
                self._core.tick()
            for listener in self._listeners:
                listener.close()
            self._core.drain()
            await self._wait_for_silence(limits)
        finally:
            for listener in self._listeners:
                listener.close()
            for connection in list(self._core.open):
                connection.abort()
        await asyncio.sleep(0)  # the loop tells each connection that it is over

    async def _wait_for_silence(self, limits: Limits) -> None:
        """Wait until no connection is open, at most ``drain_secs``; idle ones and streams get ``drain_idle_secs``."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        grain = min(limits.tick_secs, limits.drain_idle_secs or limits.tick_secs, 0.05)
        while self._core.open and loop.time() - begin < limits.drain_secs:
            if loop.time() - begin >= limits.drain_idle_secs:
                for connection in list(self._core.open):
                    connection.drain()
            await asyncio.sleep(grain)
            self._core.tick()


async def serve(
    application: Application,
    *,
    host: str,
    port: int,
    limits: Limits,
    stopping: asyncio.Event,
    reuse_port: bool = False,
) -> Server:
    """Listen, and answer from then on.

    The process's own limit of open files is raised as far as it may be, and as far as ``limits`` need it.

    Args:
        application: Who answers.
        host: Address or name to listen on; ``""`` is every address of IPv4 and IPv6.
        port: TCP port; 0 lets the system choose.
        limits: What clients are allowed.
        stopping: Set it to end the server: it stops listening, answers what is on its way, and closes.
        reuse_port: Whether other processes may listen on the same port.

    Raises:
        EffectError: The address cannot be listened on.
    """
    return await serve_on(await bind(host, port, reuse_port=reuse_port), application, limits=limits, stopping=stopping)


async def serve_on(
    sockets: list[socket.socket], application: Application, *, limits: Limits, stopping: asyncio.Event
) -> Server:
    """Answer from now on; as ``serve`` does, which binds the sockets first.

    Args:
        sockets: What ``bind`` returned; from here on they are the server's.
        application: Who answers.
        limits: What clients are allowed.
        stopping: Set it to end the server.
    """
    allowed = min(limits.connections, _open_files(limits.connections + _OTHER_FILES) - _OTHER_FILES)
    limits = _within(limits, max(allowed, 1))
    server = Server(ServerCore(application, limits, asyncio.get_running_loop()), sockets, stopping)
    await server._start(sockets)
    return server


def _within(limits: Limits, connections: int) -> Limits:
    """Return limits for so many connections; what one client may hold of them stays in proportion."""
    of_a_peer = max(1, limits.peer_connections * connections // limits.connections)
    return msgspec.structs.replace(limits, connections=connections, peer_connections=of_a_peer)


def _open_files(wanted: int) -> int:
    """Raise the soft limit of open files to ``wanted``, or as far as it goes; return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        return target
    return soft


async def bind(host: str, port: int, *, reuse_port: bool = False) -> list[socket.socket]:
    """Return a listening socket for each address of ``host``, all on one port; clients wait until they are served.

    Raises:
        EffectError: The address cannot be listened on.
    """
    loop = asyncio.get_running_loop()
    sockets: list[socket.socket] = []
    try:
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            if family == socket.AF_INET6 and not host and not socket.has_dualstack_ipv6():
                continue  # a machine without IPv6 still serves every address it has
            sockets.append(_bound(family, (address[0], port, *address[2:]), reuse_port))
            port = sockets[0].getsockname()[1]
    except OSError as error:
        for each in sockets:
            each.close()
        reason = error.strerror or str(error)
        fix = "choose a free port and an address of this machine"
        raise EffectError(f"cannot listen on {host or '*'}:{port}: {reason}\n  fix: {fix}") from error
    return sockets


def _bound(family: int, address: tuple[object, ...], reuse_port: bool) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        # A server that was killed leaves connections behind; a new one may listen at once.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
