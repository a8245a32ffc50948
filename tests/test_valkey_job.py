"""What the reconcile program decides, what it leaves alone, and what it makes of files and nodes that are wrong."""

import json
import random
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aether_deploy.infrastructure.valkey.job import plan_file
from aether_deploy.infrastructure.valkey.reconciling import Decision, PlannedShard, decide
from aether_deploy.infrastructure.valkey.views import Peer, Seen, fields_in, peers_in
from aether_deploy.jobs.valkey_cluster import PlanFile, main
from aether_deploy.jobs.valkey_protocol import Connection, NoAnswer, Refused
from tests.valkey_cases import ONE, objects, place, valkey

PLAN = msgspec.convert(plan_file(valkey(), ONE, ONE.regions[0])["shards"], tuple[PlannedShard, ...])
A0, B1, B0, C1, C0, A1 = (node.name for shard in PLAN for node in shard.nodes)
PODS = (A0, B1, B0, C1, C0, A1)
ADDRESSES = {pod: f"10.0.0.{at}:6379" for at, pod in enumerate(PODS, 1)}
PLANNED_ROLES: Mapping[str, str | None] = {A0: None, B1: A0, B0: None, C1: B0, C0: None, A1: C0}
SLOTS = {A0: (PLAN[0].slots,), B0: (PLAN[1].slots,), C0: (PLAN[2].slots,)}

Roles = Mapping[str, str | None]


def world(
    roles: Roles = PLANNED_ROLES,
    slots: Mapping[str, Sequence[tuple[int, int]]] = SLOTS,
    *,
    silent: Sequence[str] = (),
    knows: Mapping[str, Sequence[str]] | None = None,
    ghosts: Sequence[Peer] = (),
    **of_all: Any,
) -> dict[str, Seen]:
    """Return what nodes say of a cluster in which ``roles`` says whom each follows; ids are the names of pods."""
    peers = {
        pod: Peer(
            id=pod, address=ADDRESSES[pod], flags=frozenset({"slave" if primary else "master"}), primary=primary,
            linked=pod not in silent, slots=tuple(slots.get(pod, ())),
        )
        for pod, primary in roles.items()
    }  # fmt: skip
    found = {}
    for pod in roles:
        if pod in silent:
            continue
        known = PODS if knows is None else (pod, *knows.get(pod, ()))
        seen = {each: peers[each] for each in known if each in peers}
        seen[pod] = msgspec.structs.replace(peers[pod], flags=peers[pod].flags | {"myself"})
        seen |= {each.id: each for each in ghosts}
        synced = roles[pod] is not None and roles[pod] not in silent
        found[pod] = Seen(**{"address": ADDRESSES[pod], "peers": seen, "synced": synced, **of_all})
    return found


def decided(views: Mapping[str, Seen], settings: Mapping[str, str] | None = None) -> Decision:
    return decide(PLAN, settings or {}, views)


def commands(decision: Decision) -> list[str]:
    return [f"{step.pod}: {' '.join(step.command)}" for step in decision.steps]


def changed(views: dict[str, Seen], pod: str, **fields: Any) -> dict[str, Seen]:
    return {**views, pod: msgspec.structs.replace(views[pod], **fields)}


FRESH: Roles = dict.fromkeys(PODS)


def test_of_a_cluster_as_planned_nothing_is_asked() -> None:
    assert decided(world()) == Decision()


def test_fresh_primaries_get_their_epochs_and_slots_before_they_meet() -> None:
    assert commands(decided(world(FRESH, {}, knows={}))) == [
        f"{A0}: CLUSTER SET-CONFIG-EPOCH 1", f"{A0}: CLUSTER ADDSLOTSRANGE 0 5460",
        f"{B0}: CLUSTER SET-CONFIG-EPOCH 2", f"{B0}: CLUSTER ADDSLOTSRANGE 5461 10922",
        f"{C0}: CLUSTER SET-CONFIG-EPOCH 3", f"{C0}: CLUSTER ADDSLOTSRANGE 10923 16383",
    ]  # fmt: skip


def test_what_a_run_that_was_killed_gave_is_not_given_again() -> None:
    views = world(FRESH, {A0: SLOTS[A0]}, knows={})

    assert commands(decided(views))[1::2] == [
        f"{B0}: CLUSTER ADDSLOTSRANGE 5461 10922",
        f"{C0}: CLUSTER ADDSLOTSRANGE 10923 16383",
    ]


def test_strangers_meet_the_one_that_knows_most_slots_at_their_addresses() -> None:
    views = world(FRESH, SLOTS, knows={})

    assert commands(decided(views)) == [
        f"{B0}: CLUSTER MEET 10.0.0.{PODS.index(pod) + 1} 6379" for pod in (A0, B1, C1, C0, A1)
    ]


def test_a_node_that_is_known_elsewhere_is_met_where_it_is() -> None:
    moved = changed(world(), C1, address="10.0.9.9:6379")

    assert commands(decided(moved)) == [f"{A0}: CLUSTER MEET 10.0.9.9 6379"]


def test_slots_that_nobody_owns_wait_for_nodes_that_are_silent() -> None:
    found = decided(world(FRESH, {}, silent=[A1], knows={}))

    assert found.steps == ()
    assert found.waiting == "slots 0-5460: nobody owns them, and not all nodes answer"
    assert found.faults == (f"{A1} does not answer",)


def test_replicas_follow_the_owner_whoever_that_is() -> None:
    roles = {**FRESH, B1: None}
    taken_over = world(roles, {B1: SLOTS[A0], B0: SLOTS[B0], C0: SLOTS[C0]})

    assert commands(decided(taken_over)) == [
        f"{A0}: CLUSTER REPLICATE {B1}",
        f"{C1}: CLUSTER REPLICATE {B0}",
        f"{A1}: CLUSTER REPLICATE {C0}",
    ]


def test_a_replica_of_another_shard_moves_only_while_its_primary_lives() -> None:
    astray = {**PLANNED_ROLES, A1: B0}

    assert commands(decided(world(astray))) == [f"{A1}: CLUSTER REPLICATE {C0}"]
    lost = decided(world(astray, silent=[B0]))
    assert f"{A1}: follows a primary that does not answer, and may hold the only copy" in " ".join(lost.faults)
    assert lost.steps == ()


def test_a_planned_primary_takes_its_slots_back_once_it_has_everything() -> None:
    drift = {**PLANNED_ROLES, A0: B1, B1: None}
    owners = {B1: SLOTS[A0], B0: SLOTS[B0], C0: SLOTS[C0]}

    assert commands(decided(world(drift, owners))) == [f"{A0}: CLUSTER FAILOVER"]
    copying = decided(changed(world(drift, owners), A0, synced=False))
    assert (copying.steps, copying.waiting) == ((), f"{A0} copies from its primary")
    unfit = decided(changed(world(drift, owners), C0, serves=False))
    assert (unfit.steps, unfit.waiting) == ((), "the cluster does not serve yet")


def test_primaries_move_back_one_at_a_time() -> None:
    drift = {A0: B1, B1: None, B0: C1, C1: None, C0: None, A1: C0}
    owners = {B1: SLOTS[A0], C1: SLOTS[B0], C0: SLOTS[C0]}

    assert commands(decided(world(drift, owners))) == [f"{A0}: CLUSTER FAILOVER"]


def test_a_node_with_keys_and_no_slots_is_left_to_somebody() -> None:
    views = changed(world({**PLANNED_ROLES, B1: None}), B1, keys=7)

    assert decided(views).faults == (f"{B1}: holds 7 keys and no slots: look at them, and empty it by hand",)
    assert decided(views).steps == ()


def test_slots_that_were_moved_by_hand_stay_there() -> None:
    elsewhere = {A0: ((0, 5000),), B0: ((5001, 10922),), C0: SLOTS[C0]}
    found = decided(world(slots=elsewhere))

    assert found.steps == ()
    assert found.faults == tuple(
        f"{pod}: owns other slots than any shard of the plan: move them by hand" for pod in (A0, B0)
    )


def test_more_shards_than_were_made_move_no_slot() -> None:
    six = msgspec.convert(plan_file(valkey(shards=6), ONE, ONE.regions[0])["shards"], tuple[PlannedShard, ...])
    pods = [node.name for shard in six for node in shard.nodes]
    views = world(PLANNED_ROLES)
    strangers = {
        pod: Seen(
            address=f"10.0.1.{at}:6379",
            peers={pod: Peer(id=pod, address="", flags=frozenset({"myself", "master"}), primary=None, linked=True)},
        )
        for at, pod in enumerate(pods)
        if pod not in views
    }

    met = decide(six, {}, {**views, **strangers})
    assert {step.command[1] for step in met.steps} == {"MEET"}
    peers = {pod: seen.me for pod, seen in {**views, **strangers}.items()}
    everybody = {
        pod: msgspec.structs.replace(
            seen,
            peers={
                other: msgspec.structs.replace(
                    peer,
                    address=({**views, **strangers})[other].address,
                    flags=peer.flags if other == pod else peer.flags - {"myself"},
                )
                for other, peer in peers.items()
            },
        )
        for pod, seen in {**views, **strangers}.items()
    }
    found = decide(six, {}, everybody)
    assert (found.steps, found.waiting) == ((), "")
    assert found.faults == tuple(
        f"{pod}: owns other slots than any shard of the plan: move them by hand" for pod in (A0, B0, C0)
    )


def test_of_a_shard_whose_primary_is_silent_its_replica_is_waited_for_and_not_forced() -> None:
    found = decided(world(silent=[A0]))

    assert found.steps == ()
    assert found.waiting == "slots 0-5460: their primary does not answer"
    assert found.faults == (f"{A0} does not answer", "slots 0-5460: their primary does not answer")


def ghost(slots: Sequence[tuple[int, int]] = (), *flags: str) -> Peer:
    return Peer(
        id="ghost", address="10.0.0.99:6379", flags=frozenset(flags or {"master", "fail"}), primary=None, linked=False,
        slots=tuple(slots),
    )  # fmt: skip


def test_a_dead_node_that_no_pod_is_any_more_is_forgotten_by_all() -> None:
    found = decided(world(ghosts=[ghost()]))

    assert commands(found) == [f"{pod}: CLUSTER FORGET ghost" for pod in PODS]
    assert all(step.optional for step in found.steps)


def test_one_that_may_only_be_silent_is_not_forgotten() -> None:
    assert decided(world(ghosts=[ghost((), "master", "fail?")])).steps == ()
    away = decided(world({**PLANNED_ROLES, A1: C0}, silent=[A1], ghosts=[ghost()]))
    assert not any("FORGET" in step.command for step in away.steps)


def test_one_that_owns_slots_is_kept_while_a_node_follows_it() -> None:
    owners = {B0: SLOTS[B0], C0: SLOTS[C0]}
    followed = decided(world({**PLANNED_ROLES, A0: None, B1: "ghost"}, owners, ghosts=[ghost(SLOTS[A0])]))

    assert followed.steps == ()
    assert followed.waiting == "slots 0-5460: their primary does not answer"
    alone = decided(world({**PLANNED_ROLES, A0: None, B1: None}, owners, ghosts=[ghost(SLOTS[A0])]))
    assert {step.command[1] for step in alone.steps} == {"FORGET"}


def test_settings_that_differ_are_set_where_they_do() -> None:
    views = world(settings={"maxmemory-policy": "volatile-lru", "save": ""})
    views = changed(views, C0, settings={"maxmemory-policy": "noeviction", "save": ""})

    assert commands(decided(views, {"maxmemory-policy": "volatile-lru", "save": ""})) == [
        f"{C0}: CONFIG SET maxmemory-policy volatile-lru"
    ]


SEED = 9


def test_whatever_nodes_say_nothing_is_thrown_away() -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    seen_steps = 0
    for _ in range(4000):
        roles = {pod: chance.choice([None, None, *PODS, "ghost"]) for pod in PODS}
        roles = {pod: None if primary == pod else primary for pod, primary in roles.items()}
        owners = {pod: SLOTS[each] for each in SLOTS for pod in [chance.choice(PODS)] if roles[pod] is None}
        silent = [pod for pod in PODS if chance.random() < 0.15][:5]
        knows = {pod: [each for each in PODS if chance.random() < 0.97] for pod in PODS}
        ghosts = [ghost(chance.choice([(), SLOTS[A0]]))] if chance.random() < 0.3 else []
        views = world(roles, owners, silent=silent, knows=knows, ghosts=ghosts, keys=chance.choice([0, 0, 3]))
        found = decided(views)
        for step in found.steps:
            seen_steps += 1
            seen = views[step.pod]
            assert not {"FORCE", "TAKEOVER", "RESET", "FLUSHALL", "FLUSHSLOTS", "DELSLOTS"} & set(step.command)
            if step.command[1] == "REPLICATE":
                assert not seen.me.slots
                assert seen.me.primary is not None or seen.keys == 0
            if step.command[1] == "FAILOVER":
                assert seen.synced
            if step.command[1] == "ADDSLOTSRANGE":
                assert not silent
                first, last = int(step.command[2]), int(step.command[3])
                assert not any(
                    begin <= last and end >= first
                    for each in views.values()
                    for peer in each.peers.values()
                    for begin, end in peer.slots
                )
            if step.command[1] == "FORGET":
                assert not silent
                assert step.command[2] == "ghost"
    assert seen_steps > 1000


# --- what nodes answer


def test_an_answer_to_cluster_nodes_is_read() -> None:
    text = (
        "aa 10.0.0.7:6379@16379,a.svc,tls-port=0,nodename=a,shard-id=s myself,master - 0 0 3 connected 0-5460 7000\n"
        "bb [fd00::8]:6379@16379 slave,fail? aa 0 0 3 disconnected\n"
        "cc :0@0 master,noaddr - 1 1 4 disconnected 5461-6000 [5500->-aa]\n"
    )
    found = peers_in(text)

    assert found["aa"] == Peer(
        id="aa", address="10.0.0.7:6379", flags=frozenset({"myself", "master"}), primary=None, linked=True,
        slots=((0, 5460), (7000, 7000)), hostname="a.svc",
    )  # fmt: skip
    assert (found["bb"].primary, found["bb"].linked) == ("aa", False)
    assert found["cc"].slots == ((5461, 6000),)


@pytest.mark.parametrize("text", ["", "OK", "aa b c", "aa 1:2@3 master - 0 0 0 connected x-y", "a " * 9])
def test_an_answer_that_lists_no_nodes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        peers_in(text)


def test_fields_are_read_without_headings() -> None:
    assert fields_in("# Replication\r\nrole:slave\r\nmaster_host:a:b\r\n\r\n") == {
        "role": "slave",
        "master_host": "a:b",
    }


# --- the protocol


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[str, int]]:
    """Yield the address of a server that gives these answers, one for each thing it hears, and then ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                for answer in answers:
                    client.recv(65536)
                    client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[:2]
        thread.join(5)


REPLIES = {
    "a line": (b"+OK\r\n", "OK"),
    "a number": (b":-7\r\n", -7),
    "a text": (b"$5\r\na\r\nbc\r\n", "a\r\nbc"),
    "no text": (b"$-1\r\n", None),
    "an empty text": (b"$0\r\n\r\n", ""),
    "a list": (b"*3\r\n$1\r\na\r\n:1\r\n*0\r\n", ["a", 1, []]),
    "no list": (b"*-1\r\n", None),
    "bytes that are no text": (b"$2\r\n\xff\xfe\r\n", "\ufffd\ufffd"),
}


@pytest.mark.parametrize("sent, reply", REPLIES.values(), ids=REPLIES.keys())
def test_every_kind_of_answer_is_read(sent: bytes, reply: Any) -> None:
    with answering(sent) as address, Connection(address, answer_secs=60) as connection:
        assert connection.call("PING") == reply


BAD_REPLIES = [b"", b"HTTP/1.1 400 Bad Request\r\n", b"$9\r\nab\r\n", b":x\r\n", b"*2\r\n+a\r\n", b"+half", b"$x\r\n"]


@pytest.mark.parametrize("sent", BAD_REPLIES)
def test_an_answer_that_is_none_ends_the_connection(sent: bytes) -> None:
    with answering(sent) as address, Connection(address, answer_secs=60) as connection:
        with pytest.raises(NoAnswer):
            connection.call("PING")
        with pytest.raises(NoAnswer):
            connection.call("PING")


def test_an_error_is_told_in_the_nodes_words_and_the_connection_lives() -> None:
    with answering(b"-ERR no\r\n", b"+OK\r\n") as address, Connection(address, answer_secs=60) as connection:
        with pytest.raises(Refused, match=r"^ERR no$"):
            connection.call("PING")
        assert connection.call("PING") == "OK"


def test_silence_ends_with_the_time() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Connection(server.getsockname()[:2], answer_secs=0.1) as connection,
        pytest.raises(NoAnswer, match=r"PING"),
    ):
        connection.call("PING")


# --- files


def written(tmp_path: Path, **fields: Any) -> Path:
    (tmp_path / "password").write_text("word\n", "utf-8")
    said = plan_file(valkey(), ONE, ONE.regions[0]) | {"password_file": str(tmp_path / "password"), "wait_secs": 0.2}
    file = tmp_path / "cluster.json"
    file.write_text(json.dumps({**said, **fields}), "utf-8")
    return file


BAD_FILES: dict[str, tuple[dict[str, Any], str]] = {
    "another format": ({"format": 2}, "has format 2; this program reads 1"),
    "a key too many": ({"x": 1}, "unknown field"),
    "no shards": ({"shards": []}, "has a shard without nodes"),
    "a shard without nodes": ({"shards": [{"slots": [0, 1], "nodes": []}]}, "has a shard without nodes"),
    "no password": ({"password_file": "/nowhere/at/all"}, "No such file"),
}


@pytest.mark.parametrize("fields, words", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_file_that_is_wrong_ends_with_two(
    fields: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(written(tmp_path, **fields))]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "fix: " in said


def test_no_file_and_no_argument_end_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (main([str(tmp_path / "none")]), main([])) == (2, 2)
    assert "usage: python -m aether_deploy.jobs.valkey_cluster FILE" in capsys.readouterr().err


def test_nobody_there_ends_with_three(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = {"name": "a", "host": "127.0.0.1", "port": 1}
    assert main([str(written(tmp_path, shards=[{"slots": [0, 16383], "nodes": [node]}]))]) == 3
    assert "no node answers: a: 127.0.0.1:1" in capsys.readouterr().err


def test_a_node_that_speaks_no_valkey_is_as_one_that_is_silent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n") as (host, port):
        node = {"name": "a", "host": host, "port": port}
        assert main([str(written(tmp_path, wait_secs=0, shards=[{"slots": [0, 16383], "nodes": [node]}]))]) == 3
    assert "no answer of Valkey" in capsys.readouterr().err


def test_the_program_reads_what_is_rendered() -> None:
    text = objects(valkey(), place())["ConfigMap", "sessions-cluster"]["data"]["cluster.json"]
    plan = msgspec.json.decode(text, type=PlanFile)

    assert tuple(node.name for node in plan.nodes) == PODS
    assert [shard.slots for shard in plan.shards] == [(0, 5460), (5461, 10922), (10923, 16383)]
