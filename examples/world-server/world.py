"""The world: who is here, where everybody stands, who may join, and how many replicas all that needs."""

from dataclasses import dataclass
from typing import Any

from wal import Record

Address = tuple[Any, ...]


@dataclass(kw_only=True)
class Player:
    """One player in the world, and where his last datagram came from."""

    name: str
    token: str
    place: tuple[int, int]
    heard_at: float
    address: Address | None = None


class World:
    """What the log says, and what decides on joining. Live changes and replay go through the same ``apply``.

    Attributes:
        players: Who is here, by token.
        places: Where everybody is, or was when he left, by name.
        loaded: The log is replayed. This alone is readiness.
        draining: Nobody may join any more.
        joinable_replicas: The gate: worlds whose ordinal is this or more take nobody new; None is open.
    """

    def __init__(self, ordinal: int, max_players: int) -> None:
        self.ordinal = ordinal
        self.max_players = max_players
        self.players: dict[str, Player] = {}
        self.places: dict[str, tuple[int, int]] = {}
        self.ticks = 0
        self.loaded = False
        self.draining = False
        self.joinable_replicas: int | None = None

    def apply(self, record: Record, now: float) -> None:
        """Change the world as a record says."""
        match record["op"]:
            case "join":
                name, token = record["name"], record["token"]
                place = self.places.setdefault(name, (0, 0))
                self.players[token] = Player(name=name, token=token, place=place, heard_at=now)
            case "leave":
                del self.players[record["token"]]
            case "tick":
                self.ticks += 1
                for token, (x, y) in record["moves"].items():
                    player = self.players[token]
                    player.place = self.places[player.name] = (x, y)

    def why_not_join(self) -> str | None:
        """Say why nobody may join, or None where he may. None of it but ``loading`` is readiness."""
        if not self.loaded:
            return "loading"
        if self.draining:
            return "draining"
        if self.joinable_replicas is not None and self.ordinal >= self.joinable_replicas:
            return "closed"
        return "full" if len(self.players) >= self.max_players else None

    def floor(self, unarchived_bytes: int) -> int:
        """Return how many replicas keep this world, or 0 where nothing would be lost with it.

        While the log is replayed nobody knows, so it counts as occupied.
        """
        return self.ordinal + 1 if self.players or unarchived_bytes or not self.loaded else 0
