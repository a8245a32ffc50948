"""Real Patroni fails over as it was predicted, on etcd and on a real API server: kills, hangs, stores that are lost.

Each test waits for a lease of 20 seconds, the shortest that Patroni allows. One cluster serves all tests of a store;
what a test changes of its dynamic configuration it takes back.
"""

import time
from collections.abc import Iterator

import pytest

from aether_deploy.lab.patroni.cluster import PatroniCluster
from aether_deploy.lab.patroni.etcd_store import EtcdStore
from aether_deploy.lab.patroni.measuring import measure_takeover
from aether_deploy.lab.patroni.member import PatroniMember
from tests.patroni_cases import (
    FAST,
    KINDS,
    SLACK_SECS,
    WORK_SECS,
    bound_of,
    detection_secs,
    lies_in,
    store_of,
    timelines,
    under,
    wait_role,
)

pytestmark = [pytest.mark.real, pytest.mark.failover]

TTL, LOOP_WAIT, RETRY_TIMEOUT = FAST["ttl"], FAST["loop_wait"], FAST["retry_timeout"]
BLACK_HOLE_SECS = 2.0
"""How long a member waits for the answer of one that hangs, before it takes the lease."""


@pytest.fixture(scope="module", params=KINDS)
def cluster(request: pytest.FixtureRequest) -> Iterator[PatroniCluster]:
    with store_of(request.param) as store, PatroniCluster(store, dynamic=FAST) as cluster:
        cluster.wait_healthy()
        cluster.writers.start()
        yield cluster


def kill(member: PatroniMember) -> float:
    return member.kill()


# --- a leader that is gone


@pytest.mark.parametrize("share", [0.1, 0.8])
def test_a_leader_that_is_killed_is_replaced_when_its_lease_ends(cluster: PatroniCluster, share: float) -> None:
    seen = measure_takeover(cluster, kill, phase_secs=share * LOOP_WAIT)

    expected = detection_secs(cluster.store.kind, FAST, seen.phase_secs)
    assert -0.1 <= seen.detected_secs - expected <= SLACK_SECS, seen
    assert lies_in(seen.writable_secs, bound_of(cluster, "leader-killed").writable), seen
    assert seen.dual_secs == 0
    assert seen.successor != seen.victim


@pytest.mark.parametrize("mode", [True, "quorum"])
def test_no_acknowledged_row_is_lost_in_a_synchronous_mode(cluster: PatroniCluster, mode: bool | str) -> None:
    role = "quorum_standby" if mode == "quorum" else "sync_standby"
    with under(cluster, {"synchronous_mode": mode}):
        eligible = wait_role(cluster, role)

        seen = measure_takeover(cluster, kill, phase_secs=0.5 * LOOP_WAIT)

        assert seen.successor in eligible
        assert lies_in(seen.writable_secs, bound_of(cluster, "leader-killed", synchronous_mode=mode).writable), seen
        assert seen.acknowledged > 0
        assert seen.lost == 0, seen
        wait_role(cluster, role)


def test_a_member_that_hangs_is_replaced_after_the_wait_for_its_answer(cluster: PatroniCluster) -> None:
    seen = measure_takeover(cluster, lambda member: member.freeze(), phase_secs=0.5 * LOOP_WAIT)

    expected = detection_secs(cluster.store.kind, FAST, seen.phase_secs) + BLACK_HOLE_SECS
    assert -0.1 <= seen.detected_secs - expected <= SLACK_SECS, seen
    assert lies_in(seen.writable_secs, bound_of(cluster, "node-frozen").writable), seen
    assert seen.successor != seen.victim


@pytest.mark.parametrize("kind", KINDS)
def test_a_leader_that_is_cut_off_from_the_store_steps_down_before_another_leads(kind: str) -> None:
    with store_of(kind, relayed=True) as store, PatroniCluster(store, dynamic=FAST) as cluster:
        cluster.wait_healthy()
        cluster.writers.start()

        seen = measure_takeover(cluster, lambda member: cut(cluster, member), phase_secs=0.3 * LOOP_WAIT)

        bound = bound_of(cluster, "leader-off-dcs")
    assert lies_in(seen.writable_secs, bound.writable), seen
    assert seen.dual_secs == bound.dual_primary_secs == 0


def cut(cluster: PatroniCluster, leader: PatroniMember) -> float:
    cluster.store.cut(leader.name)
    return time.monotonic()


# --- a leader whose Patroni is gone while its PostgreSQL is not


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_without_a_watchdog_two_members_take_writes_when_patroni_is_gone(cluster: PatroniCluster, how: str) -> None:
    def fail(member: PatroniMember) -> float:
        return member.kill("patroni") if how == "kill" else member.freeze("patroni")

    seen = measure_takeover(cluster, fail, phase_secs=0.3 * LOOP_WAIT)

    bound = bound_of(cluster, "patroni-killed" if how == "kill" else "patroni-frozen")
    assert lies_in(seen.writable_secs, bound.writable), seen
    assert bound.dual_primary_secs is None  # it lasts until somebody ends it
    assert seen.dual_secs > 0, seen
    assert seen.lost > 0, seen


# --- a PostgreSQL that crashes while its Patroni lives


def test_a_crashed_primary_starts_again_where_it_was(cluster: PatroniCluster) -> None:
    leader, before = cluster.leader(), timelines(cluster)

    moment = leader.kill("postgres")
    first = cluster.writers.wait_written(moment, within_secs=60)
    cluster.restore()

    assert lies_in(first.at - moment, bound_of(cluster, "postgres-killed").writable, slack_secs=WORK_SECS)
    assert first.member == leader.name == cluster.leader().name
    assert timelines(cluster) == before
    assert cluster.lease.taken_after(moment) is None
    assert cluster.writers.lost(leader.name, moment) == []


def test_a_crashed_primary_is_replaced_without_waiting_if_it_may_not_start_again(cluster: PatroniCluster) -> None:
    with under(cluster, {"primary_start_timeout": 0}):
        seen = measure_takeover(cluster, lambda member: member.kill("postgres"), phase_secs=0.5 * LOOP_WAIT)

    assert seen.successor != seen.victim
    assert lies_in(seen.writable_secs, bound_of(cluster, "postgres-killed", primary_start_timeout=0).writable), seen
    assert seen.dual_secs == 0


# --- a leader that hands over


def test_a_switchover_loses_nothing_and_does_not_wait_for_the_lease(cluster: PatroniCluster) -> None:
    cluster.wait_healthy()
    leader = cluster.leader().name

    moment = cluster.switchover()
    cluster.writers.wait_written(moment, within_secs=60, not_to=leader)
    cluster.restore()

    gap = cluster.writers.longest_gap_secs(moment, time.monotonic())
    assert lies_in(gap, bound_of(cluster, "switchover").writable), gap
    assert cluster.writers.dual_secs(moment, leader) == 0
    assert cluster.leader().name != leader


def test_a_switchover_goes_to_the_candidate(cluster: PatroniCluster) -> None:
    candidate = cluster.replicas()[-1].name

    cluster.switchover(candidate)
    cluster.restore()

    assert cluster.leader().name == candidate


def test_a_leader_that_is_asked_to_end_hands_over(cluster: PatroniCluster) -> None:
    cluster.wait_healthy()
    leader = cluster.leader()
    moment = time.monotonic()

    leader.stop()
    first = cluster.writers.wait_written(moment, within_secs=60, not_to=leader.name)
    gap = cluster.writers.longest_gap_secs(moment, first.at)
    cluster.restore()

    assert first.member != leader.name
    assert lies_in(gap, bound_of(cluster, "patroni-stopped").writable), gap


# --- a replica that is gone


def test_writes_go_on_without_a_replica(cluster: PatroniCluster) -> None:
    cluster.wait_healthy()
    leader, replica = cluster.leader(), cluster.replicas()[0]

    moment = replica.kill()
    cluster.lease.next_renewal(60)
    cluster.lease.next_renewal(60)
    gap = cluster.writers.longest_gap_secs(moment, time.monotonic())
    cluster.restore()

    assert gap < LOOP_WAIT, gap
    assert cluster.leader() is leader


# --- replicas that are behind

LIMIT_BYTES = 1024 * 1024


def test_nobody_takes_over_who_is_further_behind_than_the_limit_until_a_human_says_so(cluster: PatroniCluster) -> None:
    with under(cluster, {"maximum_lag_on_failover": LIMIT_BYTES}):
        leader, candidate = cluster.leader(), cluster.replicas()[0]
        lagging = leader.freeze_senders()
        with cluster.writers.connect(leader.name) as connection:
            connection.execute("CREATE TABLE large AS SELECT repeat('x', 1000) FROM generate_series(1, 4000)")
        for _ in range(2):  # what the leader has is published once per loop
            cluster.lease.next_renewal(60)
        moment = leader.kill()
        time.sleep(TTL + 4 * LOOP_WAIT)
        alone = cluster.lease.taken_after(moment)

        candidate.rest.request("POST", "/failover", {"candidate": candidate.name})
        taken = cluster.wait_taken(moment, not_by=leader.name, within_secs=60)
        cluster.restore()

    assert lagging == len(cluster.members) - 1
    assert alone is None
    assert taken == candidate.name


# --- a store that is lost


def test_a_leader_that_lost_the_store_steps_down_before_its_lease_ends(cluster: PatroniCluster) -> None:
    cluster.wait_healthy()
    leader = cluster.leader().name

    moment = freeze_store(cluster)
    try:
        time.sleep(TTL + LOOP_WAIT)
    finally:
        cluster.store.mend()
        thawed = time.monotonic()
    first = cluster.writers.wait_written(thawed, within_secs=60)
    cluster.restore()

    until = [row for row in cluster.writers.acknowledged(moment) if row.at < thawed]
    assert {row.member for row in until} == {leader}
    bound = bound_of(cluster, "dcs-frozen")
    assert lies_in(until[-1].at - moment, bound.detect)
    assert lies_in(first.at - thawed, bound.writable)
    assert cluster.writers.lost(cluster.leader().name, moment) == []


def test_in_failsafe_mode_a_leader_goes_on_without_the_store(cluster: PatroniCluster) -> None:
    with under(cluster, {"failsafe_mode": True}):
        leader = cluster.leader().name
        moment = freeze_store(cluster)
        try:
            time.sleep(TTL + 2 * LOOP_WAIT + RETRY_TIMEOUT)
        finally:
            cluster.store.mend()
        gap = cluster.writers.longest_gap_secs(moment, time.monotonic())
        rows = cluster.writers.acknowledged(moment)
        cluster.restore()

    assert gap < RETRY_TIMEOUT, gap
    assert {row.member for row in rows} == {leader}


def test_in_failsafe_mode_a_leader_that_misses_a_member_steps_down(cluster: PatroniCluster) -> None:
    with under(cluster, {"failsafe_mode": True}):
        leader, replica = cluster.leader(), cluster.replicas()[0]
        freeze_store(cluster)
        try:
            time.sleep(LOOP_WAIT + RETRY_TIMEOUT)
            moment = replica.kill()
            time.sleep(TTL)
        finally:
            cluster.store.mend()
            thawed = time.monotonic()
        cluster.restore()

    until = [row for row in cluster.writers.acknowledged(moment) if row.at < thawed]
    assert {row.member for row in until} <= {leader.name}
    latest = LOOP_WAIT + 2 * RETRY_TIMEOUT + 2 * BLACK_HOLE_SECS + SLACK_SECS
    assert max((row.at for row in until), default=moment) - moment <= latest


def freeze_store(cluster: PatroniCluster) -> float:
    """Freeze the store just after the lease was renewed, and return when."""
    cluster.at_phase(0.2 * LOOP_WAIT)
    cluster.store.freeze()
    return time.monotonic()


@pytest.fixture(scope="module")
def on_three() -> Iterator[tuple[PatroniCluster, EtcdStore]]:
    """A cluster on an etcd of three members, which can be ended and started again."""
    with store_of("etcd3", count=3) as store, PatroniCluster(store, members=2, dynamic=FAST) as cluster:
        assert isinstance(store, EtcdStore)
        cluster.wait_healthy()
        cluster.writers.start()
        yield cluster, store


def test_a_store_that_keeps_its_quorum_is_not_missed(on_three: tuple[PatroniCluster, EtcdStore]) -> None:
    cluster, store = on_three
    leader = cluster.leader().name

    store.stop(only=1)
    moment = time.monotonic()
    time.sleep(TTL + LOOP_WAIT)
    store.start()

    assert cluster.lease.taken_after(moment) is None
    assert {row.member for row in cluster.writers.acknowledged(moment)} == {leader}
    assert cluster.writers.longest_gap_secs(moment, time.monotonic()) < LOOP_WAIT


def test_a_store_that_refuses_connections_is_lost_like_one_that_hangs(
    on_three: tuple[PatroniCluster, EtcdStore],
) -> None:
    cluster, store = on_three
    cluster.at_phase(0.2 * LOOP_WAIT)

    store.stop()
    moment = time.monotonic()
    time.sleep(TTL)
    store.start()
    started = time.monotonic()
    cluster.writers.wait_written(started, within_secs=60)
    cluster.restore()

    last = [row for row in cluster.writers.acknowledged(moment) if row.at < started][-1]
    assert lies_in(last.at - moment, bound_of(cluster, "dcs-loss").detect)
    assert cluster.writers.lost(cluster.leader().name, moment) == []
