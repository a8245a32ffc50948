"""The players' side of examples/world-server: worlds of another protocol cannot be joined from here."""

import contextlib
import re
import secrets
import socket
import time
from typing import NamedTuple

from aether_deploy.contract.asking import Target
from aether_deploy.problems import shown

_RESEND_SECS = 0.5


class Joined(NamedTuple):
    """A player who is in the world."""

    token: str


class NotJoined(NamedTuple):
    """Why nobody is.

    Attributes:
        why: What happened instead.
        refused: The server speaks the protocol and said no.
        closed: Nothing listens at the port.
    """

    why: str
    refused: bool = False
    closed: bool = False


class GameClient:
    """One player; datagrams get lost, so questions are asked again until they are answered."""

    def __init__(self, target: Target) -> None:
        """Prepare a player.

        Raises:
            OSError: The host is not known, or there is no way to it.
            UnicodeError: It is no name of a host.
        """
        family, kind, protocol, _, address = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)[0]
        self.name = f"contract-check-{secrets.token_hex(4)}"
        self.sent_away = False
        self._target = target
        self._token = ""
        self._socket = socket.socket(family, kind, protocol)
        try:
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise

    def close(self) -> None:
        """Leave, if that was forgotten, and close."""
        if self._token:
            with contextlib.suppress(OSError):
                self._socket.send(f"LEAVE {self._token}".encode())
        self._socket.close()

    def join(self, within_secs: float) -> Joined | NotJoined:
        """Join the world."""
        try:
            answer = self._ask(f"JOIN {self.name}", within_secs)
        except ConnectionError:
            return NotJoined(f"nothing listens on UDP {self._target}", closed=True)
        except OSError as error:
            return NotJoined(f"UDP {self._target}: {error.strerror or error}")
        if answer is None:
            return NotJoined(f"no answer to JOIN on UDP {self._target} within {within_secs:g} s")
        if found := re.fullmatch(r"WELCOME (\w+) -?\d+ -?\d+", answer):
            self._token = found[1]
            return Joined(found[1])
        if answer.startswith("REFUSED "):
            return NotJoined(f"JOIN was refused: {shown(answer.removeprefix('REFUSED '))}", refused=True)
        return NotJoined(f"JOIN was answered {shown(answer)}, which is another protocol")

    def ping(self, within_secs: float) -> bool:
        """Say that the player is still here; return whether the world says so too."""
        with contextlib.suppress(OSError):
            return self._ask(f"PING {self._token}", within_secs, "PONG ") is not None
        return False

    def leave(self, within_secs: float) -> None:
        """Leave the world."""
        with contextlib.suppress(OSError):
            self._ask(f"LEAVE {self._token}", within_secs, "BYE")
        self._token = ""

    def _ask(self, text: str, within_secs: float, beginning: str = "") -> str | None:
        """Return the answer that begins so. ``GO`` is no answer, but noted."""
        deadline = time.monotonic() + within_secs
        while (left := deadline - time.monotonic()) > 0:
            self._socket.send(text.encode())
            again = time.monotonic() + min(_RESEND_SECS, left)
            while (wait := again - time.monotonic()) > 0:
                self._socket.settimeout(wait)
                try:
                    answer = self._socket.recv(2048).decode("utf-8", "replace").rstrip("\n")
                except TimeoutError:
                    break
                if re.match(r"GO\b", answer):
                    self.sent_away = True
                elif answer.startswith(beginning):
                    return answer
        return None
