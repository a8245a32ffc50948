"""Real nodes run our files, and the program of the CronJob makes a cluster of them that is as planned."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.infrastructure.valkey.job import MODULE
from aether_deploy.infrastructure.valkey.layout import slot_ranges
from aether_deploy.infrastructure.valkey.options import AT_START, options_of, settings_of
from aether_deploy.infrastructure.valkey.timing import HANDOVER, failover_secs
from aether_deploy.jobs.valkey_protocol import Connection, Refused
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.valkey.cluster import PASSWORD, ValkeyCluster
from aether_deploy.lab.valkey.programs import find_valkey_server
from aether_deploy.lab.valkey.sessions import SessionWriter, missing_of, slot_of
from tests.real import miss
from tests.valkey_cases import ONE, valkey

pytestmark = pytest.mark.real

PLANNED = {0: "sessions-us-a-0", 1: "sessions-us-b-0", 2: "sessions-us-c-0"}
NODE_TIMEOUT_MS = 2000
# A node that does not get on for this long is taken for lost, and its replica takes over: none is to be here.
CALM: Mapping[str, Any] = {"node_timeout_ms": 10_000}
# What the machine adds: clients look again every few hundredths, and processors are shared with other tests.
SLACK_SECS = 2.0


def need_valkey() -> str:
    try:
        return str(find_valkey_server())
    except MissingProgramsError as error:
        miss(str(error))


@contextmanager
def booted(**settings: Any) -> Iterator[ValkeyCluster]:
    need_valkey()
    with ValkeyCluster(valkey(**{"node_timeout_ms": NODE_TIMEOUT_MS, **settings}), ONE, "us") as cluster:
        yield cluster


def made(cluster: ValkeyCluster) -> ValkeyCluster:
    """Return the cluster once the program made it."""
    done = cluster.reconcile()
    assert done.returncode == 0, done.stdout + done.stderr
    return cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    """Three primaries with a replica each, made; for tests that leave it as planned."""
    with booted(**CALM) as nodes:
        yield made(nodes)


def identities(cluster: ValkeyCluster) -> dict[str, tuple[str, str | None, Any]]:
    """Return for each node who it is, whom it follows and what it owns."""
    return {pod: (seen.me.id, seen.me.primary, seen.me.slots) for pod, seen in cluster.look().items()}


# --- our files


def test_nodes_run_with_every_line_of_the_rendered_file(cluster: ValkeyCluster) -> None:
    wanted = options_of(cluster.config)
    for pod, place in cluster.places.items():
        here = {**wanted, "dir": str(place.folder), "bind": place.address}
        for name, value in here.items():
            assert cluster.call(pod, "CONFIG", "GET", name) == [name, value], pod


def test_only_addresses_folders_and_the_path_of_the_program_are_replaced(cluster: ValkeyCluster) -> None:
    for place in cluster.places.values():
        assert set(cluster.replaced(place)) == {
            "exec valkey-server /etc/valkey/",
            "/run/aether/secrets/sessions/password",
            "/run/valkey/password",
            "/data/",
            "dir /data\n",
            "bind * -::*\n",
        }


def test_a_file_with_a_line_that_no_server_knows_ends_it_at_its_start() -> None:
    with booted() as nodes:
        pod = nodes.pod(0)
        nodes.kill(pod)
        with (nodes.places[pod].folder / "valkey.conf").open("a", encoding="utf-8") as file:
            file.write("cluster-node-timeout-ms 2000\n")
        nodes.start(pod)
        nodes.wait_until(lambda: pod not in nodes.running(), 90, "it ends")

        assert "Bad directive or wrong number of arguments" in nodes.log(pod)


def test_nobody_gets_in_without_the_password_and_it_stands_nowhere(cluster: ValkeyCluster) -> None:
    pod = cluster.pod(0)
    with Connection((cluster.places[pod].address, 6379), answer_secs=60) as stranger:
        for words in (("PING",), ("CLUSTER", "NODES"), ("AUTH", "wrong")):
            with pytest.raises(Refused, match=r"NOAUTH|WRONGPASS"):
                stranger.call(*words)
    for process in _processes_of(cluster):
        assert PASSWORD.encode() not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()


def _processes_of(cluster: ValkeyCluster) -> list[Path]:
    pids = [daemon.pid for daemon in cluster._daemons.values()]
    assert all(pids)
    return [Path(f"/proc/{pid}") for pid in pids]


# --- the program


def test_the_program_makes_the_cluster_as_planned(cluster: ValkeyCluster) -> None:
    views = cluster.look()

    assert cluster.primaries() == PLANNED
    for pod, place in cluster.places.items():
        me, node = views[pod].me, place.node
        assert me.slots == ((slot_ranges(3)[node.shard],) if node.copy == 0 else ())
        assert me.primary == (None if node.copy == 0 else views[PLANNED[node.shard]].me.id)
        assert len(views[pod].peers) == 6
    assert cluster.is_planned()


def test_run_again_it_changes_nothing(cluster: ValkeyCluster) -> None:
    before = identities(cluster)
    done = cluster.reconcile()

    assert (done.returncode, done.stdout, done.stderr) == (0, "ok   as planned\n", "")
    assert identities(cluster) == before


def test_clients_are_sent_to_host_names(cluster: ValkeyCluster) -> None:
    key = next(f"k{at}" for at in range(100_000) if slot_of(f"k{at}") > 10922)
    with pytest.raises(Refused) as caught:
        cluster.call(cluster.pod(0), "SETEX", key, "10", "x")

    assert str(caught.value) == f"MOVED {slot_of(key)} sessions-us-c-0.sessions-headless.aether-prod-data.svc:6379"


def test_each_setting_that_the_program_sees_to_is_one_that_running_nodes_take(cluster: ValkeyCluster) -> None:
    for name, value in settings_of(cluster.config).items():
        assert cluster.call(cluster.pod(0), "CONFIG", "SET", name, value) == "OK", name
    for name in AT_START - {"bind", "maxmemory", "port"}:
        with pytest.raises(Refused, match=r"immutable|protected"):
            cluster.call(cluster.pod(0), "CONFIG", "SET", name, options_of(cluster.config)[name])


def test_settings_that_differ_are_set_on_every_running_node(cluster: ValkeyCluster) -> None:
    other = {"maxmemory-policy": "volatile-ttl", "cluster-node-timeout": "12500"}
    done = cluster.reconcile(settings=other)

    assert done.returncode == 0
    for pod in cluster.pods():
        assert f"{pod}: maxmemory-policy is volatile-ttl, and was volatile-lru" in done.stdout
        for name, value in other.items():
            assert cluster.call(pod, "CONFIG", "GET", name) == [name, value]
    assert cluster.reconcile().returncode == 0


def test_two_runs_at_a_time_do_each_step_once() -> None:
    with booted(**CALM) as nodes:
        command = [sys.executable, "-m", MODULE, str(nodes.plan())]
        runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        said = [run.communicate(timeout=180)[0] for run in runs]

        assert [run.returncode for run in runs] == [0, 0]
        acting = [text for text in said if text != "ok   as planned\n"]
        assert len(acting) == 1
        assert nodes.is_planned()


@pytest.mark.parametrize("lines", [1, 3, 6, 8, 12])
def test_a_run_that_is_killed_anywhere_is_taken_up_by_the_next(lines: int) -> None:
    with booted(**CALM) as nodes:
        command = [sys.executable, "-m", MODULE, str(nodes.plan())]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            for _ in range(lines):
                assert run.stdout.readline()
            run.kill()
        made(nodes)

        assert nodes.primaries() == PLANNED
        assert nodes.is_planned()
        assert nodes.reconcile().stdout == "ok   as planned\n"


def test_with_a_wrong_password_it_says_so_and_ends_with_three(cluster: ValkeyCluster) -> None:
    file = cluster.plan(wait_secs=0.5)
    text = file.read_text("utf-8")
    wrong = file.with_name("wrong")
    wrong.write_text("wrong", "utf-8")
    file.write_text(text.replace(str(cluster.password_file), str(wrong)), "utf-8")
    done = subprocess.run([sys.executable, "-m", MODULE, str(file)], capture_output=True, text=True, check=False)

    assert done.returncode == 3
    assert "WRONGPASS" in done.stderr
    assert "fix: see that the pods run, and that the Secret is theirs" in done.stderr


def test_without_all_nodes_no_cluster_is_made() -> None:
    with booted(**CALM) as nodes:
        nodes.kill(nodes.pod(2, 1))
        done = nodes.reconcile(wait_secs=1)

        assert done.returncode == 1
        assert "FAIL sessions-us-a-1 does not answer" in done.stdout
        assert re.search("FAIL not in time: slots 0-5460: nobody owns them, and not all nodes answer", done.stdout)
        assert nodes.primaries() == {}


def test_a_node_of_another_cluster_at_a_pods_address_is_left_alone(cluster: ValkeyCluster) -> None:
    with booted(name="others", **CALM) as others:
        made(others)
        before = identities(cluster), identities(others)
        file = cluster.plan(wait_secs=2)
        address, stranger = cluster.places[PLANNED[2]].address, others.places["others-us-b-0"].address
        file.write_text(file.read_text("utf-8").replace(f'"{address}"', f'"{stranger}"'), "utf-8")
        done = subprocess.run([sys.executable, "-m", MODULE, str(file)], capture_output=True, text=True, check=False)

        assert done.returncode == 1
        assert f"FAIL {PLANNED[2]} does not answer: {stranger}:6379: is another node: others-us-b-0." in done.stdout
        assert (identities(cluster), identities(others)) == before
        assert cluster.is_planned()
        assert others.is_planned()


# --- handing over


def test_a_primary_that_is_told_to_end_hands_over_and_no_session_is_lost(cluster: ValkeyCluster) -> None:
    with SessionWriter(cluster, shard=0) as writer:
        time.sleep(0.5)
        cluster.stop(PLANNED[0])
        writer.wait_for_write(time.monotonic(), 90)
        writer.wait_for_write(time.monotonic(), 90)
    gap = writer.longest_gap_secs
    print(f"SIGTERM: gap {gap:.2f} s, predicted {HANDOVER.range_text(' to ')}; {len(writer.written)} sessions")

    assert cluster.primaries()[0] == cluster.pod(0, 1)
    assert (
        gap < failover_secs(cluster.config.node_timeout_ms).best
    )  # nobody waited until the primary was taken for lost
    assert missing_of(cluster, writer.written) == []
    cluster.start(PLANNED[0])
    cluster.wait_until(lambda: len(cluster.look()) == 6, 180, "it is back")
    assert "takes slots 0-5460 back" in cluster.reconcile().stdout
    assert cluster.is_planned()
    assert missing_of(cluster, writer.written) == []
