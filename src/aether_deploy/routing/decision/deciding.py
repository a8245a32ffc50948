"""The routing decision: from the rules, what is known of the regions and a player to the region that takes him."""

import math
from typing import NoReturn

from aether_deploy.problems import NoCapacityError, NoHealthyRegionError
from aether_deploy.routing.decision.candidates import CandidateTable, Standing, table_of
from aether_deploy.routing.decision.eligibility import CONSTRAINTS, FULL, HARD, REASONS, RULES, UNHEALTHY
from aether_deploy.routing.decision.ranking import ranking
from aether_deploy.routing.decision.standing import standing_of
from aether_deploy.routing.policy import RoutingPolicy
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.routed import FAIL_OPEN, Failover, Primary, Routed
from aether_deploy.routing.view import RoutingView

ALTERNATES = 3
SHARES_TRIED = 4
"""Shares that an answer to everybody may have to do with: every way to be in or out of them is tried."""
FAILED_OPEN = f"{FAIL_OPEN}: no region is healthy"
FAILED_OPEN_FOR_HIM = f"{FAIL_OPEN}: no region that is open to the player is healthy"


def decide_route(policy: RoutingPolicy, view: RoutingView, request: RouteRequest) -> Routed:
    """Return the region that takes a player.

    The preferred region is the one that he chose; else the one that he returns to, while it may take him and is little
    further than the closest; else the closest one, healthy or not. Of a party it is the one that is best for the
    member who has it worst. It takes him if it may; else the closest of the others that may. Where no region satisfies
    every constraint, they give way one after the other (damping, ramp, latency, soft load, soft drain), so that none
    of them is ever the cause of an outage. Health, hard drains, hard limits of load, residency and builds never do.

    Args:
        policy: The rules.
        view: What is known of the regions.
        request: The player, or the party.

    Returns:
        The decision: ``Primary`` if and only if the region is the preferred one. Equal arguments give equal answers,
        on every machine: a hash decides who belongs to a share of players. With ``on_none_healthy`` at ``fail_open``,
        and where no healthy region is open to him, it is a ``Failover`` to the preferred region, healthy or not, or to
        the closest; residency, builds, hard drains and hard limits of load hold even then.

    Raises:
        UnknownRegionError: A preferred region is not configured, and ``on_unknown`` is ``error``.
        UnknownResidencyError: The player is under a residency rule that is not configured.
        NoCapacityError: Healthy regions are open to him, and every one is full.
        NoHealthyRegionError: No region may take him.

    Rule:
        The specification, "Multi-Region Routing": a policy with every block left out is its three rules.
    """
    table = table_of(policy, view)
    if table.is_plain(request):
        routed = _for_all(table, request.preferred)
        if routed is not None:
            return routed
    return choose(table, standing_of(table, request))


def decide_for_all(policy: RoutingPolicy, view: RoutingView, preferred: str | None) -> Routed | None:
    """Return the region that takes everybody who says nothing but which region he prefers, whoever he is.

    Returns:
        What ``decide_route`` returns for every player; None where it depends on who asks, because a region takes a
        share of players, or where so many do that it is not worth finding out.

    Raises:
        DecisionError: Nobody who says that is taken; see ``decide_route``.
    """
    return _for_all(table_of(policy, view), preferred)


def _for_all(table: CandidateTable, preferred: str | None) -> Routed | None:
    """Return a decision that no share of players changes, which is made once; None where there is none."""
    if preferred in table.plain:
        return table.plain[preferred]
    standing = standing_of(table, RouteRequest(preferred=preferred))
    found = _whoever_asks(table, standing) if table.shares else choose(table, standing)
    if preferred is None or preferred in table.index:  # names that strangers make up are not kept
        table.plain[preferred] = found
    return found


def _whoever_asks(table: CandidateTable, standing: Standing) -> Routed | None:
    """Return the decision if it is the same for those in a share and those out of it, whatever shares they are.

    It is decided with everybody in every share, then for each way to be out of some. Who is out of a share only sees
    that region further back: one that is neither preferred nor named changes nothing, and need not be tried.
    """
    for share in table.shares:
        standing.masks[share.place] &= ~share.bit
    routed = choose(table, standing)
    named = {standing.preferred, routed.decision.region, *routed.alternates}
    trying = [share for share in table.shares if table.codes[share.place] in named]
    if len(trying) > SHARES_TRIED:
        return None
    inside = list(standing.masks)
    for outs in range(1, 1 << len(trying)):
        standing.masks = list(inside)
        for number, share in enumerate(trying):
            if outs >> number & 1:
                standing.masks[share.place] |= share.bit
        if choose(table, standing) != routed:
            return None
    return routed


def choose(table: CandidateTable, standing: Standing) -> Routed:
    """Return the decision for a player of some standing.

    Raises:
        NoCapacityError: Healthy regions are open to him, and every one is full.
        NoHealthyRegionError: No region may take him.
    """
    picked = ranking(table, standing, 1 + ALTERNATES)
    if not picked:
        return _without_a_region(table, standing)
    place = picked[0]
    mask = standing.masks[place]
    if place == standing.place:
        return _routed(table, standing, Primary(region=standing.preferred), picked, mask)
    failover = Failover(region=table.codes[place], reason=_reason(table, standing, mask.bit_length()))
    return _routed(table, standing, failover, picked, mask)


def _reason(table: CandidateTable, standing: Standing, level: int) -> str:
    """Return why the preferred region did not take the player, where another did on a rung of the ladder."""
    if standing.place is None:
        return "preferred_unknown"
    mask = standing.masks[standing.place]
    if mask.bit_length() <= level:  # it may take him, but does not call him back yet
        return "preferred_warming"
    if mask.bit_length() == UNHEALTHY.bit_length() and table.regions[standing.place].health == "unknown":
        return "preferred_unhealthy: no probe has answered yet"
    return REASONS[mask.bit_length()]


def _routed(
    table: CandidateTable, standing: Standing, decision: Primary | Failover, picked: list[int], mask: int = 0
) -> Routed:
    place, codes = picked[0], table.codes
    latency = standing.latencies[place]
    return Routed(
        decision=decision,
        preferred=standing.preferred,
        latency_ms=latency if latency < math.inf else None,
        source=standing.sources[place],
        alternates=tuple([codes[each] for each in picked[1:]]),
        relaxed=tuple(name for bit, name in enumerate(CONSTRAINTS) if mask >> bit & 1) if mask else (),
    )


def _without_a_region(table: CandidateTable, standing: Standing) -> Routed:
    """Fail open where the policy says so and a region is open but for its health; else raise."""
    hard = [mask & HARD for mask in standing.masks]
    if FULL in hard or table.policy.on_none_healthy == "error" or UNHEALTHY not in hard:
        _refuse(table, standing, hard)
    keys = list(zip(standing.latencies, standing.means or standing.latencies, table.places, strict=True))
    open_to_him = [place for _, _, place in sorted(keys) if hard[place] == UNHEALTHY]
    if standing.place in open_to_him:
        open_to_him.remove(standing.place)
        open_to_him.insert(0, standing.place)
    hears_others = any(region.health == "healthy" for region in table.regions)
    reason = FAILED_OPEN_FOR_HIM if hears_others else FAILED_OPEN
    failover = Failover(region=table.codes[open_to_him[0]], reason=reason)
    return _routed(table, standing, failover, open_to_him[: 1 + ALTERNATES])


def _refuse(table: CandidateTable, standing: Standing, hard: list[int]) -> NoReturn:
    if FULL in hard:
        said = ", ".join(
            f"{region.code} {_SAYS[mask.bit_length() - 1]}" + (f" (load {region.load:.2f})" if mask == FULL else "")
            for region, mask in zip(table.regions, hard, strict=True)
        )
        raise NoCapacityError(f"no region has room: {said}", preferred=standing.preferred or None)
    count = len(hard)
    text = f"none of {count} regions is healthy"
    if unprobed := sum(region.health == "unknown" for region in table.regions):
        text += f"; {unprobed} of them did not answer a probe yet"
    if any(mask != UNHEALTHY for mask in hard):
        why = (f"{code} {_SAYS[mask.bit_length() - 1]}" for code, mask in zip(table.codes, hard, strict=True))
        text = f"none of {count} regions may take the player: {', '.join(why)}"
    raise NoHealthyRegionError(text, preferred=standing.preferred or None)


_SAYS = dict(
    enumerate((*RULES[:5], "is full", "is drained", "is unhealthy", "has another build", "is not where he may be"))
)
