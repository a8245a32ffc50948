"""What can fail, as values: which datacenters are gone, and which regions no longer reach each other."""

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Literal

import msgspec

from aether_deploy.infrastructure.estate import Estate, EstateRegion, datacenter_name

FailureKind = Literal[
    "process", "node", "zone", "region", "witness", "control-plane", "link", "zones", "regions", "links"
]
Role = Literal["leader", "member"]
Pair = frozenset[str]
"""Two regions, by their codes."""

NOTHING: frozenset[str] = frozenset()


class PlatformFailure(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that fails, or two at once.

    Attributes:
        kind: What it is. ``zones``, ``regions`` and ``links`` are pairs.
        name: How tables call it: ``us-east-1a``, ``us-east-1 - eu-west-1``; of a process, whose it is.
        halves: Of a pair: the names of the two that fail at once.
        role: Of a process: whether it leads.
        lost: Names of the datacenters that are gone as a whole.
        nodes: Names of the datacenters in which one node is gone: for each component the one that carries its
            leader, if any there does.
        cut: Pairs of regions that do not reach each other.
        control_planes: Clusters whose API server does not answer, though their pods run.
    """

    kind: FailureKind
    name: str
    halves: tuple[str, ...] = ()
    role: Role | None = None
    lost: frozenset[str] = NOTHING
    nodes: frozenset[str] = NOTHING
    cut: frozenset[Pair] = frozenset()
    control_planes: frozenset[str] = NOTHING

    @property
    def is_pair(self) -> bool:
        """Whether two things fail at once."""
        return self.kind in ("zones", "regions", "links")

    @property
    def single_kind(self) -> FailureKind:
        """What one half of a pair is; of a single failure, its kind."""
        return _SINGLE.get(self.kind, self.kind)

    def within(self, footprint: "Footprint") -> "PlatformFailure":
        """Return what of it ``footprint`` feels; failures that are felt alike become equal."""
        return PlatformFailure(
            kind=self.single_kind,
            name="",
            role=self.role,
            lost=self.lost & footprint.datacenters,
            nodes=self.nodes & footprint.datacenters,
            cut=self.cut & footprint.links,
            control_planes=self.control_planes & footprint.control_planes,
        )

    def beside(self, other: "PlatformFailure", kind: FailureKind) -> "PlatformFailure":
        """Return both failures at once."""
        return PlatformFailure(
            kind=kind,
            name=f"{self.name} + {other.name}",
            halves=(self.name, other.name),
            lost=self.lost | other.lost,
            cut=self.cut | other.cut,
            control_planes=self.control_planes | other.control_planes,
        )


_SINGLE: dict[FailureKind, FailureKind] = {"zones": "zone", "regions": "region", "links": "link"}


class Footprint(msgspec.Struct, frozen=True):
    """Where a component can be hit.

    Attributes:
        datacenters: Names of the datacenters that its pods run in, and of those whose loss it feels.
        links: Pairs of regions between which its pods talk.
        control_planes: Clusters whose API server it needs to go on.
    """

    datacenters: frozenset[str] = NOTHING
    links: frozenset[Pair] = frozenset()
    control_planes: frozenset[str] = NOTHING


def link_name(pair: Iterable[str], estate: Estate) -> str:
    """Return how a pair of regions is called, in the order of the file."""
    order = [region.code for region in estate.regions]
    return " - ".join(sorted(pair, key=order.index))


def single_failures(estate: Estate, components: Iterable[str]) -> list[PlatformFailure]:
    """Return everything that can fail alone, smallest first.

    Args:
        estate: Regions and datacenters.
        components: Names of the components that run; each has a process that leads, and others.
    """
    return [
        *(PlatformFailure(kind="process", name=name, role=role) for role in _ROLES for name in components),
        *(_node(name, members) for name, members in _zones(estate)),
        *(_zone(name, members) for name, members in _zones(estate)),
        *_witnesses(estate),
        *(_control_plane(cluster) for cluster in dict.fromkeys(each.cluster for each in estate.regions)),
        *(_region(region, estate) for region in estate.regions),
        *_links(estate),
    ]


_ROLES: tuple[Role, ...] = ("leader", "member")


def pair_failures(estate: Estate) -> Iterator[PlatformFailure]:
    """Yield every pair of zones, of regions and of links that can fail at once."""
    zones = [_zone(name, members) for name, members in _zones(estate)]
    regions = [_region(region, estate) for region in estate.regions]
    for one, other in combinations(zones, 2):
        yield one.beside(other, "zones")
    for one, other in combinations(regions, 2):
        yield one.beside(other, "regions")
    for one, other in combinations(_links(estate), 2):
        yield one.beside(other, "links")


def _zones(estate: Estate) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield every zone that holds data: what it is called, and the names of its datacenters."""
    for region in estate.regions:
        for zone in region.zones:
            members = frozenset(each.name for each in region.datacenters if each.zone == zone and not each.witness)
            yield datacenter_name(region.code, zone), members


def _zone(name: str, members: frozenset[str]) -> PlatformFailure:
    return PlatformFailure(kind="zone", name=name, lost=members)


def _node(name: str, members: frozenset[str]) -> PlatformFailure:
    return PlatformFailure(kind="node", name=name, nodes=members)


def _control_plane(cluster: str) -> PlatformFailure:
    return PlatformFailure(kind="control-plane", name=cluster, control_planes=frozenset((cluster,)))


def _region(region: EstateRegion, estate: Estate) -> PlatformFailure:
    """Return the loss of a region: everything in its cluster. A witness in a cluster of its own survives."""
    lost = frozenset(each.name for each in estate.datacenters if each.cluster == region.cluster)
    return PlatformFailure(kind="region", name=region.code, lost=lost, control_planes=frozenset((region.cluster,)))


def _witnesses(estate: Estate) -> Iterator[PlatformFailure]:
    for each in estate.datacenters:
        if each.witness:
            yield PlatformFailure(kind="witness", name=each.name, lost=frozenset((each.name,)))


def _links(estate: Estate) -> list[PlatformFailure]:
    codes = [region.code for region in estate.regions]
    return [
        PlatformFailure(kind="link", name=f"{one} - {other}", cut=frozenset((frozenset((one, other)),)))
        for one, other in combinations(codes, 2)
    ]
