"""Addresses of this machine's own for the nodes of a lab, so that each has the ports that it has in a pod."""

import contextlib
import random
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address

from aether_deploy.problems import EffectError

_TRIES = 200
_FIRST, _LAST = (int(IPv4Address(each)) for each in ("127.64.0.1", "127.127.255.254"))
_FIX = "run it on Linux, where all of 127.0.0.0/8 is this machine"


class Addresses:
    """Addresses on the loopback device that nobody listens on; none is given twice."""

    def __init__(self, ports: Iterable[int]) -> None:
        """Prepare to look for addresses where all ``ports`` are free."""
        self._ports = tuple(ports)
        self._given: set[str] = set()

    def new(self) -> str:
        """Return another address.

        Raises:
            EffectError: There is none.
        """
        for _ in range(_TRIES):
            address = str(IPv4Address(random.SystemRandom().randint(_FIRST, _LAST)))
            if address not in self._given and self._is_free(address):
                self._given.add(address)
                return address
        raise EffectError(f"no address of 127.0.0.0/8 is free for a node\n  fix: {_FIX}")

    def _is_free(self, address: str) -> bool:
        try:
            with contextlib.ExitStack() as stack:
                for port in self._ports:
                    each = stack.enter_context(socket.socket())
                    each.bind((address, port))
        except OSError:
            return False
        return True
