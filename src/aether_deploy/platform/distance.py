"""Round trips between regions: measured by ``links``, else estimated from where the regions are."""

import math
from collections.abc import Iterable

from aether_deploy.platform.parts import LinkConfig, Location, RegionConfig

EARTH_RADIUS_KM = 6371.0
# Light in fibre covers 200 km a millisecond; real paths are about half as long again as the great circle.
ROUND_TRIP_MS_PER_KM = 2 / 200 * 1.5


def great_circle_km(a: Location, b: Location) -> float:
    """Return the distance of two places on a sphere, kilometres (haversine)."""
    lat_a, lat_b = math.radians(a.lat), math.radians(b.lat)
    lon = math.radians(b.lon - a.lon)
    h = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(lon / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(h)))


def round_trip_ms(a: RegionConfig, b: RegionConfig, links: Iterable[LinkConfig]) -> float | None:
    """Return the round trip between two regions, milliseconds; None where nothing tells."""
    if a.code == b.code:
        return 0.0
    for link in links:
        if set(link.between) == {a.code, b.code}:
            return float(link.latency_ms)
    if a.location is not None and b.location is not None:
        return great_circle_km(a.location, b.location) * ROUND_TRIP_MS_PER_KM
    return None
