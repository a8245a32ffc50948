"""A connection to one Valkey node: as much of its protocol (RESP 2) as setting up a cluster needs."""

import contextlib
import socket
from types import TracebackType
from typing import IO, Self

Reply = str | int | None | list["Reply"]
_LINE_MAX = 65536


class NoAnswer(Exception):
    """A node is not there, does not speak, or speaks no Valkey."""


class Refused(Exception):
    """A node answered with an error."""


class Connection:
    """One connection. Each call has an answer, or raises.

    Args:
        address: IP address and port.
        answer_secs: Longest time that one answer may take, seconds.

    Raises:
        NoAnswer: Nobody is there.
    """

    def __init__(self, address: tuple[str, int], *, answer_secs: float) -> None:
        try:
            self._socket = socket.create_connection(address, timeout=answer_secs)
        except OSError as error:
            raise NoAnswer(f"{address[0]}:{address[1]}: {error}") from error
        self._reader: IO[bytes] = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; safe to call twice."""
        with contextlib.suppress(OSError):
            self._reader.close()
            self._socket.close()

    def call(self, *words: str) -> Reply:
        """Return the answer to a command.

        Raises:
            Refused: It is an error; with the node's own words.
            NoAnswer: None came in time, or none that can be understood.
        """
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            said = word.encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(said), said))
        try:
            self._socket.sendall(b"".join(parts))
            return self._reply()
        except (OSError, ValueError, RecursionError) as error:
            self.close()  # what is still to come would be taken for the next answer
            raise NoAnswer(f"{words[0]}: {error}") from error

    def text(self, *words: str) -> str:
        """Return the answer to a command that has a text for an answer.

        Raises:
            Refused: It is an error.
            NoAnswer: It is none, or no text.
        """
        found = self.call(*words)
        if not isinstance(found, str):
            raise NoAnswer(f"{words[0]}: no text: {found!r}")
        return found

    def _reply(self) -> Reply:
        line = self._reader.readline(_LINE_MAX)
        if not line.endswith(b"\r\n"):
            raise ValueError("the connection ended" if not line else f"no answer of Valkey: {line[:40]!r}")
        kind, rest = line[:1], line[1:-2].decode("utf-8", "replace")
        match kind:
            case b"+":
                return rest
            case b"-":
                raise Refused(rest)
            case b":":
                return int(rest)
            case b"$":
                return self._bulk(int(rest))
            case b"*":
                return None if int(rest) < 0 else [self._reply() for _ in range(int(rest))]
        raise ValueError(f"no answer of Valkey: {line[:40]!r}")

    def _bulk(self, length: int) -> str | None:
        if length < 0:
            return None
        found = self._reader.read(length + 2)
        if len(found) != length + 2:
            raise ValueError("the connection ended")
        return found[:-2].decode("utf-8", "replace")
