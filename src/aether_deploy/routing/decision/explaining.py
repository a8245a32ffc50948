"""Why a decision is what it is: every region, what keeps the player out of it, and what gave way."""

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from aether_deploy.problems import DecisionError
from aether_deploy.routing.decision.candidates import CandidateTable, Standing, table_of
from aether_deploy.routing.decision.deciding import choose
from aether_deploy.routing.decision.eligibility import CONSTRAINTS, DRAIN, RAMP, RULES, SOFT_LOAD, name_of
from aether_deploy.routing.decision.latency import disbelief, vector_of
from aether_deploy.routing.decision.ranking import ranking
from aether_deploy.routing.decision.standing import standing_of
from aether_deploy.routing.policy import LatencySource, RoutingPolicy
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.routed import FAIL_OPEN, Primary, Routed
from aether_deploy.routing.view import RegionView, RoutingView


class Obstacle(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that speaks against a region.

    Attributes:
        rule: Its name: one of the constraints that give way, or ``hard_load``, ``hard_drain``, ``health``, ``build``,
            ``residency``.
        text: What it says, with its numbers: ``load 0.97 >= hard 0.95``.
        gave_way: It was dropped, because no region satisfies it.
    """

    rule: str
    text: str
    gave_way: bool


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One region, as the decision saw it.

    Attributes:
        code: Its code.
        latency_ms: Round trip, milliseconds, of a party's worst member; None where nobody knows.
        mean_ms: A party's mean; None for a single player.
        source: Who says so.
        obstacles: What speaks against it.
        notes: What was said of it and not believed.
        eligible: It may take the player, as far as rules had to give way.
        chosen: It does.
    """

    code: str
    latency_ms: float | None
    mean_ms: float | None
    source: LatencySource | None
    obstacles: tuple[Obstacle, ...]
    notes: tuple[str, ...]
    eligible: bool
    chosen: bool


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A decision and everything that led to it.

    Attributes:
        routed: The decision, equal to that of ``decide_route``; None where there is none.
        error: Why there is none: the name of the error and its text.
        preferred: The region that was preferred; None where a name in the request is unknown.
        preferred_by: ``choice``, ``token`` (he was sent there before), ``party`` or ``latency``.
        why: Why the chosen region, or none, in one line.
        candidates: Every region: those that may take him in the order in which they would, then the others by
            latency.
    """

    routed: Routed | None
    error: tuple[str, str] | None
    preferred: str | None
    preferred_by: str
    why: str
    candidates: tuple[Candidate, ...]

    def text(self) -> str:
        """Return the explanation as lines for humans."""
        return "\n".join(self._lines())

    def to_values(self) -> dict[str, Any]:
        """Return the explanation as plain values for JSON."""
        values: dict[str, Any] = {
            "decision": None,
            "preferred": self.preferred,
            "preferred_by": self.preferred_by,
            "why": self.why,
            "candidates": [_candidate_values(each) for each in self.candidates],
        }
        if self.error is not None:
            values["error"] = {"name": self.error[0], "text": self.error[1]}
        if self.routed is not None:
            values |= self.routed.to_values()
        return values

    def _lines(self) -> Iterator[str]:
        yield self.why
        if self.preferred is not None:
            yield f"preferred: {self.preferred} (by {self.preferred_by})"
        if self.routed is not None and self.routed.relaxed:
            yield f"gave way, because no region satisfies all: {', '.join(self.routed.relaxed)}"
        width = max((len(each.code) for each in self.candidates), default=0)
        for each in self.candidates:
            yield f"{'->' if each.chosen else '  '} {each.code:<{width}}  {_far(each):<22}  {_verdict(each)}".rstrip()


def explain_route(policy: RoutingPolicy, view: RoutingView, request: RouteRequest) -> Explanation:
    """Return why ``decide_route`` sends a player where it does.

    Returns:
        The decision, which is that of ``decide_route`` with equal arguments, or the error that it raises: this never
        raises one. Every region, what speaks against it with the numbers, and what had to give way.
    """
    table = table_of(policy, view)
    try:
        standing = standing_of(table, request)
    except DecisionError as error:
        told = type(error).__name__, str(error)
        return Explanation(
            routed=None, error=told, preferred=None, preferred_by="choice", why=str(error), candidates=()
        )
    routed: Routed | None = None
    failed: tuple[str, str] | None = None
    try:
        routed = choose(table, standing)
    except DecisionError as error:
        failed = type(error).__name__, str(error)
    return Explanation(
        routed=routed,
        error=failed,
        preferred=standing.preferred or None,
        preferred_by=_preferred_by(standing, request),
        why=_why(table, standing, routed) if routed is not None else str(failed and failed[1]),
        candidates=tuple(_candidates(table, standing, request, routed)),
    )


def _preferred_by(standing: Standing, request: RouteRequest) -> str:
    if standing.then is not None:
        return "token"
    if standing.preferred == request.preferred:
        return "choice"
    return "party" if request.party else "latency"


def _why(table: CandidateTable, standing: Standing, routed: Routed) -> str:
    decision, far = routed.decision, _ms(routed.latency_ms)
    if isinstance(decision, Primary):
        return f"primary {decision.region}: it is preferred, and may take the player; {far}"
    text = f"failover {decision.region} {decision.reason}"
    if decision.code == FAIL_OPEN:
        return f"{text}; sent all the same, {far}"
    place = table.index[decision.region]
    level = standing.masks[place].bit_length()
    peers = (each for each in table.places if standing.masks[each].bit_length() == level and each != standing.place)
    closest = min(peers, key=lambda each: (standing.latencies[each], (standing.means or standing.latencies)[each]))
    if place == closest:
        return f"{text}: the closest that may take the player, {far}"
    if place == standing.returning:
        return f"{text}: the player was there before, {far}"
    return f"{text}: the least loaded of those within {table.tie_ms} ms of the closest, {far}"


def _candidates(
    table: CandidateTable, standing: Standing, request: RouteRequest, routed: Routed | None
) -> Iterator[Candidate]:
    ranked = ranking(table, standing, len(table.codes))
    others = [place for place in table.places if place not in ranked]
    level = standing.masks[ranked[0]].bit_length() if ranked else 0
    for place in (*ranked, *sorted(others, key=standing.latencies.__getitem__)):
        mask, latency = standing.masks[place], standing.latencies[place]
        yield Candidate(
            code=table.codes[place],
            latency_ms=latency if latency < math.inf else None,
            mean_ms=None if standing.means is None or standing.means[place] == math.inf else standing.means[place],
            source=standing.sources[place],
            obstacles=tuple(
                Obstacle(
                    rule=name,
                    text=_OBSTACLES[bit](table, standing, request, place),
                    gave_way=bit < min(level, len(CONSTRAINTS)),
                )
                for bit, name in enumerate(RULES)
                if mask >> bit & 1
            ),
            notes=tuple(_notes(table, request, place)),
            eligible=place in ranked and mask.bit_length() <= level,
            chosen=routed is not None and routed.decision.region == table.codes[place],
        )


def _notes(table: CandidateTable, request: RouteRequest, place: int) -> Iterator[str]:
    """Yield what the members measured of a region and is not believed."""
    for member in request.members:
        measured = member.measured.get(table.codes[place])
        if measured is None or not table.latency.measures:
            continue
        why = disbelief(measured, table.latency.policy, table.latency.km(vector_of(member.position), place))
        if why is not None:
            yield f"measured {measured.rtt_ms:g} ms not believed: {why}"


# --- what each rule says of a region, in the order of their bits


def _damping(table: CandidateTable, standing: Standing, request: RouteRequest, place: int) -> str:
    return "rests, because it fell too often"


def _share(table: CandidateTable, request: RouteRequest, place: int, bit: int) -> str:
    for share in table.shares:
        if share.place == place and share.bit == bit:
            stands = share.stands(name_of(request.player))
            return f"takes {share.taken:.2f} of new players, and this one stands at {stands:.4f}"
    return "takes no new players"


def _ramp(table: CandidateTable, standing: Standing, request: RouteRequest, place: int) -> str:
    return f"healthy again for {table.regions[place].healthy_secs:g} s: {_share(table, request, place, RAMP)}"


def _latency(table: CandidateTable, standing: Standing, request: RouteRequest, place: int) -> str:
    cap = table.cap_ms(request.waited_secs)
    waited = f" after {request.waited_secs:g} s" if table.waits and request.waited_secs else ""
    if standing.latencies[place] == math.inf:  # of a party: one member knows nothing, another one too much
        return f"further than the cap, {cap:g} ms{waited}, for a member who knows"
    return f"{standing.latencies[place]:g} ms > cap {cap:g} ms{waited}"


def _soft_load(table: CandidateTable, standing: Standing, request: RouteRequest, place: int) -> str:
    soft = table.policy.load.soft_percent / 100 if table.policy.load else 0.0
    return f"{_load(table.regions[place])} >= soft {soft:.2f}: {_share(table, request, place, SOFT_LOAD)}"


def _drain(table: CandidateTable, standing: Standing, request: RouteRequest, place: int) -> str:
    return f"soft drain: {_share(table, request, place, DRAIN)}"


def _hard_load(table: CandidateTable, standing: Standing, request: RouteRequest, place: int) -> str:
    hard = table.policy.load.hard_percent / 100 if table.policy.load else 0.0
    return f"{_load(table.regions[place])} >= hard {hard:.2f}"


def _hard_drain(table: CandidateTable, standing: Standing, request: RouteRequest, place: int) -> str:
    return "hard drain: takes nobody"


def _health(table: CandidateTable, standing: Standing, request: RouteRequest, place: int) -> str:
    return "no probe has answered yet" if table.regions[place].health == "unknown" else "unhealthy"


def _build(table: CandidateTable, standing: Standing, request: RouteRequest, place: int) -> str:
    spoken = f"speaks {', '.join(sorted(table.regions[place].builds))}"
    who = "the party" if request.party else "the client"
    return f"{spoken}; {who} speaks {', '.join(sorted(request.builds))}"


def _residency(table: CandidateTable, standing: Standing, request: RouteRequest, place: int) -> str:
    rules = ((name, table.residency[name]) for name in request.residencies)
    refusing = (each for each in rules if table.codes[place] not in each[1])
    return ", ".join(f"residency {name} allows {', '.join(sorted(allowed))}" for name, allowed in refusing)


_OBSTACLES = (_damping, _ramp, _latency, _soft_load, _drain, _hard_load, _hard_drain, _health, _build, _residency)


# --- words


def _candidate_values(candidate: Candidate) -> dict[str, Any]:
    """Return a candidate as plain values; latencies as every answer has them, in tenths of a millisecond."""
    values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(candidate))
    for name in ("latency_ms", "mean_ms"):
        values[name] = None if values[name] is None else round(values[name], 1)
    return values


def _load(region: RegionView) -> str:
    return f"load {region.load or 0.0:.4g}"


def _ms(latency_ms: float | None) -> str:
    return "latency unknown" if latency_ms is None else f"{latency_ms:.1f} ms"


def _far(candidate: Candidate) -> str:
    return _ms(candidate.latency_ms) + (f" ({candidate.source})" if candidate.source else "")


def _verdict(candidate: Candidate) -> str:
    said = [f"{each.rule}: {each.text}{' (gave way)' if each.gave_way else ''}" for each in candidate.obstacles]
    return "; ".join((*said, *candidate.notes)) or "ok"
