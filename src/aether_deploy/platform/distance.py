"""Round trips between regions: measured by ``links``, else estimated from where the regions are."""

from collections.abc import Iterable

from aether_deploy.platform.parts import LinkConfig, RegionConfig
from aether_deploy.routing.decision.latency import great_circle_ms


def round_trip_ms(a: RegionConfig, b: RegionConfig, links: Iterable[LinkConfig]) -> float | None:
    """Return the round trip between two regions, milliseconds; None where nothing tells."""
    if a.code == b.code:
        return 0.0
    for link in links:
        if set(link.between) == {a.code, b.code}:
            return float(link.latency_ms)
    if a.location is not None and b.location is not None:
        return great_circle_ms(a.location, b.location)
    return None
