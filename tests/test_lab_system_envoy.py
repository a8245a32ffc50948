"""Envoys in a lab: rendered files, names and ports, and sessions of each protocol that reach a living region."""

import contextlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from aether_deploy.lab.envoy import placed_text
from aether_deploy.lab.system.loopback import own_addresses
from aether_deploy.lab.system.member import Member
from aether_deploy.lab.system.members import envoy, service
from aether_deploy.lab.system.members.envoy import EnvoyMember
from aether_deploy.lab.system.members.service import authority_word
from aether_deploy.lab.system.network import Network
from aether_deploy.platform.config import Platform
from aether_deploy.traffic.kinds.envoy import TRUSTED_CA
from tests.envoy_edges import need_envoy
from tests.lab_workload_cases import (
    FAR,
    NEAR,
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

pytestmark = pytest.mark.real
LISTENERS = ("rtp", "https", "web")


@pytest.fixture(scope="module")
def platform() -> Platform:
    need_envoy()
    return platform_of(SERVICES, ROUTING)


@pytest.fixture(scope="module")
def network(platform: Platform) -> Network:
    return Network()


@pytest.fixture(scope="module")
def members(platform: Platform, network: Network) -> Iterator[dict[str, Member]]:
    found = [*envoy.members_of(platform, network), *service.members_of(platform, network)]
    with booted(network, *found):
        yield {each.name: each for each in found}


def all_answer(member: Member, region: str) -> bool:
    """Return whether new sessions of a region get an answer at every listener."""
    return all(answers(probe_of(member, region, part).read) for part in LISTENERS)


def holds_everywhere(member: Member, region: str) -> bool:
    """Return the same on a machine that may be busy."""
    return all(holds(probe_of(member, region, part).read) for part in LISTENERS)


def test_new_sessions_of_every_protocol_reach_a_region(members: dict[str, Member]) -> None:
    edge = members["player-edge"]

    wait_for("every listener to lead somewhere", lambda: all(all_answer(edge, code) for code in (NEAR, FAR)))

    assert [(each.part, each.region) for each in edge.probes()] == [
        (part, code) for part in LISTENERS for code in (NEAR, FAR)
    ]


def test_an_envoy_reads_what_is_rendered_but_for_where_it_listens(
    members: dict[str, Member], network: Network, platform: Platform
) -> None:
    edge = members["player-edge"]
    assert isinstance(edge, EnvoyMember)
    (pod,) = edge.pods_in(NEAR)
    address = pod.ports["rtp"].host
    (entry,) = [each for each in platform.directed if each.view.name == "player-edge"]
    config = platform.expanded_in(entry.view.at, NEAR).config
    assert config is not None

    file = pod.daemon.log.with_name(f"envoy-{address}.yaml")

    rendered = placed_text(config.config_files[0].text or "", address)
    differs = [
        (one.strip(), other.strip())
        for one, other in zip(rendered.splitlines(), file.read_text("utf-8").splitlines(), strict=True)
        if one != other
    ]
    assert differs == [(f"filename: {TRUSTED_CA}", f"filename: {network.noted(authority_word('gateway'))}")]
    assert pod.ports["rtp"].port == 3478


def test_sessions_of_a_region_whose_servers_are_gone_go_to_the_next(members: dict[str, Member]) -> None:
    edge, gone = members["player-edge"], ("gateway", "voice-relay")

    for name in gone:
        members[name].kill(addresses(members[name], NEAR))
    wait_for("sessions to go on elsewhere", lambda: all_answer(edge, NEAR))
    everywhere = holds_everywhere(edge, FAR)
    for name in gone:
        members[name].kill(addresses(members[name], FAR))
    wait_for("nobody to answer", lambda: not any(answers(probe_of(edge, NEAR, part).read) for part in LISTENERS))
    for name in gone:
        members[name].mend(addresses(members[name]))
    wait_for("sessions to come back", lambda: all_answer(edge, NEAR) and all_answer(edge, FAR))

    assert everywhere


def test_players_whose_region_has_no_envoy_left_come_in_by_the_next(members: dict[str, Member]) -> None:
    edge = members["player-edge"]

    edge.kill(addresses(edge, NEAR))
    without = holds_everywhere(edge, NEAR)
    edge.kill(addresses(edge, FAR))
    without_any = answers(probe_of(edge, NEAR, "rtp").read)
    edge.mend(addresses(edge))
    wait_for("Envoys to be back", lambda: all_answer(edge, NEAR))

    assert (without, without_any) == (True, False)


def test_two_labs_have_no_address_in_common() -> None:
    with ExitStack() as one, ExitStack() as other:
        mine, others = own_addresses(one), own_addresses(other)
        first, second = {next(mine) for _ in range(300)}, {next(others) for _ in range(300)}

    assert len(first) == len(second) == 300
    assert not first & second


def test_outside_of_linux_envoys_are_left_out_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, platform: Platform
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    network = Network()
    with contextlib.closing(network):
        found = envoy.members_of(platform, network)

    assert (list(found), list(envoy.left_out_of(platform))) == (
        [],
        ["player-edge: each needs addresses of its own on the loopback network, which only Linux has"],
    )
