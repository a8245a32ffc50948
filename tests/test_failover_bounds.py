"""Bounds follow from the settings, with a formula that says how."""

import json
from typing import Any

import pytest

from aether_deploy.failover.bounds import bounds
from aether_deploy.failover.faults import FAULT_NAMES, FAULT_WORDS
from aether_deploy.failover.policy import FailoverPolicy
from aether_deploy.simulation.failover.faults import FAULTS
from aether_deploy.simulation.failover.setup import FailoverSetup

DETECT = {
    # store, ttl, loop_wait, retry_timeout: best and worst time until the key of a dead leader is free
    ("kubernetes", 30, 10, 10): (20.5, 30.5),
    ("kubernetes", 20, 3, 3): (18.5, 21.5),
    ("kubernetes", 20, 2, 3): (18.5, 20.5),
    ("etcd3", 30, 10, 10): (20.0, 30.5),
    ("etcd3", 20, 2, 3): (18.0, 20.5),
    ("etcd3", 20, 10, 5): (10.0, 20.5),
    ("raft", 30, 10, 10): (20.0, 30.05),
    ("raft", 20, 1, 3): (19.0, 20.05),
}


@pytest.mark.parametrize("case", DETECT, ids=str)
def test_a_dead_leader_is_noticed_when_its_key_is_over(case: tuple[Any, int, int, int]) -> None:
    dcs, ttl, loop_wait, retry_timeout = case
    policy = FailoverPolicy(ttl=ttl, loop_wait=loop_wait, retry_timeout=retry_timeout)

    detect = bounds(policy, dcs=dcs).of("leader-killed").detect

    assert detect is not None
    assert (detect.best, detect.worst) == DETECT[case]
    assert detect.best < detect.mean < detect.worst


def test_a_machine_that_answers_nothing_costs_two_seconds_more() -> None:
    policy = FailoverPolicy()

    gone = bounds(policy, black_hole=True).of("node-loss").writable
    refusing = bounds(policy, black_hole=False).of("node-loss").writable

    assert gone is not None
    assert refusing is not None
    assert gone.mean - refusing.mean == pytest.approx(2.0)


def test_a_shorter_pause_makes_a_failover_slower_on_average() -> None:
    long = bounds(FailoverPolicy(ttl=20, loop_wait=10, retry_timeout=5), dcs="etcd3").of("leader-killed").writable
    short = bounds(FailoverPolicy(ttl=20, loop_wait=1, retry_timeout=5), dcs="etcd3").of("leader-killed").writable

    assert long is not None
    assert short is not None
    assert short.mean - long.mean == pytest.approx(4.5)
    assert short.worst == pytest.approx(long.worst)


def test_a_crashed_primary_starts_in_place_unless_it_may_not() -> None:
    patient = bounds(FailoverPolicy()).of("postgres-killed")
    hasty = bounds(FailoverPolicy(primary_start_timeout=0)).of("postgres-killed")

    assert "at most 320 s until then" in patient.note
    assert patient.loss == "nothing"
    assert hasty.writable is not None
    assert (hasty.writable.best, hasty.writable.worst) == pytest.approx((0.35, 12.3))
    assert hasty.loss_bytes == 1_048_576


def test_a_switchover_does_not_depend_on_the_settings() -> None:
    slow = bounds(FailoverPolicy(ttl=120, loop_wait=30, retry_timeout=20)).of("switchover").writable
    quick = bounds(FailoverPolicy(ttl=20, loop_wait=1, retry_timeout=3)).of("switchover").writable

    assert slow == quick
    assert quick is not None
    assert 2.2 < quick.best < 2.44 < quick.worst < 3


def test_a_leader_without_the_store_steps_down_within_its_ttl() -> None:
    for ttl, loop_wait, retry_timeout in ((30, 10, 10), (20, 10, 5), (21, 1, 10)):
        policy = FailoverPolicy(ttl=ttl, loop_wait=loop_wait, retry_timeout=retry_timeout)

        detect = bounds(policy).of("dcs-loss").detect

        assert detect is not None
        assert detect.worst == loop_wait + 2 * retry_timeout <= ttl


def test_failsafe_mode_needs_every_member() -> None:
    found = bounds(FailoverPolicy(failsafe_mode=True))

    assert found.of("dcs-loss").writable is None
    assert "reaches every member" in found.of("dcs-loss").formula
    assert found.of("dcs-and-replica-loss").writable is not None
    # It asks for four seconds before it steps down, and nobody reckoned with these.
    assert found.of("leader-cut-off").dual_primary_secs == 4.0
    assert bounds(FailoverPolicy()).of("leader-cut-off").dual_primary_secs == 0.0


LOSSES: dict[str, tuple[dict[str, Any], str, tuple[int | None, float | None]]] = {
    "asynchronous": ({}, "node-loss", (1_048_576, 10.0)),
    "asynchronous, cut off": ({}, "leader-cut-off", (1_048_576, 30.0)),
    "asynchronous, two primaries": ({}, "patroni-frozen", (None, None)),
    "asynchronous, without the store": ({}, "dcs-frozen", (0, 0.0)),
    "asynchronous, without the store, reset by its watchdog": (
        {"watchdog": "required"},
        "dcs-frozen",
        (1_048_576, 25.0),
    ),
    "asynchronous, without store and replica, reset by its watchdog": (
        {"watchdog": "required", "failsafe_mode": True},
        "dcs-and-replica-loss",
        (None, None),
    ),
    "asynchronous, failsafe, reset by its watchdog": (
        {"watchdog": "required", "failsafe_mode": True},
        "dcs-loss",
        (None, None),
    ),
    "asynchronous, without the store, before its watchdog": (
        {"watchdog": "required", "ttl": 40},
        "dcs-loss",
        (0, 0.0),
    ),
    "by quorum, reset by its watchdog": (
        {"watchdog": "required", "synchronous_mode": "quorum"},
        "dcs-frozen",
        (0, 0.0),
    ),
    "asynchronous, two primaries prevented": ({"watchdog": "required"}, "patroni-frozen", (1_048_576, 10.0)),
    "by name": ({"synchronous_mode": True}, "node-loss", (0, 0.0)),
    "by name, two primaries": ({"synchronous_mode": True}, "patroni-frozen", (0, 0.0)),
    "by quorum": ({"synchronous_mode": "quorum"}, "leader-cut-off", (0, 0.0)),
    "by quorum, two primaries": ({"synchronous_mode": "quorum"}, "patroni-frozen", (0, 0.1)),
}


@pytest.mark.parametrize("case", LOSSES)
def test_what_may_be_lost_follows_from_the_mode(case: str) -> None:
    given, failure, expected = LOSSES[case]

    row = bounds(FailoverPolicy(**given)).of(failure)

    assert (row.loss_bytes, row.loss_secs) == expected


def test_two_primaries_last_until_somebody_ends_them_and_a_watchdog_prevents_them() -> None:
    assert bounds(FailoverPolicy()).of("patroni-killed").dual_primary_secs is None
    assert bounds(FailoverPolicy(), repair_secs=60).of("patroni-killed").dual_primary_secs == 39.5
    assert bounds(FailoverPolicy(watchdog="required")).of("patroni-killed").dual_primary_secs == 0.0


def test_a_strict_cluster_of_two_is_stopped_by_the_loss_of_either() -> None:
    policy = FailoverPolicy(synchronous_mode=True, synchronous_mode_strict=True)

    found = bounds(policy, members=2)

    assert [found.of(failure).fate for failure in ("node-loss", "leader-killed", "replica-loss")] == ["stopped"] * 3
    assert found.of("postgres-killed").fate == "back"


REPLICAS: dict[str, tuple[dict[str, Any], str, str]] = {
    "asynchronous": ({}, "kubernetes", "replicas are not waited for"),
    "by quorum": ({"synchronous_mode": "quorum"}, "kubernetes", "enough other replicas acknowledge"),
    "by name, in Kubernetes": (
        {"synchronous_mode": True},
        "kubernetes",
        "wal_sender_timeout 60 + 0..10 (next loop)",
    ),
    "by name, in etcd": ({"synchronous_mode": True}, "etcd3", "ttl 30 of its member key + 0..10 (next loop)"),
}


@pytest.mark.parametrize("case", REPLICAS)
def test_a_lost_replica_stops_writes_that_wait_for_it(case: str) -> None:
    given, dcs, formula = REPLICAS[case]

    assert bounds(FailoverPolicy(**given), dcs=dcs).of("replica-loss").formula == formula  # type: ignore[arg-type]


def test_bounds_simulations_and_words_know_the_same_faults() -> None:
    assert sorted(row.failure for row in bounds(FailoverPolicy()).rows) == sorted(FAULT_NAMES)
    assert tuple(FAULTS) == tuple(FAULT_WORDS) == FAULT_NAMES


def test_formulas_have_the_numbers_in_them() -> None:
    found = bounds(FailoverPolicy(ttl=40, loop_wait=7, retry_timeout=11), dcs="etcd3")

    assert found.of("node-loss").formula == "ttl 40 - φ + 0..0.5 + 2 (no answer) + race + promotion"
    assert found.of("dcs-loss").formula.startswith("steps down after 0..7 (next loop) + up to 2 x 11 (retries)")
    assert all(row.source.startswith("Patroni") for row in found.rows)


def test_bounds_are_a_table_for_people_and_values_for_machines() -> None:
    found = bounds(FailoverPolicy(ttl=20, loop_wait=2, retry_timeout=3), dcs="etcd3")

    lines = found.to_text().splitlines()
    values = found.to_values()

    assert [line.split("  ")[0] for line in lines[1 : 1 + len(found.rows)]] == [row.failure for row in found.rows]
    assert json.loads(json.dumps(values)) == values
    assert values[1]["writable"] == {"best": 18.06, "mean": 19.38, "worst": 20.85}


def test_a_slip_in_a_name_is_answered_with_what_is_near() -> None:
    with pytest.raises(ValueError, match="no store is named 'etcd'; did you mean 'etcd3'"):
        bounds(FailoverPolicy(), dcs="etcd")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="stores are etcd3, kubernetes, raft"):
        bounds(FailoverPolicy(), dcs="zzz")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no fault is named 'nodeloss'; did you mean 'node-loss'"):
        bounds(FailoverPolicy()).of("nodeloss")
    with pytest.raises(ValueError, match="no store is named 'etcd'"):
        FailoverSetup(policy=FailoverPolicy(), store="etcd")  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", [None, {"ttl": 30}], ids=repr)
def test_what_is_no_policy_or_no_number_is_told(policy: Any) -> None:
    with pytest.raises(TypeError, match="and no FailoverPolicy"):
        bounds(policy)
    with pytest.raises(TypeError, match="members is '3', and no whole number"):
        bounds(FailoverPolicy(), members="3")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no fault is named None; "):
        bounds(FailoverPolicy()).of(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no store is named None; "):
        bounds(FailoverPolicy(), dcs=None)  # type: ignore[arg-type]


def test_a_single_member_has_nobody_to_fail_over_to() -> None:
    with pytest.raises(ValueError, match="1 member has nobody to fail over to"):
        bounds(FailoverPolicy(), members=1)
