"""What is left of a cluster when zones of its region, or single nodes, are gone.

Rule:
    Valkey cluster specification, "Replica election and promotion": a replica takes over once a majority of all
    primaries that hold slots voted for it, and the dead ones count. Without that majority the others refuse clients,
    too ("Availability"). Measured on 9.1.2: of three primaries one is replaced, two are not.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import msgspec

from aether_deploy.infrastructure.estate import EstateRegion
from aether_deploy.infrastructure.valkey.layout import nodes_of

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.valkey import ValkeyConfig


class Shape(msgspec.Struct, frozen=True):
    """A cluster as elections see it.

    Attributes:
        shards: For each shard the zones of its copies; the first is the zone of the primary.
    """

    shards: tuple[tuple[str, ...], ...]

    @property
    def zones(self) -> tuple[str, ...]:
        """Every zone with a copy, primaries' first."""
        return tuple(dict.fromkeys(zone for place in range(self._copies) for zone in self._copy(place)))

    @property
    def _copies(self) -> int:
        return max(map(len, self.shards), default=0)

    def _copy(self, place: int) -> list[str]:
        return [copies[place] for copies in self.shards if place < len(copies)]

    @property
    def majority(self) -> int:
        """Votes that a replica needs."""
        return len(self.shards) // 2 + 1

    def primaries_in(self, zones: Collection[str]) -> tuple[int, ...]:
        """Return the shards whose primary is in one of ``zones``."""
        return tuple(place for place, copies in enumerate(self.shards) if copies[0] in zones)


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a cluster.

    Attributes:
        promoted: Shards whose primary is gone and that a replica takes over.
        orphaned: Shards of which no copy is left.
        thinner: Shards that keep their primary and lose a replica.
        votes: Primaries that are left.
        majority: Votes that a replica needs.
    """

    promoted: tuple[int, ...]
    orphaned: tuple[int, ...]
    thinner: tuple[int, ...]
    votes: int
    majority: int

    @property
    def serves(self) -> bool:
        """Whether the nodes that are left serve anything: with no majority they refuse all clients."""
        return self.votes >= self.majority

    @property
    def survives(self) -> bool:
        """Whether every slot is served again without anybody's help, before what failed is back."""
        return self.serves and not self.orphaned


def shape_of(config: "ValkeyConfig", region: EstateRegion) -> Shape:
    """Return the shape of a region's cluster as it is planned."""
    shards: list[list[str]] = [[] for _ in range(config.shards)]
    for node in nodes_of(config, region):
        shards[node.shard].append(node.datacenter.zone)
    return Shape(tuple(tuple(each) for each in shards if each))


def fate_of(shape: Shape, lost: Collection[str]) -> Fate:
    """Return what becomes of a cluster when every node in the zones ``lost`` is gone."""
    hit = shape.primaries_in(lost)
    orphaned = tuple(place for place in hit if all(zone in lost for zone in shape.shards[place]))
    return Fate(
        promoted=tuple(place for place in hit if place not in orphaned),
        orphaned=orphaned,
        thinner=tuple(
            place
            for place, copies in enumerate(shape.shards)
            if place not in hit and any(zone in lost for zone in copies[1:])
        ),
        votes=len(shape.shards) - len(hit),
        majority=shape.majority,
    )


def zone_survival(shape: Shape) -> Mapping[str, Fate]:
    """Return what the loss of each zone leaves, by zone."""
    return {zone: fate_of(shape, (zone,)) for zone in shape.zones}


def drifted(shape: Shape, zone: str, toward: str = "") -> Shape:
    """Return the cluster after ``zone`` was lost and is back: who took over stays primary, who came back follows.

    Of several replicas the one that is furthest ahead takes over, which nobody can tell beforehand.

    Args:
        shape: The cluster as planned.
        zone: The zone that was lost.
        toward: A zone whose replicas take over wherever there are some; left out, the first of each shard does.
    """

    def order(home: str) -> tuple[bool, bool]:
        return home == zone, home != toward

    hit = shape.primaries_in((zone,))
    shards = enumerate(shape.shards)
    return Shape(tuple(tuple(sorted(copies, key=order)) if at in hit else copies for at, copies in shards))


def second_losses(shape: Shape, zone: str) -> tuple[str, ...]:
    """Return the other zones whose loss may stop the cluster after ``zone`` was back, until primaries are moved."""
    if not fate_of(shape, (zone,)).survives:
        return ()  # it is the first loss that stops the cluster
    others = [each for each in shape.zones if each != zone]
    return tuple(each for each in others if not fate_of(drifted(shape, zone, toward=each), (each,)).survives)
