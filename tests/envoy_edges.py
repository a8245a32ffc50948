"""Real Envoys at the edges of three regions, started from what is rendered, and what they do in every state of those.

Of the rendered files only the addresses that Envoy listens at are replaced (:func:`placed_text`): ``0.0.0.0`` of each
listener, ``127.0.0.1`` of the admin interface and of the cluster that leads to it. A DNS server of the test stands for
the cluster's.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.lab.envoy import Edge, find_envoy
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.problems import NoHealthyRegionError
from aether_deploy.routing.decision.deciding import decide_route
from aether_deploy.routing.policy import HealthPolicy, RoutingPolicy
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.router_config import Drain, RouterConfig
from aether_deploy.routing.viewing import view_of
from aether_deploy.traffic.backend import Landscape
from aether_deploy.traffic.kinds.envoy import EnvoyConfig
from tests.envoy_cases import EDGE, REGIONS, landscape
from tests.envoy_regions import Land, State, ask_http, ask_https, ask_udp, own_network
from tests.real import miss

MATRIX = {"us": {"eu": 76.0, "ap": 198.0}, "eu": {"us": 76.0, "ap": 122.0}, "ap": {"us": 198.0, "eu": 122.0}}
"""Round trips of which ``envoy_cases.ORDER`` is the order."""
QUICK = HealthPolicy(interval_ms=100, timeout_ms=30_000, fall=2, rise=2)
"""Nothing is silent there, so no check runs out while the servers of a test stand still."""
PROTOCOLS = ("https", "web", "rtp")
_SETTLED_SECS = 90
Status = Mapping[str, bool]


def need_envoy() -> Path:
    """Return the program, without which the calling test has nothing to judge by."""
    if sys.platform != "linux":
        pytest.skip("only Linux answers at every address of the loopback network")
    try:
        return find_envoy()
    except MissingProgramsError as error:
        miss(str(error))


class Edges:
    """Regions and one Envoy for each of some of them."""

    def __init__(self, land: Land, edges: Mapping[str, Edge], where: Landscape) -> None:
        self.land, self.edges, self.where = land, edges, where

    def become(self, status: Status, state: State = "refusing") -> None:
        """Make regions healthy or not, and return once every Envoy knows it."""
        for region, healthy in status.items():
            wanted: State = "up" if healthy else state
            if any(host.state != wanted for host in self.land.hosts[region]):
                self.land.become(region, wanted)
        self.wait_for(lambda: all(self.knows(edge, status) for edge in self.edges.values()), f"{status} to be seen")

    def knows(self, edge: Edge, status: Status) -> bool:
        """Return whether an Envoy's checks say what ``status`` does, of every address in every cluster."""
        whose = {host.address: region for region in status for host in self.land.hosts[region]}
        last = max(map(len, self.where.order.values()))  # what ``fail_open`` adds is never asked
        return all(
            healthy == status[whose[address]]
            for (_, priority, address), healthy in edge.hosts().items()
            if address in whose and priority < last
        )

    def wait_for(self, holds: Callable[[], bool], what: str) -> None:
        """Return once something holds; fail where it does not in time."""
        deadline = time.monotonic() + _SETTLED_SECS
        while not holds():
            for edge in self.edges.values():
                edge.check()
            assert time.monotonic() < deadline, f"waited {_SETTLED_SECS} s for {what}"
            time.sleep(0.02)


@contextmanager
def edges(
    folder: Path,
    regions: Iterable[str] = REGIONS,
    *,
    config: EnvoyConfig = EDGE,
    policy: RoutingPolicy | None = None,
    health: HealthPolicy = QUICK,
    addresses: int = 2,
    change: Callable[[str], str] = str,
    settled: bool = True,
    **more: Any,
) -> Iterator[Edges]:
    """Run regions and the Envoys of some of them.

    Args:
        folder: Where files and logs go.
        regions: The regions that have an Envoy.
        config: The back end.
        policy: The rules of routing; left out, neutral.
        health: How Envoy asks.
        addresses: Addresses of each region, as the outside sees it.
        change: What else becomes of the rendered text, for tests of Envoy itself.
        settled: Wait until every region is known as healthy.
        more: What else is different about the land.
    """
    program = need_envoy()
    where = landscape(health=health, policy=policy or RoutingPolicy(), **more)
    land = Land(where, folder, own_network(), addresses=addresses)
    started: dict[str, Edge] = {}
    land.start()
    try:
        for region in regions:
            text = change(config.bootstrap(where, region))
            edge = Edge(
                program,
                text,
                folder,
                address=land.edge_address(region),
                resolver=land.resolver(region),
                trusted_ca=land.trusted_ca,
            )
            started[region] = edge
            edge.start()
        found = Edges(land, started, where)
        if settled:
            found.become(dict.fromkeys(REGIONS, True))
        yield found
    finally:
        for edge in started.values():
            edge.stop()
        land.stop()


def router(policy: RoutingPolicy, drain: Mapping[str, Drain] | None = None) -> RouterConfig:
    """Return what a router of the regions is told."""
    links = [
        {"between": [one, other], "latency_ms": round(MATRIX[one][other])} for one, other in combinations(REGIONS, 2)
    ]
    return RouterConfig.from_values(
        {
            "on_none_healthy": policy.on_none_healthy,
            "regions": [{"code": code} for code in REGIONS],
            "links": links,
            "drain": drain or {},
        }
    )


def decided(policy: RoutingPolicy, preferred: str, status: Status, drain: Mapping[str, Drain] | None = None) -> str:
    """Return the region that the router would send a player to; empty where it refuses him."""
    view = view_of(router(policy, drain), down=[code for code in REGIONS if not status[code]])
    try:
        return decide_route(policy, view, RouteRequest(preferred=preferred)).decision.region
    except NoHealthyRegionError:
        return ""


def answered(edge: Edge, wanted: set[str]) -> dict[str, set[str]]:
    """Return who answers new sessions of each protocol through an edge; empty where they are refused.

    Only where silence is wanted a datagram is not waited for.
    """
    wait_secs = 0.3 if wanted == {""} else _SETTLED_SECS
    return {
        "https": {ask_https(edge.address) for _ in range(2)},
        "web": {"" if (got := ask_http(edge.address)) == "503" else got for _ in range(2)},
        "rtp": {ask_udp(edge.address, wait_secs=wait_secs) for _ in range(1 if wanted == {""} else 2)},
    }


def tour() -> list[dict[str, bool]]:
    """Return states of three regions in which each change of one region in each state comes once: 24 changes."""
    left = {(state, flip) for state in range(8) for flip in (1, 2, 4)}
    stack, walk = [0b111], list[int]()
    while stack:  # Hierholzer's: every state has as many ways in as out
        state = stack[-1]
        flip = next((each for each in (1, 2, 4) if (state, each) in left), None)
        if flip is None:
            walk.append(stack.pop())
        else:
            left.remove((state, flip))
            stack.append(state ^ flip)
    return [_status(state) for state in reversed(walk)]


def all_orders() -> list[list[dict[str, bool]]]:
    """Return every order in which up to three regions go down, followed by every order in which they come back."""
    journeys = []
    for count in (1, 2, 3):
        for down in permutations(REGIONS, count):
            for back in permutations(down):
                status, journey = dict.fromkeys(REGIONS, True), []
                for region, healthy in [*((each, False) for each in down), *((each, True) for each in back)]:
                    status = {**status, region: healthy}
                    journey.append(status)
                journeys.append(journey)
    return journeys


def _status(bits: int) -> dict[str, bool]:
    return {code: bool(bits >> place & 1) for place, code in enumerate(REGIONS)}


def told(steps: Sequence[Status]) -> str:
    """Return states in words, for messages."""
    return " > ".join("+".join(code for code, up in each.items() if up) or "none" for each in steps)
