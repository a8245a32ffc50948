"""What is wrong with a cluster where it is to run: zones that do not suffice, and who would make it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aether_deploy.config.base import Fault, judged
from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.valkey.layout import placed_regions
from aether_deploy.infrastructure.valkey.survival import Shape, shape_of, zone_survival

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.valkey import ValkeyConfig


def faults_of(config: "ValkeyConfig", estate: Estate) -> Iterator[Fault]:
    """Yield everything that is wrong with ``config`` on ``estate``."""
    regions = placed_regions(config, estate)
    yield from judged(somebody_makes_the_cluster(config, estate), *(zones_suffice(config, each) for each in regions))


def zones_suffice(config: "ValkeyConfig", region: EstateRegion) -> Iterator[Fault]:
    match len(region.zones):
        case 0:
            pass  # of no datacenter that holds data the platform tells
        case 1:
            yield from one_zone_is_all(region)
        case 2:
            yield from two_zones_cannot_be_safe(config, region)
        case _:
            yield from judged(no_zone_holds_half(config, region), copies_have_zones(config, region))


def somebody_makes_the_cluster(config: "ValkeyConfig", estate: Estate) -> Iterator[Fault]:
    if estate.tools_image is None and placed_regions(config, estate):
        reason = "needs 'tools_image': without the Job that it runs its nodes stay apart, and own no slots"
        yield Fault((), reason, "add tools_image at the top: the image of aether-deploy itself")


def one_zone_is_all(region: EstateRegion) -> Iterator[Fault]:
    """Nobody takes it for safe, so it is allowed: a place to develop in."""
    reason = f"region '{region.code}' has one zone, and all sessions there go with it"
    fix = "give the region three zones, unless players may log in again"
    yield Fault((), reason, fix, severity="warning")


def two_zones_cannot_be_safe(config: "ValkeyConfig", region: EstateRegion) -> Iterator[Fault]:
    """One of two zones holds half of the primaries or more, whoever places them."""
    most, count, shape = _fullest(config, region)
    reason = (
        f"region '{region.code}' has two zones, and one always holds half of the primaries or more: without zone "
        f"'{most}', which holds {count} of {config.shards}, {shape.majority} votes are not there, and no replica "
        "takes over"
    )
    yield Fault((), reason, "give the region a third zone, or let 'regions' leave it out")


def no_zone_holds_half(config: "ValkeyConfig", region: EstateRegion) -> Iterator[Fault]:
    most, count, shape = _fullest(config, region)
    if zone_survival(shape)[most].serves:
        return
    reason = (
        f"zone '{most}' of region '{region.code}' would hold {count} of them: without it {config.shards - count} "
        f"primaries are left, {shape.majority} votes are needed, and no replica takes over"
    )
    zones = len(region.zones)
    better = [count for count in range(3, 2 * config.shards + 3) if 2 * -(-count // zones) < count]
    near = sorted(better, key=lambda each: (abs(each - config.shards), each))[:2]
    yield Fault(("shards",), reason, f"set it to {' or '.join(map(str, sorted(near)))}", config.shards)


def copies_have_zones(config: "ValkeyConfig", region: EstateRegion) -> Iterator[Fault]:
    zones = len(region.zones)
    if config.replicas >= zones:
        reason = f"{config.replicas + 1} copies of a shard, and region '{region.code}' has {zones} zones"
        yield Fault(
            ("replicas",), reason, f"lower it to {zones - 1} or less: a zone is lost as a whole", config.replicas
        )


def _fullest(config: "ValkeyConfig", region: EstateRegion) -> tuple[str, int, Shape]:
    """Return the zone with the most primaries, how many they are, and the shape of the cluster."""
    shape = shape_of(config, region)
    most = max(shape.zones, key=lambda zone: len(shape.primaries_in((zone,))))
    return most, len(shape.primaries_in((most,))), shape
