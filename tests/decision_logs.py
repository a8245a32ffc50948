"""Decision logs as a router writes them, for the tests of replays."""

from collections.abc import Iterable, Sequence

import msgspec

from aether_deploy.problems import Problem
from aether_deploy.routing.decision_log import (
    LoggedAnswer,
    config_line,
    loss_line,
    read_decisions,
    route_line,
    view_line,
)
from aether_deploy.routing.policy import RoutingPolicy
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.router_config import RouterConfig, RouterRegion
from aether_deploy.routing.view import RoutingView
from aether_deploy.simulation.routing.replay import RoutingReplay, answer_of, replay_decisions
from tests.routing_oracle import world_of

AT = 1_764_131_683.25
HOME = RouteRequest(preferred="us")


def config_of(policy: RoutingPolicy, codes: Iterable[str]) -> RouterConfig:
    """Return a router's configuration with these rules."""
    rules = {field: getattr(policy, field) for field in RoutingPolicy.__struct_fields__}
    return RouterConfig(**rules, regions=[RouterRegion(code=code) for code in codes])


def logged(config: RouterConfig, view: RoutingView, request: RouteRequest, *, count: int = 1) -> bytes:
    """Return the line of a decision as a router makes it."""
    return route_line(request, answer_of(config, view, request), at=AT, count=count)


def beginning(config: RouterConfig, view: RoutingView) -> list[bytes]:
    """Return the first lines of a log."""
    return [config_line(config, at=AT), view_line(view, at=AT)]


def log_of(seeds: Sequence[int]) -> list[bytes]:
    """Return the log of a router that met the world of each seed, one after the other."""
    lines: list[bytes] = []
    for place, seed in enumerate(seeds):
        policy, view, request = world_of(seed)
        config = config_of(policy, [region.code for region in view.regions])
        lines += [*beginning(config, view), logged(config, view, request, count=1 + seed % 3)]
        lines += [loss_line(5, at=AT)] if place % 7 == 3 else []
    return lines


def replayed(lines: Iterable[bytes], config: RouterConfig | None = None) -> RoutingReplay:
    """Return what comes of deciding a sound log again."""
    faults: list[Problem] = []
    told = replay_decisions(read_decisions(lines, faults), config)
    assert faults == []
    return told


def told_otherwise(line: bytes) -> bytes:
    """Return the line of a decision with another answer than a router gives."""
    values = msgspec.json.decode(line)
    return route_line(
        msgspec.convert(values["request"], RouteRequest), LoggedAnswer(decision="primary", region="mars"), at=AT
    )
