"""How a member becomes primary, stops to be it, and comes back as a replica; each takes its time."""

from typing import TYPE_CHECKING

from aether_deploy.failover.seen import SyncKey
from aether_deploy.failover.timings import STOP_POLL_SECS
from aether_deploy.simulation.failover.engine import Steps

if TYPE_CHECKING:
    from aether_deploy.simulation.failover.body import Body

CHECKPOINT_SECS = (0.02, 0.1)
RECONNECT_SECS = (0.1, 1.0)


def promote(member: "Body", sync_version: int) -> Steps:
    """Prepare a promotion and start it; where ``/sync`` was changed by another it waits for the next loop."""
    cluster, policy = member.cluster, member.cluster.setup.policy
    if member.postgres.role != "replica" or cluster.store.standby_cluster:
        return
    set_first = cluster.rules.promotion(
        member.name, cluster.store.sync, policy.synchronous_mode, strict=policy.synchronous_mode_strict
    )
    if set_first.publishes:
        yield cluster.within(cluster.setup.durations.store)
        if not cluster.store.write_sync(SyncKey(leader=member.name), sync_version):
            cluster.note(member.name, "waits with its promotion, as /sync was changed")
            return
    member.cancellable = True
    member.start_task("promote", _promotion(member, set_first.names, set_first.numsync))


def _promotion(member: "Body", names: frozenset[str], numsync: int) -> Steps:
    cluster, postgres = member.cluster, member.postgres
    yield cluster.within(cluster.setup.durations.store)
    member.cancellable = False
    yield cluster.setup.replay_secs + cluster.within(cluster.setup.durations.promote)
    parent = postgres.branch
    postgres.disconnect(cluster.now)
    postgres.assign(names, numsync, cluster.now)
    postgres.promote(cluster.now)
    cluster.branches.append(postgres.branch)
    cluster.note(member.name, f"is primary on timeline {postgres.branch.number}")
    cluster.promises.look()
    cluster.promises.promoted(member, parent)
    member.promoted_at = cluster.now


def start_in_place(member: "Body") -> Steps:
    """Start a crashed primary again, on its own timeline; after ``primary_start_timeout`` the loop decides again."""
    cluster, postgres = member.cluster, member.postgres
    cluster.note(member.name, "starts its PostgreSQL again")
    postgres.begin("starting", cluster.now)
    begun, needs = cluster.now, cluster.within(cluster.setup.durations.crash_start)
    limit = cluster.setup.policy.primary_start_timeout
    if needs <= limit:
        yield needs
        _started(member)
        return

    def start_late() -> None:
        if postgres.role == "starting" and postgres.since == begun:
            _started(member)
            member.wake()

    cluster.engine.call(begun + needs, start_late)
    yield float(limit)


def _started(member: "Body") -> None:
    cluster = member.cluster
    member.postgres.begin("primary", cluster.now)
    cluster.promises.look()
    for other in cluster.members.values():
        if other.former_leader == member.name and other is not member:
            _reconnect(other, member.name)


def _reconnect(member: "Body", leader: str) -> None:
    """A replica tries again by itself."""
    cluster = member.cluster

    def connect() -> None:
        if member.former_leader == leader and member.machine_up:
            member.follow(leader)
            cluster.promises.look()

    cluster.engine.call(cluster.now + cluster.within(RECONNECT_SECS), connect)


def start_as_replica(member: "Body") -> Steps:
    """Start as a replica; what the leader never had is given up."""
    cluster, postgres = member.cluster, member.postgres
    yield cluster.within(cluster.setup.durations.replica_start)
    leader = cluster.store.holder(member.name) if cluster.store_fault(member.name) is None else None
    postgres.was_primary = False
    postgres.assign(frozenset(), 0, cluster.now)
    if leader not in (None, member.name):
        upstream = cluster.members[leader or ""]
        if not postgres.adopts(upstream.postgres, cluster.now):
            yield cluster.within(cluster.setup.durations.rewind)
            postgres.rewind(upstream.postgres, cluster.now)
    postgres.begin("replica", cluster.now)
    cluster.note(member.name, "runs as replica")


def rewind(member: "Body", leader: "Body") -> Steps:
    """Stop, give up what the leader never had, and start again."""
    cluster, postgres = member.cluster, member.postgres
    postgres.stop(cluster.now)
    yield cluster.within(cluster.setup.durations.rewind)
    if leader.postgres.role == "primary":
        postgres.rewind(leader.postgres, cluster.now)
    postgres.begin("replica", cluster.now)


def step_down(member: "Body", *, comes_back: bool = True) -> Steps:
    """Stop in order, and let go of the key once a replica has everything.

    Args:
        member: The leader.
        comes_back: Its Patroni runs on, and starts PostgreSQL as a replica.

    Rule:
        Patroni 4.1.5, ``demote`` with mode ``graceful`` and ``shutdown`` in ``patroni/ha.py``: it looks every second
        whether PostgreSQL has shut down, and waits another one for the replicas.
    """
    cluster, postgres = member.cluster, member.postgres
    cluster.note(member.name, "steps down (graceful)")
    yield cluster.within(CHECKPOINT_SECS)
    postgres.flush_and_stop(cluster.now)
    member.stop_watchdog()
    cluster.promises.look()
    yield cluster.within(cluster.setup.durations.stop) + STOP_POLL_SECS
    yield STOP_POLL_SECS
    end = cluster.position(postgres)
    yield from member.another_can(end)  # it lets go in any case now that PostgreSQL is down
    member.leads_until = 0.0
    cluster.store.release(member.name, end)
    cluster.note(member.name, "releases the key")
    if comes_back:
        yield 2.0
        yield from start_as_replica(member)
