"""One simulated failover, and many: what happened, and how long it took."""

import hashlib
from collections.abc import Iterator

import msgspec

from aether_deploy.failover.faults import FaultName, fault_of
from aether_deploy.simulation.failover.cluster import Cluster
from aether_deploy.simulation.failover.faults import FAULTS
from aether_deploy.simulation.failover.member import Member
from aether_deploy.simulation.failover.promises import Event
from aether_deploy.simulation.failover.rules import PRODUCTION, Rules
from aether_deploy.simulation.failover.setup import FailoverSetup
from aether_deploy.simulation.failover.wal import Postgres

PAUSED_SECS = 20.0
PATIENCE_SECS = 60.0
REFUSALS = frozenset(
    {"lag", "nofailover", "not-synchronous", "quorum", "watchdog", "failsafe", "timeline", "paused", "stale-primary"}
)
"""Rules by which a cluster may stay without a leader for good."""
DEFERRALS = frozenset({"peer-ahead", "priority", "starting", "primary-alive"})


class FailoverRun(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one fault. Times are seconds from the fault.

    Attributes:
        seed: What it was made from.
        fault: What happened.
        phase_secs: How long before the fault the leader had renewed its key.
        stopped_secs: When the leader stopped to acknowledge writes; None: it did not.
        takeover_secs: When somebody began to acknowledge writes; None: nobody had to, or nobody did.
        outage_secs: How long nobody acknowledged writes.
        dual_primary_secs: How long two PostgreSQL took writes.
        lost_writes: Acknowledged transactions that the last leader does not have.
        winner: Who took over.
        leaderless: Why nobody acknowledged writes in the end; None: somebody did.
        events: What happened, in order.
    """

    seed: int
    fault: FaultName
    phase_secs: float
    stopped_secs: float | None
    takeover_secs: float | None
    outage_secs: float
    dual_primary_secs: float
    lost_writes: int
    winner: str | None
    leaderless: str | None
    events: tuple[Event, ...]


def simulate_failover(setup: FailoverSetup, *, fault: str, seed: int, rules: Rules = PRODUCTION) -> FailoverRun:
    """Let a fault hit a cluster that runs well, and watch until it does again.

    Args:
        setup: The cluster.
        fault: One of ``FAULTS``.
        seed: Equal seeds give equal runs, on every machine.
        rules: What decides; those of production unless a test breaks one.

    Returns:
        What happened.

    Raises:
        ValueError: If there is no such fault.
        InvariantError: If a promise was broken, with the seed and the last events.
    """
    scene = _Scene(setup, fault_of(fault), seed, rules)
    scene.play()
    return scene.result()


def iterate_failovers(setup: FailoverSetup, *, fault: str, runs: int, seed: int) -> Iterator[FailoverRun]:
    """Yield many runs; each has a seed of its own, which follows from ``seed`` and its number."""
    for number in range(runs):
        yield simulate_failover(setup, fault=fault, seed=seed_of(seed, number))


def seed_of(seed: int, number: int) -> int:
    """Return the seed of one run of many, so that it can be run alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4], "big")


def build(setup: FailoverSetup, rules: Rules, seed: int) -> Cluster:
    """Return a cluster that runs well: the first member leads, the others stream from it."""
    cluster = Cluster(setup, rules, seed)
    start = cluster.branches[0].fork
    names = setup.names
    for name in names:
        postgres = Postgres(name, cluster.branches[0], start, setup.bytes_per_sec, setup.write_bytes)
        cluster.members[name] = Member(name, cluster, postgres)
        cluster.store.touch(name)
    leader = cluster.members[names[0]]
    leader.postgres.role = "replica" if setup.standby_cluster else "primary"
    cluster.store.standby_cluster = setup.standby_cluster
    cluster.store.timeline = 1
    for name in names[1:]:
        postgres = cluster.members[name].postgres
        postgres.gap = setup.lag_bytes.get(name, 0)
        postgres.start_behind(leader.postgres, cluster.within(setup.durations.stream))
    for name, member in cluster.members.items():
        member.start_patroni(0.0 if member is leader else 0.1 + cluster.rng.random() * 0.8 * setup.policy.loop_wait)
        cluster.store.holder(name)
    cluster.store.take(names[0])
    cluster.promises.look()
    return cluster


class _Scene:
    """A fault on its way through a cluster."""

    def __init__(self, setup: FailoverSetup, fault: FaultName, seed: int, rules: Rules) -> None:
        kind = FAULTS[fault]
        if kind.follows and not setup.standby_cluster:
            setup = msgspec.structs.replace(setup, standby_cluster=True)
        self.cluster = build(setup, rules, seed)
        self.cluster.on_ready = self._ready
        self.fault, self.kind, self.seed = fault, kind, seed
        self.phase = 0.0
        self.target = setup.names[0]

    def play(self) -> None:
        cluster, policy = self.cluster, self.cluster.setup.policy
        longest = 10 * policy.loop_wait + 4 * policy.ttl + self._heals_after() + PAUSED_SECS + 2 * PATIENCE_SECS
        cluster.engine.run(longest)
        cluster.promises.look()

    def _heals_after(self) -> float:
        given = self.cluster.setup.heals_after_secs
        return 0.0 if self.kind.heal is None else self.kind.heals_after_secs if given is None else given

    def _ready(self) -> None:
        """The leader has just renewed its key: the fault comes within the loop that follows."""
        cluster, setup = self.cluster, self.cluster.setup
        self.phase = cluster.rng.random() * setup.latest_phase * setup.policy.loop_wait
        at = cluster.now + self.phase
        if self.kind.prepare is not None:
            cluster.engine.call(at, self._prepare)
            at += setup.policy.ttl + PAUSED_SECS
        cluster.engine.call(at, self._strike)

    def _prepare(self) -> None:
        assert self.kind.prepare is not None
        self.kind.prepare(self.cluster, self.target)

    def _strike(self) -> None:
        cluster = self.cluster
        if self.kind.hits == "replica":
            synchronous = sorted(cluster.members[self.target].postgres.names & set(cluster.members))
            self.target = (synchronous or list(cluster.setup.names[1:]))[0]
        cluster.promises.look()
        cluster.origin = cluster.now
        cluster.note("fault", f"{self.fault} at {self.target}")
        if self.kind.by_request:
            cluster.engine.call(cluster.now + cluster.within(cluster.setup.durations.request), self._act)
        else:
            self._act()
        if self.kind.heal is not None:
            cluster.heals_at = cluster.now + self._heals_after()
            cluster.engine.call(cluster.heals_at, self._heal)

    def _act(self) -> None:
        self.kind.strike(self.cluster, self.target)
        self.cluster.promises.look()

    def _heal(self) -> None:
        assert self.kind.heal is not None
        self.cluster.note("fault", "is over")
        self.kind.heal(self.cluster, self.target)
        self.cluster.promises.look()

    def result(self) -> FailoverRun:
        cluster, promises = self.cluster, self.cluster.promises
        lost = promises.lost_writes()
        if lost and cluster.setup.policy.is_synchronous and not promises.dual_primary_secs:
            raise promises.broken(f"{lost} writes were lost that were acknowledged in a synchronous mode")
        return FailoverRun(
            seed=self.seed,
            fault=self.fault,
            phase_secs=self.phase,
            stopped_secs=promises.stopped_secs,
            takeover_secs=promises.takeover_secs,
            outage_secs=promises.outage_secs,
            dual_primary_secs=promises.dual_primary_secs,
            lost_writes=lost,
            winner=promises.winner,
            leaderless=self._leaderless(),
            events=promises.told(),
        )

    def _leaderless(self) -> str | None:
        """Return why nobody acknowledges writes; somebody must where no rule forbids it."""
        cluster = self.cluster
        members = cluster.members.values()
        if any(member.postgres.acknowledges for member in members):
            return None
        if any(member.postgres.writable for member in members):
            return "writes wait for synchronous replicas that are not there"
        verdicts = [member.verdict for member in members if member.patroni_up and member.verdict is not None]
        rules = {verdict.rule for verdict in verdicts}
        if not rules & REFUSALS or rules - REFUSALS - DEFERRALS:
            raise cluster.promises.broken("nobody leads, and no rule forbids it")
        return "; ".join(
            f"{member.name}: {member.verdict.reason}" for member in members if member.patroni_up and member.verdict
        )
