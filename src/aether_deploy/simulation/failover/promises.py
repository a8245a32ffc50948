"""What is checked after every step of a simulation, and the account of what clients got.

Never two holders of the key. Never two members that believe they hold it. A member that lost it takes no more writes
by the time another takes it. Never a winner beyond the lag limit, or outside ``/sync``. In a synchronous mode no
acknowledged write is lost. Two PostgreSQL that take writes while a Patroni hangs are counted, not forbidden: without
a watchdog real clusters do that.
"""

from typing import TYPE_CHECKING

import msgspec

from aether_deploy.problems import InvariantError

if TYPE_CHECKING:
    from aether_deploy.simulation.failover.body import Body
    from aether_deploy.simulation.failover.cluster import Cluster
    from aether_deploy.simulation.failover.wal import Branch

LAST_EVENTS = 20


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that happened.

    Attributes:
        secs: When, seconds from the fault.
        who: To which member, or ``store``, ``fault``.
        what: In words.
    """

    secs: float
    who: str
    what: str

    def __str__(self) -> str:
        return f"{self.secs:+10.3f}  {self.who}: {self.what}"


class Promises:
    """The account of one run, and its judge.

    Attributes:
        stopped_secs: When the leader first stopped to acknowledge after the fault; None: it never did.
        takeover_secs: When somebody first began to acknowledge after the fault; None: nobody had to, or nobody did.
        outage_secs: How long nobody acknowledged anything.
        dual_primary_secs: How long two took writes.
        winner: Who began to acknowledge first after the fault.
    """

    def __init__(self, cluster: "Cluster", seed: int) -> None:
        self.stopped_secs: float | None = None
        self.takeover_secs: float | None = None
        self.outage_secs = self.dual_primary_secs = 0.0
        self.winner: str | None = None
        self._cluster, self._seed = cluster, seed
        self._raw: list[tuple[float, str, str]] = []
        self._writable, self._acking = 1, frozenset[str]()
        self._looked_at = 0.0
        self.acking_since = 0.0

    def note(self, who: str, what: str) -> None:
        self._raw.append((self._cluster.now, who, what))

    def told(self, last: int | None = None) -> tuple[Event, ...]:
        """Return the events, or the last ones."""
        origin = self._cluster.origin if self._cluster.origin < float("inf") else 0.0
        chosen = self._raw if last is None else self._raw[-last:]
        return tuple(Event(secs - origin, who, what) for secs, who, what in chosen)

    # --- the account

    def look(self) -> None:
        """Note who takes writes and who acknowledges them, after something changed."""
        cluster = self._cluster
        now, past = cluster.engine.now, self._looked_at
        begin = max(past, cluster.origin)
        if now > begin:
            if self._writable > 1:
                self.dual_primary_secs += now - begin
            if not self._acking:
                self.outage_secs += now - begin
        self._looked_at = now
        running = [member.postgres for member in cluster.members.values() if member.postgres.writable]
        self._writable = len(running)
        acking = frozenset(postgres.name for postgres in running if not postgres.is_blocked)
        if acking != self._acking:
            self._changed(acking, now - cluster.origin)
            self._acking, self.acking_since = acking, now

    def _changed(self, acking: frozenset[str], secs: float) -> None:
        if secs < 0:
            return
        for name in sorted(self._acking - acking):
            self.note(name, "acknowledges no more writes")
            self.stopped_secs = secs if self.stopped_secs is None else self.stopped_secs
        for name in sorted(acking - self._acking):
            self.note(name, "acknowledges writes")
            if self.takeover_secs is None:
                self.takeover_secs, self.winner = secs, name

    def lost_bytes(self) -> float:
        """Return how much that was acknowledged the last leader does not have, bytes."""
        return sum(acked - kept for acked, kept in self._losses())

    def lost_writes(self) -> int:
        """Return how many acknowledged transactions the last leader does not have."""
        size = self._cluster.setup.write_bytes
        return sum(int(acked // size) - int(kept // size) for acked, kept in self._losses())

    def _losses(self) -> list[tuple[float, float]]:
        """Return the ends of what was acknowledged and what is kept, of each branch that lost something."""
        cluster = self._cluster
        leaders = [member.postgres for member in cluster.members.values() if member.postgres.role == "primary"]
        for postgres in leaders:
            postgres.settle(cluster.now)
        kept = cluster.branches[-1].path()
        found = []
        for branch in cluster.branches:
            end = kept.get(branch, branch.fork)
            if branch.acked > end:
                found.append((branch.acked, end))
        return found

    # --- the judge

    def took(self, member: "Body", *, asked: bool, was_primary: bool) -> None:
        """Judge a member that has just taken the key."""
        self.believes(member)
        cluster = self._cluster
        # With failsafe_mode a leader asks everybody before it steps down, and that takes time nobody reckoned with.
        must_be_gone = not cluster.setup.policy.failsafe_mode
        for other in cluster.members.values():
            if must_be_gone and other is not member and other.postgres.writable and other.patroni_runs_on:
                raise self.broken(f"{other.name} still takes writes, and {member.name} took the key")
        if asked or was_primary:
            return
        behind = cluster.store.optime - cluster.position(member.postgres)
        if behind > cluster.setup.policy.maximum_lag_on_failover:
            raise self.broken(f"{member.name} took the key {behind} bytes behind, beyond the lag limit")
        if cluster.tags[member.name][0]:
            raise self.broken(f"{member.name} took the key, and its tags forbid it")
        sync = cluster.store.sync
        if cluster.setup.policy.synchronous_mode is True and sync.leader and member.name not in sync.members:
            raise self.broken(f"{member.name} took the key and is not in /sync")

    def believes(self, member: "Body") -> None:
        """Judge a member that believes it holds the key."""
        now = self._cluster.now
        for other in self._cluster.members.values():
            if other is not member and other.leads_until > now:
                raise self.broken(f"two holders of the key: {member.name} and {other.name}")

    def promoted(self, member: "Body", parent: "Branch") -> None:
        """Judge a promotion by what was acknowledged before it."""
        cluster = self._cluster
        if not cluster.setup.policy.is_synchronous or cluster.setup.standby_cluster:
            return
        size = cluster.setup.write_bytes
        lost = int(parent.acked // size) - int(member.postgres.branch.fork // size)
        others = any(other.postgres.role == "primary" for other in cluster.members.values() if other is not member)
        # By quorum a voter may still acknowledge to a primary that nobody fenced, after it gave its vote.
        if lost > 0 and not (others and cluster.setup.policy.synchronous_mode == "quorum"):
            raise self.broken(f"{member.name} was promoted without {lost} writes that were acknowledged")

    def broken(self, what: str) -> InvariantError:
        """Return the error for a broken promise, with the seed and the last events."""
        events = "\n".join(map(str, self.told(LAST_EVENTS)))
        return InvariantError(f"{what}\nseed {self._seed}, {self._cluster.now:.3f} s\n{events}")
