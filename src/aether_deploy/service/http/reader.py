"""The strict reader of request heads: line by line, so that it does not matter how bytes are cut into packets."""

import msgspec

from aether_deploy.service.http.grammar import FIELD_LINE, HOST_VALUE, REQUEST_LINE
from aether_deploy.service.http.limits import Limits
from aether_deploy.service.http.refusal import Refusal
from aether_deploy.service.http.target import check_form

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS"})
_LINE_END = 2  # bytes of CR LF
_LENGTH_DIGITS = 18


class Head(msgspec.Struct, frozen=True):
    """The head of one request, checked.

    Attributes:
        method: One of ``METHODS``, as text.
        target: The raw target.
        minor: 0 or 1, of HTTP/1.x.
        headers: Header fields by lower-case name.
        length: Bytes of the body; None where the head names no length, and there is no body.
        keep_alive: Whether the client wants the connection to stay.
        expects: Whether the client waits for a word before it sends the body.
    """

    method: str
    target: bytes
    minor: int
    headers: dict[str, str]
    length: int | None
    keep_alive: bool
    expects: bool


class RequestReader:
    """Reads one head, a line at a time. The first fault in the order of bytes is the one that is told."""

    __slots__ = ("_fields", "_limits", "_line", "_minor", "_repeated", "_size", "_skipped")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._size = 0
        self._skipped = False
        self._line: tuple[bytes, bytes] | None = None
        self._minor = 1
        self._fields: dict[str, str] = {}
        self._repeated = 0

    def check_partial(self, length: int) -> None:
        """Refuse a line that is not complete yet and is too long already; ``length`` is what came of it, in bytes."""
        self._check_size(length + 1)

    def take(self, line: bytes) -> Head | None:
        """Take one line with its line feed; return the head where this line ends it.

        Raises:
            Refusal: The line, or the head as a whole, breaks a rule or a limit.
        """
        self._check_size(len(line))
        self._size += len(line)
        if line[-2:] != b"\r\n":
            raise Refusal(400, "a line of the head ends without a carriage return")
        text = line[:-_LINE_END]
        if self._line is None:
            self._request_line(text)
        elif text:
            self._field(text)
        else:
            return self._head(*self._line)
        return None

    def _check_size(self, length: int) -> None:
        if self._line is None and length > self._limits.request_line_bytes + _LINE_END:
            raise Refusal(414, f"the request line is longer than {self._limits.request_line_bytes} bytes")
        if self._size + length > self._limits.head_bytes:
            raise Refusal(431, f"the head is longer than {self._limits.head_bytes} bytes")

    def _request_line(self, text: bytes) -> None:
        if not text and not self._skipped:
            self._skipped = True  # one empty line before a request: RFC 9112, section 2.2
            return
        found = REQUEST_LINE.fullmatch(text)
        if found is None:
            raise Refusal(400, "the request line is not METHOD TARGET HTTP/1.1")
        method, target, major, minor = found.groups()
        if major != b"1" or minor not in b"01":
            raise Refusal(505, "this server speaks HTTP/1.1 and HTTP/1.0")
        if method not in METHODS:
            raise Refusal(501, "the method is not one of " + ", ".join(sorted(name.decode() for name in METHODS)))
        check_form(method, target)
        self._line, self._minor = (method, target), int(minor)

    def _field(self, text: bytes) -> None:
        if len(self._fields) + self._repeated >= self._limits.headers:
            raise Refusal(431, f"the head has more than {self._limits.headers} fields")
        found = FIELD_LINE.fullmatch(text)
        if found is None:
            raise Refusal(400, "a header field is not NAME: VALUE, is folded, or holds a control character")
        name, value = found[1].decode().lower(), found[2].strip(b" \t").decode("latin-1")
        if name not in self._fields:
            self._fields[name] = value
            return
        if name in ("host", "content-length"):
            raise Refusal(400, f"the head names {name} twice")
        self._repeated += 1
        self._fields[name] += ", " + value

    def _head(self, method: bytes, target: bytes) -> Head:
        self._check_host()
        length = self._body_length()
        expects = self._expects()
        options = {option.strip(" \t").lower() for option in self._fields.get("connection", "").split(",")}
        keep_alive = "close" not in options and (self._minor == 1 or "keep-alive" in options)
        return Head(method.decode(), target, self._minor, self._fields, length, keep_alive, expects)

    def _check_host(self) -> None:
        host = self._fields.get("host")
        if host is None and self._minor == 1:
            raise Refusal(400, "HTTP/1.1 wants a Host field")
        if host is not None and not HOST_VALUE.fullmatch(host.encode("latin-1")):
            raise Refusal(400, "the Host field is not a host and a port")

    def _body_length(self) -> int | None:
        text = self._fields.get("content-length")
        if "transfer-encoding" in self._fields:
            if text is not None or self._minor == 0:
                raise Refusal(400, "a transfer coding stands beside a length, or in HTTP/1.0: the end is ambiguous")
            raise Refusal(501, "this server takes no transfer coding; send Content-Length")
        if text is None:
            return None
        if not text.isascii() or not text.isdigit():
            raise Refusal(400, "Content-Length is not a row of digits")
        if len(text.lstrip("0")) > _LENGTH_DIGITS or int(text) > self._limits.body_bytes:
            raise Refusal(413, f"the body is longer than {self._limits.body_bytes} bytes")
        return int(text)

    def _expects(self) -> bool:
        expected = self._fields.get("expect", "").lower() if self._minor == 1 else ""
        if expected not in ("", "100-continue"):
            raise Refusal(417, "the only expectation that is met is 100-continue")
        return expected != ""
