"""Real servers take our files, and are what the description says."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.infrastructure.nats.streams import streams_of
from aether_deploy.infrastructure.nats.text import Variable, text_of
from aether_deploy.infrastructure.nats.wiring import variables_of
from aether_deploy.lab.certificates import Authority
from aether_deploy.lab.nats.programs import syntax_fault
from aether_deploy.lab.nats.supercluster import Supercluster
from aether_deploy.lab.processes import free_ports
from tests.nats_cases import MATCHES, ONE, TELEMETRY, THREE, WITNESS, alone, nats, objects, place
from tests.nats_clients import call, make_streams, messages_in, need_nats, publish, run_job, stream_info

pytestmark = pytest.mark.real

READY_SECS = 180


@pytest.fixture(scope="module")
def three() -> Iterator[Supercluster]:
    """Three regions of three servers, with certificates; started once for all tests that break nothing."""
    need_nats()
    with Supercluster(nats({**MATCHES, "mirrors": ["eu", "ap"]}, TELEMETRY), THREE) as servers:
        servers.wait_ready(READY_SECS)
        yield servers


@pytest.fixture(scope="module")
def made(three: Supercluster) -> Supercluster:
    """The same, once the Jobs of all regions have run."""
    make_streams(three)
    return three


SHAPES: dict[str, tuple[Any, Any]] = {
    "three regions": (nats(MATCHES, TELEMETRY), THREE),
    "a witness": (nats(witness="fra"), WITNESS),
    "one region, nothing more": (alone(), ONE),
    "everything": (
        nats(
            leafnodes={"endpoint": "{pod}.leaf.example.com"},
            jetstream={"domain": "hub", "sync_interval_secs": 0},
            tls={"secret": "t", "verify_clients": True},
            accounts=[
                {"name": "APP", "users": [{"name": "app", "publish": ["a.>"], "subscribe": ["b.>", "_INBOX.>"]}]},
                {"name": "include", "jetstream": False, "users": [{"name": "ops", "secret": "ops"}]},
            ],
        ),
        THREE,
    ),
}


@pytest.mark.parametrize("config, where", SHAPES.values(), ids=SHAPES.keys())
def test_the_servers_own_check_takes_every_file(config: Any, where: Any, tmp_path: Path) -> None:
    program = Path(need_nats())
    authority = Authority("test")
    authority.write(tmp_path, "ca")
    authority.issue(tmp_path, "tls", name="nats", peer=True)
    files: dict[str, str] = {}
    for region in where.regions:
        for cluster in dict.fromkeys(each.cluster for each in region.datacenters):
            files |= objects(config, place(where, region.code, cluster))["ConfigMap", "events-config"]["data"]
    assert len(files) == len({each.name for each in where.datacenters})

    for name, text in files.items():
        # What Kubernetes puts into the environment; certificates lie where this machine has them.
        file = tmp_path / name
        file.write_text(_with_values(text, config, where).replace("/run/aether/tls", str(tmp_path)), "utf-8")
        assert syntax_fault(program, file) is None, text


def _with_values(text: str, config: Any, where: Any) -> str:
    for each in reversed(variables_of(config, where, where.regions[0].full[0])):
        text = text.replace(f"${each['name']}", f'"{each["name"].lower()}-value"')
    return text


def test_the_check_finds_a_key_that_no_server_knows(tmp_path: Path) -> None:
    file = tmp_path / "nats.conf"
    file.write_text(text_of({"server_nam": "x"}), "utf-8")

    assert "unknown field" in str(syntax_fault(Path(need_nats()), file))


def test_three_regions_boot_with_certificates_and_one_leader(three: Supercluster) -> None:
    assert len(three.running()) == 9
    assert three.leader() in three.pods()
    assert three.meta("events-us-a-0")["cluster_size"] == 9
    assert {pod: three.health(pod) for pod in three.pods()} == dict.fromkeys(three.pods(), 200)


def test_every_server_has_gateways_to_both_other_regions(three: Supercluster) -> None:
    others = {pod: {"us", "eu", "ap"} - {three.places[pod].server.cluster} for pod in three.pods()}

    def reached() -> dict[str, set[str]]:
        return {pod: set(three.seen(pod, "/gatewayz").get("outbound_gateways", ())) for pod in others}

    three.wait_until(lambda: reached() == others, 90, "every server has its gateways")


def test_the_job_makes_every_stream(made: Supercluster) -> None:
    for stream in streams_of(made.config, made.estate):
        info = stream_info(made, "events-ap-a-0", stream.name)

        assert info["cluster"]["name"] == stream.region
        assert info["config"].get("mirror", {}).get("name") == (stream.sources[0] if stream.role == "mirror" else None)


def test_a_second_run_changes_nothing(made: Supercluster) -> None:
    done = run_job(made, "us")

    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        ["ok   APP/MATCHES: unchanged", "ok   APP/TELEMETRY-us: unchanged", "ok   APP/TELEMETRY-all: unchanged"],
    )


def test_three_replicas_lie_in_three_zones(made: Supercluster) -> None:
    for stream in streams_of(made.config, made.estate):
        info = stream_info(made, "events-us-a-0", stream.name)["cluster"]
        pods = [info["leader"], *(each["name"] for each in info["replicas"])]

        assert {made.places[pod].server.datacenter.zone for pod in pods} == set(
            made.estate.region(stream.region).zones  # type: ignore[union-attr]
        )


def test_what_is_published_in_one_region_arrives_in_its_copies(made: Supercluster) -> None:
    for subject in ("matches.1", "telemetry.eu.cpu"):
        assert publish(made, "events-ap-c-0", subject) == 1

    # What TELEMETRY-all gathers was made after it, so it asks again half a minute later: no test waits for that here.
    names = ("MATCHES-mirror-eu", "MATCHES-mirror-ap", "TELEMETRY-eu")
    made.wait_until(lambda: all(messages_in(made, "events-us-a-0", name) >= 1 for name in names), 180, "copies have it")


def test_a_job_puts_right_what_somebody_changed(made: Supercluster) -> None:
    changed = {
        **stream_info(made, "events-us-a-0", "MATCHES")["config"],
        "max_age": 60 * 10**9,
        "duplicate_window": 10**9,
    }
    assert "error" not in call(made, "events-us-a-0", "STREAM.UPDATE.MATCHES", changed)

    done = run_job(made, "us")

    assert "ok   APP/MATCHES: updated duplicate_window, max_age" in done.stdout
    assert stream_info(made, "events-us-a-0", "MATCHES")["config"]["max_age"] == 0


def test_a_job_that_may_not_log_in_says_so(three: Supercluster) -> None:
    file = three.write_streams("us")
    (file.parent / "app" / "password").write_text("wrong", "utf-8")
    text = file.read_text("utf-8")
    assert '"wait_secs": 180' in text
    file.write_text(text.replace('"wait_secs": 180', '"wait_secs": 0'), "utf-8")
    command = [sys.executable, "-m", "aether_deploy.jobs.nats_streams", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)

    assert (done.returncode, done.stdout) == (3, "")
    assert "does not let account APP in" in done.stderr
    assert "fix: see that the servers run, and that the Secret is theirs" in done.stderr


NASTY = ("0123", "12ab", "1k", "true", "pass#word", "a b", "{x}", '"quoted"', "back\\slash", "$HOME", "$2x", "Ünïcode")


def test_passwords_are_taken_as_they_are_written(tmp_path: Path) -> None:
    program = need_nats()
    (port,), held = free_ports(1)
    users = [{"user": f"u{at}", "password": Variable(f"PASSWORD_{at}")} for at in range(len(NASTY))]
    file = tmp_path / "nats.conf"
    file.write_text(text_of({"listen": f"127.0.0.1:{port}", "authorization": {"users": users}}), "utf-8")
    rendered = {each["name"]: each.get("value", "") for each in variables_of(nats(), THREE, THREE.regions[0].full[0])}
    quoted = rendered["NATS_PASSWORD_APP"]
    words = {f"PASSWORD_{at}": quoted.replace("$(RAW_NATS_PASSWORD_APP)", word) for at, word in enumerate(NASTY)}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([program, "-c", str(file)], env={**os.environ, **words}, stdout=log, stderr=log)
    try:
        entered = asyncio.run(_entering(port, [*((f"u{at}", word) for at, word in enumerate(NASTY)), ("u0", "0124")]))
    finally:
        server.kill()
        server.wait()
        for each in held:
            each.close()

    assert entered == [True] * len(NASTY) + [False]


async def _entering(port: int, logins: list[tuple[str, str]]) -> list[bool]:
    """Return for each login whether the server lets it in, as the server's own protocol says."""
    deadline = time.monotonic() + 90
    entered = []
    for user, password in logins:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
        await reader.readline()
        said = json.dumps({"user": user, "pass": password, "verbose": False, "pedantic": False})
        writer.write(f"CONNECT {said}\r\nPING\r\n".encode())
        entered.append((await reader.readline()).startswith(b"PONG"))
        writer.close()
    return entered
