"""Who listens where in a lab, and what lies between its regions: relays that can be cut.

Members boot side by side: who needs another's address waits until that one has taken its port. Within a region they
reach each other directly; from one region to another through a relay, one for each pair of a caller's region and a
server, so that a cut between two regions stops just what goes between them. Where several processes of a region are one
to those who call them, a front stands before them as a Service does in a cluster.
"""

import asyncio
import resource
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from aether_deploy.lab.names import Names
from aether_deploy.lab.system.relays import HOST as HOST
from aether_deploy.lab.system.relays import Address as Address
from aether_deploy.lab.system.relays import Relay, Targets, relay_of
from aether_deploy.lab.system.relays import Transport as Transport
from aether_deploy.problems import EffectError

T = TypeVar("T")
_WAIT_SECS = 120.0
_ANY = Address(HOST, 0)
_ENDS = "the lab ends, and its network with it\n  fix: boot another"
_FILES = 16_384
_ASKERS_MAX = 64
"""Threads that ask fronts' members for targets: one that waits holds up no other front."""


class Server(NamedTuple):
    """What somebody may want to reach: a port of a member in a region. With several processes it has a number too."""

    member: str
    region: str
    port: str
    number: int = 0


class _Known(NamedTuple):
    """Where a server listens, what it speaks there, and who stands behind it where it is but a front."""

    address: Address
    transport: Transport
    behind: Targets | None = None
    blocking: bool = False

    def targets(self) -> Sequence[Address]:
        """Return who takes a new connection, best first."""
        return (self.address,) if self.behind is None else self.behind()


class Network:
    """The addresses of a lab and its links. Every method may be called from any thread.

    Once the lab ends, who waits is told, and so is who wants anything opened, cut or joined: by an EffectError.
    """

    def __init__(self) -> None:
        _make_room()
        self._known = threading.Condition()
        self._servers: dict[Server, _Known] = {}
        self._fronts: list[Relay] = []
        self._relays: dict[tuple[str, Server, Address], Relay] = {}
        self._resolvers: list[asyncio.DatagramTransport] = []
        self._notes: dict[str, str] = {}
        self._cut: set[frozenset[str]] = set()
        self._closed = False
        self._opening = asyncio.Lock()
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(_ASKERS_MAX, thread_name_prefix="lab-network"))
        self._thread = threading.Thread(target=self._run, name="lab-network", daemon=True)
        self._thread.start()

    # --- addresses

    def publish(self, server: Server, address: Address, transport: Transport = "TCP") -> None:
        """Say where a server listens, or will; who waits for it goes on."""
        self._publish(server, _Known(address, transport))

    def _publish(self, server: Server, known: _Known) -> None:
        with self._known:
            self._servers[server] = known
            self._known.notify_all()

    def find(self, server: Server, within_secs: float = _WAIT_SECS) -> Address:
        """Return where a server listens, as its own region reaches it; waits until it says so.

        Raises:
            EffectError: It does not in time, or the lab ends.
        """
        return self._find(server, within_secs).address

    def _find(self, server: Server, within_secs: float) -> _Known:
        with self._known:
            self._known.wait_for(lambda: self._closed or server in self._servers, within_secs)
            if self._closed or server not in self._servers:
                raise EffectError(f"{server.member} in {server.region} never said where its port {server.port} is")
            return self._servers[server]

    def front(
        self, server: Server, targets: Targets, transport: Transport = "TCP", *, blocking: bool = False
    ) -> Address:
        """Open one address before several processes of a region, and publish it as ``server``.

        Args:
            server: What it is the address of.
            targets: Where a new connection, or the datagrams of somebody new, go on to; the first that takes them.
            transport: What is spoken there.
            blocking: Whether ``targets`` may take its time.

        Raises:
            EffectError: The lab ends.
        """
        address = self._do(self._open_front(relay_of(transport, targets, is_open=True, blocking=blocking)))
        self._publish(server, _Known(address, transport, targets, blocking))
        return address

    async def _open_front(self, front: Relay) -> Address:
        self._fronts.append(front)
        await front.listen(_ANY)
        return front.address

    def reach(self, region: str, server: Server, within_secs: float = _WAIT_SECS) -> Address:
        """Return where a caller in ``region`` reaches a server: itself within its region, else a relay before it.

        Raises:
            EffectError: As for :meth:`find`.
        """
        known = self._find(server, within_secs)
        if region == server.region:
            return known.address
        return self._do(self._relay(region, server, known, _ANY))

    def ways(self, region: str, server: Server, within_secs: float = _WAIT_SECS) -> Sequence[Address]:
        """Return where a caller in ``region`` may try to reach a server now, best first: in its own region those who
        stand behind a front, which then has nothing to pass on.

        Raises:
            EffectError: As for :meth:`find`.
        """
        known = self._find(server, within_secs)
        return known.targets() if region == server.region else (self.reach(region, server),)

    def reach_at(self, region: str, server: Server, at: Address, within_secs: float = _WAIT_SECS) -> None:
        """Let a caller in ``region`` reach a server at an address that is not ours to choose, within its region too.

        Raises:
            EffectError: As for :meth:`find`, or the address cannot be had.
        """
        known = self._find(server, within_secs)
        try:
            self._do(self._relay(region, server, known, at))
        except OSError as error:
            raise EffectError(f"{at} cannot be listened at: {error.strerror}\n  fix: see who listens there") from error

    async def _relay(self, region: str, server: Server, known: _Known, at: Address) -> Address:
        pair = frozenset((region, server.region))
        async with self._opening:  # two who ask at once share one relay
            relay = self._relays.get((region, server, at))
            if relay is None:
                is_open = pair not in self._cut
                relay = relay_of(known.transport, known.targets, is_open=is_open, blocking=known.blocking)
                try:
                    await relay.listen(at)
                except BaseException:
                    relay.close()
                    raise
                self._relays[region, server, at] = relay
            return relay.address

    def serve_names(self, names: Mapping[str, Sequence[str]]) -> Address:
        """Open a DNS server that answers with ``names`` as it is at the time of a question; return where it listens."""
        return self._do(self._open_names(names))

    async def _open_names(self, names: Mapping[str, Sequence[str]]) -> Address:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: Names(names), local_addr=_ANY)
        self._resolvers.append(transport)
        return Address(*transport.get_extra_info("sockname")[:2])

    # --- what members tell each other

    def note(self, what: str, said: str) -> None:
        """Leave a word for other members: the file of a certificate."""
        with self._known:
            self._notes[what] = said
            self._known.notify_all()

    def noted(self, what: str, within_secs: float = _WAIT_SECS) -> str:
        """Return what another member left; waits until it does.

        Raises:
            EffectError: It does not in time, or the lab ends.
        """
        with self._known:
            self._known.wait_for(lambda: self._closed or what in self._notes, within_secs)
            if self._closed or what not in self._notes:
                raise EffectError(f"nobody said {what}")
            return self._notes[what]

    # --- links

    def cut(self, pair: frozenset[str]) -> None:
        """Let nothing through between two regions: connections stay open and nobody answers, as when packets are lost.

        A new connection is taken and stays silent, where a lost packet would let it wait.
        """
        self._do(self._set(pair, is_open=False))

    def join(self, pair: frozenset[str]) -> None:
        """Let everything through again, what was held back first."""
        self._do(self._set(pair, is_open=True))

    async def _set(self, pair: frozenset[str], *, is_open: bool) -> None:
        (self._cut.discard if is_open else self._cut.add)(pair)
        for (region, server, _), relay in self._relays.items():
            if pair == frozenset((region, server.region)):
                relay.set(is_open=is_open)

    # --- life

    @property
    def is_closed(self) -> bool:
        """Whether the lab ends."""
        return self._closed

    def close(self) -> None:
        """End every relay; who waits for an address is told. Safe to call twice."""
        with self._known:
            if self._closed:
                return
            self._closed = True  # nothing is handed to the loop from now on
            self._known.notify_all()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())  # what was handed over before, and has not begun, is in there too
        self._loop.close()

    async def _end(self) -> None:
        for relay in (*self._relays.values(), *self._fronts):
            relay.close()
        for resolver in self._resolvers:
            resolver.close()
        while others := [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]:
            for each in others:
                each.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_default_executor()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Let the loop do something, and return what comes of it.

        Raises:
            EffectError: The lab ends.
        """
        with self._known:  # either before the end, which cancels what is not done, or not at all
            if self._closed:
                work.close()
                raise EffectError(_ENDS)
            doing = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return doing.result()
        except CancelledError as error:
            raise EffectError(_ENDS) from error


def _make_room() -> None:
    """Let this process hold as many sockets as the system lets it: each connection through a relay takes two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
