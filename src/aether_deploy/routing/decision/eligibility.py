"""What keeps a region from taking a player, as bits in the order in which it gives way."""

import math
from hashlib import blake2b
from typing import Any

import msgspec

DAMPING, RAMP, LATENCY, SOFT_LOAD, DRAIN = (1 << place for place in range(5))
FULL, DRAINED, UNHEALTHY, WRONG_BUILD, NOT_ALLOWED = (1 << place for place in range(5, 10))
HARD = FULL | DRAINED | UNHEALTHY | WRONG_BUILD | NOT_ALLOWED
"""What never gives way."""

CONSTRAINTS = ("damping", "ramp", "latency", "soft_load", "drain")
"""What gives way, first to last, where no region satisfies all of it (R7)."""

LAST_LEVEL = len(CONSTRAINTS)
"""The ladder's last rung. A region may take a player from the rung ``mask.bit_length()`` on: on each rung one more
constraint is dropped, so the last of those that it violates decides."""

REASONS = (
    "",
    "preferred_flapping",
    "preferred_warming",
    "preferred_too_far",
    "preferred_over_soft_limit",
    "preferred_draining",
    "preferred_full",
    "preferred_drained",
    "preferred_unhealthy",
    "preferred_wrong_build",
    "preferred_not_allowed",
)
"""Why a region was passed over, by ``mask.bit_length()``: the last constraint that it violates."""

RULES = (*CONSTRAINTS, "hard_load", "hard_drain", "health", "build", "residency")
"""The rules by name, in the order of their bits."""


class Share(msgspec.Struct, frozen=True, gc=False):
    """A share of new players that a region takes. A hash decides who belongs to it, never chance.

    It is equal for equal names, everywhere and always, and spread evenly; a growing share keeps those whom it has.

    Attributes:
        place: Which region.
        bit: What keeps the others out.
        taken: The share, 0 to 1.
        limit: The first hash that is not in it.
        hashed: The hash of region and rule, to which a player's name is added.

    Rule:
        R10, R11.
    """

    place: int
    bit: int
    taken: float
    limit: bytes
    hashed: Any

    def keeps_out(self, player: bytes) -> bool:
        """Return whether a player is not in the share."""
        hashed = self.hashed.copy()
        hashed.update(player)
        return bool(hashed.digest() >= self.limit)

    def stands(self, player: bytes) -> float:
        """Return where in 0 to 1 a player stands; the share takes those below it."""
        hashed = self.hashed.copy()
        hashed.update(player)
        return float(int.from_bytes(hashed.digest(), "big") / 2.0**64)


def share_of_players(place: int, bit: int, taken: float, region: str) -> Share:
    """Return the share of a region's new players that a rule leaves to it; ``taken`` is at least 0 and below 1."""
    limit = math.ceil(taken * 2.0**64).to_bytes(8, "big")
    purpose = RULES[bit.bit_length() - 1]
    return Share(place, bit, taken, limit, blake2b(f"{region}\0{purpose}\0".encode(), digest_size=8))


def name_of(player: str) -> bytes:
    """Return a player's name as it is hashed."""
    return player.encode("utf-8", "surrogatepass")
