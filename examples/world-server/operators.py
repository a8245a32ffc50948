"""The operators' port: HTTP for the kubelet, Prometheus and whoever steers joining. Keep players off it."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

from wal import Wal
from world import World

REQUEST_SECS = 10.0
BODY_BYTES_MAX = 4096
CONTENT_LENGTH = re.compile(r"^content-length:[ \t]*(\d{1,9})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class Request(NamedTuple):
    method: str
    path: str
    body: bytes


class Answer(NamedTuple):
    status: str
    text: str
    content_type: str = "text/plain; charset=utf-8"


class Operators:
    """Answers one request on each connection."""

    def __init__(self, world: World, wal: Wal, drain: Callable[[], Awaitable[None]]) -> None:
        self._world, self._wal, self._drain = world, wal, drain
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Open the port, 0 for any that is free, and return its number."""
        self._server = await asyncio.start_server(self._serve, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        with suppress(ConnectionError, TimeoutError):
            try:
                answer = await self._answer(reader)
                body = answer.text.encode()
                head = f"HTTP/1.1 {answer.status}\r\nContent-Type: {answer.content_type}\r\n"
                writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
                await writer.drain()
            finally:
                self._connections.discard(task)
                writer.close()

    async def finish(self, within_secs: float) -> None:
        """Wait for answers that are on their way."""
        if self._connections:
            await asyncio.wait(self._connections, timeout=within_secs)

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        try:
            async with asyncio.timeout(REQUEST_SECS):
                request = await _read_request(reader)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            return Answer("400 Bad Request", "not understood\n")
        match request.path, request.method:
            case "/healthz", "GET":
                return Answer("200 OK", "alive\n")
            case "/readyz", "GET":
                loaded = self._world.loaded
                return Answer("200 OK", "loaded\n") if loaded else Answer("503 Service Unavailable", "replaying\n")
            case "/metrics", "GET":
                return Answer("200 OK", self._metrics(), "text/plain; version=0.0.4; charset=utf-8")
            case "/drain", "GET":
                await self._drain()
                return _json(self._drained())
            case "/admission", "GET":
                return _json(self._admission())
            case "/admission", "POST":
                return self._set_admission(request.body)
            case "/healthz" | "/readyz" | "/metrics" | "/drain" | "/admission", _:
                return Answer("405 Method Not Allowed", "no\n")
        return Answer("404 Not Found", "no\n")

    def _metrics(self) -> str:
        world, unarchived = self._world, self._wal.unarchived_bytes
        gauges = {
            "player_count": ("Players in this world.", len(world.players)),
            "ordinal_floor": ("Replicas that keep this world; 0 once nothing would be lost.", world.floor(unarchived)),
            "wal_unarchived_bytes": ("Log that only this pod has.", unarchived),
            "wal_replaying": ("1 while the log is replayed.", int(not world.loaded)),
            "draining": ("1 once the world drains.", int(world.draining)),
            "joinable": ("1 while players may join.", int(world.why_not_join() is None)),
        }
        return "".join(
            f"# HELP aether_world_{name} {text}\n# TYPE aether_world_{name} gauge\naether_world_{name} {value}\n"
            for name, (text, value) in gauges.items()
        )

    def _drained(self) -> dict[str, Any]:
        unarchived = self._wal.unarchived_bytes
        drained = self._world.floor(unarchived) == 0
        return {"drained": drained, "players": len(self._world.players), "wal_unarchived_bytes": unarchived}

    def _admission(self) -> dict[str, Any]:
        world, reason = self._world, self._world.why_not_join()
        said = {"ordinal": world.ordinal, "joinable_replicas": world.joinable_replicas}
        return {**said, "joinable": reason is None, "reason": reason}

    def _set_admission(self, body: bytes) -> Answer:
        try:
            replicas = json.loads(body)["joinable_replicas"]
        except (ValueError, TypeError, KeyError):
            replicas = False
        if replicas is not None and (type(replicas) is not int or replicas < 0):
            return Answer("400 Bad Request", 'say {"joinable_replicas": N}, or null to open the gate\n')
        self._world.joinable_replicas = replicas
        return _json(self._admission())


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = CONTENT_LENGTH.search(head)
    size = int(length[1]) if length else 0
    if size > BODY_BYTES_MAX:
        raise ValueError("too large")
    body = await reader.readexactly(size)
    method, target, _ = head.split("\r\n", 1)[0].split(" ")
    return Request(method, target.partition("?")[0], body)


def _json(values: dict[str, Any]) -> Answer:
    return Answer("200 OK", json.dumps(values) + "\n", "application/json")
