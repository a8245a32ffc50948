"""What is predicted and measured one by one: the parts of members, as clients of one region use them."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from aether_deploy.lab.system.member import Probe


class Part(NamedTuple):
    """One part of a member.

    Attributes:
        member: The member.
        part: The part, by the name that the member's analyst gives it; empty where it has but one.
        region: The region whose clients are meant; None: all.
    """

    member: str
    part: str
    region: str | None

    def __str__(self) -> str:
        """Return how people read it: ``sessions shard 0 of us-east-1``, ``cdn eu-west-1``."""
        words = [self.member, self.part]
        if self.region is not None and self.region not in self.part:
            words.append(f"in {self.region}")
        return " ".join(word for word in words if word)


def part_of(probe: "Probe") -> Part:
    """Return what a client asks."""
    return Part(probe.member, probe.part, probe.region)
