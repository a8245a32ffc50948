"""Worlds that players are routed in, by seed, and the routing rules written down a second time, slowly."""

import math
import random
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from aether_deploy.problems import NoCapacityError, NoHealthyRegionError, UnknownRegionError
from aether_deploy.routing.policy import (
    LATENCY_SOURCES,
    DampingPolicy,
    FailbackPolicy,
    LatencyExpansion,
    LatencyPolicy,
    LoadPolicy,
    ResidencyRule,
    RoutingPolicy,
    StickyPolicy,
)
from aether_deploy.routing.request import Measurement, PartyMember, RouteRequest
from aether_deploy.routing.view import Position, RegionView, RoutingView

CODES = ("us-east-1", "eu-west-1", "ap-south-1", "sa-east-1", "af-south-1", "me-south-1")
LADDER = ("damping", "ramp", "latency", "soft_load", "drain")
World = tuple[RoutingPolicy, RoutingView, RouteRequest]
Answer = tuple[str, str, tuple[str, ...]] | type[Exception]
"""Region, kind with the reason's code, what gave way; or the error."""


# --- worlds


def world_of(seed: int, *, positions: bool = True) -> World:
    """Return a world: few values, so that ties and limits are hit often."""
    chance = random.Random(seed)
    codes = chance.sample(CODES, chance.randint(1, len(CODES)))
    return policy_of(chance, codes), view_of(chance, codes, positions), request_of(chance, codes, positions)


def policy_of(chance: random.Random, codes: Sequence[str]) -> RoutingPolicy:
    def maybe(block: Any) -> Any:
        return block if chance.random() < 0.7 else None

    cap = chance.choice([None, 60, 100])
    wider = (LatencyExpansion(after_secs=10, max_ms=120), LatencyExpansion(after_secs=20, max_ms=None))
    sources = chance.choice([LATENCY_SOURCES, tuple(chance.sample(LATENCY_SOURCES, chance.randint(1, 4)))])
    return RoutingPolicy(
        on_unknown=chance.choice(["failover", "failover", "error"]),
        on_none_healthy=chance.choice(["error", "fail_open"]),
        latency=maybe(
            LatencyPolicy(
                sources=sources,
                max_ms=cap,
                tie_ms=chance.choice([0, 5, 20]),
                expansions=wider[: chance.randint(0, 2)] if cap else (),
            )
        ),
        damping=maybe(DampingPolicy()),
        failback=maybe(FailbackPolicy(hold_secs=chance.choice([0, 60]))),
        load=maybe(LoadPolicy()),
        sticky=maybe(StickyPolicy(slack_ms=chance.choice([0, 40]))),
        residency=tuple(
            ResidencyRule(name=name, regions=tuple(chance.sample(codes, (len(codes) + 1) // 2)))
            for name in ("some", "others")
        ),
    )


def view_of(chance: random.Random, codes: Sequence[str], positions: bool) -> RoutingView:
    sick = chance.choice([0.0, 0.2, 0.6, 0.95])
    matrix: dict[str, dict[str, float]] = {}
    for place, code in enumerate(codes):
        for other in codes[:place]:
            if chance.random() < 0.5:
                latency = float(chance.choice([10, 12, 20, 50, 60, 61, 90, 150]))
                matrix.setdefault(code, {})[other] = matrix.setdefault(other, {})[code] = latency
    return RoutingView(regions=tuple(_region(chance, code, sick, positions) for code in codes), matrix=matrix)


def _region(chance: random.Random, code: str, sick: float, positions: bool) -> RegionView:
    calm = chance.random() < 0.5
    at = Position(chance.choice([-30.0, 0.0, 50.0]), chance.choice([-100.0, 0.0, 7.0, 100.0]))
    return RegionView(
        code=code,
        latency_ms=chance.choice([None, 10.0, 12.0, 15.0, 60.0, 61.0, 100.0, 101.0]),
        position=at if positions and chance.random() < 0.5 else None,
        health=chance.choice(["unhealthy", "unknown"]) if chance.random() < sick else "healthy",
        suppressed=not calm and chance.random() < 0.4,
        ramp=1.0 if calm else chance.choice([0.0, 0.1, 0.5, 1.0]),
        healthy_secs=math.inf if calm else chance.choice([5.0, 60.0, 400.0]),
        load=chance.choice([None, 0.0, 0.5]) if calm else chance.choice([0.84, 0.85, 0.9, 0.949, 0.95, 1.2]),
        drain="none" if calm else chance.choice(["none", "none", "soft", "hard"]),
        drain_share=chance.choice([0.0, 0.0, 0.5]),
        builds=chance.choice([frozenset(), frozenset({"1.3"}), frozenset({"1.3", "1.4"})]),
    )


def request_of(chance: random.Random, codes: Sequence[str], positions: bool) -> RouteRequest:
    known = (*codes, "mars", None, None)
    party = chance.choice([(), (), tuple(_member(chance, codes, positions) for _ in range(chance.randint(1, 3)))])
    return RouteRequest(
        player=f"player-{chance.randrange(1000)}",
        preferred=chance.choice(known),
        position=_position(chance, positions),
        measured=_measured(chance, codes),
        sticky=chance.choice(known),
        joining=chance.random() < 0.3,
        build=chance.choice([None, None, "1.3", "1.4"]),
        residency=chance.choice([None, None, "some", "others"]),
        waited_secs=chance.choice([0.0, 9.9, 10.0, 25.0]),
        party=party,
    )


def _member(chance: random.Random, codes: Sequence[str], positions: bool) -> PartyMember:
    return PartyMember(
        preferred=chance.choice((*codes, "mars", None, None)),
        position=_position(chance, positions),
        measured=_measured(chance, codes),
        build=chance.choice([None, None, None, "1.3", "1.4"]),
        residency=chance.choice([None, None, None, "some", "others"]),
    )


def _position(chance: random.Random, positions: bool) -> Position | None:
    found = Position(chance.choice([0.0, 51.0, 91.0]), chance.choice([0.0, 99.0]))
    return found if positions and chance.random() < 0.4 else None


def _measured(chance: random.Random, codes: Sequence[str]) -> Mapping[str, Measurement]:
    share = chance.choice([0.0, 0.5, 1.0])
    return {code: _measurement(chance) for code in (*codes, "mars") if chance.random() < share}


def _measurement(chance: random.Random) -> Measurement:
    return Measurement(
        rtt_ms=float(chance.choice([1, 10, 12, 50, 60, 61, 99, 150])),
        jitter_ms=float(chance.choice([0, 2, 20])),
        loss_percent=float(chance.choice([0, 0, 2])),
        samples=chance.choice([1, 2, 3, 10, 10]),
        age_secs=float(chance.choice([0, 599, 600, 601])),
    )


# --- the rules once more


def slowly(policy: RoutingPolicy, view: RoutingView, request: RouteRequest) -> Answer:
    """Return what the rules say, with a set for each rung of the ladder and no thought of speed."""
    members: list[RouteRequest | PartyMember] = [request, *request.party]
    codes = [region.code for region in view.regions]
    if policy.on_unknown == "error" and any(m.preferred not in (None, *codes) for m in members):
        return UnknownRegionError
    heard = {code: [_latency(policy, view, member, code) for member in members] for code in codes}
    far = {code: list(latencies) for code, latencies in heard.items()}
    for n, member in enumerate(members):
        _fill_in(policy, view, member, n, heard, far)
    says = [n for n, _ in enumerate(members) if any(far[code][n] < math.inf for code in codes)]
    if says:
        far = {code: [latencies[n] for n in says] for code, latencies in far.items()}
    cost = {code: (max(each), math.fsum(each) / len(each), codes.index(code)) for code, each in far.items()}
    broken = {region.code: _broken(policy, region, request, far[region.code]) for region in view.regions}
    came_from = request.sticky if request.sticky in codes and not request.joining else None
    alone = {code: (heard[code][0], 0.0, codes.index(code)) for code in codes} if len(members) == 1 else cost
    preferred = _preferred(policy, members, codes, (alone, cost), broken, came_from, bool(says))
    for rung in range(len(LADDER) + 1):
        eligible = [code for code in codes if broken[code] <= set(LADDER[:rung])]
        if eligible:
            chosen, reason = _chosen(policy, view, eligible, preferred, cost, came_from)
            if chosen != preferred and not reason:
                reason = _why_not(view, preferred, broken)
            kind = "primary" if chosen == preferred else f"failover {reason}"
            return chosen, kind, tuple(name for name in LADDER if name in broken[chosen])
    hard = {code: broken[code] - set(LADDER) for code in codes}
    if any(rules == {"full"} for rules in hard.values()):
        return NoCapacityError
    dark = [code for code in codes if hard[code] == {"unhealthy"}]
    if policy.on_none_healthy == "error" or not dark:
        return NoHealthyRegionError
    chosen = preferred if preferred in dark else min(dark, key=cost.__getitem__)
    return chosen, "failover fail_open", ()


def _latency(policy: RoutingPolicy, view: RoutingView, who: RouteRequest | PartyMember, code: str) -> float:
    rules = policy.latency or LatencyPolicy()
    region = view.by_code[code]
    at = who.position if who.position is not None and abs(who.position.lat) <= 90 else None
    home = view.by_code.get(who.preferred or "")
    for source in rules.sources:
        if source == "measured" and code in who.measured:
            m = who.measured[code]
            possible = (
                at is None or region.position is None or m.rtt_ms >= 0.8 * haversine_km(at, region.position) / 100
            )
            if m.samples >= rules.sample_min and m.age_secs <= rules.sample_max_age_secs and possible:
                return m.rtt_ms + m.jitter_ms / 2 + 5 * m.loss_percent
        if source == "matrix" and home is not None and view.matrix.get(home.code):
            if home.code == code:
                return 0.0
            if code in view.matrix[home.code]:
                return view.matrix[home.code][code]
        if source == "great_circle" and region.position is not None:
            origin = at or (home.position if home is not None else None)
            if origin is not None:
                return round(haversine_km(origin, region.position) * 0.015, 6)
        if source == "static" and region.latency_ms is not None:
            return region.latency_ms
    return math.inf


def _fill_in(
    policy: RoutingPolicy,
    view: RoutingView,
    who: RouteRequest | PartyMember,
    n: int,
    heard: Mapping[str, Sequence[float]],
    far: Mapping[str, list[float]],
) -> None:
    """Let the closest region be the home of a member who chose none, for the regions that nobody knows."""
    nearest = min(far, key=lambda code: heard[code][n], default=None)
    if who.preferred in view.by_code or nearest is None or heard[nearest][n] == math.inf:
        return
    at_home = msgspec.structs.replace(who, preferred=nearest, measured={})
    for code in far:
        if heard[code][n] == math.inf:
            far[code][n] = max(heard[nearest][n], _latency(policy, view, at_home, code))


def haversine_km(a: Position, b: Position) -> float:
    """Return the distance of two places, kilometres, by another formula than the product's."""
    lat_a, lat_b, lon = math.radians(a.lat), math.radians(b.lat), math.radians(b.lon - a.lon)
    h = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(lon / 2) ** 2
    return 2 * 6371.0 * math.asin(min(1.0, math.sqrt(h)))


def _in_share(request: RouteRequest, region: RegionView, rule: str, share: float) -> bool:
    digest = blake2b(f"{region.code}\0{rule}\0{request.player}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def _broken(policy: RoutingPolicy, region: RegionView, request: RouteRequest, far: Sequence[float]) -> set[str]:
    returns = request.sticky == region.code and not request.joining
    found = set()
    if policy.damping and region.suppressed:
        found.add("damping")
    if policy.failback and not returns and not _in_share(request, region, "ramp", region.ramp):
        found.add("ramp")
    if policy.latency and policy.latency.max_ms is not None:
        cap: float | None = policy.latency.max_ms
        for wider in policy.latency.expansions:
            cap = wider.max_ms if request.waited_secs >= wider.after_secs else cap
        if cap is not None and any(cap < each < math.inf for each in far):
            found.add("latency")
    if policy.load and region.load is not None:
        if region.load >= 0.95:
            found.add("full")
        elif region.load >= 0.85 and not returns:
            stays = 1 - (region.load - 0.85) / (0.95 - 0.85)
            found |= set() if _in_share(request, region, "soft_load", stays) else {"soft_load"}
    if region.drain == "soft" and not returns and not _in_share(request, region, "drain", region.drain_share):
        found.add("drain")
    found |= {"drained"} if region.drain == "hard" else set()
    found |= {"unhealthy"} if region.health != "healthy" else set()
    return found | hard_facts_of(policy, region, request)


def hard_facts_of(policy: RoutingPolicy, region: RegionView, request: RouteRequest) -> set[str]:
    """Return which of ``wrong_build`` and ``not_allowed`` keep a player, or anybody of his party, out of a region."""
    found = set()
    for member in request.members:
        if member.build and region.builds and member.build not in region.builds:
            found.add("wrong_build")
        for rule in policy.residency:
            if rule.name == member.residency and region.code not in rule.regions:
                found.add("not_allowed")
    return found


def _preferred(
    policy: RoutingPolicy,
    members: Sequence[RouteRequest | PartyMember],
    codes: Sequence[str],
    costs: tuple[Mapping[str, tuple[float, float, int]], Mapping[str, tuple[float, float, int]]],
    broken: Mapping[str, set[str]],
    came_from: str | None,
    known: bool,
) -> str:
    choices = [member.preferred for member in members]
    if len(set(choices)) == 1 and choices[0] is not None:
        return choices[0]
    if not known and len(members) > 1 and (chosen := [c for c in choices if c in codes]):
        return str(chosen[0])
    heard, cost = costs
    closest = min(codes, key=heard.__getitem__)
    near = policy.sticky and came_from and cost[came_from][0] <= cost[closest][0] + policy.sticky.slack_ms
    if near and not broken[str(came_from)]:
        return str(came_from)
    return closest


def _chosen(
    policy: RoutingPolicy,
    view: RoutingView,
    eligible: Sequence[str],
    preferred: str,
    cost: Mapping[str, tuple[float, float, int]],
    came_from: str | None,
) -> tuple[str, str]:
    """Return the region, and the reason where it is not that the preferred one may not."""
    hold_secs = policy.failback.hold_secs if policy.failback else 0
    home = view.by_code.get(preferred)
    away = home and (home.health != "healthy" or home.healthy_secs < hold_secs)
    if hold_secs and away and came_from in eligible and came_from != preferred:
        return str(came_from), "preferred_warming" if preferred in eligible else ""
    if preferred in eligible:
        return preferred, ""
    best = min(eligible, key=cost.__getitem__)
    if policy.sticky and came_from in eligible and cost[str(came_from)][0] <= cost[best][0] + policy.sticky.slack_ms:
        return str(came_from), ""
    if policy.latency is None or cost[best][0] == math.inf:
        return best, ""
    tie = policy.latency.tie_ms
    close = [c for c in eligible if cost[c][0] <= cost[best][0] + tie and cost[c][1] <= cost[best][1] + tie]
    loads = {c: math.inf if (load := view.by_code[c].load) is None else load for c in close}
    return min(close, key=lambda code: (loads[code], cost[code][2])), ""


REASONS = (
    ("not_allowed", "not_allowed"), ("wrong_build", "wrong_build"), ("unhealthy", "unhealthy"), ("drained", "drained"),
    ("full", "full"), ("drain", "draining"), ("soft_load", "over_soft_limit"), ("latency", "too_far"),
    ("ramp", "warming"), ("damping", "flapping"),
)  # fmt: skip
"""The reason to give, the first that holds."""


def _why_not(view: RoutingView, preferred: str, broken: Mapping[str, set[str]]) -> str:
    if preferred not in view.by_code:
        return "preferred_unknown"
    return "preferred_" + next(says for rule, says in REASONS if rule in broken[preferred])
