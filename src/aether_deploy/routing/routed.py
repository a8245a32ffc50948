"""The answer to a player who wants a region."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from aether_deploy.routing.policy import LatencySource

FAIL_OPEN = "fail_open"
"""Code of a failover for want of anything better: no region is healthy."""


class RoutingDecision(msgspec.Struct, frozen=True):
    """Where a player goes. Match on ``RoutingDecision.Primary(...)`` and ``RoutingDecision.Failover(...)``."""

    Primary: ClassVar[type["Primary"]]
    Failover: ClassVar[type["Failover"]]


class Primary(RoutingDecision, frozen=True, kw_only=True):
    """The preferred region takes the player. Given if and only if that region may."""

    word: ClassVar[Literal["primary"]] = "primary"
    region: str


class Failover(RoutingDecision, frozen=True, kw_only=True):
    """Another region takes the player; ``reason`` begins with a code such as ``preferred_unhealthy``."""

    word: ClassVar[Literal["failover"]] = "failover"
    region: str
    reason: str

    @property
    def code(self) -> str:
        """The reason's code, without what comes after a colon."""
        return code_of(self.reason)


def code_of(reason: str) -> str:
    """Return the code that a reason begins with."""
    return reason.partition(":")[0]


RoutingDecision.Primary = Primary
RoutingDecision.Failover = Failover


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """A decision, and what a client wants to know with it.

    Attributes:
        decision: Where the player goes.
        preferred: The region that was preferred: by choice, by token, or because it is the closest.
        latency_ms: Round trip to the chosen region, milliseconds, of a party's worst member; None where nobody knows.
        source: Who says so.
        alternates: Where he would go if the chosen region went away, then if that one did too: at most three.
        relaxed: What the chosen region does not satisfy because no region does: of ``damping``, ``ramp``, ``latency``,
            ``soft_load``, ``drain``, in this order.
    """

    decision: Primary | Failover
    preferred: str | None
    latency_ms: float | None
    source: LatencySource | None
    alternates: tuple[str, ...] = ()
    relaxed: tuple[str, ...] = ()

    def to_values(self, addresses: Mapping[str, str | None] | None = None) -> dict[str, Any]:
        """Return the decision as plain values for JSON: what every answer to a player says.

        Args:
            addresses: Where players are sent, by region; what is not known is left out.
        """
        values: dict[str, Any] = {"decision": self.decision.word, "region": self.decision.region}
        if isinstance(self.decision, Failover):
            values["reason"] = self.decision.reason
        values["preferred"] = self.preferred
        known = addresses or {}
        if (address := known.get(self.decision.region)) is not None:
            values["address"] = address
        values["latency_ms"] = None if self.latency_ms is None else round(self.latency_ms, 1)
        values["source"] = self.source
        values["alternates"] = [_place(code, known.get(code)) for code in self.alternates]
        if self.relaxed:
            values["relaxed"] = list(self.relaxed)
        return values


def _place(region: str, address: str | None) -> dict[str, str]:
    return {"region": region} if address is None else {"region": region, "address": address}
