"""How much of a server each client holds.

Rule:
    An IPv4 address is one client, and so is an IPv6 network of 64 bits, which is what one subscriber gets (RFC 6177).
"""

import socket

NETWORK_BYTES = 8


class Peers:
    """Counts what is held, by client."""

    def __init__(self) -> None:
        self._held: dict[str | bytes, int] = {}

    def take(self, peer: str) -> int:
        """Count one more for an address, and return how many its client holds now."""
        client = client_of(peer)
        self._held[client] = held = self._held.get(client, 0) + 1
        return held

    def give_back(self, peer: str) -> None:
        """Count one less."""
        client = client_of(peer)
        left = self._held.get(client, 0) - 1
        if left > 0:
            self._held[client] = left
        else:
            self._held.pop(client, None)

    def held(self, peer: str) -> int:
        """Return how many the client of an address holds."""
        return self._held.get(client_of(peer), 0)


def client_of(peer: str) -> str | bytes:
    """Return what stands for the client of an address: an IPv4 address, or a network of IPv6."""
    if ":" not in peer:
        return peer
    return socket.inet_pton(socket.AF_INET6, peer.partition("%")[0])[:NETWORK_BYTES]
