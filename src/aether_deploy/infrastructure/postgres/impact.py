"""What a failure does to a PostgreSQL cluster: who is lost with it, who may take over, and how long that takes."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property

import msgspec

from aether_deploy.failover.bounds import FailoverBound, bounds
from aether_deploy.failover.faults import FaultName
from aether_deploy.failover.timings import StoreKind
from aether_deploy.infrastructure.analysis.analysts import Analyst
from aether_deploy.infrastructure.analysis.failures import Footprint, PlatformFailure
from aether_deploy.infrastructure.analysis.findings import Finding
from aether_deploy.infrastructure.analysis.impacts import Basis, Effect, FailureImpact, Loss
from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.kinds.postgres import PostgresConfig
from aether_deploy.infrastructure.postgres.advice import findings_in
from aether_deploy.infrastructure.postgres.groups import groups_in, slot_of
from aether_deploy.infrastructure.postgres.shards import COORDINATOR_PART, Shard, Toll, shards_of, toll_of_zones
from aether_deploy.timespan import TimeSpan

_RULE = "Patroni, is_healthiest_node and quorum.py"
_SPREAD = "Kubernetes, topologySpreadConstraints"
_STANDBY = "Patroni, docs/standby_cluster.rst; measured: 0.15 s from the PATCH to the first write"
_NODE_SHUTDOWN = "Kubernetes, non-graceful node shutdown"


def analyst(config: PostgresConfig, estate: Estate) -> Analyst:
    """Return who answers for a PostgreSQL component."""
    region = estate.region(config.active_in(estate) or "")
    assert region is not None, "a database whose region is switched off is a problem of the description"
    return PostgresAnalyst(config, estate, region)


class PostgresAnalyst:
    """Answers for one component: a cluster, or the coordinator and the workers of Citus; and its standby."""

    def __init__(
        self,
        config: PostgresConfig,
        estate: Estate,
        region: EstateRegion,
        *,
        dcs: StoreKind = "kubernetes",
        refuses: bool = False,
    ) -> None:
        """Look at where its members run; the primary is in ``region``.

        Args:
            config: The component.
            estate: Regions and datacenters.
            region: Where the primary is.
            dcs: The store of keys; rendered clusters have the API server.
            refuses: Something refuses connections to lost machines at once; else they vanish without an answer.
        """
        self._config, self._policy, self._estate, self._region = config, config.failover, estate, region
        self._standby = None if config.standby is None else estate.region(config.standby.region)
        self._shards = shards_of(groups_in(config, region.code))
        self._all_bounds = cache(
            lambda members, black_hole: bounds(
                config.failover, dcs=dcs, members=members, black_hole=black_hole and not refuses
            )
        )

    # --- where it is

    @property
    def footprint(self) -> Footprint:
        """The datacenters of both regions, the link between them, and the API servers that hold the leader's keys."""
        regions = [self._region, *([self._standby] if self._standby is not None else [])]
        pair = frozenset(region.code for region in regions)
        return Footprint(
            datacenters=frozenset(each.name for region in regions for each in region.full),
            links=frozenset((pair,)) if len(pair) == 2 else frozenset(),
            control_planes=frozenset(region.cluster for region in regions),
        )

    @cached_property
    def pods(self) -> Mapping[str, str]:
        """How many members stand in each datacenter."""
        found = dict.fromkeys((each.name for each in self._region.full), _share(self._region, self._shards))
        if self._standby is not None and self._config.standby is not None:
            share = f"standby, {_share(self._standby, [Shard('', self._config.standby.members)])}"
            found |= dict.fromkeys((each.name for each in self._standby.full), share)
        return found

    @property
    def parts(self) -> int:
        """The cluster; sharded, the coordinator and the workers."""
        return len(self._shards)

    def findings(self) -> Iterator[Finding]:
        """Yield what no single failure shows."""
        yield from findings_in(self._config, self._estate, self._region)

    # --- what a failure does

    def impact(self, failure: PlatformFailure) -> FailureImpact:
        """Return what it does to each shard, and to the standby."""
        if failure.role is not None:
            leads = failure.role == "leader"
            return FailureImpact(tuple(self._process(shard, leads=leads) for shard in self._shards))
        return FailureImpact((*self._active(failure), *self._following(failure)))

    def _active(self, failure: PlatformFailure) -> Iterator[Effect]:
        """Yield what it does to those that take writes."""
        zones, lost = len(self._region.zones), _zones_lost(self._region, failure.lost)
        for shard in self._shards:
            if failure.nodes & {each.name for each in self._region.full}:
                yield self._node(shard)
            elif lost:
                yield self._zones(shard, toll_of_zones(shard.members, zones, lost), failure)
            elif self._region.cluster in failure.control_planes:
                yield self._store(shard)

    def _effect(self, shard: Shard) -> Effect:
        return Effect(part=shard.part, region=self._region.code)

    # processes

    def _process(self, shard: Shard, *, leads: bool) -> Effect:
        """Return what the end of one process does: the leader's, or a replica's."""
        if shard.members == 1:
            return self._alone(shard)
        if not leads:
            return self._timed(shard, self._bound("replica-killed", shard.members, black_hole=False))
        killed = self._timed(shard, self._bound("leader-killed", shard.members, black_hole=False))
        crashed = self._timed(shard, self._bound("postgres-killed", shard.members, black_hole=False))
        return _either(killed, crashed)

    def _alone(self, shard: Shard) -> Effect:
        """Return what the end of the only member's process does: it starts again where it was."""
        policy = msgspec.structs.replace(self._policy, primary_start_timeout=300, synchronous_mode=False)
        return self._timed(shard, bounds(policy, members=2).of("postgres-killed"))

    # nodes and zones

    def _node(self, shard: Shard) -> Effect:
        """Return the gravest that the loss of one node does: it carries the leader, or a replica that is waited for."""
        if shard.members > 1:
            return self.loss_of(shard, Toll(1, 1))
        human = "delete the Node object, or taint it out-of-service: only then does its pod start on another node"
        return msgspec.structs.replace(
            self._effect(shard),
            outcome="down",
            readable=False,
            human=human,
            fix=_more_members(shard),
            rules=(Basis("the only member waits for its node: a StatefulSet starts no second one", _NODE_SHUTDOWN),),
        )

    def _zones(self, shard: Shard, toll: Toll, failure: PlatformFailure) -> Effect:
        """Return what the loss of zones does to a cluster of which it takes ``toll`` members."""
        if toll.most == 0:
            return self._effect(shard)
        if toll.most == shard.members:
            return self._gone(shard, toll, failure)
        return self.loss_of(shard, toll)

    def loss_of(self, shard: Shard, toll: Toll) -> Effect:
        """Return the graver of two cases: the leader was among the lost members, or only replicas were.

        Args:
            shard: The cluster, of which at least one member is left.
            toll: How many members are lost.
        """
        spread = Basis(f"{_between(toll)} of {shard.members} members lost", _SPREAD)
        if self._policy.is_synchronous and toll.most > self._copies(shard):
            return self._unsafe(shard, toll, spread)
        left = shard.members - toll.most + 1  # as many replicas are left as if a cluster of this size had lost one
        led = self._timed(shard, self._bound("node-loss", left))
        followed = self._timed(shard, self._bound("replica-loss", left))
        either = _either(led, followed)
        return msgspec.structs.replace(either, rules=(spread, *either.rules))

    def _copies(self, shard: Shard) -> int:
        """Return how many members may be lost at once, the leader among them, before an acknowledged write may be.

        A write is on the leader and on ``synchronous_node_count`` replicas. Who may take over is a named replica; in
        quorum mode, who finds all but so many of the others.
        """
        return min(self._policy.synchronous_node_count, shard.members - 1)

    def _unsafe(self, shard: Shard, toll: Toll, spread: Basis) -> Effect:
        """Return what becomes of a cluster whose every copy of a write may be lost: nobody may take over."""
        copies = self._copies(shard)
        text = (
            f"{toll.most} may be lost, the leader among them, and a write is on the leader and {copies} "
            f"{'replica' if copies == 1 else 'replicas'}: no survivor can know that it has them all"
        )
        return msgspec.structs.replace(
            self._effect(shard),
            outcome="read-only",
            human="wait for the zone, or make a survivor the leader (patronictl failover --force): it may lack writes",
            loss=Loss(text="where a survivor is made leader: acknowledged writes that only the lost members had"),
            note="if the leader and the replicas that it waits for are all among the lost",
            fix=f"set failover.synchronous_node_count to {toll.most}, or give region {self._region.code} "
            "a zone for each member",
            rules=(spread, Basis(text, _RULE)),
        )

    def _gone(self, shard: Shard, toll: Toll, failure: PlatformFailure) -> Effect:
        """Return what becomes of a cluster whose members may all be lost."""
        text = f"{_between(toll)} of {shard.members} members lost; their volumes stay where they are"
        effect = msgspec.structs.replace(
            self._effect(shard),
            outcome="down",
            readable=False,
            note="" if toll.least == shard.members else "only if all of its members were there",
            rules=(Basis(text, _SPREAD),),
        )
        if self._standby is None:
            return msgspec.structs.replace(effect, fix=self._fix_alone(shard, failure))
        if _zones_lost(self._standby, failure.lost) == len(self._standby.zones):
            return effect
        code, trip = self._standby.code, self._estate.round_trip_ms(self._region.code, self._standby.code)
        late = "" if trip is None else f", at least the last {trip:.0f} ms"
        bound = self._bound("region-promoted", max(shard.members, 2))
        return msgspec.structs.replace(
            effect,
            readable=True,
            human=f"promote the standby in {code}: {self._config.renderer.promotion(self._config, self._estate)}, as "
            f"runbooks/{self._config.name}.md says; make sure that {self._region.code} is gone, or two clusters take "
            "writes",
            loss=Loss(text=f"{bound.loss}{late}"),
            rules=(*effect.rules, Basis(f"a standby cluster is promoted by hand: {bound.formula}", _STANDBY)),
        )

    def _fix_alone(self, shard: Shard, failure: PlatformFailure) -> str:
        """Return what would have helped; empty where only a second region would, and the file knows none."""
        if _zones_lost(self._region, failure.lost) < len(self._region.zones):
            return _more_members(shard)  # with the whole region any number of them is gone
        others = [each.code for each in self._estate.regions if each.code != self._region.code]
        if not others or self._config.sharding is not None:
            return "archive its WAL to another region, from which it can be restored" if others else ""
        trips = {code: self._estate.round_trip_ms(self._region.code, code) for code in others}
        near = min(others, key=lambda code: (trips[code] is None, trips[code] or 0.0))
        return f"add standby: {{region: {near}}}"

    # the API server, which holds the leader's key

    def _store(self, shard: Shard) -> Effect:
        bound = self._bound("dcs-loss", max(shard.members, 2))
        if bound.detect is None:
            return msgspec.structs.replace(self._timed(shard, bound), note=bound.note)
        return msgspec.structs.replace(
            self._effect(shard),
            outcome="read-only",
            note=f"it steps down {bound.detect.range_text(' to ')} after the API server is gone",
            fix="set failover.failsafe_mode to true",
            rules=(Basis(bound.formula, bound.source),),
        )

    # the standby

    def _following(self, failure: PlatformFailure) -> Iterator[Effect]:
        """Yield what becomes of the standby, which takes no writes: it follows, or it does not."""
        standby, config = self._standby, self._config.standby
        if standby is None or config is None:
            return
        note, basis = "", Basis(f"WAL for slot {slot_of(self._config)} is kept until it is taken", "PostgreSQL, slots")
        away = f"it follows no more: WAL piles up on the primary's volume ({self._config.pvc.size}) until it is back"
        lost = _zones_lost(standby, failure.lost)
        here = {each.name for each in standby.full}
        pair = frozenset((self._region.code, standby.code))
        toll = Toll(1, 1) if failure.nodes & here else toll_of_zones(config.members, len(standby.zones), lost)
        if pair in failure.cut or toll.most >= config.members:
            note = away
        elif toll.most and config.members > 1:
            alone = msgspec.structs.replace(self._policy, synchronous_mode=False)  # ignored in a standby cluster
            bound = bounds(alone, members=config.members).of("node-loss")
            assert bound.writable is not None
            note = f"it follows again after {bound.writable.range_text(' to ')}, with another of its members"
            basis = Basis(f"a standby's leader holds a key like any other: {bound.formula}", bound.source)
        elif standby.cluster in failure.control_planes:
            note, basis = "its leader steps down, and it follows no more until the API server is back", basis
        if note:
            yield Effect(part="standby", region=standby.code, note=note, rules=(basis,))

    # --- bounds as effects

    def _bound(self, failure: FaultName, members: int, black_hole: bool = True) -> FailoverBound:
        return self._all_bounds(members, black_hole).of(failure)

    def _timed(self, shard: Shard, bound: FailoverBound) -> Effect:
        return effect_of_bound(bound, part=shard.part, region=self._region.code)


def effect_of_bound(bound: FailoverBound, *, part: str = "", region: str | None = None) -> Effect:
    """Return what a bound says, as an effect on a part that serves clients of a region."""
    effect = Effect(part=part, region=region, rules=(Basis(f"{bound.failure}: {bound.formula}", bound.source),))
    match bound.fate:
        case "untouched":
            return msgspec.structs.replace(effect, note="one member fewer to take over")
        case "stopped":
            fix = "add members, or set failover.synchronous_mode_strict to false"
            return msgspec.structs.replace(effect, outcome="read-only", note=bound.note, fix=fix)
        case "back":
            assert bound.writable is not None, "what comes back does so at a time"
            loss = Loss(text=bound.loss, bytes_max=bound.loss_bytes, secs=bound.loss_secs)
            return msgspec.structs.replace(
                effect,
                outcome="interrupted",
                recovery=bound.writable.rounded(),
                loss=loss if bound.is_lossy else None,
                fix="set failover.synchronous_mode to true or quorum" if bound.is_lossy else "",
            )


def _either(one: Effect, other: Effect) -> Effect:
    """Return the graver of two effects, of which it is not known which comes; times span both."""
    worse = max(one, other, key=lambda each: each.gravity)
    rules = (*one.rules, *other.rules)
    if one.recovery is None or other.recovery is None:
        return msgspec.structs.replace(worse, rules=rules)
    both = (one.recovery, other.recovery)
    recovery = TimeSpan(
        min(each.best for each in both), max(each.mean for each in both), max(each.worst for each in both)
    )
    return msgspec.structs.replace(worse, recovery=recovery, loss=one.loss or other.loss, rules=rules)


def _more_members(shard: Shard) -> str:
    return f"set {'members' if shard.part in ('', COORDINATOR_PART) else 'sharding.members_per_worker'} to 3"


def _zones_lost(region: EstateRegion, lost: frozenset[str]) -> int:
    return len({each.zone for each in region.full if each.name in lost})


def _between(toll: Toll) -> str:
    return str(toll.most) if toll.least == toll.most else f"{toll.least} to {toll.most}"


def _share(region: EstateRegion, shards: Sequence[Shard]) -> str:
    """Return how many members of ``shards`` stand in a zone of ``region``."""
    zones = len(region.zones)
    least = sum(each.members // zones * each.clusters for each in shards)
    most = sum(-(-each.members // zones) * each.clusters for each in shards)
    text = str(most) if least == most else f"{least} to {most}"
    return f"{text} member{'' if most == 1 else 's'}"
