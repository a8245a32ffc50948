"""What a router would know in a case that somebody makes up: all regions healthy, but for those named."""

from collections.abc import Collection, Mapping

from aether_deploy.routing.decision.latency import great_circle_ms
from aether_deploy.routing.router_config import RouterConfig, RouterHome, RouterRegion
from aether_deploy.routing.view import DrainMode, Position, RegionView, RoutingView

_STRICTNESS: tuple[DrainMode, ...] = ("none", "soft", "hard")


def view_of(
    config: RouterConfig,
    *,
    down: Collection[str] = (),
    loads: Mapping[str, float] | None = None,
    drains: Mapping[str, DrainMode] | None = None,
) -> RoutingView:
    """Return the view of a router that knows all regions as healthy, but for what is said here.

    Args:
        config: What the router is told.
        down: Codes of regions that are unhealthy.
        loads: Load of regions, as a share of their capacity; unknown where left out, and then it limits nothing.
        drains: Regions that drain by order, and how; those of ``config.drain`` drain too, and the stricter counts.

    Raises:
        KeyError: A code is none of the router's regions.
    """
    loads, drains = loads or {}, drains or {}
    unknown = {*down, *loads, *drains} - {region.code for region in config.regions}
    if unknown:
        raise KeyError(min(unknown))
    regions = tuple(
        RegionView(
            code=region.code,
            latency_ms=region.latency_ms,
            position=position_of(region),
            health="unhealthy" if region.code in down else "healthy",
            load=loads.get(region.code),
            drain=stricter_drain(config.drain.get(region.code, "none"), drains.get(region.code, "none")),
        )
        for region in config.regions
    )
    return RoutingView(regions=regions, matrix=matrix_of(config))


def stricter_drain(one: DrainMode, other: DrainMode) -> DrainMode:
    """Return the stricter of two drains."""
    return max(one, other, key=_STRICTNESS.index)


def position_of(region: RouterRegion | RouterHome) -> Position | None:
    """Return where a region is; None where nobody said."""
    return None if region.location is None else Position(region.location.lat, region.location.lon)


def matrix_of(config: RouterConfig) -> dict[str, dict[str, float]]:
    """Return the round trips between regions that ``links`` measure, both ways, milliseconds.

    A home where no entry runs has no region whose place a view would know: from there the distance counts as a link.
    """
    matrix: dict[str, dict[str, float]] = {}
    for home in config.homes:
        row = {region.code: far for region in config.regions if (far := _distance_ms(home, region)) is not None}
        matrix |= {home.code: row} if row else {}
    for link in config.links:
        first, second = link.between
        matrix.setdefault(first, {})[second] = float(link.latency_ms)
        matrix.setdefault(second, {})[first] = float(link.latency_ms)
    return matrix


def _distance_ms(home: RouterHome, region: RouterRegion) -> float | None:
    here, there = position_of(home), position_of(region)
    return None if here is None or there is None else great_circle_ms(here, there)
