"""A simulated cluster: members on machines, a network, a store, and the account of what clients were told."""

from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING

from aether_deploy.failover.seen import Known, Peer, RaceView, failover_tags
from aether_deploy.failover.timings import REQUEST_TIMEOUT_SECS, WAL_SENDER_TIMEOUT_SECS
from aether_deploy.simulation.failover.engine import Engine
from aether_deploy.simulation.failover.promises import Promises
from aether_deploy.simulation.failover.rules import Rules
from aether_deploy.simulation.failover.setup import FailoverSetup, Span
from aether_deploy.simulation.failover.store import Store
from aether_deploy.simulation.failover.wal import Branch, Postgres

if TYPE_CHECKING:
    from aether_deploy.simulation.failover.body import Body


class Cluster:
    """Everything that is simulated.

    Attributes:
        setup: What it was made from.
        rules: What decides.
        engine: Its clock.
        rng: Its only chance.
        store: Its keys.
        members: Its members, by name.
        promises: What is checked after every step.
        origin: When the fault came; times are told from there.
        heals_at: When the fault ends, seconds.
        horizon: When it is all over, seconds.
        branches: Timelines in the order of their beginnings.
        on_ready: What to do once the cluster has run for a while.
    """

    def __init__(self, setup: FailoverSetup, rules: Rules, seed: int) -> None:
        self.setup, self.rules = setup, rules
        self.engine, self.rng = Engine(), Random(seed)
        self.store = Store(setup.store, setup.policy.ttl, self.engine, self.rng, self._tell)
        self.members: dict[str, Body] = {}
        self.promises = Promises(self, seed)
        self.origin = float("inf")
        self.heals_at = 0.0
        self.horizon = float("inf")
        self.tags = {name: failover_tags(setup.tags.get(name, {})) for name in setup.names}
        self.on_ready: Callable[[], None] | None = None
        self._ready_at = (1.95 if setup.policy.is_synchronous else 0.95) * setup.policy.loop_wait
        start = 1e9 + self.rng.random() * setup.write_bytes
        self.branches = [Branch(None, start)]
        self._known = {name: Known(name=name, nofailover=tags[0]) for name, tags in self.tags.items()}
        self._cut: set[frozenset[str]] = set()
        self._off_store: dict[str, str] = {}

    # --- time and chance

    @property
    def now(self) -> float:
        return self.engine.now

    def after_renewal(self) -> None:
        """Let the fault come, once the cluster has run long enough for everybody to have found its pace."""
        if self.on_ready is not None and self.now >= self._ready_at:
            ready, self.on_ready = self.on_ready, None
            ready()

    def finish_if_settled(self, leader: "Body") -> None:
        """End the run when the fault is over, and one leader has acknowledged writes for two loops."""
        policy, promises = self.setup.policy, self.promises
        if self.now < max(self.origin, self.heals_at) or not leader.postgres.acknowledges:
            return
        if promises.takeover_secs is None and self.now < self.origin + policy.ttl + policy.loop_wait:
            return
        if self.now - max(promises.acking_since, self.heals_at) >= 2 * policy.loop_wait:
            self.engine.stopped = True

    def within(self, span: Span) -> float:
        """Return a duration between two."""
        return span[0] + (span[1] - span[0]) * self.rng.random()

    def note(self, who: str, what: str) -> None:
        """Tell an event."""
        self.promises.note(who, what)

    # --- network

    def cut(self, one: str, *others: str) -> None:
        """Let no packet pass between one machine and others."""
        for other in others:
            self._cut.add(frozenset((one, other)))
            for pair in ((one, other), (other, one)):
                postgres, upstream = (self.members[name].postgres for name in pair)
                if postgres.upstream is upstream:
                    postgres.stall(self.now)
                    self._wait_for(postgres.name)
        self.promises.look()

    def mend(self, one: str, *others: str) -> None:
        """Let packets pass again; streams that were not given up go on."""
        for other in others:
            self._cut.discard(frozenset((one, other)))
            for pair in ((one, other), (other, one)):
                postgres, upstream = (self.members[name].postgres for name in pair)
                if postgres.stalled and postgres.upstream is upstream:
                    postgres.stall(self.now, stalled=False)
        self.promises.look()

    def reaches(self, one: str, other: str) -> bool:
        """Return whether packets pass between two machines."""
        return not self._cut or frozenset((one, other)) not in self._cut

    def cut_from_store(self, name: str) -> None:
        self._off_store[name] = "hung"

    def mend_to_store(self, name: str) -> None:
        self._off_store.pop(name, None)

    def store_fault(self, name: str) -> str | None:
        """Return how the store fails a member: ``refused``, ``hung``, or None where it answers."""
        return self.store.down or self._off_store.get(name)

    def _tell(self, writer: str | None, what: str) -> None:
        """Wake whoever watches for a change; ``writer`` knows it already."""
        for name, member in self.members.items():
            if name != writer and self.store_fault(name) is None:
                delay = self.within(self.setup.durations.event)
                self.engine.call(self.now + delay, member.wake)

    # --- what members see of each other

    def answer_secs(self, asker: str, name: str) -> float:
        """Return how long it takes until ``asker`` has the answer of a member, or knows that there is none."""
        member, durations = self.members[name], self.setup.durations
        if member.machine_up and self.reaches(asker, name) and not member.patroni_frozen:
            return self.within(durations.answer if member.patroni_up else durations.reset)
        return REQUEST_TIMEOUT_SECS if member.machine_up or member.is_silent else self.within(durations.reset)

    def answer(self, asker: str, name: str) -> Peer:
        """Return what a member says of itself now."""
        member = self.members[name]
        postgres = member.postgres
        if not self._answers(asker, member) or postgres.role in ("down", "starting") or postgres.frozen:
            return Peer(name=name, reachable=False, in_recovery=None)
        nofailover, priority = self.tags[name]
        return Peer(
            name=name,
            in_recovery=postgres.role != "primary",
            lsn=self.position(postgres),
            timeline=postgres.branch.number,
            nofailover=nofailover,
            priority=priority,
        )

    def agrees(self, leader: str, name: str) -> bool:
        """Ask a member whether ``leader`` may go on without the store, and return whether it agrees."""
        member = self.members[name]
        if not self._answers(leader, member) or member.postgres.role == "primary":
            return False
        member.failsafe_leader, member.failsafe_until = leader, self.now + self.setup.policy.ttl
        return True

    def _answers(self, asker: str, member: "Body") -> bool:
        up = member.machine_up and member.patroni_up and not member.patroni_frozen
        return up and self.reaches(asker, member.name)

    def view(self, member: "Body") -> RaceView:
        """Return what a member knows when nobody leads, or when it asks whether it may let go."""
        policy, store, postgres = self.setup.policy, self.store, member.postgres
        nofailover, priority = self.tags[member.name]
        return RaceView(
            me=member.name,
            role="replica" if postgres.role == "down" else postgres.role,
            lsn=self.position(postgres),
            timeline=postgres.branch.number,
            nofailover=nofailover,
            priority=priority,
            ttl=policy.ttl,
            optime=store.optime,
            cluster_timeline=store.timeline,
            maximum_lag=policy.maximum_lag_on_failover,
            check_timeline=policy.check_timeline,
            synchronous=False if store.standby_cluster else policy.synchronous_mode,
            standby_cluster=store.standby_cluster,
            paused=store.paused,
            failsafe_mode=policy.failsafe_mode,
            failsafe=store.failsafe,
            sync=store.sync,
            failover=store.failover,
            members=self.known(store.members()),
            former_members=member.former_members,
            former_leader=member.former_leader,
        )

    def known(self, names: Iterable[str]) -> tuple[Known, ...]:
        """Return members as the store knows them."""
        return tuple(self._known[name] for name in names)

    def position(self, postgres: Postgres) -> int:
        """Return the end of the last whole transaction that a PostgreSQL has, bytes."""
        size = self.setup.write_bytes
        return int(postgres.lsn(self.now) // size) * size

    # --- machines

    def vanish(self, name: str, *, silently: bool) -> None:
        """A machine is gone: with ``silently`` it answers nothing, else what is left of it refuses connections."""
        member = self.members[name]
        member.machine_up, member.is_silent = False, silently
        member.kill_patroni()
        member.postgres.freeze(self.now, frozen=False)
        member.postgres.stop(self.now, silently=silently)
        if silently:
            self._wait_for(name)
        self.promises.look()

    def _wait_for(self, name: str) -> None:
        """Let the upstream of a silent replica wait for it until it gives up."""

        def give_up() -> None:
            if self.members[name].postgres.stalled:
                self.members[name].postgres.disconnect(self.now)
                self.promises.look()

        self.engine.call(self.now + WAL_SENDER_TIMEOUT_SECS, give_up)

    def boot(self, name: str) -> None:
        """A machine is back, with its PostgreSQL down and a new Patroni."""
        member = self.members[name]
        if member.machine_up:
            return
        if member.postgres.stalled:
            member.postgres.disconnect(self.now)
        member.machine_up, member.is_silent = True, False
        member.start_patroni()
