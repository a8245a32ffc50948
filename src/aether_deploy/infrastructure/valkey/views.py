"""What a node tells of its cluster, as values."""

from collections.abc import Mapping

import msgspec

SlotRange = tuple[int, int]


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A node, as another one or itself knows it.

    Attributes:
        id: What the cluster knows it by, as long as it keeps its file.
        address: Its address and port for clients: ``10.0.0.7:6379``; without an address before it knows its own.
        flags: ``myself``, ``master``, ``slave``, ``fail``, ``fail?``, ``handshake``, ``noaddr``.
        primary: The primary that it follows; None of a primary.
        linked: Whether the two are connected.
        slots: What it owns, first and last slot of each range.
        hostname: The name that it announces; empty where it announces none.
    """

    id: str
    address: str
    flags: frozenset[str]
    primary: str | None
    linked: bool
    slots: tuple[SlotRange, ...] = ()
    hostname: str = ""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a node that answers says.

    Attributes:
        address: Where it was found: ``10.0.0.7:6379``.
        peers: Every node that it knows, by id; itself, too.
        serves: Whether it holds the cluster to be fit to serve.
        synced: Of a replica: whether it has all that its primary had, and is connected to it.
        keys: How many keys it holds.
        epoch: The highest configuration epoch that it knows of.
        settings: Its settings, as far as they were asked for.
    """

    address: str
    peers: Mapping[str, Peer]
    serves: bool = True
    synced: bool = False
    keys: int = 0
    epoch: int = 0
    settings: Mapping[str, str] = {}

    @property
    def me(self) -> Peer:
        """The node itself."""
        return next(each for each in self.peers.values() if "myself" in each.flags)


Views = Mapping[str, Seen]
"""What each node that answers says, by the name of its pod."""


def peers_in(text: str) -> dict[str, Peer]:
    """Return the nodes that an answer to ``CLUSTER NODES`` lists, by id.

    Raises:
        ValueError: It is no such answer.
    """
    found = [_peer(line.split(" ")) for line in text.splitlines() if line]
    if sum("myself" in each.flags for each in found) != 1:
        raise ValueError("no list of nodes with the one that was asked")
    return {each.id: each for each in found}


def _peer(fields: list[str]) -> Peer:
    if len(fields) < 8:
        raise ValueError(f"no node: {' '.join(fields)!r}")
    ranges = [each for each in fields[8:] if not each.startswith("[")]  # in brackets: on its way between two nodes
    # <address>@<bus port>,<hostname>,<name>=<value>,… (Valkey, CLUSTER NODES, "Serialization format")
    address, *further = fields[1].split(",")
    return Peer(
        id=fields[0],
        address=address.partition("@")[0],
        flags=frozenset(fields[2].split(",")),
        primary=None if fields[3] == "-" else fields[3],
        linked=fields[7] == "connected",
        slots=tuple((int(first), int(last or first)) for first, _, last in (each.partition("-") for each in ranges)),
        hostname=further[0] if further and "=" not in further[0] else "",
    )


def fields_in(text: str) -> dict[str, str]:
    """Return the fields of an answer to ``INFO`` or ``CLUSTER INFO``."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def holds_all(peer: Peer, slots: SlotRange) -> bool:
    """Return whether a node owns every slot of a range."""
    return owned_of(peer, slots) == slots[1] - slots[0] + 1


def owned_of(peer: Peer, slots: SlotRange) -> int:
    """Return how many slots of a range a node owns."""
    first, last = slots
    return sum(max(0, min(last, end) - max(first, begin) + 1) for begin, end in peer.slots)
