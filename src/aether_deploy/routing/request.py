"""What a player brings to a decision."""

from collections.abc import Mapping

import msgspec

from aether_deploy.routing.view import Position


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What a player measured of one region.

    Attributes:
        rtt_ms: Median round trip, milliseconds.
        jitter_ms: How much it varies, milliseconds.
        loss_percent: Packets lost, percent.
        samples: Round trips behind it.
        age_secs: Time since then, seconds.
    """

    rtt_ms: float
    jitter_ms: float = 0.0
    loss_percent: float = 0.0
    samples: int = 3
    age_secs: float = 0.0


class PartyMember(msgspec.Struct, frozen=True, kw_only=True):
    """One of several players who want to play together.

    Attributes:
        preferred: His region, by choice; None leaves it to what he measured, and to where he is. It says where he is,
            and is the party's only where all members choose the same.
        position: Where he is.
        measured: What he measured, by region.
        build: The build that his client speaks.
        residency: Name of the residency rule that he is under.

    Rule:
        A party goes where every member may: to regions of all their builds, and within all their residency rules.
    """

    preferred: str | None = None
    position: Position | None = None
    measured: Mapping[str, Measurement] = {}
    build: str | None = None
    residency: str | None = None


class RouteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A player, or a party of them, who wants a region.

    Attributes:
        player: Who it is: decides, by a hash, whether a share of players includes this one.
        preferred: His region, by choice; None leaves it to the token, and to what is closest.
        position: Where he is.
        measured: What he measured, by region.
        sticky: The region of the session that he returns to: there he is not new, so that a ramp, a soft limit of load
            and a soft drain do not keep him out.
        joining: He begins a new session: where he was before counts for nothing, and the hold of a failback ends.
        build: The build that his client speaks.
        residency: Name of the residency rule that he is under.
        waited_secs: How long he waits already, seconds.
        party: The other members of his party.
    """

    player: str = ""
    preferred: str | None = None
    position: Position | None = None
    measured: Mapping[str, Measurement] = {}
    sticky: str | None = None
    joining: bool = False
    build: str | None = None
    residency: str | None = None
    waited_secs: float = 0.0
    party: tuple[PartyMember, ...] = ()

    @property
    def members(self) -> "tuple[RouteRequest | PartyMember, ...]":
        """Everybody of the party, who asks first."""
        return (self, *self.party)

    @property
    def builds(self) -> frozenset[str]:
        """The builds that they speak, as far as they say."""
        return frozenset(each.build for each in self.members if each.build is not None)

    @property
    def residencies(self) -> tuple[str, ...]:
        """Names of the residency rules that they are under, each once."""
        return tuple(dict.fromkeys(each.residency for each in self.members if each.residency is not None))
