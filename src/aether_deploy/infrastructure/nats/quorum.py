"""What a failure leaves of a supercluster: whether it has a leader, and what becomes of each stream.

Every JetStream server of every region votes in one *meta group*: streams and consumers are made and changed by its
leader only. Each stream is a group of its own, of servers of one region, which needs no meta leader to go on.

Rule:
    Raft: a group works while more than half of all its members reach its leader. Times follow from the constants of
    nats-server ``server/raft.go``: a member that hears nothing for 4 to 9 s (drawn anew by each) wants to lead; leaders
    are heard every second. Over gateways servers reach each other directly or not at all: no region passes on what
    another says. What each rule was measured against stands in ``docs/messaging.md``.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.nats.streams import Role, streams_of
from aether_deploy.infrastructure.nats.supercluster import datacenters_of
from aether_deploy.timespan import TimeSpan

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.nats import NatsConfig

ELECTION_SECS_MIN = 4.0
ELECTION_SECS_MAX = 9.0
HEARTBEAT_SECS = 1.0
SOURCE_WAIT_SECS = 30.0
"""How long a copy waits for its origin to answer (``srcConsumerWaitTime``)."""

SOURCE_PAUSE_SECS = 10.0
SOURCE_PAUSE_SECS_MAX = 120.0
"""What it pauses after each failed attempt, times the attempts that failed, and at most (``calculateRetryBackoff``)."""

SOURCE_STALL_SECS = 10.0
"""It notices after 10 to 20 s that its origin says nothing (``sourceHealthCheckInterval``)."""

HEALED_SECS = 4.0
"""Within this gateways are up again once a link is healed, and a copy that asks then follows."""

STEP_DOWN_SECS_MAX = 20.0
"""A leader whom no majority answers looks every 10 s, and gives up once it has heard nothing for 10 s. Until then calls
of the API time out rather than being refused (``lostQuorumInterval``, ``lostQuorumCheck``)."""

Cut = frozenset[str]
"""Two NATS clusters (region codes, or a witness's name) that do not reach each other."""

Answer = Literal["yes", "perhaps", "no"]
"""``perhaps``: it depends on which servers keep the stream, or lead it."""


class StreamGroup(msgspec.Struct, frozen=True, kw_only=True):
    """One stream, as far as failures concern it.

    Attributes:
        name: Its name.
        role: ``origin``, ``mirror`` or ``aggregate``.
        cluster: The region that keeps it.
        replicas: How many servers keep it, each in another zone.
        sources: Streams that it copies.
    """

    name: str
    role: Role
    cluster: str
    replicas: int
    sources: tuple[str, ...] = ()


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A supercluster, as far as failures concern it.

    Attributes:
        clusters: NATS cluster of each datacenter that has servers: its region's code, or the witness's own name.
        zones: Zone of each of those datacenters.
        servers: Number of servers of each of those datacenters.
        witnesses: Datacenters that vote and keep nothing.
        streams: The streams.
        round_trips: Round trip between two regions, milliseconds, by their codes.
        sync_interval_secs: Age of acknowledged messages that may not be on any disk yet, seconds.
    """

    clusters: Mapping[str, str]
    zones: Mapping[str, str]
    servers: Mapping[str, int]
    witnesses: frozenset[str] = frozenset()
    streams: tuple[StreamGroup, ...] = ()
    round_trips: Mapping[Cut, float] = {}
    sync_interval_secs: int = 120

    @property
    def members(self) -> int:
        """Servers that vote in the meta group."""
        return sum(self.servers.values())

    @property
    def majority(self) -> int:
        return self.members // 2 + 1


class MetaFate(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the meta group.

    Attributes:
        leader: Whether it has a leader in the end.
        alive: Servers that run.
        majority: Servers that a leader must reach, itself included.
        managed: NATS clusters from which streams and consumers can be made and changed.
        unmanaged: NATS clusters that run, and from which they cannot.
        election: How long there is no leader, where the failure may have taken it; None where it cannot have, or
            where no other comes.
        unsettled: Some region reaches voters of the leader and not the leader: leaders may take turns.
    """

    leader: bool
    alive: int
    majority: int
    managed: tuple[str, ...]
    unmanaged: tuple[str, ...]
    election: TimeSpan | None
    unsettled: bool = False


class StreamFate(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one stream.

    Attributes:
        stream: The stream.
        writable: Whether its group works in the end; only clients that reach its region notice.
        interrupted: Whether it may stop for ``recovery`` first: the failure may have taken its leader.
        recovery: How long it stops then; None where it does not, or does not come back by itself.
        copies: Mirrors and aggregates that can be read meanwhile.
        stale: The copy gets nothing new: its origin is down, or out of its reach.
        catch_up: For a copy that is stale: from the return of its origin until it has caught up.
        needs_human: Somebody must decide: to promote a mirror, or to wait.
        loss: What acknowledged messages may be lost, in words.
        rule: Why.
    """

    stream: StreamGroup
    writable: Answer
    interrupted: bool
    recovery: TimeSpan | None
    copies: tuple[str, ...] = ()
    stale: bool = False
    catch_up: TimeSpan | None = None
    needs_human: bool = False
    loss: str
    rule: str

    @property
    def readable(self) -> Answer:
        """Whether the stream itself can be read; ``copies`` can be, whatever this says.

        Consumers are led as streams are, so what cannot be written cannot be consumed.
        """
        return self.writable


class Fate(msgspec.Struct, frozen=True):
    """What a failure leaves: of the meta group, and of each stream in order."""

    meta: MetaFate
    streams: tuple[StreamFate, ...]


def shape_of(config: "NatsConfig", estate: Estate) -> Shape:
    """Return the supercluster that ``config`` is on ``estate``."""
    rows = list(datacenters_of(config, estate))
    return Shape(
        clusters={datacenter.name: cluster for cluster, datacenter, _ in rows},
        zones={datacenter.name: datacenter.zone for _, datacenter, _ in rows},
        servers={datacenter.name: count for _, datacenter, count in rows},
        witnesses=frozenset(each.name for each in config.witnesses(estate)),
        streams=tuple(
            StreamGroup(
                name=each.name, role=each.role, cluster=each.region, replicas=each.replicas, sources=each.sources
            )
            for each in streams_of(config, estate)
        ),
        round_trips=estate.round_trips,
        sync_interval_secs=config.jetstream.sync_interval_secs,
    )


def election_secs(voters: int) -> TimeSpan:
    """Return how long a group is without a leader whose ``voters`` other members go on.

    The first of them whose own timeout ends is elected: the least of ``voters`` even draws from 4 to 9 s, on average
    ``4 + 5 / (voters + 1)``. They began at the last word of the leader, which was up to a second before it fell.
    """
    mean = ELECTION_SECS_MIN + (ELECTION_SECS_MAX - ELECTION_SECS_MIN) / (voters + 1) - HEARTBEAT_SECS / 2
    return TimeSpan(ELECTION_SECS_MIN - HEARTBEAT_SECS, mean, ELECTION_SECS_MAX)


def catch_up_secs(cut_secs: float | None = None) -> TimeSpan:
    """Return how long a copy takes to have all messages, from the return of its origin.

    The longer its origin was away the more attempts have failed, and the longer it pauses. In the worst case it asked
    just before the return: it waits for that answer, and then pauses.

    Args:
        cut_secs: How long the origin was away; None for any time.
    """
    attempts, waited = 0, SOURCE_STALL_SECS
    while cut_secs is not None and waited <= cut_secs and attempts * SOURCE_PAUSE_SECS < SOURCE_PAUSE_SECS_MAX:
        attempts += 1
        waited += attempts * SOURCE_PAUSE_SECS
    pause = SOURCE_PAUSE_SECS_MAX if cut_secs is None else min(SOURCE_PAUSE_SECS_MAX, attempts * SOURCE_PAUSE_SECS)
    # A copy that has not noticed anything by then does so when it looks next but one.
    worst = HEALED_SECS + (SOURCE_WAIT_SECS + pause if pause else 2 * SOURCE_STALL_SECS)
    return TimeSpan(1.0, (1.0 + worst) / 2, worst)


def fate_of(shape: Shape, *, lost: Mapping[str, int] | Collection[str] = (), cut: Collection[Cut] = ()) -> Fate:
    """Return what is left of ``shape``.

    Args:
        shape: The supercluster.
        lost: Datacenters that are gone; or, by datacenter, how many of its servers are.
        cut: Pairs of NATS clusters that do not reach each other. A witness is a cluster of its own, by its name.
    """
    gone = _gone(shape, lost)
    alive = _alive(shape, gone)
    meta = _meta_fate(shape, gone, alive, cut)
    working = {each.name: _works(shape, each, gone) for each in shape.streams}
    return Fate(meta, tuple(_stream_fate(shape, each, gone, cut, working, meta) for each in shape.streams))


def region_holding_half(shape: Shape) -> tuple[str, int] | None:
    """Return the NATS cluster without which no majority is left, and its number of servers; None where none is so.

    Asked from two clusters on: one alone always holds all.
    """
    counts: dict[str, int] = {}
    for datacenter, cluster in shape.clusters.items():
        counts[cluster] = counts.get(cluster, 0) + shape.servers[datacenter]
    if len(counts) < 2:
        return None
    cluster = max(counts, key=lambda each: counts[each])
    return (cluster, counts[cluster]) if 2 * counts[cluster] >= shape.members else None


def _gone(shape: Shape, lost: Mapping[str, int] | Collection[str]) -> dict[str, int]:
    if isinstance(lost, Mapping):
        return {name: min(count, shape.servers[name]) for name, count in lost.items() if name in shape.servers}
    return {name: shape.servers[name] for name in lost if name in shape.servers}


def _alive(shape: Shape, gone: Mapping[str, int]) -> dict[str, int]:
    """Return how many servers of each NATS cluster run, for those where some do."""
    alive: dict[str, int] = {}
    for datacenter, cluster in shape.clusters.items():
        count = shape.servers[datacenter] - gone.get(datacenter, 0)
        if count:
            alive[cluster] = alive.get(cluster, 0) + count
    return alive


def _meta_fate(shape: Shape, gone: Mapping[str, int], alive: Mapping[str, int], cut: Collection[Cut]) -> MetaFate:
    heard = {one: [other for other in alive if one == other or frozenset((one, other)) not in cut] for one in alive}
    leading = [one for one in alive if sum(alive[other] for other in heard[one]) >= shape.majority]
    # Who reaches everybody is never challenged, so leadership comes to rest there.
    settled = [one for one in leading if len(heard[one]) == len(alive)] or leading
    managed = [one for one in alive if any(one in heard[leader] for leader in settled)]
    unsettled = bool(settled) and any(
        one not in heard[leader] and set(heard[one]) & set(heard[leader]) for leader in settled for one in alive
    )
    voters = max((sum(alive[other] for other in heard[one]) for one in settled), default=0)
    touched = any(gone.values()) or bool(cut)
    return MetaFate(
        leader=bool(settled),
        alive=sum(alive.values()),
        majority=shape.majority,
        managed=tuple(managed),
        unmanaged=tuple(one for one in alive if one not in managed),
        election=election_secs(voters) if settled and touched and shape.members > 1 else None,
        unsettled=unsettled,
    )


class _Group(msgspec.Struct, frozen=True):
    """What a loss may take of a stream's group: ``least`` and ``most`` of its servers, and whether any at all."""

    least: int
    most: int
    replicas: int

    @property
    def works(self) -> Answer:
        needed = self.replicas // 2 + 1
        if self.replicas - self.most >= needed:
            return "yes"
        return "perhaps" if self.replicas - self.least >= needed else "no"


def _works(shape: Shape, stream: StreamGroup, gone: Mapping[str, int]) -> _Group:
    """Return how many servers of a stream a loss may have taken: each is in another zone, and which is not known."""
    total: dict[str, int] = {}
    left: dict[str, int] = {}
    for datacenter, cluster in shape.clusters.items():
        if cluster == stream.cluster and datacenter not in shape.witnesses:
            zone = shape.zones[datacenter]
            total[zone] = total.get(zone, 0) + shape.servers[datacenter]
            left[zone] = left.get(zone, 0) + shape.servers[datacenter] - gone.get(datacenter, 0)
    hit = sum(left[zone] < total[zone] for zone in total)
    whole = sum(left[zone] == 0 for zone in total)
    spared = len(total) - whole
    return _Group(max(0, stream.replicas - spared), min(hit, stream.replicas), stream.replicas)


def _stream_fate(
    shape: Shape,
    stream: StreamGroup,
    gone: Mapping[str, int],
    cut: Collection[Cut],
    working: Mapping[str, _Group],
    meta: MetaFate,
) -> StreamFate:
    group = working[stream.name]
    works = group.works
    by_name = {each.name: each for each in shape.streams}
    copies = tuple(
        each.name for each in shape.streams if stream.name in each.sources and working[each.name].works != "no"
    )
    stale = any(
        working[source].works == "no" or frozenset((stream.cluster, by_name[source].cluster)) in cut
        for source in stream.sources
        if source in by_name
    )
    interrupted = group.most > 0 and works != "no" and stream.replicas > 1
    return StreamFate(
        stream=stream,
        writable=works,
        interrupted=interrupted,
        recovery=election_secs(stream.replicas - group.most) if interrupted and works == "yes" else None,
        copies=copies,
        stale=stale and works != "no",
        catch_up=catch_up_secs() if stale and works != "no" else None,
        needs_human=works == "no" and stream.role == "origin" and bool(copies),
        loss=_loss(shape, stream, group, copies, by_name),
        rule=_rule(stream, group, meta),
    )


def _loss(
    shape: Shape,
    stream: StreamGroup,
    group: _Group,
    copies: Sequence[str],
    by_name: Mapping[str, StreamGroup],
) -> str:
    if group.most == 0:
        return "none"
    power = "none; after a power loss " + (
        f"what was acknowledged in the last {shape.sync_interval_secs} s"
        if shape.sync_interval_secs
        else "none either: each message is on disk before it is acknowledged"
    )
    if group.works != "no":
        return "none" if stream.replicas > 1 else power
    if stream.role != "origin":
        return "none: it is copied again"
    trips = [
        trip
        for name in copies
        if (trip := shape.round_trips.get(frozenset((stream.cluster, by_name[name].cluster)))) is not None
    ]
    if copies and trips:
        return f"once a copy is promoted, what was published within the last {min(trips):g} ms or more (round trip)"
    if copies:
        return "once a copy is promoted, what was published within the last round trip or more"
    return power


def _rule(stream: StreamGroup, group: _Group, meta: MetaFate) -> str:
    needed = stream.replicas // 2 + 1
    least, most = stream.replicas - group.most, stream.replicas - group.least
    left = f"{least}" if least == most else f"{least} to {most}"
    text = f"{left} of its {stream.replicas} servers are left, and {needed} must be"
    if group.works != "no" and stream.cluster in meta.unmanaged:
        text += "; no consumer can be made meanwhile"
    return text
