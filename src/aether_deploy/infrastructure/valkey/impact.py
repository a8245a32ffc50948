"""What a failure does to a session cache: ``survival`` and ``timing`` decide, this says it as all kinds do."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property

from aether_deploy.infrastructure.analysis.failures import Footprint, PlatformFailure
from aether_deploy.infrastructure.analysis.findings import Finding
from aether_deploy.infrastructure.analysis.impacts import Basis, Effect, FailureImpact, Loss
from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.kinds.valkey import ValkeyConfig
from aether_deploy.infrastructure.valkey.layout import Node, nodes_of, placed_regions
from aether_deploy.infrastructure.valkey.survival import Fate, Shape, fate_of, second_losses, shape_of
from aether_deploy.infrastructure.valkey.timing import FACTORS, failover_secs

_MEASURED = (
    "measured on Valkey 9.1.2: after SIGKILL 2.2 to 4.0 s at a node timeout of 2 s, 6.1 to 8.5 s at 5 s; Valkey "
    'cluster specification, "Failure detection"'
)
_ELECTION = 'Valkey cluster specification, "Replica election and promotion"'
_ASYNC = 'Valkey cluster specification, "Write safety": replicas are written to after the client has its answer'
_DRIFT = (
    "measured on Valkey 9.1.2: with two of three primaries in one zone, the loss of that zone was not recovered from "
    "in 20 s (2 of 2), and within 3.1 s after primaries were moved back (2 of 2)"
)

_ACCEPT = "keep in a database what must not be lost"
_LATEST = Loss(text="sessions of the last moments before, which a replica had not got yet")
_ALL = Loss(text="all sessions of it: they are kept in memory only")


def analyst(config: ValkeyConfig, estate: Estate) -> "ValkeyAnalyst":
    """Return who answers for a session cache."""
    return ValkeyAnalyst(config, estate)


class ValkeyAnalyst:
    """Answers for the clusters of all regions, none of which knows of another. Shards are their parts."""

    def __init__(self, config: ValkeyConfig, estate: Estate) -> None:
        """Look at where its nodes are."""
        self._config = config
        self._regions = {region.code: region for region in placed_regions(config, estate) if region.zones}
        self._shapes = {code: shape_of(config, region) for code, region in self._regions.items()}
        self._nodes = {code: nodes_of(config, region) for code, region in self._regions.items()}
        self._span = failover_secs(config.node_timeout_ms)
        # Who lets a full cache refuse writes rather than forget says that what is in it must not go.
        self._by_design = config.eviction != "noeviction"

    @property
    def footprint(self) -> Footprint:
        """Every datacenter with a node. Regions need neither each other nor, to go on, an API server."""
        names = {node.datacenter.name for nodes in self._nodes.values() for node in nodes}
        return Footprint(datacenters=frozenset(names))

    @cached_property
    def pods(self) -> Mapping[str, str]:
        """Primaries and replicas of each datacenter, as planned."""
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for nodes in self._nodes.values():
            for node in nodes:
                counts[node.datacenter.name][node.copy > 0] += 1
        return {name: _pods_text(*each) for name, each in counts.items()}

    @property
    def parts(self) -> int:
        """Every shard of every region."""
        return sum(len(shape.shards) for shape in self._shapes.values())

    def impact(self, failure: PlatformFailure) -> FailureImpact:
        """Return what it does to each shard that notices."""
        effects: list[Effect] = []
        for code, region in self._regions.items():
            if failure.role is not None:
                effects += self._one_node(code, leads=failure.role == "leader")
                continue
            hit = {node.datacenter.zone for node in self._nodes[code] if node.datacenter.name in failure.nodes}
            effects += [effect for zone in sorted(hit) for effect in self._one_node(code, leads=True, zone=zone)]
            lost = [node for node in self._nodes[code] if node.datacenter.name in failure.lost]
            if lost:
                effects += self._zones(region, lost)
        return FailureImpact(tuple(effects))

    def _part(self, code: str, shard: int) -> str:
        return f"shard {shard} of {code}"

    # --- one node

    def _one_node(self, code: str, *, leads: bool, zone: str | None = None) -> Iterator[Effect]:
        """Yield what the end of one node does: that of a primary of a zone or of any, or that of a replica."""
        nodes = [node for node in self._nodes[code] if zone in (None, node.datacenter.zone)]
        primary = next((node for node in nodes if node.copy == 0), None)
        replica = next((node for node in nodes if node.copy > 0), None)
        if leads and primary is not None:
            yield self._taken_over(code, primary.shard)
        elif replica is not None:
            yield self._thinner(code, replica.shard)

    def _taken_over(self, code: str, shard: int, note: str = "") -> Effect:
        timeout = self._config.node_timeout_ms
        rule = f"a replica takes over after {FACTORS[0]:g} to {FACTORS[1]:g} node timeouts of {timeout} ms"
        return Effect(
            part=self._part(code, shard), region=code, outcome="interrupted", readable=False, recovery=self._span,
            loss=_LATEST, note=note, fix=_ACCEPT, by_design=self._by_design,
            rules=(Basis(rule, _MEASURED), Basis("writes reach replicas afterwards", _ASYNC)),
        )  # fmt: skip

    def _thinner(self, code: str, shard: int) -> Effect:
        left = self._config.replicas
        says = "without a replica until it is back" if left == 1 else f"{left - 1} of {left} replicas until it is back"
        return Effect(
            part=self._part(code, shard), region=code, note=says,
            rules=(Basis("a primary serves without its replicas", _ELECTION),),
        )  # fmt: skip

    # --- zones

    def _zones(self, region: EstateRegion, lost: Sequence[Node]) -> Iterator[Effect]:
        code, shape = region.code, self._shapes[region.code]
        pods = {node.pod for node in lost}
        whole = {
            zone for zone in shape.zones if all(n.pod in pods for n in self._nodes[code] if n.datacenter.zone == zone)
        }
        fate = fate_of(shape, whole) if self._is_of_whole_zones(code, pods, whole) else self._fate(code, pods)
        if not fate.serves:
            yield from self._stopped(code, shape, fate, everything=len(pods) == len(self._nodes[code]))
            return
        note = self._drift_note(shape, whole)
        for shard in fate.promoted:
            yield self._taken_over(code, shard, note)
        for shard in fate.orphaned:
            yield Effect(
                part=self._part(code, shard), region=code, outcome="down", readable=False, loss=_ALL,
                fix="spread its copies over more zones", rules=(Basis("no copy of it is left", _ELECTION),),
            )  # fmt: skip
        for shard in fate.thinner:
            yield self._thinner(code, shard)

    def _is_of_whole_zones(self, code: str, pods: Collection[str], whole: Collection[str]) -> bool:
        return all(n.datacenter.zone in whole for n in self._nodes[code] if n.pod in pods)

    def _fate(self, code: str, pods: Collection[str]) -> Fate:
        """Return what becomes of a cluster that loses single datacenters of zones: each of its nodes is told apart."""
        copies: dict[int, list[str]] = defaultdict(list)
        for node in self._nodes[code]:
            copies[node.shard].append(node.pod)
        return fate_of(Shape(tuple(tuple(each) for each in copies.values())), pods)

    def _stopped(self, code: str, shape: Shape, fate: Fate, *, everything: bool) -> Iterator[Effect]:
        rule = Basis(
            f"{fate.votes} of {len(shape.shards)} primaries are left, and {fate.majority} must vote", _ELECTION
        )
        if everything:
            fix = "let players log in again in another region: each has a cache of its own"
            rule = Basis("all of its nodes are gone, and nothing is kept on disks", _ASYNC)
        else:
            fix = "" if len(self._regions[code].zones) > 2 else f"give region {code} a third zone"
        for shard in range(len(shape.shards)):
            loss = _ALL if shard in fate.orphaned or shard in fate.promoted else None
            yield Effect(
                part=self._part(code, shard), region=code, outcome="down", readable=False, loss=loss, fix=fix,
                by_design=everything and self._by_design, rules=(rule,),
            )  # fmt: skip

    def _drift_note(self, shape: Shape, whole: Collection[str]) -> str:
        if len(whole) != 1:
            return ""
        (zone,) = whole
        risky = second_losses(shape, zone)
        if not risky:
            return ""
        verb = "would" if self._config.replicas == 1 else "may"
        return (
            f"once {zone} is back, the loss of {' or '.join(risky)} {verb} stop all shards, until the Job has moved "
            "primaries back: within 5 minutes"
        )

    # --- what no single failure shows

    def findings(self) -> Iterator[Finding]:
        """Yield what keeps the plan true after failures."""
        if any(second_losses(shape, zone) for shape in self._shapes.values() for zone in shape.zones):
            yield Finding(
                rule="zone-drift", severity="note", component=self._config.name, source=_DRIFT,
                text="after a zone was lost and is back, two zones hold its primaries, and a second loss may stop all "
                f"shards; CronJob {self._config.name}-cluster moves them back within 5 minutes",
                fix="let that CronJob run, and be told when it fails",
            )  # fmt: skip


def _pods_text(primaries: int, replicas: int) -> str:
    said = [(primaries, "primary", "primaries"), (replicas, "replica", "replicas")]
    return ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in said if count)
