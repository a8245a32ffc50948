"""Regions as a router sees them, and the specification's three routing rules."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Annotated, Literal

from aether_deploy.config.base import Config, Fault, rule
from aether_deploy.config.marks import Keyed
from aether_deploy.config.types import Count, DnsLabel
from aether_deploy.manifest.boxes import YamlConfig
from aether_deploy.routing.decision.deciding import decide_route
from aether_deploy.routing.policy import RoutingPolicy
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.routed import Failover as Failover
from aether_deploy.routing.routed import Primary as Primary
from aether_deploy.routing.routed import RoutingDecision as RoutingDecision
from aether_deploy.routing.view import RegionView, RoutingView


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


class RegionRoutingConfig(YamlConfig, dict=True):
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
        return decide_route(self._policy, self._view, RouteRequest(preferred=preferred)).decision

    @cached_property
    def _policy(self) -> RoutingPolicy:
        return RoutingPolicy(on_unknown=self.on_unknown, on_none_healthy=self.on_none_healthy)

    @cached_property
    def _view(self) -> RoutingView:
        return RoutingView(
            regions=tuple(
                RegionView(
                    code=region.code,
                    latency_ms=region.latency_ms,
                    health="healthy" if region.healthy else "unhealthy",
                )
                for region in self.regions
            )
        )
