"""What a leader does in each loop so that the right replicas are synchronous; the rules of ``failover`` say what."""

from typing import TYPE_CHECKING

from aether_deploy.failover.quorum import QuorumState, SyncStep
from aether_deploy.failover.seen import SyncKey
from aether_deploy.failover.synchronous import (
    ANY_REPLICA,
    Chosen,
    NamedState,
    Replica,
    choose_replicas,
    confirm_named,
)
from aether_deploy.simulation.failover.engine import Steps

if TYPE_CHECKING:
    from collections.abc import Generator

    from aether_deploy.simulation.failover.body import Body

SETTLE_SECS = 2.0
LOOK_AGAIN_SECS = 1.0


def synchronize(member: "Body") -> Steps:
    """Bring ``/sync`` and PostgreSQL to what is wanted, one safe step after the other."""
    if member.cluster.setup.policy.synchronous_mode == "quorum":
        yield from _by_quorum(member)
    else:
        yield from _by_name(member)


def chosen(member: "Body") -> Chosen:
    """Return the replicas that should be synchronous, as the primary sees them now."""
    cluster, postgres, policy = member.cluster, member.postgres, member.cluster.setup.policy
    by_quorum, now, known = policy.synchronous_mode == "quorum", member.cluster.now, member.cluster.store.members()
    replicas = []
    for each in postgres.downstream:
        if each.name not in known or cluster.setup.tags.get(each.name, {}).get("nosync"):
            continue
        lsn, named = int(each.lsn(now)), each.name in postgres.names
        if named and (lsn >= postgres.assigned_at - 1 or (not by_quorum and each.name in cluster.store.sync.standbys)):
            postgres.ready.add(each.name)
        state = "async" if not named else "quorum" if by_quorum else "sync"
        replicas.append(
            Replica(
                name=each.name,
                lsn=lsn,
                sync_state=state,  # type: ignore[arg-type]
                ready=each.name in postgres.ready,
                nofailover=cluster.tags[each.name][0],
            )
        )
    replicas.sort(key=lambda replica: replica.name)
    return choose_replicas(
        replicas,
        wanted=policy.synchronous_node_count,
        maximum_lag=policy.maximum_lag_on_syncnode,
        by_quorum=by_quorum,
        own_lsn=int(postgres.lsn(now)),
    )


def _by_name(member: "Body") -> Steps:
    cluster, postgres, policy = member.cluster, member.postgres, member.cluster.setup.policy
    seen = chosen(member)
    state = NamedState(
        me=member.name,
        key=cluster.store.sync,
        names=frozenset() if ANY_REPLICA in postgres.names else postgres.names,
        numsync=postgres.numsync,
        active=seen.active,
        confirmed=seen.confirmed,
        strict=policy.synchronous_mode_strict,
    )
    for step in cluster.rules.named(state):
        if step.kind == "look_again":
            yield SETTLE_SECS
            for late in confirm_named(member.name, chosen(member).confirmed, frozenset(step.names)):
                yield from _take(member, late)
        elif not (yield from _take(member, step)):
            return


def _by_quorum(member: "Body") -> Steps:
    """As by name, but not before a loop has passed since the promotion, so that replicas can come."""
    cluster, postgres, policy = member.cluster, member.postgres, member.cluster.setup.policy
    begun = cluster.now
    if member.promoted_at is not None and begun - member.promoted_at <= policy.loop_wait:
        return
    while True:
        key, seen = cluster.store.sync, chosen(member)
        if key.leader is None:
            cluster.store.write_sync(SyncKey(leader=member.name), cluster.store.sync_version)
            key = cluster.store.sync
        names = frozenset() if ANY_REPLICA in postgres.names else postgres.names
        state = QuorumState(
            leader=key.leader or member.name,
            quorum=key.quorum,
            voters=key.standbys,
            numsync=postgres.numsync if names else 0,
            sync=names,
            confirmed=len(seen.confirmed),
            active=seen.active,
            wanted=policy.synchronous_node_count,
            me=member.name,
        )
        steps = cluster.rules.by_quorum(state).steps
        for step in steps:
            if step.kind != "look_again" and not (yield from _take(member, step)):
                return
        again = bool(steps) and steps[-1].kind == "look_again"
        if not again or cluster.now - begun + LOOK_AGAIN_SECS >= policy.loop_wait:
            return
        yield LOOK_AGAIN_SECS


def _take(member: "Body", step: SyncStep) -> "Generator[float, None, bool]":
    """Take a step; return whether it was possible."""
    cluster, postgres = member.cluster, member.postgres
    names = frozenset(step.names)
    if step.kind == "assign":
        number = max(step.number, int(cluster.setup.policy.synchronous_mode_strict))
        if number and not names:
            names = frozenset({ANY_REPLICA})
        if (names, number) != (postgres.names, postgres.numsync):
            cluster.note(member.name, f"waits for {number} of {', '.join(step.names) or 'nobody'}")
        postgres.assign(names, number, cluster.now)
        cluster.promises.look()
        yield cluster.within(cluster.setup.durations.reload)
        return True
    yield cluster.within(cluster.setup.durations.store)
    if cluster.store_fault(member.name) is not None:
        return False
    key = SyncKey(leader=step.leader, standbys=names, quorum=step.number)
    if not cluster.store.write_sync(key, cluster.store.sync_version):
        return False
    cluster.note(member.name, f"/sync: {', '.join(sorted(names)) or 'nobody'}, quorum {step.number}")
    return True
