"""A DNS server that knows the names of a lab and no others: it stands for that of a cluster and for the outside's."""

import asyncio
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any, cast

_TTL_SECS = 2
_HEAD_BYTES = 12
_A, _IN = 1, 1
_ANSWERED, _NO_SUCH_NAME = 0x8400, 0x8403
_POINTER_TO_QUESTION = b"\xc0\x0c"


class Names(asyncio.DatagramProtocol):
    """Answers questions for the IPv4 addresses of names; a name that it does not know there is not."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        """Answer with what ``names`` holds at the time of a question: addresses by lower-case name."""
        self._names = names
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # no Python 3.11 says so itself

    def datagram_received(self, data: bytes, addr: Any) -> None:
        try:
            answer = answer_to(data, self._names)
        except (IndexError, struct.error, UnicodeDecodeError):
            return  # no question at all
        if self._transport is not None:
            self._transport.sendto(answer, addr)


def answer_to(question: bytes, names: Mapping[str, Sequence[str]]) -> bytes:
    """Return the answer to one question as bytes of DNS.

    Rule:
        RFC 1035, section 4: the question is repeated, and answers point to its name.

    Raises:
        IndexError: It ends in the middle of a name.
        struct.error: It ends before its type.
    """
    labels, at = list[str](), _HEAD_BYTES
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    kind, _ = struct.unpack("!HH", question[at + 1 : at + 5])
    known = names.get(".".join(labels).lower())
    found = known if known is not None and kind == _A else ()
    flags = _ANSWERED if known is not None else _NO_SUCH_NAME
    head = question[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0) + question[_HEAD_BYTES : at + 5]
    record = _POINTER_TO_QUESTION + struct.pack("!HHIH", _A, _IN, _TTL_SECS, 4)
    return head + b"".join(record + socket.inet_aton(each) for each in found)
