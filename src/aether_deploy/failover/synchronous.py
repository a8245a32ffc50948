"""Synchronous replicas by name: whom a primary waits for, and what it publishes when.

A replica may take over if ``/sync`` names it. So it is named in PostgreSQL first and in the store second, and the
other way round when it goes: whoever is in the store has every acknowledged write.

Rule of it all: Patroni 4.1.5, ``_process_multisync_replication`` in ``patroni/ha.py`` and ``current_state`` in
``patroni/postgresql/sync.py``.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from aether_deploy.failover.quorum import SyncStep
from aether_deploy.failover.seen import SyncKey

ANY_REPLICA = "*"
"""What a strict primary without replicas waits for: any that will come, which blocks writes until then."""


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """A replica that streams, as the primary sees it.

    Attributes:
        name: Its name.
        lsn: What it has flushed, bytes.
        sync_state: What PostgreSQL says of it.
        ready: It has reached what was written when the synchronous names changed last.
        nofailover: It may not lead.
        priority: Its ``sync_priority``.
    """

    name: str
    lsn: int
    sync_state: Literal["async", "potential", "quorum", "sync"] = "async"
    ready: bool = False
    nofailover: bool = False
    priority: int = 1


class Chosen(msgspec.Struct, frozen=True):
    """Replicas that should be synchronous, and those of them that are."""

    active: frozenset[str]
    confirmed: frozenset[str]


def choose_replicas(
    replicas: Iterable[Replica], *, wanted: int, maximum_lag: int, by_quorum: bool, own_lsn: int
) -> Chosen:
    """Choose whom a primary should wait for: who is synchronous already, then who has most.

    Args:
        replicas: Those that stream and do not refuse.
        wanted: ``synchronous_node_count``.
        maximum_lag: ``maximum_lag_on_syncnode``, bytes behind the foremost one; 0 or less: any.
        by_quorum: All of them count, those that may not lead only while there are fewer than wanted.
        own_lsn: The primary's position, by which a single replica is measured, bytes.
    """
    ordered = sorted(replicas, key=lambda each: (each.priority, each.sync_state, each.lsn), reverse=True)
    foremost = max(each.lsn for each in ordered) if len(ordered) > 1 else own_lsn
    active: set[str] = set()
    confirmed: set[str] = set()
    for each in sorted(ordered, key=lambda each: each.nofailover):
        if 0 < maximum_lag < foremost - each.lsn:
            continue
        if by_quorum:
            if each.nofailover and len(active) >= wanted:
                continue
            active.add(each.name)
            confirmed |= {each.name} if each.ready else set()
        else:
            active.add(each.name)
            confirmed |= {each.name} if each.ready and each.sync_state == "sync" else set()
            if len(active) >= wanted:
                break
    return Chosen(frozenset(active), frozenset(confirmed))


class NamedState(msgspec.Struct, frozen=True, kw_only=True):
    """What is set now, and what is wanted.

    Attributes:
        me: The primary.
        key: ``/sync``.
        names: Replicas that PostgreSQL waits for; empty with ``*``.
        numsync: How many of them.
        active: Whom it should wait for.
        confirmed: Those of them that have everything.
        strict: ``synchronous_mode_strict``.
    """

    me: str
    key: SyncKey
    names: frozenset[str]
    numsync: int
    active: frozenset[str]
    confirmed: frozenset[str]
    strict: bool = False


def resolve_named(state: NamedState) -> tuple[SyncStep, ...]:
    """Return the steps from a state to the wanted one; none at rest.

    After ``look_again``, which comes last, PostgreSQL gets two seconds, and :func:`confirm_named` says the rest.
    """
    steps: list[SyncStep] = []
    named = state.key.standbys
    if state.key.leader != state.me:  # written by the leader before, or by nobody
        steps.append(_publish(state.me))
        named = frozenset()
    if state.active == named != state.confirmed:
        steps.append(_publish(state.me, state.confirmed))
        named = state.confirmed
    if state.active == named == state.names and state.numsync == len(state.active):
        return tuple(steps)
    common = named & state.confirmed
    if common != named:
        steps.append(_publish(state.me, common))
    active = state.active or (frozenset({ANY_REPLICA}) if state.strict else frozenset())
    steps.append(SyncStep(kind="assign", leader=state.me, number=len(active), names=tuple(sorted(active))))
    if state.active and state.confirmed != state.active:
        steps.append(SyncStep(kind="look_again", leader=state.me, number=0, names=tuple(sorted(common))))
        return tuple(steps)
    return (*steps, *confirm_named(state.me, state.confirmed, common))


def confirm_named(me: str, confirmed: frozenset[str], published: frozenset[str]) -> tuple[SyncStep, ...]:
    """Return the step that lets confirmed replicas take over.

    Args:
        me: The primary.
        confirmed: Replicas that have everything now.
        published: Those that ``/sync`` names.
    """
    return (_publish(me, confirmed),) if confirmed and confirmed != published else ()


def _publish(me: str, standbys: frozenset[str] = frozenset()) -> SyncStep:
    return SyncStep(kind="publish", leader=me, number=0, names=tuple(sorted(standbys)))


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """What a winner sets before its PostgreSQL becomes primary.

    Attributes:
        names: Replicas to wait for from the first write on.
        numsync: How many of them.
        publishes: ``/sync`` is to name the winner alone first; where that fails the promotion waits.
    """

    names: frozenset[str]
    numsync: int
    publishes: bool


def resolve_promotion(me: str, key: SyncKey, synchronous: bool | Literal["quorum"], *, strict: bool) -> Promotion:
    """Return what a winner sets before its promotion.

    By quorum it goes on with the voters, so that the overlap holds. By name it begins alone.

    Rule:
        Patroni, ``process_sync_replication_prepromote`` in ``patroni/ha.py``.
    """
    if synchronous is False:
        return Promotion(names=frozenset(), numsync=0, publishes=False)
    members = key.members if synchronous == "quorum" else frozenset()
    if not members:
        names = frozenset({ANY_REPLICA} if strict else ())
        return Promotion(names=names, numsync=int(strict), publishes=synchronous is True)
    names, numsync = members - {me}, len(members) - key.quorum - 1 + (me not in members)
    if not names and numsync:
        names = frozenset({ANY_REPLICA})
    return Promotion(names=names, numsync=numsync, publishes=False)
