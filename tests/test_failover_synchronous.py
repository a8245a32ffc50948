"""Synchronous replicas: every step keeps whoever has an acknowledged write among those that a winner hears."""

import random
from itertools import combinations
from typing import Any

import pytest

from aether_deploy.failover.quorum import QuorumState, SyncStep, quorum_overlaps, resolve_quorum
from aether_deploy.failover.seen import SyncKey
from aether_deploy.failover.synchronous import (
    NamedState,
    Promotion,
    Replica,
    choose_replicas,
    confirm_named,
    resolve_named,
    resolve_promotion,
)
from tests.patroni_oracle import Patroni

KINDS = {"publish": "quorum", "assign": "sync", "look_again": "restart"}


def state(**changes: Any) -> QuorumState:
    given: dict[str, Any] = {
        "leader": "a",
        "quorum": 0,
        "voters": "",
        "numsync": 0,
        "sync": "",
        "confirmed": 0,
        "active": "bc",
        "wanted": 1,
        "me": "a",
        **changes,
    }
    sets: dict[str, Any] = {name: frozenset(given[name]) for name in ("voters", "sync", "active")}
    return QuorumState(**{**given, **sets})


def told(steps: tuple[SyncStep, ...]) -> list[str]:
    return [f"{step.kind} {step.number} of {','.join(step.names) or 'nobody'}" for step in steps]


QUORUMS = {
    "three members want one copy, and none is sure yet": (
        state(),
        ["assign 1 of b,c", "look_again 0 of nobody"],
    ),
    "three members want one copy": (state(confirmed=2), ["assign 1 of b,c", "publish 1 of b,c"]),
    "three members want two copies": (state(wanted=2, confirmed=2), ["assign 2 of b,c", "publish 0 of b,c"]),
    "at rest": (state(quorum=1, voters="bc", numsync=1, sync="bc", confirmed=2), []),
    "a replica is gone": (
        state(quorum=1, voters="bc", numsync=1, sync="bc", confirmed=1, active="b"),
        ["assign 1 of b", "publish 0 of b"],
    ),
    "all replicas are gone": (
        state(quorum=1, voters="bc", numsync=1, sync="bc", active=""),
        ["publish 0 of nobody", "assign 0 of nobody"],
    ),
    "a replica comes": (
        state(quorum=0, voters="b", numsync=1, sync="b", confirmed=1),
        ["publish 1 of b,c", "assign 1 of b,c"],
    ),
    "a second copy is wanted": (
        state(quorum=1, voters="bc", numsync=1, sync="bc", confirmed=2, wanted=2),
        ["assign 2 of b,c", "publish 0 of b,c"],
    ),
    "a second copy is wanted no more": (
        state(quorum=0, voters="bc", numsync=2, sync="bc", confirmed=2),
        ["publish 1 of b,c", "assign 1 of b,c"],
    ),
}


@pytest.mark.parametrize("case", QUORUMS)
def test_a_quorum_moves_when(case: str) -> None:
    before, steps = QUORUMS[case]

    assert told(resolve_quorum(before).steps) == steps


def _taken(before: QuorumState, step: SyncStep) -> QuorumState:
    fields: dict[str, Any] = {name: getattr(before, name) for name in QuorumState.__struct_fields__}
    if step.kind == "publish":
        fields |= {"leader": step.leader, "quorum": step.number, "voters": frozenset(step.names)}
    elif step.kind == "assign":
        fields |= {"numsync": step.number, "sync": frozenset(step.names)}
    return QuorumState(**fields)


def test_after_every_step_whoever_has_a_write_is_heard_by_every_winner() -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng, walked = random.Random(seed), 0
    for _ in range(1500):
        now = state(active="".join(each for each in "bcde" if rng.random() < 0.7), wanted=rng.randint(1, 3))
        for _ in range(6):  # replicas come and go, the count changes, and runs are cut short
            steps = resolve_quorum(now).steps
            for step in steps[: rng.randint(0, len(steps)) if rng.random() < 0.3 else None]:
                now = _taken(now, step)
                walked += 1
                assert quorum_overlaps(now) is None, (seed, now)
                assert _every_winner_hears_every_write(now), (seed, now)
            fields: dict[str, Any] = {name: getattr(now, name) for name in QuorumState.__struct_fields__}
            active = frozenset(each for each in "bcde" if rng.random() < 0.7)
            confirmed = len(now.sync & active)
            now = QuorumState(**{**fields, "active": active, "wanted": rng.randint(1, 3), "confirmed": confirmed})
    assert walked > 3000


def _every_winner_hears_every_write(now: QuorumState) -> bool:
    """Try all: any ``numsync`` replicas that have a write, and any candidate with any votes that suffice."""
    if not now.voters or not now.numsync:
        return True
    members = now.voters | {now.leader}
    for having in combinations(sorted(now.sync), now.numsync):
        holders = {*having, now.me}
        for heard in combinations(sorted(members), now.quorum + 1):
            if not holders & set(heard):
                return False
    return True


# --- by name


def named(**changes: Any) -> NamedState:
    given: dict[str, Any] = {
        "me": "a",
        "key": ("a", "b"),
        "names": "b",
        "numsync": 1,
        "active": "b",
        "confirmed": "b",
        **changes,
    }
    leader, standbys = given.pop("key")
    sets: dict[str, Any] = {name: frozenset(given.pop(name)) for name in ("names", "active", "confirmed")}
    return NamedState(key=SyncKey(leader=leader, standbys=frozenset(standbys)), **sets, **given)


NAMED = {
    "at rest": (named(), []),
    "the first replica comes": (
        named(key=(None, ""), names="", numsync=0, confirmed=""),
        ["publish 0 of nobody", "assign 1 of b", "look_again 0 of nobody"],
    ),
    "the former leader wrote the key": (
        named(key=("c", "a"), names="", numsync=0, confirmed=""),
        ["publish 0 of nobody", "assign 1 of b", "look_again 0 of nobody"],
    ),
    "the replica is gone and another is there": (
        named(active="c", confirmed=""),
        ["publish 0 of nobody", "assign 1 of c", "look_again 0 of nobody"],
    ),
    "nobody is left": (named(active="", confirmed=""), ["publish 0 of nobody", "assign 0 of nobody"]),
    "nobody is left, strictly": (
        named(active="", confirmed="", strict=True),
        ["publish 0 of nobody", "assign 1 of *"],
    ),
}


@pytest.mark.parametrize("case", NAMED)
def test_named_replicas_change_when(case: str) -> None:
    before, steps = NAMED[case]

    assert told(resolve_named(before)) == steps


def test_a_replica_may_take_over_only_once_it_has_everything() -> None:
    assert confirm_named("a", frozenset(), frozenset()) == ()
    assert told(confirm_named("a", frozenset("b"), frozenset())) == ["publish 0 of b"]
    assert confirm_named("a", frozenset("b"), frozenset("b")) == ()


def test_a_synchronous_replica_is_kept_though_another_has_more() -> None:
    replicas = [Replica(name="b", lsn=5, sync_state="sync", ready=True), Replica(name="c", lsn=9)]

    kept = choose_replicas(replicas, wanted=1, maximum_lag=-1, by_quorum=False, own_lsn=10)
    replaced = choose_replicas(replicas, wanted=1, maximum_lag=3, by_quorum=False, own_lsn=10)

    assert (kept.active, kept.confirmed) == (frozenset("b"), frozenset("b"))
    assert (replaced.active, replaced.confirmed) == (frozenset("c"), frozenset())


def test_by_quorum_who_may_never_lead_counts_only_while_too_few_others_do() -> None:
    replicas = [Replica(name="b", lsn=9, ready=True), Replica(name="c", lsn=9, ready=True, nofailover=True)]

    one = choose_replicas(replicas, wanted=1, maximum_lag=-1, by_quorum=True, own_lsn=10)
    two = choose_replicas(replicas, wanted=2, maximum_lag=-1, by_quorum=True, own_lsn=10)

    assert (one.active, two.active) == (frozenset("b"), frozenset("bc"))


PROMOTIONS: dict[str, tuple[tuple[SyncKey, Any, bool], Promotion]] = {
    "asynchronous": ((SyncKey(), False, False), Promotion(names=frozenset(), numsync=0, publishes=False)),
    "by name": (
        (SyncKey(leader="a", standbys=frozenset("b")), True, False),
        Promotion(names=frozenset(), numsync=0, publishes=True),
    ),
    "by name, strictly": (
        (SyncKey(leader="a", standbys=frozenset("b")), True, True),
        Promotion(names=frozenset("*"), numsync=1, publishes=True),
    ),
    "by quorum": (
        (SyncKey(leader="a", standbys=frozenset("bc"), quorum=1), "quorum", False),
        Promotion(names=frozenset("ac"), numsync=1, publishes=False),
    ),
    "by quorum, from outside": (
        (SyncKey(leader="a", standbys=frozenset("c"), quorum=0), "quorum", False),
        Promotion(names=frozenset("ac"), numsync=2, publishes=False),
    ),
    "by quorum, before anybody was synchronous": (
        (SyncKey(), "quorum", True),
        Promotion(names=frozenset("*"), numsync=1, publishes=False),
    ),
}


@pytest.mark.parametrize("case", PROMOTIONS)
def test_a_winner_begins_to_wait(case: str) -> None:
    (key, mode, strict), promotion = PROMOTIONS[case]

    assert resolve_promotion("b", key, mode, strict=strict) == promotion


# --- Patroni itself


@pytest.fixture(scope="module")
def patroni() -> Patroni:
    return Patroni()


@pytest.mark.real
def test_patroni_resolves_thousands_of_random_quorums_in_the_same_steps(patroni: Patroni) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    lengths = set()
    for _ in range(10_000):
        before = _random_quorum(rng)

        resolution, theirs = resolve_quorum(before), patroni.transitions(before)

        ours = (
            None
            if resolution.broken
            else [(KINDS[step.kind], step.leader, step.number, step.names) for step in resolution.steps]
        )
        assert ours == theirs, (seed, before)
        lengths.add(None if ours is None else len(ours))
    assert lengths >= {None, 0, 1, 2, 3, 4}


@pytest.mark.real
def test_patroni_changes_named_replicas_in_the_same_steps(patroni: Patroni) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(4000):
        before = _random_named(rng)
        later = frozenset(each for each in before.active if rng.random() < 0.7)

        ours: list[tuple[str, str | None, tuple[str, ...]]] = []
        for step in resolve_named(before):
            steps = confirm_named(before.me, later, frozenset(step.names)) if step.kind == "look_again" else (step,)
            ours += [(each.kind, each.leader, each.names) for each in steps]

        assert ours == patroni.named_steps(before, later), (seed, before, later)


def _random_quorum(rng: random.Random) -> QuorumState:
    pool = "abcde"[: rng.randint(1, 5)]

    def some() -> frozenset[str]:
        return frozenset(each for each in pool[1:] if rng.random() < 0.6)

    leader = "a" if rng.random() < 0.8 else rng.choice(pool)
    sync, active = some(), some()
    voters = sync if rng.random() < 0.5 else some() - {leader}
    numsync = rng.randint(0, max(len(sync), 1))
    quorum = max(len(voters) - numsync, 0) if rng.random() < 0.5 else rng.randint(0, max(len(voters), 1))
    return QuorumState(
        leader=leader,
        quorum=quorum,
        voters=voters,
        numsync=numsync,
        sync=sync,
        confirmed=rng.randint(0, len(sync)),
        active=sync if rng.random() < 0.3 else active,
        wanted=rng.randint(0, 3),
        me="a",
    )


def _random_named(rng: random.Random) -> NamedState:
    def some() -> frozenset[str]:
        return frozenset(each for each in "bcd" if rng.random() < 0.5)

    active = some()
    names = active if rng.random() < 0.5 else some()
    return NamedState(
        me="a",
        key=SyncKey(leader=rng.choice((None, "a", "a", "b")), standbys=names if rng.random() < 0.5 else some()),
        names=names,
        numsync=rng.choice((len(names), rng.randint(0, 3))),
        active=active,
        confirmed=frozenset(each for each in active if rng.random() < 0.6),
        strict=rng.random() < 0.3,
    )
