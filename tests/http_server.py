"""A real server around the application of the tests: in a test's event loop, or as a process of its own.

``python -m tests.http_server PORT [LIMITS as JSON]`` prints its port, and ends on SIGTERM.
"""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from aether_deploy.service.http.limits import Limits
from aether_deploy.service.http.server import Server, serve
from tests.http_cases import Echo

T = TypeVar("T")
ROOT = Path(__file__).parent.parent
CALM = Limits(tick_secs=0.05)  # as served, but for the clock's grain
HASTY = Limits(head_secs=0.5, body_secs=0.5, stall_secs=0.5, linger_secs=15.0, tick_secs=0.05)
PATIENCE_SECS = 90.0  # for what must come; nothing is measured by it


@dataclass
class Live:
    """A server in this event loop."""

    server: Server
    application: Echo
    stopping: asyncio.Event

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.server.addresses[0])

    async def ask(self, sent: bytes) -> bytes:
        """Return all that one connection says to ``sent`` until the server ends it."""
        reader, writer = await self.open()
        writer.write(sent)
        heard = await patient(reader.read())
        writer.close()
        return heard

    async def stop(self) -> None:
        self.stopping.set()
        await patient(self.server.wait_closed())


async def patient(coming: Awaitable[T]) -> T:
    """Return what comes, or fail: a test that waits forever says nothing."""
    return await asyncio.wait_for(coming, PATIENCE_SECS)


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is true, or fail."""

    async def watch() -> None:
        while not true():
            await asyncio.sleep(0.01)

    await patient(watch())


@contextlib.asynccontextmanager
async def live(limits: Limits = CALM, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Live]:
    """Run a server in this event loop; whatever the test did, it can be stopped afterwards."""
    application, stopping = Echo(), asyncio.Event()
    server = await serve(application, host=host, port=port, limits=limits, stopping=stopping)
    running = Live(server, application, stopping)
    yield running
    running.stopping.set()
    await patient(server.wait_closed())
    assert server.connections == 0


@contextlib.contextmanager
def process(limits: Limits = CALM, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a server as a process; gives it and its port."""
    command = [sys.executable, "-m", "tests.http_server", str(port), msgspec.json.encode(limits).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as started:
        try:
            assert started.stdout is not None
            yield started, int(started.stdout.readline())
        finally:
            started.kill()


async def _main(port: int, limits: Limits) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    server = await serve(Echo(), host="127.0.0.1", port=port, limits=limits, stopping=stopping)
    print(server.port, flush=True)
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Limits)))
