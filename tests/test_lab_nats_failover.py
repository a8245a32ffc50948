"""Real servers lose regions, leaders and links, and behave as ``fate_of`` said. Each test prints what it measured."""

import asyncio
import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.infrastructure.nats.quorum import STEP_DOWN_SECS_MAX, Fate, catch_up_secs, fate_of, shape_of
from aether_deploy.lab.nats.supercluster import Supercluster
from aether_deploy.timespan import TimeSpan
from tests.nats_cases import MATCHES, TELEMETRY, THREE, TWO, WITNESS, alone, estate, nats, region
from tests.nats_clients import (
    bodies_of,
    call,
    client,
    lead_from,
    make_streams,
    messages_in,
    need_nats,
    new_stream,
    publish,
    publish_while,
    run_job,
    run_shell,
    stream_info,
)
from tests.real import need

pytestmark = [pytest.mark.real, pytest.mark.failover]

LOST = ("us-a", "us-b", "us-c")
# What the clock adds to a rule here: polling, and servers that share two processors with other tests.
SLACK_SECS = 4.0


@contextmanager
def booted(where: Any, *streams: Any, **settings: Any) -> Iterator[Supercluster]:
    need_nats()
    with Supercluster(nats(*streams, **settings), where) as servers:
        servers.wait_ready()
        make_streams(servers)
        yield servers


def predicted(servers: Supercluster, **failure: Any) -> Fate:
    return fate_of(shape_of(servers.config, servers.estate), **failure)


def within(secs: float, rule: TimeSpan | None) -> bool:
    assert rule is not None
    return secs <= rule.worst + SLACK_SECS


def time_to_lead(servers: Supercluster) -> float:
    """Wait until a server that runs leads; return how long that took, seconds."""
    return servers.wait_until(lambda: servers.leader() in servers.running(), 60, "a server that runs leads")


# --- three regions


def test_three_regions_lose_one_and_go_on() -> None:
    with booted(THREE, MATCHES, TELEMETRY) as servers:
        assert publish(servers, "events-us-a-0", "matches.1", 50) == 50
        servers.wait_until(lambda: messages_in(servers, "events-eu-a-0", "MATCHES-mirror-eu") == 50, 60, "the mirror")
        lead_from(servers, "us")
        fate = predicted(servers, lost=LOST)
        servers.kill(*servers.pods("us"))
        secs = time_to_lead(servers)
        print(f"region lost: leader after {secs:.2f} s; rule {fate.meta.election}")

        assert fate.meta.leader
        assert within(secs, fate.meta.election)
        for each in fate.streams:
            answer = messages_in(servers, "events-ap-a-0", each.stream.name)
            assert (answer >= 0) is (each.readable == "yes"), each.stream.name
        assert publish(servers, "events-eu-a-0", "matches.1") == 0
        assert publish(servers, "events-ap-a-0", "telemetry.eu.1", 10) == 10
        assert "error" not in new_stream(servers, "events-eu-a-0", "LATER")
        assert messages_in(servers, "events-eu-b-0", "MATCHES-mirror-eu") == 50


def test_a_mirror_is_promoted_and_all_goes_back_as_the_runbook_says(tmp_path: Path) -> None:
    need(shutil.which("jq"), "jq", "apt-get install jq")
    with booted(THREE, {**MATCHES, "mirrors": ["eu", "ap"]}) as servers:
        (book,) = servers.config.runbooks(servers.estate).values()
        _, look, promote, _, last, *_ = _blocks(book, "### us is lost")
        check, again, take_back, remove = _blocks(book, "### Back to `MATCHES` in us, from `MATCHES-mirror-eu`")

        def run(commands: str, pod: str = "events-eu-a-0") -> "subprocess.CompletedProcess[str]":
            return run_shell(servers, pod, _blocks(book, "## Promote a mirror")[0] + commands, tmp_path)

        assert publish(servers, "events-us-a-0", "matches.1", 20) == 20
        for mirror in ("MATCHES-mirror-eu", "MATCHES-mirror-ap"):
            servers.wait_until(lambda: messages_in(servers, "events-eu-a-0", mirror) == 20, 60, mirror)  # noqa: B023
        # Nothing of what goes back does anything while nobody was promoted, be it pasted as a whole.
        assert "false" in run(check + again + take_back + remove).stdout
        assert messages_in(servers, "events-eu-a-0", "MATCHES-mirror-eu") == 20
        servers.kill(*servers.pods("us"))
        time_to_lead(servers)
        config = stream_info(servers, "events-eu-a-0", "MATCHES-mirror-eu")["config"]
        owning = {key: value for key, value in config.items() if key != "mirror"} | {"subjects": ["matches.>"]}
        taken_before = call(servers, "events-eu-a-0", "STREAM.UPDATE.MATCHES-mirror-eu", owning)
        seen, promoted = run(look), run(promote)

        assert [json.loads(line)["last"] for line in seen.stdout.splitlines()] == [20, 20]
        assert "overlap" in taken_before["error"]["description"]
        assert (promoted.returncode, promoted.stdout.splitlines()[-1]) == (0, '["matches.>"]'), promoted.stdout
        assert publish(servers, "events-ap-a-0", "matches.2", 5) == 5
        assert run(last).stdout.splitlines()[-1] == "MATCHES-mirror-ap is deleted"
        servers.start(*servers.pods("us"))
        servers.wait_ready()
        assert stream_info(servers, "events-us-a-0", "MATCHES")["error"]["code"] == 404
        assert messages_in(servers, "events-us-a-0", "MATCHES-mirror-eu") == 25
        # The Jobs of both regions run again: one lets the promoted stream be, the other is refused by the servers.
        assert "ok   APP/MATCHES-mirror-eu: promoted: left as it is" in run_job(servers, "eu").stdout
        (wanted,) = _streams_of(servers.write_streams("us"))
        assert call(servers, "events-us-a-0", "STREAM.CREATE.MATCHES", wanted)["error"]["code"] == 400
        assert messages_in(servers, "events-us-a-0", "MATCHES-mirror-eu") == 25
        for commands in (check, again, take_back):
            done = run(commands, "events-us-a-0")
            assert done.returncode == 0, done
        # Both have all of it until the last step.
        assert messages_in(servers, "events-us-a-0", "MATCHES-mirror-eu") == 25
        assert publish(servers, "events-us-a-0", "matches.3", 5) == 5
        assert run(remove).stdout.splitlines()[-1] == "MATCHES-mirror-eu is deleted"
        # And the Jobs find all as it was described.
        make_streams(servers)
        assert messages_in(servers, "events-us-a-0", "MATCHES") == 30
        assert "ok   APP/MATCHES: unchanged" in run_job(servers, "us").stdout
        servers.wait_until(lambda: messages_in(servers, "events-eu-a-0", "MATCHES-mirror-eu") == 30, 60, "the mirror")


def _blocks(book: str, heading: str) -> list[str]:
    """Return the commands under a heading of a runbook, a text for each block."""
    (section,) = re.findall(rf"^{re.escape(heading)}\n(.*?)(?=^#|\Z)", book, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def _streams_of(file: Any) -> list[dict[str, Any]]:
    return [each for account in json.loads(file.read_text("utf-8"))["accounts"] for each in account["streams"]]


# --- two regions


def test_two_regions_lose_one_and_have_no_leader_until_it_returns() -> None:
    with booted(TWO, MATCHES, TELEMETRY) as servers:
        fate = predicted(servers, lost=LOST)
        survivors = servers.pods("eu")
        lead_from(servers, "eu")
        left = str(servers.leader())
        servers.kill(*servers.pods("us"))
        # A leader that is left over notices that nobody follows it; the others wait for it a while.
        secs = servers.wait_until(lambda: servers.meta(left).get("leader") != left, 60, "no leader")
        print(f"two regions: the leader left over gave up after {secs:.1f} s; rule {STEP_DOWN_SECS_MAX} s at most")
        assert secs <= STEP_DOWN_SECS_MAX + SLACK_SECS
        servers.wait_until(lambda: servers.leader() is None, 30, "nobody names one")
        deadline = time.monotonic() + 12  # longer than any election
        while time.monotonic() < deadline:
            assert publish(servers, "events-eu-a-0", "telemetry.eu.1", 5) == 5
            assert servers.leader() not in survivors
            time.sleep(0.5)

        assert fate.meta.leader is False
        assert {servers.health(pod) for pod in survivors} == {503}
        assert "error" in new_stream(servers, "events-eu-a-0", "LATER")
        assert [each.writable for each in fate.streams if each.stream.name == "TELEMETRY-eu"] == ["yes"]

        # A server that restarts meanwhile: the probe that we render lets it in, plain /healthz never would.
        kept = messages_in(servers, "events-eu-b-0", "TELEMETRY-eu")
        servers.stop("events-eu-a-0")
        servers.start("events-eu-a-0")
        servers.wait_until(lambda: servers.health("events-eu-a-0", "js-server-only") == 200, 30, "the startup probe")
        time.sleep(5)
        assert servers.health("events-eu-a-0") == 503
        assert servers.health("events-eu-a-0", "js-enabled-only") == 200
        assert messages_in(servers, "events-eu-b-0", "TELEMETRY-eu") == kept

        servers.start(*servers.pods("us"))
        secs = servers.wait_ready()
        print(f"two regions: healthy {secs:.2f} s after the region returned")
        # What was asked for without a leader may exist now: asking again is safe.
        assert "error" not in new_stream(servers, "events-eu-a-0", "LATER")


def test_a_region_that_boots_alone_is_let_in_by_its_probes() -> None:
    """Gateways are reached through Services of pods that are ready: if that took a leader, none could ever come."""
    need_nats()
    with Supercluster(nats(TELEMETRY), TWO, waiting=["us"]) as servers:
        pods = servers.pods("eu")
        secs = servers.wait_until(
            lambda: {servers.health(pod, "js-server-only") for pod in pods} == {200}, 60, "ready without a leader"
        )
        print(f"a region alone: ready after {secs:.2f} s")
        assert servers.leader() is None
        assert {servers.health(pod) for pod in pods} == {503}
        assert {servers.health(pod, "js-enabled-only") for pod in pods} == {200}

        servers.start(*servers.pods("us"))
        servers.wait_ready()


def test_a_witness_keeps_a_leader_in_two_regions() -> None:
    with booted(WITNESS, MATCHES, TELEMETRY, witness="fra") as servers:
        assert servers.meta("events-fra-0")["cluster_size"] == 7
        lead_from(servers, "us")
        fate = predicted(servers, lost=LOST)
        servers.kill(*servers.pods("us"))
        secs = time_to_lead(servers)
        print(f"witness: leader after {secs:.2f} s; rule {fate.meta.election}")

        assert fate.meta.leader
        assert within(secs, fate.meta.election)
        assert "error" not in new_stream(servers, "events-eu-a-0", "LATER", placement={"cluster": "eu"})
        assert publish(servers, "events-eu-a-0", "telemetry.eu.1", 5) == 5


def test_no_stream_lies_on_the_witness() -> None:
    with booted(WITNESS, MATCHES, TELEMETRY, witness="fra") as servers:
        assert servers.seen("events-fra-0", "/jsz")["streams"] == 0


# --- one server


def test_a_stream_loses_its_leader_and_no_acknowledged_message() -> None:
    stream = {"name": "A", "subjects": ["a.>"], "max_bytes": "64Mi"}
    need_nats()
    with Supercluster(alone(stream), estate(region("us"))) as servers:
        servers.wait_ready()
        make_streams(servers)
        leader = stream_info(servers, "events-us-a-0", "A")["cluster"]["leader"]
        other = next(pod for pod in servers.pods() if pod not in (leader, servers.leader()))
        fate = predicted(servers, lost={servers.places[leader].server.datacenter.name: 1})
        secs, lost = asyncio.run(_killed_while_publishing(servers, leader, other))
        print(f"stream leader killed: {secs:.2f} s without an acknowledgement; rule {fate.streams[0].recovery}")

        assert lost == set()
        assert within(secs, fate.streams[0].recovery)
        assert fate.streams[0].loss == "none"


async def _killed_while_publishing(servers: Supercluster, leader: str, other: str) -> tuple[float, set[int]]:
    async def kill() -> None:
        servers.kill(leader)
        await asyncio.sleep(14)

    async with client(servers, other) as connection:
        seen = await publish_while(connection, "a.1", kill)
        return seen.longest_gap_secs, set(seen.acknowledged) - await bodies_of(connection, "A")


def test_a_server_that_leaves_is_not_missed() -> None:
    """preStop sends SIGUSR2, then comes SIGTERM: the server goes on until its clients are gone, then ends by itself."""
    stream = {"name": "A", "subjects": ["a.>"], "max_bytes": "64Mi"}
    need_nats()
    with Supercluster(alone(stream, lame_duck={"grace_secs": 1}), estate(region("us"))) as servers:
        servers.wait_ready()
        make_streams(servers)
        leader = stream_info(servers, "events-us-a-0", "A")["cluster"]["leader"]
        other = next(pod for pod in servers.pods() if pod != leader)
        seconds, gap = asyncio.run(_left_while_publishing(servers, leader, other))
        print(f"lame duck: ended after {seconds:.1f} s; {gap:.2f} s without an acknowledgement")

        assert 1 <= seconds <= 31 + 20  # what the pod is given
        assert gap < 3  # no election had to be waited for


async def _left_while_publishing(servers: Supercluster, leader: str, other: str) -> tuple[float, float]:
    took = 0.0

    async def leave() -> None:
        nonlocal took
        begun = time.monotonic()
        servers.signal(signal.SIGUSR2, leader)
        await asyncio.sleep(0.3)
        servers.signal(signal.SIGTERM, leader)
        while leader in servers.running():
            await asyncio.sleep(0.1)
        took = time.monotonic() - begun

    async with client(servers, other) as connection:
        seen = await publish_while(connection, "a.1", leave)
    return took, seen.longest_gap_secs


# --- links


def test_a_region_that_is_cut_off_heals_and_loses_nothing() -> None:
    stream = {"name": "A", "subjects": ["a.>"], "regions": ["eu"], "max_bytes": "64Mi", "mirrors": ["us"]}
    with booted(THREE, stream) as servers:
        assert publish(servers, "events-eu-a-0", "a.1", 10) == 10
        servers.wait_until(lambda: messages_in(servers, "events-us-a-0", "A-mirror-us") == 10, 60, "the mirror")
        lead_from(servers, "us")
        cut = [frozenset(("eu", "us")), frozenset(("eu", "ap"))]
        fate = predicted(servers, cut=cut)
        begun = time.monotonic()
        with servers.partition("eu"):
            servers.wait_until(lambda: servers.health("events-eu-a-0") == 503, 60, "eu has no leader")
            assert publish(servers, "events-eu-a-0", "a.1", 100) == 100
            assert publish(servers, "events-us-a-0", "a.1") == 0
            assert "error" in new_stream(servers, "events-eu-a-0", "CUT")
            assert "error" not in new_stream(servers, "events-us-a-0", "FREE", placement={"cluster": "us"})
            assert messages_in(servers, "events-us-a-0", "A-mirror-us") == 10
        secs = servers.wait_until(lambda: messages_in(servers, "events-us-a-0", "A-mirror-us") == 110, 90, "caught up")
        copy = next(each for each in fate.streams if each.stream.role == "mirror")
        rule = catch_up_secs(time.monotonic() - begun - secs)
        print(f"cut healed: mirror caught up after {secs:.1f} s; rule {rule}")

        assert (fate.meta.managed, fate.meta.unmanaged) == (("us", "ap"), ("eu",))
        assert copy.stale
        assert within(secs, rule)
        servers.wait_ready()
        assert messages_in(servers, "events-eu-a-0", "A") == 110
        assert "error" not in new_stream(servers, "events-eu-a-0", "CUT")


def test_one_cut_of_three_leaves_both_regions_managed() -> None:
    with booted(THREE, TELEMETRY) as servers:
        fate = predicted(servers, cut=[frozenset(("us", "eu"))])
        assert servers.links is not None
        servers.links.cut("us", "eu")
        servers.wait_until(lambda: servers.leader() in servers.pods("ap"), 120, "the one that reaches all leads")
        created = {pod: new_stream(servers, f"events-{pod}-a-0", f"NEW{pod}") for pod in ("us", "eu", "ap")}

        assert fate.meta.managed == ("us", "eu", "ap")
        assert not any("error" in answer for answer in created.values()), created
