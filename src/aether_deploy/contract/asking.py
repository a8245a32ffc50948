"""Questions over HTTP to a server that may do anything: hang, drip, reset, send garbage or without end."""

import http.client
import io
import re
import socket
import time
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from aether_deploy.problems import Problem, printable, shown

BODY_BYTES_MAX = 10 * 1024 * 1024
HEAD_BYTES_MAX = 64 * 1024
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,15})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_BODILESS = re.compile(rb"HTTP/1\.[01] (204|304)\b")
_CHUNKED = re.compile(rb"^transfer-encoding:.*chunked", re.IGNORECASE | re.MULTILINE)


class Target(NamedTuple):
    """Where a server is."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Reply(NamedTuple):
    """What a server answered.

    Attributes:
        status: The status code.
        content_type: As it was said; None where it was not.
        location: Where a redirection leads.
        body: All of it.
    """

    status: int
    content_type: str | None
    location: str | None
    body: bytes

    def __str__(self) -> str:
        return f"{self.status}" + (f" to {shown(self.location)}" if self.location and 300 <= self.status < 400 else "")


class NoReply(NamedTuple):
    """Why there is no answer.

    Attributes:
        why: In words that go after "answers" as well as alone: ``no answer within 1 s``.
        connected: Somebody took the connection.
    """

    why: str
    connected: bool = True

    def __str__(self) -> str:
        return self.why


def parse_url(url: str) -> tuple[Target | None, list[Problem]]:
    """Return the server that a URL names, or what is wrong with the URL."""

    def wrong(reason: str, fix: str) -> tuple[None, list[Problem]]:
        return None, [Problem(path="URL", value=shown(url), reason=reason, fix=fix)]

    example = "write it like http://127.0.0.1:8080"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return wrong(f"no URL: {printable(str(error))}", example)
    if "://" not in url:
        return wrong("lacks 'http://'", example)
    if parts.scheme != "http":
        return wrong("asks for another protocol than http, which is what kubelets and Prometheus speak", example)
    if not parts.hostname or any(character.isspace() or not character.isprintable() for character in url):
        return wrong("names no host", example)
    if parts.username is not None or parts.password is not None:
        return wrong("has a user name, and probes have none", "leave it out")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return wrong("goes on after host and port; the paths that are asked are fixed", "leave that out")
    return Target(parts.hostname, 80 if port is None else port), []


def parse_address(text: str, path: str) -> tuple[Target | None, list[Problem]]:
    """Return the server that HOST:PORT names, or what is wrong with it; ``path`` is the option that says it."""
    host, _, number = text.rpartition(":")
    well_formed = re.fullmatch(r"\[[0-9a-fA-F:.%]+\]|[^\s\[\]:]+", host)
    port = int(number) if re.fullmatch("[0-9]{1,5}", number) else 0
    if well_formed and 0 < port < 65536:
        return Target(host.strip("[]"), port), []
    fix = "write it like 127.0.0.1:7777, or [::1]:7777"
    return None, [Problem(path=path, value=shown(text), reason="not HOST:PORT", fix=fix)]


def ask(
    target: Target, path: str, *, within_secs: float, method: str = "GET", body: bytes = b"", accept: str = "*/*"
) -> Reply | NoReply:
    """Return what a server answers; this ends in time, whatever the server does.

    Args:
        target: The server.
        path: What is asked for.
        within_secs: Longest wait for the whole answer, the connection included, seconds.
        method: The method.
        body: What goes with the question, JSON.
        accept: The content type that is wanted.
    """
    deadline = time.monotonic() + within_secs
    late = NoReply(f"no whole answer within {within_secs:g} s")
    try:
        connection = socket.create_connection(target, timeout=within_secs)
    except TimeoutError:
        return NoReply(f"no connection within {within_secs:g} s", connected=False)
    except (OSError, UnicodeError) as error:
        return NoReply(words_of(error), connected=False)
    head = f"{method} {path} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: aether-deploy\r\nAccept: {accept}\r\n"
    if method == "POST":
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    received = bytearray()
    with connection:
        try:
            connection.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)
            while not _is_whole(received):
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                some = connection.recv(65536)
                if not some:
                    break
                received += some
                if len(received) > BODY_BYTES_MAX:
                    return NoReply(f"an answer of more than {BODY_BYTES_MAX // 1024 // 1024} MiB")
                if time.monotonic() > deadline:
                    return late
        except TimeoutError:
            return late
        except OSError as error:
            return NoReply(words_of(error))
    return _read_reply(bytes(received))


def words_of(error: OSError | UnicodeError) -> str:
    """Return why there is no way to a server."""
    if isinstance(error, socket.gaierror):
        return f"the name is not known: {error.strerror}"
    return printable(error.strerror or str(error)) if isinstance(error, OSError) else "that is no name of a host"


def _is_whole(received: bytearray) -> bool:
    """Whether an answer is complete before the connection ends, which some servers keep open."""
    end = received.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
    if end < 0:
        return False
    head = bytes(received[:end])
    if _CHUNKED.search(head):
        return received.endswith(b"0\r\n\r\n")
    if _BODILESS.match(head):
        return True
    length = _LENGTH.search(head)
    return length is not None and len(received) >= end + 4 + int(length[1])


class _Received:
    """Looks like a socket to http.client: what was received can be read."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._received)


def _read_reply(received: bytes) -> Reply | NoReply:
    if not received:
        return NoReply("the connection was closed without an answer")
    response = http.client.HTTPResponse(cast(socket.socket, _Received(received)))
    try:
        response.begin()
        body = response.read()
    except http.client.IncompleteRead:
        return NoReply("the answer ends too early")
    except (http.client.HTTPException, ValueError):
        return NoReply(f"an answer that is not HTTP: {shown(received[:60].decode('latin-1'))}")
    return Reply(response.status, response.getheader("Content-Type"), response.getheader("Location"), body)
