"""How long a routing decision takes: the specification's three rules, and every rule at once with eight regions.

Beside it, in the same run, six lines that only know the three rules: what a decision could cost at the least. Each
figure is the best of many short rounds, so that other work on the machine does not count.
"""

import timeit
from collections.abc import Callable, Sequence

from aether_deploy.routing.decision.candidates import table_of
from aether_deploy.routing.decision.deciding import choose, decide_route
from aether_deploy.routing.decision.explaining import explain_route
from aether_deploy.routing.decision.standing import standing_of
from aether_deploy.routing.policy import (
    NEUTRAL,
    DampingPolicy,
    FailbackPolicy,
    LatencyPolicy,
    LoadPolicy,
    ResidencyRule,
    RoutingPolicy,
    StickyPolicy,
)
from aether_deploy.routing.request import Measurement, PartyMember, RouteRequest
from aether_deploy.routing.view import Position, RegionView, RoutingView

REGIONS = 8
CODES = tuple(f"region-{number}" for number in range(REGIONS))
FULL = RoutingPolicy(
    latency=LatencyPolicy(max_ms=150),
    damping=DampingPolicy(),
    failback=FailbackPolicy(),
    load=LoadPolicy(),
    sticky=StickyPolicy(),
    residency=(ResidencyRule(name="law", regions=CODES[1:]),),
)
ROUNDS = 400
ROUND_SECS = 0.0005
"""Shorter than what a scheduler gives to another program."""


def measure() -> dict[str, float]:
    """Return nanoseconds per decision, and how many of the six lines each is."""
    plain, full = _view(busy=False), _view(busy=True)
    known = {region.code: region for region in plain.regions}
    measured = {code: Measurement(rtt_ms=20.0 + 17 * (5 * n % REGIONS)) for n, code in enumerate(CODES)}
    prefers, brings = RouteRequest(player="ann", preferred=CODES[0]), RouteRequest(player="ann", measured=measured)
    everything = RouteRequest(
        player="ann", position=Position(20.0, 20.0), measured=measured, sticky=CODES[2], build="1.4", residency="law"
    )
    party = RouteRequest(player="ann", measured=measured, party=(PartyMember(measured=measured),) * 3)
    table = table_of(NEUTRAL, plain)
    cases: tuple[tuple[str, Callable[[], object]], ...] = (
        ("six lines", lambda: _six_lines(plain.regions, known, CODES[0])),
        ("three rules, asked before", lambda: decide_route(NEUTRAL, plain, prefers)),
        ("three rules, asked for the first time", lambda: choose(table, standing_of(table, prefers))),
        ("all rules, preferred region", lambda: decide_route(FULL, full, prefers)),
        ("all rules, measured latencies", lambda: decide_route(FULL, full, brings)),
        ("all rules, everything in the request", lambda: decide_route(FULL, full, everything)),
        ("all rules, party of four", lambda: decide_route(FULL, full, party)),
        ("all rules, explained", lambda: explain_route(FULL, full, everything)),
    )
    best = {name: _best_ns(call) for name, call in cases}
    found = {f"routing decision: {name}, ns": ns for name, ns in best.items()}
    found |= {
        f"routing decision: {name}, times six lines": ns / best["six lines"]
        for name, ns in best.items()
        if name != "six lines"
    }
    return found


def _best_ns(call: Callable[[], object]) -> float:
    timer = timeit.Timer(call)
    calls = max(1, round(ROUND_SECS / min(timer.repeat(repeat=20, number=1))))
    return min(timer.repeat(repeat=ROUNDS, number=calls)) / calls * 1e9


def _six_lines(regions: Sequence[RegionView], known: dict[str, RegionView], preferred: str) -> str:
    if preferred in known and known[preferred].health == "healthy":
        return preferred
    best = None
    for region in regions:
        if region.health == "healthy" and (best is None or region.latency_ms < best.latency_ms):  # type: ignore[operator]
            best = region
    return best.code if best is not None else ""


def _view(*, busy: bool) -> RoutingView:
    """Return eight regions, the first one down; ``busy`` ones also flap, warm up, spill and are full."""
    loads = (0.5, 0.9, 0.3, 0.97, 0.2, 0.88, 0.1, 0.4)
    regions = tuple(
        RegionView(
            code=code,
            latency_ms=10.0 + 20 * number,
            position=Position(10.0 * number, 12.0 * number) if busy else None,
            health="unhealthy" if number == 0 else "healthy",
            load=loads[number] if busy else None,
            ramp=0.4 if busy and number == 2 else 1.0,
            suppressed=busy and number == 4,
        )
        for number, code in enumerate(CODES)
    )
    matrix = {a: {b: 20.0 + 7 * abs(i - j) for j, b in enumerate(CODES) if b != a} for i, a in enumerate(CODES)}
    return RoutingView(regions=regions, matrix=matrix if busy else {})
