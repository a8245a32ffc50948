"""From answers to bytes."""

import re
from http import HTTPStatus

from aether_deploy.service.http.messages import Response, Stream

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE, KEEP = b"Connection: close\r\n", b"Connection: keep-alive\r\n"
SIGN_OF_LIFE = b":\n\n"
_BODILESS = frozenset({204, 304})
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def encode_response(response: Response, *, extra: bytes = b"", with_body: bool = True) -> bytes:
    """Return ``response`` as it is sent.

    Args:
        response: The answer.
        extra: Complete header lines of the server: date, connection.
        with_body: False for the answer to a HEAD, whose length is told and whose body is not sent.

    Raises:
        ValueError: A header field would break the head apart.
    """
    bodiless = response.status in _BODILESS
    lines = [_status_line(response.status), extra.decode("latin-1")]
    if not bodiless:
        if response.body:
            lines.append(_field("Content-Type", response.content_type))
        lines.append(f"Content-Length: {len(response.body)}\r\n")
    lines += [_field(name, value) for name, value in response.headers]
    lines.append("\r\n")
    head = "".join(lines).encode("latin-1")
    return head + response.body if with_body and not bodiless else head


def encode_stream_head(stream: Stream, extra: bytes) -> bytes:
    """Return the head of an answer that ends with its connection."""
    fields = "".join(_field(name, value) for name, value in stream.headers)
    text = f"{_status_line(200)}{extra.decode('latin-1')}Content-Type: {stream.content_type}\r\n"
    return f"{text}Cache-Control: no-store\r\n{fields}\r\n".encode("latin-1")


def with_lines(answer: bytes, extra: bytes) -> bytes:
    """Return a ready ``answer`` with header lines put behind its status line."""
    status, line_end, rest = answer.partition(b"\r\n")
    return b"".join((status, line_end, extra, rest))


def _status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"


def _field(name: str, value: str) -> str:
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise ValueError(f"the header field {name!r} with the value {value!r} would break the head apart")
    return f"{name}: {value}\r\n"
