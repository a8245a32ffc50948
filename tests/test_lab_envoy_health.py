"""A real Envoy and the router's prober ask a region the same question, and take its answers for the same."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aether_deploy.lab.envoy import Edge
from aether_deploy.service.router.probing import Prober, target_of
from aether_deploy.service.router.resolving import Resolver
from aether_deploy.traffic.backend import Landscape
from aether_deploy.traffic.kinds.envoy import TRUSTED_CA
from tests.envoy_cases import ASKED, GATEWAY, HTTPS, REGIONS, envoy
from tests.envoy_edges import edges
from tests.envoy_regions import State
from tests.router_cases import run_async

pytestmark = pytest.mark.real
READY: Mapping[State, bool] = {
    "redirecting": True,
    "not_ready": False,
    "up": True,
    "expired": False,
    "misnamed": False,
}
OWN_NAMES = {
    "hostname": None,
    "question": msgspec.structs.replace(ASKED, server_name=None),
    "targets": {"gateway": GATEWAY},
}


def probed(where: Landscape, region: str, address: str) -> bool:
    """Return whether the router's prober finds an address ready, by the question that the router asks."""
    asked = where.question
    assert asked is not None
    name = asked.server_name or where.entry.addresses[region]
    target = target_of(f"{asked.scheme}://{address}:{asked.port[1]}{asked.path}", name)
    outcome = run_async(Prober(Resolver()).probe(target, within_secs=90)).outcome
    return outcome == "ready"


def checked(edge: Edge, address: str) -> set[bool]:
    """Return whether Envoy's checks of the entry find an address ready."""
    return {up for (cluster, _, at), up in edge.hosts().items() if (cluster, at) == ("https", address)}


def _agrees(edge: Edge, address: str, ready: bool) -> bool:
    return checked(edge, address) == {ready}


@pytest.mark.parametrize("more", [{}, OWN_NAMES], ids=["one name for all regions", "each region has its own"])
def test_envoy_and_the_router_agree_on_redirects_and_on_certificates_that_players_would_not_take(
    tmp_path: Path, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with edges(tmp_path, ["us"], config=envoy(HTTPS), addresses=1, **more) as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(running.land.trusted_ca))
        edge = running.edges["us"]
        for region in ("us", "eu"):
            address = running.land.hosts[region][0].address
            for state, ready in READY.items():
                running.land.become(region, state)
                running.wait_for(partial(_agrees, edge, address, ready), f"{region} {state} to be seen")

                assert probed(running.where, region, address) is ready, (region, state)
            running.land.become(region, "up")


def test_a_certificate_that_nobody_vouches_for_keeps_a_region_out(tmp_path: Path) -> None:
    def trusting_others(text: str) -> str:
        return text.replace(TRUSTED_CA, str(tmp_path / "misnamed.crt"))

    config = envoy(HTTPS)
    with edges(tmp_path, ["us"], config=config, addresses=1, change=trusting_others, settled=False) as running:
        edge, hosts = running.edges["us"], running.land.hosts
        running.wait_for(lambda: _failures(edge) >= 4 * len(REGIONS), "several checks of each region to fail")

        assert [checked(edge, hosts[region][0].address) for region in REGIONS] == [{False}] * len(REGIONS)


def _failures(edge: Edge) -> int:
    said = edge.ask("/stats?filter=^cluster.https.health_check.failure$")
    return int(said.rpartition(":")[2])
