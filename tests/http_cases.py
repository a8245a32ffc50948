"""Requests and what a strict server says to them, an application to ask, and a wire without a network."""

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from aether_deploy.service.http.connection import Connection
from aether_deploy.service.http.core import ServerCore
from aether_deploy.service.http.limits import Limits
from aether_deploy.service.http.messages import Request, Response, Send, Stream, Unsubscribe

READY = b'{"decision":"primary","region":"us-east-1"}'
READY_TARGET = b"/v1/route?preferred=us-east-1"
LIMITS = Limits(request_line_bytes=400, head_bytes=1000, headers=12, body_bytes=64)
HOST = b"Host: router\r\n"


class Echo:
    """An application that tells what it was asked, as JSON, and knows one answer beforehand."""

    def __init__(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(READY)
        self.ready: dict[bytes, bytes] = {READY_TARGET: head + READY}
        self.asked: list[Request] = []
        self.targets: list[bytes] = []
        self.subscribers: list[Send] = []

    def answer(self, request: Request) -> Response | Stream:
        match request.path:
            case "/fails":
                raise RuntimeError("the application is broken")
            case "/splits":
                return Response(200, b"x", headers=(("X-Name", "a\r\nSet-Cookie: b"),))
            case "/nothing":
                return Response(204)
            case "/large":
                return Response(200, b"x" * int(request.query["bytes"]), "text/plain")
            case "/split-stream":
                return Stream(self.subscribe, headers=(("X-Name", "a\nb"),))
            case "/events":
                return Stream(self.subscribe)
        self.asked.append(request)
        shown = {"method": request.method, "path": request.path, "query": dict(request.query)}
        return Response(200, msgspec.json.encode(shown | {"body": request.body.decode("latin-1")}))

    def counted(self, target: bytes) -> None:
        self.targets.append(target)

    def subscribe(self, send: Send) -> Unsubscribe:
        self.subscribers.append(send)
        send(b"data: welcome\n\n")
        return lambda: self.subscribers.remove(send)


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closing = False
        self.ended = False

    def write(self, data: Any) -> None:
        assert not self.ended, "wrote after the end"
        self.written.append(bytes(data))

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 50_000) if name == "peername" else default

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Talk:
    """One connection to an ``Echo`` over a ``Wire``."""

    def __init__(self, limits: Limits = LIMITS, *, short_cut: bool = True) -> None:
        self.application = Echo()
        self.later: list[Callable[[], None]] = []
        self.core = ServerCore(self.application, limits, _LOOP)
        self.core.soon = self.later.append
        if not short_cut:
            self.core.plain_get = re.compile(rb"(?!)()").match  # matches nothing: the reader judges all
        self.wire = Wire()
        self.connection = Connection(self.core)
        self.connection.connection_made(self.wire)

    def say(self, chunks: Iterable[bytes]) -> "Talk":
        for chunk in chunks:
            if chunk:
                self.connection.data_received(chunk)
            while self.later:
                self.later.pop(0)()
        return self

    def heard(self) -> bytes:
        """Return all that came back, without the dates."""
        return re.sub(rb"Date: [^\r]*\r\n", b"", b"".join(self.wire.written))

    def outcome(self) -> tuple[bytes, bool, list[Request], list[bytes]]:
        """Return all that matters of a talk: answers, whether it is over, what the application was asked."""
        return self.heard(), self.wire.ended, self.application.asked, self.application.targets


_LOOP = asyncio.new_event_loop()
_LOOP.close()  # its clock is all that is used


def statuses(heard: bytes) -> list[int]:
    """Return the status codes of all answers in ``heard``, whose bodies hold none."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", heard)]


def talk(sent: bytes, **options: Any) -> Talk:
    """Return the talk in which a client sent all of ``sent`` at once."""
    return Talk(**options).say((sent,))


def get(target: bytes = b"/", *fields: bytes, version: bytes = b"HTTP/1.1", host: bytes = HOST) -> bytes:
    """Return a GET with more header lines, each without its end."""
    return b"GET " + target + b" " + version + b"\r\n" + host + b"".join(f + b"\r\n" for f in fields) + b"\r\n"


def post(body: bytes, *fields: bytes) -> bytes:
    """Return a POST with exactly these header lines beside its Host."""
    return b"POST /v1/route HTTP/1.1\r\n" + HOST + b"".join(f + b"\r\n" for f in fields) + b"\r\n" + body


NEXT = get(READY_TARGET)  # what an attacker hides behind a request

# By sentence: what is sent, and the statuses of all answers. After the last refusal nothing more is answered.
CASES: dict[str, tuple[bytes, list[int]]] = {
    "a plain get": (get(), [200]),
    "a ready answer": (NEXT, [200]),
    "two in one packet": (NEXT + get(b"/b"), [200, 200]),
    "one empty line before a request": (b"\r\n" + NEXT, [200]),
    "two empty lines before a request": (b"\r\n\r\n" + NEXT, [400]),
    "a whole address as target": (get(b"http://router/v1/route?preferred=eu"), [200]),
    "a whole address without a path": (get(b"http://router"), [200]),
    "another scheme as target": (get(b"ftp://router/"), [400]),
    "the star of options": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", [200]),
    "the star of get": (get(b"*"), [400]),
    "no path": (get(b"v1/route"), [400]),
    "a fragment": (get(b"/#a"), [400]),
    "a space in the target": (get(b"/a b"), [400]),
    "a tab between the parts": (b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n", [400]),
    "two spaces between the parts": (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", [400]),
    "no version": (b"GET /\r\n" + HOST + b"\r\n", [400]),
    "a lower-case version": (get(version=b"http/1.1"), [400]),
    "a space after the version": (get(version=b"HTTP/1.1 "), [400]),
    "version 1.2": (get(version=b"HTTP/1.2"), [505]),
    "version 2.0": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [505]),
    "the begin of a TLS handshake": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", [400]),
    "version 1.0 closes": (get(version=b"HTTP/1.0", host=b"") + NEXT, [200]),
    "version 1.0 stays when asked": (
        get(READY_TARGET, b"Connection: Keep-Alive", version=b"HTTP/1.0") + NEXT,
        [200, 200],
    ),
    "close is the last": (get(b"/", b"Connection: x, CLOSE") + NEXT, [200]),
    "close in a second field": (get(READY_TARGET, b"Connection: keep-alive", b"connection: close") + NEXT, [200]),
    "an unknown method": (b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", [501]),
    "connect": (b"CONNECT router:80 HTTP/1.1\r\n" + HOST + b"\r\n", [501]),
    "trace": (b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n", [501]),
    "a method in lower case": (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", [501]),
    "a method that is no token": (b"G[T / HTTP/1.1\r\n" + HOST + b"\r\n", [400]),
    "no host": (get(host=b""), [400]),
    "no host, ready": (get(READY_TARGET, host=b""), [400]),
    "two hosts": (get(b"/", b"HOST: router"), [400]),
    "two hosts, ready": (get(READY_TARGET, b"HOST: router"), [400]),
    "two hosts, version 1.0": (get(b"/", b"host: router", version=b"HTTP/1.0"), [400]),
    "an empty host": (get(READY_TARGET, host=b"Host:\r\n"), [200]),
    "a host that is two": (get(READY_TARGET, host=b"Host: a, b c\r\n"), [400]),
    "a host with a path": (get(READY_TARGET, host=b"Host: a/b\r\n"), [400]),
    "a host with a user": (get(READY_TARGET, host=b"Host: me@a\r\n"), [400]),
    "a host of IPv6": (get(READY_TARGET, host=b"Host: [::1]:8080\r\n"), [200]),
    "a host with a bad port": (get(READY_TARGET, host=b"Host: a:80x\r\n"), [400]),
    "a space before the colon": (get(READY_TARGET, b"X-A : b"), [400]),
    "a tab before the colon": (get(READY_TARGET, b"Transfer-Encoding\t: chunked"), [400]),
    "a field without a colon": (get(READY_TARGET, b"nonsense"), [400]),
    "a field without a name": (get(READY_TARGET, b": b"), [400]),
    "a folded field": (get(READY_TARGET, b"X-A: b", b" c"), [400]),
    "a fold that begins the fields": (get(READY_TARGET, host=b" Host: router\r\n"), [400]),
    "a NUL in a field": (get(READY_TARGET, b"X-A: b\0c"), [400]),
    "a NUL in the target": (get(b"/\0"), [400]),
    "a bare carriage return in a field": (get(READY_TARGET, b"X-A: b\rContent-Length: 3"), [400]),
    "a bare line feed after the request line": (b"GET / HTTP/1.1\n" + HOST + b"\r\n", [400]),
    "a bare line feed after a field": (b"GET / HTTP/1.1\r\nHost: router\n\r\n", [400]),
    "a bare line feed at the end": (b"GET / HTTP/1.1\r\n" + HOST + b"\n", [400]),
    "bare line feeds only": (b"GET / HTTP/1.1\nHost: router\n\n", [400]),
    "a Latin letter in a value": (get(READY_TARGET, b"X-A: \xe9"), [200]),
    "a Latin letter in a name": (get(READY_TARGET, b"X-\xe9: a"), [400]),
    "an upgrade is not taken": (get(READY_TARGET, b"Upgrade: h2c"), [200]),
    "a percent sign alone": (get(b"/%"), [400]),
    "a percent sign before letters": (get(b"/v1/route?preferred=%zz"), [400]),
    "bad UTF-8 in the path": (get(b"/%ff"), [400]),
    "bad UTF-8 in the query": (get(b"/v1/route?preferred=%c3%28"), [400]),
    "a parameter twice": (get(b"/v1/route?preferred=a&%70referred=b"), [400]),
    "overlong UTF-8": (get(b"/%c0%af"), [400]),
    "half a surrogate": (get(b"/%ed%a0%80"), [400]),
    "an encoded NUL": (get(b"/%00"), [400]),
    "an encoded slash": (get(b"/v1%2Froute"), [400]),
    "raw bytes above ASCII in the target": (get(b"/\xc3\xa9"), [400]),
    "a body": (post(b"hello", b"Content-Length: 5"), [200]),
    "an empty body": (post(b"", b"Content-Length: 0"), [200]),
    "a body and the next": (post(b"hello", b"Content-Length: 5") + NEXT, [200, 200]),
    "a get with a body is no ready one": (get(READY_TARGET, b"Content-Length: 5") + b"hello" + NEXT, [200, 200]),
    "leading zeros": (post(b"hello", b"Content-Length: 00005"), [200]),
    "a signed length": (post(b"hello", b"Content-Length: +5"), [400]),
    "a negative length": (post(b"", b"Content-Length: -1"), [400]),
    "a hexadecimal length": (post(b"hello", b"Content-Length: 0x5"), [400]),
    "a length with an underscore": (post(b"hello", b"Content-Length: 1_0"), [400]),
    "a length of other digits": (post(b"hello", "Content-Length: \N{SUPERSCRIPT TWO}".encode("latin-1")), [400]),
    "a length and a comma": (post(b"hello", b"Content-Length: 5, 5"), [400]),
    "a length with a space in it": (post(b"hello", b"Content-Length: 5 5"), [400]),
    "an empty length": (post(b"hello", b"Content-Length:"), [400]),
    "a body that is too long": (post(b"", b"Content-Length: 65"), [413]),
    "the longest body": (post(b"x" * 64, b"Content-Length: 64") + NEXT, [200, 200]),
    "a length of more digits than numbers have": (post(b"", b"Content-Length: " + b"9" * 300), [413]),
    "two lengths that differ": (post(b"hello", b"Content-Length: 5", b"content-length: 6"), [400]),
    "two lengths that agree": (post(b"hello", b"Content-Length: 5", b"Content-Length: 5"), [400]),
    "two lengths on a get": (get(READY_TARGET, b"Content-Length: 0", b"Content-Length: 44"), [400]),
    "a length, then chunked": (post(b"0\r\n\r\n" + NEXT, b"Content-Length: 6", b"Transfer-Encoding: chunked"), [400]),
    "chunked, then a length": (post(b"0\r\n\r\n" + NEXT, b"Transfer-Encoding: chunked", b"Content-Length: 6"), [400]),
    "chunked": (post(b"0\r\n\r\n" + NEXT, b"Transfer-Encoding: chunked"), [501]),
    "chunked on a ready get": (get(READY_TARGET, b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + NEXT, [501]),
    "xchunked": (post(b"0\r\n\r\n" + NEXT, b"Transfer-Encoding: xchunked"), [501]),
    "identity": (post(b"" + NEXT, b"Transfer-Encoding: identity"), [501]),
    "chunked twice": (post(NEXT, b"Transfer-Encoding: chunked", b"Transfer-Encoding: x"), [501]),
    "chunked in version 1.0": (
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
        [400],
    ),
    "a transfer coding behind a space": (post(NEXT, b" Transfer-Encoding: chunked"), [400]),
    "a transfer coding with a vertical tab": (post(NEXT, b"Transfer-Encoding:\x0bchunked"), [400]),
    "a transfer coding in quotes": (post(NEXT, b'Transfer-Encoding: "chunked"'), [501]),
    "a transfer coding folded": (post(NEXT, b"Transfer-Encoding:", b" chunked"), [400]),
    "a transfer coding hidden by a line feed": (post(NEXT, b"X: y\nTransfer-Encoding: chunked"), [400]),
    "an underscore is another field": (post(b"", b"Transfer_Encoding: chunked"), [200]),
    "another expectation": (post(b"hello", b"Content-Length: 5", b"Expect: tea"), [417]),
    "an expectation": (post(b"hello", b"Content-Length: 5", b"Expect: 100-Continue"), [100, 200]),
    "an expectation without a body": (get(READY_TARGET, b"Expect: 100-continue") + NEXT, [200, 200]),
    "an expectation of a body that is too long": (post(b"", b"Content-Length: 99", b"Expect: 100-continue"), [413]),
    "the longest request line": (get(b"/" + b"a" * 386), [200]),
    "a request line that is too long": (get(b"/" + b"a" * 387), [414]),
    "a request line without an end": (b"GET /" + b"a" * 500, [414]),
    "a field that is too long": (get(b"/", b"X-A: " + b"a" * 1000), [431]),
    "a field without an end": (b"GET / HTTP/1.1\r\nX-A: " + b"a" * 1000, [431]),
    "the most fields": (get(READY_TARGET, *[b"X-%d: a" % n for n in range(11)]), [200]),
    "too many fields": (get(READY_TARGET, *[b"X-%d: a" % n for n in range(12)]), [431]),
    "too many fields of one name": (get(READY_TARGET, *[b"X: a"] * 12), [431]),
    "a head without an answer": (get(b"/nothing") + NEXT, [204, 200]),
    "an application that fails": (get(b"/fails") + NEXT, [500, 200]),
    "an application that splits its answer": (get(b"/splits") + NEXT, [500, 200]),
    "a head of what fails": (b"HEAD" + get(b"/fails")[3:] + NEXT, [500, 200]),
    "a head of what is split": (b"HEAD" + get(b"/splits")[3:] + NEXT, [500, 200]),
    "a stream that splits its head": (get(b"/split-stream") + NEXT, [500]),
    "a refusal in the midst": (NEXT + get(b"/%") + NEXT, [200, 400]),
    "half a request": (NEXT[:-1], []),
    "half a body": (post(b"hell", b"Content-Length: 5"), []),
}
