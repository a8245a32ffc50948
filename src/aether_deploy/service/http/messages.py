"""What the server hands to an application and gets back from it."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

PROBLEMS = {
    400: ("bad_request", "Bad Request"),
    408: ("request_timeout", "Request Timeout"),
    413: ("content_too_large", "Content Too Large"),
    414: ("uri_too_long", "URI Too Long"),
    417: ("expectation_failed", "Expectation Failed"),
    429: ("too_many_requests", "Too Many Requests"),
    431: ("head_too_large", "Request Header Fields Too Large"),
    500: ("internal_error", "Internal Server Error"),
    501: ("not_implemented", "Not Implemented"),
    503: ("overloaded", "Service Unavailable"),
    505: ("version_not_supported", "HTTP Version Not Supported"),
}
"""Code, for programs, and title of what the server itself refuses, by status."""
JSON, PROBLEM, EVENTS = "application/json", "application/problem+json", "text/event-stream"

Send = Callable[[bytes], None]
Unsubscribe = Callable[[], None]


class Request(msgspec.Struct, frozen=True):
    """One request, complete and checked.

    Attributes:
        method: GET, POST, PUT, DELETE, PATCH or OPTIONS. A HEAD is given as GET, and its answer sent without body.
        path: Path, percent-decoded, without the query; begins with ``/`` (or is ``*``, for OPTIONS).
        query: The query's fields, decoded; of several with one name the last.
        headers: Header fields by lower-case name; several of one name are joined by a comma and a space.
        body: The body, complete.
        peer: Address of the client.
    """

    method: str
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""
    peer: str = ""


class Response(msgspec.Struct, frozen=True):
    """One answer. The server adds length, date and what concerns the connection.

    Attributes:
        status: Status code.
        body: The body.
        content_type: Its type; left out of the head where there is no body.
        headers: More header fields, by name and value.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class Stream(msgspec.Struct, frozen=True):
    """An answer that stays open until the client, or the server that stops, ends it.

    Attributes:
        subscribe: Called once, after the head was sent, with a function that sends bytes to the client; returns what
            ends the subscription, which is called exactly once. Sending never waits and never fails: a client that
            reads too slowly is dropped, and bytes for one that is gone are dropped silently. ``send`` may be called
            from ``subscribe`` itself, for what a client should know first.
        content_type: Type of what is sent. An event stream gets a comment as a sign of life while nothing happens.
        headers: More header fields, by name and value.
    """

    subscribe: Callable[[Send], Unsubscribe]
    content_type: str = EVENTS
    headers: tuple[tuple[str, str], ...] = ()


class Application(Protocol):
    """Who answers. Every call is made from the event loop, and must neither wait nor block."""

    @property
    def ready(self) -> Mapping[bytes, bytes]:
        """Answers that are known already, head included, by raw target of a GET without body.

        Replaced as a whole, never changed in place. The server adds the date, and ``Connection`` where it closes.
        """
        ...

    def answer(self, request: Request) -> Response | Stream:
        """Return the answer to ``request``. What it raises becomes a 500, and a line in the log."""
        ...

    def counted(self, target: bytes) -> None:
        """Note that the ready answer to ``target`` was given."""
        ...


def problem(status: int, detail: str, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Return an error of the server itself as a problem document; its status is one of ``PROBLEMS``.

    Rule:
        RFC 9457, section 3; without a type of its own a problem is ``about:blank``, and its title the status's phrase.
    """
    code, title = PROBLEMS[status]
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    return Response(status, msgspec.json.encode(document), PROBLEM, headers)
