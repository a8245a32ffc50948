"""The part of a supercluster that a failure touches: answers about it cost what it holds, not what there is."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import cache

import msgspec

from aether_deploy.infrastructure.nats.quorum import Cut, MetaFate, Shape, StreamFate, fate_of

REST = ""
"""Name of everything that a failure does not touch: no cluster and no datacenter is called so."""


class TouchedShape:
    """Answers as ``quorum.fate_of`` does, from the part of a supercluster that matters.

    Clusters that a failure does not touch hear everybody and are heard by everybody who hears any of them, so for the
    meta group they are one. A stream's own group and its sources decide what becomes of it, and nothing else does.
    """

    def __init__(self, shape: Shape) -> None:
        """Sort datacenters, streams and copies by where they are."""
        self.shape = shape
        self._votes: dict[str, int] = defaultdict(int)
        for name, cluster in shape.clusters.items():
            self._votes[cluster] += shape.servers[name]
        self._order = {each.name: place for place, each in enumerate(shape.streams)}
        self._kept_in: dict[str, set[str]] = defaultdict(set)
        self._copied_over: dict[Cut, set[str]] = defaultdict(set)
        homes = {each.name: each.cluster for each in shape.streams}
        for each in shape.streams:
            self._kept_in[each.cluster].add(each.name)
            for source in each.sources:
                if source in homes:
                    self._kept_in[homes[source]].add(each.name)
                    self._copied_over[frozenset((each.cluster, homes[source]))].add(each.name)
        self._around = cache(self._surroundings)

    def meta(self, gone: Mapping[str, int], cut: Collection[Cut]) -> MetaFate:
        """Return what becomes of the meta group when so many servers of each datacenter are gone."""
        lost: dict[str, int] = defaultdict(int)
        for name, count in gone.items():
            lost[self.shape.clusters[name]] += count
        touched = {*lost, *(cluster for pair in cut for cluster in pair)}
        votes = {cluster: self._votes[cluster] for cluster in self._votes if cluster in touched}
        votes[REST] = self.shape.members - sum(votes.values())
        names = {cluster: cluster for cluster in votes}
        small = Shape(clusters=names, zones=names, servers=votes)
        found = fate_of(small, lost=lost, cut=cut).meta
        return msgspec.structs.replace(
            found, managed=self._spelt_out(found.managed, touched), unmanaged=self._spelt_out(found.unmanaged, touched)
        )

    def _spelt_out(self, clusters: Collection[str], touched: Collection[str]) -> tuple[str, ...]:
        rest = REST in clusters
        return tuple(each for each in self._votes if each in clusters or (rest and each not in touched))

    def streams(self, gone: Mapping[str, int], cut: Collection[Cut]) -> list[StreamFate]:
        """Return what becomes of the streams that are touched, in the order of the file."""
        names = {name for each in gone for name in self._kept_in.get(self.shape.clusters[each], ())}
        names |= {name for pair in cut for name in self._copied_over.get(pair, ())}
        found = []
        for name in sorted(names, key=self._order.__getitem__):
            around = self._around(name)
            fate = fate_of(
                around, lost={each: count for each, count in gone.items() if each in around.servers}, cut=cut
            )
            found.append(next(each for each in fate.streams if each.stream.name == name))
        return found

    def _surroundings(self, name: str) -> Shape:
        """Return a stream with what it copies and what copies it, beside a majority that is never lost."""
        shape = self.shape
        (stream,) = (each for each in shape.streams if each.name == name)
        streams = tuple(
            each for each in shape.streams if each is stream or each.name in stream.sources or name in each.sources
        )
        homes = {each.cluster for each in streams}
        here = {each: cluster for each, cluster in shape.clusters.items() if cluster in homes}
        servers = {each: shape.servers[each] for each in here}
        return msgspec.structs.replace(
            shape,
            clusters={**here, REST: REST},
            zones={**{each: shape.zones[each] for each in here}, REST: REST},
            servers={**servers, REST: sum(servers.values()) + 1},
            streams=streams,
        )
