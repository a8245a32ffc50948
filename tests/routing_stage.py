"""Reads facts about routers into worlds of ours, and asks our rules what they make of them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aether_deploy import ConfigError, Region, RegionRoutingConfig
from aether_deploy.problems import DecisionError, NoHealthyRegionError
from aether_deploy.routing.decision.candidates import table_of
from aether_deploy.routing.decision.deciding import decide_route
from aether_deploy.routing.decision.explaining import explain_route
from aether_deploy.routing.policy import (
    DampingPolicy,
    LatencyExpansion,
    LatencyPolicy,
    LoadPolicy,
    RoutingPolicy,
    StickyPolicy,
)
from aether_deploy.routing.request import Measurement, PartyMember, RouteRequest
from aether_deploy.routing.routed import Failover, Primary, Routed
from aether_deploy.routing.tracking.damping import PENALTY_PER_FALL, Damping
from aether_deploy.routing.view import Health, RegionView, RoutingView

Answers = dict[str, Any]


class Unlike(Exception):
    """A foreign system's case says nothing that our rules could be asked."""


# --- decisions


def _answers_of(decide: Callable[[], Routed]) -> Answers:
    """Return what a decision says, or its error; ``error`` is right for every class that the error belongs to."""
    try:
        routed = decide()
    except (DecisionError, ConfigError) as error:
        names = {each.__name__ for each in type(error).__mro__}
        names |= {"NoAvailableRegionError"} if isinstance(error, NoHealthyRegionError) else set()
        said = error

        def is_it(wanted: str) -> str | None:
            return None if wanted in names else f"expected {wanted}, got {said!r}"

        return {"error": is_it, "player_region": getattr(error, "preferred", None)}
    return _decided(routed)


def _decided(routed: Routed) -> Answers:
    failover = isinstance(routed.decision, Failover)
    reason = routed.decision.reason if isinstance(routed.decision, Failover) else ""

    def is_reason(wanted: str) -> str | None:
        code = re.sub(r"[ -]", "_", wanted.strip().lower()).partition(":")[0]
        if not code.startswith(("preferred_", "fail_open")):  # another's words for what we call a constraint
            met = "fallback" in wanted and "latency" in routed.relaxed
            return None if met else f"expected {wanted!r}, got {reason!r}, relaxed {routed.relaxed}"
        return None if reason.partition(":")[0] == code else f"expected {wanted!r}, got {reason!r}"

    def is_region(wanted: str) -> str | None:
        code = wanted.rpartition(": ")[2]  # "first healthy in config order: us-east"
        return None if routed.decision.region == code else f"expected {code!r}, got {routed.decision.region!r}"

    return {
        "kind": "failover" if failover else "primary",
        "is_failover": failover,
        "region": is_region,
        "answer": is_region,
        "latency_ms": routed.latency_ms,
        "reason": is_reason,
    }


def specification(inputs: Mapping[str, Any], expected: Any) -> Answers:
    """Answer a case about ``RegionRoutingConfig``."""
    policies: dict[str, Any] = {
        ours: inputs[theirs]
        for theirs, ours in (
            ("on_none", "on_none_healthy"),
            ("on_none_healthy", "on_none_healthy"),
            ("on_unknown", "on_unknown"),
        )
        if theirs in inputs
    }
    regions = inputs["regions"]
    preferred = inputs["preferred"]
    if not regions or any(isinstance(each.get("latency_ms"), float) for each in regions):
        # The configuration refuses an empty list, and counts whole milliseconds; the decision does neither.
        return _answers_of(lambda: _decide(RoutingPolicy(**policies), _seen(regions), preferred=preferred))

    def by_configuration() -> Routed:
        config = RegionRoutingConfig(regions=tuple(Region.from_values(each) for each in regions), **policies)
        decision = config.route_player(preferred)
        routed = _decide(RoutingPolicy(**policies), _seen(regions), preferred=preferred)
        if routed.decision != decision:
            raise ValueError(f"route_player says {decision}, decide_route {routed.decision}")
        return routed

    return _answers_of(by_configuration)


def _decide(policy: RoutingPolicy, view: RoutingView, **request: Any) -> Routed:
    return decide_route(policy, view, RouteRequest(**request))


def _seen(regions: Sequence[Mapping[str, Any]], matrix: Mapping[str, Mapping[str, float]] | None = None) -> RoutingView:
    return RoutingView(
        regions=tuple(
            RegionView(
                code=each["code"],
                latency_ms=each.get("latency_ms"),
                health="healthy" if each.get("healthy", True) else "unhealthy",
                load=None if each.get("load") is None else each["load"] / 100,
            )
            for each in regions
        ),
        matrix=matrix or {},
    )


# --- the reference implementation

REFERENCE = ("us-east", "us-west", "eu-west", "ap-east")
"""The regions of its tests, where a case only says what all of them are."""


def aether(inputs: Mapping[str, Any], expected: Any) -> Answers:
    """Answer a case about the implementation that the specification was written for: one limit of load, one cap."""
    limit = inputs.get("max_load_percent", 90)
    farthest = inputs.get("max_acceptable_latency_ms")
    policy = RoutingPolicy(
        load=LoadPolicy(soft_percent=limit, hard_percent=limit),
        latency=LatencyPolicy(max_ms=farthest or None, tie_ms=0),
    )
    regions = inputs["regions"]
    view = _seen(_told(regions) if isinstance(regions, str) else regions, inputs.get("latency_matrix"))
    preferred = inputs.get("preferred", inputs.get("player_region"))
    return _answers_of(lambda: _decide(policy, view, preferred=preferred))


def _told(text: str) -> list[dict[str, Any]]:
    """Return the regions that a phrase tells of: ``all unhealthy``, ``all load 95``, ``us-east load 90``."""
    regions: dict[str, dict[str, Any]] = {code: {"code": code, "load": 50} for code in REFERENCE}
    if text in ("none", "empty"):
        return []
    for phrase in re.split(r"[,;]| and ", text):
        found = re.fullmatch(r"(all|[a-z-]+)(?: at| is| are)? (?:(un)?healthy|load (\d+))%?", phrase.strip())
        if found is None:
            raise ValueError(f"{text!r} tells of no regions")
        who, sick, load = found.groups()
        for code in regions if who == "all" else (who,):
            regions[code] |= {"load": int(load)} if load else {"healthy": not sick}
    return list(regions.values())


# --- damping


def damping(inputs: Mapping[str, Any], expected: Any) -> Answers:
    """Answer a case about the penalty of a region that falls again and again."""
    scale = PENALTY_PER_FALL / inputs.get("penalty", PENALTY_PER_FALL)
    known = {"half_life_s": "half_life_secs", "max_suppress_s": "max_suppress_secs"}
    rules = {ours: inputs[theirs] for theirs, ours in known.items() if theirs in inputs}
    rules |= {name: _whole(inputs[name] * scale) for name in ("suppress", "reuse") if name in inputs}
    policy = DampingPolicy(**rules)
    falls = list(_falls(inputs, expected))
    damping, values, rested_at = Damping(policy), [], None
    for number, at in enumerate(falls, 1):
        damping = damping.fall(at)
        values.append(round(damping.value(at) / scale))
        if rested_at is None and damping.suppressed(at):
            rested_at = number
    now = next((inputs[key] for key in ("at_s", "asked_at_s", "now_s", "t_s") if key in inputs), falls[-1])
    now = falls[-1] + inputs["after_s"] if "after_s" in inputs else now
    released = damping.released_at()
    return {
        "value": round(damping.value(now) / scale),
        "values": values[: len(expected["values"])] if isinstance(expected, dict) and "values" in expected else values,
        "limit_value": round(damping.value(falls[-1]) / scale),
        "suppressed": damping.suppressed(now),
        "suppressed_at_flap": rested_at,
        "released_at_s": None if released is None else round(released, 3),
        "suppressed_for_s": None if released is None else round(released - falls[-1], 3),
        "ceiling": round(policy.ceiling / scale),
        "max_value": round(policy.ceiling / scale),
        "max_penalty": round(policy.ceiling / scale),
        "max_suppress_s": policy.max_suppress_secs,
    }


def _whole(value: float) -> int:
    if value != int(value):
        raise ValueError(f"{value} is no whole penalty")
    return int(value)


def _falls(inputs: Mapping[str, Any], expected: Any) -> Iterator[float]:
    if "flaps_at_s" in inputs:
        yield from map(float, inputs["flaps_at_s"])
        return
    wanted = expected if isinstance(expected, dict) else {}
    told = max(len(wanted.get("values", ())), wanted.get("suppressed_at_flap") or 0)
    count = inputs.get("n") or told or 100
    for number in range(count):
        yield number * float(inputs.get("flap_every_s", 0))


# --- caps that widen


def cap(inputs: Mapping[str, Any], expected: Any) -> Answers:
    """Answer a case about the caps of a matchmaker: how far a region may be for players who wait."""
    stages = _stages(inputs)
    if not stages:
        raise Unlike("no cap on latency in it: queues of destinations, their costs and their order are not ours")
    (_, first), *wider = stages
    rules = LatencyPolicy(
        max_ms=first,
        tie_ms=0,
        expansions=tuple(LatencyExpansion(after_secs=after, max_ms=wide) for after, wide in wider),
    )
    waited = inputs.get("waited_s", 0)
    policy = RoutingPolicy(latency=rules)
    table = table_of(policy, RoutingView(regions=()))
    widest = table.cap_ms(waited)
    found: Answers = {"cap_ms": None if widest == float("inf") else widest}
    players = _players(inputs)
    if players:
        found |= _within_cap(inputs, policy, players, waited)
    if isinstance(expected, str) or (isinstance(expected, dict) and not expected.keys() <= found.keys()):
        raise Unlike("what a queue chooses within its cap: the lowest mean, where ours is the least worst (R14)")
    return found


def _within_cap(
    inputs: Mapping[str, Any], policy: RoutingPolicy, players: Sequence[Mapping[str, float]], waited: float
) -> Answers:
    """Return which regions are within the cap for every player."""
    codes = list(inputs.get("regions") or dict.fromkeys(code for each in players for code in each))
    view = RoutingView(regions=tuple(RegionView(code=code) for code in codes))
    parts = [{code: Measurement(rtt_ms=float(ms)) for code, ms in each.items()} for each in players]
    request = RouteRequest(
        measured=parts[0], waited_secs=waited, party=tuple(PartyMember(measured=each) for each in parts[1:])
    )
    told = explain_route(policy, view, request).candidates
    within = [code for code in codes if any(each.code == code and not each.obstacles for each in told)]
    return {"eligible": within, "considered": within, "allowed": within, "answer": within}


def _stages(inputs: Mapping[str, Any]) -> list[tuple[int, int | None]]:
    """Return from which wait on which cap holds, seconds and milliseconds."""
    if "policies" in inputs:
        stages: list[tuple[int, int | None]] = []
        begin: int | None = 0
        for each in inputs["policies"]:
            if begin is None:
                raise ValueError("a policy after one that never ends")
            stages.append((begin, each["max_ms"]))
            duration = each.get("duration_s")
            begin = None if duration is None else begin + duration
        return stages if begin is None else [*stages, (begin, None)]
    first = next(
        (inputs[key] for key in ("initial_max_ms", "max_ms", "cap_ms", "max_latency_ms") if key in inputs), None
    )
    if first is None:
        return []
    return [(0, first), *((each["after_s"], each["max_ms"]) for each in inputs.get("expansions", ()))]


def _players(inputs: Mapping[str, Any]) -> list[Mapping[str, float]]:
    for key in ("players", "player_latency_ms", "player_latencies", "latencies", "latency_ms"):
        given = inputs.get(key)
        if isinstance(given, dict) and given:
            given = list(given.values()) if all(isinstance(each, dict) for each in given.values()) else [given]
        if isinstance(given, list) and given and all(isinstance(each, dict) for each in given):
            return [
                each.get("latency_ms", each) if isinstance(each.get("latency_ms"), dict) else each for each in given
            ]
    return []


# --- others who choose among regions

WORDS: dict[str, Health] = {
    "healthy": "healthy",
    "unhealthy": "unhealthy",
    "critical": "unhealthy",
    "down": "unhealthy",
}


def regional(inputs: Mapping[str, Any], expected: Any) -> Answers:
    """Answer a case of another router, where the same facts can be put to our rules.

    Raises:
        Unlike: They cannot.
    """
    try:
        found = _regional(inputs) if isinstance(expected, str) else None
    except (KeyError, ValueError, TypeError, AttributeError):
        found = None
    if found is None:
        raise Unlike("no regions with health and latency alone in it, which our rules could be asked about")
    return found


def _regional(inputs: Mapping[str, Any]) -> Answers | None:
    if any("weight" in str(each) for each in inputs.items()):
        return None
    records = inputs.get("records")
    if {"primary", "secondary"} <= inputs.keys():
        return _in_order({name: inputs[name] for name in ("primary", "secondary")})
    if (latencies := _latencies(inputs, records)) is not None:
        return _by_latency(inputs, latencies)
    if isinstance(records, dict):
        return _in_order(records)
    if "cookie" in inputs:
        return _affinity(inputs)
    if "first_result" in inputs and inputs["first_result"] is None:
        return _first_result()
    return None


def _latencies(inputs: Mapping[str, Any], records: Any) -> Mapping[str, float] | None:
    told = next((inputs[key] for key in ("latency_ms", "latencies", "latencies_ms") if key in inputs), None)
    if told is None and isinstance(records, dict) and all(isinstance(each, dict) for each in records.values()):
        told = {code: each["latency_ms"] for code, each in records.items()}
    return told if isinstance(told, dict) else None


def _in_order(records: Mapping[str, str]) -> Answers:
    """Ask for the first of several that are equally far; all of them are tried where none is healthy."""
    regions = tuple(RegionView(code=code, health=_health(says), latency_ms=0.0) for code, says in records.items())
    policy = RoutingPolicy(on_none_healthy="fail_open")
    return _answers_of(lambda: _decide(policy, RoutingView(regions=regions), preferred=next(iter(records))))


def _health(says: str) -> Health:
    if says.startswith("no health check"):  # nobody asks, so nobody finds it unhealthy
        return "healthy"
    return WORDS[says]


def _by_latency(inputs: Mapping[str, Any], latencies: Mapping[str, float]) -> Answers:
    sick = set(inputs.get("unhealthy", ()))
    for told in inputs.values():
        if isinstance(told, dict) and told.keys() <= latencies.keys():
            sick |= {code for code, says in told.items() if _is_sick(says)}
    regions = tuple(
        RegionView(code=code, latency_ms=float(ms), health="unhealthy" if code in sick else "healthy")
        for code, ms in latencies.items()
    )
    return _answers_of(lambda: _decide(RoutingPolicy(), RoutingView(regions=regions)))


def _is_sick(says: Any) -> bool:
    if isinstance(says, dict):
        says = says.get("healthy", True)
    return says is False or (isinstance(says, str) and _health(says) == "unhealthy")


def _affinity(inputs: Mapping[str, Any]) -> Answers:
    """Ask whether one who comes back with a cookie stays."""
    kept = inputs["cookie"].rpartition(" ")[2]
    others = [RegionView(code=f"other-{number}", latency_ms=float(number)) for number in (1, 2)]
    held = RegionView(code=kept, latency_ms=3.0, health=_health(inputs.get(kept, "healthy")))
    view = RoutingView(regions=(*others, held))
    routed = _decide(RoutingPolicy(sticky=StickyPolicy()), view, sticky=kept)
    stays = routed.decision.region == kept

    def says(wanted: str) -> str | None:
        meant = not re.search(r"\bnew\b|another|recalculated|not kept", wanted)
        return None if stays == meant else f"expected {wanted!r}, and he is sent to {routed.decision.region}"

    return {"answer": says}


def _first_result() -> Answers:
    """Ask whether a region takes players of which no probe has answered yet."""
    view = RoutingView(regions=(RegionView(code="asked", health="unknown"), RegionView(code="other")))
    takes = isinstance(_decide(RoutingPolicy(), view, preferred="asked").decision, Primary)

    def says(wanted: str) -> str | None:
        down = re.search(r"\bdown\b|unhealthy|no traffic", wanted) is not None
        return None if takes != down else f"expected {wanted!r}, and it takes players: {takes}"

    return {"answer": says}
