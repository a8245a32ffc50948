"""Services in a lab: stand-ins behind one address in each region, over HTTP, TLS and UDP, and what befalls them."""

import json
import ssl
import time
from collections.abc import Iterator

import pytest

from aether_deploy.lab.system.asking import Secured, ask
from aether_deploy.lab.system.member import Member
from aether_deploy.lab.system.members import pods, service
from aether_deploy.lab.system.network import Network, Server
from tests.lab_workload_cases import (
    FAR,
    IMAGE,
    NEAR,
    PATIENCE_SECS,
    ROUTING,
    SERVICES,
    addresses,
    answers,
    booted,
    holds,
    platform_of,
    probe_of,
    wait_for,
)

ECHO = f"""
services:
  - {{name: relay, image: "{IMAGE}", replicas: 2, ports: [{{name: http, port: 8080, enabled: false}},
      {{name: rtp, port: 3478, protocol: UDP}}], metrics: none,
     probes: {{liveness: {{type: exec, command: ["true"]}}, readiness: {{type: exec, command: ["ls"]}}}}}}
"""


@pytest.fixture(scope="module")
def network() -> Network:
    return Network()


@pytest.fixture(scope="module")
def members(network: Network) -> Iterator[dict[str, Member]]:
    found = service.members_of(platform_of(SERVICES, ROUTING), network)
    with booted(network, *found):
        yield {each.name: each for each in found}


def who(network: Network, name: str, region: str, port: str = "http") -> dict[str, str]:
    told: dict[str, str] = json.loads(
        ask(network.find(Server(name, region, port)), "/healthz", within_secs=PATIENCE_SECS)
    )
    return told


def test_a_service_has_one_process_in_each_zone_as_long_as_it_has_pods(members: dict[str, Member]) -> None:
    assert addresses(members["voice-relay"], NEAR) == [f"{NEAR}/voice-relay-0", f"{NEAR}/voice-relay-1"]
    assert [each.datacenter for each in members["gateway"].processes()] == [
        f"{NEAR}a",
        f"{NEAR}b",
        f"{FAR}a",
        f"{FAR}b",
    ]


def test_its_region_is_led_to_each_of_them_in_turn(members: dict[str, Member], network: Network) -> None:
    told = [who(network, "voice-relay", FAR) for _ in range(4)]

    assert {each["region"] for each in told} == {FAR}
    assert [each["pod"] for each in told] in (
        ["voice-relay-0", "voice-relay-1"] * 2,
        ["voice-relay-1", "voice-relay-0"] * 2,
    )


def test_the_entry_shows_a_certificate_that_a_player_takes(members: dict[str, Member], network: Network) -> None:
    trusted = ssl.create_default_context(cafile=network.noted(service.authority_word("gateway")))
    at = network.find(Server("gateway", FAR, "https"))

    told = json.loads(ask(at, "/readyz", within_secs=PATIENCE_SECS, secured=Secured(trusted, "play.example.com")))

    assert (told["service"], told["region"]) == ("gateway", FAR)
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(at, "/readyz", within_secs=PATIENCE_SECS, secured=Secured(trusted, "elsewhere.example.com"))


def test_a_region_answers_while_one_zone_is_left_and_not_without_any(members: dict[str, Member]) -> None:
    relay = members["voice-relay"]
    near, far = probe_of(relay, NEAR), probe_of(relay, FAR)
    one, other = addresses(relay, NEAR)

    relay.kill([one])
    after_one = [holds(near.read) for _ in range(4)]
    relay.kill([other])
    after_both = answers(near.read), holds(far.read)
    relay.mend([one, other])
    wait_for("the region to be back", lambda: answers(near.read))

    assert after_one == [True] * 4
    assert after_both == (False, True)


def test_a_pod_that_hangs_is_led_to_until_its_readiness_probe_has_failed(
    members: dict[str, Member], network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = members["voice-relay"]
    near = probe_of(relay, NEAR)
    frozen, _ = addresses(relay, NEAR)
    server = Server("voice-relay", NEAR, "http")
    asked = platform_of(SERVICES).expanded_in(("services", 1), NEAR).config
    assert asked is not None
    noticed_secs = asked.probes.readiness.period_secs * asked.probes.readiness.failure_threshold

    now = time.monotonic()
    monkeypatch.setattr(pods, "now", lambda: now)
    relay.freeze([frozen])
    wait_for(
        "a read to meet the pod that hangs, which others may have had their turn at", lambda: not answers(near.read)
    )
    before = {*network.ways(NEAR, server)}
    now += noticed_secs + asked.probes.readiness.timeout_secs
    after = {*network.ways(NEAR, server)}
    reads = holds(near.read)
    monkeypatch.undo()
    relay.mend([frozen])
    wait_for("both to answer", lambda: all(answers(near.read) for _ in range(4)))

    assert before == {network.find(server._replace(number=number)) for number in (1, 2)}
    assert after == {network.find(server._replace(number=2))}
    assert reads


def test_a_service_of_datagrams_alone_is_asked_by_datagrams() -> None:
    network = Network()
    (relay,) = service.members_of(platform_of(ECHO), network)
    with booted(network, relay):
        near = probe_of(relay, NEAR)
        before = holds(near.read)
        relay.kill(addresses(relay, NEAR))
        after = answers(near.read)

    assert isinstance(near, service.EchoProbe)
    assert (before, after) == (True, False)


def test_a_region_of_one_zone_gets_one_process() -> None:
    platform = platform_of(SERVICES.replace("replicas: 3", "replicas: 1"))
    configs = pods.configs_of(platform, next(each for each in platform.entries if each.name == "voice-relay"))

    seats = list(pods.seats_of(platform.estate, configs))

    assert [(each.address, each.datacenter) for each in seats] == [
        (f"{NEAR}/voice-relay-0", f"{NEAR}a"),
        (f"{FAR}/voice-relay-0", f"{FAR}a"),
    ]
