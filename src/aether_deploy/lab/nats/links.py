"""The links between NATS clusters: a relay before each server's gateway, which lets through who is not cut off.

Who calls is told by the process that owns the other end of the connection, as the kernel lists it: what goes over a
gateway is encrypted, and all addresses are the same.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import msgspec

from aether_deploy.lab.nats.places import HOST
from aether_deploy.lab.nats.sockets import inode_of

_CHUNK = 65536
_POLL_SECS = 0.1
_CUT_SECS = 60
_Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class _Flow(msgspec.Struct, eq=False):
    """One connection that goes through."""

    ends: frozenset[str]
    writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]


class Links:
    """Relays for gateways, in a thread of their own.

    Args:
        members: The NATS cluster of each server's process, as it changes; nobody else is let through.
    """

    def __init__(self, members: Mapping[int, str]) -> None:
        self._members = members
        self._cut: set[frozenset[str]] = set()
        self._flows: set[_Flow] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats-links", daemon=True)
        self._thread.start()
        self._servers: list[asyncio.Server] = []

    def open(self, targets: Mapping[int, str]) -> dict[int, int]:
        """Open a relay before each gateway.

        Args:
            targets: Port of each gateway, with its NATS cluster.

        Returns:
            The port of each one's relay.
        """
        return asyncio.run_coroutine_threadsafe(self._open(targets), self._loop).result()

    async def _open(self, targets: Mapping[int, str]) -> dict[int, int]:
        ports = {}
        for port, cluster in targets.items():
            server = await asyncio.start_server(self._answering(port, cluster), HOST, 0)
            self._servers.append(server)
            ports[port] = int(server.sockets[0].getsockname()[1])
        return ports

    def cut(self, one: str, other: str) -> None:
        """End every connection between two NATS clusters, and let none come about; returns once it is so."""
        pair = frozenset((one, other))

        async def end() -> None:
            self._cut.add(pair)
            for flow in [each for each in self._flows if each.ends == pair]:
                _abort(flow)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(_CUT_SECS)

    def heal(self, one: str, other: str) -> None:
        """Let two NATS clusters reach each other again."""
        pair = frozenset((one, other))
        self._loop.call_soon_threadsafe(self._cut.discard, pair)

    def close(self) -> None:
        """End everything."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        # Without its connections each relay ends by itself.
        while running := [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]:
            for flow in list(self._flows):
                _abort(flow)
            await asyncio.wait(running, timeout=_POLL_SECS)

    def _answering(self, port: int, cluster: str) -> _Answer:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            caller = self._caller(writer)
            ends = frozenset((caller or "", cluster))
            if caller is None or ends in self._cut:
                writer.transport.abort()
                return
            try:
                onward, back = await asyncio.open_connection(HOST, port)
            except OSError:
                writer.transport.abort()
                return
            flow = _Flow(ends, (writer, back))
            if ends in self._cut:  # since we looked
                _abort(flow)
                return
            self._flows.add(flow)
            try:
                await asyncio.gather(_pipe(reader, back, flow), _pipe(onward, writer, flow))
            finally:
                self._flows.discard(flow)
                _abort(flow)

        return answer

    def _caller(self, writer: asyncio.StreamWriter) -> str | None:
        inode = inode_of(writer.get_extra_info("peername"), writer.get_extra_info("sockname"))
        if inode is None:
            return None
        # Only servers are asked, or all programs of the machine would hold up every handshake.
        return next((cluster for pid, cluster in list(self._members.items()) if _owns(pid, inode)), None)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: _Flow) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    _abort(flow)


def _abort(flow: _Flow) -> None:
    for writer in flow.writers:
        writer.transport.abort()


def _owns(pid: int, inode: int) -> bool:
    with contextlib.suppress(OSError):
        return any(os.readlink(each) == f"socket:[{inode}]" for each in Path(f"/proc/{pid}/fd").iterdir())
    return False
