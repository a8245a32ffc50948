"""Regions as a router sees them, and the specification's three routing rules."""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

import msgspec

from aether_deploy.config.base import Config, Fault, rule
from aether_deploy.config.marks import Keyed
from aether_deploy.config.types import Count, DnsLabel
from aether_deploy.manifest.boxes import YamlConfig
from aether_deploy.problems import NoHealthyRegionError, UnknownRegionError


class RoutingDecision(msgspec.Struct, frozen=True):
    """Where a player goes. Match on ``RoutingDecision.Primary(...)`` and ``RoutingDecision.Failover(...)``."""

    Primary: ClassVar[type["Primary"]]
    Failover: ClassVar[type["Failover"]]


class Primary(RoutingDecision, frozen=True, kw_only=True):
    """The preferred region takes the player. Given if and only if that region is healthy."""

    region: str


class Failover(RoutingDecision, frozen=True, kw_only=True):
    """Another region takes the player; ``reason`` begins with a code such as ``preferred_unhealthy``."""

    region: str
    reason: str


RoutingDecision.Primary = Primary
RoutingDecision.Failover = Failover


class Region(Config):
    """One region as the router sees it now.

    Attributes:
        code: The region's code: ``us-east-1``.
        latency_ms: Round trip to the region, milliseconds.
        healthy: Whether it takes players.
    """

    code: DnsLabel
    latency_ms: Count
    healthy: bool = True


class RegionRoutingConfig(YamlConfig):
    """The regions a player may be sent to, in the order that breaks ties.

    Attributes:
        regions: The regions, each code once.
        on_unknown: A preferred region that is not configured: ``failover`` to the closest healthy one (an
            old client must not be locked out), or ``error``.
        on_none_healthy: No region is healthy: ``error``, or ``fail_open`` to the preferred one.

    Rule:
        The specification, "Multi-Region Routing".
    """

    regions: Annotated[Sequence[Region], Keyed("code")]
    on_unknown: Literal["failover", "error"] = "failover"
    on_none_healthy: Literal["error", "fail_open"] = "error"

    @rule
    def there_is_a_region(self) -> Iterator[Fault]:
        if not self.regions:
            yield Fault(("regions",), "no region takes players", "list at least one region")

    def route_player(self, preferred: str) -> Primary | Failover:
        """Route a player who prefers one region.

        Args:
            preferred: Code of the player's region, by proximity or choice.

        Returns:
            ``Primary`` if and only if the preferred region is healthy; else the closest healthy one. Of
            equally close regions the first in configuration order.

        Raises:
            NoHealthyRegionError: No region is healthy and ``on_none_healthy`` is ``error``.
            UnknownRegionError: ``preferred`` is not configured and ``on_unknown`` is ``error``.
        """
        wanted = next((region for region in self.regions if region.code == preferred), None)
        if wanted is None and self.on_unknown == "error":
            known = ", ".join(region.code for region in self.regions)
            raise UnknownRegionError(f"no region is named '{preferred}'; known are {known}")
        if wanted is not None and wanted.healthy:
            return Primary(region=wanted.code)
        healthy = [region for region in self.regions if region.healthy]
        if healthy:
            reason = "preferred_unknown" if wanted is None else "preferred_unhealthy"
            return Failover(region=_closest(healthy).code, reason=reason)
        if self.on_none_healthy == "error":
            raise NoHealthyRegionError(f"none of {len(self.regions)} regions is healthy")
        return Failover(region=(wanted or _closest(self.regions)).code, reason="fail_open: no region is healthy")


def _closest(regions: Sequence[Region]) -> Region:
    return min(regions, key=lambda region: region.latency_ms)
