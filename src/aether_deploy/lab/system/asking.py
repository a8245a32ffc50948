"""One question over HTTP that ends in time: plain, or over TLS with a name of its own."""

import contextlib
import socket
import ssl
import time
from collections.abc import Sequence
from typing import NamedTuple

from aether_deploy.lab.system.relays import Address

_CHUNK = 65536


class Secured(NamedTuple):
    """How TLS is spoken: who is trusted, and the name that the certificate must be for."""

    context: ssl.SSLContext
    name: str


def anybody() -> ssl.SSLContext:
    """Return what trusts any certificate: where nothing but an answer counts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def ask(address: Address, path: str, *, within_secs: float, secured: Secured | None = None, name: str = "lab") -> bytes:
    """Return the body of the answer to a GET on a new connection.

    Args:
        address: Whom to ask.
        path: What for.
        within_secs: How long all of it may take, seconds.
        secured: How TLS is spoken; left out, it is not.
        name: The host that is asked for.

    Raises:
        OSError: There is no answer in time, or it is no success.
    """
    deadline = time.monotonic() + within_secs
    with socket.create_connection(address, within_secs) as raw:
        if secured is None:
            return _exchanged(raw, path, name, deadline)
        with secured.context.wrap_socket(raw, server_hostname=secured.name) as stream:
            return _exchanged(stream, path, secured.name, deadline)


def ask_any(ways: Sequence[Address], path: str, *, within_secs: float, secured: Secured | None = None) -> bytes:
    """Return the body of the answer of the first address that takes a connection.

    Raises:
        OSError: None does, or the one that does gives no answer in time, or no success.
    """
    for each in ways:
        with contextlib.suppress(ConnectionRefusedError):
            return ask(each, path, within_secs=within_secs, secured=secured)
    raise ConnectionRefusedError("nobody takes a connection")


def _exchanged(stream: socket.socket, path: str, name: str, deadline: float) -> bytes:
    stream.sendall(f"GET {path} HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n".encode())
    received = b""
    while not _is_whole(received):
        stream.settimeout(max(0.01, deadline - time.monotonic()))
        chunk = stream.recv(_CHUNK)
        if not chunk:
            break
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if not status or not status[0].startswith((b"2", b"3")):
        raise ConnectionError(f"answers {status[0].decode('ascii', 'replace') if status else 'nothing'}")
    return body


def _is_whole(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    length = next(
        (line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None
    )
    return bool(found) and length is not None and len(body) >= int(length)
