"""One connection: bytes in, answers out, in order."""

import asyncio
import enum
import logging
from typing import TYPE_CHECKING, cast

from aether_deploy.problems import printable
from aether_deploy.service.http.messages import EVENTS, Request, Response, Stream, Unsubscribe, problem
from aether_deploy.service.http.reader import Head, RequestReader
from aether_deploy.service.http.refusal import Refusal
from aether_deploy.service.http.target import split_target
from aether_deploy.service.http.writing import (
    CLOSE,
    CONTINUE,
    KEEP,
    SIGN_OF_LIFE,
    encode_response,
    encode_stream_head,
    with_lines,
)

if TYPE_CHECKING:
    from aether_deploy.service.http.core import ServerCore

LOG = logging.getLogger("aether_deploy.service.http")


class Phase(enum.Enum):
    """What a connection is about."""

    IDLE = enum.auto()  # no byte of a request is here
    HEAD = enum.auto()  # a head is coming
    BODY = enum.auto()  # a body is coming
    STREAM = enum.auto()  # an answer that stays open
    LINGER = enum.auto()  # the last answer was given; what still comes is thrown away
    GONE = enum.auto()


_IDLE = Phase.IDLE
_DEAF = frozenset({Phase.STREAM, Phase.LINGER, Phase.GONE})  # what comes now is thrown away
_NOTHING = bytearray()  # shared by all that wait for nothing; never written to
_BATCH = 256  # ready answers for one write
_TURN = 32  # other answers for one turn


class Connection(asyncio.Protocol):
    """One client.

    While answers wait nothing is read, so the end of what a client says is seen after everything before it was
    answered; then asyncio sends what is left, and closes.

    Attributes:
        deadline: When ``expire`` is to be called, by the server's clock.
    """

    __slots__ = (
        "_beats",
        "_core",
        "_head",
        "_paused",
        "_pending",
        "_phase",
        "_reader",
        "_rests",
        "_searched",
        "_transport",
        "_unsubscribe",
        "deadline",
        "peer",
    )

    def __init__(self, core: "ServerCore") -> None:
        self._core = core
        self._phase = Phase.IDLE
        self._paused = self._beats = self._rests = False
        self._pending = _NOTHING
        self._searched = 0
        self._reader: RequestReader | None = None
        self._head: Head | None = None
        self._unsubscribe: Unsubscribe | None = None
        self.deadline = core.now + core.limits.head_secs
        self.peer = ""

    # -- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        self.peer = address[0] if isinstance(address, tuple) else ""
        self._core.admit(self)

    def data_received(self, data: bytes) -> None:
        core = self._core
        if self._phase is _IDLE and not self._pending and not self._paused:
            known = core.known().get(data)
            if known is not None:
                target, answer = known
                self.deadline = core.now + core.idle_secs
                self._transport.write(answer)
                self._count(target)
                return
            place = self._short_cut(data)
            if place:
                self.deadline = core.now + core.idle_secs
            if place == len(data):
                return
            data = data[place:]
        if self._phase not in _DEAF:
            self._pending = self._pending or bytearray()
            self._pending += data
            self._work()

    def connection_lost(self, error: Exception | None) -> None:
        self._phase = Phase.GONE
        self._pending = _NOTHING
        self._reader = self._head = None
        self._core.forget(self)
        self._end_subscription()

    def pause_writing(self) -> None:
        self._paused = True
        self.deadline = self._core.now + self._core.limits.stall_secs
        if self._phase is not Phase.STREAM:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        self._set_deadline()
        self._go_on()

    # -- called by the server

    def refuse(self, response: Response) -> None:
        """Answer before anything was asked, and end."""
        self._send_last(response)

    def expire(self) -> None:
        """Do what is due: a sign of life on a stream, or an end."""
        if self._phase is Phase.STREAM and not self._paused:
            self.send(SIGN_OF_LIFE if self._beats else b"")
        elif self._paused or self._transport.get_write_buffer_size():
            self._core.counts.dropped += 1
            self._transport.abort()
        elif self._phase is Phase.IDLE:
            self._transport.close()
        elif self._phase in _DEAF:
            self._transport.abort()
        else:
            self._core.counts.timed_out += 1
            part = "head" if self._phase is Phase.HEAD else "body"
            self._send_last(problem(408, f"the {part} of the request did not come in time"))

    def drain(self) -> None:
        """End, unless a request is on its way or an answer is."""
        if self._phase is Phase.STREAM or (self._phase is Phase.IDLE and not self._paused):
            self._transport.close()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def send(self, chunk: bytes) -> None:
        """Send a piece of a stream; drop the client that lets too much wait."""
        if self._phase is not Phase.STREAM or self._transport.is_closing():
            return
        self._transport.write(chunk)
        if self._transport.get_write_buffer_size() > self._core.limits.stream_bytes:
            self._core.counts.dropped += 1
            self._transport.abort()
        elif not self._paused:
            self._set_deadline()

    # -- requests

    def _short_cut(self, requests: bytes | bytearray) -> int:
        """Give the ready answers to the plain requests at the begin of ``requests``; return where they end.

        What it does not know, or does not find whole, is left to the reader, which knows all rules.
        """
        core, place = self._core, 0
        answers: list[bytes] = []
        targets: list[bytes] = []
        while len(answers) < _BATCH:
            found = core.plain_get(requests, place)
            if found is None or found.end() - place > core.plain_bytes:
                break
            target = found[1]
            answer = core.stamped(target)
            if answer is None:
                break
            answers.append(answer)
            targets.append(target)
            place = found.end()
        if answers:
            if len(answers) == 1:
                core.keep(bytes(requests[:place]), targets[0], answers[0])
            self._transport.write(b"".join(answers))
            for target in targets:
                self._count(target)
        return place

    def _work(self) -> None:
        """Answer what is complete. Ends where bytes are missing, where the client reads too slowly, or for good.

        After some answers that had to be thought about it is the turn of the other clients.
        """
        turn = 0
        try:
            while (self._pending or self._head) and not self._paused and not self._transport.is_closing():
                if turn == _TURN:
                    self._rest()
                    return
                if self._reader is None and self._head is None:
                    del self._pending[: self._short_cut(self._pending)]
                    if not self._pending or self._paused:
                        return
                if self._head is None and not self._read_head():
                    return
                if self._head is not None and not self._read_body(self._head):
                    return
                turn += 1
        except Refusal as refusal:
            self._core.counts.refused_requests += 1
            self._send_last(problem(refusal.status, refusal.detail))

    def _rest(self) -> None:
        self._rests = True
        self._transport.pause_reading()
        self._core.soon(self._end_rest)

    def _end_rest(self) -> None:
        self._rests = False
        if not self._paused:
            self._go_on()

    def _go_on(self) -> None:
        """Read again, and answer what waits."""
        if self._transport.is_closing() or self._rests:
            return
        self._transport.resume_reading()
        if self._phase not in _DEAF:
            self._work()

    def _read_head(self) -> bool:
        """Read lines until the head is complete; False where more must come."""
        pending = self._pending
        if self._reader is None:
            self._reader = RequestReader(self._core.limits)
            self._enter(Phase.HEAD)
        while (end := pending.find(b"\n", self._searched)) >= 0:
            line = bytes(pending[: end + 1])
            del pending[: end + 1]
            self._searched = 0
            self._head = self._reader.take(line)
            if self._head is not None:
                self._reader = None
                self._enter(Phase.BODY)
                if self._head.expects and self._head.length:
                    self._transport.write(CONTINUE)
                return True
        self._searched = len(pending)
        self._reader.check_partial(len(pending))
        return False

    def _read_body(self, head: Head) -> bool:
        """Answer the request if its body is here; False where more must come, or where this was the last one."""
        length = head.length or 0
        if len(self._pending) < length:
            return False
        body = bytes(self._pending[:length])
        del self._pending[:length]
        self._head = None
        self._enter(Phase.IDLE)
        self._answer(head, body)
        return self._phase is Phase.IDLE

    # -- answers

    def _answer(self, head: Head, body: bytes) -> None:
        core = self._core
        keep, with_body = head.keep_alive and not core.draining, head.method != "HEAD"
        extra = core.date_line + self._connection_line(head, keep)
        ready = core.ready_answer(head.target) if head.method == "GET" and head.length is None else None
        if ready is not None:
            self._transport.write(with_lines(ready, extra))
            self._count(head.target)
        else:
            response = self._response(head, body)
            if isinstance(response, Stream):
                self._open_stream(response, with_body=with_body)
                return
            self._write(response, extra, with_body=with_body)
        if not keep:
            self._linger()

    def _count(self, target: bytes) -> None:
        try:
            self._core.counted(target)
        except Exception:
            self._failed("a ready answer was not counted")

    def _response(self, head: Head, body: bytes) -> Response | Stream:
        """Ask the application; what it raises is its own fault, and the next request may still be answered."""
        method = "GET" if head.method == "HEAD" else head.method
        path, query = split_target(head.target)
        try:
            response = self._core.answer(Request(method, path, query, head.headers, body, self.peer))
        except Exception:
            return self._failed(f"the answer to {method} {printable(path)} failed")
        refused = self._core.no_stream_for(self.peer) if isinstance(response, Stream) else None
        return response if refused is None else refused

    def _write(self, response: Response, extra: bytes, *, with_body: bool = True) -> None:
        try:
            answer = encode_response(response, extra=extra, with_body=with_body)
        except Exception:
            answer = encode_response(self._failed("an answer cannot be sent"), extra=extra, with_body=with_body)
        self._core.counts.answered += 1
        self._transport.write(answer)

    def _failed(self, what: str) -> Response:
        LOG.exception("%s", what)
        self._core.counts.failed += 1
        return problem(500, "the answer failed; the log says why")

    def _connection_line(self, head: Head, keep: bool) -> bytes:
        if not keep:
            return CLOSE
        return KEEP if head.minor == 0 else b""

    def _send_last(self, response: Response) -> None:
        self._write(response, self._core.date_line + CLOSE)
        self._linger()

    def _linger(self) -> None:
        """Say that no more answers come, and let the client read them: closing at once could destroy them.

        Rule:
            RFC 9112, section 9.6.
        """
        self._pending = _NOTHING
        self._reader = self._head = None
        self._enter(Phase.LINGER)
        if not self._transport.is_closing():
            self._transport.write_eof()
            if self._transport.get_write_buffer_size():
                self.deadline = self._core.now + self._core.limits.stall_secs

    # -- streams

    def _open_stream(self, stream: Stream, *, with_body: bool) -> None:
        try:
            head = encode_stream_head(stream, self._core.date_line + CLOSE)
        except Exception:
            self._send_last(self._failed("the head of a stream cannot be sent"))
            return
        self._transport.write(head)
        self._core.counts.answered += 1
        if not with_body:
            self._linger()
            return
        self._pending = _NOTHING
        self._core.begin_stream(self.peer)
        self._beats = stream.content_type == EVENTS
        self._enter(Phase.STREAM)
        try:
            self._unsubscribe = stream.subscribe(self.send)
        except Exception:
            self._failed("a subscription failed")
            self._core.end_stream(self.peer)
            self._transport.abort()

    def _end_subscription(self) -> None:
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is None:
            return
        self._core.end_stream(self.peer)
        try:
            unsubscribe()
        except Exception:
            self._failed("the end of a subscription failed")

    # -- times

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._set_deadline()

    def _set_deadline(self) -> None:
        limits = self._core.limits
        self.deadline = self._core.now + (limits.stall_secs if self._paused else self._core.secs[self._phase])
