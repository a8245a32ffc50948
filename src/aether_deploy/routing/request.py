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
        preferred: His region, by choice; None leaves it to what he measured, and to where he is.
        position: Where he is.
        measured: What he measured, by region.
    """

    preferred: str | None = None
    position: Position | None = None
    measured: Mapping[str, Measurement] = {}


class RouteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A player, or a party of them, who wants a region.

    Attributes:
        player: Who it is: decides, by a hash, whether a share of players includes this one.
        preferred: His region, by choice; None leaves it to the token, and to what is closest.
        position: Where he is.
        measured: What he measured, by region.
        sticky: The region he was sent to before.
        joining: It begins a new session, which ends the hold of a failback.
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
