"""Routers for simulations: three regions on two oceans, under the rules that a test is about."""

from typing import Any

from aether_deploy.routing.policy import DampingPolicy, FailbackPolicy, LatencyPolicy, LoadPolicy
from aether_deploy.routing.router_config import RouterConfig, RouterLink, RouterRegion

CODES = ("us", "eu", "ap")


def router(codes: tuple[str, ...] = CODES, capacity: int | None = 60, **changes: Any) -> RouterConfig:
    """Return a router whose every rule is on, with short times so that much happens in a few minutes."""
    regions = [RouterRegion(code=code, probe=f"http://{code}.example/", capacity_players=capacity) for code in codes]
    links = [
        RouterLink(between=[codes[first], codes[second]], latency_ms=40 + 37 * (first + second))
        for second in range(len(codes))
        for first in range(second)
    ]
    rules: dict[str, Any] = {
        "damping": DampingPolicy(half_life_secs=30, max_suppress_secs=60),
        "failback": FailbackPolicy(ramp_secs=20, hold_secs=30),
        "load": LoadPolicy(report_max_age_secs=6, reservation_secs=12),
        "latency": LatencyPolicy(tie_ms=0),
    }
    return RouterConfig(**{"regions": regions, "links": links, **rules, **changes})
