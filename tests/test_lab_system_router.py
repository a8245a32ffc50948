"""The router in a lab: what it is told, whom it sends players to, and that whoever it names really answers."""

import json
import ssl
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from aether_deploy.lab.system.asking import Secured, ask
from aether_deploy.lab.system.member import Member
from aether_deploy.lab.system.members import router, service
from aether_deploy.lab.system.network import Network, Server
from aether_deploy.platform.config import Platform
from aether_deploy.routing.router_config import RouterConfig
from tests.lab_workload_cases import (
    FAR,
    NEAR,
    PATIENCE_SECS,
    ROUTING,
    SERVICES,
    addresses,
    answered,
    answers,
    booted,
    holds,
    platform_of,
    probe_of,
    wait_for,
)

PAIR = frozenset((NEAR, FAR))


@pytest.fixture(scope="module")
def platform() -> Platform:
    return platform_of(SERVICES, ROUTING)


@pytest.fixture(scope="module")
def network() -> Network:
    return Network()


@pytest.fixture(scope="module")
def members(platform: Platform, network: Network) -> Iterator[dict[str, Member]]:
    found = [*router.members_of(platform, network), *service.members_of(platform, network)]
    with booted(network, *found):
        yield {each.name: each for each in found}


def all_send(network: Network, preferred: str, to: str, *, at: Sequence[str] = (NEAR, FAR)) -> bool:
    """Return whether every router of some regions answers, and sends players who prefer a region to one."""
    path = f"/v1/route?preferred={preferred}"
    try:
        told = [
            json.loads(ask(network.find(Server("router", code, "http", number)), path, within_secs=5))["region"]
            for code in at
            for number in (1, 2)
        ]
    except OSError:
        return False
    return told == [to] * len(told)


def told_to(member: Member, network: Network, platform: Platform) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is rendered for a router, and what one is told here."""
    (entry,) = [each for each in platform.directed if each.view.name == "router"]
    config = platform.expanded_in(entry.view.at, FAR).config
    assert config is not None
    assert isinstance(member, router.RouterMember)
    return json.loads(config.config_files[0].text or ""), member.told(
        FAR, network.find(Server("router", "", "self-check"))
    )


def test_a_router_is_told_what_is_rendered_with_addresses_of_this_machine(
    members: dict[str, Member], network: Network, platform: Platform
) -> None:
    rendered, told = told_to(members["router"], network, platform)

    RouterConfig.from_values(told)
    for each in told["regions"]:
        at = network.reach(FAR, Server("gateway", each["code"], "https"))
        assert each.pop("probe") == f"https://{at}/readyz"
    for each in rendered["regions"]:
        each.pop("probe")
    assert told.pop("self_check").startswith("tcp://localhost:")
    assert rendered.pop("self_check") == "https://status.example.com/"
    assert told == rendered


def test_players_of_a_lost_region_are_sent_to_the_next_and_come_back(
    members: dict[str, Member], network: Network
) -> None:
    gateway = members["gateway"]
    near, far = probe_of(members["router"], NEAR), probe_of(members["router"], FAR)

    wait_for("players to be sent where they want", lambda: all_send(network, NEAR, NEAR))
    before = holds(near.read)
    gateway.kill(addresses(gateway, NEAR))
    others = holds(far.read)
    wait_for("every router to send players elsewhere", lambda: all_send(network, NEAR, FAR))
    meanwhile = holds(near.read)
    gateway.mend(addresses(gateway, NEAR))
    wait_for("players to be sent home", lambda: all_send(network, NEAR, NEAR))

    assert (before, others, meanwhile) == (True, True, True)
    assert holds(near.read)


def test_a_player_who_is_sent_where_nobody_is_has_no_answer(members: dict[str, Member], network: Network) -> None:
    routers = [lambda: network.ways(NEAR, Server("router", NEAR, "http"))]
    lost = router.RoutedProbe(NEAR, routers, dict.fromkeys((NEAR, FAR), list), "/readyz", None)

    def arrives() -> bool:
        try:
            lost.read()
        except ConnectionRefusedError:
            return False
        return True

    assert not answered("a router", arrives)


def test_players_whose_region_has_no_router_left_ask_that_of_the_next(members: dict[str, Member]) -> None:
    routers = members["router"]
    near = probe_of(routers, NEAR)
    lost = addresses(routers, NEAR)

    routers.kill(lost)
    without = holds(near.read)
    routers.kill(addresses(routers, FAR))
    without_any = answers(near.read)
    routers.mend(addresses(routers))
    wait_for("routers to be back", lambda: answers(near.read))

    assert (without, without_any) == (True, False)


def test_a_cut_hides_the_other_region_from_a_router_and_no_player_from_his_own(
    members: dict[str, Member], network: Network
) -> None:
    near = probe_of(members["router"], NEAR)
    network.cut(PAIR)
    try:
        wait_for("each router to miss the other region", lambda: _all_see(network, everything=False))
        for code in (NEAR, FAR):
            wait_for("players to be sent home", lambda code=code: all_send(network, code, code, at=[code]))  # type: ignore[misc]
        own = holds(near.read)
    finally:
        network.join(PAIR)
    wait_for("each router to see both", lambda: _all_see(network, everything=True))

    assert own


def _all_see(network: Network, *, everything: bool) -> bool:
    """Return whether every router answers, and sees all regions well, or else misses one."""
    try:
        told = [
            json.loads(ask(network.find(Server("router", at, "http", number)), "/v1/regions", within_secs=5))["regions"]
            for at in (NEAR, FAR)
            for number in (1, 2)
        ]
    except OSError:
        return False
    return all(all(each["health"] != "unhealthy" for each in regions) == everything for regions in told)


def test_a_router_trusts_who_vouches_for_the_entry_and_nobody_else(
    network: Network, members: dict[str, Member]
) -> None:
    trusted = ssl.create_default_context(cafile=network.noted(service.authority_word("gateway")))
    at = network.find(Server("gateway", NEAR, "https"))

    assert ask(at, "/readyz", within_secs=PATIENCE_SECS, secured=Secured(trusted, "play.example.com"))
    stranger = Secured(ssl.create_default_context(), "play.example.com")
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(at, "/readyz", within_secs=PATIENCE_SECS, secured=stranger)
