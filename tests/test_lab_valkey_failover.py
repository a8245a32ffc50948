"""Real nodes lose zones, addresses and files, and do as predicted. Each test prints both."""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from aether_deploy.infrastructure.valkey.survival import Fate, fate_of, second_losses, shape_of
from aether_deploy.infrastructure.valkey.timing import HANDOVER, failover_secs
from aether_deploy.infrastructure.valkey.views import fields_in
from aether_deploy.jobs.valkey_protocol import Connection, NoAnswer, Refused, Reply
from aether_deploy.lab.valkey.cluster import PASSWORD, ValkeyCluster
from aether_deploy.lab.valkey.sessions import SessionWriter, missing_of
from aether_deploy.problems import EffectError
from tests.test_lab_valkey import NODE_TIMEOUT_MS, PLANNED, SLACK_SECS, booted, made

pytestmark = [pytest.mark.real, pytest.mark.failover]

SPAN = failover_secs(NODE_TIMEOUT_MS)
# A write is acknowledged before replicas have it: what was on its way when the primary ended is lost.
ON_ITS_WAY_SECS = 1.0


@pytest.fixture
def cluster() -> Iterator[ValkeyCluster]:
    """A cluster as planned, with a few sessions in every shard."""
    with booted() as nodes:
        yield made(nodes)


def predicted(cluster: ValkeyCluster, *zones: str) -> Fate:
    return fate_of(shape_of(cluster.config, cluster.region), zones)


def lose(cluster: ValkeyCluster, zone: str, shard: int) -> tuple[float, SessionWriter]:
    """Lose a zone while a client writes to a shard; return how long that took no writes, and the client."""
    with SessionWriter(cluster, shard) as writer:
        time.sleep(0.5)
        cluster.kill(*cluster.pods(zone))
        writer.wait_for_write(time.monotonic(), SPAN.worst + 30)
        writer.wait_for_write(time.monotonic(), 30)
    return writer.longest_gap_secs, writer


def back(cluster: ValkeyCluster, zone: str) -> None:
    """Bring a zone back, and wait until its nodes follow."""
    cluster.start(*cluster.pods(zone))
    cluster.wait_until(lambda: len(cluster.look()) == len(cluster.places), 60, "all answer")
    cluster.wait_until(lambda: _followers(cluster) == 3, 60, "replicas have everything")


def _followers(cluster: ValkeyCluster) -> int:
    return sum(seen.synced for seen in cluster.look().values())


def _all_serve(cluster: ValkeyCluster) -> bool:
    views = cluster.look().values()
    return len(views) == len(cluster.places) and all(seen.serves and (seen.me.slots or seen.synced) for seen in views)


def stays_down(cluster: ValkeyCluster, shards: int, secs: float) -> bool:
    """Return whether for so long never more than ``shards`` shards have a primary that holds the cluster fit."""
    deadline = time.monotonic() + secs
    while time.monotonic() < deadline:
        if sum(bool(seen.me.slots) and seen.serves for seen in cluster.look().values()) > shards:
            return False
        time.sleep(0.2)
    return True


@pytest.mark.parametrize("zone, shard", [("us-a", 0), ("us-b", 1), ("us-c", 2)])
def test_the_loss_of_a_zone_is_recovered_from_in_the_predicted_time(
    cluster: ValkeyCluster, zone: str, shard: int
) -> None:
    fate = predicted(cluster, zone)
    other = (shard + 2) % 3
    with SessionWriter(cluster, other) as bystander:
        gap, writer = lose(cluster, zone, shard)
    lost = missing_of(cluster, writer.written)
    print(f"zone {zone} lost: shard {shard} took no writes for {gap:.2f} s, predicted {SPAN.range_text(' to ')}")
    print(f"{len(lost)} of {len(writer.written)} sessions lost; shard {other}: {bystander.longest_gap_secs:.2f} s")

    assert fate.survives
    assert fate.promoted == (shard,)
    assert gap <= SPAN.worst + SLACK_SECS
    assert cluster.primaries()[shard] == cluster.pod(shard, 1)
    assert bystander.longest_gap_secs < SPAN.best
    assert missing_of(cluster, bystander.written) == []
    ended = max(each.at for each in writer.written if each.at < writer.written[-1].at - gap / 2)
    assert all(abs(each.at - ended) < gap + ON_ITS_WAY_SECS for each in lost)
    assert len(lost) < len(writer.written) / 10


def test_after_a_zone_was_back_a_second_loss_stops_the_cluster(cluster: ValkeyCluster) -> None:
    lose(cluster, "us-a", 0)
    back(cluster, "us-a")
    assert cluster.primaries() == {0: "sessions-us-b-1", 1: "sessions-us-b-0", 2: "sessions-us-c-0"}
    assert "us-b" in second_losses(shape_of(cluster.config, cluster.region), "us-a")

    cluster.kill(*cluster.pods("us-b"))
    time.sleep(SPAN.worst + SLACK_SECS)

    assert stays_down(cluster, 0, 2 * SPAN.worst)
    print(f"second loss without the Job: no shard serves for {3 * SPAN.worst + SLACK_SECS:.1f} s, predicted: none ever")


def test_with_the_job_in_between_the_second_loss_is_recovered_from(cluster: ValkeyCluster) -> None:
    lose(cluster, "us-a", 0)
    back(cluster, "us-a")
    done = cluster.reconcile()
    gap, writer = lose(cluster, "us-b", 1)
    print(f"second loss after the Job: {gap:.2f} s, predicted {SPAN.range_text(' to ')}")

    assert done.stdout == "sessions-us-a-0: takes slots 0-5460 back from sessions-us-b-1\nok   as planned\n"
    assert gap <= SPAN.worst + SLACK_SECS
    assert len(missing_of(cluster, writer.written)) < len(writer.written) / 10


def test_all_addresses_changing_at_a_time_is_healed_by_the_job_only(cluster: ValkeyCluster) -> None:
    before = {pod: seen.me.id for pod, seen in cluster.look().items()}
    cluster.kill(*cluster.pods())
    cluster.move(*cluster.pods())
    cluster.start(*cluster.pods())
    cluster.wait_until(lambda: len(cluster.look()) == 6, 60, "all answer")
    time.sleep(SPAN.worst)
    alone = stays_down(cluster, 0, 2 * SPAN.worst)
    begun = time.monotonic()
    done = cluster.reconcile()
    print(
        f"all addresses changed: down without the Job: {alone}; with it as planned in {time.monotonic() - begun:.2f} s"
    )

    assert alone
    assert done.returncode == 0, done.stdout
    assert "meets" in done.stdout
    assert {pod: seen.me.id for pod, seen in cluster.look().items()} == before
    assert cluster.primaries() == PLANNED
    assert cluster.is_planned()


def test_one_address_that_changes_heals_by_itself(cluster: ValkeyCluster) -> None:
    pod = cluster.pod(0, 1)
    cluster.kill(pod)
    cluster.move(pod)
    cluster.start(pod)
    secs = cluster.wait_until(lambda: cluster.is_planned(), 30, "all as planned")
    print(f"one address changed: as planned after {secs:.2f} s, without the Job")

    assert cluster.reconcile().stdout == "ok   as planned\n"


def test_a_primary_that_is_back_at_once_lets_its_replica_take_over(cluster: ValkeyCluster) -> None:
    with SessionWriter(cluster, 0) as writer:
        time.sleep(1.0)
        cluster.kill(PLANNED[0])
        kept = list(writer.written)
        cluster.start(PLANNED[0])
        cluster.wait_until(lambda: len(cluster.look()) == 6, 60, "it is back")
        writer.wait_for_write(time.monotonic(), 30)
    lost = missing_of(cluster, kept)
    print(f"killed and started at once, with the pause: {len(lost)} of {len(kept)} sessions lost")

    assert cluster.primaries()[0] == cluster.pod(0, 1)
    assert len(lost) < len(kept) / 10


def test_without_that_pause_all_sessions_of_the_shard_are_lost(cluster: ValkeyCluster) -> None:
    script = cluster.places[PLANNED[0]].folder / "start.sh"
    script.write_text(script.read_text("utf-8").replace('sleep "$RETURN_PAUSE_SECS"', "sleep 0"), "utf-8")
    with SessionWriter(cluster, 0) as writer:
        time.sleep(1.0)
        cluster.kill(PLANNED[0])
        kept = list(writer.written)
        cluster.start(PLANNED[0])
        cluster.wait_until(lambda: cluster.is_planned(), 60, "all as before")
    lost = missing_of(cluster, kept)
    print(f"killed and started at once, without the pause: {len(lost)} of {len(kept)} sessions lost")

    assert len(lost) == len(kept)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same-address", "other-address"])
def test_a_primary_that_lost_its_volume_is_replaced_and_gets_its_slots_back(
    cluster: ValkeyCluster, elsewhere: bool
) -> None:
    old = cluster.look()[PLANNED[0]].me.id
    with SessionWriter(cluster, 0) as writer:
        time.sleep(0.5)
        cluster.kill(PLANNED[0])
        cluster.lose_files(PLANNED[0])
        if elsewhere:
            cluster.move(PLANNED[0])
        cluster.start(PLANNED[0])
        writer.wait_for_write(time.monotonic(), SPAN.worst + 30)
    done = cluster.reconcile()

    assert done.returncode == 0, done.stdout
    assert f"forgets {old[:8]}" in done.stdout
    assert cluster.primaries() == PLANNED
    assert cluster.is_planned()
    assert len(missing_of(cluster, writer.written)) < len(writer.written) / 10
    assert all(old not in seen.peers for seen in cluster.look().values())


def test_slots_of_a_shard_without_any_copy_are_given_again_and_others_keep_theirs(cluster: ValkeyCluster) -> None:
    with SessionWriter(cluster, 1) as bystander:
        pods = [cluster.pod(0), cluster.pod(0, 1)]
        cluster.kill(*pods)
        cluster.lose_files(*pods)
        cluster.start(*pods)
        cluster.wait_until(lambda: len(cluster.look()) == 6, 30, "all answer")
        done = cluster.reconcile(wait_secs=90)

    assert done.returncode == 0, done.stdout
    assert cluster.primaries() == PLANNED
    assert missing_of(cluster, bystander.written) == []


def test_an_only_copy_takes_over_however_long_votes_were_missing(cluster: ValkeyCluster) -> None:
    heir = cluster.pod(1, 1)
    with SessionWriter(cluster, 1) as writer:
        time.sleep(1.0)
    cluster.wait_until(lambda: cluster.call(heir, "DBSIZE") == cluster.call(PLANNED[1], "DBSIZE"), 10, "it has all")
    cluster.kill(*cluster.pods("us-a"), *cluster.pods("us-b"))
    # By default a replica gives up after ten node timeouts and the pause between two pings, which is 10 s.
    time.sleep(10 * NODE_TIMEOUT_MS / 1000 + 10 + SLACK_SECS)
    cluster.start(*cluster.pods("us-a"))
    secs = cluster.wait_until(lambda: cluster.primaries().get(1) == heir, 60, "the only copy takes over")
    lost = missing_of(cluster, writer.written)
    print(f"two zones lost for long, one back: taken over after {secs:.1f} s, {len(lost)} sessions lost")

    assert writer.written
    assert lost == []


def test_with_a_zone_away_the_job_does_what_it_can_and_says_what_is_missing(cluster: ValkeyCluster) -> None:
    gap, writer = lose(cluster, "us-a", 0)
    done = cluster.reconcile(wait_secs=20)

    assert done.returncode == 1
    assert "FAIL sessions-us-a-0 does not answer" in done.stdout
    assert "FAIL sessions-us-a-1 does not answer" in done.stdout
    assert cluster.primaries()[0] == cluster.pod(0, 1)
    assert len(missing_of(cluster, writer.written)) < len(writer.written) / 10
    assert gap <= SPAN.worst + SLACK_SECS


def test_a_frozen_primary_is_replaced_and_follows_when_it_thaws(cluster: ValkeyCluster) -> None:
    with SessionWriter(cluster, 0) as writer:
        time.sleep(0.5)
        cluster.signal(signal.SIGSTOP, PLANNED[0])
        writer.wait_for_write(time.monotonic() + 0.5, SPAN.worst + 30)
        writer.wait_for_write(time.monotonic(), 30)
    cluster.signal(signal.SIGCONT, PLANNED[0])
    print(f"frozen: gap {writer.longest_gap_secs:.2f} s, predicted {SPAN.range_text(' to ')}")
    cluster.wait_until(lambda: cluster.look()[PLANNED[0]].synced, 30, "it follows")

    assert writer.longest_gap_secs <= SPAN.worst + SLACK_SECS
    assert cluster.reconcile().returncode == 0
    assert cluster.is_planned()


def test_all_nodes_restart_as_the_runbook_says_and_no_session_is_lost(cluster: ValkeyCluster) -> None:
    text = cluster.config.runbooks(cluster.estate)["sessions.md"]
    order = re.findall(r"^restart us (\S+) &&$", text, re.MULTILINE)
    with ExitStack() as stack:
        writers = [stack.enter_context(SessionWriter(cluster, shard)) for shard in range(3)]
        for pod in order:
            cluster.stop(pod)
            cluster.start(pod)
            cluster.wait_until(lambda pod=pod: _is_back(cluster, pod), 60, f"{pod} follows")  # type: ignore[misc]
        done = cluster.reconcile()
    gaps = [writer.longest_gap_secs for writer in writers]
    written = [each for writer in writers for each in writer.written]
    print(f"restarted {len(order)} nodes: gaps {', '.join(f'{gap:.2f}' for gap in gaps)} s, {HANDOVER} predicted")

    assert sorted(order) == sorted(cluster.pods())
    assert done.returncode == 0, done.stdout
    assert cluster.is_planned()
    assert missing_of(cluster, written) == []
    assert max(gaps) <= HANDOVER.worst + SLACK_SECS


def test_a_password_is_changed_node_by_node_and_no_session_is_lost(cluster: ValkeyCluster) -> None:
    new = 'another "word'
    for pod in cluster.pods():
        cluster.call(pod, "ACL", "SETUSER", "default", f">{new}")
    for pod in cluster.pods():
        cluster.call(pod, "CONFIG", "SET", "primaryauth", new)
    with SessionWriter(cluster, 0) as writer:
        time.sleep(0.5)
    cluster.password_file.write_text(new + "\n", "utf-8")
    assert cluster.reconcile().stdout == "ok   as planned\n"
    for pod in sorted(cluster.pods(), key=lambda pod: cluster.places[pod].node.copy == 0):
        cluster.stop(pod)
        cluster.start(pod)
        cluster.wait_until(lambda pod=pod: _lets_in(cluster, pod, new), 60, f"{pod} is back")  # type: ignore[misc]
        assert not _lets_in(cluster, pod, PASSWORD)
    done = cluster.reconcile()

    assert done.returncode == 0, done.stdout
    assert (cluster.places[PLANNED[0]].folder / "password").read_text("utf-8") == new + "\n"
    for session in writer.written:
        assert _asked(cluster, PLANNED[0], new, "EXISTS", session.key) == 1


def _asked(cluster: ValkeyCluster, pod: str, password: str, *words: str) -> Reply:
    with Connection((cluster.places[pod].address, 6379), answer_secs=2) as connection:
        connection.call("AUTH", password)
        return connection.call(*words)


def _lets_in(cluster: ValkeyCluster, pod: str, password: str) -> bool:
    """Return whether a node lets in with a password, and is primary or has all that its primary has."""
    try:
        said = fields_in(str(_asked(cluster, pod, password, "INFO", "replication")))
    except (NoAnswer, Refused):
        return False
    return said.get("role") == "master" or said.get("master_link_status") == "up"


def _is_back(cluster: ValkeyCluster, pod: str) -> bool:
    seen = cluster.look().get(pod)
    return seen is not None and seen.synced and seen.serves


def test_a_primary_that_is_told_to_end_while_its_replica_restarts_loses_its_sessions(cluster: ValkeyCluster) -> None:
    pods = [cluster.pod(0, 1), cluster.pod(0)]  # of two StatefulSets, neither of which waits for the other
    with SessionWriter(cluster, 0) as writer:
        time.sleep(0.5)
        kept = list(writer.written)
        for pod in pods:
            cluster.stop(pod)
        cluster.start(*pods)
        cluster.wait_until(lambda: _all_serve(cluster), 60, "they are back")
    lost = missing_of(cluster, kept)
    print(f"primary told to end while its replica restarts: {len(lost)} of {len(kept)} sessions lost")

    assert len(lost) == len(kept)


@pytest.mark.parametrize("shards, replicas", [(6, 1), (5, 2)])
def test_two_primaries_of_one_zone_are_replaced_at_a_time(shards: int, replicas: int) -> None:
    with booted(shards=shards, replicas=replicas) as nodes:
        made(nodes)
        fate = predicted(nodes, "us-a")
        with ExitStack() as stack:
            writers = [stack.enter_context(SessionWriter(nodes, shard)) for shard in fate.promoted]
            time.sleep(0.5)
            nodes.kill(*nodes.pods("us-a"))
            for writer in writers:
                writer.wait_for_write(time.monotonic(), SPAN.worst + 30)
        gaps = [writer.longest_gap_secs for writer in writers]
        print(f"{shards} shards: {', '.join(f'{gap:.2f}' for gap in gaps)} s, predicted {SPAN.range_text(' to ')}")

        assert fate.promoted == (0, 3)
        assert max(gaps) <= SPAN.worst + SLACK_SECS
        nodes.start(*nodes.pods("us-a"))
        nodes.wait_until(lambda: len(nodes.look()) == len(nodes.places), 60, "all answer")
        assert nodes.reconcile().returncode == 0
        assert nodes.is_planned()


def test_the_lab_says_what_did_not_come_about(cluster: ValkeyCluster) -> None:
    with pytest.raises(EffectError, match=r"not within 0.1 s: the impossible; nodes say"):
        cluster.wait_until(lambda: False, 0.1, "the impossible")
