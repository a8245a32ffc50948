"""A real Envoy, run from what is rendered, sends new sessions where the router's own decision sends them."""

import http.client
import random
import subprocess
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.lab.envoy import Edge, validation_fault
from aether_deploy.platform.routing import failover_orders
from aether_deploy.routing.policy import RoutingPolicy
from aether_deploy.routing.router_config import Drain
from aether_deploy.traffic.envoy.clusters import ALL_OR_NOTHING
from aether_deploy.traffic.envoy.priority import priority_load
from aether_deploy.traffic.kinds.envoy import IMAGE
from tests.envoy_cases import EDGE, HTTPS, REGIONS, RTP, WEB, envoy, landscape
from tests.envoy_edges import PROTOCOLS, Edges, answered, decided, edges, need_envoy, router, told, tour
from tests.envoy_regions import State, ask_http

pytestmark = pytest.mark.real
POLICIES = {
    "error": RoutingPolicy(),
    "fail-open": RoutingPolicy(on_none_healthy="fail_open"),
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=list(POLICIES))
@pytest.mark.parametrize("region", REGIONS)
def test_envoy_takes_every_bootstrap(tmp_path: Path, region: str, policy: RoutingPolicy) -> None:
    program = need_envoy()
    several = envoy({**HTTPS, "on_unhealthy": "keep"}, {**WEB, "check": {"port": "http"}}, RTP)

    for place, config in enumerate((EDGE, several, envoy(RTP))):
        file = tmp_path / f"{place}.yaml"
        file.write_text(config.bootstrap(landscape(policy=policy), region))
        assert validation_fault(program, file) is None


def test_envoy_takes_a_land_in_which_every_region_is_under_a_hard_drain(tmp_path: Path) -> None:
    config = router(RoutingPolicy(), dict.fromkeys(REGIONS, "hard"))
    file = tmp_path / "envoy.yaml"
    file.write_text(EDGE.bootstrap(landscape(order=failover_orders(config), drain=config.drain), "us"))

    assert validation_fault(need_envoy(), file) is None


def test_the_image_is_of_the_version_that_these_tests_run() -> None:
    said = subprocess.run([need_envoy(), "--version"], capture_output=True, text=True, check=True).stdout
    version = said.partition("version:")[2].split("/")[1]

    assert f"envoyproxy/envoy:distroless-v{version}" == IMAGE


def test_envoys_check_has_teeth(tmp_path: Path) -> None:
    file = tmp_path / "envoy.yaml"
    file.write_text(EDGE.bootstrap(landscape(), "us").replace("overprovisioning_factor", "overprovisioning"))

    assert "overprovisioning" in (validation_fault(need_envoy(), file) or "")


def test_in_every_state_of_three_regions_envoy_picks_what_the_decision_picks(tmp_path: Path) -> None:
    steps = tour()
    with edges(tmp_path) as running:
        for at, status in enumerate(steps):
            running.become(status)
            for region, edge in running.edges.items():
                wanted = {decided(RoutingPolicy(), region, status)}

                assert answered(edge, wanted) == dict.fromkeys(PROTOCOLS, wanted), (region, told(steps[: at + 1]))


def test_where_no_region_is_healthy_and_fail_open_is_wanted_players_stay_at_home(tmp_path: Path) -> None:
    policy = POLICIES["fail-open"]
    last = [dict.fromkeys(REGIONS, False) | {region: True} for region in REGIONS]
    steps = [each for alone in last for each in (alone, dict.fromkeys(REGIONS, False))]
    with edges(tmp_path, policy=policy) as running:
        for at, status in enumerate(steps):
            running.become(status, "not_ready")
            for region, edge in running.edges.items():
                wanted = {decided(policy, region, status)}

                assert answered(edge, wanted) == dict.fromkeys(PROTOCOLS, wanted), (region, told(steps[: at + 1]))


@pytest.mark.parametrize("policy", POLICIES.values(), ids=list(POLICIES))
@pytest.mark.parametrize("drain", [{"us": "hard"}, {"us": "soft"}, {"us": "soft", "eu": "hard"}], ids=str)
def test_a_region_under_a_drain_takes_whom_the_decision_sends_there(
    tmp_path: Path, drain: dict[str, Drain], policy: RoutingPolicy
) -> None:
    config = router(policy, drain)
    more: dict[str, Any] = {
        "order": failover_orders(config),
        "last_resort": failover_orders(config, soft=False),
        "drain": drain,
    }
    states = sorted({tuple(each.values()): each for each in tour()}.items())
    with edges(tmp_path, ["us", "ap"], config=envoy(WEB), policy=policy, addresses=1, **more) as running:
        for _, status in states:
            running.become(status, "not_ready")
            for region, edge in running.edges.items():
                wanted = decided(policy, region, status, drain) or "503"

                assert {ask_http(edge.address) for _ in range(3)} == {wanted}, (region, drain, status)


def test_a_region_keeps_all_of_its_players_while_one_of_its_addresses_answers(tmp_path: Path) -> None:
    with edges(tmp_path, ["ap"], addresses=6) as running:
        running.become({"ap": False, "eu": True, "us": True})
        running.land.become("eu", "refusing", "not_ready", "refusing", "up", "refusing", "not_ready")
        edge, alone = running.edges["ap"], running.land.hosts["eu"][3].address
        running.wait_for(lambda: _healthy(edge, 1) == {alone}, "five of six addresses to be out")
        sessions = Counter(ask_http(edge.address) for _ in range(200))

    assert sessions == {"eu": 200}
    usual = priority_load([0, 100 / 6, 100], hosts=[1, 6, 6])
    assert usual.load_percent == (0, 23, 77), "Envoy's own factor would send three of four elsewhere"


def _healthy(edge: Edge, priority: int) -> set[str]:
    return {
        address for (cluster, at, address), up in edge.hosts().items() if (cluster, at, up) == ("web", priority, True)
    }


@pytest.mark.parametrize(
    ("healths", "requests"), [(3, 400), pytest.param(25, 1000, marks=pytest.mark.failover)], ids=["few", "many"]
)
def test_envoys_distribution_is_that_of_the_model_for_random_healths(
    tmp_path: Path, healths: int, requests: int
) -> None:
    seed, count = random.randrange(2**32), 8
    rng = random.Random(seed)
    print(f"seed {seed}")
    with edges(tmp_path, ["eu"], config=envoy(WEB), addresses=count, change=_usual_envoy) as running:
        for _ in range(healths):
            up = (rng.randint(0, 1), rng.randint(0, count), rng.randint(0, count))
            _become(running, up)
            shares = [Fraction(100 * each, total) for each, total in zip(up, (1, count, count), strict=True)]
            model = priority_load(shares, hosts=[1, count, count], panic_threshold=50)
            got = _spread(running.edges["eu"].address, requests)

            for region, percent in zip(("eu", "us", "ap"), model.load_percent, strict=True):
                share = percent / 100
                noise = 5 * (share * (1 - share) / requests) ** 0.5
                assert abs(got[region] / requests - share) <= noise + 1e-9, (seed, up, model, got)


def _become(running: Edges, up: tuple[int, int, int]) -> None:
    """Make as many addresses healthy of the regions in the order of ``eu``, and return once its Envoy knows it."""
    for region, healthy in zip(("eu", "us", "ap"), up, strict=True):
        hosts = running.land.hosts[region]
        states: list[State] = ["up" if at < healthy else "not_ready" for at in range(len(hosts))]
        running.land.become(region, *states)
    edge = running.edges["eu"]
    running.wait_for(lambda: tuple(len(_healthy(edge, at)) for at in range(3)) == up, f"{up} to be seen")


def _usual_envoy(text: str) -> str:
    """Envoy as it is without our settings: its own factor, its own threshold of panic."""
    assert f"overprovisioning_factor: {ALL_OR_NOTHING}" in text
    return text.replace(f"overprovisioning_factor: {ALL_OR_NOTHING}", "overprovisioning_factor: 140").replace(
        "healthy_panic_threshold:\n        value: 0", "healthy_panic_threshold:\n        value: 50"
    )


def _spread(address: str, requests: int) -> Counter[str]:
    connection = http.client.HTTPConnection(address, 8080, timeout=90)
    found: Counter[str] = Counter()
    for _ in range(requests):
        connection.request("GET", "/")
        found[connection.getresponse().read().decode()] += 1
    connection.close()
    return found


def test_metrics_and_readiness_are_served_and_the_admin_interface_is_not(tmp_path: Path) -> None:
    with edges(tmp_path, ["us"]) as running:
        edge = running.edges["us"]
        statuses = {
            path: _status(edge.address, path) for path in ("/readyz", "/healthz", "/metrics", "/", "/quitquitquit")
        }
        posted = _status(edge.address, "/readyz", "POST")
        metrics = edge.ask("/metrics", 9902)

    assert statuses == {"/readyz": 200, "/healthz": 200, "/metrics": 200, "/": 404, "/quitquitquit": 404}
    assert posted == 404
    assert 'envoy_cluster_membership_healthy{envoy_cluster_name="rtp"}' in metrics


def _status(address: str, path: str, method: str = "GET") -> int:
    connection = http.client.HTTPConnection(address, 9902, timeout=90)
    connection.request(method, path)
    return connection.getresponse().status
