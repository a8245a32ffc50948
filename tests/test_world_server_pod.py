"""The example world server in its pod: the probes, the hook and the times that are rendered, on the real process.

Nodes of a rehearsal run nothing; here a kubelet that follows the rules of the real one asks a real server.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.contract.asking import Reply, ask
from aether_deploy.delivery.loading import read_description
from aether_deploy.gitops.render import render_clusters
from tests.kubelet import Ended, Kubelet, stop
from tests.world_process import (
    EXAMPLE,
    FLOOR,
    HISTORY,
    PATIENCE_SECS,
    WAL,
    HeldReplay,
    Player,
    World,
    running,
    wait_for,
    write_segment,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a world that is ready."""
    with running(World(tmp_path)) as each:
        yield each.wait_until_ready()


# --- replay under probes


def rendered() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the pod that the example's description renders to, and its container."""
    description = read_description([str(EXAMPLE / "aether.yaml")])
    (cluster,) = render_clusters(description.evaluate(["prod"]).platforms, {})
    (workload,) = (each.body for each in cluster.cluster.manifests if each.kind == "StatefulSet")
    pod = workload["spec"]["template"]["spec"]
    return pod, pod["containers"][0]


POD, CONTAINER = rendered()
ENVIRONMENT = {each["name"]: each["value"] for each in CONTAINER["env"]}


def with_path(probe: str, path: str, container: Mapping[str, Any] = CONTAINER) -> dict[str, Any]:
    return {**container, probe: {**container[probe], "httpGet": {"path": path, "port": "http"}}}


def watch(world: World, container: Mapping[str, Any], scale: float, until: Callable[[Kubelet], bool]) -> Kubelet:
    """Let a kubelet whose clock runs ``1 / scale`` times as fast watch a world; it waits for answers as tests do."""

    def answer(path: str, within_secs: float) -> int | None:
        reply = ask(world.target, path, within_secs=PATIENCE_SECS)
        return reply.status if isinstance(reply, Reply) else None

    kubelet, begun = Kubelet(container, answer), time.monotonic()

    def step() -> bool:
        kubelet.step((time.monotonic() - begun) / scale)
        return until(kubelet)

    wait_for("end of what the kubelet sees", step, every_secs=0.002)
    return kubelet


def test_rendered_probes_are_those_of_the_class_of_worlds() -> None:
    def times(name: str) -> tuple[int, int, int, str]:
        probe = CONTAINER[name]
        return (
            probe.get("initialDelaySeconds", 0), probe["periodSeconds"], probe["failureThreshold"],
            probe["httpGet"]["path"],
        )  # fmt: skip

    assert times("livenessProbe") == (10, 15, 3, "/healthz")
    assert times("readinessProbe") == (5, 10, 2, "/readyz")
    assert times("startupProbe") == (0, 5, 120, "/healthz")


def test_a_long_replay_under_the_rendered_probes_is_never_restarted_and_ends_ready(tmp_path: Path) -> None:
    held = HeldReplay(tmp_path / "wal")
    with running(World(tmp_path)) as world:
        released: list[float] = []

        def goes_on(kubelet: Kubelet) -> bool:
            if not released and kubelet.count("liveness", success=True) >= 10 and len(kubelet.asked) >= 20:
                released.append(kubelet.asked[-1].at_secs)
                held.release()
            return kubelet.ready or kubelet.killed_by is not None

        kubelet = watch(world, CONTAINER, 1 / 50, goes_on)

    assert (kubelet.killed_by, kubelet.started, kubelet.ready) == (None, True, True)
    assert kubelet.count("liveness", success=False) == kubelet.count("startup", success=False) == 0
    assert kubelet.count("readiness", success=False) >= 4
    assert released[0] > 3 * 15 + 10  # longer than liveness would have borne it


@pytest.mark.parametrize(
    ("container", "kills"),
    [
        (with_path("livenessProbe", "/readyz"), "liveness"),
        (with_path("startupProbe", "/readyz"), "startup"),
    ],
    ids=["liveness", "startup"],
)
def test_the_same_replay_is_a_kill_loop_where_a_probe_that_kills_asks_for_readiness(
    container: Mapping[str, Any], kills: str, tmp_path: Path
) -> None:
    HeldReplay(tmp_path / "wal")
    with running(World(tmp_path)) as world:
        kubelet = watch(world, container, 1 / 500, lambda kubelet: kubelet.killed_by is not None)

    assert kubelet.killed_by == kills
    assert not kubelet.ready


def test_a_big_log_is_replayed_alive_unready_and_occupied(tmp_path: Path) -> None:
    records = 100_000
    moves = ({"op": "tick", "moves": {"a1": [number, -number]}} for number in range(2, records + 1))
    write_segment(tmp_path / "wal/wal-000000000001.log", [HISTORY[0], *moves])
    last = tmp_path / f"wal/wal-{records + 1:012}.log"
    os.mkfifo(last)  # the replay does not end before enough was seen of it
    seen: list[tuple[int, float, float]] = []
    with running(World(tmp_path)) as world:
        while (ready := world.status("/readyz")) == 503:
            unready = world.gauge("wal_replaying"), world.gauge("ordinal_floor")
            seen.append((world.status("/healthz"), *unready))
            with world.player("bob") as bob:
                early = bob.ask("JOIN bob")
            assert early == "REFUSED loading" or world.status("/readyz") == 200
            if len(seen) == 4:
                last.write_bytes(WAL.encode({"n": records + 1, "op": "tick", "moves": {"a1": [0, 0]}}))
        with world.player() as ada:
            state = ada.ask("STATE a1")

    assert ready == 200
    assert len(seen) > 3
    assert set(seen[:-1]) == {(200, 1, FLOOR)}
    assert state.startswith(f"STATE {records} ada:0:0")


def test_a_world_that_is_told_to_stop_while_it_replays_stops(tmp_path: Path) -> None:
    HeldReplay(tmp_path / "wal")
    with running(World(tmp_path)) as world:
        assert world.status("/readyz") == 503
        assert (world.gauge("wal_replaying"), world.gauge("wal_unarchived_bytes")) == (1, 0)
        assert world.gauge("ordinal_floor") == FLOOR  # nobody knows yet
        assert world.stop() == 0


# --- the kubelet's own rules, without a process

PROBED = {
    "startupProbe": {"httpGet": {"path": "/live"}, "periodSeconds": 5, "timeoutSeconds": 1, "failureThreshold": 3},
    "livenessProbe": {
        "httpGet": {"path": "/live"}, "periodSeconds": 15, "timeoutSeconds": 1, "failureThreshold": 3,
        "initialDelaySeconds": 10,
    },
    "readinessProbe": {"httpGet": {"path": "/ready"}, "periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 2},
}  # fmt: skip


def answering(live: Callable[[int], int | None] = lambda at: 200, ready: Callable[[int], int] = lambda at: 200) -> Any:
    return {"/live": live, "/ready": ready}


ANSWERS: dict[str, tuple[Any, str | None, int, bool]] = {
    "all is well": (answering(), None, 100, True),
    "a redirection counts as success": (answering(lambda at: 302, lambda at: 302), None, 100, True),
    "never alive": (answering(lambda at: None), "startup", 10, False),
    "alive late, but in time": (answering(lambda at: 200 if at >= 10 else 500), None, 100, True),
    "dies at 40": (answering(lambda at: 200 if at < 40 else None), "liveness", 75, True),
    "two failures in a row are borne": (answering(lambda at: None if 40 <= at < 70 else 200), None, 100, True),
    "never ready is never killed": (answering(ready=lambda at: 503), None, 100, False),
    "one failure of readiness is borne": (answering(ready=lambda at: 503 if at > 85 else 200), None, 100, True),
    "two failures of readiness are not": (answering(ready=lambda at: 503 if at > 75 else 200), None, 100, False),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_the_kubelet_of_these_tests_follows_its_rules(case: str) -> None:
    answers, killed_by, at_secs, ready = ANSWERS[case]
    now = 0
    kubelet = Kubelet(PROBED, lambda path, within_secs: answers[path](now))
    while now < 100 and kubelet.killed_by is None:
        kubelet.step(now)
        now += kubelet.killed_by is None

    assert (kubelet.killed_by, now, kubelet.ready) == (killed_by, at_secs, ready)


# --- the end

GRACE_SECS = int(POD["terminationGracePeriodSeconds"])
RESERVE_SECS = GRACE_SECS - float(ENVIRONMENT["WORLD_DRAIN_SECS"])


def end(world: World, grace_secs: float) -> Ended:
    """End a world as the kubelet does, by the hook that is rendered."""
    path = CONTAINER["lifecycle"]["preStop"]["httpGet"]["path"]

    def terminate(left_secs: float) -> int | None:
        assert world.process is not None
        world.signal(signal.SIGTERM)
        try:
            return world.process.wait(left_secs)
        except subprocess.TimeoutExpired:
            return None

    def hook(within_secs: float) -> object:
        return ask(world.target, path, within_secs=within_secs)

    return stop(grace_secs, pre_stop=hook, terminate=terminate, now=time.monotonic)


def test_the_rendered_times_leave_room_for_the_end() -> None:
    assert float(ENVIRONMENT["WORLD_DRAIN_SECS"]) + float(ENVIRONMENT["WORLD_EXIT_SECS"]) < GRACE_SECS
    assert CONTAINER["lifecycle"]["preStop"]["httpGet"] == {"path": "/drain", "port": "http"}


def test_players_who_go_when_told_let_the_pod_end_early(world: World) -> None:
    def obey(player: Player) -> None:
        wait_for("word to go", lambda: player.ask(f"PING {player.token}") and player.told)
        player.leave()

    players = [world.player(f"player-{number}").join() for number in range(3)]
    threads = [threading.Thread(target=obey, args=(player,)) for player in players]
    for thread in threads:
        thread.start()
    ended = end(world, GRACE_SECS)
    for thread in threads:
        thread.join()

    assert ended.code == 0
    assert ended.hook_secs < float(ENVIRONMENT["WORLD_DRAIN_SECS"])
    assert {player.told[0] for player in players} == {"GO matchmaking"}
    assert [record["why"] for record in world.records()[-3:]] == ["asked"] * 3
    assert world.is_archived()


def test_players_who_stay_are_seen_off_within_the_grace_period(tmp_path: Path) -> None:
    drain_secs = 2.0
    settings = {**ENVIRONMENT, "WORLD_DRAIN_SECS": drain_secs}
    with running(World(tmp_path, **settings)) as world:
        world.wait_until_ready()
        players = [world.player(f"player-{number}").join() for number in range(20)]

        ended = end(world, drain_secs + RESERVE_SECS)

    assert ended.code == 0
    assert drain_secs <= ended.hook_secs
    assert ended.total_secs < drain_secs + RESERVE_SECS
    assert [record["why"] for record in world.records()[-20:]] == ["shutdown"] * 20
    assert world.is_archived()
    for player in players:
        assert set(player.hear_what_came()) == {"GO matchmaking"}


def test_without_a_hook_sigterm_does_the_same(world: World) -> None:
    with world.player("ada") as ada, world.player("bob") as bob:
        ada.join()
        bob.join().ask(f"MOVE {bob.token} 5 6")

        assert world.stop() == 0

        assert ada.hear_what_came() == ["GO matchmaking"]
    assert [record.get("why") for record in world.records()] == [None, None, None, "shutdown", "shutdown"]
    assert world.is_archived()
    world.start().wait_until_ready()
    assert world.gauge("player_count") == 0


def test_further_signals_do_not_disturb_a_shutdown_that_hangs_and_it_ends_in_time(tmp_path: Path) -> None:
    with running(World(tmp_path, WORLD_EXIT_SECS=1)) as world:
        world.wait_until_ready()
        os.mkfifo(world.archive / "wal-000000000001.log.part")  # nobody reads, so the copy hangs
        with world.player() as ada:
            ada.join()
        world.signal(signal.SIGTERM)
        wait_for("last record", lambda: [record["op"] for record in world.records()] == ["join", "leave"])
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            world.signal(number)

        assert world.wait() == 0
        assert "on this volume alone: " in world.said
        assert [record["op"] for record in world.records()] == ["join", "leave"]


def test_drain_is_called_at_the_same_time_and_again(world: World) -> None:
    answers: list[dict[str, Any]] = []
    with world.player("ada") as ada, world.player("bob") as bob:
        ada.join()
        threads = [threading.Thread(target=lambda: answers.append(world.drain())) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_for("drain", lambda: world.gauge("draining") == 1)

        assert bob.ask("JOIN bob") == "REFUSED draining"
        assert ada.ask("JOIN ada") == f"WELCOME {ada.token} 0 0"  # he is in
        assert (world.status("/healthz"), world.status("/readyz")) == (200, 200)
        wait_for("second word to go", lambda: len(ada.hear_what_came()) > 1)
        assert answers == []
        ada.leave()
        for thread in threads:
            thread.join()

    assert set(ada.told) == {"GO matchmaking"}
    assert answers == [{"drained": True, "players": 0, "wal_unarchived_bytes": 0}] * 3
    assert world.drain() == answers[0]
    assert world.gauge("ordinal_floor") == 0


def test_every_call_of_drain_has_the_deadline_of_the_first(tmp_path: Path) -> None:
    drain_secs = 3.0
    with running(World(tmp_path, WORLD_DRAIN_SECS=drain_secs)) as world, world.wait_until_ready().player() as ada:
        ada.join()
        assert world.drain()["drained"] is False
        took = []
        for _ in range(3):  # each would wait as long as the first, however slow this machine is for a moment
            begun = time.monotonic()
            assert world.drain()["players"] == 1
            took.append(time.monotonic() - begun)

        assert min(took) < drain_secs


def test_the_description_says_only_what_the_server_reads() -> None:
    server = (EXAMPLE / "world_server.py").read_text()
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}

    assert [name for name in ENVIRONMENT if f"    {name.removeprefix('WORLD_').lower()}: " not in server] == []
    assert ports == {"http": 8080, "game": 7777}
