"""Whether the streams of a region fit on the volumes of its servers."""

from collections.abc import Iterable, Mapping, Sequence

from aether_deploy.infrastructure.estate import EstateRegion
from aether_deploy.infrastructure.nats.streams import Stream

_STEP = 2**20


def loads(streams: Iterable[Stream], region: EstateRegion, servers_per_zone: int) -> dict[tuple[str, int], int]:
    """Return the bytes that each server of a region has to set aside where all goes well, by zone and position.

    Each replica goes to the server with most left, in a zone that has none of the stream yet. Servers place so where
    a zone has one server; of several they take one at random that has room. What does not fit here never fits.
    """
    places = [(dc.zone, at) for dc in region.full for at in range(servers_per_zone)]
    held = {(zone, number): 0 for number, (zone, _) in enumerate(places)}
    for stream in streams:
        if stream.region != region.code or stream.max_bytes is None:
            continue
        taken: set[str] = set()
        for place in sorted(held, key=lambda each: held[each]):
            if len(taken) < stream.replicas and place[0] not in taken:
                taken.add(place[0])
                held[place] += stream.max_bytes
    return held


def fullest(streams: Sequence[Stream], region: EstateRegion, servers_per_zone: int, storage: str) -> int:
    """Return the bytes of streams of one storage on the server that has most of them."""
    kept = [each for each in streams if each.settings.storage == storage]
    return max(loads(kept, region, servers_per_zone).values(), default=0)


def room_to_be_sure(streams: Iterable[Stream], region: EstateRegion, servers_per_zone: int, storage: str) -> int:
    """Return the bytes that each server must have so that all streams find room, in whatever order they are made.

    A stream of ``r`` replicas finds none once all servers of ``zones - r + 1`` zones have less left than it needs. Any
    other stream has at most one replica in each of these zones, and at most all of its own.

    Rule:
        nats-server ``server/jetstream_cluster.go`` (``selectPeerGroup``): it takes the first server of a zone with
        room, in random order, and then sorts what it has taken.
    """
    kept = [each for each in streams if each.region == region.code and each.settings.storage == storage]
    sizes = [(each.replicas, each.max_bytes) for each in kept if each.max_bytes is not None]
    needed = 0
    for place, (replicas, size) in enumerate(sizes):
        zones = max(1, len(region.zones) - replicas + 1)
        others = sum(min(r, zones) * each for at, (r, each) in enumerate(sizes) if at != place)
        needed = max(needed, size + -(-others // (zones * _fewest_servers(region, servers_per_zone))))
    return needed


def _fewest_servers(region: EstateRegion, servers_per_zone: int) -> int:
    zones = [each.zone for each in region.full]
    return min(zones.count(zone) for zone in region.zones) * servers_per_zone


def largest_first(streams: Iterable[Stream], region: str, storage: str) -> Mapping[str, int]:
    """Return the bytes of one replica of each stream of a region, the largest first."""
    sizes = {
        each.name: each.max_bytes
        for each in streams
        if each.region == region and each.settings.storage == storage and each.max_bytes is not None
    }
    return dict(sorted(sizes.items(), key=lambda each: (-each[1], each[0])))


def size_text(amount: int) -> str:
    """Return bytes as a size that a file may hold, rounded up to whole Mi."""
    mebibytes = -(-amount // _STEP)
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"
