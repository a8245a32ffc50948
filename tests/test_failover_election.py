"""Who may lead: the rules of an election, told as cases, and held against Patroni's own code."""

import random
from typing import Any

import pytest

from aether_deploy.failover.election import (
    candidates_for_failover,
    decide_alone,
    decide_candidacy,
    failover_possible,
    members_to_ask,
)
from aether_deploy.failover.seen import FailoverKey, Known, Peer, RaceView, SyncKey, failover_tags, known
from tests.patroni_oracle import Patroni

NAMES = ("a", "b", "c", "d")
A_REPLICA = RaceView(me="b", lsn=1000, timeline=1, optime=1000, members=known("abc"), former_leader="a")
ALL_EQUAL = {name: Peer(name=name, lsn=1000, timeline=1) for name in "ac"}


def peers(**said: Any) -> dict[str, Peer]:
    return {name: Peer(name=name, **{"lsn": 1000, "timeline": 1, **each}) for name, each in said.items()}


GONE = {"reachable": False, "in_recovery": None, "lsn": 0}
SYNC = SyncKey(leader="a", standbys=frozenset("b"))
QUORUM = SyncKey(leader="a", standbys=frozenset("bc"), quorum=1)
CASES: dict[str, tuple[dict[str, Any], dict[str, Peer], tuple[bool, str]]] = {
    "as far as anybody": ({}, ALL_EQUAL, (True, "healthiest")),
    "nobody answers": ({}, {}, (True, "healthiest")),
    "a primary still answers": ({}, peers(a={"in_recovery": False}), (False, "primary-alive")),
    "another is ahead": ({}, peers(c={"lsn": 1001}), (False, "peer-ahead")),
    "who is ahead may not lead": ({}, peers(c={"lsn": 1001, "nofailover": True}), (True, "healthiest")),
    "who is ahead has no watchdog": ({}, peers(c={"lsn": 1001, "watchdog_failed": True}), (True, "healthiest")),
    "another has priority": ({}, peers(c={"priority": 2}), (False, "priority")),
    "another has priority and less WAL": ({}, peers(c={"priority": 2, "lsn": 999}), (True, "healthiest")),
    "the former leader has priority": ({}, peers(a={"priority": 2}), (True, "healthiest")),
    "the former synchronous leader is ahead": (
        {"synchronous": True, "sync": SYNC},
        peers(a={"lsn": 2000}),
        (True, "healthiest"),
    ),
    "as far behind as is allowed": ({"maximum_lag": 5, "lsn": 995}, {}, (True, "healthiest")),
    "a byte more": ({"maximum_lag": 5, "lsn": 994}, {}, (False, "lag")),
    "lag 1 against optime 10 with a limit of 5": ({"maximum_lag": 5, "lsn": 1, "optime": 10}, {}, (False, "lag")),
    "a primary on the last timeline": (
        {"role": "primary", "timeline": 3, "cluster_timeline": 3},
        {},
        (True, "running-primary"),
    ),
    "a primary that another succeeded": (
        {"role": "primary", "timeline": 2, "cluster_timeline": 3},
        {},
        (False, "stale-primary"),
    ),
    "a primary in recovery of its own": ({"role": "starting"}, {}, (False, "starting")),
    "the tag forbids it": ({"nofailover": True}, {}, (False, "nofailover")),
    "the cluster is paused": ({"paused": True}, {}, (False, "paused")),
    "no watchdog where one is required": ({"watchdog_usable": False}, {}, (False, "watchdog")),
    "the last leader did not know it": ({"failsafe_mode": True, "failsafe": frozenset("ac")}, {}, (False, "failsafe")),
    "the last leader knew it": ({"failsafe_mode": True, "failsafe": frozenset("ab")}, {}, (True, "healthiest")),
    "not synchronous": ({"me": "c", "synchronous": True, "sync": SYNC}, {}, (False, "not-synchronous")),
    "no longer a synchronous mode": ({"me": "c", "sync": SYNC}, {}, (True, "healthiest")),
    "an older timeline, unchecked": ({"cluster_timeline": 2}, {}, (True, "healthiest")),
    "an older timeline": ({"cluster_timeline": 2, "check_timeline": True}, {}, (False, "timeline")),
    "an unknown timeline": ({"timeline": None, "cluster_timeline": 2, "check_timeline": True}, {}, (False, "timeline")),
    "a vote is missing": ({"synchronous": "quorum", "sync": QUORUM}, {}, (False, "quorum")),
    "a vote is there": ({"synchronous": "quorum", "sync": QUORUM}, peers(c={}), (True, "quorum")),
    "a voter without PostgreSQL is no vote": (
        {"synchronous": "quorum", "sync": QUORUM},
        peers(c={"lsn": 0}),
        (False, "quorum"),
    ),
    "a voter that may not lead is no vote": (
        {"synchronous": "quorum", "sync": QUORUM},
        peers(c={"nofailover": True}),
        (False, "quorum"),
    ),
    "no voter itself": ({"me": "d", "synchronous": "quorum", "sync": QUORUM}, peers(b={}), (False, "quorum")),
    "no voter itself, and two votes": (
        {"me": "d", "synchronous": "quorum", "sync": QUORUM},
        peers(b={}, c={}),
        (True, "quorum"),
    ),
    "the former leader alone": ({"me": "a", "synchronous": "quorum", "sync": QUORUM}, {}, (True, "former-leader")),
    "its script failed just now": ({"released_secs_ago": 29.0}, {}, (False, "backoff")),
    "its script failed long ago": ({"released_secs_ago": 30.0}, {}, (True, "healthiest")),
    "asked for, however far behind": (
        {"lsn": 1, "optime": 10**9, "failover": FailoverKey(candidate="b")},
        ALL_EQUAL,
        (True, "requested"),
    ),
    "another was asked for": ({"failover": FailoverKey(candidate="c")}, ALL_EQUAL, (False, "requested")),
    "another was asked for and is gone": (
        {"failover": FailoverKey(candidate="c")},
        peers(c=GONE),
        (True, "healthiest"),
    ),
    "asked for in a pause": ({"paused": True, "failover": FailoverKey(candidate="b")}, {}, (True, "requested")),
    "a switchover to anybody": ({"failover": FailoverKey(leader="a")}, ALL_EQUAL, (True, "healthiest")),
    "stepped down for another": (
        {"me": "a", "failover": FailoverKey(leader="a")},
        peers(b={}),
        (False, "stepped-down"),
    ),
    "stepped down, and nobody can": ({"me": "a", "failover": FailoverKey(leader="a")}, {}, (True, "alone")),
}


@pytest.mark.parametrize("case", CASES)
def test_a_member_decides_when_it_is(case: str) -> None:
    changes, said, (may_lead, rule) = CASES[case]
    view = _changed(changes)

    verdict = decide_candidacy(view, said)

    assert (verdict.may_lead, verdict.rule) == (may_lead, rule), verdict.reason


def test_a_verdict_says_the_numbers_it_went_by() -> None:
    verdict = decide_candidacy(_changed({"lsn": 1, "optime": 3_317_393}), {})

    assert verdict.reason == "it is 3317392 bytes behind the last leader, and the limit is 1048576"


def test_with_synchronous_replicas_only_they_and_the_leader_are_asked() -> None:
    assert members_to_ask(A_REPLICA) == ("a", "c")
    assert members_to_ask(_changed({"synchronous": True, "sync": SYNC})) == ("a",)


def test_members_that_are_gone_from_the_store_are_still_asked() -> None:
    view = _changed({"members": known("bc"), "former_members": known("abc")})

    assert set(members_to_ask(view)) == {"a", "c"}


def test_who_may_never_lead_is_asked_only_for_a_vote() -> None:
    members = (Known(name="a"), Known(name="b"), Known(name="c", nofailover=True))

    assert members_to_ask(_changed({"members": members})) == ("a",)
    assert set(members_to_ask(_changed({"members": members, "synchronous": "quorum", "sync": QUORUM}))) == {"a", "c"}


TAGS: dict[str, tuple[dict[str, Any], tuple[bool, int]]] = {
    "none": ({}, (False, 1)),
    "priority 0": ({"failover_priority": 0}, (True, 0)),
    "priority 2": ({"failover_priority": "2"}, (False, 2)),
    "nofailover": ({"nofailover": True}, (True, 0)),
    "a contradiction: nofailover false wins": ({"nofailover": False, "failover_priority": 0}, (False, 0)),
    "a contradiction: nofailover true wins": ({"nofailover": True, "failover_priority": 1}, (True, 0)),
    "no number": ({"failover_priority": "high"}, (False, 1)),
}


@pytest.mark.parametrize("case", TAGS)
def test_tags_say_who_may_never_lead(case: str) -> None:
    tags, expected = TAGS[case]

    assert failover_tags(tags) == expected


# --- Patroni itself


@pytest.fixture(scope="module")
def patroni() -> Patroni:
    return Patroni()


@pytest.mark.real
@pytest.mark.parametrize("case", CASES)
def test_patroni_decides_the_same_when_it_is(case: str, patroni: Patroni) -> None:
    changes, said, (may_lead, _) = CASES[case]

    assert patroni.may_lead(_changed(changes), said) is may_lead


@pytest.mark.real
@pytest.mark.parametrize("case", TAGS)
def test_patroni_reads_tags_the_same(case: str, patroni: Patroni) -> None:
    assert patroni.member_tags(TAGS[case][0]) == TAGS[case][1]


@pytest.mark.real
def test_patroni_decides_the_same_in_thousands_of_random_situations(patroni: Patroni) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    seen: dict[str, int] = {}
    for _ in range(6000):
        view, said = _random_view(rng), _random_peers(rng)

        verdict = decide_candidacy(view, said)

        assert verdict.may_lead is patroni.may_lead(view, said), (seed, view, said, verdict)
        early = decide_alone(view)
        assert early in (None, verdict), (seed, view)
        seen[verdict.rule] = seen.get(verdict.rule, 0) + 1
    assert {rule for _, _, (_, rule) in CASES.values()} <= seen.keys()


@pytest.mark.real
def test_patroni_lets_go_of_the_key_in_the_same_random_situations(patroni: Patroni) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng, answers = random.Random(seed), set()
    for _ in range(6000):
        view, said = _random_view(rng), _random_peers(rng)
        lsn, exclude = rng.choice((0, 0, 5, 9)), rng.random() < 0.3

        verdict = failover_possible(view, said, cluster_lsn=lsn, exclude_candidate=exclude)

        theirs = patroni.failover_possible(view, said, cluster_lsn=lsn, exclude_candidate=exclude)
        assert verdict.may_lead is theirs, (seed, view, said, verdict)
        answers.add((verdict.may_lead, bool(candidates_for_failover(view, exclude_candidate=exclude))))
    assert answers == {(True, True), (False, True), (False, False)}


def _changed(changes: dict[str, Any]) -> RaceView:
    fields = {name: getattr(A_REPLICA, name) for name in RaceView.__struct_fields__}
    return RaceView(**{**fields, **changes})


def _random_view(rng: random.Random) -> RaceView:
    def some(share: float = 0.7) -> tuple[Known, ...]:
        return tuple(Known(name=name, nofailover=rng.random() < 0.15) for name in NAMES if rng.random() < share)

    def names(share: float = 0.5) -> frozenset[str]:
        return frozenset(name for name in NAMES if rng.random() < share)

    leader = rng.choice((None, *NAMES))
    asked = FailoverKey(
        leader=rng.choice((None, *NAMES)), candidate=rng.choice((None, *NAMES)), scheduled=rng.random() < 0.1
    )
    synchronous: Any = rng.choice((False, True, "quorum"))
    return RaceView(
        me=rng.choice(NAMES),
        role=rng.choice(("replica",) * 8 + ("primary", "starting")),
        lsn=rng.randint(0, 10),
        timeline=rng.choice((1, 2, 3, 3, None)),
        nofailover=rng.random() < 0.1,
        priority=rng.choice((1, 1, 2)),
        watchdog_usable=rng.random() < 0.9,
        same_system=rng.random() < 0.7,
        released_secs_ago=rng.choice((None,) * 8 + (0.5, 29.5, 30.5)),
        optime=rng.randint(0, 12),
        cluster_timeline=rng.choice((0, 1, 2, 3)),
        maximum_lag=rng.choice((0, 3, 1_048_576)),
        check_timeline=rng.random() < 0.3,
        synchronous=synchronous,
        standby_cluster=synchronous is False and rng.random() < 0.1,
        paused=rng.random() < 0.15,
        failsafe_mode=rng.random() < 0.3,
        failsafe=rng.choice((None, names(0.8))),
        sync=SyncKey(leader=leader, standbys=names() - {leader or ""}, quorum=rng.randint(0, 2)),
        failover=asked if rng.random() < 0.25 else None,
        members=some(),
        former_members=some(),
        former_leader=rng.choice((None, *NAMES)),
    )


def _random_peers(rng: random.Random) -> dict[str, Peer]:
    return {
        name: Peer(
            name=name,
            in_recovery=rng.random() < 0.9,
            lsn=rng.randint(0, 10),
            timeline=rng.randint(0, 3),
            nofailover=rng.random() < 0.1,
            priority=rng.choice((1, 1, 2)),
            watchdog_failed=rng.random() < 0.1,
        )
        for name in NAMES
        if rng.random() < 0.8
    }
