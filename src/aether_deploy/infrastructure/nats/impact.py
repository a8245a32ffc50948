"""What a failure does to a NATS supercluster: ``quorum`` decides, this says it as all kinds do."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations

import msgspec

from aether_deploy.infrastructure.analysis.failures import Footprint, PlatformFailure
from aether_deploy.infrastructure.analysis.findings import Finding
from aether_deploy.infrastructure.analysis.impacts import Basis, Effect, FailureImpact, Loss
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.kinds.nats import NatsConfig
from aether_deploy.infrastructure.nats.quorum import (
    SOURCE_PAUSE_SECS,
    SOURCE_PAUSE_SECS_MAX,
    SOURCE_STALL_SECS,
    SOURCE_WAIT_SECS,
    Cut,
    MetaFate,
    Shape,
    StreamFate,
    region_holding_half,
    shape_of,
)
from aether_deploy.infrastructure.nats.touched import TouchedShape

_RAFT = "nats-server server/raft.go; measured: a killed leader of 3 replicas is followed after 4.0 and 5.6 s"
_META = (
    "measured: of 3 and 3 servers with one region killed none ever leads; of 3, 3 and 1 one does after 4.6 and 5.2 s"
)
_MIRROR = (
    "nats-server server/stream.go (sourceHealthCheckInterval, srcConsumerWaitTime, calculateRetryBackoff); measured: "
    "1.5 to 42.4 s after a cut of 8 to 29 s, 10.3 to 50.0 s after one of 45 to 100 s"
)
_POWER = "Jepsen on NATS 2.12.1; nats-server documentation of sync_interval"


def analyst(config: NatsConfig, estate: Estate) -> "NatsAnalyst":
    """Return who answers for a NATS component."""
    return NatsAnalyst(config, estate)


class NatsAnalyst:
    """Answers for one supercluster. The groups of streams and the meta group are its parts."""

    def __init__(self, config: NatsConfig, estate: Estate) -> None:
        """Look at its servers and streams."""
        self._name = config.name
        self._estate = estate
        self._shape: Shape = shape_of(config, estate)
        self._touched = TouchedShape(self._shape)
        self._roles = {each.name: each.role for each in self._shape.streams}
        self._regions = [region.code for region in estate.regions if region.code in self._shape.clusters.values()]

    @property
    def footprint(self) -> Footprint:
        """Every datacenter with a server, and every pair of its regions: gateways join them all."""
        pairs = frozenset(frozenset(pair) for pair in combinations(self._regions, 2))
        return Footprint(datacenters=frozenset(self._shape.clusters), links=pairs)

    @cached_property
    def pods(self) -> Mapping[str, str]:
        """Servers of each datacenter."""
        return {
            name: "votes" if name in self._shape.witnesses else "1 server" if count == 1 else f"{count} servers"
            for name, count in self._shape.servers.items()
        }

    @property
    def parts(self) -> int:
        """The streams that clients write, and the management of them all."""
        return 1 + sum(role == "origin" for role in self._roles.values())

    def impact(self, failure: PlatformFailure) -> FailureImpact:
        """Return what it does to the meta group, and to each stream that notices."""
        if failure.role is not None:
            return self._one_server(leads=failure.role == "leader")
        gone = dict.fromkeys(failure.nodes, 1) if failure.nodes else {}
        gone |= {name: self._shape.servers[name] for name in failure.lost}
        return FailureImpact(tuple(self._effects(gone, failure.cut, region_lost=failure.single_kind == "region")))

    def _one_server(self, *, leads: bool) -> FailureImpact:
        """Return the gravest that the end of any one server does to each part.

        Args:
            leads: It leads whatever it can; else it leads nothing.
        """
        worst: dict[str, Effect] = {}
        for name in self._shape.servers:
            for effect in self._effects({name: 1}, leads=leads):
                known = worst.get(effect.part)
                if known is None or effect.gravity > known.gravity:
                    worst[effect.part] = effect
        return FailureImpact(tuple(worst.values()))

    def _effects(
        self, gone: Mapping[str, int], cut: Collection[Cut] = (), *, leads: bool = True, region_lost: bool = False
    ) -> Iterator[Effect]:
        yield from self._management(self._touched.meta(gone, cut), leads=leads, region_lost=region_lost)
        for stream in self._touched.streams(gone, cut):
            effect = self._stream(stream, leads=leads, region_lost=region_lost)
            if effect is not None:
                yield effect

    # --- the meta group

    def _management(self, meta: MetaFate, *, leads: bool, region_lost: bool) -> Iterator[Effect]:
        basis = Basis(f"{meta.alive} of {self._shape.members} servers run, and {meta.majority} must agree", _META)
        what = "streams and consumers can be neither made nor changed"
        if not meta.leader:
            yield Effect(
                part="management", outcome="down", readable=True, fix=self._vote_fix(region_lost), rules=(basis,),
                note=f"{what}, and /healthz fails; streams that have their servers go on",
            )  # fmt: skip
            return
        second = "add a second path between the regions"
        for region in meta.unmanaged:
            yield Effect(
                part=f"management from {region}", region=region, outcome="down", fix=second,
                note=f"{what} from {region}; a refused call may still be carried out once the link is back",
                rules=(Basis(f"{region} reaches no leader of the {self._shape.members} servers", _META),),
            )  # fmt: skip
        if meta.election is not None and leads:
            turns = "; leaders may take turns while regions disagree on who is reachable" if meta.unsettled else ""
            span = meta.election.range_text(" to ")
            yield Effect(
                part="management", note=f"{what} for {span} if its leader is hit or cut off{turns}",
                pause=meta.election, rules=(basis,),
            )  # fmt: skip

    def _vote_fix(self, region_lost: bool) -> str:
        """Return where servers or votes would have to be for a majority to be left."""
        if len(self._regions) == 1:
            missing = self._zone_fix(self._regions[0])
            return "run in two further regions, or in one more and a witness" if region_lost or not missing else missing
        if region_holding_half(self._shape) is None:
            return "run in two further regions"  # two were lost at once
        if len(self._regions) == 2 and not self._shape.witnesses:
            return "add a witness, or servers in a third region, so that no region holds half of the votes"
        return "let no region hold half of the servers"

    def _zone_fix(self, region: str) -> str:
        """Return which zones a region lacks for three servers in three zones; empty where it lacks none."""
        places = {name for name, home in self._shape.clusters.items() if home == region} - self._shape.witnesses
        zones = len({self._shape.zones[name] for name in places})
        return "" if zones >= 3 else f"give region {region} {'a third zone' if zones == 2 else 'three zones'}"

    # --- streams

    def _stream(self, fate: StreamFate, *, leads: bool, region_lost: bool) -> Effect | None:
        """Return what becomes of a stream; None where it notices nothing."""
        stream, rules = fate.stream, (Basis(f"stream of {fate.stream.replicas}: {fate.rule}", _RAFT),)
        effect = Effect(part=stream.name, region=stream.cluster, rules=rules)
        if fate.writable != "yes" and stream.role != "origin":
            return msgspec.structs.replace(effect, readable=False, note="the copy cannot be read until it is back")
        if fate.writable != "yes":
            return self._stopped(fate, effect, region_lost)
        if fate.interrupted and fate.recovery is not None and leads and stream.role != "origin":
            span = fate.recovery.range_text(" to ")
            return msgspec.structs.replace(
                effect, note=f"the copy stands still for {span}, and then catches up", pause=fate.recovery
            )
        if fate.interrupted and fate.recovery is not None and leads:
            return msgspec.structs.replace(effect, outcome="interrupted", recovery=fate.recovery)
        if fate.stale:
            return msgspec.structs.replace(effect, note=_stale_text(fate), rules=(*rules, Basis(_CATCH_UP, _MIRROR)))
        if fate.interrupted:
            return msgspec.structs.replace(effect, note="one more loss may stop it")
        return None

    def _stopped(self, fate: StreamFate, effect: Effect, region_lost: bool) -> Effect:
        stream = fate.stream
        mirrors = [name for name in fate.copies if self._roles[name] == "mirror"]
        promoted = fate.needs_human and bool(mirrors)
        notes = ["only if its servers were there: servers choose which keep it"] if fate.writable == "perhaps" else []
        notes += [f"what it had can be read from {', '.join(fate.copies)}"] if fate.copies else []
        return msgspec.structs.replace(
            effect,
            outcome="down",
            readable=bool(fate.copies),
            human=self._promote(stream.cluster, mirrors) if promoted else "",
            loss=Loss(text=fate.loss) if promoted else None,  # what a mirror lacks; the lost servers keep theirs
            note="; ".join(notes),
            fix=self._fix(fate, region_lost),
        )

    def _promote(self, region: str, mirrors: Sequence[str]) -> str:
        return (
            f"wait for {region}, or promote a mirror ({', '.join(mirrors)}): delete the lost stream first, then "
            f"follow runbooks/{self._name}.md"
        )

    def _fix(self, fate: StreamFate, region_lost: bool) -> str:
        """Return what would have helped: replicas against a zone, mirrors against a region."""
        if not region_lost and fate.stream.replicas < 3:
            replicas = "set replicas of the stream to 3"
            missing = self._zone_fix(fate.stream.cluster)
            return f"{missing}, and then {replicas}" if missing else f"{replicas}, in three zones"
        if any(self._roles[name] == "mirror" for name in fate.copies):
            return ""
        if len(self._regions) < 2:
            return "run in a second region, and mirror the stream there"
        return "give the stream mirrors in another region"

    # --- what no single failure shows

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong with disks and links; that no region holds half of the votes is a rule of the kind."""
        secs = self._shape.sync_interval_secs
        if secs and self._shape.streams:
            yield Finding(
                rule="power-loss", severity="note", component=self._name, source=_POWER,
                text=f"a power loss of all servers of a stream may take what they acknowledged in the last {secs} s",
                fix="set jetstream.sync_interval_secs to 0 where that must not be: a message then waits for the disk",
            )  # fmt: skip
        yield from self._unknown_links()

    def _unknown_links(self) -> Iterator[Finding]:
        homes = {each.name: each.cluster for each in self._shape.streams}
        pairs = {
            frozenset((each.cluster, homes[source]))
            for each in self._shape.streams
            for source in each.sources
            if homes.get(source, each.cluster) != each.cluster
        }
        unknown = [pair for pair in pairs if pair not in self._estate.bandwidths]
        if unknown:
            names = sorted(" - ".join(code for code in self._regions if code in pair) for pair in unknown)
            yield Finding(
                rule="mirror-bandwidth", severity="note", component=self._name, source="links",
                text=f"streams are copied over {', '.join(names)}, whose bandwidth is not said: whether copies keep up "
                "cannot be told",
                fix="give these links bandwidth_mbps",
            )  # fmt: skip


_CATCH_UP = (
    f"a copy notices after {SOURCE_STALL_SECS:g} to {2 * SOURCE_STALL_SECS:g} s that its origin is silent, waits up to "
    f"{SOURCE_WAIT_SECS:g} s for an answer, and pauses {SOURCE_PAUSE_SECS:g} s longer after each attempt that fails, "
    f"up to {SOURCE_PAUSE_SECS_MAX:g} s"
)


def _stale_text(fate: StreamFate) -> str:
    late = "" if fate.catch_up is None else f", and {fate.catch_up.range_text(' to ')} after"
    return f"the copy gets nothing new until its origin is in reach{late}"
