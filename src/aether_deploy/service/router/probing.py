"""Asking one address whether it is ready: connect, ask, and read no more than the status line.

An answer from 200 to 399 is ready, as the kubelet has it, any other is not ready. No answer in time is a timeout;
whatever else stands between us and an answer (nobody listens, no such name, a certificate that is not its own, no
HTTP) is refused, in its own words.
"""

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Sequence
from typing import Literal, NamedTuple

from aether_deploy.routing.probe_target import Target as Target
from aether_deploy.routing.probe_target import target_of as target_of
from aether_deploy.routing.tracking.health import READY_STATUSES
from aether_deploy.service.router.resolving import Resolver

Outcome = Literal["ready", "not_ready", "timeout", "refused"]
OUTCOMES: tuple[Outcome, ...] = ("ready", "not_ready", "timeout", "refused")
LINE_BYTES_MAX = 8192
LINES_MAX = 200
ADDRESSES_MAX = 8
"""Addresses of one name that are tried; a name that has more takes turns with them."""
Connected = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")


class Probed(NamedTuple):
    """What came of asking.

    Attributes:
        outcome: What it means.
        secs: How long it took, seconds.
        detail: In words: ``answers 503``.
    """

    outcome: Outcome
    secs: float
    detail: str


class Prober:
    """Asks targets, each in a time that is promised."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._tls: ssl.SSLContext | None = None

    async def probe(self, target: Target, *, within_secs: float) -> Probed:
        """Ask a target, and return what came of it. Never raises but to be cancelled."""
        now = asyncio.get_running_loop().time
        began = now()
        try:
            async with asyncio.timeout(within_secs):
                outcome, detail = await self._ask(target)
        except TimeoutError:
            outcome, detail = "timeout", f"no answer within {within_secs:g} s"
        except (OSError, EOFError, ValueError) as error:  # ssl.SSLError is an OSError, UnicodeError a ValueError
            outcome, detail = "refused", _words(error)
        return Probed(outcome, now() - began, detail)

    async def _ask(self, target: Target) -> tuple[Outcome, str]:
        reader, writer = await self._connect(target, await self._resolver.addresses(target.host, target.port))
        try:
            if target.scheme == "tcp":
                return "ready", "takes connections"
            writer.write(_question(target))
            status = await _status(reader)
        finally:
            writer.transport.abort()  # a polite end would wait for the other side
        return "ready" if status in READY_STATUSES else "not_ready", f"answers {status}"

    async def _connect(self, target: Target, addresses: Sequence[str]) -> Connected:
        """Connect to all addresses at once; the first that takes the connection counts.

        One address that swallows everything costs the others no time then: a timeout that is just long enough for the
        region's round trips would not bear a wait between two of them.

        Raises:
            OSError: None does: what the first address said.
        """
        if not addresses:
            raise OSError(f"{target.host} has no address")
        attempts = [asyncio.create_task(self._connect_to(target, each)) for each in addresses[:ADDRESSES_MAX]]
        chosen: asyncio.Task[Connected] | None = None
        try:
            chosen = await _first_success(attempts)
            return chosen.result()
        finally:
            for each in attempts:
                if each is not chosen:
                    each.cancel()
                    each.add_done_callback(_hang_up)

    async def _connect_to(self, target: Target, address: str) -> Connected:
        secured = {"ssl": self._context(), "server_hostname": target.server_name} if target.scheme == "https" else {}
        return await asyncio.open_connection(address, target.port, limit=LINE_BYTES_MAX, **secured)  # type: ignore[arg-type]

    def _context(self) -> ssl.SSLContext:
        self._tls = self._tls or ssl.create_default_context()
        return self._tls


async def _first_success(attempts: Sequence[asyncio.Task[Connected]]) -> asyncio.Task[Connected]:
    """Return the first attempt that succeeds; where none does, that before all others, which raises its error."""
    waiting = set(attempts)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in attempts:
            if each in done and each.exception() is None:
                return each
    return attempts[0]


def _hang_up(attempt: asyncio.Task[Connected]) -> None:
    """End a connection that came too late to be of use."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result()[1].transport.abort()


def _question(target: Target) -> bytes:
    return (
        f"GET {target.path} HTTP/1.1\r\nHost: {target.authority}\r\nUser-Agent: aether-router\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


async def _status(reader: asyncio.StreamReader) -> int:
    """Return the final status; 1xx only announce it."""
    for _ in range(LINES_MAX):
        line = await _line(reader)
        if not line:
            raise EOFError("closes the connection without an answer")
        if found := _STATUS.fullmatch(line):
            status = int(found[1])
            if status >= 200:
                return status
            while (line := await _line(reader)) not in (b"\r\n", b"\n", b""):
                pass
        else:
            raise ValueError("answers something else than HTTP/1.1")
    raise ValueError("announces an answer without end")


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:
        raise ValueError(f"answers with a line of more than {LINE_BYTES_MAX} bytes") from None


def _words(error: Exception) -> str:
    """Return what an error says, without the numbers and places that only its program needs."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).lower().replace('_', ' ')}"
    if isinstance(error, socket.gaierror):
        return f"no address: {error.strerror}"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
