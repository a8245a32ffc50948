"""A small platform of two regions whose workloads run in a lab: players, worlds, what leads them, and a database."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from aether_deploy.lab.system.desk import Desk
from aether_deploy.lab.system.member import Member, Probe
from aether_deploy.lab.system.network import Network
from aether_deploy.lab.system.record import LabProcess
from aether_deploy.manifest.yaml_source import read_document
from aether_deploy.platform.config import Platform

T = TypeVar("T")
NEAR, FAR = "us-east-1", "eu-west-1"
IMAGE = "example@sha256:175cce968fed5911168c89c9977c883e08195289784e31568030732df63b07db"
CITUS = (
    "registry.example.com/patroni-citus:18.1@sha256:175cce968fed5911168c89c9977c883e08195289784e31568030732df63b07db"
)
PATIENCE_SECS = 90.0
"""How long a test waits for what must happen; far beyond what it takes."""

_HOLDS_SECS = 30.0

HEAD = f"""
name: small
kubernetes: v1.37
regions:
  - {{code: {NEAR}, provider: aws, zones: [{NEAR}a, {NEAR}b]}}
  - {{code: {FAR}, provider: aws, zones: [{FAR}a, {FAR}b]}}
links: [{{between: [{NEAR}, {FAR}], latency_ms: 76, bandwidth_mbps: 1000}}]
"""

WORLDS = f"""
worlds:
  - {{name: world-server, image: "{IMAGE}", pvc: {{size: 1Gi}}, ports: [{{name: game, port: 7777, protocol: UDP}}],
     env: {{WORLD_TICK_HZ: "40"}}, expose: {{type: LoadBalancer, per_pod: true, ports: [game]}}}}
"""

SERVICES = f"""
services:
  - {{name: gateway, image: "{IMAGE}", replicas: 2, ports: [{{name: https, port: 8443}}],
     expose: {{type: LoadBalancer, ports: [https]}}}}
  - {{name: voice-relay, image: "{IMAGE}", replicas: 3, ports: [{{name: rtp, port: 3478, protocol: UDP}}],
     expose: {{type: LoadBalancer, ports: [rtp, http]}}, endpoint: "voice-relay.{{region}}.example.com"}}
"""

ROUTING = f"""
routing:
  entry: gateway
  hostname: play.example.com
  health: {{port: https, path: /readyz, interval_ms: 300, timeout_ms: 1000, fall: 2, rise: 1}}
  self_check: https://status.example.com/
  service: {{image: "{IMAGE}", replicas: 2}}
  backends:
    - {{name: player-edge, kind: envoy, replicas: 1, listeners: [
       {{name: rtp, port: 3478, protocol: UDP, to: voice-relay}},
       {{name: https, port: 8443, to: gateway}},
       {{name: web, port: 8080, protocol: HTTP, to: voice-relay, to_port: http}}]}}
"""

DATABASE = f"""
components:
  - name: accounts
    kind: postgres
    image: ghcr.io/zalando/spilo-18:4.1-p2@sha256:adc4111479ba5d510804ead7c262ad177e874ce029dff552aa4db9f5a22ae29b
    regions: [{NEAR}]
    members: 2
    pvc: {{size: 20Gi}}
    failover: {{loop_wait: 2, ttl: 20, retry_timeout: 3, synchronous_mode: quorum}}
    standby: {{region: {FAR}, members: 1}}
    expose: {{type: LoadBalancer, internal: true}}
    endpoint: "accounts.{{region}}.example.com"
    network: {{allow_from: [198.51.100.0/24], allow_to: [203.0.113.0/24]}}
"""

SHARDED = f"""
components:
  - name: inventory
    kind: postgres
    image: "{CITUS}"
    regions: [{NEAR}]
    members: 1
    sharding: {{database: game, workers: 2, members_per_worker: 1}}
    pvc: {{size: 20Gi}}
    failover: {{loop_wait: 2, ttl: 20, retry_timeout: 3}}
"""


def platform_of(*texts: str) -> Platform:
    """Return the platform that some parts of a description make."""
    return Platform.from_values(read_document("".join([HEAD, *texts]), "aether.yaml"))


@contextlib.contextmanager
def booted(network: Network, *members: Member) -> Iterator[None]:
    """Run members side by side, each in a thread of its own, as a lab does."""
    desks = [Desk(each) for each in members]
    try:
        for boot in [desk.boot() for desk in desks]:
            boot.result()
        yield
    finally:
        network.close()
        for end in [desk.end() for desk in desks]:
            end.result()
        for desk in desks:
            desk.leave()


def probe_of(member: Member, region: str, part: str = "") -> Probe:
    """Return a new client of one part in one region."""
    (found,) = [each for each in member.probes() if (each.region, each.part) == (region, part)]
    return found


def process(member: Member, address: str) -> LabProcess:
    """Return one process as it is now."""
    (found,) = [each for each in member.processes() if each.address == address]
    return found


def addresses(member: Member, region: str | None = None) -> list[str]:
    """Return the addresses of processes, of one region or of all."""
    return [each.address for each in member.processes() if region in (None, each.region)]


def answers(ask: Callable[[], object]) -> bool:
    """Return whether a client got an answer."""
    try:
        ask()
    except Exception:
        return False
    return True


def holds(ask: Callable[[], object]) -> bool:
    """Return whether a client gets an answer, on a machine that may stand still: one of many questions is answered."""
    deadline = time.monotonic() + _HOLDS_SECS
    while not (is_answered := answers(ask)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_answered


def answered(what: str, ask: Callable[[], T]) -> T:
    """Return the answer to a question, once there is one; fail where there never is."""
    found: list[T] = []
    wait_for(what, lambda: answers(lambda: found.append(ask())))
    return found[0]


def wait_for(what: str, holds: Callable[[], bool]) -> None:
    """Return once something holds; fail where it never does."""
    deadline = time.monotonic() + PATIENCE_SECS
    while not holds():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECS:g} s for {what}"
        time.sleep(0.05)
